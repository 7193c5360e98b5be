"""Tools around Keras, used as their own documentation says."""

import csv

import keras
import numpy as np
import pytest
from helpers.one_weight import OneWeightPerValue

import keras_gud
from keras_gud import callbacks

pytestmark = pytest.mark.once
RNG = np.random.default_rng(0)
X = RNG.integers(0, 256, (32, 4, 4, 3)).astype("uint8")


def make(**arguments):
    return keras_gud.GUD(backbone=OneWeightPerValue(), seed=0, **arguments)


def fit(*used, x=X, epochs=2, model=None, **arguments):
    model = make() if model is None else model
    history = model.fit(x, epochs=epochs, batch_size=16, verbose=0, callbacks=used, **arguments)
    return model, history.history


def test_tensorboard_gets_numbers_and_pictures(tmp_path):
    accumulator = pytest.importorskip("tensorboard.backend.event_processing.event_accumulator")
    board = callbacks.TensorBoard(tmp_path, samples=4, every=2, steps=2)
    _, history = fit(board, epochs=3)
    read = accumulator.EventAccumulator(str(tmp_path)).Reload()
    assert set(read.Tags()["scalars"]) == set(history)
    assert [event.step for event in read.Scalars("loss")] == [1, 2, 3]
    np.testing.assert_allclose([e.value for e in read.Scalars("loss")], history["loss"], rtol=1e-6)
    pictures = read.Images("samples")
    assert [event.step for event in pictures] == [2, 3]
    size = np.frombuffer(pictures[0].encoded_image_string[16:24], ">u4")  # of a PNG's header
    assert (pictures[0].width, pictures[0].height) == tuple(size)


def test_tensorboard_of_vectors_gets_numbers_only(tmp_path):
    accumulator = pytest.importorskip("tensorboard.backend.event_processing.event_accumulator")
    fit(callbacks.TensorBoard(tmp_path), x=RNG.normal(size=(32, 3)))
    read = accumulator.EventAccumulator(str(tmp_path)).Reload()
    assert read.Tags()["images"] == []
    assert "loss" in read.Tags()["scalars"]


def test_keras_tensorboard(tmp_path):
    pytest.importorskip("tensorflow")
    pytest.importorskip("tensorboard")
    fit(keras.callbacks.TensorBoard(tmp_path, write_graph=False, profile_batch=0))
    assert list(tmp_path.rglob("events.out.tfevents*"))


def test_model_checkpoint_keeps_the_best(tmp_path):
    file = tmp_path / "best.keras"
    kept = keras.callbacks.ModelCheckpoint(file, monitor="val_loss", save_best_only=True)
    _, history = fit(kept, epochs=3, validation_data=X[:16])
    best = keras_gud.load(file, compile=True)
    assert best.evaluate(X[:16], verbose=0)[0] == pytest.approx(min(history["val_loss"]), rel=1e-5)


def test_early_stopping_restores_what_sampled_best():
    stop = keras.callbacks.EarlyStopping("val_loss", patience=1, restore_best_weights=True)
    model = make()
    model.compile(keras.optimizers.SGD(-1.0))  # it can only get worse
    fit(stop, epochs=6, model=model, validation_data=X[:16])
    assert stop.stopped_epoch == 1
    assert model.evaluate(X[:16], verbose=0)[0] == pytest.approx(stop.best, rel=1e-5)


def test_csv_logger(tmp_path):
    _, history = fit(keras.callbacks.CSVLogger(tmp_path / "log.csv"))
    rows = list(csv.DictReader((tmp_path / "log.csv").open()))
    assert [float(row["loss"]) for row in rows] == pytest.approx(history["loss"])


def test_the_network_is_drawn():
    pytest.importorskip("pydot")
    model = keras_gud.GUD(backbone="tiny")
    model.adapt(X, verbose=0)
    dot = keras.utils.model_to_dot(model, show_shapes=True)
    assert dot.get_nodes() or dot.get_subgraphs()


def test_keras_tuner(tmp_path):
    tuner_of = pytest.importorskip("keras_tuner")

    def build(parameters):
        model = make(prediction=parameters.Choice("prediction", ["eps", "v"]))
        model.compile(keras.optimizers.Adam(parameters.Float("rate", 1e-4, 1e-2)))
        return model

    arguments = {"objective": "val_loss", "max_trials": 2, "overwrite": True}
    tuner = tuner_of.RandomSearch(build, directory=tmp_path, project_name="a", **arguments)
    tuner.search(X, validation_data=X[:16], epochs=1, batch_size=16, verbose=0)
    assert tuner.get_best_hyperparameters()[0].get("prediction") in ("eps", "v")
    assert len(tuner.oracle.trials) == 2


def test_image_dataset_from_directory(tmp_path):
    """Files of several sizes and modes, as Keras reads them."""
    image = pytest.importorskip("PIL.Image")
    pytest.importorskip("tensorflow")
    for i, mode in enumerate(("L", "RGB", "RGBA", "P", "RGB", "L", "I;16", "RGB")):
        pixels = RNG.integers(0, 256, (9 + i, 7 + i, 3)).astype("uint8")
        grey = pixels[..., 0].astype("uint16") * 257
        made = image.fromarray(grey) if mode == "I;16" else image.fromarray(pixels).convert(mode)
        (tmp_path / "ab"[i % 2]).mkdir(exist_ok=True)
        made.save(tmp_path / "ab"[i % 2] / f"{i}.png")
    read = keras.utils.image_dataset_from_directory(
        tmp_path, image_size=(8, 6), batch_size=4, crop_to_aspect_ratio=True, verbose=False
    )
    model = make(classes=None)
    with pytest.warns(UserWarning, match="labels are not used"):
        _, history = fit(x=read, model=model)
    assert np.isfinite(history["loss"]).all()
    samples = model.sample(2, steps=2)
    assert samples.shape == (2, 8, 6, 3)
    assert -1 < samples.min() < samples.max() < 256
