"""`GUDModel`: a Keras model that learns to denoise in any basis, along any family of schedules."""

import functools
from collections.abc import Callable, Iterable
from typing import Any

import keras

from keras_gud import backend, regions
from keras_gud.backbones import contract
from keras_gud.conditioning.conditions import Conditions
from keras_gud.conditioning.gamma_tokens import GammaTokens
from keras_gud.core.arguments import check_keywords, constructor_arguments, require_built
from keras_gud.core.registry import PACKAGE
from keras_gud.core.seeding import seeded_defaults
from keras_gud.core.types import Shape, Tensor
from keras_gud.diffusion.denoiser import Denoiser
from keras_gud.diffusion.terminal import NoisedMoments
from keras_gud.models import (
    adaptation,
    best_path,
    description,
    diagnosis,
    exporting,
    fine_tuning,
    inversion,
    likelihood,
    paths,
    sampling,
    sharing,
)
from keras_gud.models.data_space import DataSpace
from keras_gud.models.session import Session
from keras_gud.persistence import model_file
from keras_gud.training import changed_network, trainer
from keras_gud.training.denoising_loss import DenoisingLoss
from keras_gud.training.ema import WeightAverage
from keras_gud.training.power_average import PowerAverages


@keras.saving.register_keras_serializable(package=PACKAGE)
class GUDModel(backend.DistributedModel):
    """A diffusion model with explicit parts; see `GUD` for the one that takes names.

    Args:
        basis: The orthogonal basis U.
        prior: Mean and scale S.
        schedule: The component-wise schedule, or a family of them.
        backbone: The network: a Keras layer or model called as ``[y, tokens]`` with y
            ``(batch, *data_shape)`` and tokens ``(batch, n_tokens, n_features)``, which returns the
            shape of y. One with an attribute ``gamma_map = True`` is called as ``[y, tokens,
            gamma]``, gamma of y's shape; the components must then be pixels, or wavelets, with a
            gamma for each scale. With `classes` it needs an attribute `classes` and is then given
            labels, int32 ``(batch,)``; with other conditions an attribute `conditions`, see
            `Backbone`. Or a function of (data_shape, gamma_map, classes), with conditions also of
            those.
        prediction: What the network's output means: ``"eps"``, ``"residual"``, ``"v"``, ``"edm"``,
            ``"x0"``, ``"linear"`` or ``"wiener"`` (`keras_gud.diffusion.prediction`).
        weighting: Weights lambda_i of the loss: ``"v"`` (default; ``1 + exp(gamma)``: what is
            drawn in high noise, the gist of an image, counts as much as its details), ``"eps"``
            (the paper: better likelihoods), ``"likelihood"``, ``"min_snr"``, or a function
            ``(state, variance) -> weights`` registered with
            `keras.saving.register_keras_serializable`.
        ema_decay: Decay of the average of the weights that sampling and evaluation use.
        max_tokens: Cap on the number of tokens that describe the noising state.
        data_shape: Shape of one example, where it should not be taken from the data.
        data_scale: What the data are divided by, once their mean is subtracted. `None` measures
            it: the columns of vectors have a scale each, their standard deviation; all values of
            other data have one, the root mean square of theirs. Or a number, or an array that
            broadcasts to the data's shape, in the data's units; ``"none"`` takes the data as they
            are; ``"range"``, of the paper and the presets, does so with floats and maps the range
            of an integer type to [-1, 1), ``(x + u)/128 - 1`` for 8-bit images. `basis`, `prior`,
            `schedule` and the network see the scaled data.
        missing: Whether values of the data may be missing, as NaN. They are then left out of all
            that is measured, the network is told that nothing is known of them, and the loss is of
            the others. For ``basis="pixel"`` and a network with a gamma map.
        classes: Number of classes, if the model is conditioned on labels 0 .. classes - 1.
        label_dropout: Probability, in [0, 1), that a label is hidden in training, so that the model
            also learns to do without. With 0 it does not: samples without labels, and guidance
            other than 1, then mean nothing.
        condition: What else the model is conditioned on: ``"vector"``, ``"sequence"``,
            ``"image"``, an instance of `keras_gud.conditioning`, or a dict of several by name.
            They are given to `fit` beside the data, as labels are.
        start_covariance: Whether to fit the covariance of all components (at most 4096), and not
            only their variances, for the Gaussian that sampling starts from at t = 1.
        region: Further paths to train on, beside those of the schedule: a list of names of tasks
            that they serve, ``"inpaint"``, ``"upscale"``, ``"deblur"``, ``"colorize"``,
            ``"denoise"`` (`keras_gud.tasks`), names of schedules, ``"columns"``, ``"blurring"``,
            and of `keras_gud.regions.Paths`.
        seed: Seed of the network's initial weights (those that it makes when it is built), of the
            training noise and of the order of arrays, from 0 to 2**31 - 1; `None` draws one.
        **kwargs: Arguments of `keras.Model`: `name`, `dtype`, `trainable`.

    Attributes:
        tokens: What turns a noising state into the network's tokens.
        moments: The Gaussian that sampling starts from.
        objective: The `DenoisingLoss`.
        network: The network, once it has been built.
        ema: The average of its weights.
        power_averages: Those that a `callbacks.PostHocEMA` has kept; else none.
        data_space: Shape and type of the data, and the way in and out.
        session: What belongs to this process alone.

    Raises:
        ValueError: for unknown names; the nearest known one is suggested; for values out of range.
    """

    def __init__(
        self,
        basis: Any,
        prior: Any,
        schedule: Any,
        backbone: Any,
        *,
        prediction: str = "v",
        weighting: Any = "v",
        ema_decay: float = 0.999,
        max_tokens: int = 64,
        data_shape: Shape | None = None,
        data_scale: Any = None,
        missing: bool = False,
        classes: int | None = None,
        label_dropout: float = 0.1,
        condition: Any = None,
        start_covariance: bool = False,
        region: Any = (),
        seed: int | None = None,
        **kwargs: Any,
    ) -> None:
        known = constructor_arguments(type(self), GUDModel) | {"name", "dtype", "trainable"}
        check_keywords(type(self).__name__, kwargs, known)
        # Statistics, gamma and the loss are float32; only the network may compute in less.
        super().__init__(**({"dtype": "float32"} | kwargs))
        self.basis, self.prior, self.schedule = basis, prior, schedule
        self.backbone = backbone
        self.conditions = Conditions.of(condition, classes, label_dropout)
        self.objective = DenoisingLoss(prediction, weighting, seed)
        self.ema, self.power_averages = WeightAverage(ema_decay), PowerAverages()
        self.tokens = GammaTokens(max_tokens)
        self.moments = NoisedMoments(start_covariance)
        self.region = regions.get_all(region, basis, prior, missing)
        self.classes = self.conditions.classes
        self.data_space = DataSpace(data_shape, data_scale, missing)
        self.session = Session()

    # -- building -------------------------------------------------------------------------------

    adapt = adaptation.adapt

    @backend.in_strategy_scope
    def build(self, input_shape: Any) -> None:
        """Makes the network and its average; `adapt` calls it, or loading."""
        if self.data_space.scaling is None:
            raise ValueError(
                "Expected the model to know its data before it is built or called. "
                "Call `model.adapt(x)` or `model.fit(x)` first."
            )
        with seeded_defaults(self.objective.seed):
            self._build_network()
        self.objective.build(self.classes)
        self.ema.attach(self.network)
        self.built = True

    def _build_network(self) -> None:
        network = self.backbone
        if not isinstance(network, keras.layers.Layer):
            local = regions.has_local_states(self.views, self.data_space.missing)
            kinds = self.conditions.network_kinds
            more = {"conditions": kinds} if kinds else {}
            network = network(self.data_shape, gamma_map=local, classes=self.classes, **more)
        self.network = network
        takes_map = contract.takes_gamma_map(network)
        regions.check_gamma_map(self.views, takes_map, self.data_space.missing)
        contract.check_classes(network, self.classes)
        contract.check_conditions(network, self.conditions.network_kinds)
        for view in self.views:
            view.tokens.with_mean = contract.takes_mean_gamma(network)
        token_shape = (None, self.tokens.n_tokens, self.tokens.n_features)
        shape, scales = self.data_space.known[0], regions.gamma_scales(self.views)
        given = self.conditions.network_shapes()
        given = {name: given[name] for name in self.conditions.network_kinds}
        contract.build_network(network, shape, token_shape, scales, given)

    @property
    def data_shape(self) -> Shape | None:
        """Shape of one example as the diffusion sees it; `None` until the data are known."""
        return self.data_space.shape

    @property
    def views(self) -> tuple[regions.View, ...]:
        """The `regions.View` of the model itself, then those of its `region`."""
        own = regions.View(self.basis, self.prior, self.schedule, self.tokens, self.moments)
        return (own, *(paths.view(own) for paths in self.region))

    @property
    def denoiser(self) -> Denoiser:
        """The trained denoiser in the model's own basis, with averaged weights."""
        if not self.built:  # also within compiled functions, where values are not known
            require_built(self, "it denoises")
        changed_network.follow_network(self)
        variables = [*self.network.variables, *self.ema.variables]
        call = functools.partial(self.ema.call_network, self.network)
        return self.session.cached("denoiser", lambda: _denoiser(self, call, variables))

    # -- the training step -----------------------------------------------------------------------

    def call(self, x: Any, training: bool = False) -> dict[str, Tensor]:
        """The denoising loss of every example of a batch, at random times.

        Args:
            x: Raw data ``(batch, *data_shape)``, or a dict that holds them under ``"x"``, and the
                model's conditions by name.
            training: Whether to draw from the training stream, use the raw weights and update
                their average; otherwise noise and times are fixed by the position of the example
                and the averaged weights are used.

        Returns:
            As `DenoisingLoss.per_example`.
        """
        raw = _denoiser(self, trainer.network_caller(self)) if training else None
        denoiser = raw or self.denoiser
        denoisers = [denoiser.in_view(view) for view in self.views]
        space = self.data_space
        found = self.objective.per_example(
            x, self.views, denoisers, space.to_phi, training, space.missing
        )
        if training:
            self.ema.update(self.network)
            self.power_averages.update()
        return found

    def compute_loss(
        self,
        x: Any = None,
        y: Any = None,
        y_pred: Any = None,
        sample_weight: Any = None,
        training: bool = True,
    ) -> Tensor:
        """Batch mean of weight times loss (paper eq. 11), as in Keras; there is no target."""
        step = self.ema.count if training else None
        loss = self.objective.reduce(y_pred, sample_weight, self.losses, step)
        for metric in () if training else self.objective.likelihoods:
            metric.update(self, x, sample_weight)
        return loss

    load_backbone = fine_tuning.load_backbone
    compile = trainer.compile
    fit = trainer.fit
    evaluate = trainer.evaluate

    # -- what a trained model does ----------------------------------------------------------------

    __repr__ = description.in_one_line
    summary = description.summary
    has_statistics = property(changed_network.has_statistics)
    check_region = paths.check_region
    path = paths.path
    path_cost = best_path.path_cost
    optimize_path = best_path.optimize_path
    view_along = paths.view_along
    paths = property(paths.trained)
    sample = sampling.sample
    denoise = sampling.denoise
    score = sampling.score
    log_prob = likelihood.log_prob
    bits_per_dim = likelihood.bits_per_dim
    elbo = likelihood.elbo
    predict = likelihood.predict
    to_noise = inversion.to_noise
    from_noise = inversion.from_noise
    interpolate = inversion.interpolate
    diagnose = diagnosis.diagnose

    # -- files ------------------------------------------------------------------------------------

    save = model_file.save
    save_weights = model_file.save_weights
    load_weights = model_file.load_weights
    save_own_variables = model_file.save_own_variables
    load_own_variables = model_file.load_own_variables
    export = model_file.export
    export_sampler = exporting.export_sampler
    push = sharing.push
    card = sharing.card
    quantize = model_file.quantize
    get_config = model_file.get_config
    from_config: Any = classmethod(model_file.from_config)
    get_build_config = model_file.get_build_config
    build_from_config = model_file.build_from_config
    compile_from_config = model_file.compile_from_config


def _denoiser(
    model: GUDModel, call: Callable[[list[Tensor]], Tensor], variables: Iterable[Any] = ()
) -> Denoiser:
    scales = contract.takes_gamma_map(model.network) * regions.gamma_scales(model.views)
    parts = model.views[0], model.objective.prediction, variables, scales
    return Denoiser(call, *parts, model.conditions)
