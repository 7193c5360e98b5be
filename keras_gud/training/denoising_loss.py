"""`DenoisingLoss`: denoising score matching of a batch at random noising states (paper eq. 11).

    z_i = alpha_i z0_i + sigma_i eps_i          at states drawn from the paths of the schedule
    loss = 1/d sum_i lambda_i |eps_i - eps_hat_i|^2

Beside it stands what the best component-wise linear model scores with the same noise. Values that
are missing in the data carry no loss (`diffusion.missing`), and d counts those that are there.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from types import SimpleNamespace
from typing import Any

import keras
import numpy as np
from keras import ops

from keras_gud import backend
from keras_gud.core.arguments import check_integer
from keras_gud.core.registry import look_up
from keras_gud.core.types import Tensor
from keras_gud.data.batch import conditions_of, pick
from keras_gud.diffusion.denoiser import Denoiser
from keras_gud.diffusion.loss import weighted_error
from keras_gud.diffusion.missing import fill, split
from keras_gud.diffusion.noising_state import NoisingState
from keras_gud.diffusion.prediction import PREDICTIONS, linear_eps
from keras_gud.diffusion.weighting import WEIGHTINGS
from keras_gud.metrics import LikelihoodMetric
from keras_gud.training import random_draws, step_record
from keras_gud.training.random_draws import Draws


class DenoisingLoss(keras.layers.Layer):
    """The loss of the examples of a batch, its random numbers, and what is recorded of it.

    A Keras layer, so that the model carries its random state and metrics through every backend's
    training step; it has no `call`.

    Args:
        prediction: What the network's output means, a name in `prediction.PREDICTIONS`.
        weighting: lambda_i: a name in `weighting.WEIGHTINGS`, or a function ``(state, variance) ->
            weights``.
        seed: Seed of the training noise, an integer from 0 to 2**31 - 1; `None` draws one.

    Attributes:
        seed: The seed.
        seed_was_drawn: Whether it was drawn, not given.
        record: What the training steps have recorded, a `step_record.Record`.
        linear_loss: Mean of the best linear model's loss, a Keras metric.
        evaluating: Whether data are being evaluated, so that likelihood metrics are computed.
        eval_index: int32 variable, the number of examples already evaluated in a pass.
        seen: With classes, a float32 variable with the number of training examples of each.
    """

    def __init__(self, prediction: str, weighting: Any, seed: int | None) -> None:
        super().__init__(name="objective", dtype="float32")
        look_up("prediction", PREDICTIONS, prediction)
        self.prediction = prediction
        self.weighting = weighting
        by_name = not callable(weighting)
        self.weight = look_up("weighting", WEIGHTINGS, weighting) if by_name else weighting
        self.seed_was_drawn = seed is None
        seed = np.random.randint(2**31) if seed is None else seed
        self.seed = check_integer("seed", seed, 0)
        if self.seed >= 2**31:  # more is too much for some backend's generators
            raise ValueError(f"Expected `seed` to be below 2**31. Received: seed={seed}.")
        self.random = keras.random.SeedGenerator(self.seed)
        self.linear_loss = keras.metrics.Mean(name="linear_loss")
        # Keras would save a metric that is an attribute, and refuse new ones of a built model.
        self._unsaved = SimpleNamespace(record=step_record.Record(), metrics=[])
        self.evaluating = False

    def build(self, classes: int | None = None) -> None:
        """Makes the counters of evaluated examples and, with classes, of each one's."""
        kwargs = {"initializer": "zeros", "aggregation": "only_first_replica", "trainable": False}
        self.eval_index = self.add_weight(name="eval_index", shape=(), dtype="int32", **kwargs)
        self.seen = None
        if classes is not None:
            self.seen = self.add_weight(name="seen", shape=(classes,), dtype="float32", **kwargs)
        self.built = True

    @property
    def record(self) -> step_record.Record:
        """See the class."""
        return self._unsaved.record

    @property
    def metrics(self) -> list[keras.metrics.Metric]:
        """The linear model's loss, the record of bad batches, the likelihood metrics."""
        return [*super().metrics, self.record, *self.likelihoods]

    @property
    def likelihoods(self) -> list[LikelihoodMetric]:
        """The likelihood metrics that `compile` was given, while data are being evaluated."""
        return self._unsaved.metrics if self.evaluating else []

    @property
    def compiled_likelihoods(self) -> list[LikelihoodMetric]:
        """The likelihood metrics that `compile` was given."""
        return self._unsaved.metrics

    @property
    def takes_missing(self) -> bool:
        """Whether these metrics take data with values that are missing."""
        return all(metric.takes_missing for metric in self.compiled_likelihoods)

    def set_likelihoods(self, metrics: list[LikelihoodMetric]) -> None:
        """Sets them; an assignment would let Keras track and save them."""
        self._unsaved.metrics = metrics

    def per_example(
        self,
        x: Any,
        views: Sequence[Any],
        denoisers: Sequence[Denoiser],
        to_phi: Callable[[Tensor, Callable[[], Tensor]], Tensor],
        training: bool,
        missing: bool = False,
    ) -> dict[str, Tensor]:
        """The loss of every example of a batch, at random times.

        Args:
            x: Raw data ``(batch, *data_shape)``, or a dict that holds them under ``"x"``, and the
                conditions of the denoisers by name.
            views: The `regions.View`s whose paths are trained on.
            denoisers: Their denoisers, around one network.
            to_phi: Function of raw data and of a function that draws uniform noise of their shape,
                which returns the model's floats; see `DataScaling.to_phi`.
            training: Whether to draw from the training stream and hide conditions; else noise and
                times are fixed by the position of the example.
            missing: Whether values may be missing, as NaN.

        Returns:
            Dict of float32 ``(batch,)``: ``"loss"`` and ``"linear_loss"``; in training also
            ``"facts"``, ``(batch, len(step_record.FACTS))``.
        """
        given, x, conditions = conditions_of(x), pick(x), denoisers[0].conditions
        absent = conditions.forms.absent(given)
        if absent:  # before any noise is drawn
            what = "labels" if conditions.forms.forms[0].kind == "labels" else "it"
            raise conditions.forms.missing(absent, f"x without {what}")
        if training and self.seen is not None:
            label = ops.cast(given[conditions.names[0]], "int32")
            one_hot = ops.one_hot(label, conditions.classes, dtype="float32")
            self.seen.assign(self.seen + ops.sum(one_hot, axis=0))
        draws = self._draws(x, views, training)
        condition = conditions.for_training(given, draws.uniform if training else None)
        phi, gaps = to_phi(x, draws.dequantise), None
        if missing:
            phi, gaps = split(phi)
        noised = [
            _noise(view, denoiser, phi, gaps, draws, self.weight)
            for view, denoiser in zip(views, denoisers, strict=True)
        ]
        # One network call for the whole batch, whatever the view of each example.
        chosen = _choose_view(views, draws)
        inputs = _select([n.denoiser.inputs(n.z, n.state) for n in noised], chosen)
        inputs += conditions.network_inputs(condition, ops.shape(x)[0])
        output = denoisers[0].call_network(inputs)
        if training:
            _learn(noised, output, draws, chosen)
        known = 1.0 if gaps is None else 1.0 - _mean(ops.cast(gaps, "float32"))
        columns = [[loss / known for loss in n.losses(output, draws.eps)] for n in noised]
        if training:
            for n, entries in zip(noised, columns, strict=True):
                entries.append(step_record.describe(draws.t, phi, n.z, output, n.weight))
        names = ("loss", "linear_loss", "facts")
        return dict(zip(names, _select(columns, chosen), strict=False))

    def _draws(self, x, views, training: bool) -> Draws:
        n_parameters = max(1, *(len(view.schedule.ranges) for view in views))
        if training:
            return random_draws.for_training(x, n_parameters, self.random)
        shape = views[0].basis.data_shape
        return random_draws.for_evaluation(x, n_parameters, shape, self.eval_index)

    def reduce(
        self,
        found: dict[str, Tensor],
        sample_weight: Tensor | None,
        added: Sequence[Tensor],
        step: Tensor | None = None,
    ) -> Tensor:
        """The batch mean of weight times loss, plus the losses that layers have added; recorded.

        Args:
            found: From `per_example`.
            sample_weight: `None` or ``(batch,)``.
            added: Losses of layers, such as regularisation.
            step: Number of this training step; `None` in evaluation.

        Returns:
            A scalar; in a distributed step this replica's share of it.
        """
        losses, linear = found["loss"], found["linear_loss"]
        if sample_weight is not None:
            sample_weight = ops.cast(sample_weight, "float32")
            losses, linear = losses * sample_weight, linear * sample_weight
        loss = ops.mean(losses)
        self.linear_loss.update_state(ops.stop_gradient(linear))
        for extra in added:
            loss = loss + ops.sum(extra)
        if step is not None:
            self.record.update_state(loss, found["loss"], found["facts"], step)
        return backend.scale_loss_for_distribution(loss)


@dataclass(frozen=True)
class _Noised:
    """A batch in the components of one view, noised to states of its paths."""

    view: Any
    denoiser: Denoiser
    state: NoisingState
    z: Tensor
    weight: Tensor

    def losses(self, output: Tensor, eps: Tensor) -> list[Tensor]:
        """Of the network and of the best linear model, float32 ``(batch,)`` each."""
        estimates = (
            self.denoiser.read(output, self.z, self.state),
            linear_eps(self.z, self.state, self.view.prior.variance),
        )
        return [weighted_error(eps, e, self.state, self.weight) for e in estimates]


def _noise(view, denoiser: Denoiser, phi: Tensor, gaps, draws: Draws, weight) -> _Noised:
    state = view.state(draws.t, draws.parameters, draws.uniform, gaps)
    z0 = view.prior(view.basis(phi))
    if gaps is not None:
        z0 = fill(z0, gaps, draws.fill(), view.prior.variance)
    z = state.add_noise(z0, draws.eps)
    return _Noised(view, denoiser, state, z, _weights(view, state, draws.t, weight))


def _weights(view, state: NoisingState, t: Tensor, weight) -> Tensor:
    """lambda_i; while a schedule learns, those of the time that it began with.

    Its loss is an integral over that time, whatever share of the examples each part of it gets now,
    so that it means the same throughout, for a weighting with dgamma/dt as for one without.
    """
    if not view.learns:
        return weight(state, view.prior.variance)
    rarer = view.schedule.importance(t)
    at_first = replace(state, dgamma_dt=state.dgamma_dt / rarer)
    return rarer * weight(at_first, view.prior.variance)


def _choose_view(views, draws: Draws) -> Tensor | None:
    """Index of the view of every example, int32 ``(batch,)``; `None` where there is one."""
    bounds = np.cumsum([view.weight for view in views])
    if len(bounds) == 1:
        return None
    bounds = ops.convert_to_tensor(bounds[:-1] / bounds[-1], "float32")
    return ops.sum(ops.cast(draws.view() > bounds, "int32"), axis=-1)


def _mean(x: Tensor) -> Tensor:
    return ops.mean(x, axis=tuple(range(1, len(x.shape))))


def _learn(noised: list[_Noised], output: Tensor, draws: Draws, chosen: Tensor | None) -> None:
    """Gives schedules that learn from errors those of the examples of their view."""
    for i, n in enumerate(noised):
        schedule = n.view.schedule
        if not n.view.learns:
            continue
        eps_hat = ops.stop_gradient(n.denoiser.read(output, n.z, n.state))
        squared = ops.square(draws.eps - eps_hat)
        active = ops.cast(n.state.dgamma_dt > 0.0, "float32") * ops.ones_like(squared)
        error, counts = schedule.group_errors(squared, active)
        if chosen is not None:
            counts = counts * ops.cast(ops.expand_dims(chosen == i, 1), "float32")
        # All replicas learn from the whole batch, so that they go on to agree.
        schedule.learn(*map(backend.all_gather, (draws.t, error, counts)))


def _select(values: list[list[Tensor]], chosen: Tensor | None) -> list[Tensor]:
    """Row by row, the values of the chosen view; lists of tensors for each view."""
    selected = values[0]
    for i, others in enumerate(values[1:], start=1):
        selected = [
            ops.where(ops.reshape(chosen == i, (-1, *[1] * (len(old.shape) - 1))), new, old)
            for new, old in zip(others, selected, strict=True)
        ]
    return selected
