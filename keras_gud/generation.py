"""What a trained model is for: samples, denoising and likelihoods."""

import inspect
import math

import numpy as np
from keras import ops

from keras_gud import arrays, checks, data, samplers
from keras_gud.batch import pick
from keras_gud.evidence import NegativeElbo
from keras_gud.labels import choose, condition
from keras_gud.process import x0_from_eps
from keras_gud.safekeeping import Safekeeping


class Generation:
    """Mixin of `GUDModel`: everything here uses the averaged weights."""

    def sample(
        self,
        n: int,
        labels=None,
        guidance=1.0,
        *,
        seed: int | None = None,
        sampler="euler_maruyama",
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
            seed: Sample i is a function of (seed, i), its label and guidance: the same whatever n
                and the batch size, on every backend within rounding. `None` draws a seed.
            sampler: A name, config or instance (`keras_gud.samplers`).
            steps: Number of steps; default: the sampler's.
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
                labels out of range or given to a model without classes, or for guidance without
                labels.
        """
        self._require_built("it samples")
        own = inspect.signature(Generation.sample).parameters.keys() - {"self", "params"}
        checks.check_keywords("sample", params, own | self.schedule.ranges.keys())
        n = checks.check_integer("n", n, 1)
        result = self._sampler(sampler)(
            self.denoiser,
            self.schedule,
            n,
            steps=steps,
            seed=int(np.random.randint(2**31)) if seed is None else seed,
            batch_size=data.BATCH_SIZE if batch_size is None else batch_size,
            denoise=denoise,
            states=states,
            progress=progress,
            start=start,
            condition=condition(labels, guidance, n, self.classes),
            **params,
        )
        if not states:
            return self.to_data(result)
        result, path = result
        return self.to_data(result), np.stack([self.to_data(z) for z in path])

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
        """
        self._require_built("it denoises")
        z = self.prior(self.basis(ops.convert_to_tensor(x, "float32")))
        told = {} if labels is None else condition(labels, 1.0, len(x), self.classes)
        told = {name: ops.convert_to_tensor(value) for name, value in told.items()}
        chi = x0_from_eps(z, self.denoiser(z, state, **told), state)
        return self.basis.inverse(self.prior.inverse(chi))

    def elbo(
        self, x, labels=None, *, draws: int = 32, batch_size=None, verbose=0, **params
    ) -> dict:
        """The variational bound of -log p of every example, term by term.

        Args:
            x: Data in any form that `fit` takes.
            labels: Labels of an array where the model has `classes`: an integer for all examples,
                or one for each. Without them (here, in a dictionary or in a stream) it is the
                bound without a label.
            draws: Network evaluations per example; the times are spread evenly over [0, 1].
            batch_size: Examples per batch where x is an array; default 128.
            verbose: 1 shows a progress bar.
            **params: Parameters of the schedule; those left open take the middle of their range.

        Returns:
            Dict of float32 arrays ``(n,)``: ``"prior"``, ``"diffusion"``, ``"reconstruction"``,
            ``"log_scale"``, ``"data_scaling"`` in nats, and ``"bits_per_dim"``, their sum in bits
            per dimension (of the 8-bit data where the model was trained on such, else the
            density of the floats).
        """
        terms = self._negative_elbo(x, labels, draws, params, batch_size, verbose=verbose)
        bits = sum(terms.values()) / (math.prod(self.data_shape) * math.log(2.0))
        return terms | {"bits_per_dim": bits}

    def predict(self, x, batch_size=None, verbose="auto", steps=None, callbacks=None):
        """Negative ELBO of every example in bits per dimension (see `elbo`), 32 draws each.

        Args:
            x: Data in any form that `fit` takes. Labels in a dictionary or a stream are used where
                the model has `classes`; for labels beside an array there is `elbo`.
            batch_size: Examples per batch where x is an array; default 128.
            verbose: As in Keras.
            steps: As in Keras.
            callbacks: As in Keras.

        Returns:
            float32 NumPy array ``(n,)``; an upper bound, in expectation, of -log2 p / d.
        """
        kwargs = {"steps": steps, "callbacks": callbacks, "verbose": verbose}
        terms = self._negative_elbo(x, None, 32, {}, batch_size, **kwargs)
        return sum(terms.values()) / (math.prod(self.data_shape) * math.log(2.0))

    def _negative_elbo(self, x, labels, draws, params, batch_size, **kwargs):
        self._require_built("likelihoods are computed")
        samplers.check_count("draws", draws)
        if labels is not None and (self.classes is None or arrays.is_array(x)):
            n = len(pick(x)) if arrays.is_array(x) else 0
            labels = choose(labels, n, self.classes)  # beside a stream, the Source refuses them
        source = data.Source(x, None, batch_size, y=labels, classes=self.classes, required=False)
        self._check(source)
        key = draws, str(sorted(params.items()))
        if key not in self._session.evidence:
            self._session.evidence[key] = NegativeElbo(self, draws, params)
        bound = self._session.evidence[key]
        bound.counter.assign(0)
        with Safekeeping(lambda: bound.variables).guard():
            return bound.predict(source.keras_data, **kwargs)
