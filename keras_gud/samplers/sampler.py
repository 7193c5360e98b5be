"""What all samplers share: arguments, batches, seeds per sample, intermediate states, progress.

A sampler integrates the reverse process from noise (t = 1) to data (t = 0): the reverse SDE
``dz = -beta/2 (z + 2 score) dt + sqrt(beta) dw`` (paper eq. 9), or the probability flow
``dz/dt = -beta/2 (z + score)`` (paper eq. 25), which has the same marginals. A subclass implements
`step`, from one time to the next; the compiled loop around it is in `loop.py`.
"""

import itertools
from collections.abc import Callable
from typing import Any

import numpy as np
from keras import ops

from keras_gud.core.arguments import check_integer
from keras_gud.core.lru_cache import LRUCache
from keras_gud.core.registry import Registry, require_one_of
from keras_gud.core.types import DenoiserFunction, Shape, Tensor, TensorLike
from keras_gud.samplers.contract import Carry, Clock, Draw, Report, Schedule, StateAt, Times
from keras_gud.samplers.loop import MAX_LOOPS, Loop
from keras_gud.samplers.one_step import take_step
from keras_gud.samplers.run import Run, check_times, sample_shape
from keras_gud.samplers.spacing import SPACINGS

STARTS = ("matched", "prior")


class Sampler:
    """Base class: integrates the reverse process in component space.

    Args:
        steps: Number of steps.
        spacing: Where the steps lie: ``"uniform"`` in t, ``"quadratic"`` (closer together towards
            the end, that is towards the data), or ``"cosine"`` (closer at both ends).

    Attributes:
        two_way: Whether it can also integrate from data to noise.
        stochastic: Whether it solves the reverse SDE, whose result is a random draw given z; that
            of the probability flow is a function of z.
        independent_rows: Whether a sample's steps do not depend on the others of its batch.
        statistics: Counts of steps by batch, of the last run of `AdaptiveRungeKutta`; else empty.

    Raises:
        ValueError: for steps < 1 or an unknown spacing.
    """

    two_way = False
    stochastic = False
    independent_rows = True

    def __init__(self, steps: int = 1000, spacing: str = "uniform") -> None:
        self.steps = check_count("steps", steps)
        require_one_of("spacing", spacing, SPACINGS)
        self.spacing = spacing
        self.statistics: list[dict] = []
        self._compiled = LRUCache(MAX_LOOPS)

    def initial_memory(self, z: Tensor) -> tuple[Tensor, ...]:
        """The memory that the first step is given: tensors of the shape of z (default: none)."""
        return ()

    def step(
        self,
        denoiser: DenoiserFunction,
        state_at: StateAt,
        z: Tensor,
        memory: tuple[Tensor, ...],
        clock: Clock,
        draw: Draw,
    ) -> tuple[Tensor, tuple[Tensor, ...]]:
        """One step from time ``clock(0)`` to ``clock(1)``.

        Args:
            denoiser: Callable ``(z, state) -> eps``.
            state_at: Callable from a time to the `NoisingState` at that time.
            z: Components, ``(batch, *data_shape)``.
            memory: What the step before returned beside its components.
            clock: Callable k -> the time k steps from now, a scalar float32 tensor (`clock_of`).
            draw: Callable ``draw(k=0)`` that returns the k-th standard normal noise of this step.

        Returns:
            The components at ``clock(1)`` and the memory for the next step, a tuple of as many
            tensors as `initial_memory`.
        """
        raise NotImplementedError("A Sampler implements step(...).")

    def __call__(
        self,
        denoiser: DenoiserFunction,
        schedule: Schedule,
        n: int,
        *,
        shape: Shape | None = None,
        denoise: bool = False,
        start: str = "matched",
        **arguments: Any,
    ) -> np.ndarray | tuple[np.ndarray, np.ndarray]:
        """Draws samples of the components at t = 0.

        Args:
            denoiser: Callable ``(z, state, **condition) -> eps`` in component space. If it reads
                Keras variables, it lists them in `variables`: new values then take effect.
            schedule: An adapted `ComponentSchedule`.
            n: Number of samples.
            shape: Shape of one sample; default: `denoiser.data_shape`.
            denoise: Whether to return the denoiser's mean of the clean components given z(0)
                instead of z(0) itself (gamma(0) is finite, so z(0) has a little noise left).
            start: What z(1) is: ``"matched"``, Gaussian with the moments of noised data as far as
                the denoiser knows them (its method ``start(noise, state)``), or ``"prior"``,
                N(0, 1), which the data reach only in the limit of a large gamma(1).
            **arguments: Those of `integrate`, but for `times`.

        Returns:
            As `integrate`.

        Raises:
            ValueError: for n < 1, an unknown start, or arguments that `integrate` refuses.

        Example:

        >>> import numpy as np
        >>> from keras_gud import samplers, schedules
        >>> schedule = schedules.get("vp"); schedule.adapt(variance=np.ones(3))
        >>> noise = lambda z, state: state.sigma * z      # exact for data N(0, 1)
        >>> samplers.EulerMaruyama(steps=10)(noise, schedule, n=4, shape=(3,)).shape
        (4, 3)
        """
        n = check_count("n", n)
        shape = sample_shape(denoiser, shape)
        require_one_of("start", start, STARTS)
        loop = self.loop_of(denoiser, schedule, shape, start == "matched")
        run = Run(self, loop, schedule, n, (1.0, 0.0), **arguments)
        return run(lambda keys, rows, params: loop.start(keys, params), denoise)

    def integrate(
        self,
        denoiser: DenoiserFunction,
        schedule: Schedule,
        z: TensorLike,
        times: tuple[float, float] = (1.0, 0.0),
        *,
        denoise: bool = False,
        **arguments: Any,
    ) -> np.ndarray | tuple[np.ndarray, np.ndarray]:
        """Takes given components from one time of the schedule to another.

        Args:
            denoiser: See `__call__`.
            schedule: An adapted `ComponentSchedule`.
            z: Components at ``times[0]``, array ``(n, *data_shape)``.
            times: Start and end, two different numbers in [0, 1]. Samplers with ``two_way = True``
                (Runge-Kutta methods of the probability flow) also go from data to noise,
                ``times=(0.0, 1.0)``.
            denoise: Whether to return the denoiser's mean of the clean components given z at the
                end, instead of that z.
            **arguments: `steps` overrides the number of steps; `seed` and `first`: the noise of
                sample i depends on (seed, first + i) alone, not on n or the batch size, or on
                (seed, first[i]) where `first` has n integers; `batch_size`: samples computed at a
                time (default: all); `states`: number of intermediate states to return as well, at
                evenly spaced steps; `progress`: whether to show a progress bar; `condition`: what
                the denoiser is conditioned on beside the state, a dict of arrays with one row or
                one for each sample, whose values need no new compilation; and the schedule's
                parameters: those left open take the middle of their range.

        Returns:
            float32 NumPy array ``(n, *data_shape)``. With `states`, a pair of that and an array
            ``(states + 1, n, *data_shape)`` of z on the way, both ends included.

        Raises:
            ValueError: for times outside [0, 1], or the wrong way round; counts < 1, a condition
                with another number of rows, or an unknown parameter of the schedule.
            ToleranceError: of `AdaptiveRungeKutta`, if it cannot meet its tolerance.

        Example:

        >>> import numpy as np
        >>> from keras_gud import oracle, samplers, schedules
        >>> schedule = schedules.get("vp"); schedule.adapt(variance=np.ones(3))
        >>> truth = oracle.Gaussian(np.zeros(3), np.eye(3))
        >>> z = np.ones((4, 3), "float32")
        >>> samplers.get("rk4").integrate(truth, schedule, z, times=(0.0, 1.0), steps=5).shape
        (4, 3)
        """
        z = np.asarray(ops.convert_to_numpy(z), "float32")
        times = check_times(times, type(self).__name__, self.two_way)
        loop = self.loop_of(denoiser, schedule, z.shape[1:], False)
        run = Run(self, loop, schedule, check_count("n", len(z)), times, **arguments)
        return run(lambda keys, rows, params: run.rows.shard(z[rows]), denoise)

    # -- the compiled part ----------------------------------------------------------------------

    @property
    def fixed_steps(self) -> bool:
        """Whether it takes as many steps as it is given; `AdaptiveRungeKutta` does not."""
        return type(self).advance is Sampler.advance

    @property
    def equal_steps(self) -> bool:
        """Whether all steps are of the same length in t."""
        return self.fixed_steps and self.spacing == "uniform"

    def begin(
        self, denoiser: DenoiserFunction, state_at: StateAt, z: Tensor, times: Times
    ) -> Carry:
        """What `advance` hands from step to step; its first entry is z. Arguments as there."""
        return (z, *self.initial_memory(z))

    def advance(
        self,
        denoiser: DenoiserFunction,
        state_at: StateAt,
        carry: Carry,
        times: Times,
        bounds: tuple[Tensor, ...],
        draw_at: Callable[[Tensor], Tensor],
    ) -> Carry:
        """Takes some of the steps.

        Args:
            denoiser: See `step`.
            state_at: See `step`.
            carry: From `begin` or `advance`.
            times: Start and end of all steps.
            bounds: ``(i0, i1, steps)``: takes steps i0 .. i1 - 1 of `steps`, int32 scalars.
            draw_at: Callable from a counter to standard normal noise of the shape of z.
        """
        i0, i1, steps = bounds

        def body(i, carry):
            return take_step(self, denoiser, state_at, carry, times, (i, steps), draw_at)

        return ops.fori_loop(i0, i1, body, tuple(carry))

    def run_batch(
        self,
        loop: Loop,
        carry: Carry,
        arguments: tuple[Any, ...],
        steps: int,
        states: int,
        report: Report | None,
    ) -> list[Tensor]:
        """Takes all steps of one batch, by calls of the compiled `advance`.

        Args:
            loop: The `Loop`.
            carry: From `begin`.
            arguments: Of the loop's `advance`: keys, parameters, condition, times.
            steps: Number of steps.
            states: Number of intermediate states, after equally many steps each, >= 1.
            report: `None`, or a function that is called with the fraction of the steps taken.

        Returns:
            z at the start and at each of these states, a list of ``states + 1``.
        """
        wanted = [round(steps * i / states) for i in range(states + 1)]
        reports = {steps * i // 50 for i in range(51)} if report else set()
        reached = {0: carry[0]}
        for i0, i1 in itertools.pairwise(sorted({0, *wanted, *reports})):
            bounds = np.int32(i0), np.int32(i1), np.int32(steps)
            carry = loop.advance(carry, *arguments, bounds)
            if i1 in wanted:
                reached[i1] = carry[0]
            if report:
                report(i1 / steps)
        return [reached[i] for i in wanted]

    def loop_of(
        self, denoiser: DenoiserFunction, schedule: Schedule, shape: Shape, matched: bool = False
    ) -> Loop:
        """The compiled `Loop` of this sampler with these arguments (see there), made once."""
        key = (id(denoiser), id(schedule), shape, matched)
        return self._compiled.get_or_make(
            key, lambda: Loop(self, denoiser, schedule, shape, matched)
        )

    def get_config(self) -> dict[str, Any]:
        """The constructor's arguments."""
        return {"steps": self.steps, "spacing": self.spacing}

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> "Sampler":
        """Makes a sampler from `get_config`."""
        return cls(**config)


def check_count(name: str, value: Any) -> int:
    """A positive integer, or a `ValueError` that names the argument."""
    return check_integer(name, value, 1)


registry = Registry("sampler", Sampler)
