"""Euler-Maruyama integration of the reverse SDE (paper eq. 9; its 1000-step reference, app. B)."""

import keras
from keras import ops

from keras_gud.core.registry import PACKAGE
from keras_gud.diffusion.noising_state import score_from_eps
from keras_gud.samplers.sampler import Sampler, registry


@registry.register("euler_maruyama")
@keras.saving.register_keras_serializable(package=PACKAGE)
class EulerMaruyama(Sampler):
    """``z(s) = z + B (z/2 + score) + sqrt(B) n`` with ``B = sigma(t)^2 (gamma(t) - gamma(s))``.

    Component by component, B is ``beta(t) (t - s)`` with the mean of dgamma/dt over the step in
    place of its value at t: the same where gamma is linear, finite where dgamma/dt is not (time
    warps), and right in a step over the kink of a clipped schedule; a frozen component has B = 0
    and stays bit-exact.
    (Integrating sigma^2 over the step too would be right for the noise alone, but not together
    with a score taken at t: errors of components with little signal are then twice as large.)

    Args:
        steps: Number of steps; one network evaluation each.
        spacing: Where the steps lie, see `Sampler`.
    """

    stochastic = True

    def step(self, denoiser, state_at, z, memory, clock, draw):
        """See `Sampler.step`."""
        state, target = state_at(clock(0)), state_at(clock(1))
        b = ops.square(state.sigma) * (state.gamma - target.gamma)
        score = score_from_eps(denoiser(z, state), state)
        return z + b * (0.5 * z + score) + ops.sqrt(b) * draw(), memory
