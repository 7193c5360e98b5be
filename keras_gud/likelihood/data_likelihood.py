"""How likely a batch is: terms of a `GUDModel`, and a small Keras model that streams the bound."""

import math

import keras
from keras import ops

from keras_gud import likelihood
from keras_gud.core import counter_rng
from keras_gud.data.batch import pick, pick_label
from keras_gud.diffusion.data_scaling import LEVELS

# Counter of the uniform noise that dequantises; the diffusion draws are numbered from 0.
_DEQUANTISE = -1


_ARGUMENTS = ("labels", "draws", "batch_size", "verbose")


class NegativeElbo(keras.Model):
    """Upper bound of -log p of every example, term by term, with fixed noise.

    Args:
        model: The built `GUDModel`.
        draws: Network evaluations per example.
        params: Values of the schedule's parameters.
    """

    def __init__(self, model, draws: int, params: dict, **kwargs):
        super().__init__(dtype="float32", **kwargs)
        self.model, self.draws = model, draws
        self.params = model.schedule.resolve(params, others=_ARGUMENTS)
        kwargs = {"initializer": "zeros", "aggregation": "only_first_replica"}
        self.counter = self.add_weight(
            name="counter", shape=(), dtype="int32", trainable=False, **kwargs
        )
        self.built = True

    def call(self, x, training=False):
        """The terms for x, or for a dict of x and labels; see `negative_elbo`."""
        return negative_elbo(self.model, x, self.counter, self.draws, self.params)


def negative_elbo(model, x, counter, draws: int, params: dict) -> dict:
    """Upper bound of -log p of a batch, term by term, with fixed noise.

    Args:
        model: The built `GUDModel`.
        x: The batch as `GUDModel.call` is given it; without labels for the null label.
        counter: int32 variable with the number of examples already seen; moved on.
        draws: Network evaluations per example.
        params: All parameters of the schedule.

    Returns:
        Dict of float32 ``(batch,)`` in nats; -log p is at most their sum: ``"prior"``,
        ``"diffusion"``, ``"reconstruction"`` (`likelihood.negative_elbo`), ``"log_scale"``: sum_i
        log S_i, and ``"data_scaling"``: d log 128 for 8-bit data, whose uniform dequantisation
        itself contributes 0.
    """
    z0, keys, index, told = _components(model, x, counter)
    parts = model.denoiser, model.schedule, z0, keys, index, draws, params, told
    terms = likelihood.negative_elbo(*parts)
    zeros = ops.zeros_like(terms["prior"])
    return terms | {
        "log_scale": zeros - model.prior.log_det(),
        "data_scaling": zeros + _data_scaling(model),
    }


def negative_log_prob(model, x, counter, flow, params: dict):
    """-log p of a batch by the probability flow, float32 ``(batch,)`` in nats.

    Args:
        model: As in `negative_elbo`.
        x: As in `negative_elbo`.
        counter: As in `negative_elbo`.
        flow: The `likelihood.FlowLikelihood`.
        params: As in `negative_elbo`.
    """
    z0, keys, _, told = _components(model, x, counter)
    alpha = model.schedule(0.0, **params).alpha
    log_prob = flow.in_graph(model.denoiser, model.schedule, alpha * z0, keys, params, told)
    log_alpha = ops.sum(ops.broadcast_to(ops.log(alpha), (1, *model.data_shape)))
    return _data_scaling(model) - model.prior.log_det() - log_alpha - log_prob


def _components(model, x, counter):
    """Clean components of a batch, keys and indices of its examples, what the denoiser is told."""
    label, x = pick_label(x), pick(x)
    keys, index = model.evaluation_keys(x, counter)
    shape = model.data_shape
    z0 = model.to_components(x, lambda: counter_rng.uniform(keys, _DEQUANTISE, shape))
    return z0, keys, index, {} if label is None else {"label": ops.cast(label, "int32")}


def _data_scaling(model) -> float:
    """What the scaling of 8-bit data adds to -log p, ``d log 128``."""
    levels = LEVELS if model.kind == "uint8" else 1.0
    return math.prod(model.data_shape) * math.log(levels)
