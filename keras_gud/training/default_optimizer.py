"""The optimizer of a model that nobody has compiled."""

import math

import keras

# Of Adam, for a network of `_PARAMETERS` or fewer; larger ones take smaller steps, about as the
# inverse of their width. Chosen by `benchmarks/race.py`; the paper has 5e-4 throughout (app. B).
LEARNING_RATE, LEAST_LEARNING_RATE = 2e-3, 2e-4
_PARAMETERS = 600_000


def learning_rate(parameters: int) -> float:
    """The default learning rate for a network of so many parameters.

    >>> learning_rate(100_000), round(learning_rate(10_000_000), 5)
    (0.002, 0.00049)
    """
    rate = LEARNING_RATE * math.sqrt(_PARAMETERS / max(parameters, _PARAMETERS))
    return max(rate, LEAST_LEARNING_RATE)


def default_optimizer(model: keras.Model) -> keras.optimizers.Optimizer:
    """Adam at the rate for the size of a model's network."""
    # A number and no schedule, so that it can be set, also by Keras' callbacks.
    return keras.optimizers.Adam(learning_rate(model.network.count_params() if model.built else 0))
