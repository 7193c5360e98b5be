"""Euler-Maruyama integration of the reverse SDE (paper eq. 9; its 1000-step reference, app. B)."""

import keras
from keras import ops

from keras_gud.process import beta_integral, score_from_eps
from keras_gud.registry import PACKAGE
from keras_gud.samplers.sampler import Sampler


@keras.saving.register_keras_serializable(package=PACKAGE)
class EulerMaruyama(Sampler):
    """``z(s) = z + B (z/2 + score) + sqrt(B) n`` with B_i the integral of beta_i from s to t.

    B replaces ``beta(t) (t - s)``: it is the same to first order, exact for the noise's variance,
    finite where dgamma/dt is not (time warps), and right in a step over the kink of a clipped
    schedule; a frozen component has B = 0 and stays bit-exact.

    Args:
        steps: Number of steps; one network evaluation each.
        spacing: Where the steps lie, see `Sampler`.
    """

    def step(self, denoiser, state_at, z, memory, clock, draw):
        """See `Sampler.step`."""
        state = state_at(clock(0))
        b = beta_integral(state, state_at(clock(1)))
        score = score_from_eps(denoiser(z, state), state)
        return z + b * (0.5 * z + score) + ops.sqrt(b) * draw(), memory
