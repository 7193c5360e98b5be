"""The noising process of a component: all that derives from gamma (paper secs. 4.1, 4.2).

    gamma         log(sigma^2/alpha^2), never decreasing in t
    amplitudes    alpha^2 = sigmoid(-gamma),  sigma^2 = sigmoid(gamma),  alpha^2 + sigma^2 = 1
    noised        z = alpha z0 + sigma eps,  eps ~ N(0, 1)
    process       dz = -beta/2 z dt + sqrt(beta) dw,  beta = sigma^2 dgamma/dt
    moments       Var z = alpha^2 Sigma + sigma^2,  SNR = Sigma exp(-gamma),  Sigma = Var z0
    score         -eps/sigma
    flow          dz/dt = -beta/2 (z + score)

The index i of the component is left out. All functions are pure and work on tensors of any backend;
shapes only have to broadcast.
"""

from dataclasses import dataclass

from keras import ops

from keras_gud.core.types import Tensor


@dataclass(frozen=True)
class NoisingState:
    """How far each component has been noised, at one time of a schedule.

    Attributes:
        gamma: ``log(sigma_i^2/alpha_i^2)``, float32; broadcasts against ``(batch, *data_shape)``.
        dgamma_dt: Its derivative in diffusion time, >= 0, broadcasts likewise; 0 where a component
            is frozen. `None` where a state does not come from a schedule.
        time: Its time on the path, of one row or of the batch; `None` likewise.

    Example:

    >>> from keras import ops
    >>> state = NoisingState(ops.zeros((1, 1)), ops.ones((1, 1)))
    >>> round(float(state.alpha[0, 0]) ** 2, 6)
    0.5
    """

    gamma: Tensor
    dgamma_dt: Tensor = None
    time: Tensor = None

    @property
    def alpha(self) -> Tensor:
        """Signal amplitude, ``sqrt(sigmoid(-gamma))`` (paper eqs. 14 and 17)."""
        return ops.exp(-0.5 * ops.softplus(self.gamma))

    @property
    def sigma(self) -> Tensor:
        """Noise amplitude, ``sqrt(sigmoid(gamma))``; alpha^2 + sigma^2 = 1 (paper eq. 14)."""
        return ops.exp(-0.5 * ops.softplus(-self.gamma))

    @property
    def beta(self) -> Tensor:
        """Noising rate ``sigma^2 dgamma/dt`` (paper eq. 13 with eqs. 14 and 17)."""
        return ops.sigmoid(self.gamma) * self.dgamma_dt

    def snr(self, variance: Tensor) -> Tensor:
        """True signal-to-noise ratio ``Sigma_i exp(-gamma_i)`` (paper eq. 16).

        Args:
            variance: Sigma_i, the variance of the clean component z0_i over the data.
        """
        return variance * ops.exp(-self.gamma)

    def marginal_variance(self, variance: Tensor) -> Tensor:
        """Variance of z_i, ``alpha^2 Sigma + sigma^2`` (paper eq. 15, its bracket corrected)."""
        return ops.sigmoid(-self.gamma) * variance + ops.sigmoid(self.gamma)

    def add_noise(self, z0: Tensor, eps: Tensor) -> Tensor:
        """The noised components ``alpha z0 + sigma eps`` (paper sec. 4.2)."""
        return self.alpha * z0 + self.sigma * eps

    def capped(self, gamma: Tensor) -> "NoisingState":
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
            self.time,
        )


def score_from_eps(eps: Tensor, state: NoisingState) -> Tensor:
    """Score of the marginal, ``-eps/sigma``."""
    return -eps / state.sigma


def probability_flow(z: Tensor, eps: Tensor, state: NoisingState) -> Tensor:
    """Velocity dz/dt of the probability flow, ``-beta/2 (z + score)`` (paper eq. 25)."""
    return -0.5 * state.beta * (z + score_from_eps(eps, state))


def z0_from_eps(z: Tensor, eps: Tensor, state: NoisingState) -> Tensor:
    """The clean components that `eps` stands for, ``(z - sigma eps)/alpha``."""
    return (z - state.sigma * eps) / state.alpha


def v_from_eps(z: Tensor, eps: Tensor, state: NoisingState) -> Tensor:
    """The velocity target ``alpha eps - sigma z0``."""
    return state.alpha * eps - state.sigma * z0_from_eps(z, eps, state)
