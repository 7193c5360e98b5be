"""With and without rematerialisation: the same gradients."""

import keras
import numpy as np
import pytest
from helpers.marks import once
from helpers.networks import as_numpy, build, inputs, perturb
from keras import ops

from keras_gud import backbones

NETWORKS = {
    "mlp": (backbones.MLP, {"width": 8, "blocks": 2}, (7,)),
    "unet": (backbones.UNet, {"widths": (4, 8), "blocks": 2}, (6, 5, 2)),
    "ncsnpp": (backbones.NCSNpp, {"widths": (4, 8), "blocks": 1}, (6, 5, 2)),
}


@keras.saving.register_keras_serializable(package="keras_gud_remat")
class Regression(keras.Model):
    """Trains a network to return its first input."""

    def __init__(self, network):
        super().__init__()
        self.network = network

    def call(self, inputs, training=None):
        return self.network(inputs, training=training)


def step(make, arguments, shape, remat):
    """The weights after one step of gradient descent from the same start."""
    network = build(make(embedding_dim=16, remat=remat, **arguments), shape)
    for weight in network.trainable_variables:
        weight.assign(ops.zeros(weight.shape))
    perturb(network)
    y, tokens = inputs(shape, batch=4)
    model = Regression(network)
    # XLA may leave the second computation out again; jax tells it not to.
    jit_compile = keras.backend.backend() == "jax"
    model.compile(keras.optimizers.SGD(0.1), loss="mse", jit_compile=jit_compile)
    model.train_on_batch([y, tokens], y)
    return [as_numpy(w) for w in network.trainable_variables]


@pytest.mark.parametrize("name", once(NETWORKS, but=["mlp"]))
def test_gradients_agree(name):
    kept, again = (step(*NETWORKS[name], remat=remat) for remat in (False, True))
    assert len(kept) == len(again) > 10
    for a, b in zip(kept, again, strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("name", NETWORKS)
def test_dropout_is_refused(name):
    make, arguments, _ = NETWORKS[name]
    with pytest.raises(ValueError, match="Expected dropout=0 with remat=True"):
        make(dropout=0.1, remat=True, **arguments)
