"""Log-likelihood by the probability flow (paper eq. 25 and app. B; DESIGN sec. 3.8).

    log p(z(0)) = log p_1(z(1)) + int_0^1 div(dz/dt) dt          along dz/dt = -beta/2 (z + score)

p_1 is the density that sampling starts from (`diffusion.terminal`), the divergence is in
`divergence`. Conditional on some components, beta = 0 for these: they stay where they are, the
trace is that of the others, and p_1 is the conditional Gaussian.
"""

import inspect
import math
from collections.abc import Callable
from typing import Any

import numpy as np
from keras import ops

from keras_gud.core import counter_rng
from keras_gud.core.arguments import check_integer
from keras_gud.core.progress import Progress
from keras_gud.core.registry import require_one_of
from keras_gud.core.types import Array, ArrayLike, DenoiserFunction, Shape, Tensor, TensorLike
from keras_gud.likelihood.solve import CompiledSolve, Solve
from keras_gud.samplers.contract import Schedule
from keras_gud.samplers.run import ShardedRows, check_rows, rows_of_batch, take_rows
from keras_gud.samplers.sampler import STARTS
from keras_gud.samplers.solver import AdaptiveSolver, SolverState

TRACES = ("auto", "exact", "hutchinson")
# The exact trace costs a Jacobian-vector product for every component.
_EXACT_UP_TO = 16


class FlowLikelihood:
    """``log p(z(0)) = log p_1(z(1)) + int_0^1 div(dz/dt) dt`` along the probability flow.

    It is the density of the state at t = 0, which has the noise of gamma(0) in it.

    Args:
        trace: ``"exact"``, ``"hutchinson"`` (an unbiased estimate), or ``"auto"``: exact for up to
            16 components.
        probes: Number of random vectors of Hutchinson's estimate, fixed throughout a solve; one
            Jacobian-vector product each.
        rtol: Relative tolerance of a step; the paper's is 1e-4.
        atol: Absolute tolerance of a step.
        method: As in `samplers.AdaptiveRungeKutta`.
        steps: Limit on the number of steps tried.

    Attributes:
        statistics: For each batch of the last call, accepted and rejected steps and evaluations.

    Raises:
        ValueError: for unknown names or values out of range.
    """

    def __init__(
        self,
        trace: str = "auto",
        probes: int = 1,
        rtol: float = 1e-4,
        atol: float = 1e-4,
        method: str = "tsit5",
        steps: int = 10_000,
    ) -> None:
        require_one_of("trace", trace, TRACES)
        self.trace, self.probes = trace, check_integer("probes", probes, 1)
        self.steps = check_integer("steps", steps, 1)
        self.solver = AdaptiveSolver(method, rtol, atol)
        self.statistics: list[dict] = []
        self._compiled: dict[tuple, CompiledSolve] = {}

    def __call__(
        self,
        denoiser: DenoiserFunction,
        schedule: Schedule,
        z: TensorLike,
        *,
        given: ArrayLike | None = None,
        start: str = "matched",
        seed: int = 0,
        first: int = 0,
        batch_size: int | None = None,
        condition: dict[str, ArrayLike] | None = None,
        progress: bool = False,
        **params: Any,
    ) -> dict[str, Array]:
        """Log-likelihood of states at t = 0.

        Args:
            denoiser: Callable ``(z, state, **condition) -> eps``; see `samplers.Sampler`.
            schedule: An adapted `ComponentSchedule`.
            z: States ``(n, *data_shape)``.
            given: Boolean array that broadcasts to `data_shape`: the likelihood is that of the
                others, conditional on these, which stay where they are.
            start: The density p_1: ``"matched"``, the Gaussian of the denoiser's method
                ``log_start(z, state, given)``, or ``"prior"``, N(0, 1).
            seed: Seed of the probes: those of sample i depend on (seed, first + i) alone.
            first: Index of the first sample.
            batch_size: Samples per batch; the last one is filled up. Default: all.
            condition: What the denoiser is conditioned on beside the state, see `samplers.Sampler`.
            progress: Whether to show a progress bar.
            **params: The schedule's parameters; those left open take the middle of their range.

        Returns:
            Dict of float64 arrays ``(n,)`` in nats: ``"start"``, log p_1(z(1)); ``"divergence"``,
            the integral; ``"log_prob"``, their sum; and ``"standard_error"`` of that, from the
            spread between probes: 0 for the exact trace, NaN for a single probe.

        Raises:
            ValueError: for NaN in z, or an unusable `given` or `start`.
            ToleranceError: if the tolerance cannot be met.
        """
        z = np.asarray(ops.convert_to_numpy(z), "float32")
        _check_states(z)
        mask = check_given(given, z.shape[1:])
        require_one_of("start", start, STARTS)
        # The density depends on the path, not on the pace.
        path = schedule.unwarped() if hasattr(schedule, "unwarped") else schedule
        functions = self._functions(denoiser, path, z.shape[1:], mask, start)
        arguments = (
            schedule.resolve(params, others=_ARGUMENTS),
            {name: np.asarray(value) for name, value in (condition or {}).items()},
        )
        for part in arguments:
            check_rows(part, len(z))
        size = len(z) if batch_size is None else check_integer("batch_size", batch_size, 1)
        divided = ShardedRows(size, independent=False)  # a batch shares its steps
        starts = range(0, len(z), divided.count)
        shown = Progress(100 * len(starts), "part", progress)
        self.statistics, results = [], []
        for b, at in enumerate(starts):
            rows = rows_of_batch(at, divided.count, len(z))
            keys = counter_rng.sample_keys(seed, divided.count, first + at)
            conditions = [take_rows(part, rows) for part in arguments]

            def report(t: float, b: int = b) -> None:
                shown.update(round(100 * (b + t)))

            batch = divided.shard((z[rows], keys, conditions))
            terms = self._solve(functions, batch, report if progress else None)
            results.append([divided.gather(term)[: len(z) - at] for term in terms])
        log_start, integrals = (np.concatenate(part) for part in zip(*results, strict=True))
        return _terms(log_start, integrals, functions.exact)

    def _solve(
        self, functions: CompiledSolve, batch: tuple, report: Callable[[float], None] | None
    ) -> tuple[Tensor, Tensor]:
        """Log p_1 ``(batch,)`` and the integrals ``(batch, probes)`` of one batch."""
        z, keys, (params, condition) = batch

        def advance(state, bounds):
            return functions.advance(state, keys, params, condition, bounds)

        state = SolverState(*functions.begin(z, keys, params, condition))
        state = self.solver.reach(advance, state, 1.0, self.steps, report)
        self.statistics.append(self.solver.statistics(state))
        end, integral = state.y
        return functions.start(end, params), integral * math.prod(z.shape[1:])

    def _functions(self, denoiser, schedule, shape, given, start) -> CompiledSolve:
        """The compiled functions for these parts, made once."""
        mask = None if given is None else given.tobytes()
        key = (id(denoiser), id(schedule), shape, mask, start)
        if key not in self._compiled:
            self._compiled[key] = CompiledSolve(
                self._parts(denoiser, schedule, shape, given, start == "matched")
            )
        return self._compiled[key]

    def _parts(self, denoiser, schedule, shape, given=None, matched=True) -> Solve:
        small = self.trace == "auto" and math.prod(shape) <= _EXACT_UP_TO
        count = 0 if small or self.trace == "exact" else self.probes
        return Solve(self.solver, count, denoiser, schedule, shape, given, matched)

    def in_graph(
        self,
        denoiser: DenoiserFunction,
        schedule: Any,
        z: Tensor,
        keys: Tensor,
        params: dict[str, Tensor],
        condition: dict[str, Tensor],
    ) -> Tensor:
        """Log-likelihood within a compiled function: a pure function of tensors.

        Args:
            denoiser: As in a call.
            schedule: An adapted `ComponentSchedule`.
            z: States, tensor ``(batch, *data_shape)``.
            keys: int32 ``(batch, 2)``, keys of the probes (`counter_rng.sample_keys`).
            params: All parameters of the schedule.
            condition: As in a call, tensors.

        Returns:
            float32 ``(batch,)`` in nats; NaN if the tolerance cannot be met.
        """
        shape = tuple(z.shape[1:])
        solve = self._parts(denoiser, schedule.unwarped(), shape)
        one = ops.cast(1.0, z.dtype)
        state = solve.begin(z, keys, params, condition)
        state = solve.advance(state, keys, params, condition, (one, self.steps))
        end, integral = state.y
        total = solve.start(end, params) + math.prod(shape) * ops.mean(integral, axis=1)
        return ops.where(state.t == one, total, np.nan)


def log_prob(
    denoiser: DenoiserFunction, schedule: Schedule, z: TensorLike, **arguments: Any
) -> dict[str, Array]:
    """Log-likelihood of states at t = 0 by the probability flow, every term by name.

    Args:
        denoiser: Callable ``(z, state) -> eps`` in component space.
        schedule: An adapted `ComponentSchedule`.
        z: States ``(n, *data_shape)``.
        **arguments: Those of `FlowLikelihood` and of its call.

    Returns:
        See `FlowLikelihood`.

    Example:

    >>> import numpy as np
    >>> from keras_gud import oracle, schedules
    >>> truth = oracle.Gaussian(np.zeros(2), np.eye(2))
    >>> schedule = schedules.get("vp"); schedule.adapt(variance=np.ones(2))
    >>> terms = log_prob(truth, schedule, np.zeros((1, 2)))
    >>> round(float(terms["log_prob"][0]), 3)
    -1.838
    """
    own = inspect.signature(FlowLikelihood).parameters
    settings = {name: arguments.pop(name) for name in own if name in arguments}
    return FlowLikelihood(**settings)(denoiser, schedule, z, **arguments)


_ARGUMENTS = (
    *inspect.signature(FlowLikelihood).parameters,
    *inspect.signature(FlowLikelihood.__call__).parameters,
)


def check_given(given: ArrayLike | None, shape: Shape) -> Array | None:
    """The mask `given` in the data's shape, or a `ValueError`; `None` if nothing is given."""
    if given is None:
        return None
    expected = f"Expected `given` to be a boolean array that broadcasts to {tuple(shape)}."
    try:
        mask = np.asarray(given)
    except ValueError as error:  # rows of different lengths
        raise ValueError(f"{expected} Received: given={given!r}.") from error
    try:
        whole = np.broadcast_to(mask, shape)
    except ValueError:
        whole = None
    if mask.dtype != bool or whole is None:
        raise ValueError(
            f"{expected} Received: given of dtype {mask.dtype} and shape {mask.shape}."
        )
    if whole.all():
        raise ValueError("Expected `given` to leave some components. Received: True everywhere.")
    return whole.copy() if whole.any() else None


def _check_states(z: Array) -> None:
    if z.ndim < 2 or len(z) == 0:
        raise ValueError(
            f"Expected states of shape (n, *data_shape) with n >= 1. Received: shape {z.shape}."
        )
    if not np.isfinite(z).all():
        bad = int((~np.isfinite(z)).reshape(len(z), -1).any(axis=1).argmax())
        raise ValueError(f"Expected finite states. Received: NaN or inf, first in example {bad}.")


def _terms(start: Array, integrals: Array, exact: bool) -> dict[str, Array]:
    """The terms by name; `integrals` has one column for each probe."""
    start, integrals = start.astype("float64"), integrals.astype("float64")
    divergence, probes = integrals.mean(axis=1), integrals.shape[1]
    error = np.full_like(divergence, 0.0 if exact else np.nan)
    if probes > 1:
        error = integrals.std(axis=1, ddof=1) / math.sqrt(probes)
    return {
        "start": start,
        "divergence": divergence,
        "log_prob": start + divergence,
        "standard_error": error,
    }
