"""Samplers: numerical integration of the reverse process, in component space."""

import functools

from keras_gud.samplers.euler_maruyama import EulerMaruyama
from keras_gud.samplers.exponential import DPMSolver
from keras_gud.samplers.runge_kutta import RungeKutta
from keras_gud.samplers.sampler import Sampler, check_count, registry

registry.add("euler_maruyama", EulerMaruyama)
registry.add("ddim", functools.partial(DPMSolver, order=1))
registry.add("ancestral", functools.partial(DPMSolver, order=1, stochastic=True))
registry.add("dpm++", DPMSolver)
registry.add("dpm++sde", functools.partial(DPMSolver, stochastic=True))
registry.add("unipc", functools.partial(DPMSolver, corrector=True))
registry.add("heun", functools.partial(RungeKutta, "heun"))
registry.add("bogacki_shampine", functools.partial(RungeKutta, "bogacki_shampine"))
registry.add("rk4", functools.partial(RungeKutta, "rk4"))

get = registry.get

__all__ = ["DPMSolver", "EulerMaruyama", "RungeKutta", "Sampler", "check_count", "get", "registry"]
