"""The ELBO as a small Keras model around a `GUDModel`, so that `predict` batches and streams it."""

import math

import keras
from keras import ops

from keras_gud import adaptation, batch, likelihood, noise

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
        self.counter = self.add_weight(
            name="counter", shape=(), dtype="int32", trainable=False, initializer="zeros"
        )
        self.built = True

    def call(self, x, training=False):
        """The terms for x, or for a dict of x and labels; without labels for the null label.

        Dict of float32 ``(batch,)`` in nats; -log p is at most their sum.

        ``"prior"``, ``"diffusion"``, ``"reconstruction"`` (`likelihood.negative_elbo`),
        ``"log_scale"``: sum_i log S_i, and ``"data_scaling"``: d log 128 for 8-bit data, whose
        uniform dequantisation itself contributes 0.
        """
        model = self.model
        label, x = batch.pick_label(x), batch.pick(x)
        told = {} if label is None else {"label": ops.cast(label, "int32")}
        keys, index = model.evaluation_keys(x, self.counter)
        shape = model.data_shape
        chi = model.to_components(x, lambda: noise.uniform(keys, _DEQUANTISE, shape))
        terms = likelihood.negative_elbo(
            model.denoiser, model.schedule, chi, keys, index, self.draws, self.params, told
        )
        scaling = math.prod(shape) * math.log(adaptation.LEVELS) if model.kind == "uint8" else 0.0
        zeros = ops.zeros_like(terms["prior"])
        return terms | {
            "log_scale": zeros - model.prior.log_det(),
            "data_scaling": zeros + scaling,
        }
