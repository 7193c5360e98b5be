"""`compile`, `fit` and `evaluate` with what a diffusion model adds to Keras' own.

Methods of `GUDModel`, which sets them as its attributes; the training step itself is Keras'.
"""

import functools
from collections.abc import Callable
from typing import Any

import keras

from keras_gud import backend
from keras_gud.backbones.contract import training_argument
from keras_gud.core.arguments import check_keywords_of, check_numbers, require_built
from keras_gud.core.progress import verbosity
from keras_gud.core.registry import near_match
from keras_gud.core.seeding import numpy_values
from keras_gud.core.types import Tensor
from keras_gud.data import arrays
from keras_gud.data.source import Source
from keras_gud.metrics import LikelihoodMetric
from keras_gud.training import checkpoint as checkpoints
from keras_gud.training.changed_network import follow_network, follow_trainable, has_statistics
from keras_gud.training.compile_notice import CompileNotice, compiles
from keras_gud.training.default_optimizer import default_optimizer
from keras_gud.training.ended_data import StopWithData
from keras_gud.training.first_epoch import WarnOfNoProgress
from keras_gud.training.non_finite import TerminateOnNonFinite
from keras_gud.training.out_of_memory import naming_what_to_lower
from keras_gud.training.post_hoc_ema import attach_averages
from keras_gud.training.time_limit import epochs_and_limit
from keras_gud.training.weight_snapshot import WeightSnapshot

OPTIMIZERS = ("adam", "adamw", "sgd", "rmsprop", "lion", "muon", "adafactor")


class _SetEpoch(keras.callbacks.Callback):
    """Sets the epoch of batches that shuffle themselves: their order is a function of it."""

    def __init__(self, batches: Any) -> None:
        super().__init__()
        self.batches = batches

    def on_epoch_begin(self, epoch, logs=None):
        self.batches.epoch = epoch


@backend.in_strategy_scope
def compile(
    model: keras.Model,
    optimizer: Any = None,
    loss: None = None,
    metrics: Any = None,
    weighted_metrics: None = None,
    **kwargs: Any,
) -> None:
    """Configures training; `fit` calls it if nobody else did.

    Args:
        optimizer: A Keras optimizer or its name. Default: Adam with a learning rate of 2e-3, less
            for networks of more than 0.6 million parameters (5e-4 for 10 million). The paper has
            ``keras.optimizers.Adam(5e-4)``.
        loss: Must be `None`: the loss is denoising score matching; see `weighting`.
        metrics: `keras_gud.metrics.NegativeElbo` and `BitsPerDim` objects, computed when data
            are evaluated (also as ``validation_data``).
        weighted_metrics: Must be `None`.
        **kwargs: As in `keras.Model.compile`.

    Raises:
        ValueError: if a loss or other metrics are given, or likelihoods where there are none.
    """
    check_keywords_of(compile, kwargs, keras.Model.compile)
    metrics = _as_list(metrics)
    likelihoods = [m for m in metrics if isinstance(m, LikelihoodMetric)]
    others = [m for m in metrics if m not in likelihoods] or None
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
    if likelihoods:
        model.data_space.require_density()
    optimizer = default_optimizer(model) if optimizer is None else optimizer
    try:
        optimizer = keras.optimizers.get(optimizer)
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        raise ValueError(
            "Expected `optimizer` to be a Keras optimizer, its name or its config. Received: "
            f"optimizer={optimizer!r}.{near_match(str(optimizer), OPTIMIZERS)}"
        ) from error
    if kwargs.get("auto_scale_loss", True) and _policy_of(model) == "mixed_float16":
        # Keras does so where the model itself has this policy; here the network alone has it.
        if not isinstance(optimizer, keras.optimizers.LossScaleOptimizer):
            optimizer = keras.optimizers.LossScaleOptimizer(optimizer)
    keras.Model.compile(model, optimizer=optimizer, **kwargs)
    model.objective.set_likelihoods(likelihoods)


@backend.in_strategy_scope
def fit(
    model: keras.Model,
    x: Any = None,
    y: Any = None,
    batch_size: int | None = None,
    epochs: int | None = None,
    verbose: int | str = "auto",
    callbacks: Any = None,
    validation_split: float = 0.0,
    validation_data: Any = None,
    shuffle: bool = True,
    class_weight: dict[int, float] | None = None,
    sample_weight: Any = None,
    adapt: bool | None = None,
    minutes: float | None = None,
    **kwargs: Any,
) -> keras.callbacks.History:
    """Trains the model; the first call also adapts and, if need be, compiles it.

    Args:
        x: Data ``(n, *data_shape)``: integers (dequantised inside) or floats, in any units
            (see `data_scale`), NaN where values are `missing`, as an array, a dict with an
            ``"image"``, a `tf.data.Dataset`, a `keras.utils.PyDataset`, a torch `DataLoader`, a
            `grain.MapDataset`, `IterDataset` or `DataLoader`, a `datasets.Dataset` of Hugging
            Face, or a generator of batches. A `pandas.DataFrame` and an `xarray.DataArray` or
            `Dataset` (whose variables are channels) are arrays with names, which samples get too.
        y: Conditions of an array: labels, int ``(n,)`` in 0 .. classes - 1, where the model has
            `classes`; what its `condition` is, ``(n, ...)``; or a dict of several by name. Others
            carry them in their batches, ``(x, y[, sample_weight])``, or in dictionaries (labels
            under ``"label"``). Ignored by a model without.
        batch_size: Examples per step of arrays and data sets of Hugging Face; default 128. Of
            these, and of a `keras_gud.datasets.Stream`, the last batch of an epoch is filled up
            with examples that the epoch began with, if they are shuffled.
        epochs: As in Keras; default 1, with `minutes` as many as there is time for.
        verbose: As in Keras; ``"auto"`` is a bar in terminals and notebooks, else a line an epoch.
        callbacks: As in Keras; with a `keras_gud.callbacks.Checkpoint`, training goes on where
            it was interrupted.
        validation_split: Fraction of an array, its last examples, to validate on.
        validation_data: Data in any of the forms above, or a tuple ``(x, y[, sample_weight])``.
        shuffle: Whether to shuffle an array; the order is a function of seed and epoch. (A
            `PyDataset` with an attribute `epoch`, such as those of `keras_gud.datasets`, has it
            set and shuffles itself; the order of a `DataLoader` is a function of the epoch and
            the seed of its `generator`.)
        class_weight: Weights of the classes of an array's labels, a dict: the same as that
            `sample_weight`.
        sample_weight: Weight of every example of an array.
        adapt: Whether to fit the basis and the statistics to the data first. Default: only
            if that has not been done.
        minutes: Time to train for, adapting and compiling included; training ends at the step
            that passes it, of several processes at the end of that epoch.
        **kwargs: Further arguments of `keras.Model.fit`.

    Returns:
        A `History` with ``loss`` and ``linear_loss``: what the best component-wise linear
        model scores on the same batches.

    Raises:
        ValueError: for data that cannot be used, before training starts.
        NonFiniteLossError: if a loss or weights cease to be finite; the model is put back to
            its last good state.
        MemoryError: if the device has too little memory; the message says what to lower.
    """
    check_keywords_of(fit, kwargs, keras.Model.fit)  # which would say so after adapting
    epochs, limit = epochs_and_limit(epochs, minutes)
    x = model.data_space.without_names(x, first=True)
    if validation_split is not None:
        check_numbers(validation_split=validation_split)
    if class_weight is not None:
        sample_weight = arrays.class_weights(x, y, class_weight, sample_weight)
    if validation_split and validation_data is None:
        y = arrays.checked_conditions(x, y, model.conditions.forms)
        (x, sample_weight, y), (x_held, weight_held, y_held) = arrays.split(
            x, sample_weight, validation_split, y
        )
        validation_data = (x_held, y_held, weight_held)
    verbose = show = verbosity(verbose)
    checkpoint, callbacks = checkpoints.take(_as_list(callbacks))
    resumed = checkpoint is not None and checkpoint.resume(model, show)
    with backend.raise_together("open its data"):
        source = open_data(model, x, y, sample_weight, batch_size, shuffle=shuffle, verbose=show)
    if not (model.built and has_statistics(model)) or (adapt and not resumed):
        model.adapt(source, verbose=show)
    follow_network(model)
    attach_averages(model, callbacks)
    held = _open_validation(model, validation_data, kwargs.get("validation_batch_size"))
    complete = not model.objective.takes_missing  # those that are evaluated
    for part, gapless in ((source, False), (held, complete)):
        if part is not None:
            part.guard(model.data_space.checker(gapless))
            part.check_divides()
    if not model.compiled:
        model.compile()
    follow_trainable(model)
    with numpy_values():
        model.optimizer.build(model.trainable_variables)
    watch = TerminateOnNonFinite(model)
    callbacks = [watch, WarnOfNoProgress(), StopWithData(source, resumed), *limit, *callbacks]
    if show and compiles(model):
        callbacks.insert(0, CompileNotice())
    if source.shuffler is not None:
        callbacks.insert(0, _SetEpoch(source.shuffler))
    if held is not None:
        kwargs["validation_data"] = held.keras_data
    kwargs |= {"verbose": verbose, "shuffle": shuffle and source.keras_shuffles}
    keras_fit = functools.partial(keras.Model.fit, model)
    size = (batch_size or arrays.BATCH_SIZE) if source.is_array else len(source.first)
    memory = naming_what_to_lower(size)
    with memory, watch.guard(), backend.reading_own_shard():
        if checkpoint is not None:
            return checkpoint.train(keras_fit, source, callbacks, epochs, kwargs, watch.check)
        return keras_fit(source.keras_data, epochs=epochs, callbacks=callbacks, **kwargs)


@backend.in_strategy_scope
def evaluate(
    model: keras.Model,
    x: Any = None,
    y: Any = None,
    batch_size: int | None = None,
    sample_weight: Any = None,
    **kwargs: Any,
) -> Any:
    """Loss on held-out data with the averaged weights: the same value every time.

    Noise and times depend on the position of an example alone, not on the batch size, and
    the training stream is not touched.

    Args:
        x: Data in any form that `fit` takes.
        y: Conditions, as in `fit`.
        batch_size: Examples per batch where x is an array; default 128.
        sample_weight: Weight of every example of an array.
        **kwargs: Further arguments of `keras.Model.evaluate`.

    Returns:
        As in Keras: ``[loss, linear_loss]``, or a dict with ``return_dict=True``.
    """
    require_built(model, "it is evaluated")
    follow_network(model)
    if not kwargs.get("_use_cached_eval_dataset"):  # fit has opened its own data already
        source = x
        if not isinstance(source, Source):
            source = open_data(model, x, y, sample_weight, batch_size)
        source.guard(model.data_space.checker(not model.objective.takes_missing))
        source.check_divides()
        x = source.keras_data
    if not model.compiled:
        model.compile()
    model.objective.eval_index.assign(0)
    model.objective.evaluating = True
    try:
        snapshot = WeightSnapshot(lambda: model.variables)
        with snapshot.guard(), backend.reading_own_shard():
            return keras.Model.evaluate(model, x, **kwargs)
    finally:
        model.objective.evaluating = False


def open_data(model: keras.Model, x: Any, *args: Any, **kwargs: Any) -> Source:
    """Data in any form that `fit` takes, as the model is given them; see `DataSpace.open`."""
    own = {"forms": model.conditions.forms, "seed": model.objective.seed}
    return model.data_space.open(x, *args, **own, **kwargs)


def network_caller(model: keras.Model) -> Callable[[list[Tensor]], Tensor]:
    """Calls the network in training, with its raw weights; gradients are shared by processes."""
    network = model.session.cached("network", lambda: backend.data_parallel(model.network))
    return lambda inputs: network(inputs, **training_argument(model.network, True))


def _policy_of(model: keras.Model) -> str:
    """Name of the dtype policy of the network."""
    if isinstance(model.backbone, keras.layers.Layer):
        return model.backbone.dtype_policy.name
    return getattr(model, "backbone_dtype", "float32")


def _open_validation(model, validation_data, batch_size) -> Source | None:
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
    return open_data(model, validation_data, y, weight, batch_size)


def _as_list(values: Any) -> list[Any]:
    if values is None:
        return []
    return list(values) if isinstance(values, (list, tuple)) else [values]
