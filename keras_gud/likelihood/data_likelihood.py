"""How likely a batch of raw data is under a model, within compiled functions.

    bound         -log p(x) <= prior + diffusion + reconstruction - sum_i log|dz0/dx|   (`elbo`)
    flow          log p(x) = log p(z(0)) + sum_i log alpha_i(0) + log|dz0/dx|            (`ode`)

with log|dz0/dx| of `diffusion.data_scaling`. All functions take a built `GUDModel` for its public
parts: denoiser, basis, prior, schedule and the scaling of its data. Where values are missing, the
bound is of the others (`diffusion.missing`).
"""

import math
from typing import Any

import keras
from keras import ops

from keras_gud import likelihood
from keras_gud.core import counter_rng
from keras_gud.core.types import Tensor
from keras_gud.data.batch import conditions_of, pick
from keras_gud.diffusion.data_scaling import log_density_terms
from keras_gud.diffusion.missing import WithoutMissing, fill, split

# Counter of the uniform noise that dequantises; the diffusion draws are numbered from 0.
_DEQUANTISE = -1
# Likewise of the components in place of missing values.
_MISSING = -2
_ARGUMENTS = ("labels", "condition", "draws", "batch_size", "verbose", "schedule")


class NegativeElbo(keras.Model):
    """Upper bound of -log p of every example, term by term, with fixed noise.

    A Keras model, so that `predict` streams and divides any data.

    Args:
        model: The built `GUDModel`.
        view: The `regions.View` whose path it follows.
        draws: Network evaluations per example.
        params: Values of the schedule's parameters.
        **kwargs: Arguments of `keras.Model`.
    """

    def __init__(
        self, model: keras.Model, view: Any, draws: int, params: dict[str, Any], **kwargs: Any
    ) -> None:
        super().__init__(dtype="float32", **kwargs)
        self.model, self.view, self.draws = model, view, draws
        self.params = view.schedule.resolve(params, others=_ARGUMENTS)
        kwargs = {"initializer": "zeros", "aggregation": "only_first_replica"}
        self.counter = self.add_weight(
            name="counter", shape=(), dtype="int32", trainable=False, **kwargs
        )
        self.built = True

    def call(self, x: Any, training: bool = False) -> dict[str, Tensor]:
        """The terms for x, or for a dict of x and conditions; see `negative_elbo`.

        Also ``"values"``, the number of values that the bound is of.
        """
        terms = negative_elbo(self.model, self.view, x, self.counter, self.draws, self.params)
        return terms | {"values": ops.zeros_like(terms["prior"]) + count_values(self.model, x)}


def negative_elbo(
    model: keras.Model,
    view: Any,
    x: Any,
    counter: keras.Variable,
    draws: int,
    params: dict[str, Any],
) -> dict[str, Tensor]:
    """Upper bound of -log p of a batch, term by term, with fixed noise.

    Args:
        model: The built `GUDModel`.
        view: The `regions.View` whose path it follows.
        x: The batch as `GUDModel.call` takes it; without conditions for null ones.
        counter: int32 variable with the number of examples already seen; advanced.
        draws: Network evaluations per example.
        params: All parameters of the schedule.

    Returns:
        Dict of float32 ``(batch,)`` in nats; -log p is at most their sum: ``"prior"``,
        ``"diffusion"``, ``"reconstruction"`` (`likelihood.negative_elbo`), ``"log_scale"``: sum_i
        log S_i, and ``"data_scaling"``: sum_i log of the scale of the data, whose uniform
        dequantisation itself contributes 0.
    """
    z0, missing, keys, index, condition = _components(model, view, x, counter)
    schedule, counted = view.schedule, ops.ones(model.data_shape)
    if missing is not None:
        schedule, counted = WithoutMissing(schedule, missing), 1.0 - ops.cast(missing, "float32")
    parts = model.denoiser.in_view(view), schedule, z0, keys, index, draws, params, condition
    terms = likelihood.negative_elbo(*parts, None if missing is None else counted)
    zeros = ops.zeros_like(terms["prior"])
    added = _density_terms(model, view, ops.ones(model.data_shape), counted)
    return terms | {name: zeros - added[name] for name in ("log_scale", "data_scaling")}


def count_values(model: keras.Model, x: Any) -> Tensor | float:
    """How many values of each example of a batch are there, a number or float32 ``(batch,)``.

    Args:
        model: As in `negative_elbo`.
        x: As in `negative_elbo`.
    """
    if not model.data_space.missing:
        return float(math.prod(model.data_shape))
    known = 1.0 - ops.cast(ops.isnan(ops.cast(pick(x), "float32")), "float32")
    return ops.sum(known, axis=tuple(range(1, len(known.shape))))


def negative_log_prob(
    model: keras.Model,
    x: Any,
    counter: keras.Variable,
    flow: "likelihood.FlowLikelihood",
    params: dict[str, Any],
) -> Tensor:
    """-log p of a batch by the probability flow, float32 ``(batch,)`` in nats.

    Args:
        model: As in `negative_elbo`.
        x: As in `negative_elbo`.
        counter: As in `negative_elbo`.
        flow: The `likelihood.FlowLikelihood`.
        params: As in `negative_elbo`.
    """
    view = model.views[0]
    z0, _, keys, _, condition = _components(model, view, x, counter)
    alpha = model.schedule(0.0, **params).alpha
    log_prob = flow.in_graph(model.denoiser, model.schedule, alpha * z0, keys, params, condition)
    counted = ops.ones((1, *model.data_shape))
    return -sum(_density_terms(model, view, alpha, counted).values()) - log_prob


def _density_terms(model, view, alpha, counted):
    """What makes log p(z(0)) the log density of the raw data, in nats."""
    return log_density_terms(alpha, view.prior.scale, model.data_space.scaling, counted, ops)


def _components(model, view, x, counter):
    """Clean components, which are missing, keys and indices of the examples, and their conditions.

    Of no example a value is missing, `None`, unless the model allows it.
    """
    given, x = conditions_of(x), pick(x)
    keys, index = counter_rng.evaluation_keys(x, counter)
    space, shape = model.data_space, model.data_shape
    phi = space.to_phi(x, lambda: counter_rng.uniform(keys, _DEQUANTISE, shape))
    missing = None
    if space.missing:
        phi, missing = split(phi)
    z0 = view.prior(view.basis(phi))
    if missing is not None:
        noise = counter_rng.normal(keys, _MISSING, shape)
        z0 = fill(z0, missing, noise, view.prior.variance)
    return z0, missing, keys, index, model.conditions.encode(given)
