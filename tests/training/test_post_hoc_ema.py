"""`PostHocEMA`: averages of any width beside those that are kept directly, and its files."""

import keras
import numpy as np
import pytest
from helpers.interrupted import Kill, KilledError
from helpers.tiny_model import TinyNet, as_numpy, make, raw_and_average, vectors

import keras_gud
from keras_gud.callbacks import Checkpoint, PostHocEMA
from keras_gud.training.power_profile import exponent

WIDTHS = (0.03, 0.04, 0.07, 0.15, 0.2)


class Seen(keras.callbacks.Callback):
    """The weights before every step."""

    def __init__(self):
        super().__init__()
        self.weights = []

    def on_train_batch_begin(self, batch, logs=None):
        self.weights.append(raw_and_average(self.model)[0])

    def average(self, width):
        """The average of a width, as one vector."""
        n = len(self.weights)
        shares = np.diff((np.arange(n + 1) / n) ** (exponent(width) + 1))
        return sum(share * vector(each) for share, each in zip(shares, self.weights, strict=True))

    def worst(self, averages, model, widths=WIDTHS):
        """The largest error of several widths, as a share of the distance of the two kept."""
        spread = np.linalg.norm(self.average(0.05) - self.average(0.1))
        errors = []
        for width in widths:
            averages.use(model, width)
            errors.append(np.linalg.norm(vector(as_numpy(model.ema.average)) - self.average(width)))
        return max(errors) / spread


def vector(arrays):
    return np.concatenate([np.ravel(a).astype("float64") for a in arrays])


def compiled(**kwargs):
    model = make(schedule="linear", **kwargs)
    model.compile(keras.optimizers.Adam(1e-2), run_eagerly=True)
    return model


def fit(model, *callbacks, epochs=3, n=64, **kwargs):
    """Four batches an epoch."""
    return model.fit(
        vectors(n), epochs=epochs, batch_size=16, callbacks=list(callbacks), verbose=0, **kwargs
    )


def test_any_width_is_that_kept_directly_also_through_a_file(tmp_path):
    x = np.random.default_rng(0).integers(0, 255, (128, 8, 8, 1)).astype("uint8")
    model = keras_gud.GUD(backbone=TinyNet(), seed=0)
    averages, seen = PostHocEMA(tmp_path, every=1), Seen()
    for _ in range(2):
        model.fit(x, epochs=3, batch_size=16, callbacks=[averages, seen], verbose=0)
        model.save(tmp_path / "model.keras")
        model = keras_gud.load(tmp_path / "model.keras", compile=True)
        averages = PostHocEMA(tmp_path, every=1)
    assert averages.steps == list(range(1, 49))
    assert seen.worst(averages, model) < 0.01
    averages.use(model, 0.05)
    np.testing.assert_allclose(
        vector(as_numpy(model.ema.average)),
        as_numpy([model.power_averages.averages])[0][0],
        atol=1e-6,
    )


ONCE = [pytest.param(at, marks=pytest.mark.once) for at in ((0, 0), (1, 1))]


@pytest.mark.parametrize("killed", [(1, 0), *ONCE])
def test_a_resumed_run_stores_the_same(killed, tmp_path):
    def run(name, *callbacks):
        averages, few = PostHocEMA(tmp_path / f"averages of {name}", every=1), {"n": 32}
        fit(compiled(), Checkpoint(tmp_path / name), averages, *callbacks, epochs=2, **few)
        return averages.files

    with pytest.raises(KilledError):
        run("killed", Kill(killed))
    stored = PostHocEMA(tmp_path / "averages of killed").steps
    resumed, whole = run("killed"), run("whole")
    assert stored == list(range(1, 2 * killed[0] + killed[1] + 2))
    assert resumed.steps() == whole.steps() == [1, 2, 3, 4]
    for step in whole.steps():
        np.testing.assert_array_equal(resumed.read(step), whole.read(step))


# -- which snapshots there are --------------------------------------------------------------------


@pytest.mark.once
def test_snapshots_stay_few_and_end_with_the_last_step(tmp_path):
    model, averages = compiled(), PostHocEMA(tmp_path, every=1, keep=4)
    for epochs, expected in (
        (1, [1, 2, 3, 4]),
        (1, [2, 4, 6, 8]),
        (2, [4, 8, 12, 16]),
        (1, [8, 16, 20]),
    ):
        fit(model, averages, epochs=epochs)
        assert averages.steps == expected
    fit(model, averages, epochs=1, n=16)
    assert averages.steps == [8, 16, 21]


@pytest.mark.skipif(keras.backend.backend() == "torch", reason="one step an execution")
def test_snapshots_are_counted_in_steps_of_any_epochs(tmp_path):
    model, averages = make(), PostHocEMA(tmp_path, every=3)
    model.compile("sgd", run_eagerly=True, steps_per_execution=2)
    fit(model, averages, epochs=4)
    assert averages.steps == [4, 6, 10, 12, 16]


@pytest.mark.once
def test_what_an_abandoned_run_stored_later_goes_when_it_is_replaced(tmp_path):
    folder = tmp_path / "run"
    fit(compiled(), Checkpoint(folder), PostHocEMA(tmp_path / "ema", every=3), epochs=1)
    assert PostHocEMA(tmp_path / "ema").steps == [3, 4]
    callbacks = [Checkpoint(folder), PostHocEMA(tmp_path / "ema", every=5), Kill((1, 2))]
    with pytest.raises(KilledError):
        fit(compiled(), *callbacks)
    assert PostHocEMA(tmp_path / "ema").steps == [5]
    fit(compiled(), Checkpoint(folder), PostHocEMA(tmp_path / "ema", every=6))
    assert PostHocEMA(tmp_path / "ema").steps == [6, 12]


@pytest.mark.once
def test_best_uses_the_width_of_least_loss(tmp_path):
    model, averages = compiled(), PostHocEMA(tmp_path, every=1)
    fit(model, averages, epochs=6)
    losses = averages.best(model, vectors(32, seed=1), widths=(0.05, 0.1, 0.2))
    loss = model.evaluate(vectors(32, seed=1), return_dict=True, verbose=0)["loss"]
    assert list(losses) == [0.05, 0.1, 0.2]
    assert loss == pytest.approx(min(losses.values()), rel=1e-6)
    assert len(set(losses.values())) == 3


@pytest.mark.once
def test_an_earlier_step_is_as_if_training_had_ended_there(tmp_path):
    model, averages = compiled(), PostHocEMA(tmp_path, every=1)
    fit(model, averages, epochs=2)
    averages.use(model, 0.07)
    expected = as_numpy(model.ema.average)
    fit(model, averages, epochs=2)
    averages.use(model, 0.07, step=8)
    for ours, theirs in zip(as_numpy(model.ema.average), expected, strict=True):
        np.testing.assert_array_equal(ours, theirs)


@pytest.mark.once
def test_snapshots_survive_without_the_run(tmp_path):
    """Nothing but the snapshots and the network is needed."""
    model = compiled()
    with pytest.raises(KilledError):
        fit(model, PostHocEMA(tmp_path, every=1), Kill((1, 3)))
    fresh = make(schedule="linear")
    fresh.adapt(vectors(), verbose=0)
    for each in (model, fresh):
        PostHocEMA(tmp_path).use(each, 0.06)
    for ours, theirs in zip(as_numpy(fresh.ema.average), as_numpy(model.ema.average), strict=True):
        np.testing.assert_array_equal(ours, theirs)


@pytest.mark.once
def test_a_write_that_was_interrupted_leaves_nothing(tmp_path):
    unfinished = tmp_path / "unfinished-12-average-000000000003.npz"
    unfinished.write_bytes(b"half")
    averages = PostHocEMA(tmp_path, every=2)
    fit(compiled(), averages, epochs=1)
    assert averages.steps == [2, 4]
    assert not unfinished.exists()


# -- what is refused, and what is said ------------------------------------------------------------


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("other")
    fit(compiled(), PostHocEMA(folder, every=1), epochs=1)
    return folder


@pytest.mark.once
def test_snapshots_of_another_run_are_not_mixed(folder, tmp_path):
    steps = PostHocEMA(folder).steps
    with pytest.raises(ValueError, match="without snapshots for a new run.*up to step 4"):
        fit(compiled(), PostHocEMA(folder))
    model = compiled()
    fit(model, PostHocEMA(tmp_path, every=1), epochs=1)
    for call in (
        lambda: fit(model, PostHocEMA(folder)),
        lambda: PostHocEMA(folder).use(model, 0.1),
    ):
        with pytest.raises(ValueError, match="this model's run.*another run, up to step 4"):
            call()
    (tmp_path / "average-000000000009.npz").write_bytes(
        (folder / "average-000000000004.npz").read_bytes()
    )
    fresh = make(schedule="linear")
    fresh.adapt(vectors(), verbose=0)
    with pytest.raises(ValueError, match="snapshots of one run"):
        PostHocEMA(tmp_path).use(fresh, 0.1)
    assert PostHocEMA(folder).steps == steps


@pytest.mark.once
def test_another_network_other_widths_and_other_steps_are_refused(folder):
    model = make(units=8)
    model.adapt(vectors(), verbose=0)
    averages = PostHocEMA(folder)
    before = as_numpy(model.ema.average)
    for said, call in {
        "of the weights of this model's network": lambda: averages.use(model, 0.1),
        "Expected `step` to be one of .1, 2, 3, 4.": lambda: averages.use(model, 0.1, step=5),
        "Expected `width` in": lambda: averages.use(model, 0.4),
        "Expected `widths` to be different": lambda: averages.best(model, vectors(), widths=()),
    }.items():
        with pytest.raises(ValueError, match=said):
            call()
    for ours, theirs in zip(as_numpy(model.ema.average), before, strict=True):
        np.testing.assert_array_equal(ours, theirs)


@pytest.mark.once
def test_too_few_snapshots_are_said(folder):
    model = make(schedule="linear")
    model.adapt(vectors(), verbose=0)
    with pytest.warns(UserWarning, match="only roughly: its profile is off by"):
        PostHocEMA(folder).use(model, 0.02)


@pytest.mark.once
def test_nothing_to_use(tmp_path):
    model = make()
    model.adapt(vectors(), verbose=0)
    with pytest.raises(FileNotFoundError, match="Expected snapshots"):
        PostHocEMA(tmp_path / "none").use(model, 0.1)


@pytest.mark.once
def test_a_damaged_file_is_named(tmp_path):
    model = compiled()
    fit(model, PostHocEMA(tmp_path, every=1), epochs=1)
    path = tmp_path / "average-000000000002.npz"
    averages = PostHocEMA(tmp_path).files.read(2)
    whole = path.read_bytes()
    at = whole.index(averages.tobytes())
    for damaged in (whole[:at] + b"damage" + whole[at + 6 :], whole[:100]):
        path.write_bytes(damaged)
        with pytest.raises(ValueError, match="000002.npz, or no such file. Received: a damaged"):
            PostHocEMA(tmp_path).use(model, 0.1)


@pytest.mark.once
def test_a_full_disk_is_a_warning(tmp_path, monkeypatch):
    def full(folder, size):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("keras_gud.persistence.atomic_write.require_space", full)
    with pytest.warns(UserWarning, match="No space left on device. Training continues"):
        fit(compiled(), PostHocEMA(tmp_path, every=2), epochs=1)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.once
def test_other_widths_than_the_model_keeps_are_refused(tmp_path):
    model = compiled()
    fit(model, PostHocEMA(tmp_path / "one"), epochs=1)
    with pytest.raises(ValueError, match="the model keeps, .0.05, 0.1."):
        fit(model, PostHocEMA(tmp_path / "two", widths=(0.05, 0.2)))
    with pytest.raises(ValueError, match="Expected one PostHocEMA. Received: 2"):
        fit(model, PostHocEMA(tmp_path), PostHocEMA(tmp_path))


@pytest.mark.once
@pytest.mark.parametrize(
    "arguments", [{"every": 0}, {"keep": 1}, {"widths": (0.1, 0.1)}, {"widths": (0.5,)}]
)
def test_bad_arguments(arguments, tmp_path):
    with pytest.raises(ValueError, match="Expected `"):
        PostHocEMA(tmp_path, **arguments)


@pytest.mark.once
def test_models_that_are_not_ours_are_refused(tmp_path):
    model = keras.Sequential([keras.layers.Dense(1)])
    model.compile("sgd", "mse")
    with pytest.raises(TypeError, match="in `fit` of a keras_gud model. Received: Sequential"):
        model.fit(np.zeros((4, 2)), np.zeros(4), callbacks=[PostHocEMA(tmp_path)], verbose=0)
