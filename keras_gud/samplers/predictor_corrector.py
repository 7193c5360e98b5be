"""Predictor-corrector sampling (Song et al. 2021, arXiv:2011.13456, algorithms 2 and 4)."""

from typing import Any

import keras
from keras import ops

from keras_gud.core.arguments import check_integer, check_positive
from keras_gud.core.registry import PACKAGE
from keras_gud.core.types import DenoiserFunction, Identifier, Tensor
from keras_gud.diffusion.noising_state import score_from_eps
from keras_gud.samplers.contract import Clock, Draw, StateAt
from keras_gud.samplers.sampler import Sampler, registry


@registry.register("predictor_corrector")
@keras.saving.register_keras_serializable(package=PACKAGE)
class PredictorCorrector(Sampler):
    """Each step of another sampler, followed by steps of Langevin dynamics at the new noise level.

    A correction is ``z + e score + sqrt(2 e) n`` with n standard normal and ``e_i = 2 (snr
    sigma_i)^2``. That is the published step, ``2 (snr |n|/|score|)^2``, with the typical size
    1/sigma_i of the score in place of its norm, component by component. It leaves the marginal as
    it is, up to the error of its own step, and removes errors of the predictor. Components that are
    frozen in a step are not corrected.

    Args:
        predictor: A sampler with fixed steps by name, config or instance.
        corrections: Corrections after each step, >= 0; one network evaluation each.
        snr: Size of a correction, > 0.
        steps: Number of steps of the predictor, >= 1.
        spacing: Where the steps lie, see `Sampler`.

    Raises:
        ValueError: for an unknown predictor or one that chooses its own steps, or values out of
            range.

    Example:

    >>> import numpy as np
    >>> from keras_gud import oracle, schedules
    >>> schedule = schedules.get("vp"); schedule.adapt(variance=np.ones(2))
    >>> truth = oracle.Gaussian(np.zeros(2), np.eye(2))
    >>> PredictorCorrector("ddim", corrections=2, steps=10)(truth, schedule, n=4, seed=0).shape
    (4, 2)
    """

    def __init__(
        self,
        predictor: Identifier = "ancestral",
        corrections: int = 1,
        snr: float = 0.16,
        steps: int = 500,
        spacing: str = "uniform",
    ) -> None:
        super().__init__(steps, spacing)
        self.predictor = registry.get(predictor)
        if not self.predictor.fixed_steps:
            raise ValueError(
                "Expected a `predictor` with fixed steps. "
                f"Received: predictor={type(self.predictor).__name__}."
            )
        self.corrections = check_integer("corrections", corrections, 0)
        self.snr = check_positive("snr", snr)

    def initial_memory(self, z: Tensor) -> tuple[Tensor, ...]:
        """The predictor's."""
        return self.predictor.initial_memory(z)

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
        before, state = state_at(clock(0)), state_at(clock(1))
        z, memory = self.predictor.step(denoiser, state_at, z, memory, clock, draw)
        moving = ops.cast(before.gamma != state.gamma, z.dtype)
        size = moving * 2.0 * ops.square(self.snr * state.sigma)
        for k in range(1, self.corrections + 1):
            score = score_from_eps(denoiser(z, state), state)
            z = z + size * score + ops.sqrt(2.0 * size) * draw(k)
        return z, memory

    def get_config(self) -> dict[str, Any]:
        """The constructor's arguments."""
        return super().get_config() | {
            "predictor": keras.saving.serialize_keras_object(self.predictor),
            "corrections": self.corrections,
            "snr": self.snr,
        }
