"""One solve of the flow with its divergence: pure functions, and the same compiled."""

import functools

from keras import ops

from keras_gud.core.compiled import CompiledWithVariables
from keras_gud.diffusion.noised_gaussian import diagonal_log_density
from keras_gud.likelihood.divergence import FlowWithDivergence, Given, signs
from keras_gud.samplers.loop import Path


class Solve:
    """The pieces of a solve, pure functions of tensors."""

    def __init__(self, solver, count, denoiser, schedule, shape, given, matched):
        self.solver, self.count, self.exact = solver, max(count, 1), count == 0
        self.denoiser, self.schedule, self.shape = denoiser, schedule, shape
        self.given, self.matched = given, matched

    def _path(self, params):
        path = Path(self.schedule, params)
        return path if self.given is None else Given(path, self.given)

    def _field(self, keys, params, condition):
        told = functools.partial(self.denoiser, **condition)
        probes = None if self.exact else signs(keys, self.count, self.shape)
        return FlowWithDivergence(told, self._path(params), probes)

    def begin(self, z, keys, params, condition):
        """See `AdaptiveSolver.begin`."""
        zeros = ops.zeros((ops.shape(z)[0], self.count), z.dtype)
        ends = (ops.cast(t, z.dtype) for t in (0.0, 1.0))
        return self.solver.begin(self._field(keys, params, condition), (z, zeros), *ends)

    def advance(self, carry, keys, params, condition, bounds):
        """See `AdaptiveSolver.advance`."""
        return self.solver.advance(self._field(keys, params, condition), carry, *bounds)

    def start(self, z, params):
        """Log p_1(z(1)), ``(batch,)``."""
        if self.matched and hasattr(self.denoiser, "log_start"):
            return self.denoiser.log_start(z, self._path(params)(1.0), self.given)
        return diagonal_log_density(z, 1.0, self.given)


class CompiledSolve(CompiledWithVariables):
    """Those pieces compiled."""

    def __init__(self, solve: Solve) -> None:
        super().__init__(solve.denoiser, solve.schedule)
        self.exact = solve.exact
        self.begin = self.compile(solve.begin)
        self.advance = self.compile(solve.advance)
        self.start = self.compile(solve.start)
