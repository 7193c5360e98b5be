"""The noising process of a component: all that derives from gamma (paper secs. 4.1, 4.2).

``z = alpha z0 + sigma eps`` with ``gamma = log(sigma^2 / alpha^2)``. All functions are pure and
work on tensors of any backend; shapes only have to broadcast.
"""

from dataclasses import dataclass

from keras import ops


@dataclass(frozen=True)
class NoisingState:
    """How far each component has been noised, at one time of a schedule.

    Attributes:
        gamma: ``log(sigma_i^2/alpha_i^2)``, float32; broadcasts against ``(batch, *data_shape)``.
        dgamma_dt: Its derivative in diffusion time, >= 0, broadcasts likewise; 0 where a component
            is frozen. `None` where a state does not come from a schedule.

    Example:

    >>> from keras import ops
    >>> state = NoisingState(ops.zeros((1, 1)), ops.ones((1, 1)))
    >>> round(float(state.alpha[0, 0]) ** 2, 6)
    0.5
    """

    gamma: object
    dgamma_dt: object = None

    @property
    def alpha(self):
        """Signal amplitude, ``sqrt(sigmoid(-gamma))`` (paper eqs. 14 and 17)."""
        return ops.exp(-0.5 * ops.softplus(self.gamma))

    @property
    def sigma(self):
        """Noise amplitude, ``sqrt(sigmoid(gamma))``; alpha^2 + sigma^2 = 1 (paper eq. 14)."""
        return ops.exp(-0.5 * ops.softplus(-self.gamma))

    @property
    def beta(self):
        """Noising rate ``sigma^2 dgamma/dt`` (paper eq. 13 with eqs. 14 and 17)."""
        return ops.sigmoid(self.gamma) * self.dgamma_dt

    def snr(self, variance):
        """True signal-to-noise ratio ``Sigma_i exp(-gamma_i)`` (paper eq. 16).

        Args:
            variance: Sigma_i, the variance of component chi_i over the data.
        """
        return variance * ops.exp(-self.gamma)

    def marginal_variance(self, variance):
        """Variance of z_i, ``alpha^2 Sigma + sigma^2`` (paper eq. 15, its bracket corrected)."""
        return ops.sigmoid(-self.gamma) * variance + ops.sigmoid(self.gamma)

    def add_noise(self, z0, eps):
        """The noised components ``alpha z0 + sigma eps`` (paper sec. 4.2)."""
        return self.alpha * z0 + self.sigma * eps

    def capped(self, gamma):
        """This state, with no component noisier than an observation of it (DESIGN sec. 3.10).

        Args:
            gamma: Log ratio of noise to signal of the observed components, ``inf`` for the others;
                broadcasts against ``(batch, *data_shape)``.

        Returns:
            The state at ``min(self.gamma, gamma)``; components that are held there are frozen.
        """
        held = self.gamma > gamma
        return NoisingState(
            ops.where(held, gamma, self.gamma),
            ops.where(held, ops.zeros_like(self.gamma), self.dgamma_dt),
        )


def score_from_eps(eps, state: NoisingState):
    """Score of the marginal, ``-eps/sigma``."""
    return -eps / state.sigma


def probability_flow(z, eps, state: NoisingState):
    """Velocity dz/dt of the probability flow, ``-beta/2 (z + score)`` (paper eq. 25)."""
    return -0.5 * state.beta * (z + score_from_eps(eps, state))


def z0_from_eps(z, eps, state: NoisingState):
    """The clean components that `eps` stands for, ``(z - sigma eps)/alpha``."""
    return (z - state.sigma * eps) / state.alpha


def v_from_eps(z, eps, state: NoisingState):
    """The velocity target ``alpha eps - sigma z0``."""
    return state.alpha * eps - state.sigma * z0_from_eps(z, eps, state)
