"""What all samplers share: arguments, batches, seeds per sample, intermediate states, progress.

A sampler is a small class with one method, `step`, that takes components from one time to the next.
The compiled loop around it is in `loop.py`.
"""

import itertools

import numpy as np
from keras import ops

from keras_gud.core.arguments import check_integer
from keras_gud.core.lru_cache import Recent
from keras_gud.core.registry import Registry, require_one_of
from keras_gud.samplers.loop import Loop
from keras_gud.samplers.run import Run

STARTS = ("matched", "prior")
# Where the steps lie: functions that map [0, 1] to itself, applied to the part that is left.
SPACINGS = {
    "uniform": lambda left: left,
    "quadratic": ops.square,
    "cosine": lambda left: ops.square(ops.sin(0.5 * np.pi * left)),
}
# Compiled loops that a sampler keeps: more than a model has uses for. Guides that are new functions
# at every call would else pile up.
MOST_LOOPS = 32
# Draws of one step are this far apart in the counters of the noise.
_DRAWS_APART = 2**24


class Sampler:
    """Base class: integrates the reverse process in component space.

    Args:
        steps: Number of steps.
        spacing: Where the steps lie: ``"uniform"`` in t, ``"quadratic"`` (closer together towards
            the end, that is towards the data), or ``"cosine"`` (closer at both ends).

    Attributes:
        two_way: Whether it can also integrate from data to noise.
        stochastic: Whether it solves the reverse SDE and nothing else: from one z it then draws
            from the distribution of the z before, where the probability flow leads to one point.
        splits: Whether each device may take the steps of its samples by itself.
        statistics: For each batch of the last run, a dict of what a sampler that chooses its own
            steps has counted.

    Raises:
        ValueError: for steps < 1 or an unknown spacing.
    """

    two_way = False
    stochastic = False
    splits = True

    def __init__(self, steps: int = 1000, spacing: str = "uniform"):
        self.steps = check_count("steps", steps)
        require_one_of("spacing", spacing, SPACINGS)
        self.spacing = spacing
        self.statistics: list[dict] = []
        self._compiled = Recent(MOST_LOOPS)

    def first_memory(self, z) -> tuple:
        """What the first step is given as its memory: tensors of the shape of z (default: none)."""
        return ()

    def step(self, denoiser, state_at, z, memory, clock, draw):
        """One step from time ``clock(0)`` to ``clock(1)``.

        Args:
            denoiser: Callable ``(z, state) -> eps``.
            state_at: Callable from a time to the `NoisingState` at that time.
            z: Components, ``(batch, *data_shape)``.
            memory: What the step before returned beside its components.
            clock: Callable k -> the time k steps from now, a scalar float32 tensor; before the
                first step and after the last one it stands still.
            draw: Callable ``draw(k=0)`` that returns the k-th standard normal noise of this step.

        Returns:
            The components at ``clock(1)`` and the memory for the next step, a tuple of as many
            tensors as `first_memory`.
        """
        raise NotImplementedError("A Sampler implements step(...).")

    def __call__(
        self,
        denoiser,
        schedule,
        n: int,
        *,
        shape=None,
        denoise: bool = False,
        start: str = "matched",
        **arguments,
    ):
        """Draws samples of the components at t = 0.

        Args:
            denoiser: Callable ``(z, state, **condition) -> eps`` in component space. If it
                has `variables` (Keras variables that it reads), they are passed to the compiled
                loop, so that new values take effect.
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

        Example:

        >>> import numpy as np
        >>> from keras_gud import samplers, schedules
        >>> schedule = schedules.get("vp"); schedule.adapt(variance=np.ones(3))
        >>> noise = lambda z, state: state.sigma * z      # exact for data N(0, 1)
        >>> samplers.EulerMaruyama(steps=10)(noise, schedule, n=4, shape=(3,)).shape
        (4, 3)
        """
        n = check_count("n", n)
        shape = tuple(denoiser.data_shape if shape is None else shape)
        require_one_of("start", start, STARTS)
        loop = self.loop_of(denoiser, schedule, shape, start == "matched")
        run = Run(self, loop, schedule, n, (1.0, 0.0), **arguments)
        return run(lambda keys, rows, params: loop.start(loop.values(), keys, params), denoise)

    def integrate(
        self, denoiser, schedule, z, times=(1.0, 0.0), *, denoise: bool = False, **arguments
    ):
        """Takes given components from one time of the schedule to another.

        Args:
            denoiser: See `__call__`.
            schedule: An adapted `ComponentSchedule`.
            z: Components at ``times[0]``, array ``(n, *data_shape)``.
            times: Start and end. Samplers with ``two_way = True`` (those of the probability flow)
                also go from data to noise, ``times=(0.0, 1.0)``.
            denoise: Whether to return the denoiser's mean of the clean components given z at the
                end, instead of that z.
            **arguments: `steps` overrides the number of steps; `seed` and `first`: sample i draws
                noise that depends on (seed, first + i) alone, not on n or the batch size, or on
                (seed, first[i]) where `first` has n integers;
                `batch_size`: samples computed at a time (default: all); `states`: number of
                intermediate states to return as well, at evenly spaced steps; `progress`: whether
                to show a progress bar; `condition`: what the denoiser is told beside the state,
                arrays by name, with one row or one for each sample, whose values need no new
                compilation; and the schedule's parameters: those left open take the middle of
                their range.

        Returns:
            float32 NumPy array ``(n, *data_shape)``. With `states`, a pair of that and an array
            ``(states + 1, n, *data_shape)`` of z on the way, both ends included.

        Raises:
            ValueError: for times outside [0, 1], or the wrong way round.
        """
        z = np.asarray(ops.convert_to_numpy(z), "float32")
        times = self._check_times(times)
        loop = self.loop_of(denoiser, schedule, z.shape[1:], False)
        run = Run(self, loop, schedule, check_count("n", len(z)), times, **arguments)
        return run(lambda keys, rows, params: run.rows.divide(z[rows]), denoise)

    def _check_times(self, times):
        try:
            begin, end = (float(t) for t in times)
        except (TypeError, ValueError):
            begin = end = np.nan
        if not (0.0 <= begin <= 1.0 and 0.0 <= end <= 1.0) or begin == end:
            raise ValueError(
                f"Expected `times` to be two different numbers in [0, 1]. Received: times={times}."
            )
        if end > begin and not self.two_way:
            raise ValueError(
                "Expected a Runge-Kutta sampler to go from data to noise, e.g. 'adaptive' or "
                f"'rk4'. Received: times={times} for {type(self).__name__}."
            )
        return begin, end

    # -- the compiled part ----------------------------------------------------------------------

    @property
    def even(self) -> bool:
        """Whether all steps are of the same length in t."""
        return type(self).advance is Sampler.advance and self.spacing == "uniform"

    def begin(self, denoiser, state_at, z, times) -> tuple:
        """What `advance` carries along; its first entry is z."""
        return (z, *self.first_memory(z))

    def advance(self, denoiser, state_at, carry, times, bounds, draw_at) -> tuple:
        """Takes steps i0 .. i1 - 1 of `steps`, for ``bounds = (i0, i1, steps)``, all traced."""
        (begin, end), (i0, i1, steps) = times, bounds

        def body(i, carry):
            def clock(k):
                left = ops.clip(steps - i - k, 0, steps)
                left = ops.cast(left, "float32") / ops.cast(steps, "float32")
                return end + (begin - end) * SPACINGS[self.spacing](left)

            def draw(k: int = 0):
                return draw_at(i + k * _DRAWS_APART)

            z, *memory = carry
            z, memory = self.step(denoiser, state_at, z, tuple(memory), clock, draw)
            return (z, *memory)

        return ops.fori_loop(i0, i1, body, tuple(carry))

    def follow(self, loop, carry, parts, steps: int, states: int, tell) -> list:
        """Runs the compiled `advance` over the whole way.

        Args:
            loop: The `Loop`.
            carry: From `begin`.
            parts: Further arguments of the loop's functions: keys, parameters, condition, times.
            steps: Number of steps.
            states: Number of parts of equally many steps, >= 1.
            tell: `None`, or a function to call with the part of the way that is done.

        Returns:
            z at the start and after each part.
        """
        wanted = [round(steps * i / states) for i in range(states + 1)]
        moves = {steps * i // 50 for i in range(51)} if tell else set()
        reached = {0: carry[0]}
        for i0, i1 in itertools.pairwise(sorted({0, *wanted, *moves})):
            bounds = np.int32(i0), np.int32(i1), np.int32(steps)
            carry = loop.advance(loop.values(), carry, *parts, bounds)
            if i1 in wanted:
                reached[i1] = carry[0]
            if tell:
                tell(i1 / steps)
        return [reached[i] for i in wanted]

    def loop_of(self, denoiser, schedule, shape, matched: bool = False) -> Loop:
        """The compiled `Loop` for this denoiser and schedule, made once."""
        key = (id(denoiser), id(schedule), shape, matched)
        return self._compiled.get_or_make(
            key, lambda: Loop(self, denoiser, schedule, shape, matched)
        )

    def get_config(self):
        """The constructor's arguments."""
        return {"steps": self.steps, "spacing": self.spacing}

    @classmethod
    def from_config(cls, config):
        """Makes a sampler from `get_config`."""
        return cls(**config)


def check_count(name: str, value) -> int:
    """A positive integer, or a `ValueError` that names the argument."""
    return check_integer(name, value, 1)


registry = Registry("sampler", Sampler)
