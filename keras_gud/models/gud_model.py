"""`GUDModel`: a Keras model that learns to denoise in any basis, along any family of schedules."""

import inspect
from types import SimpleNamespace

import keras
import numpy as np
from keras import ops

from keras_gud import backend, regions
from keras_gud.backbones import contract
from keras_gud.backbones.contract import build_network, takes_gamma_map, training_argument
from keras_gud.conditioning import class_labels
from keras_gud.conditioning.gamma_tokens import GammaTokens
from keras_gud.core.arguments import check_integer, check_keywords
from keras_gud.core.data_shape import Shape, validate_data_shape
from keras_gud.core.registry import PACKAGE, look_up
from keras_gud.data.checks import check_layout, check_same, data_kind
from keras_gud.data.source import Source
from keras_gud.diffusion.data_scaling import LEVELS
from keras_gud.diffusion.denoiser import Denoiser
from keras_gud.diffusion.prediction import PREDICTIONS
from keras_gud.diffusion.terminal import NoisedMoments
from keras_gud.diffusion.weighting import WEIGHTINGS
from keras_gud.models.inversion import Latents
from keras_gud.models.likelihood import Density
from keras_gud.models.sampling import Generation
from keras_gud.persistence.model_file import Saving
from keras_gud.priors import Isotropic
from keras_gud.training import step_record
from keras_gud.training.denoising_loss import Training
from keras_gud.training.ema import WeightAverage
from keras_gud.training.fit_components import all_or_nothing, fit_components
from keras_gud.training.trainer import Fitting


@keras.saving.register_keras_serializable(package=PACKAGE)
class GUDModel(Training, Fitting, Generation, Density, Latents, Saving, keras.Model):
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
            ``"x0"``, ``"linear"`` or ``"wiener"`` (`keras_gud.diffusion.prediction`).
        weighting: Weights lambda_i of the loss: ``"eps"`` (the paper), ``"v"`` (``1 + exp(gamma)``:
            what known components tell of unknown ones counts in high noise too, better for
            in-painting and extension), ``"likelihood"``, ``"min_snr"``, or a function
            ``(state, variance) -> weights`` registered with
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
        region: Further noising states to train on, beside the paths of the schedule: a list of
            `keras_gud.regions.Paths` or names of the tasks that they serve, ``"inpaint"``,
            ``"upscale"``, ``"deblur"``, ``"colorize"``, ``"denoise"`` (`keras_gud.tasks`).
        seed: Seed of the training noise and of the order of arrays, an integer from 0 to
            2**31 - 1; `None` draws one.

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
        region=(),
        seed: int | None = None,
        **kwargs,
    ):
        kinds = [kind for kind in type(self).__mro__ if issubclass(kind, GUDModel)]
        names = {name for kind in kinds for name in inspect.signature(kind.__init__).parameters}
        names -= {"self", "kwargs"}
        check_keywords(type(self).__name__, kwargs, names | {"name", "dtype", "trainable"})
        # Statistics, gamma and the loss are float32; only the network may compute in less.
        super().__init__(**({"dtype": "float32"} | kwargs))
        self.basis, self.prior, self.schedule, self.backbone = basis, prior, schedule, backbone
        self.prediction, self.weighting = prediction, weighting
        look_up("prediction", PREDICTIONS, prediction)
        self._weight = (
            weighting if callable(weighting) else look_up("weighting", WEIGHTINGS, weighting)
        )
        self.ema = WeightAverage(ema_decay)
        self.tokens = GammaTokens(max_tokens)
        self.moments = NoisedMoments(start_covariance)
        region = list(region) if isinstance(region, (tuple, list)) else [region]
        self.region = [regions.get(paths) for paths in region]
        regions.share_bases(self.basis, self.region)
        self._check_prior()
        self.data_shape = None if data_shape is None else validate_data_shape(data_shape)
        self.kind: str | None = None
        self.classes = None if classes is None else check_integer("classes", classes, 1)
        self.label_dropout = class_labels.check_dropout(label_dropout)
        self.seed_drawn = seed is None
        seed = np.random.randint(2**31) if seed is None else seed
        self.seed = check_integer("seed", seed, 0)
        if self.seed >= 2**31:  # more is too much for some backend's generators
            raise ValueError(f"Expected `seed` to be below 2**31. Received: seed={seed}.")
        self.random = keras.random.SeedGenerator(self.seed)
        self.linear_loss = keras.metrics.Mean(name="linear_loss")
        # Objects that only this process needs; a namespace keeps Keras from tracking them.
        self._session = SimpleNamespace(evidence={}, samplers={}, denoisers={})
        self._session.metrics, self._session.evaluating = [], False
        self._session.replicated = None
        self._session.health = step_record.Record()

    # -- building -------------------------------------------------------------------------------

    def make_network(self, data_shape: Shape):
        """The network for this shape of data; `GUD` makes it from a name here."""
        return self.backbone

    @backend.in_strategy_scope
    def adapt(self, data_, batch_size: int = 1024, verbose: int | str = "auto"):
        """Fits everything that is measured on data: basis, mean, variances, orderings.

        Args:
            data_: Data in any form that `fit` takes; streamed once, twice for a fitted basis.
            batch_size: Examples per batch where `data_` is an array.
            verbose: 1 shows progress bars.

        Raises:
            ValueError: for data that cannot be used; the message says why.
        """
        source = data_
        if not isinstance(data_, Source):
            source = self.open_data(data_, batch_size=batch_size, required=False)
        kind = data_kind(source.first)
        shape = self.data_shape or check_layout(source.first)
        parts = self.basis, self.prior, self.schedule, self.tokens, self.moments, *self.region
        with all_or_nothing([v for part in parts for v in part.variables]):
            show = 1 if verbose == "auto" else verbose
            others = [paths for paths in self.region if paths.used.basis is not None]
            bases = [self.basis, *(paths.used.basis for paths in others)]
            (own, *rest), covariance = fit_components(
                source, bases, shape, kind, show, self.moments.full
            )
            self.prior.adapt(*own, self.basis.coordinates)
            self.moments.adapt(covariance, ops.convert_to_numpy(self.prior.scale))
            data_variance = ops.convert_to_numpy(self.prior.data_variance)
            variance = ops.convert_to_numpy(self.prior.variance)
            self.schedule.adapt(variance, data_variance, self.basis.coordinates)
            statistics = {id(paths): each for paths, each in zip(others, rest, strict=True)}
            for paths in self.region:
                paths.adapt(self.views[0], *statistics.get(id(paths), ()))
            regions.adapt_tokens(self.views)
        self.data_shape, self.kind = shape, kind
        if not self.built:
            self.build((None, *shape))

    @backend.in_strategy_scope
    def build(self, input_shape):
        """Makes the network and its average; `adapt` calls it, or loading."""
        if self.kind is None:
            raise ValueError(
                "Expected the model to know its data before it is built or called. "
                "Call `model.adapt(x)` or `model.fit(x)` first."
            )
        self.network = self.make_network(self.data_shape)
        if takes_gamma_map(self.network) and all(v.basis.mixes_space for v in self.views):
            raise ValueError(
                "Expected a `basis` whose components are pixels for a `backbone` with "
                f"gamma_map=True. Received: basis={self.basis.name!r}."
            )
        contract.check_network(self.network, self.classes)
        token_shape = (None, self.tokens.n_tokens, 1 + self.tokens.n_coordinates)
        build_network(self.network, self.data_shape, token_shape)
        kwargs = {"initializer": "zeros", "aggregation": "only_first_replica"}
        self.eval_index = self.add_weight(
            name="eval_index", shape=(), dtype="int32", trainable=False, **kwargs
        )
        self.ema.attach(self.network)
        self.built = True

    def _require_built(self, what: str):
        if not self.built:
            raise ValueError(
                f"Expected the model to know its data before {what}. "
                "Call `model.fit(x)` or `model.adapt(x)` first, or load a saved model."
            )

    # -- data, components, network --------------------------------------------------------------

    def to_components(self, x, dequantise):
        """Raw data to clean components z0 = S^-1 U (phi - mean).

        Args:
            x: Raw data ``(batch, *data_shape)``.
            dequantise: Function that returns uniform noise of x's shape; called for 8-bit data.
        """
        return self.prior(self.basis(self.to_floats(x, dequantise)))

    def to_floats(self, x, dequantise):
        """Raw data to phi, the floats that the model is about; arguments as `to_components`."""
        check_same(x, self.data_shape, self.kind)
        x = ops.cast(x, "float32")
        if self.kind == "uint8":
            x = (x + dequantise()) / LEVELS - 1.0
        return x

    # -- views: bases, and what the network is trained on in them --------------------------------

    @property
    def views(self) -> tuple[regions.View, ...]:
        """The `regions.View` of the model itself, then those of its `region`."""
        own = regions.View(self.basis, self.prior, self.schedule, self.tokens, self.moments)
        return (own, *(paths.view(own) for paths in self.region))

    @property
    def has_pixel_states(self) -> bool:
        """Whether there are states in which pixels differ in gamma."""
        return any(
            not view.basis.mixes_space and (view.tokens.n_means > 1 or bool(view.observed))
            for view in self.views
        )

    def _check_prior(self):
        others = [p.used.basis.name for p in self.region if p.used.basis is not None]
        if others and not isinstance(self.prior, Isotropic):
            raise ValueError(
                "Expected an isotropic `prior` with a `region` in other bases, since one network "
                f"sees the data in all of them. Received: prior={self.prior.name!r} with paths in "
                f"{others}."
            )

    def make_denoiser(self, view: regions.View, training: bool) -> Denoiser:
        """A denoiser of the components of a view, with raw weights in training."""

        def call(inputs):
            if training:
                if self._session.replicated is None:
                    self._session.replicated = backend.data_parallel(self.network)
                return self._session.replicated(inputs, **training_argument(self.network, True))
            return self.ema.call_network(self.network, inputs)

        variables = [] if training else [*self.network.variables, *self.ema.variables]
        gamma_map = takes_gamma_map(self.network)
        return Denoiser(
            call, view, self.prediction, variables, gamma_map=gamma_map, classes=self.classes
        )

    def denoiser_of(self, view: regions.View) -> Denoiser:
        """The trained denoiser of a view's components, with averaged weights; see `Denoiser`."""
        self._require_built("it denoises")
        # Kept, because samplers compile their loop once for each denoiser.
        key = id(view.basis), id(view.tokens)
        if key not in self._session.denoisers:
            self._session.denoisers[key] = self.make_denoiser(view, training=False)
        return self._session.denoisers[key]

    @property
    def denoiser(self) -> Denoiser:
        """The trained denoiser in the model's own basis."""
        return self.denoiser_of(self.views[0])

    def check_region(self, view: regions.View, gamma):
        """Warns of noising states that the network was not trained on; `regions.check_region`."""
        regions.check_region(self.views, view, gamma, takes_gamma_map(self.network))
