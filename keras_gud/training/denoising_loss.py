"""The forward pass of training and evaluation: denoising score matching at random states."""

import itertools
from types import SimpleNamespace

import keras
import numpy as np
from keras import ops

from keras_gud import backend
from keras_gud.conditioning import class_labels
from keras_gud.core import counter_rng
from keras_gud.data.batch import pick, pick_label
from keras_gud.diffusion.loss import weighted_error
from keras_gud.diffusion.prediction import linear_eps
from keras_gud.training import step_record

# Counters of the deterministic noise that evaluation draws for each example.
_EPS, _UNIFORM, _DEQUANTISE, _VIEW, _OBSERVED = range(5)
_EVALUATION_SEED = 0x6D61


class Training:
    """Mixin of `GUDModel`."""

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
            linear model with the same noise. In training, `health.FACTS` in further columns.
        """
        label, x = pick_label(x), pick(x)
        if self.classes is not None and label is None:  # before any noise is drawn
            raise class_labels.missing(self.classes, "x without labels")
        dropout = self.label_dropout if training else None
        draw = self._training_draws(x) if training else self._evaluation_draws(x)
        told = class_labels.for_loss(label, self.classes, dropout, draw.uniform)
        phi = self.to_floats(x, draw.dequantise)
        sides = [self._noised(view, phi, draw, training) for view in self.views]
        # One network call for the whole batch, whatever the view of each example.
        which = self._choose_view(draw)
        inputs = _pick([side.denoiser.inputs(side.z, side.state) for side in sides], which)
        last = class_labels.complete(told.get("label"), ops.shape(x)[0], self.classes)
        output = sides[0].denoiser.call_network([*inputs, *last])
        if training:
            self.ema.update(self.network)
            _learn(sides, output, draw, which)
        columns = [[self._score_matching(side, output, draw.eps)] for side in sides]
        if training:
            for side, entries in zip(sides, columns, strict=True):
                entries.append(step_record.describe(draw.t, phi, side.z, output, side.weight))
        return ops.concatenate(_pick(columns, which), axis=-1)

    def _noised(self, view, phi, draw, training):
        """Components of a batch in one view, noised to states of its paths."""
        state = view.state(draw.t, draw.parameters, draw.uniform)
        z0 = view.prior(view.basis(phi))
        denoiser = self.make_denoiser(view, True) if training else self.denoiser_of(view)
        return SimpleNamespace(
            view=view,
            state=state,
            z=state.add_noise(z0, draw.eps),
            denoiser=denoiser,
            weight=self._weight(state, view.prior.variance),
        )

    def _score_matching(self, side, output, eps):
        """The loss of the network and of the best linear model, float32 ``(batch, 2)``."""
        estimates = (
            side.denoiser.read(output, side.z, side.state),
            linear_eps(side.z, side.state, side.view.prior.variance),
        )
        losses = [weighted_error(eps, e, side.state, side.weight) for e in estimates]
        return ops.stack(losses, axis=-1)

    def _choose_view(self, draw):
        """Index of the view of every example, int32 ``(batch,)``; `None` where there is one."""
        bounds = np.cumsum([view.weight for view in self.views])
        if len(bounds) == 1:
            return None
        bounds = ops.convert_to_tensor(bounds[:-1] / bounds[-1], "float32")
        return ops.sum(ops.cast(draw.view() > bounds, "int32"), axis=-1)

    def _training_draws(self, x):
        here, count = backend.replica()
        local, *shape = ops.shape(x)
        batch = local * count

        def own(values):
            """The rows of this replica: noise does not depend on how a batch is divided."""
            return values if count == 1 else values[here * local : (here + 1) * local]

        def uniform(shape):
            drawn = keras.random.uniform((batch, *shape), dtype="float32", seed=self.random)
            return own(drawn)

        # One time in each of `batch` equal intervals: stratified over the batch (DESIGN sec. 3.6).
        place = own(ops.cast(ops.arange(batch), "float32"))
        return SimpleNamespace(
            t=(place + uniform(())) / ops.cast(batch, "float32"),
            parameters=uniform((self._n_parameters,)),
            eps=own(keras.random.normal((batch, *shape), dtype="float32", seed=self.random)),
            dequantise=lambda: uniform(shape),
            view=lambda: uniform((1,)),
            uniform=uniform,
        )

    def _evaluation_draws(self, x):
        shape, keys, index = self.data_shape, *self.evaluation_keys(x, self.eval_index)
        counters = itertools.count(_OBSERVED)
        return SimpleNamespace(
            t=counter_rng.golden_sequence(index),
            parameters=counter_rng.uniform(keys, _UNIFORM, (self._n_parameters,)),
            eps=counter_rng.normal(keys, _EPS, shape),
            dequantise=lambda: counter_rng.uniform(keys, _DEQUANTISE, shape),
            view=lambda: counter_rng.uniform(keys, _VIEW, (1,)),
            uniform=lambda shape: counter_rng.uniform(keys, next(counters), shape),
        )

    @property
    def _n_parameters(self) -> int:
        """How many parameters a schedule of any view has, at least 1."""
        return max(1, *(len(view.schedule.ranges) for view in self.views))

    def evaluation_keys(self, x, counter):
        """Keys and indices of a batch's examples in a deterministic pass over data.

        Args:
            x: The batch.
            counter: int32 variable with the number of examples already seen; moved on.

        Returns:
            Pair of int32 ``(batch, 2)`` and ``(batch,)``.
        """
        here, count = backend.replica()
        size = ops.cast(ops.shape(x)[0], "int32")
        index = counter + here * size + ops.arange(ops.shape(x)[0], dtype="int32")
        counter.assign(counter + count * size)
        seed = ops.full_like(index, _EVALUATION_SEED)
        return ops.stack([seed, index], axis=1), index

    def compute_loss(self, x=None, y=None, y_pred=None, sample_weight=None, training=True):
        """Batch mean of weight times loss (paper eq. 11), as in Keras; there is no target."""
        losses, facts, y_pred = y_pred[:, 0], y_pred[:, 2:], y_pred[:, :2]
        if sample_weight is not None:
            y_pred = y_pred * ops.expand_dims(ops.cast(sample_weight, "float32"), -1)
        loss = ops.mean(y_pred[:, 0])
        self.linear_loss.update_state(ops.stop_gradient(y_pred[:, 1]))
        if not training:
            self.update_likelihoods(x, sample_weight)
        for extra in self.losses:
            loss = loss + ops.sum(extra)
        if training:
            self.health.update_state(loss, losses, facts, self.ema.count)
        return backend.scale_loss_for_distribution(loss)


def _learn(sides, output, draw, which):
    """Lets schedules that learn from errors know them, of the examples of their view."""
    for i, side in enumerate(sides):
        schedule = side.view.schedule
        if not schedule.learns:
            continue
        eps_hat = side.denoiser.read(output, side.z, side.state)
        error = weighted_error(draw.eps, eps_hat, side.state, 1.0)
        own = [draw.t, ops.stop_gradient(error)]
        own += [] if which is None else [ops.cast(which == i, "float32")]
        # All replicas learn from the whole batch, so that they go on to agree.
        schedule.learn(*map(backend.all_gather, own))


def _pick(values: list, which):
    """Row by row, the values of the view that `which` says; lists of tensors for each view."""
    chosen = values[0]
    for i, others in enumerate(values[1:], start=1):
        chosen = [
            ops.where(ops.reshape(which == i, (-1, *[1] * (len(old.shape) - 1))), new, old)
            for new, old in zip(others, chosen, strict=True)
        ]
    return chosen
