"""Samples of clean components given noisy observations of some of them (DESIGN sec. 3.10).

An observation is a noising state; the reverse process leads from it to the data along
``min(gamma(t), gamma_observed)``. That is exact for an exact denoiser, within the sampler's error
and that of the noise of gamma(0).
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
from keras import ops

from keras_gud import samplers
from keras_gud.core import counter_rng
from keras_gud.core.arguments import check_integer
from keras_gud.core.compiled import CompiledWithVariables
from keras_gud.core.registry import require_one_of
from keras_gud.core.types import DenoiserFunction, Identifier, Shape, Tensor
from keras_gud.diffusion.noising_state import z0_from_eps
from keras_gud.samplers.run import check_rows, rows_of_batch, take_rows
from keras_gud.schedules import ComponentSchedule
from keras_gud.tasks.capped import Capped
from keras_gud.tasks.observation import Observation, ObservedPath

STARTS = ("estimate", "matched", "prior")
# Counters of the noise; the sampler's own draws are numbered from 0.
_INPUT, _NOISE = -1, -2


class CompiledStart(CompiledWithVariables):
    """The components that the reverse process starts from, compiled.

    Observed components are the observation with the noise added that it lacks to its cap. The
    others must not start as independent noise, since at a finite gamma(1) they still depend on what
    was observed: they start at ``alpha z0_hat + sigma eps`` with the denoiser's own estimate.

    Args:
        denoiser: Callable ``(z, state, **condition) -> eps``.
        capped: The `Capped` schedule.
        shape: Shape of one sample.
        start: See `draw`.

    Attributes:
        run: Compiled function ``(keys, z0, extra, t, params, condition)`` that returns z
            at time t and the mean of the clean components given what went into the denoiser.
    """

    def __init__(
        self, denoiser: DenoiserFunction, capped: Capped, shape: Shape, start: str
    ) -> None:
        super().__init__(denoiser, capped)

        def unobserved(keys: Tensor, caps: Tensor, **params: Tensor) -> Tensor:
            z = counter_rng.normal(keys, _INPUT, shape)
            if start == "prior" or not hasattr(denoiser, "start"):
                return z
            return denoiser.start(z, capped.schedule(1.0, **params))

        def run(keys, z0, extra, t, params, condition):
            state, eps = capped(t, **params), counter_rng.normal(keys, _NOISE, shape)
            observed = ops.isfinite(params["caps"])
            known = state.alpha * (z0 + extra * eps)
            z = ops.where(observed, known, unobserved(keys, **params))
            estimate = z0_from_eps(z, denoiser(z, state, **condition), state)
            if start == "estimate":
                z = ops.where(observed, known, state.add_noise(estimate, eps))
            return z, estimate

        self.run = self.compile(run)


def draw(
    denoiser: DenoiserFunction,
    schedule: ComponentSchedule,
    observation: Observation,
    draws: int = 1,
    *,
    sampler: Identifier = "dpm++sde",
    steps: int | None = None,
    seed: int = 0,
    batch_size: int | None = None,
    progress: bool = False,
    condition: dict[str, Any] | None = None,
    denoise: bool = True,
    start: str = "estimate",
    until: float = 0.0,
    on_path: Callable[[np.ndarray], None] | None = None,
    **params: Any,
) -> np.ndarray:
    """Draws clean components given an observation of them.

    Args:
        denoiser: Callable ``(z, state, **condition) -> eps`` in component space.
        schedule: An adapted `ComponentSchedule`.
        observation: The `Observation` of n examples.
        draws: Number of draws for each example, >= 1.
        sampler: A name, config or instance (`keras_gud.samplers`). Where observations have noise
            (more than gamma(0)) it must be one of the reverse SDE.
        steps: Number of steps; default: the sampler's.
        seed: Draw r of example i depends on (seed, i, r) alone.
        batch_size: Draws computed at a time (default: all).
        progress: Whether to show a progress bar.
        condition: What the denoiser is conditioned on beside the state: arrays of one row or n.
        denoise: Whether to return the mean of the clean components given z(0), and exactly
            observed ones as they are, or z(0) itself.
        start: What unobserved components start from: ``"estimate"`` (see `CompiledStart`),
            ``"matched"``, the denoiser's `start` where it has one, or ``"prior"``, N(0, 1).
        until: Time at which to stop; with denoise=False the result is z at that time.
        on_path: `None`, or a function that is called once with gamma at a few times of the path,
            ``(k, *data_shape)``.
        **params: The schedule's parameters, one value or n each.

    Returns:
        float32 ``(n, draws, *data_shape)``.

    Raises:
        ValueError: for draws < 1, an unknown start, parameters that the schedule does not have, or
            noisy observations with a sampler that does not solve the reverse SDE.

    Example:

    >>> from keras_gud import oracle, schedules
    >>> schedule = schedules.get("vp"); schedule.adapt(variance=np.ones(2))
    >>> truth = oracle.Gaussian(np.zeros(2), [[1.0, 0.8], [0.8, 1.0]])
    >>> first = Observation(z0=[[2.0, 0.0]], gamma=[-np.inf, np.inf])
    >>> z0 = draw(truth, schedule, first, draws=1000)[0]
    >>> bool((z0[:, 0] == 2.0).all()), bool(abs(z0[:, 1].mean() - 1.6) < 0.1)
    (True, True)
    """
    draws = check_integer("draws", draws, 1)
    require_one_of("start", start, STARTS)
    z0, n = observation.z0, len(observation.z0)
    params = schedule.resolve(params)
    condition = {name: np.asarray(value) for name, value in (condition or {}).items()}
    for part in (params, condition):
        check_rows(part, n)
    path, sampler = ObservedPath(schedule, observation, params), samplers.get(sampler)
    if path.noisy and not sampler.stochastic:
        raise ValueError(
            "Expected a `sampler` of the reverse SDE ('dpm++sde', 'ancestral', 'euler_maruyama') "
            "for noisy observations: from one noisy value the probability flow leads to one clean "
            "value, not to a draw from its posterior; and corrections of a predictor-corrector "
            "change observed components. "
            f"Received: sampler={type(sampler).__name__}."
        )
    if on_path is not None:
        on_path(path.gamma_on_path())
    capped = Capped.of(schedule)
    index = draw_indices(n, draws)
    batch_size = len(index) if batch_size is None else check_integer("batch_size", batch_size, 1)
    batch_size = min(batch_size, len(index))
    rows = _Rows(
        observed=repeat_rows({"z0": z0, "extra": path.extra}, draws),
        params=repeat_rows(params | {"caps": path.caps}, draws),
        condition=repeat_rows(condition, draws),
    )
    compiled = _compiled_start(denoiser, capped, z0.shape[1:], start)
    z, estimate = _start(compiled, path.begin, rows, index, seed, batch_size)
    result = estimate if denoise else z
    if path.begin > until:
        result = sampler.integrate(
            denoiser,
            capped,
            z,
            (path.begin, until),
            denoise=denoise,
            steps=steps,
            seed=seed,
            first=index,
            batch_size=batch_size,
            progress=progress,
            condition=rows.condition,
            **rows.params,
        )
    result = result.reshape(n, draws, *z0.shape[1:])
    exact = np.isneginf(observation.gamma)[:, None]
    return np.where(exact, z0[:, None], result) if denoise else result


class _Rows(NamedTuple):
    """Arrays of one row, or one for each draw of each example."""

    observed: dict[str, np.ndarray]
    params: dict[str, np.ndarray]
    condition: dict[str, np.ndarray]


def _compiled_start(
    denoiser: DenoiserFunction, capped: Capped, shape: Shape, start: str
) -> CompiledStart:
    """Made once for these arguments."""
    return capped.compiled.get_or_make(
        (id(denoiser), shape, start), lambda: CompiledStart(denoiser, capped, shape, start)
    )


def _start(
    compiled: CompiledStart, t: float, rows: _Rows, index: np.ndarray, seed: int, batch_size: int
) -> tuple[np.ndarray, np.ndarray]:
    """What `CompiledStart.run` returns for all draws, batch by batch."""
    results = []
    for at in range(0, len(index), batch_size):
        taken = rows_of_batch(at, batch_size, len(index))
        observed, params, condition = (take_rows(part, taken) for part in rows)
        keys = counter_rng.keys_of(seed, index[taken])
        z0, extra = observed["z0"], observed["extra"]
        result = compiled.run(keys, z0, extra, np.float32(t), params, condition)
        results.append([ops.convert_to_numpy(part)[: len(index) - at] for part in result])
    z, estimate = (np.concatenate(part) for part in zip(*results, strict=True))
    return z, estimate


def draw_indices(n: int, draws: int) -> np.ndarray:
    """For every draw of every example the index of its noise, ``(n * draws,)``."""
    return cantor_pair(*(part.ravel() for part in np.indices((n, draws))))


def cantor_pair(i: Any, r: Any) -> Any:
    """Cantor's number of the pair of integers (i, r) >= 0: another one for every pair.

    >>> [cantor_pair(i, r) for i, r in ((0, 0), (1, 0), (0, 1), (2, 0))]
    [0, 1, 2, 3]
    """
    return (i + r) * (i + r + 1) // 2 + r


def repeat_rows(arrays: dict[str, np.ndarray], draws: int) -> dict[str, np.ndarray]:
    """Each row `draws` times; an array of one row, which holds for all, stays."""
    return {
        name: value if len(value) == 1 else np.repeat(value, draws, axis=0)
        for name, value in arrays.items()
    }
