"""`Checkpoint`: what a run that is started again does, and what is refused."""

import os
import signal

import keras
import numpy as np
import pytest
from helpers.interrupted import Kill, KilledError, arrays, assert_same_run, interrupted, train
from helpers.tiny_model import TinyNet, assert_same, everything, make, vectors

import keras_gud
from keras_gud import bases, schedules
from keras_gud.callbacks import Checkpoint
from keras_gud.persistence import training_state
from keras_gud.regions import Paths

HELD = vectors(20, seed=1)


def compiled(**kwargs):
    return make(dropout=0.3, schedule="linear", **kwargs)


@pytest.fixture(scope="module")
def uninterrupted():
    return train(arrays, model=compiled(), validation_data=HELD)


@pytest.fixture(scope="module")
def resumed(tmp_path_factory):
    """A run that was interrupted within an epoch, what it saw after that, and its folder."""
    folder, seen = tmp_path_factory.mktemp("run"), Kill()
    callbacks = [Checkpoint(folder, every=2, keep=2), Kill((1, 2))]
    with pytest.raises(KilledError):
        train(arrays, callbacks, model=compiled(), validation_data=HELD)
    callbacks = [Checkpoint(folder, every=2, keep=2), seen]
    return *train(arrays, callbacks, model=compiled(), validation_data=HELD), seen.seen, folder


def test_compiled_training_with_validation_ends_the_same(resumed, uninterrupted):
    assert_same_run(resumed[:2], uninterrupted)
    assert len(everything(resumed[0])) > 10


def test_callbacks_see_the_batches_that_are_left(resumed):
    assert resumed[2] == [(1, 2), (1, 3), (2, 0), (2, 1), (2, 2), (2, 3)]


@pytest.mark.once
def test_only_the_last_are_kept(resumed):
    names = ["step-000000000010", "step-000000000012"]
    assert sorted(path.name for path in resumed[3].iterdir()) == names


def test_a_finished_run_trains_nothing_and_has_its_history(resumed, uninterrupted):
    seen = Kill()
    run = train(arrays, [Checkpoint(resumed[3]), seen], model=compiled(), validation_data=HELD)
    assert seen.seen == []
    assert_same_run(run, uninterrupted)


def test_an_interrupted_model_can_be_sampled_without_its_data(resumed):
    model, checkpoint = make(dropout=0.3, schedule="linear"), Checkpoint(resumed[3])
    assert checkpoint.restore(model) == {"epoch": 3, "batch": 0, "step": 12}
    assert not model.compiled
    samples = [m.sample(3, steps=2, seed=0) for m in (model, resumed[0])]
    np.testing.assert_array_equal(*samples)
    assert checkpoint.latest() == resumed[3] / "step-000000000012"


@pytest.mark.once
def test_nothing_to_restore(tmp_path):
    assert Checkpoint(tmp_path).latest() is None
    with pytest.raises(FileNotFoundError, match="Expected a checkpoint in"):
        Checkpoint(tmp_path).restore(make())


@pytest.mark.once
def test_more_epochs_go_on(tmp_path):
    train(arrays, [Checkpoint(tmp_path)], epochs=1)
    seen = Kill()
    run = train(arrays, [Checkpoint(tmp_path), seen], epochs=2)
    assert_same_run(run, train(arrays, epochs=2))
    assert {epoch for epoch, _ in seen.seen} == {1}


@pytest.mark.once
def test_interrupted_before_the_first_step_is_over(tmp_path):
    """Not even adapting is done again."""
    run = interrupted(arrays, tmp_path, at=(0, 0), every=None, epochs=1)
    assert_same_run(run, train(arrays, epochs=1))


def test_a_drawn_seed_is_that_of_the_run(tmp_path):
    models = [make(seed=None), make(seed=None)]
    models[1].objective.seed = models[0].objective.seed + 1
    for epochs, model in enumerate(models, 1):
        model.compile("sgd", run_eagerly=True)
        train(arrays, [Checkpoint(tmp_path)], epochs=epochs, model=model)
    assert models[1].objective.seed == models[0].objective.seed


@pytest.mark.once
def test_sigterm_waits_for_the_end_of_the_step(tmp_path, monkeypatch):
    class Terminate(keras.callbacks.Callback):
        def on_train_batch_begin(self, batch, logs=None):
            if batch == 1:
                signal.raise_signal(signal.SIGTERM)

    def kill(process, number):
        assert (process, number) == (os.getpid(), signal.SIGTERM)
        assert signal.getsignal(number) == signal.SIG_DFL
        raise KilledError

    with monkeypatch.context() as patch:
        patch.setattr(os, "kill", kill)
        with pytest.raises(KilledError):
            train(arrays, [Checkpoint(tmp_path), Terminate()], epochs=1)
    assert signal.getsignal(signal.SIGTERM) == signal.SIG_DFL
    assert Checkpoint(tmp_path).latest().name == "step-000000000002"
    run = train(arrays, [Checkpoint(tmp_path)], epochs=1)
    assert_same_run(run, train(arrays, epochs=1))


@pytest.mark.once
def test_other_callbacks_keep_their_counters(tmp_path):
    def others():
        saved = str(tmp_path / "best.weights.h5")
        return [
            keras.callbacks.EarlyStopping("loss", patience=4, min_delta=1e9),
            keras.callbacks.ReduceLROnPlateau("loss", patience=2, min_delta=1e9),
            keras.callbacks.ModelCheckpoint(
                saved, "loss", save_best_only=True, save_weights_only=True
            ),
        ]

    expected, seen = train(arrays, others(), epochs=9), Kill()
    assert 4 < len(expected[1].epoch) < 9
    assert len(set(expected[1].history["learning_rate"])) > 1
    folder = tmp_path / "run"
    with pytest.raises(KilledError):
        train(arrays, [Checkpoint(folder), *others(), Kill((2, 3))], epochs=9)
    assert_same_run(train(arrays, [Checkpoint(folder), *others()], epochs=9), expected)
    assert_same_run(train(arrays, [Checkpoint(folder), *others(), seen], epochs=9), expected)
    assert seen.seen == []  # what has been stopped is over


# -- writing fails --------------------------------------------------------------------------------


@pytest.mark.once
def test_a_full_disk_keeps_the_weights(tmp_path, monkeypatch):
    def full(model, folder):
        raise OSError(28, "No space left on device")

    class Fill(keras.callbacks.Callback):
        def on_train_batch_end(self, batch, logs=None):
            monkeypatch.setattr(training_state, "save", full)

    model = make(dropout=0.3, schedule="linear")
    model.compile("sgd", run_eagerly=True)
    with pytest.raises(OSError, match="No space left .*step-000000000000; the model keeps"):
        train(arrays, [Checkpoint(tmp_path, every=2), Fill()], model=model)
    assert int(keras.ops.convert_to_numpy(model.optimizer.iterations.value)) == 2
    assert [path.name for path in tmp_path.iterdir()] == ["step-000000000000"]
    assert all(np.isfinite(value).all() for value in everything(model).values())


@pytest.mark.once
def test_a_damaged_one_is_left_out_and_redone(tmp_path):
    train(arrays, [Checkpoint(tmp_path)], epochs=2)
    (tmp_path / "step-000000000008" / "model.weights.h5").write_bytes(b"\0" * 100)
    with pytest.warns(UserWarning, match="step-000000000008: model.weights.h5 is not as it was"):
        run = train(arrays, [Checkpoint(tmp_path)], epochs=2)
    assert_same_run(run, train(arrays, epochs=2))
    assert Checkpoint(tmp_path).latest().name == "step-000000000008"


# -- what is refused ------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("other")
    train(arrays, [Checkpoint(folder)], epochs=0)
    return folder


OTHERS = {
    "units=16 .here 20": {"units": 20},
    "schedule.class_name='Linear' .here 'Cosine'": {"schedule": "cosine"},
    "seed=3 .here 4": {"seed": 4},
    "ema_decay=0.999 .here 0.9": {"ema_decay": 0.9},
    "data_shape=.4. .here .5.": {"data_shape": (5,)},
}


@pytest.mark.once
@pytest.mark.parametrize("said", OTHERS)
def test_another_model_is_refused(said, folder):
    model = make(**({"dropout": 0.3, "schedule": "linear"} | OTHERS[said]))
    before = [path.name for path in folder.iterdir()]
    with pytest.raises(ValueError, match=f"another model in .*step-000000000000, with .*{said}"):
        model.fit(vectors(50), callbacks=[Checkpoint(folder)], verbose=0)
    assert not model.built
    assert [path.name for path in folder.iterdir()] == before


@pytest.mark.once
def test_another_optimizer_is_refused(folder):
    model = make(dropout=0.3, schedule="linear")
    model.compile("sgd")
    with pytest.raises(ValueError, match="optimizer='Adam' .here 'SGD'"):
        model.fit(vectors(50), callbacks=[Checkpoint(folder)], verbose=0)


def endless():
    while True:
        yield vectors(16)


REFUSED = {
    "one Checkpoint": ({"callbacks": ["first", "second"]}, ValueError),
    "no keras.callbacks.BackupAndRestore": ({"callbacks": ["first", "backup"]}, ValueError),
    "known length .*every=2": ({"x": endless, "callbacks": ["first"]}, ValueError),
    "no `steps_per_epoch`": ({"steps_per_epoch": 2, "callbacks": ["first"]}, ValueError),
    "without `use_ema`": ({"use_ema": True, "callbacks": ["first"]}, ValueError),
}


@pytest.mark.once
@pytest.mark.parametrize("said", REFUSED)
def test_what_cannot_be_exact_is_refused(said, tmp_path):
    arguments, error = REFUSED[said]
    arguments = dict(arguments)
    available = {
        "first": Checkpoint(tmp_path, every=2),
        "second": Checkpoint(tmp_path),
        "backup": keras.callbacks.BackupAndRestore(tmp_path),
    }
    callbacks = [available[name] for name in arguments.pop("callbacks")]
    model, x = make(), arguments.pop("x", lambda: vectors(50))()
    model.compile(keras.optimizers.SGD(use_ema=arguments.pop("use_ema", False)))
    with pytest.raises(error, match=said):
        model.fit(x, batch_size=16, callbacks=callbacks, verbose=0, **arguments)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.once
@pytest.mark.parametrize("arguments", [{"every": 0}, {"every": 1.5}, {"keep": 0}])
def test_bad_arguments(arguments, tmp_path):
    (name,) = arguments
    with pytest.raises(ValueError, match=f"Expected `{name}` to be an integer >= 1"):
        Checkpoint(tmp_path, **arguments)


@pytest.mark.once
def test_models_that_are_not_ours_are_refused(tmp_path):
    model = keras.Sequential([keras.layers.Dense(1)])
    model.compile("sgd", "mse")
    with pytest.raises(TypeError, match="in `fit` of a keras_gud model. Received: Sequential"):
        model.fit(np.zeros((4, 2)), np.zeros(4), callbacks=[Checkpoint(tmp_path)], verbose=0)


# -- parts that are built from the data -----------------------------------------------------------

IMAGES = np.random.default_rng(0).integers(0, 256, size=(40, 4, 4, 1)).astype("uint8")
PARTS = {
    "fitted bases": lambda: make(basis=bases.Compose([bases.Haar(levels=1), bases.PCA()])),
    "a schedule in a schedule": lambda: make(schedule=schedules.TimeWarp("linear"), basis="dct"),
    "a region": lambda: make(
        region=[Paths(schedules.Sequential(b=0.0, over="band"), "haar", observed="band")]
    ),
    "a covariance": lambda: make(start_covariance=True, prior="matching"),
    "latents": lambda: keras_gud.LatentGUD(
        keras.layers.AveragePooling2D(2),
        keras.layers.UpSampling2D(2),
        schedule="cosine",
        backbone=TinyNet(),
        seed=3,
    ),
}


@pytest.mark.once
@pytest.mark.parametrize("parts", PARTS)
def test_a_model_is_built_from_its_checkpoint(parts, tmp_path):
    trained, fresh = PARTS[parts](), PARTS[parts]()
    trained.fit(IMAGES, epochs=0, callbacks=[Checkpoint(tmp_path)], verbose=0)
    Checkpoint(tmp_path).restore(fresh)
    fresh.compile()
    fresh.optimizer.build(fresh.trainable_variables)
    assert_same(everything(fresh), everything(trained))
    assert fresh.get_build_config() == trained.get_build_config()
