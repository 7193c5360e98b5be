"""Generation with Unified Diffusion: component-wise diffusion models in Keras 3."""

from keras_gud import (
    backbones,
    bases,
    callbacks,
    datasets,
    guides,
    likelihood,
    metrics,
    objective,
    oracle,
    plots,
    presets,
    pretrained,
    priors,
    process,
    regions,
    samplers,
    schedules,
    tasks,
)
from keras_gud.gud import GUD
from keras_gud.latent_gud import LatentGUD
from keras_gud.model import GUDModel
from keras_gud.pretrained import load
from keras_gud.process import NoisingState
from keras_gud.version import __version__
from keras_gud.watching import NonFiniteLossError

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
    "datasets",
    "guides",
    "likelihood",
    "load",
    "metrics",
    "objective",
    "oracle",
    "plots",
    "presets",
    "pretrained",
    "priors",
    "process",
    "regions",
    "samplers",
    "schedules",
    "tasks",
]
