"""What a trained model makes: samples and estimates of clean data."""

import inspect

import numpy as np
from keras import ops

from keras_gud import backend, samplers
from keras_gud.conditioning.class_labels import condition
from keras_gud.core.arguments import check_integer, check_keywords
from keras_gud.data.checks import check_finite
from keras_gud.data.source import BATCH_SIZE
from keras_gud.diffusion.data_scaling import rounded, to_raw
from keras_gud.diffusion.guidance import Guided
from keras_gud.diffusion.noising_state import z0_from_eps


class Generation:
    """Mixin of `GUDModel`: everything here uses the averaged weights."""

    @backend.in_strategy_scope
    def sample(
        self,
        n: int,
        labels=None,
        guidance=1.0,
        *,
        guide=None,
        seed: int | None = None,
        sampler="dpm++sde",
        steps: int | None = None,
        batch_size: int | None = None,
        denoise: bool = True,
        states: int = 0,
        progress: bool = False,
        start: str = "matched",
        **params,
    ):
        """Generates data.

        Args:
            n: Number of samples.
            labels: Which classes: an integer for all samples, or n integers, where the model has
                `classes`. `None` samples from all data.
            guidance: How far to go towards the labels, a number or n numbers: 0 ignores them, 1 is
                the model's conditional distribution, more exaggerates (classifier-free guidance,
                arXiv:2207.12598). Values between and beyond 0 and 1 cost two evaluations of the
                network a step.
            guide: `None`, or a function ``(eps, z, state) -> eps`` through which every estimate of
                the network passes, in the model's basis: guidance of any other kind, see
                `keras_gud.diffusion.guidance`. The same function again needs no new compilation.
            seed: Sample i is a function of (seed, i), its label and guidance: the same whatever n
                and the batch size, on every backend within rounding. `None` draws a seed.
            sampler: A name, config or instance (`keras_gud.samplers`). The default is as good on
                trained networks in 32 steps as Euler-Maruyama in 1000. Strongly sequential paths
                (b = 0.9) need some hundred steps.
            steps: Number of steps; default: the sampler's, 50.
            batch_size: Samples computed at a time; default: min(n, 128).
            denoise: Whether to return the mean of the clean data given the state at t = 0, or
                that state itself, which has the noise of gamma(0) left in it.
            states: Number of evenly spaced intermediate states to return as well.
            progress: Whether to show a progress bar over the steps.
            start: ``"matched"`` starts from Gaussian noise with the variances that noised data have
                at t = 1, ``"prior"`` from N(0, 1) as the paper does, which the data reach only in
                the limit of a large gamma(1).
            **params: Parameters of the schedule, e.g. ``a=0.7``; those left open take the middle
                of their range.

        Returns:
            NumPy array ``(n, *data_shape)`` in the data's own units: uint8 where the model was
            trained on uint8, else float32. With `states`, a pair of that and the states at t = 1,
            ..., 0, an array ``(states + 1, n, *data_shape)``.

        Raises:
            ValueError: before the model knows its data, for an unknown sampler or parameter, for
                labels out of range or given to a model without classes, for guidance without
                labels, or for a guide that is no function or returns another shape.

        Example:

        Samples whose components are guided towards a sum of 0:

        >>> import keras_gud
        >>> x = np.random.default_rng(0).normal(size=(64, 4)).astype("float32")
        >>> model = keras_gud.GUD(schedule="cosine", backbone="tiny"); model.adapt(x, verbose=0)
        >>> def log_p(z):
        ...     return -0.5 * ops.square(ops.sum(z, axis=-1))
        >>> def balanced(eps, z, state):
        ...     return eps - state.sigma * keras_gud.diffusion.guidance.gradient(log_p, z)
        >>> model.sample(3, steps=5, guide=balanced).shape
        (3, 4)
        """
        self._require_built("it samples")
        own = inspect.signature(Generation.sample).parameters.keys() - {"self", "params"}
        check_keywords("sample", params, own | self.schedule.ranges.keys())
        n = check_integer("n", n, 1)
        batch_size = BATCH_SIZE if batch_size is None else batch_size
        result = self._sampler(sampler)(
            Guided.of(self.denoiser, guide),
            self.schedule,
            n,
            steps=steps,
            seed=int(np.random.randint(2**31)) if seed is None else seed,
            batch_size=batch_size,
            denoise=denoise,
            states=states,
            progress=progress,
            start=start,
            condition=condition(labels, guidance, n, self.classes),
            **params,
        )
        if not states:
            return self.to_data(result, batch_size)
        result, path = result
        path = np.stack([self.to_data(z, batch_size) for z in path])
        return self.to_data(result, batch_size), path

    def _sampler(self, identifier):
        """The sampler; named ones are kept, so that their loop is compiled once."""
        if isinstance(identifier, samplers.Sampler):
            return identifier
        key = str(identifier)
        if key not in self._session.samplers:
            self._session.samplers[key] = samplers.get(identifier)
        return self._session.samplers[key]

    def denoise(self, x, state, labels=None):
        """The network's estimate of the clean data.

        Args:
            x: Noised data ``(batch, *data_shape)``, float: ``U^T S z + mean`` in the model's units
                (8-bit data as ``(x + u)/128 - 1``).
            state: Their `NoisingState`.
            labels: As in `sample`.

        Returns:
            Float tensor of x's shape, same units.

        Raises:
            ValueError: for x of another shape, or a NumPy array with NaN or infinite values.
        """
        self._require_built("it denoises")
        if tuple(np.shape(x))[1:] != self.data_shape or np.ndim(x) == 0:
            raise ValueError(
                f"Expected x of shape (batch, {str(self.data_shape)[1:-1]}). "
                f"Received: x of shape {tuple(np.shape(x))}."
            )
        if isinstance(x, np.ndarray) and x.dtype.kind == "f":
            check_finite(x)
        z = self.prior(self.basis(ops.convert_to_tensor(x, "float32")))
        told = {} if labels is None else condition(labels, 1.0, len(x), self.classes)
        told = {name: ops.convert_to_tensor(value) for name, value in told.items()}
        z0 = z0_from_eps(z, self.denoiser(z, state, **told), state)
        return self.basis.inverse(self.prior.inverse(z0))

    def to_data(self, z0, batch_size: int = 256) -> np.ndarray:
        """Components to data in their own units: uint8 where the model was trained on uint8."""
        raw = to_raw(z0, self.basis, self.prior, self.kind, batch_size)
        return rounded(raw, self.kind)
