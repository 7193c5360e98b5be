"""Training that goes wrong says so, and gives the last good state back."""

import keras
import numpy as np
import pytest
from helpers.tiny_model import TinyNet, as_numpy, assert_same, everything, make, vectors
from keras import ops

import keras_gud
from keras_gud.training import non_finite
from keras_gud.training.weight_snapshot import WeightSnapshot

HUGE = 1e30  # its square is no float32
LARGE = 1e15  # its square is one, the square of a gradient from it is not


class Batches(keras.utils.PyDataset):
    """Batches of 16, of which one is changed or raises, in one epoch."""

    def __init__(self, epoch=0, index=2, value=None, error=None, weight=None, n=64):
        super().__init__()
        self.x, self.bad, self.epoch = vectors(n), (epoch, index), 0
        self.value, self.error, self.weight, self.read = value, error, weight, 0

    def __len__(self):
        return len(self.x) // 16

    def __getitem__(self, index):
        self.read += 1
        x, weight = self.x[16 * index : 16 * index + 16].copy(), np.ones(16, "float32")
        if (self.epoch, index) == self.bad:
            if self.error is not None:
                raise self.error
            if self.value is not None:
                x[5, 1] = self.value
            if self.weight is not None:
                weight[3] = self.weight
        return x, weight, weight


@pytest.fixture(autouse=True)
def only_at_the_end_of_epochs(monkeypatch):
    """Whatever the speed of the machine."""
    monkeypatch.setattr(non_finite, "SHORTEST", np.inf)


@pytest.fixture(scope="module")
def trained():
    """A model after one epoch of four steps, whose floats are the data."""
    model = make(data_scale="range")
    model.fit(Batches(), verbose=0)
    return model


def fails(model, data, **kwargs):
    with pytest.raises(keras_gud.NonFiniteLossError) as caught:
        model.fit(data, verbose=0, **kwargs)
    return caught.value


def still_works(model):
    history = model.fit(vectors(32), batch_size=16, verbose=0)
    assert np.isfinite(history.history["loss"][0])
    assert all(np.isfinite(v).all() for v in as_numpy(model.network.weights))
    assert np.isfinite(model.sample(2, steps=2, seed=0)).all()


def test_huge_data_are_reported_with_their_step_and_statistics(trained, tmp_path):
    before = everything(trained)
    start = int(as_numpy([trained.ema.count])[0])
    saves = keras.callbacks.ModelCheckpoint(tmp_path / "{epoch}.keras")
    error = fails(trained, Batches(index=2, value=HUGE), epochs=3, callbacks=[saves])
    # It is noticed at the end of the epoch, when another step has been taken.
    assert (error.step, error.epoch, error.batch) == (start + 3, 1, 3)
    assert error.kept_step == start
    assert not np.isfinite(error.loss)
    seen, x = error.statistics, Batches(value=HUGE).x[32:48]
    assert seen["x_max"] == seen["of_example"]["x_max"] == np.float32(HUGE)
    assert seen["x_min"] == x.min()
    assert (seen["bad_examples"], seen["examples"], seen["example"]) == (1, 16, 5)
    assert 5 / 16 <= seen["of_example"]["t"] <= 6 / 16  # times are stratified
    assert np.isfinite(seen["previous_loss"])
    assert seen["previous_loss"] > 0
    for words in (
        f"Received: {error.loss} in step {start + 3} (epoch 1, batch 3)",
        "1 of 16 examples",
        f"after step {start}",
        'prior="matching"',
        "learning rate (it is 0.002)",
    ):
        assert words in str(error)
    assert_same(everything(trained), before)
    assert not list(tmp_path.iterdir())
    still_works(trained)


def test_the_last_good_epoch_is_kept():
    model, one_epoch = make(dropout=0.2), make(dropout=0.2)
    for each in (model, one_epoch):
        each.adapt(vectors(64), verbose=0)
    one_epoch.fit(Batches(), verbose=0)
    error = fails(model, Batches(epoch=1, index=0, value=HUGE), epochs=2)
    assert (error.step, error.epoch, error.batch, error.kept_step) == (5, 2, 1, 4)
    assert_same(everything(model), everything(one_epoch))
    # As if it had never happened.
    for each in (model, one_epoch):
        each.fit(Batches(), verbose=0)
    assert_same(everything(model), everything(one_epoch))


@pytest.mark.once
def test_long_epochs_are_checked_in_between(trained, monkeypatch):
    monkeypatch.setattr(non_finite, "SHORTEST", 0.0)
    monkeypatch.setattr(non_finite, "SHARE", np.inf)
    start, data = int(as_numpy([trained.ema.count])[0]), Batches(index=3, value=HUGE, n=160)
    error = fails(trained, data)
    assert (error.batch, error.step, error.kept_step) == (4, start + 4, start + 3)
    assert int(as_numpy([trained.optimizer.iterations])[0]) == start + 3
    still_works(trained)


@pytest.mark.once
def test_checks_take_their_share_of_the_time(trained, monkeypatch):
    """Once a look has cost a second, the next one is a hundred seconds away."""
    monkeypatch.setattr(non_finite, "SHORTEST", 1.0)
    now = [0.0]
    monkeypatch.setattr(non_finite.time, "perf_counter", lambda: now[0])
    take = WeightSnapshot.take_if_finite

    def slow(safe):
        now[0] += 1.0
        return take(safe)

    monkeypatch.setattr(WeightSnapshot, "take_if_finite", slow)
    watch, looks = non_finite.TerminateOnNonFinite(trained), []
    watch.on_epoch_begin(0)
    for batch in range(1000):
        before = now[0]
        watch.on_train_batch_begin(batch)
        looks.append(now[0] > before)
        now[0] += 1.0
    assert np.flatnonzero(looks).tolist() == [1, *range(101, 1000, 100)]


def test_gradients_too_large_for_the_optimizer(trained):
    """The loss is finite and so are the weights; Adam's mean square would never be again."""
    before = everything(trained)
    error = fails(trained, Batches(index=3, value=LARGE))
    assert np.isfinite(error.loss)
    assert error.loss > 1e20
    assert error.broken
    assert all("velocity" in path for path in error.broken)
    assert "Expected finite weights" in str(error)
    assert "global_clipnorm" in str(error)
    assert_same(everything(trained), before)
    still_works(trained)


class Poison(keras.callbacks.Callback):
    """Makes the weights NaN after a batch, as a gradient that is not finite does."""

    def __init__(self, batch):
        super().__init__()
        self.batch = batch

    def on_train_batch_end(self, batch, logs=None):
        if batch == self.batch:
            kernel = self.model.network.out.kernel
            kernel.assign(np.full(kernel.shape, np.nan))


@pytest.mark.once
@pytest.mark.parametrize("validate", [False, True])
def test_weights_broken_by_the_last_step(trained, validate):
    before = everything(trained)
    kwargs = {"validation_data": vectors(16)} if validate else {}
    error = fails(trained, Batches(), callbacks=[Poison(3)], **kwargs)
    assert error.batch == 4
    assert error.broken[0] == trained.network.out.kernel.path
    assert_same(everything(trained), before)


@pytest.mark.once
def test_weights_broken_before_are_suspected(trained):
    error = fails(trained, Batches(), callbacks=[Poison(1)])
    assert error.batch == 3
    assert not error.broken
    assert error.statistics["bad_examples"] == 16
    assert error.statistics["largest_output"] == np.inf
    assert f"spoilt by the gradient of step {error.step - 1}" in str(error)
    still_works(trained)


@keras.saving.register_keras_serializable(package="keras_gud_tests")
def late_weight(state, variance):
    return ops.where(state.gamma > 0.0, np.inf, ops.ones_like(state.gamma))


@pytest.mark.once
def test_weightings_and_sample_weights_are_named(trained):
    error = fails(make(weighting=late_weight), vectors(64))
    assert error.statistics["largest_weight"] == np.inf
    assert error.statistics["of_example"]["t"] > 0.4
    assert "a weighting that stays small" in str(error)
    error = fails(trained, Batches(index=1, weight=np.nan))
    assert error.batch == 2
    assert error.statistics["bad_examples"] == 0
    assert "finite sample weights" in str(error)


@pytest.mark.once
def test_steps_that_loss_scaling_skips_are_no_failure():
    model = make(weighting=lambda state, variance: 1e3 * ops.ones_like(state.gamma))
    scaled = keras.optimizers.LossScaleOptimizer(keras.optimizers.Adam(), initial_scale=2e38)
    model.compile(scaled)
    history = model.fit(Batches(), epochs=2, verbose=0)
    assert np.isfinite(history.history["loss"]).all()
    skipped = 8 - int(as_numpy([scaled.iterations])[0])
    assert 1 <= skipped <= 8
    assert float(as_numpy([scaled.dynamic_scale])[0]) == pytest.approx(2e38 / 2**skipped)


@pytest.mark.once
def test_a_bad_start_is_refused(trained):
    kernel = trained.network.out.kernel
    (good,) = as_numpy([kernel])
    kernel.assign(np.full(kernel.shape, np.nan))
    with pytest.raises(ValueError, match="finite weights to start from.*kernel"):
        trained.fit(vectors(16), verbose=0)
    kernel.assign(good)
    rate = trained.optimizer.learning_rate
    trained.optimizer.learning_rate = np.nan
    with pytest.raises(ValueError, match="finite `learning_rate`. Received: learning_rate=nan"):
        trained.fit(vectors(16), verbose=0)
    trained.optimizer.learning_rate = 2e-3
    assert rate is trained.optimizer.learning_rate
    still_works(trained)


@pytest.mark.once
def test_learning_rates_that_become_nan(trained):
    schedule = keras.callbacks.LearningRateScheduler(lambda epoch, rate: np.nan if epoch else rate)
    error = fails(trained, Batches(), epochs=2, callbacks=[schedule])
    assert error.epoch == 2
    assert "learning rate" in str(error)
    assert float(as_numpy([trained.optimizer.learning_rate])[0]) == pytest.approx(2e-3)
    still_works(trained)


@pytest.mark.once
def test_validation_that_is_not_finite_is_a_warning(trained):
    held = vectors(16)
    held[2] = HUGE
    with pytest.warns(UserWarning, match="finite validation loss. Received: inf after epoch 1"):
        history = trained.fit(Batches(), verbose=0, validation_data=held)
    assert np.isfinite(history.history["loss"]).all()


# -- other failures on the way --------------------------------------------------------------------


class Break(keras.callbacks.Callback):
    """Raises after a batch."""

    def on_train_batch_end(self, batch, logs=None):
        if batch == 2:
            raise RuntimeError("a lost connection, or so")


@pytest.mark.once
def test_an_error_after_a_bad_batch_keeps_no_bad_weights(trained):
    before = everything(trained)
    with pytest.raises(RuntimeError, match="or so") as caught:
        trained.fit(Batches(index=0, value=HUGE), verbose=0, callbacks=[Break()])
    assert any("put back" in note for note in caught.value.__notes__)
    assert_same(everything(trained), before)


def as_pydataset(error):
    return Batches(index=2, error=error)


def as_generator(error):
    data = Batches(index=2, error=error)
    return ((data[i][0],) for i in range(4))


def as_tensorflow(error):
    tf = pytest.importorskip("tensorflow")
    data = Batches(index=2, error=error)
    return tf.data.Dataset.from_generator(
        lambda: (data[i][0] for i in range(4)),
        output_signature=tf.TensorSpec((16, 4), tf.float32),
    )


class Rows:
    """A map-style data set of torch, in which a file is missing."""

    def __init__(self, error):
        self.x, self.error = vectors(64), error

    def __len__(self):
        return 64

    def __getitem__(self, index):
        if index == 40:
            raise self.error
        return self.x[index]


def as_torch(error):
    torch = pytest.importorskip("torch")
    # Only torch itself is sure to survive the fork that a worker is made by.
    workers = int(keras.backend.backend() == "torch")
    return torch.utils.data.DataLoader(Rows(error), batch_size=16, num_workers=workers)


def steps_since(steps, model):
    """How many steps were taken."""
    return int(as_numpy([model.optimizer.iterations])[0]) - steps


@pytest.mark.once
@pytest.mark.parametrize("kind", [as_pydataset, as_generator, as_tensorflow, as_torch])
def test_data_that_fail_in_the_middle_lose_nothing(trained, kind):
    steps = int(as_numpy([trained.optimizer.iterations])[0])
    data = kind(FileNotFoundError("images-00002-of-00004.gone"))
    with pytest.raises(Exception, match="images-00002-of-00004.gone"):
        trained.fit(data, verbose=0, shuffle=False, steps_per_epoch=4)
    assert steps_since(steps, trained) == 2
    still_works(trained)


@pytest.mark.once
def test_data_that_end_early_are_a_warning(trained):
    steps = int(as_numpy([trained.optimizer.iterations])[0])
    data = Batches()
    with pytest.warns(UserWarning, match="ran out of data"):
        trained.fit((data[i][0] for i in range(4)), steps_per_epoch=10, verbose=0)
    assert steps_since(steps, trained) == 4
    still_works(trained)


@pytest.mark.once
def test_empty_data_are_refused(trained):
    for data in (iter(()), Batches(n=0), vectors(0)):
        with pytest.raises(ValueError, match="Expected at least one"):
            trained.fit(data, verbose=0)


@pytest.mark.once
def test_the_record_is_in_no_file(trained, tmp_path):
    names = {v.path for v in trained.variables}
    assert not any("health" in name for name in names)
    history = trained.fit(vectors(16), verbose=0)
    assert set(history.history) == {"loss", "linear_loss"}
    trained.save(tmp_path / "model.keras")
    again = keras.saving.load_model(tmp_path / "model.keras", {"TinyNet": TinyNet})
    assert_same(everything(again), everything(trained))
