"""From a network in the data's own axes to a denoiser of components (DESIGN secs. 3.2, 3.7).

network       output = network(U^T z, tokens(gamma)[, gamma][, conditions])
estimate      eps_hat = prediction(U output, z, state, Sigma)
guidance      eps_hat = eps_null + guidance (eps_given - eps_null)
"""

import copy
from collections.abc import Callable, Iterable
from typing import Any, Protocol

import keras
from keras import ops

from keras_gud.conditioning.conditions import INTERVAL, Conditions
from keras_gud.conditioning.gamma_tokens import GammaTokens
from keras_gud.conditioning.local_gamma import local_gamma
from keras_gud.core.registry import look_up
from keras_gud.core.types import Array, Shape, Tensor
from keras_gud.diffusion.guidance import guided_eps
from keras_gud.diffusion.noising_state import NoisingState
from keras_gud.diffusion.prediction import PREDICTIONS
from keras_gud.diffusion.terminal import NoisedMoments


class View(Protocol):
    """What a denoiser needs of a basis: `basis`, `prior`, and what is fitted to both."""

    @property
    def basis(self) -> Any:
        """The built `Basis`."""

    @property
    def prior(self) -> Any:
        """The adapted `Prior` of its components."""

    @property
    def tokens(self) -> GammaTokens:
        """What turns a noising state into tokens."""

    @property
    def moments(self) -> NoisedMoments:
        """The Gaussian that sampling starts from."""


class Denoiser:
    """A callable ``(z, state, **condition) -> eps`` in component space, around a network.

    The network sees ``y = U^T z``, the (whitened) data back in their own axes, where convolutions
    make sense, and the tokens of the noising state; its output goes through U and is read as the
    prediction says.

    Args:
        call_network: Callable ``[y, tokens] -> output``, also of gamma and conditions if the
            network is given them.
        view: Basis, prior, tokens and moments of the components, all built.
        prediction: What the output means, a name in `prediction.PREDICTIONS`.
        variables: Keras variables that a call reads, beside those of the view.
        gamma_scales: How many gammas of each value the network is given too, see
            `conditioning.local_gamma`; 0 if it is given none.
        conditions: The built `Conditions` that the network is given, or `None`.
    """

    def __init__(
        self,
        call_network: Callable[[list[Tensor]], Tensor],
        view: View,
        prediction: str,
        variables: Iterable[keras.Variable] = (),
        gamma_scales: int = 0,
        conditions: Conditions | None = None,
    ) -> None:
        self.call_network = call_network
        self.gamma_scales = gamma_scales
        self.conditions = Conditions({}) if conditions is None else conditions
        self.to_eps = look_up("prediction", PREDICTIONS, prediction)
        self._network_variables = list(variables)
        self._siblings: dict[tuple[int, int], Denoiser] = {}
        self._use(view)

    def _use(self, view: View) -> None:
        self.basis, self.prior = view.basis, view.prior
        self.tokens, self.moments = view.tokens, view.moments
        parts = (self.basis, self.prior, self.tokens, self.moments)
        self.variables = [*self._network_variables, *(v for part in parts for v in part.variables)]
        self._siblings[id(self.basis), id(self.tokens)] = self

    def in_view(self, view: View) -> "Denoiser":
        """The denoiser of another view's components, with the same network.

        The same object for the same view, since samplers compile their loop once a denoiser.
        """
        key = id(view.basis), id(view.tokens)
        if key not in self._siblings:
            copy.copy(self)._use(view)
        return self._siblings[key]

    @property
    def data_shape(self) -> Shape:
        """Shape of one sample's components."""
        return self.basis.data_shape

    @property
    def classes(self) -> int | None:
        """Number of classes of labels that the network is given, or `None`."""
        return self.conditions.classes

    def __call__(self, z: Tensor, state: NoisingState, **condition: Tensor) -> Tensor:
        """Eps in component space, float32, the shape of z.

        Args:
            z: Components ``(batch, *data_shape)``.
            state: Their `NoisingState`.
            **condition: Encoded conditions by name, of one row or of the batch; those that are not
                given are null. With guidance, see `conditioning.given.sampling_condition`, the
                network is called once on as many times the batch as guidance needs estimates.
        """
        inputs, batch = self.inputs(z, state), ops.shape(z)[0]
        interval = [condition.pop(name, None) for name in INTERVAL]
        evaluations, strengths = self.conditions.evaluations(condition, batch)
        count = len(evaluations)
        if count == 1:
            return self.read(self.call_network([*inputs, *evaluations[0]]), z, state)
        inputs = [ops.concatenate([x] * count) for x in inputs]
        given = [ops.concatenate(parts) for parts in zip(*evaluations, strict=True)]
        output = self.call_network([*inputs, *given])
        found = [self.read(output[i * batch : (i + 1) * batch], z, state) for i in range(count)]
        eps, column = found[0], (-1, *[1] * (len(z.shape) - 1))
        for before, after, strength in zip(found, found[1:], strengths, strict=False):
            strength = ops.reshape(_within(interval, state, strength), column)
            eps = guided_eps(eps, eps + after - before, strength)
        return eps

    def inputs(self, z: Tensor, state: NoisingState) -> list[Tensor]:
        """The network's inputs but for conditions: y, the tokens, and gamma if it takes it."""
        batch = ops.shape(z)[0]
        tokens = self.tokens(state.gamma)
        inputs = [self.basis.inverse(z), ops.broadcast_to(tokens, (batch, *tokens.shape[1:]))]
        if self.gamma_scales:
            inputs.append(local_gamma(self.basis, state.gamma, batch, self.gamma_scales))
        return inputs

    def read(self, output: Tensor, z: Tensor, state: NoisingState) -> Tensor:
        """The estimate of eps that an output of the network stands for."""
        return self.to_eps(self.basis(output), z, state, self.prior.variance)

    def start(self, noise: Tensor, state: NoisingState) -> Tensor:
        """Noise N(0, 1) with the moments that noised data have at `state`, as far as fitted."""
        return self.moments.start(noise, state, self.prior.variance)

    def log_start(self, z: Tensor, state: NoisingState, given: Array | None = None) -> Tensor:
        """Log density of what `start` makes, in nats; see `NoisedMoments.log_density`."""
        return self.moments.log_density(z, state, self.prior.variance, given)


def _within(interval: list[Any], state: NoisingState, strength: Tensor) -> Tensor:
    """The strength of guidance ``(batch or 1,)``: 1 outside of its interval of times, if any."""
    start, end = interval
    if start is None:
        return strength
    if state.time is None:
        raise ValueError(
            "Expected states of a schedule, which know their time, with a `guidance_interval`. "
            "Received: a state without."
        )
    time = ops.reshape(state.time, (-1,))
    inside = ops.logical_and(time >= start, time <= end)
    return ops.where(inside, strength, ops.ones_like(strength))
