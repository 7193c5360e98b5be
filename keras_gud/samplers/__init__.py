"""Samplers: numerical integration of the reverse process, in component space."""

import functools

from keras_gud.samplers.adaptive import AdaptiveRungeKutta
from keras_gud.samplers.euler_maruyama import EulerMaruyama
from keras_gud.samplers.exponential import DPMSolver
from keras_gud.samplers.predictor_corrector import PredictorCorrector
from keras_gud.samplers.runge_kutta import RungeKutta
from keras_gud.samplers.sampler import SPACINGS, Sampler, check_count, registry
from keras_gud.samplers.solver import ToleranceError

registry.add("euler_maruyama", EulerMaruyama)
registry.add("ddim", functools.partial(DPMSolver, order=1))
registry.add("ancestral", functools.partial(DPMSolver, order=1, stochastic=True))
registry.add("predictor_corrector", PredictorCorrector)
registry.add("dpm++", DPMSolver)
registry.add("dpm++sde", functools.partial(DPMSolver, stochastic=True))
registry.add("unipc", functools.partial(DPMSolver, corrector=True))
for method in ("heun", "bogacki_shampine", "rk4", "tsit5"):
    registry.add(method, functools.partial(RungeKutta, method))
registry.add("adaptive", AdaptiveRungeKutta)

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
