"""Euler-Maruyama integration of the reverse SDE (paper eq. 9; the sampler of its app. B)."""

import keras
from keras import ops

from keras_gud.core.registry import PACKAGE
from keras_gud.core.types import DenoiserFunction, Tensor
from keras_gud.diffusion.noising_state import score_from_eps
from keras_gud.samplers.contract import Clock, Draw, StateAt
from keras_gud.samplers.sampler import Sampler, registry


@registry.register("euler_maruyama")
@keras.saving.register_keras_serializable(package=PACKAGE)
class EulerMaruyama(Sampler):
    """``z(s) = z + B (z/2 + score) + sqrt(B) n`` with ``B = sigma(t)^2 (gamma(t) - gamma(s))``.

    A step goes from t to s < t, and n is standard normal. The textbook method has ``beta(t) (t -
    s)`` for B; here the mean of dgamma/dt over the step takes the place of its value at t,
    component by component. That is the same where gamma is linear, finite where dgamma/dt is not
    (time warps), and right in a step over the kink of a clipped schedule; a frozen component has
    B = 0 and stays bit-exact. (The mean of sigma^2 over the step as well would be right for the
    noise alone, but not together with a score taken at t: errors of components with little signal
    are then twice as large.)

    Args:
        steps: Number of steps, >= 1; one network evaluation each.
        spacing: Where the steps lie, see `Sampler`.

    Raises:
        ValueError: for steps < 1 or an unknown spacing.

    Example:

    >>> import numpy as np
    >>> from keras_gud import oracle, schedules
    >>> schedule = schedules.get("vp"); schedule.adapt(variance=np.ones(2))
    >>> truth = oracle.Gaussian(np.zeros(2), [[1.0, 0.9], [0.9, 1.0]])
    >>> z = EulerMaruyama(steps=200)(truth, schedule, n=2000)
    >>> bool(abs(np.corrcoef(z.T)[0, 1] - 0.9) < 0.05)
    True
    """

    stochastic = True

    def step(
        self,
        denoiser: DenoiserFunction,
        state_at: StateAt,
        z: Tensor,
        memory: tuple[Tensor, ...],
        clock: Clock,
        draw: Draw,
    ) -> tuple[Tensor, tuple[Tensor, ...]]:
        """See `Sampler.step`."""
        state, target = state_at(clock(0)), state_at(clock(1))
        b = ops.square(state.sigma) * (state.gamma - target.gamma)
        score = score_from_eps(denoiser(z, state), state)
        return z + b * (0.5 * z + score) + ops.sqrt(b) * draw(), memory
