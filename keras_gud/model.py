"""`GUDModel`: a Keras model that learns to denoise in any basis, along any family of schedules."""

import inspect
from types import SimpleNamespace

import keras
import numpy as np
from keras import ops

from keras_gud import adaptation, batch, checks, data, labels, layout, noise, objective
from keras_gud.average import WeightAverage, training_argument
from keras_gud.denoiser import Denoiser, build_network, takes_gamma_map
from keras_gud.density import Density
from keras_gud.fitting import Fitting
from keras_gud.generation import Generation
from keras_gud.latents import Latents
from keras_gud.moments import NoisedMoments
from keras_gud.registry import PACKAGE
from keras_gud.saving import Saving
from keras_gud.tokens import GammaTokens

# Counters of the deterministic noise that evaluation draws for each example.
_EPS, _UNIFORM, _DEQUANTISE = 0, 1, 2
_EVALUATION_SEED = 0x6D61


@keras.saving.register_keras_serializable(package=PACKAGE)
class GUDModel(Fitting, Generation, Density, Latents, Saving, keras.Model):
    """A diffusion model with explicit parts; see `GUD` for the one that takes names.

    Args:
        basis: The orthogonal basis U.
        prior: Mean and scale S.
        schedule: The component-wise schedule, or a family of them.
        backbone: The network: a Keras layer or model called as ``[y, tokens]`` with y
            ``(batch, *data_shape)`` and tokens ``(batch, n_tokens, n_features)``, which returns the
            shape of y. One with an attribute ``gamma_map = True`` is called as ``[y, tokens,
            gamma]``, gamma of y's shape; the components must then be pixels. With `classes` it
            needs an attribute `classes` and is given int32 labels ``(batch,)`` as its last input.
        prediction: What the network's output means: ``"eps"``, ``"residual"``, ``"v"``, ``"edm"``,
            ``"x0"``, ``"linear"`` or ``"wiener"`` (`keras_gud.objective`).
        weighting: Weights lambda_i of the loss: ``"eps"`` (the paper), ``"likelihood"``,
            ``"min_snr"``, or a function ``(state, variance) -> weights`` registered with
            `keras.saving.register_keras_serializable`.
        ema_decay: Decay of the average of the weights that sampling and evaluation use.
        max_tokens: Cap on the number of tokens that describe the noising state.
        data_shape: Shape of one example, where it should not be taken from the data.
        classes: Number of classes, if the model is to be told labels 0 .. classes - 1.
        label_dropout: Probability, in [0, 1), that a label is hidden in training, so that the model
            also learns to do without. With 0 it does not: samples without labels, and guidance
            other than 1, then mean nothing.
        start_covariance: Whether to fit the covariance of all components (at most 4096), and not
            only their variances, for the Gaussian that sampling starts from at t = 1.
        seed: Seed of the training noise and of the order of arrays; `None` draws one.

    Raises:
        ValueError: for unknown names; the nearest known one is suggested; for values out of range.
    """

    def __init__(
        self,
        basis,
        prior,
        schedule,
        backbone,
        *,
        prediction: str = "v",
        weighting="eps",
        ema_decay: float = 0.999,
        max_tokens: int = 64,
        data_shape=None,
        classes: int | None = None,
        label_dropout: float = 0.1,
        start_covariance: bool = False,
        seed: int | None = None,
        **kwargs,
    ):
        arguments = [inspect.signature(c.__init__).parameters for c in (type(self), GUDModel)]
        names = {name for part in arguments for name in part} - {"self", "kwargs"}
        checks.check_keywords(type(self).__name__, kwargs, names | {"name", "dtype", "trainable"})
        # Statistics, gamma and the loss are float32; only the network may compute in less.
        super().__init__(**({"dtype": "float32"} | kwargs))
        self.basis, self.prior, self.schedule, self.backbone = basis, prior, schedule, backbone
        self.prediction, self.weighting = prediction, weighting
        objective.choose("prediction", objective.PREDICTIONS, prediction)
        self._weight = (
            weighting
            if callable(weighting)
            else objective.choose("weighting", objective.WEIGHTINGS, weighting)
        )
        self.ema = WeightAverage(ema_decay)
        self.tokens = GammaTokens(max_tokens)
        self.moments = NoisedMoments(start_covariance)
        self.data_shape = None if data_shape is None else layout.validate_data_shape(data_shape)
        self.kind: str | None = None
        self.classes = None if classes is None else checks.check_integer("classes", classes, 1)
        self.label_dropout = labels.check_dropout(label_dropout)
        seed = np.random.randint(2**31) if seed is None else seed
        self.seed = checks.check_integer("seed", seed)
        self.random = keras.random.SeedGenerator(self.seed)
        self.linear_loss = keras.metrics.Mean(name="linear_loss")
        # Objects that only this process needs; a namespace keeps Keras from tracking them.
        self._session = SimpleNamespace(evidence={}, samplers={}, denoiser=None)
        self._session.metrics, self._session.evaluating = [], False

    # -- building -------------------------------------------------------------------------------

    def make_network(self, data_shape: layout.Shape):
        """The network for this shape of data; `GUD` makes it from a name here."""
        return self.backbone

    def adapt(self, data_, batch_size: int = 1024, verbose: int | str = "auto"):
        """Fits everything that is measured on data: basis, mean, variances, orderings.

        Args:
            data_: Data in any form that `fit` takes; streamed once, twice for a fitted basis.
            batch_size: Examples per batch where `data_` is an array.
            verbose: 1 shows progress bars.

        Raises:
            ValueError: for data that cannot be used; the message says why.
        """
        source = data_ if isinstance(data_, data.Source) else data.Source(data_, None, batch_size)
        kind = checks.data_kind(source.first)
        shape = self.data_shape or checks.check_layout(source.first)
        parts = self.basis, self.prior, self.schedule, self.tokens, self.moments
        with adaptation.all_or_nothing([v for part in parts for v in part.variables]):
            show = 1 if verbose == "auto" else verbose
            mean, variance, covariance = adaptation.fit_components(
                source, self.basis, shape, kind, show, self.moments.full
            )
            self.prior.adapt(mean, variance)
            if covariance is not None:
                self.moments.adapt(covariance, ops.convert_to_numpy(self.prior.scale))
            data_variance = ops.convert_to_numpy(self.prior.data_variance)
            places = self.basis.labels
            self.schedule.adapt(ops.convert_to_numpy(self.prior.variance), data_variance, places)
            self.tokens.adapt(
                ops.convert_to_numpy(self.schedule.groups),
                self.schedule.order(),
                places | {"log_variance": -np.log(data_variance)},
            )
        self.data_shape, self.kind = shape, kind
        if not self.built:
            self.build((None, *shape))

    def build(self, input_shape):
        """Makes the network and its average; `adapt` calls it, or loading."""
        if self.kind is None:
            raise ValueError(
                "Expected the model to know its data before it is built or called. "
                "Call `model.adapt(x)` or `model.fit(x)` first."
            )
        self.network = self.make_network(self.data_shape)
        if takes_gamma_map(self.network) and self.basis.mixes_space:
            raise ValueError(
                "Expected a `basis` whose components are pixels for a `backbone` with "
                f"gamma_map=True. Received: basis={self.basis.name!r}."
            )
        labels.check_network(self.network, self.classes)
        token_shape = (None, self.tokens.n_tokens, 1 + self.tokens.n_labels)
        build_network(self.network, self.data_shape, token_shape)
        self.eval_index = self.add_weight(
            name="eval_index", shape=(), dtype="int32", trainable=False, initializer="zeros"
        )
        self.ema.attach(self.network)
        self.built = True

    def _require_built(self, what: str):
        if not self.built:
            raise ValueError(
                f"Expected the model to know its data before {what}. "
                "Call `model.fit(x)` or `model.adapt(x)` first, or load a saved model."
            )

    # -- the forward pass -----------------------------------------------------------------------

    def call(self, x, training=False):
        """The denoising loss of a batch, at random times.

        Args:
            x: Raw data ``(batch, *data_shape)``, or a dict that holds them under ``"x"``, and with
                `classes` also their labels ``(batch,)`` under ``"label"``.
            training: Whether to draw from the training stream, use the raw weights and update
                their average; otherwise noise and times are fixed by the position of the example
                and the averaged weights are used.

        Returns:
            float32 ``(batch, 2)``: the loss of every example, and that of the best component-wise
            linear model with the same noise.
        """
        label, x = batch.pick_label(x), batch.pick(x)
        dropout = self.label_dropout if training else None
        told = labels.for_loss(label, self.classes, dropout, self.random)
        draw = self._training_draws(x) if training else self._evaluation_draws(x)
        chi = self.to_components(x, draw.dequantise)
        state = self.schedule(draw.t, **self.schedule.draw(draw.parameters))
        z = state.add_noise(chi, draw.eps)
        variance = self.prior.variance
        weight = self._weight(state, variance)
        eps_hat = self._denoiser(training)(z, state, **told)
        if training:
            self.ema.update(self.network)
        linear = objective.linear_eps(z, state, variance)
        losses = [objective.weighted_error(draw.eps, e, state, weight) for e in (eps_hat, linear)]
        return ops.stack(losses, axis=-1)

    def _training_draws(self, x):
        batch, shape = ops.shape(x)[0], ops.shape(x)
        # One time in each of `batch` equal intervals: stratified over the batch (DESIGN sec. 3.6).
        place = ops.cast(ops.arange(batch), "float32")
        t = (place + keras.random.uniform((batch,), seed=self.random)) / ops.cast(batch, "float32")
        n_parameters = max(len(self.schedule.ranges), 1)
        return SimpleNamespace(
            t=t,
            parameters=keras.random.uniform((batch, n_parameters), seed=self.random),
            eps=keras.random.normal(shape, dtype="float32", seed=self.random),
            dequantise=lambda: keras.random.uniform(shape, dtype="float32", seed=self.random),
        )

    def _evaluation_draws(self, x):
        shape, keys, index = self.data_shape, *self.evaluation_keys(x, self.eval_index)
        n_parameters = max(len(self.schedule.ranges), 1)
        return SimpleNamespace(
            t=noise.golden_sequence(index),
            parameters=noise.uniform(keys, _UNIFORM, (n_parameters,)),
            eps=noise.normal(keys, _EPS, shape),
            dequantise=lambda: noise.uniform(keys, _DEQUANTISE, shape),
        )

    def evaluation_keys(self, x, counter):
        """Keys and indices of a batch's examples in a deterministic pass over data.

        Args:
            x: The batch.
            counter: int32 variable with the number of examples already seen; moved on.

        Returns:
            Pair of int32 ``(batch, 2)`` and ``(batch,)``.
        """
        index = counter + ops.arange(ops.shape(x)[0], dtype="int32")
        counter.assign(counter + ops.cast(ops.shape(x)[0], "int32"))
        seed = ops.full_like(index, _EVALUATION_SEED)
        return ops.stack([seed, index], axis=1), index

    def compute_loss(self, x=None, y=None, y_pred=None, sample_weight=None, training=True):
        """Batch mean of weight times loss (paper eq. 11), as in Keras; there is no target."""
        if sample_weight is not None:
            y_pred = y_pred * ops.expand_dims(ops.cast(sample_weight, "float32"), -1)
        loss = ops.mean(y_pred[:, 0])
        self.linear_loss.update_state(ops.stop_gradient(y_pred[:, 1]))
        if not training:
            self.update_likelihoods(x, sample_weight)
        for extra in self.losses:
            loss = loss + ops.sum(extra)
        return loss

    # -- data, components, network --------------------------------------------------------------

    def to_components(self, x, dequantise):
        """Raw data to clean components chi = S^-1 U (phi - mean).

        Args:
            x: Raw data ``(batch, *data_shape)``.
            dequantise: Function that returns uniform noise of x's shape; called for 8-bit data.
        """
        checks.check_same(x, self.data_shape, self.kind)
        x = ops.cast(x, "float32")
        if self.kind == "uint8":
            x = (x + dequantise()) / adaptation.LEVELS - 1.0
        return self.prior(self.basis(x))

    def _denoiser(self, training: bool) -> Denoiser:
        def call(inputs):
            if training:
                return self.network(inputs, **training_argument(self.network, True))
            return self.ema.call_network(self.network, inputs)

        parts = (self.basis, self.prior, self.tokens, self.moments, self.prediction)
        variables = [] if training else [*self.network.variables, *self.ema.variables]
        gamma_map = takes_gamma_map(self.network)
        return Denoiser(call, *parts, variables, gamma_map=gamma_map, classes=self.classes)

    @property
    def denoiser(self) -> Denoiser:
        """The trained denoiser of components, with averaged weights; see `Denoiser`."""
        self._require_built("it denoises")
        if self._session.denoiser is None:
            self._session.denoiser = self._denoiser(training=False)
        return self._session.denoiser
