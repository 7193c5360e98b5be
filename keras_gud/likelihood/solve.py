"""One solve of the flow with its divergence: pure functions, and the same compiled.

y(t) = (z(t), int_0^t div(dz/ds) ds / d)     from t = 0 to 1, by `samplers.solver`
"""

import functools
from typing import Any

from keras import ops

from keras_gud.core.compiled import CompiledWithVariables
from keras_gud.core.types import Array, DenoiserFunction, Shape, Tensor
from keras_gud.diffusion.noised_gaussian import diagonal_log_density
from keras_gud.likelihood.divergence import FlowWithDivergence, Given, signs
from keras_gud.samplers.contract import Schedule, StateAt
from keras_gud.samplers.loop import Path
from keras_gud.samplers.solver import AdaptiveSolver, SolverState


class Solve:
    """The pieces of a solve, pure functions of tensors.

    Args:
        solver: The integrator.
        count: Number of probes of the trace; 0 for the exact one.
        denoiser: Callable ``(z, state, **condition) -> eps``.
        schedule: The schedule.
        shape: Shape of one state.
        given: Mask of the components that stay at the state of t = 0, or `None`.
        matched: Whether p_1 is the denoiser's `log_start`, if it has one, or N(0, 1).

    Attributes:
        exact: Whether the trace is.
    """

    def __init__(
        self,
        solver: AdaptiveSolver,
        count: int,
        denoiser: DenoiserFunction,
        schedule: Schedule,
        shape: Shape,
        given: Array | None,
        matched: bool,
    ) -> None:
        self.solver, self.count, self.exact = solver, max(count, 1), count == 0
        self.denoiser: Any = denoiser
        self.schedule, self.shape = schedule, shape
        self.given, self.matched = given, matched

    def _path(self, params: dict[str, Tensor]) -> StateAt:
        path = Path(self.schedule, params)
        return path if self.given is None else Given(path, self.given)

    def _field(self, keys, params, condition) -> FlowWithDivergence:
        denoiser = functools.partial(self.denoiser, **condition)
        probes = None if self.exact else signs(keys, self.count, self.shape)
        return FlowWithDivergence(denoiser, self._path(params), probes)

    def begin(
        self, z: Tensor, keys: Tensor, params: dict[str, Tensor], condition: dict[str, Tensor]
    ) -> SolverState:
        """The state at t = 0; see `AdaptiveSolver.begin`.

        Args:
            z: States at t = 0, ``(batch, *shape)``.
            keys: int32 ``(batch, 2)``, keys of the probes.
            params: The schedule's parameters.
            condition: What the denoiser is conditioned on beside the state.
        """
        zeros = ops.zeros((ops.shape(z)[0], self.count), z.dtype)
        start, end = (ops.cast(t, z.dtype) for t in (0.0, 1.0))
        return self.solver.begin(self._field(keys, params, condition), (z, zeros), start, end)

    def advance(
        self,
        state: SolverState,
        keys: Tensor,
        params: dict[str, Tensor],
        condition: dict[str, Tensor],
        bounds: tuple[Tensor, Tensor],
    ) -> SolverState:
        """The state after steps up to `bounds`, end and tries; see `AdaptiveSolver.advance`."""
        return self.solver.advance(self._field(keys, params, condition), state, *bounds)

    def start(self, z: Tensor, params: dict[str, Tensor]) -> Tensor:
        """Log p_1(z(1)) of states at t = 1, ``(batch,)`` in nats."""
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
