"""Keras metrics of the likelihood of held-out data, for `compile(metrics=[...])` and `evaluate`.

They are computed when data are evaluated, not in training, with the averaged weights. Their noise
is a function of the example's index, so that repeated evaluations agree.
"""

import math
from typing import Any

import keras
from keras import ops

from keras_gud.core.arguments import check_integer
from keras_gud.core.registry import PACKAGE
from keras_gud.core.types import Parameter, Tensor, TensorLike
from keras_gud.likelihood import FlowLikelihood, data_likelihood


class LikelihoodMetric(keras.metrics.Metric):
    """Base class: the mean of bits per dimension over examples, and its standard error.

    A subclass implements `nats`. `result` is a dictionary: the mean under the metric's name, and
    under ``<name>_error`` the standard error of the mean over the examples.

    Args:
        name: Name of the metric in logs.
        **params: Values of the schedule's parameters, e.g. ``a=0.7``; by default mid-range.
    """

    def __init__(self, name: str, **params: Parameter) -> None:
        super().__init__(name=name, dtype="float32")
        self.params = params
        self.seen, self.total, self.weighted, self.squared, self.squares = (
            self.add_variable((), "zeros", dtype="int32" if n == "seen" else "float32", name=n)
            for n in ("seen", "total", "weighted", "squared", "squares")
        )

    # Whether data may have values that are missing.
    takes_missing = True

    # The model is not a `GUDModel` to the type checker: models are above metrics (`LEVELS`).
    def nats(self, model: Any, x: Any, counter: keras.Variable) -> Tensor:
        """-log p, or an upper bound of it, of every example of a batch, in nats.

        Args:
            model: The built `GUDModel`.
            x: The batch as `GUDModel.call` takes it.
            counter: int32 variable with the number of examples seen before; to be advanced.

        Returns:
            float32 ``(batch,)``.
        """
        raise NotImplementedError("A LikelihoodMetric implements nats(model, x, counter).")

    def update(self, model: Any, x: Any, sample_weight: TensorLike | None = None) -> None:
        """Adds a batch to the means; `GUDModel` calls it when it is evaluated.

        Args:
            model: The built `GUDModel`.
            x: The batch as `GUDModel.call` takes it.
            sample_weight: Weight of every example, ``(batch,)``; 1 by default.
        """
        size = data_likelihood.count_values(model, x)
        bits = self.nats(model, x, self.seen) / (size * math.log(2.0))
        weight = (
            ops.ones_like(bits) if sample_weight is None else ops.cast(sample_weight, "float32")
        )
        sums = (
            (self.total, weight),
            (self.weighted, weight * bits),
            (self.squared, weight**2),
            (self.squares, weight * bits**2),
        )
        for variable, terms in sums:
            variable.assign(variable + ops.sum(terms))

    def update_state(self, *args: Any, **kwargs: Any) -> None:
        """Raises a `ValueError`: the metric needs the model, see `update`."""
        raise ValueError(
            f"Expected {type(self).__name__} in `compile(metrics=[...])` of a GUD model."
        )

    def result(self) -> dict[str, Tensor]:
        """Mean and its standard error, float32 scalars in bits per dimension."""
        total = ops.maximum(self.total, 1e-30)
        mean = self.weighted / total
        variance = ops.maximum(self.squares / total - mean**2, 0.0)
        effective = total**2 / ops.maximum(self.squared, 1e-30)
        error = ops.sqrt(variance / ops.maximum(effective - 1.0, 1.0))
        return {self.name: mean, f"{self.name}_error": error}

    def get_config(self) -> dict[str, Any]:
        """The constructor's arguments."""
        return {"name": self.name} | self.params


@keras.saving.register_keras_serializable(package=PACKAGE)
class NegativeElbo(LikelihoodMetric):
    """Upper bound of -log p (negative ELBO) in bits per dimension, as `model.predict` gives it.

    Args:
        draws: Network evaluations per example, >= 1.
        name: Name of the metric in logs.
        **params: Values of the schedule's parameters, see `LikelihoodMetric`.

    Raises:
        ValueError: for fewer draws than 1.

    Example:

    >>> import numpy as np, keras_gud
    >>> x = np.random.default_rng(0).normal(size=(64, 4)).astype("float32")
    >>> model = keras_gud.GUD(backbone="tiny", schedule="cosine")
    >>> model.compile("adam", metrics=[NegativeElbo(draws=4)])
    >>> history = model.fit(x, epochs=1, validation_data=x, verbose=0)
    >>> sorted(key for key in history.history if "elbo" in key)
    ['val_negative_elbo', 'val_negative_elbo_error']
    """

    def __init__(self, draws: int = 8, name: str = "negative_elbo", **params: Parameter) -> None:
        super().__init__(name, **params)
        self.draws = check_integer("draws", draws, 1)

    def nats(self, model: Any, x: Any, counter: keras.Variable) -> Tensor:
        """The bound of every example, float32 ``(batch,)``; see `LikelihoodMetric.nats`."""
        params = model.schedule.resolve(self.params)
        parts = model, model.views[0], x, counter, self.draws, params
        return sum(data_likelihood.negative_elbo(*parts).values())

    def get_config(self) -> dict[str, Any]:
        """The constructor's arguments."""
        return super().get_config() | {"draws": self.draws}


@keras.saving.register_keras_serializable(package=PACKAGE)
class BitsPerDim(LikelihoodMetric):
    """-log p in bits per dimension by the probability flow, as `model.bits_per_dim` gives it.

    The value is NaN where the solver does not meet its tolerance within `steps`; the errors of
    `model.bits_per_dim` give the reason.

    Args:
        probes: Number of random vectors of Hutchinson's trace estimate, >= 1.
        rtol: Relative tolerance of the solver, > 0.
        atol: Absolute tolerance, > 0.
        steps: Largest number of steps tried for a batch, >= 1.
        name: Name of the metric in logs.
        **params: Values of the schedule's parameters, see `LikelihoodMetric`.

    Raises:
        ValueError: for a number out of range.

    Example:

    >>> metric = BitsPerDim(probes=2, steps=200)
    >>> metric.name, metric.get_config()["probes"]
    ('bits_per_dim', 2)
    """

    takes_missing = False

    def __init__(
        self,
        probes: int = 1,
        rtol: float = 1e-4,
        atol: float = 1e-4,
        steps: int = 1000,
        name: str = "bits_per_dim",
        **params: Parameter,
    ) -> None:
        super().__init__(name, **params)
        self.settings: dict[str, Any] = {
            "probes": probes,
            "rtol": rtol,
            "atol": atol,
            "steps": steps,
        }
        self.flow = FlowLikelihood(**self.settings)

    def nats(self, model: Any, x: Any, counter: keras.Variable) -> Tensor:
        """-log p of every example, float32 ``(batch,)``; see `LikelihoodMetric.nats`."""
        params = model.schedule.resolve(self.params)
        return data_likelihood.negative_log_prob(model, x, counter, self.flow, params)

    def get_config(self) -> dict[str, Any]:
        """The constructor's arguments."""
        return super().get_config() | self.settings
