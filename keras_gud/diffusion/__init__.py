"""The equations of the diffusion, one concept a file."""

from keras_gud.diffusion.guidance import Guided, gradient, guided_eps
from keras_gud.diffusion.noising_state import (
    NoisingState,
    probability_flow,
    score_from_eps,
    v_from_eps,
    z0_from_eps,
)
from keras_gud.diffusion.prediction import PREDICTIONS, linear_eps
from keras_gud.diffusion.weighting import WEIGHTINGS

__all__ = [
    "PREDICTIONS",
    "WEIGHTINGS",
    "Guided",
    "NoisingState",
    "gradient",
    "guided_eps",
    "linear_eps",
    "probability_flow",
    "score_from_eps",
    "v_from_eps",
    "z0_from_eps",
]
