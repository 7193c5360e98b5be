"""Predictor-corrector sampling (Song et al. 2021, arXiv:2011.13456, algorithms 2 and 4)."""

import keras
from keras import ops

from keras_gud.core.arguments import check_integer, check_positive
from keras_gud.core.registry import PACKAGE
from keras_gud.diffusion.noising_state import score_from_eps
from keras_gud.samplers.sampler import Sampler, registry


@registry.register("predictor_corrector")
@keras.saving.register_keras_serializable(package=PACKAGE)
class PredictorCorrector(Sampler):
    """Each step of another sampler, followed by steps of Langevin dynamics at the new noise level.

    A correction is ``z + e score + sqrt(2 e) n`` with ``e_i = 2 (snr sigma_i)^2``: the published
    step ``2 (snr |n|/|score|)^2`` with the score's size, 1/sigma_i, component by component. It
    leaves the marginal as it is, up to the error of its own step, and forgets the errors of the
    predictor. Components that are frozen in a step are not corrected.

    Args:
        predictor: A one-step sampler by name, config or instance.
        corrections: Corrections after each step, >= 0; one network evaluation each.
        snr: Size of a correction, > 0.
        steps: Number of steps of the predictor.
        spacing: Where the steps lie, see `Sampler`.

    Raises:
        ValueError: for an unknown predictor or one that chooses its own steps, or values out of
            range.
    """

    def __init__(
        self,
        predictor="ancestral",
        corrections: int = 1,
        snr: float = 0.16,
        steps: int = 500,
        spacing: str = "uniform",
    ):
        super().__init__(steps, spacing)
        self.predictor = registry.get(predictor)
        if type(self.predictor).advance is not Sampler.advance:
            raise ValueError(
                "Expected a `predictor` with fixed steps. "
                f"Received: predictor={type(self.predictor).__name__}."
            )
        self.corrections = check_integer("corrections", corrections, 0)
        self.snr = check_positive("snr", snr)

    def first_memory(self, z):
        """The predictor's."""
        return self.predictor.first_memory(z)

    def step(self, denoiser, state_at, z, memory, clock, draw):
        """See `Sampler.step`."""
        before, state = state_at(clock(0)), state_at(clock(1))
        z, memory = self.predictor.step(denoiser, state_at, z, memory, clock, draw)
        moving = ops.cast(before.gamma != state.gamma, z.dtype)
        size = moving * 2.0 * ops.square(self.snr * state.sigma)
        for k in range(1, self.corrections + 1):
            score = score_from_eps(denoiser(z, state), state)
            z = z + size * score + ops.sqrt(2.0 * size) * draw(k)
        return z, memory

    def get_config(self):
        """The constructor's arguments."""
        return super().get_config() | {
            "predictor": keras.saving.serialize_keras_object(self.predictor),
            "corrections": self.corrections,
            "snr": self.snr,
        }
