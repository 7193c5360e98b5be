"""Models that ship with the package: by name, with a card, small, ready to use."""

import importlib.util
from pathlib import Path

import keras
import numpy as np
import pytest
from helpers import ROOT
from helpers.marks import once

import keras_gud
from keras_gud import pretrained
from keras_gud.training.ema import averaged_weights

SHIPPED = pretrained.names()


@pytest.fixture(scope="module")
def release():
    """The function of `examples/release.py`."""
    path = ROOT / "examples" / "release.py"
    spec = importlib.util.spec_from_file_location("release", path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module.release


@pytest.fixture(scope="module")
def images():
    return np.random.default_rng(0).integers(0, 256, size=(48, 4, 4, 1)).astype("uint8")


@pytest.fixture(scope="module")
def folder(tmp_path_factory, release, images):
    """A folder with a trained model, as it was saved and as it is shipped."""
    model = keras_gud.GUD(basis="haar", schedule="cosine", backbone="tiny", seed=0)
    model.fit(images, batch_size=16, epochs=2, verbose=0)
    folder = tmp_path_factory.mktemp("models")
    (folder / "trained").mkdir()
    model.save(folder / "trained" / "model.keras")
    release(folder / "trained" / "model.keras", folder / "squares.keras")
    (folder / "squares.md").write_text("# Squares\n")
    return folder


@pytest.fixture
def shipped(folder, monkeypatch):
    monkeypatch.setattr(pretrained, "FOLDER", folder)


def values(variables):
    return [np.asarray(keras.ops.convert_to_numpy(v.value)) for v in variables]


@pytest.mark.once
def test_a_model_by_name(shipped, folder, images):
    model = keras_gud.load("squares")
    assert type(model) is keras_gud.GUD
    assert not model.compiled
    trained = keras.saving.load_model(folder / "trained" / "model.keras")
    assert trained.compiled
    samples = [m.sample(3, steps=3, seed=1) for m in (model, trained)]
    np.testing.assert_array_equal(*samples)
    before = values(model.network.trainable_variables)
    mean = values([model.prior.mean])[0]
    history = model.fit(images[:16], epochs=1, verbose=0).history
    assert np.isfinite(history["loss"]).all()
    after = values(model.network.trainable_variables)
    assert any((a != b).any() for a, b in zip(after, before, strict=True))
    np.testing.assert_array_equal(values([model.prior.mean])[0], mean)  # not adapted anew


@pytest.mark.once
def test_training_goes_on_from_the_averaged_weights(shipped, folder):
    model = keras_gud.load("squares")
    trained = keras.saving.load_model(folder / "trained" / "model.keras")
    raw, average = values(averaged_weights(model.network)), values(model.ema.average)
    for ours, averaged, theirs in zip(raw, average, values(trained.ema.average), strict=True):
        np.testing.assert_array_equal(ours, theirs)
        np.testing.assert_array_equal(averaged, theirs)
    different = zip(raw, values(averaged_weights(trained.network)), strict=True)
    assert any((ours != theirs).any() for ours, theirs in different)


@pytest.mark.once
def test_the_file_is_small(shipped, folder):
    sizes = [(folder / p).stat().st_size for p in ("squares.keras", "trained/model.keras")]
    weights = sum(v.nbytes for v in values(keras_gud.load("squares").network.weights))
    # Raw and averaged weights and two moments of Adam's, against one set of weights.
    assert sizes[0] < 0.4 * sizes[1]
    assert sizes[0] < 1.1 * weights + 60_000


@pytest.mark.once
def test_released_twice_is_released_once(shipped, folder, release, tmp_path):
    release(folder / "squares.keras", tmp_path / "again.keras")
    size = (folder / "squares.keras").stat().st_size
    assert abs((tmp_path / "again.keras").stat().st_size - size) < 0.02 * size
    again = keras.saving.load_model(tmp_path / "again.keras")
    for a, b in zip(again.weights, keras_gud.load("squares").weights, strict=True):
        np.testing.assert_array_equal(*values([a, b]))


@pytest.mark.once
def test_a_file_that_samples_otherwise_is_not_written(folder, release, monkeypatch, tmp_path):
    draws = iter([np.zeros(3), np.ones(3)])
    monkeypatch.setattr(keras_gud.GUD, "sample", lambda self, *a, **k: next(draws))
    with pytest.raises(RuntimeError, match=r"Expected the samples of .*model\.keras"):
        release(folder / "trained" / "model.keras", tmp_path / "m.keras")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.once
def test_names_and_cards(shipped):
    assert pretrained.names() == ["squares"]
    assert pretrained.card("squares") == "# Squares\n"


@pytest.mark.once
@pytest.mark.parametrize(
    ("name", "hint"),
    [
        ("square", r"Did you mean 'squares'\?"),
        ("Squares", r"Did you mean 'squares'\?"),
        ("../squares", r"Did you mean 'squares'\?"),
        ("trained/model", "The path of a file ends in '.keras'"),
        (None, "Received: name=None"),
    ],
)
def test_unknown_names(shipped, name, hint):
    for function in (keras_gud.load, pretrained.card):
        with pytest.raises(ValueError, match=rf"`name` to be one of \['squares'\].*{hint}"):
            function(name)


@pytest.mark.once
def test_the_package_contains_what_is_shipped():
    """Data files are part of a wheel only if setup.cfg names them."""
    text = (ROOT / "setup.cfg").read_text()
    assert "keras_gud.pretrained = *.keras, *.md" in text
    kinds = {p.suffix for p in Path(pretrained.__file__).parent.iterdir() if p.is_file()}
    assert kinds <= {".py", ".keras", ".md"}


# -- the models themselves -------------------------------------------------------------------------


@pytest.mark.parametrize("name", once(SHIPPED, but=SHIPPED[:1]))
def test_a_shipped_model_is_loaded(name):
    model = keras_gud.load(name)
    assert all(np.isfinite(value).all() for value in values(model.weights))
    assert not model.compiled


@pytest.mark.once
@pytest.mark.parametrize("name", SHIPPED)
def test_a_shipped_model_samples(name):
    model = keras_gud.load(name)
    sample = model.sample(1, steps=2, seed=0)
    assert sample.shape == (1, *model.data_shape)
    assert np.isfinite(sample).all()


@pytest.mark.once
@pytest.mark.parametrize("name", SHIPPED)
def test_a_shipped_model_has_a_card(name):
    assert len(pretrained.card(name).strip()) > 100
