"""`fit`, `evaluate` and `compile` with what a diffusion model adds to Keras' own."""

import functools

import keras

from keras_gud import backend
from keras_gud.core.arguments import check_integer, check_numbers
from keras_gud.data import arrays
from keras_gud.data.checks import check_batch
from keras_gud.data.source import Source
from keras_gud.metrics import LikelihoodMetric
from keras_gud.training.checkpoint import take
from keras_gud.training.non_finite import Watch
from keras_gud.training.weight_snapshot import Safekeeping

LEARNING_RATE = 5e-4  # the paper's (app. B)


class _Epochs(keras.callbacks.Callback):
    """Tells batches that shuffle themselves which epoch it is: their order is a function of it."""

    def __init__(self, batches: keras.utils.PyDataset):
        super().__init__()
        self.batches = batches

    def on_epoch_begin(self, epoch, logs=None):
        self.batches.epoch = epoch


class Fitting:
    """Mixin of `GUDModel`; the training step itself is Keras'."""

    @backend.in_strategy_scope
    def compile(self, optimizer=None, loss=None, metrics=None, weighted_metrics=None, **kwargs):
        """Configures training; `fit` calls it with the paper's settings if nobody else did.

        Args:
            optimizer: A Keras optimizer or its name. Default: Adam with learning rate 5e-4.
            loss: Must be `None`: the loss is denoising score matching; see `weighting`.
            metrics: `keras_gud.metrics.NegativeElbo` and `BitsPerDim` objects, computed when data
                are evaluated (also as ``validation_data``).
            weighted_metrics: Must be `None`.
            **kwargs: As in `keras.Model.compile`.

        Raises:
            ValueError: if a loss or other metrics are given.
        """
        metrics = _as_list(metrics)
        ours = [m for m in metrics if isinstance(m, LikelihoodMetric)]
        others = [m for m in metrics if m not in ours] or None
        given = {"loss": loss, "metrics": others, "weighted_metrics": weighted_metrics}
        given["loss_weights"] = kwargs.pop("loss_weights", None)
        for name, value in given.items():
            if value is not None:
                raise ValueError(
                    f"Expected no `{name}`: a GUD model computes its own loss (denoising score "
                    "matching; choose its weights with `weighting=`) and reports the best linear "
                    "model's beside it. Its metrics are those of `keras_gud.metrics`. "
                    f"Received: {name}={value!r}."
                )
        optimizer = keras.optimizers.Adam(LEARNING_RATE) if optimizer is None else optimizer
        try:
            optimizer = keras.optimizers.get(optimizer)
        except (AttributeError, KeyError, TypeError) as error:
            raise ValueError(
                "Expected `optimizer` to be a Keras optimizer, its name or its config. "
                f"Received: optimizer={optimizer!r}."
            ) from error
        super().compile(optimizer=optimizer, **kwargs)
        # Keras would refuse new parts of a model that has been built.
        self._session.metrics = ours

    @property
    def metrics(self):
        """As in Keras; the record of bad batches and the likelihood metrics last."""
        return [*super().metrics, self.health, *self._session.metrics]

    @property
    def health(self):
        """What the training steps have recorded, a `health.Record`."""
        return self._session.health

    @backend.in_strategy_scope
    def fit(
        self,
        x=None,
        y=None,
        batch_size=None,
        epochs=1,
        verbose="auto",
        callbacks=None,
        validation_split=0.0,
        validation_data=None,
        shuffle=True,
        sample_weight=None,
        adapt=None,
        **kwargs,
    ):
        """Trains the model; the first call also adapts and, if need be, compiles it.

        Args:
            x: Data ``(n, *data_shape)``: uint8 images (dequantised and scaled to [-1, 1] inside)
                or floats (taken as they are), as an array, a dict with an ``"image"``, a
                `tf.data.Dataset`, a `keras.utils.PyDataset`, a torch `DataLoader`, a
                `grain.MapDataset`, `IterDataset` or `DataLoader`, or a generator of batches.
            y: Labels of an array, int ``(n,)`` in 0 .. classes - 1, where the model has `classes`;
                others carry them in their batches, ``(x, y[, sample_weight])``, or dictionaries
                under ``"label"``. Ignored by a model without classes.
            batch_size: Examples per step where x is an array; default 128.
            epochs: As in Keras.
            verbose: As in Keras.
            callbacks: As in Keras; with a `keras_gud.callbacks.Checkpoint`, training goes on where
                it was interrupted.
            validation_split: Fraction of an array, its last examples, to validate on.
            validation_data: Data in any of the forms above, or a tuple ``(x, y[, sample_weight])``.
            shuffle: Whether to shuffle an array; the order is a function of seed and epoch. (A
                `PyDataset` with an attribute `epoch`, such as those of `keras_gud.datasets`, is
                told the epoch and shuffles itself; the order of a `DataLoader` is a function of
                the epoch and the seed of its `generator`.)
            sample_weight: Weight of every example of an array.
            adapt: Whether to fit the basis and the statistics to the data first. Default: only
                if that has not been done.
            **kwargs: Further arguments of `keras.Model.fit`.

        Returns:
            A `History` with ``loss`` and ``linear_loss``: what the best component-wise linear
            model scores on the same batches.

        Raises:
            ValueError: for data that cannot be used, before training starts.
            NonFiniteLossError: if a loss or weights cease to be finite; the model is put back to
                its last good state.
        """
        epochs = check_integer("epochs", epochs, 0)
        if validation_split is not None:
            check_numbers(validation_split=validation_split)
        if validation_split and validation_data is None:
            y = arrays.labels_of(x, y, self.classes)
            (x, sample_weight, y), (x_held, weight_held, y_held) = arrays.split(
                x, sample_weight, validation_split, y
            )
            validation_data = (x_held, y_held, weight_held)
        show = 0 if verbose == 0 else 1
        checkpoint, callbacks = take(_as_list(callbacks))
        resumed = checkpoint is not None and checkpoint.resume(self, show)
        with backend.raise_together("open its data"):
            source = self.open_data(x, y, sample_weight, batch_size, shuffle=shuffle, verbose=show)
        if not self.built or (adapt and not resumed):
            self.adapt(source, verbose=show)
        held = self._open_validation(validation_data, kwargs.get("validation_batch_size"))
        for part in (source, held):
            if part is not None:
                self._check(part)
                part.check_divides()
        if not self.compiled:
            self.compile()
        self.optimizer.build(self.trainable_variables)
        watch = Watch(self)
        callbacks = [watch, *callbacks]
        if source.ordered is not None:
            callbacks.insert(0, _Epochs(source.ordered))
        if held is not None:
            kwargs["validation_data"] = held.keras_data
        kwargs |= {"verbose": verbose, "shuffle": shuffle and source.any_order}
        with watch.guard(), backend.reading_own_shard():
            if checkpoint is not None:
                return checkpoint.train(super().fit, source, callbacks, epochs, kwargs, watch.check)
            return super().fit(source.keras_data, epochs=epochs, callbacks=callbacks, **kwargs)

    @backend.in_strategy_scope
    def evaluate(self, x=None, y=None, batch_size=None, sample_weight=None, **kwargs):
        """Loss on held-out data with the averaged weights: the same value every time.

        Noise and times depend on the position of an example alone, not on the batch size, and
        the training stream is not touched.

        Args:
            x: Data in any form that `fit` takes.
            y: Labels, as in `fit`.
            batch_size: Examples per batch where x is an array; default 128.
            sample_weight: Weight of every example of an array.
            **kwargs: Further arguments of `keras.Model.evaluate`.

        Returns:
            As in Keras: ``[loss, linear_loss]``, or a dict with ``return_dict=True``.
        """
        self._require_built("it is evaluated")
        if not kwargs.get("_use_cached_eval_dataset"):  # fit has opened its own data already
            source = self.open_data(x, y, sample_weight, batch_size)
            self._check(source)
            source.check_divides()
            x = source.keras_data
        if not self.compiled:
            self.compile()
        self.eval_index.assign(0)
        self._session.evaluating = True
        try:
            with Safekeeping(lambda: self.variables).guard(), backend.reading_own_shard():
                return super().evaluate(x, **kwargs)
        finally:
            self._session.evaluating = False

    def open_data(
        self,
        x,
        y=None,
        sample_weight=None,
        batch_size=None,
        *,
        shuffle: bool = False,
        required: bool = True,
        verbose: int = 0,
        divided: bool = True,
    ) -> Source:
        """Data in any form that `fit` takes, as the model itself is given them.

        Args:
            x: As in `fit`.
            y: As in `fit`.
            sample_weight: As in `fit`.
            batch_size: As in `fit`.
            shuffle: As in `fit`.
            required: Whether there must be labels where the model has `classes`.
            verbose: 1 shows progress, where a model transforms its data first.
            divided: Whether each of several processes reads its own part of an array's batches.
        """
        kwargs = {"y": y, "classes": self.classes, "required": required}
        kwargs["part"] = backend.data_shard() if divided else (0, 1)
        return Source(x, sample_weight, batch_size, shuffle, self.seed, **kwargs)

    def train_step(self, *args):
        """As in Keras; the last argument is the batch."""
        with backend.control_dependencies(args[-1]):
            return super().train_step(*args)

    def _maybe_symbolic_build(self, iterator=None, data_batch=None):
        """Nothing, as all has been built; Keras calls it under a `tf.distribute.Strategy`.

        It would average a batch over the workers, which TensorFlow cannot do with bytes.
        """

    def update_likelihoods(self, x, sample_weight):
        """Counts a batch in the likelihood metrics, if data are being evaluated."""
        if self._session.evaluating:
            for metric in self._session.metrics:
                metric.update(self, x, sample_weight)

    def get_metrics_result(self):
        """As in Keras; likelihoods only of evaluated data."""
        with backend.summed_over_processes(self.metrics_variables):
            results = super().get_metrics_result()
        if not self._session.evaluating:
            for metric in self._session.metrics:
                for name in metric.result():
                    results.pop(name)
        return backend.step_results(results)

    def _open_validation(self, validation_data, batch_size):
        if validation_data is None:
            return None
        y, weight = None, None
        if isinstance(validation_data, (tuple, list)):
            if len(validation_data) not in (1, 2, 3):
                raise ValueError(
                    "Expected `validation_data` to be data or a tuple (x, y[, sample_weight]). "
                    f"Received: {len(validation_data)} entries."
                )
            validation_data, y, weight = (*validation_data, None, None)[:3]
        return self.open_data(validation_data, y, weight, batch_size)

    def _check(self, source: Source):
        """Checks every value of an array; the batches of a stream as they are read."""
        kwargs = {"data_shape": self.data_shape, "kind": self.kind}
        source.guard(functools.partial(check_batch, **kwargs))


def _as_list(callbacks) -> list:
    if callbacks is None:
        return []
    return list(callbacks) if isinstance(callbacks, (list, tuple)) else [callbacks]
