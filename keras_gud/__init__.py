"""Generation with Unified Diffusion: component-wise diffusion models in Keras 3."""

from keras_gud import choose_backend  # noqa: F401  (first, before Keras is imported)

# isort: split
from keras_gud import (
    backbones,
    bases,
    callbacks,
    conditioning,
    datasets,
    diffusion,
    likelihood,
    metrics,
    oracle,
    paths,
    plots,
    presets,
    pretrained,
    priors,
    regions,
    samplers,
    schedules,
    tasks,
)
from keras_gud.diffusion import NoisingState
from keras_gud.models.gud import GUD
from keras_gud.models.gud_model import GUDModel
from keras_gud.models.latent_gud import LatentGUD
from keras_gud.pretrained import load
from keras_gud.training.non_finite import NonFiniteLossError
from keras_gud.version import __version__

__all__ = [
    "GUD",
    "GUDModel",
    "LatentGUD",
    "NoisingState",
    "NonFiniteLossError",
    "__version__",
    "backbones",
    "bases",
    "callbacks",
    "conditioning",
    "datasets",
    "diffusion",
    "likelihood",
    "load",
    "metrics",
    "oracle",
    "paths",
    "plots",
    "presets",
    "pretrained",
    "priors",
    "regions",
    "samplers",
    "schedules",
    "tasks",
]


def __dir__() -> list[str]:
    """The public names, for completion."""
    return __all__
