"""The same integrations by diffrax: Tsitouras 5(4), the controller of `samplers.solver`, jax."""

import math

import diffrax
import jax
import keras
from jax import numpy as jnp

from keras_gud.core import counter_rng
from keras_gud.likelihood.divergence import FlowWithDivergence, signs
from keras_gud.samplers.loop import Path
from keras_gud.samplers.runge_kutta import Flow


def largest_norm(parts):
    """The solver's norm: the largest root mean square of a part."""
    means = [jnp.mean(jnp.square(part)) for part in jax.tree.leaves(parts)]
    return jnp.sqrt(jnp.max(jnp.stack(means)))


class DiffraxFlow:
    """Integrates the probability flow of a model, without or with its divergence.

    Args:
        model: A built `GUDModel`.
        tolerance: Relative and absolute tolerance.

    Attributes:
        evaluations: Of the field, in the last call.
    """

    def __init__(self, model, tolerance: float):
        self.variables = [*model.denoiser.variables, *model.schedule.variables]
        path = Path(model.schedule, model.schedule.resolve({}))
        # As in ours: exponents 0.3 + 0.4 = 0.7 of the error, 0.4 of the one before, and factors
        # from 0.2 to 10, times 0.9; only here an accepted step never shrinks.
        controller = diffrax.PIDController(
            tolerance, tolerance, largest_norm, pcoeff=0.4, icoeff=0.3
        )

        def solve(field, y, begin, end):
            term = diffrax.ODETerm(lambda t, y, _: field(t, y))
            # The adjoint that costs least where no gradient is taken: a plain while loop.
            solution = diffrax.diffeqsolve(
                term, diffrax.Tsit5(), begin, end, None, y,
                stepsize_controller=controller, adjoint=diffrax.ForwardMode(), max_steps=10_000,
            )  # fmt: skip
            return [part[-1] for part in solution.ys], solution.stats["num_steps"]

        def scope(values):
            return keras.StatelessScope(
                state_mapping=list(zip(self.variables, values, strict=True))
            )

        def sample(values, z):
            with scope(values):
                return solve(Flow(model.denoiser, path), (z,), 1.0, 0.0)

        def likelihood(values, z, keys):
            with scope(values):
                field = FlowWithDivergence(model.denoiser, path, signs(keys, 1, z.shape[1:]))
                (end, integral), steps = solve(field, (z, jnp.zeros((len(z), 1))), 0.0, 1.0)
                size = math.prod(z.shape[1:])
                return [model.denoiser.log_start(end, path(1.0)) + size * integral[:, 0]], steps

        self._sample, self._likelihood = jax.jit(sample), jax.jit(likelihood)

    def sample(self, z):
        """Components at t = 1 to t = 0."""
        return self._call(self._sample, z)

    def log_prob(self, z):
        """Hutchinson's estimate, with the probes that `FlowLikelihood` has for seed 0."""
        return self._call(self._likelihood, z, counter_rng.sample_keys(0, len(z)))

    def _call(self, function, *arguments):
        (result, *_), steps = function([v.value for v in self.variables], *arguments)
        # The first slope, and 6 a step: dt0=None makes the first step 0.01, without evaluations.
        self.evaluations = 1 + 6 * int(steps)
        return keras.ops.convert_to_numpy(result)
