"""Guidance: classifier-free, and by any function through which every estimate of eps passes.

    classifier-free    eps_null + guidance (eps_label - eps_null)        Ho and Salimans 2022
    classifier         eps - sigma grad_z log p(y | z)                   Dhariwal and Nichol 2021
    constraint         (z - alpha f(z0))/sigma,  z0 = (z - sigma eps)/alpha

A *guide* is a callable ``(eps, z, state) -> eps``: eps is the network's estimate of the noise,
after classifier-free guidance if there is any, z are the noised components, ``(batch,
*data_shape)``, and state their `NoisingState`. What it returns, of the same shape, takes the place
of eps, at every evaluation. It is compiled with the sampler's loop, so it is written in
`keras.ops`:

- towards a class or an observation y (classifier guidance, alg. 2 there):
  ``eps - state.sigma * gradient(log_p, z)``, where ``log_p(z)`` is log p(y | z) at this state;
- a constraint on the clean data: ``z0 = diffusion.z0_from_eps(z, eps, state)``, changed, and back,
  ``(z - state.alpha * z0) / state.sigma``. Of a model, ``model.basis.inverse(
  model.prior.inverse(z0))`` are the scaled data, see `GUDModel.data_space.scaling`.

Arrays that a guide holds are constants of the compiled loop. Keras variables that it reads are not,
if it has an attribute `variables` that lists them, as Keras layers and models have: new values then
take effect. They must exist before the guide is first called. A layer's `call` has the arguments
``(self, eps, z, state)``.
"""

import contextlib
import inspect
import weakref
from collections.abc import Callable
from typing import Any

import keras
from keras import ops

from keras_gud import backend
from keras_gud.core.types import DenoiserFunction, Tensor
from keras_gud.diffusion.noising_state import NoisingState

gradient = backend.gradient

# (eps, z, state) -> eps, a Keras layer or any other callable; see above.
Guide = Callable[..., Tensor]

# By the ids of denoiser and guide. An entry lives as long as a sampler's loop (or anything else)
# holds it, and it holds both, so that the ids stay theirs.
_known: "weakref.WeakValueDictionary[tuple[int, int, int], Guided]" = weakref.WeakValueDictionary()
KEPT = ("data_shape", "start", "log_start", "classes", "conditions")


class WrappedDenoiser:
    """What samplers need of a denoiser, of one around another: `KEPT`, and the variables it reads.

    Args:
        denoiser: The inner one.
        *others: What else a call reads: anything with an attribute `variables`.
    """

    def __init__(self, denoiser: DenoiserFunction, *others: Any) -> None:
        self.denoiser = denoiser
        read = [v for part in (denoiser, *others) for v in getattr(part, "variables", ())]
        self.variables = list({id(v): v for v in read}.values())
        for name in KEPT:
            if hasattr(denoiser, name):
                setattr(self, name, getattr(denoiser, name))


class Guided(WrappedDenoiser):
    """A denoiser whose estimates pass through a guide; samplers take it as any other denoiser.

    Args:
        denoiser: Callable ``(z, state, **condition) -> eps`` in component space.
        guide: Callable ``(eps, z, state) -> eps``; see `keras_gud.diffusion.guidance`.

    Attributes:
        variables: Keras variables that a call reads: the denoiser's, and the guide's (or those of
            the object whose method it is).

    Raises:
        ValueError: if the guide cannot be called, or, when a sampler first calls it, does not
            return the shape of eps.

    Example:

    The values of a Gaussian, none of them below zero:

    >>> import numpy as np
    >>> from keras import ops
    >>> from keras_gud import diffusion, oracle, samplers, schedules
    >>> def not_negative(eps, z, state):
    ...     z0 = ops.maximum(diffusion.z0_from_eps(z, eps, state), 0.0)
    ...     return (z - state.alpha * z0) / state.sigma
    >>> schedule = schedules.get("vp"); schedule.adapt(variance=np.ones(2))
    >>> denoiser = Guided(oracle.Gaussian(np.zeros(2), np.eye(2)), not_negative)
    >>> z0 = samplers.get("dpm++")(denoiser, schedule, 100, denoise=True)
    >>> bool(z0.min() > -1e-3)
    True
    """

    def __init__(self, denoiser: DenoiserFunction, guide: Guide) -> None:
        _check(guide)
        self.guide = guide
        owner = guide if hasattr(guide, "variables") else getattr(guide, "__self__", None)
        super().__init__(denoiser, owner)

    @classmethod
    def of(cls, denoiser: DenoiserFunction, guide: Guide | None) -> DenoiserFunction:
        """The one of this denoiser and guide; without a guide, the denoiser itself.

        Samplers know their loops by the identity of the denoiser: a guide that is the same function
        (or the same method of the same object) needs no new compilation.
        """
        if guide is None:
            return denoiser
        _check(guide)
        # Every access to a method makes a new object.
        function, owner = getattr(guide, "__func__", guide), getattr(guide, "__self__", None)
        key = id(denoiser), id(function), id(owner)
        guided = _known.get(key)
        if guided is None:
            guided = _known[key] = cls(denoiser, guide)
        return guided

    def __call__(self, z: Tensor, state: NoisingState, **condition: Tensor) -> Tensor:
        """The guide's estimate of eps, the shape and type of the denoiser's."""
        eps = self.denoiser(z, state, **condition)
        if isinstance(self.guide, keras.Layer):  # Keras takes what is no tensor by keyword only
            guided = self.guide(eps, z, state=state)
        else:
            guided = self.guide(eps, z, state)
        shape = getattr(guided, "shape", None)
        if shape is None or tuple(shape) != tuple(eps.shape):
            received = type(guided).__name__ if shape is None else f"shape {tuple(shape)}"
            raise ValueError(
                f"Expected `guide` to return eps of shape {tuple(eps.shape)}, as it was given. "
                f"Received: {received}."
            )
        return ops.cast(guided, eps.dtype)


def _check(guide: Any) -> None:
    takes: Any = callable(guide)
    with contextlib.suppress(ValueError):  # built-in functions have no signature
        try:
            takes = takes and inspect.signature(guide).bind(None, None, None)
        except TypeError:
            takes = False
    if not takes:
        raise ValueError(
            "Expected `guide` to be a callable (eps, z, state) -> eps. "
            f"Received: guide={guide!r} of type {type(guide).__name__}."
        )


def guided_eps(eps_null: Tensor, eps_label: Tensor, guidance: Tensor) -> Tensor:
    """Classifier-free guidance, ``eps_null + guidance (eps_label - eps_null)`` (arXiv:2207.12598).

    Eq. 6 there has ``(1 + w) eps_label - w eps_null``, so guidance = 1 + w: 0 ignores the label, 1
    is the conditional estimate, more goes beyond it.

    Args:
        eps_null: Estimate of the noise without a label, ``(batch, *data_shape)``.
        eps_label: Estimate with the label, same shape.
        guidance: A number, or a tensor that broadcasts against both.

    Returns:
        The guided estimate, same shape.

    Example:

    >>> guided_eps(1.0, 2.0, guidance=3.0)
    4.0
    """
    return eps_null + guidance * (eps_label - eps_null)
