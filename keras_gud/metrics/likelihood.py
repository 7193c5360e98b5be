"""Keras metrics of how likely held-out data are, for `compile(metrics=[...])` and `evaluate`.

They are computed when data are evaluated, not in training, with the averaged weights, and the same
every time.
"""

import math

import keras
from keras import ops

from keras_gud.core.arguments import check_integer
from keras_gud.core.registry import PACKAGE
from keras_gud.likelihood import FlowLikelihood, data_likelihood


class LikelihoodMetric(keras.metrics.Metric):
    """Base class: the mean of bits per dimension over examples, and its standard error.

    A subclass implements `nats`. `result` is a dictionary: the mean under the metric's name, and
    under ``<name>_error`` the standard error of the mean over the examples.

    Args:
        name: Its name in logs.
        **params: Values of the schedule's parameters, e.g. ``a=0.7``; default: mid-range.
    """

    def __init__(self, name: str, **params):
        super().__init__(name=name, dtype="float32")
        self.params = params
        self.seen, self.total, self.weighted, self.squared, self.squares = (
            self.add_variable((), "zeros", dtype="int32" if n == "seen" else "float32", name=n)
            for n in ("seen", "total", "weighted", "squared", "squares")
        )

    def nats(self, model, x, counter):
        """-log p, or a bound of it, of every example of a batch, float32 ``(batch,)``.

        Args:
            model: The built `GUDModel`.
            x: The batch as `GUDModel.call` is given it.
            counter: int32 variable with the number of examples before it; to be moved on.
        """
        raise NotImplementedError("A LikelihoodMetric implements nats(model, x, counter).")

    def update(self, model, x, sample_weight=None):
        """Counts a batch; `GUDModel` calls it when it is evaluated."""
        bits = self.nats(model, x, self.seen) / (math.prod(model.data_shape) * math.log(2.0))
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

    def update_state(self, *args, **kwargs):
        """Refuses: the metric needs the model, see `update`."""
        raise ValueError(
            f"Expected {type(self).__name__} in `compile(metrics=[...])` of a GUD model."
        )

    def result(self):
        """Mean and its standard error, in bits per dimension."""
        total = ops.maximum(self.total, 1e-30)
        mean = self.weighted / total
        variance = ops.maximum(self.squares / total - mean**2, 0.0)
        effective = total**2 / ops.maximum(self.squared, 1e-30)
        error = ops.sqrt(variance / ops.maximum(effective - 1.0, 1.0))
        return {self.name: mean, f"{self.name}_error": error}

    def get_config(self):
        """The constructor's arguments."""
        return {"name": self.name} | self.params


@keras.saving.register_keras_serializable(package=PACKAGE)
class NegativeElbo(LikelihoodMetric):
    """The variational bound in bits per dimension, as `model.predict` gives it per example.

    Args:
        draws: Network evaluations per example, >= 1.
        name: Its name in logs.
        **params: See `LikelihoodMetric`.

    Example:

    >>> import numpy as np, keras_gud
    >>> x = np.random.default_rng(0).normal(size=(64, 4)).astype("float32")
    >>> model = keras_gud.GUD(backbone="tiny", schedule="cosine")
    >>> model.compile("adam", metrics=[NegativeElbo(draws=4)])
    >>> history = model.fit(x, epochs=1, validation_data=x, verbose=0)
    >>> sorted(key for key in history.history if "elbo" in key)
    ['val_negative_elbo', 'val_negative_elbo_error']
    """

    def __init__(self, draws: int = 8, name: str = "negative_elbo", **params):
        super().__init__(name, **params)
        self.draws = check_integer("draws", draws, 1)

    def nats(self, model, x, counter):
        """See `LikelihoodMetric.nats`."""
        params = model.schedule.resolve(self.params)
        return sum(data_likelihood.negative_elbo(model, x, counter, self.draws, params).values())

    def get_config(self):
        """The constructor's arguments."""
        return super().get_config() | {"draws": self.draws}


@keras.saving.register_keras_serializable(package=PACKAGE)
class BitsPerDim(LikelihoodMetric):
    """Bits per dimension by the probability flow, as `model.bits_per_dim` gives them per example.

    Where the solver cannot meet its tolerance within `steps` the value is NaN; the method of the
    model tells why.

    Args:
        probes: Number of random vectors of Hutchinson's estimate.
        rtol: Relative tolerance of the solver.
        atol: Absolute tolerance.
        steps: Limit on the number of steps tried for a batch.
        name: Its name in logs.
        **params: See `LikelihoodMetric`.
    """

    def __init__(
        self,
        probes: int = 1,
        rtol: float = 1e-4,
        atol: float = 1e-4,
        steps: int = 1000,
        name: str = "bits_per_dim",
        **params,
    ):
        super().__init__(name, **params)
        self.settings = {"probes": probes, "rtol": rtol, "atol": atol, "steps": steps}
        self.flow = FlowLikelihood(**self.settings)

    def nats(self, model, x, counter):
        """See `LikelihoodMetric.nats`."""
        params = model.schedule.resolve(self.params)
        return data_likelihood.negative_log_prob(model, x, counter, self.flow, params)

    def get_config(self):
        """The constructor's arguments."""
        return super().get_config() | self.settings
