"""`model.diagnose(x)`: what is wrong with a model or its data, in plain words.

A method of `GUDModel`, which sets it as its attribute.
"""

from dataclasses import dataclass
from typing import Any

import keras
import numpy as np
from keras import ops

from keras_gud import regions
from keras_gud.core.arguments import check_integer, require_built
from keras_gud.core.types import Array
from keras_gud.training import trainer

# Fewer steps make blurs of anything.
FEW_STEPS = 500
# The network should beat the best linear model by this factor at least.
LEARNED = 0.9
# A loss on held-out data above that on training data by this factor is over-fitting.
OVER_FITTED = 1.15
# Mean variance of the components, in units of the prior's, that networks take well.
VARIANCES = (0.1, 10.0)
# Samples may leave the range of the data by this share of it, in this share of their values.
MARGIN, OUTSIDE = 0.1, 0.02
# Ratio of the standard deviations of samples and data.
SPREADS = (0.8, 1.25)


@dataclass(frozen=True)
class Diagnosis:
    """What `GUDModel.diagnose` found.

    Attributes:
        findings: Sentences, each with a remedy; none where nothing is wrong.
        figures: The numbers behind them, by name.

    Example:

    >>> print(Diagnosis((), {"loss": 0.1, "steps": 1000}))
    Nothing wrong was found.
      loss   0.1
      steps  1000
    """

    findings: tuple[str, ...]
    figures: dict[str, float]

    def __str__(self) -> str:
        width = max(map(len, self.figures), default=0)
        figures = [f"  {name:{width}}  {value:.4g}" for name, value in self.figures.items()]
        found = [f"- {finding}" for finding in self.findings] or ["Nothing wrong was found."]
        return "\n".join([*found, *figures])


def diagnose(
    model: keras.Model,
    x: Any,
    y: Any = None,
    *,
    validation_data: Any = None,
    samples: int = 64,
    steps: int | None = None,
    batch_size: int | None = None,
    seed: int = 0,
) -> Diagnosis:
    """Says in plain words what is wrong with the model, or with its data.

    It compares the loss with the best component-wise linear model's, samples with data, and
    training data with held-out ones, and looks at the path, the scale of the data and the number of
    steps. It costs two passes over the data at most and a few samples.

    Args:
        x: Data in any form that `fit` takes, of those that the model was trained on.
        y: Labels, as in `fit`.
        validation_data: Held-out data, to find over-fitting.
        samples: Number of samples to compare with data; 0 makes none.
        steps: Steps of the sampler; default: the sampler's.
        batch_size: Examples per batch where x is an array.
        seed: Seed of the samples.

    Returns:
        A `Diagnosis`; print it.

    Raises:
        ValueError: before the model knows its data, or for data that cannot be used.
    """
    require_built(model, "it is diagnosed")
    check_integer("samples", samples, 0)
    source = trainer.open_data(model, x, y, batch_size=batch_size, required=False)
    figures: dict[str, float] = {"steps": float(ops.convert_to_numpy(model.ema.count))}
    findings = [
        *_losses(model, source, validation_data, batch_size, figures),
        *_path(model, figures),
        *_scale(model, figures),
    ]
    if figures["steps"] < FEW_STEPS:
        findings.append(
            f"The model has been trained for {figures['steps']:.0f} steps, and the averaged "
            "weights that samples use are as young. Train for some thousand."
        )
    if samples:
        made = model.data_space.without_names(model.sample(samples, steps=steps, seed=seed))
        findings += _samples(made, source.first, figures)
    return Diagnosis(tuple(findings), figures)


def _losses(model, source, validation_data, batch_size, figures) -> list[str]:
    found = []
    losses = model.evaluate(source, return_dict=True, verbose=0)
    loss, linear = figures["loss"], figures["linear_loss"] = losses["loss"], losses["linear_loss"]
    if loss > LEARNED * linear:
        found.append(
            f"The loss, {loss:.3g}, is no better than that of the best linear model, {linear:.3g}: "
            "the network has not learned yet (unless the components are independent Gaussians). "
            "Train longer, or change the learning rate."
        )
    if validation_data is not None:
        held = validation_data if isinstance(validation_data, tuple) else (validation_data,)
        losses = model.evaluate(*held[:2], batch_size=batch_size, return_dict=True, verbose=0)
        figures["val_loss"] = losses["loss"]
        if losses["loss"] > OVER_FITTED * loss:
            found.append(
                f"The loss on held-out data, {losses['loss']:.3g}, is above that on training data, "
                f"{loss:.3g}: the model over-fits. Stop earlier, augment the data, use dropout or "
                "a smaller network."
            )
    return found


def _path(model, figures) -> list[str]:
    span = regions.measure_span(model.views[0])
    figures["wasted path"] = span.wasted
    advice = span.advice(type(model.schedule).__name__)
    return [] if advice is None else [advice]


def _scale(model, figures) -> list[str]:
    variance = figures["variance"] = float(ops.mean(model.prior.variance))
    if not VARIANCES[0] <= variance <= VARIANCES[1]:
        return [
            f"The components have a mean variance of {variance:.3g}, far from 1. Leave "
            "`data_scale` at None, or give the prior the scale of the data."
        ]
    return []


def _samples(made: Array, data: Array, figures) -> list[str]:
    found = []
    made, data = made.astype("float64"), data.astype("float64")
    axes = 0 if data.ndim == 2 else None  # columns of tables have units of their own
    ours, theirs = (np.atleast_1d(np.nanstd(values, axis=axes)) for values in (made, data))
    spread = float(np.median(ours[theirs > 0.0] / theirs[theirs > 0.0]))
    figures["spread of samples"] = spread
    if not SPREADS[0] <= spread <= SPREADS[1]:
        found.append(
            f"Samples have {spread:.2g} times the standard deviation of the data. Train longer, or "
            "give the sampler more steps."
        )
    low, high = np.nanmin(data, axis=axes), np.nanmax(data, axis=axes)
    margin = MARGIN * (high - low)
    outside = float(np.mean((made < low - margin) | (made > high + margin)))
    figures["samples outside"] = outside
    if outside > OUTSIDE:
        found.append(
            f"{outside:.0%} of the values of samples are out of the data's range. Train longer, "
            "or give the sampler more steps."
        )
    return found
