"""Samplers: numerical integration of the reverse process, in component space."""

from keras_gud.samplers.euler_maruyama import EulerMaruyama
from keras_gud.samplers.sampler import Sampler, check_count, registry

registry.add("euler_maruyama", EulerMaruyama)

get = registry.get

__all__ = ["EulerMaruyama", "Sampler", "check_count", "get"]
