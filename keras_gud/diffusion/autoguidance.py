"""Autoguidance: away from what a weaker model says, `eps_weak + w (eps - eps_weak)`.

Karras et al. 2024, arXiv:2406.02507.
"""

import weakref

from keras import ops

from keras_gud.core.types import DenoiserFunction, Tensor
from keras_gud.diffusion.guidance import WrappedDenoiser, guided_eps
from keras_gud.diffusion.noising_state import NoisingState

# By the ids of both denoisers; samplers know their compiled loops by the identity of a denoiser.
_known: "weakref.WeakValueDictionary[tuple[int, int], Autoguided]" = weakref.WeakValueDictionary()


class Autoguided(WrappedDenoiser):
    """A denoiser guided by a weaker one of the same components.

    Args:
        denoiser: Callable ``(z, state, **condition) -> eps`` in component space.
        weaker: Another one. It is given those conditions that it knows.

    Attributes:
        variables: Keras variables that a call reads.

    Example:

    >>> import numpy as np
    >>> from keras_gud import NoisingState, oracle
    >>> exact, blurred = (oracle.Gaussian(np.zeros(2), s * np.eye(2)) for s in (1.0, 2.0))
    >>> guided = Autoguided(exact, blurred)
    >>> z, state = ops.ones((1, 2)), NoisingState(ops.zeros((1, 2)))
    >>> strength = ops.convert_to_tensor([1.0])
    >>> bool(ops.all(guided(z, state, guidance=strength) == exact(z, state)))
    True
    """

    def __init__(self, denoiser: DenoiserFunction, weaker: DenoiserFunction) -> None:
        super().__init__(denoiser, weaker)
        self.weaker = weaker

    @classmethod
    def of(cls, denoiser: DenoiserFunction, weaker: DenoiserFunction) -> "Autoguided":
        """The one of these two: the same object every time, while anything holds it."""
        key = id(denoiser), id(weaker)
        found = _known.get(key)
        if found is None:
            found = _known[key] = cls(denoiser, weaker)
        return found

    def __call__(
        self, z: Tensor, state: NoisingState, guidance: Tensor, **condition: Tensor
    ) -> Tensor:
        """The guided estimate of eps, the shape of z.

        Args:
            z: Components ``(batch, *data_shape)``.
            state: Their `NoisingState`.
            guidance: Strength w, ``(batch or 1,)``; 1 is the denoiser's own estimate.
            **condition: What the denoiser is conditioned on.
        """
        names = getattr(getattr(self.weaker, "conditions", None), "names", ())
        shared = {name: value for name, value in condition.items() if name in names}
        eps_weak = self.weaker(z, state, **shared)
        eps = self.denoiser(z, state, **condition)
        strength = ops.reshape(guidance, (-1, *[1] * (len(z.shape) - 1)))
        return guided_eps(eps_weak, eps, strength)
