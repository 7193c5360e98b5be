"""Samplers: numerical integration of the reverse process, in component space."""

from keras_gud.core.registry import discover
from keras_gud.samplers.adaptive import AdaptiveRungeKutta
from keras_gud.samplers.euler_maruyama import EulerMaruyama
from keras_gud.samplers.exponential import DPMSolver
from keras_gud.samplers.predictor_corrector import PredictorCorrector
from keras_gud.samplers.runge_kutta import RungeKutta
from keras_gud.samplers.sampler import SPACINGS, Sampler, check_count, registry
from keras_gud.samplers.solver import ToleranceError

discover(__name__)
get = registry.get

__all__ = [
    "SPACINGS",
    "AdaptiveRungeKutta",
    "DPMSolver",
    "EulerMaruyama",
    "PredictorCorrector",
    "RungeKutta",
    "Sampler",
    "ToleranceError",
    "check_count",
    "get",
    "registry",
]
