"""Several encoders: streams of latents side by side, in an order of their own."""

import keras
import numpy as np
import pytest
from helpers.one_weight import OneWeightPerValue
from keras import layers, ops

import keras_gud
from keras_gud import bases, priors, schedules
from keras_gud.models.latent_streams import LatentStreams

FEW = {"steps": 4, "seed": 1}
IMAGES = keras_gud.datasets.load("digits", n=40)  # 8 x 8 x 1, uint8
SAME = layers.Identity()
THIRDS = layers.AveragePooling2D(3, padding="same")


@keras.saving.register_keras_serializable(package="keras_gud_tests")
class Units(layers.Layer):
    """A change of units, or back; its statistics are those of no other stream."""

    def __init__(self, scale=1.0, offset=0.0, **kwargs):
        super().__init__(**kwargs)
        self.factor, self.offset = scale, offset

    def call(self, x):
        return self.factor * x + self.offset

    def get_config(self):
        return super().get_config() | {"scale": self.factor, "offset": self.offset}


@keras.saving.register_keras_serializable(package="keras_gud_tests")
class First(layers.Layer):
    """A decoder of two streams that needs both."""

    def call(self, inputs):
        fine, coarse = inputs
        return fine + 0.0 * ops.mean(coarse)


def encoders():
    """The pixels in units of their own, and means of 2 x 2."""
    return {"fine": Units(500.0, 20.0), "coarse": layers.AveragePooling2D(2)}


def make(encoder=None, decoder=None, **kwargs):
    encoder = encoders() if encoder is None else encoder
    decoder = Units(1 / 500.0, -20.0 / 500.0) if decoder is None else decoder
    parts = {"backbone": OneWeightPerValue(), "schedule": schedules.Staggered("cosine"), "seed": 0}
    return keras_gud.LatentGUD(encoder, decoder, **(parts | kwargs))


def adapted(*args, x=IMAGES, **kwargs):
    model = make(*args, **kwargs)
    model.adapt(x, verbose=0)
    return model


# -- latents ---------------------------------------------------------------------------------------


@pytest.mark.once
@pytest.mark.parametrize(
    ("shapes", "joined"),
    [
        ([(8,), (3,)], (11,)),
        ([(8, 2), (4, 1)], (4, 5)),
        ([(4, 6, 2), (2, 2, 3), (4, 2, 1)], (2, 2, 17)),
        ([(2, 4, 4, 1), (2, 2, 2, 5)], (2, 2, 2, 9)),
    ],
)
def test_joined_and_split_again(shapes, joined):
    streams = LatentStreams([SAME] * len(shapes))
    streams.open(shapes)
    rng = np.random.default_rng(0)
    parts = [rng.normal(size=(3, *shape)).astype("float32") for shape in shapes]
    both = streams.join(parts)
    assert both.shape == (3, *joined) == (3, *streams.shape)
    np.testing.assert_array_equal(np.sort(both[0], axis=None), np.sort(_flat(parts, 0)))
    in_a_graph = ops.convert_to_numpy(streams.join([ops.convert_to_tensor(x) for x in parts]))
    np.testing.assert_array_equal(in_a_graph, both)
    for found in (streams.split(both), streams.split(ops.convert_to_tensor(both))):
        for x, part in zip(found, parts, strict=True):
            np.testing.assert_array_equal(ops.convert_to_numpy(x), part)


def _flat(parts, i):
    return np.concatenate([part[i].ravel() for part in parts])


@pytest.mark.once
def test_places_stay_where_they_were():
    streams = LatentStreams([SAME, SAME])
    streams.open([(4, 4, 1), (2, 2, 1)])
    fine = np.arange(16.0).reshape(1, 4, 4, 1)
    joined = streams.join([fine, np.zeros((1, 2, 2, 1))])
    np.testing.assert_array_equal(joined[0, 1, 0, :4], fine[0, 2:, :2, 0].ravel())


def test_it_is_the_model_of_the_joined_latents():
    """The losses and likelihoods are those of a GUD whose streams are divided by their scales."""
    model = make()
    history = model.fit(IMAGES, batch_size=20, epochs=2, verbose=0).history
    latents = model.to_latents(IMAGES)
    assert latents.shape == (40, 4, 4, 5)
    floats = (IMAGES + 0.5) / 128.0 - 1.0
    fine = np.sqrt((500.0 * floats).var(axis=0).mean())
    pooled = latents[..., 4:].astype("float64")
    coarse = np.sqrt(pooled.var(axis=0).mean())
    scale = np.array([fine] * 4 + [coarse])
    np.testing.assert_allclose(model.data_space.scaling.scale, scale, rtol=1e-5)

    alone = keras_gud.GUD(
        bases.Pixel(),
        priors.Isotropic(scale=None),
        schedules.Staggered("cosine", over="channel_group"),
        OneWeightPerValue(),
        data_scale="none",
        seed=0,
    )
    group = np.array([0, 0, 0, 0, 1])
    alone.basis.make_coordinates = lambda shape: {"channel_group": np.broadcast_to(group, shape)}
    logs = alone.fit(latents / scale, batch_size=20, epochs=2, verbose=0).history
    np.testing.assert_allclose(history["loss"], logs["loss"], rtol=1e-4)
    found = model.diffusion().elbo(latents[:4], draws=2, offset=0.3)
    expected = alone.elbo((latents / scale)[:4], draws=2, offset=0.3)
    change = (4 * np.log2(fine) + np.log2(coarse)) / 5
    np.testing.assert_allclose(found["bits_per_dim"], expected["bits_per_dim"] + change, rtol=1e-4)


@pytest.mark.once
def test_each_stream_has_a_scale_of_its_own():
    model = adapted({"small": Units(1e-4), "large": Units(1e4)}, Units(1e4))
    z0 = model.data_space.scaling.expected(model.to_latents(IMAGES))
    np.testing.assert_allclose(z0.var(axis=0).mean(axis=(0, 1)), [1.0, 1.0], rtol=1e-4)
    np.testing.assert_array_equal(model.from_latents(model.to_latents(IMAGES)), IMAGES)


@pytest.mark.once
def test_vectors_are_columns():
    x = np.random.default_rng(0).normal(size=(40, 6)).astype("float32")
    model = adapted([Units(100.0), layers.Dense(2)], Units(0.01), x=x)
    assert model.data_shape == (8,)
    np.testing.assert_array_equal(model.basis.coordinates["stream"], [0] * 6 + [1] * 2)
    np.testing.assert_allclose(model.from_latents(model.to_latents(x)), x, rtol=1e-5)
    first, second = model.split_latents(model.to_latents(x))
    assert (first.shape, second.shape) == ((40, 6), (40, 2))


# -- orders ----------------------------------------------------------------------------------------


@pytest.mark.once
@pytest.mark.parametrize("basis", ["pixel", "haar", "fourier", ["dct"]])
def test_bases_tell_streams_apart(basis):
    model = adapted(basis=basis, schedule=schedules.Learned(over="stream"))
    np.testing.assert_array_equal(model.basis.coordinates["stream"][0, 0], [0, 0, 0, 0, 1])
    assert model.schedule.n_groups == 2


@pytest.mark.once
def test_a_basis_that_mixes_streams_does_not():
    assert "stream" not in adapted(basis="channel", schedule="cosine").basis.coordinates
    with pytest.raises(ValueError, match="Expected `over` .* Received: over='stream'"):
        adapted(basis="channel")


def test_the_offset_is_the_order():
    model = make()
    model.fit(IMAGES, batch_size=40, verbose=0)
    gamma = ops.convert_to_numpy(model.schedule(0.5, offset=-0.5).gamma)
    assert (gamma.min(), gamma.max()) == (-10.0, 10.0)
    np.testing.assert_allclose(gamma[0, 0, 0], [10.0] * 4 + [-10.0])  # the last stream first
    first, last = (model.sample(3, offset=offset, **FEW) for offset in (0.5, -0.5))
    assert (first.shape, first.dtype) == ((3, 8, 8, 1), "uint8")
    assert (first != last).any()


@pytest.mark.once
def test_another_schedule_of_each_stream():
    def own(t, stream):
        return -8.0 + 16.0 * t ** (1.0 + stream)

    model = adapted(schedule=schedules.Function(own, ("stream",)))
    gamma = ops.convert_to_numpy(model.schedule(0.5).gamma)
    np.testing.assert_allclose(np.unique(gamma), [-4.0, 0.0], atol=1e-5)


@pytest.mark.once
def test_paths_are_measured_stream_by_stream():
    model = adapted()
    assert model.path_cost(IMAGES, offset=0.3, times=4, examples=8).share.shape == (2,)
    best = model.optimize_path(IMAGES, objective="model", knots=2, examples=8)
    assert (best.coordinate_names, best.n_groups) == (("stream",), 2)


# -- decoding --------------------------------------------------------------------------------------


@pytest.mark.once
@pytest.mark.parametrize(
    ("encoder", "decoder", "decode_from"),
    [
        ({"coarse": layers.AveragePooling2D(2), "fine": SAME}, SAME, "fine"),
        ([layers.AveragePooling2D(2), SAME], SAME, 1),
        ([SAME, layers.AveragePooling2D(2)], First(), [0, 1]),
        ({"a": layers.AveragePooling2D(2), "b": SAME}, First(), ["b", "a"]),
        ([SAME], SAME, None),
    ],
)
def test_what_the_decoder_is_given(encoder, decoder, decode_from):
    model = adapted(encoder, decoder, decode_from=decode_from)
    latents = model.to_latents(IMAGES)
    np.testing.assert_array_equal(model.from_latents(latents), IMAGES)
    space = model.data_space
    z0 = model.prior(model.basis(space.scaling.expected(latents[:3])))
    in_a_graph = ops.convert_to_numpy(space.from_components(z0, model.basis, model.prior))
    np.testing.assert_array_equal(in_a_graph, IMAGES[:3])


@pytest.mark.parametrize("decode_from", [["fine", "coarse"], None])
def test_a_file_holds_all_encoders(tmp_path, decode_from):
    encoder = {"fine": SAME, "coarse": layers.Conv2D(2, 2, 2)}
    decoder = First() if decode_from else SAME
    model = make(encoder, decoder, decode_from=decode_from, basis="haar")
    model.fit(IMAGES, batch_size=20, verbose=0)
    model.save(tmp_path / "model.keras")
    loaded = keras_gud.load(tmp_path / "model.keras")
    how = FEW | {"offset": 0.4}
    np.testing.assert_array_equal(loaded.sample(2, **how), model.sample(2, **how))
    ours, theirs = (m.split_latents(m.to_latents(IMAGES)) for m in (model, loaded))
    assert list(ours) == list(theirs) == ["fine", "coarse"]
    for name in ours:
        np.testing.assert_array_equal(ours[name], theirs[name])
    # A path that the file has not seen.
    curves = schedules.Curves([[-7.0, -7.0], [5.0, -7.0], [5.0, 5.0]], over="stream")
    with pytest.warns(UserWarning, match="leaves the noising states"):
        assert loaded.sample(1, schedule=curves, **FEW).shape == (1, 8, 8, 1)


# -- what cannot be --------------------------------------------------------------------------------


@pytest.mark.once
@pytest.mark.parametrize(
    ("encoder", "decode_from", "message"),
    [
        ([], None, "at least one encoder"),
        ({}, None, "at least one encoder"),
        ({"fine": SAME}, "fime", "Did you mean 'fine'"),
        ([SAME, SAME], 2, "`decode_from` to be below 2"),
        ([SAME, SAME], "fine", "Expected `decode_from` to be an integer"),
        ([SAME, SAME], [0, 0], "different streams"),
        ([SAME, SAME], [], "different streams"),
        (SAME, 0, "with several encoders only"),
    ],
)
def test_bad_encoders_are_refused(encoder, decode_from, message):
    with pytest.raises((ValueError, TypeError), match=message):
        make(encoder, SAME, decode_from=decode_from)


@pytest.mark.once
def test_the_one_that_is_no_layer_is_named():
    with pytest.raises(TypeError, match=r"`encoder\['b'\]` to be a Keras layer.* Received: .*3"):
        make({"a": SAME, "b": 3}, SAME)


@pytest.mark.once
@pytest.mark.parametrize(
    ("encoder", "decoder", "message"),
    [
        ([SAME, layers.Flatten()], SAME, r"equally many axes.* encoder\[1\] returns \(64,\)"),
        (
            [SAME, layers.AveragePooling2D(3, padding="same")],
            SAME,
            r"multiples of the coarsest.* \(3, 3, 1\)",
        ),
        ([SAME, layers.AveragePooling2D(8)], SAME, "more than one place"),
        ([SAME, layers.Conv1D(2, 1)], SAME, r"`encoder\[1\]` to be called with"),
        ({"a": layers.AveragePooling2D(2), "b": SAME}, SAME, r"\(batch, 4, 4, 1\), those of 'a'"),
        ({"a": SAME, "b": Units(0.0)}, SAME, r"latents that vary.* encoder\['b'\] returns the s"),
    ],
)
def test_encoders_that_do_not_fit_are_refused(encoder, decoder, message):
    with pytest.raises(ValueError, match=message):
        make(encoder, decoder).fit(IMAGES, verbose=0)


@pytest.mark.once
def test_one_encoder_has_nothing_to_split():
    model = adapted(SAME, SAME, schedule="cosine")
    with pytest.raises(ValueError, match="several encoders"):
        model.split_latents(model.to_latents(IMAGES))
    with pytest.raises(ValueError, match=r"Expected data of shape \(batch, 4, 4, 5\)"):
        adapted().split_latents(IMAGES)
