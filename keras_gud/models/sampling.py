"""What a trained model makes: samples and estimates of clean data, with the averaged weights.

Methods of `GUDModel`, which sets them as its attributes.
"""

import inspect
import warnings
from collections.abc import Callable, Mapping
from typing import Any

import keras
import numpy as np
from keras import ops

from keras_gud import backend
from keras_gud.conditioning.given import sampling_condition
from keras_gud.core.arguments import check_integer, check_keywords, require_built
from keras_gud.core.types import Array, ArrayLike, Identifier, Tensor, TensorLike
from keras_gud.data.arrays import BATCH_SIZE
from keras_gud.data.checks import check_finite
from keras_gud.diffusion.guidance import Guided
from keras_gud.diffusion.noising_state import NoisingState, score_from_eps, z0_from_eps
from keras_gud.models.guided import denoiser_and_condition
from keras_gud.models.sample_given import sample_given
from keras_gud.regions import View
from keras_gud.samplers import Sampler


@backend.in_strategy_scope
def sample(
    model: keras.Model,
    n: int = 1,
    labels: ArrayLike | None = None,
    guidance: ArrayLike | Mapping[str, ArrayLike] = 1.0,
    *,
    given: Any = None,
    condition: Any = None,
    guidance_interval: tuple[float, float] | None = None,
    guidance_model: keras.Model | None = None,
    guide: Callable[[Tensor, Tensor, NoisingState], Tensor] | None = None,
    seed: int | None = None,
    sampler: str | dict | Sampler = "dpm++sde",
    steps: int | None = None,
    batch_size: int | None = None,
    denoise: bool = True,
    states: int = 0,
    progress: bool = False,
    start: str = "matched",
    schedule: Identifier | None = None,
    **params: Any,
) -> Array | tuple[Array, Array]:
    """Generates data.

    Args:
        n: Number of samples.
        labels: Which classes: an integer for all samples, or n integers, where the model has
            `classes`. `None` samples from all data.
        guidance: How far to go towards what is given, a number or n numbers: 0 ignores it, 1 is
            the model's conditional distribution, more exaggerates (classifier-free guidance,
            arXiv:2207.12598). Or a dict of them by name of condition, whose others are given
            throughout (arXiv:2211.09800). Values between and beyond 0 and 1 cost one evaluation of
            the network more a step, for each name.
        given: Values that samples are to have, of a model in a basis of pixels: an array of the
            data's shape, or one for each sample, with NaN where values are open; of a table also a
            dict from columns (names, or numbers from 0) to values. The model should be trained for
            it, ``region=["inpaint"]``; it warns where it was not.
        condition: What the model's `condition` is, for one sample or for n: an array, or a dict of
            them by name. What is not given is left open.
        guidance_interval: Times of the path, 0 to 1, between which guidance holds; elsewhere it is
            1 (arXiv:2404.07724).
        guidance_model: A model of the same data, trained less or smaller, in place of the estimate
            without conditions: guidance goes from its estimate to this model's (autoguidance,
            arXiv:2406.02507).
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
        schedule: The path to follow, without another training; `None`: the model's own. A name, a
            config or an instance of a schedule, in one of the model's bases (its own, or of its
            `region`), or the arguments of a preset. One that leaves the noising states that the
            network was trained on warns, and says where and how far (`GUDModel.path`).
        **params: Parameters of the schedule, e.g. ``a=0.7``; those left open take the middle
            of their range.

    Returns:
        NumPy array ``(n, *data_shape)`` in the data's own units: of the integer type that the
        model was trained on, else float32; a `pandas.DataFrame`, or an array of xarray, where it
        was trained on such. With `states`, a pair of that and the states at t = 1, ..., 0, an array
        ``(states + 1, n, *data_shape)``.

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
    require_built(model, "it samples")
    own = inspect.signature(sample).parameters.keys() - {"model", "params"}
    view = model.view_along(schedule)
    check_keywords("sample", params, own | view.schedule.ranges.keys())
    model.view_along(schedule, params=params)
    n = check_integer("n", n, 1)
    how: dict[str, Any]
    if given is not None:
        _check_with_given(denoise, states, start, guidance_model)
        how = {"labels": labels, "guidance": guidance, "condition": condition, "guide": guide}
        how |= {"seed": seed, "sampler": sampler, "steps": steps, "batch_size": batch_size}
        how |= {"guidance_interval": guidance_interval, "progress": progress, "schedule": schedule}
        return sample_given(model, n, given, **how, **params)
    how = {"condition": condition, "interval": guidance_interval}
    how |= {"labels": labels, "guidance": guidance, "weaker": guidance_model}
    denoiser, told = denoiser_and_condition(model, view, n, **how)
    _warn_of_unseen(model, labels)
    batch_size = BATCH_SIZE if batch_size is None else batch_size
    result = model.session.sampler(sampler)(
        Guided.of(denoiser, guide),
        view.schedule,
        n,
        steps=steps,
        seed=int(np.random.randint(2**31)) if seed is None else seed,
        batch_size=batch_size,
        denoise=denoise,
        states=states,
        progress=progress,
        start=start,
        condition=told,
        **params,
    )
    result, path = result if states else (result, ())
    made = model.data_space.with_names(to_data(model, result, batch_size, view))
    path = [to_data(model, z, batch_size, view) for z in path]
    return (made, np.stack(path)) if states else made


@backend.in_strategy_scope
def denoise(
    model: keras.Model,
    x: TensorLike,
    state: NoisingState,
    labels: ArrayLike | None = None,
    schedule: Identifier | None = None,
    *,
    condition: Any = None,
) -> Tensor:
    """The network's estimate of the clean data.

    Args:
        x: Noised data ``(batch, *data_shape)``, float: ``U^T S z + mean`` in the model's units
            (of the scaled data, `GUDModel.data_space.scaling`).
        state: Their `NoisingState`.
        labels: As in `sample`.
        schedule: As in `sample`: the path that the state is of, if it is another one.
        condition: As in `sample`.

    Returns:
        Float tensor of x's shape, same units.

    Raises:
        ValueError: for x of another shape, or a NumPy array with NaN or infinite values.
        TypeError: for a state that is none.
    """
    require_built(model, "it denoises")
    view = model.view_along(schedule)
    z, eps = _estimate(model, view, x, state, labels, condition)
    z0 = z0_from_eps(z, eps, state)
    return view.basis.inverse(view.prior.inverse(z0))


@backend.in_strategy_scope
def score(
    model: keras.Model,
    x: TensorLike,
    state: NoisingState,
    labels: ArrayLike | None = None,
    schedule: Identifier | None = None,
    *,
    condition: Any = None,
    components: bool = False,
) -> Tensor:
    """The network's estimate of the score, the gradient of the log density of noised data.

    In components it is ``-eps/sigma``; in the data's own axes (paper eq. 23) ``U^T S^-1`` times
    that, the gradient in x.

    Args:
        x: As in `denoise`.
        state: As in `denoise`.
        labels: As in `sample`.
        schedule: As in `denoise`.
        condition: As in `sample`.
        components: Whether to return the gradient in the components z instead.

    Returns:
        Float tensor of x's shape, in the inverse of its units.

    Raises:
        ValueError: as `denoise`.

    Example:

    >>> import keras_gud
    >>> x = np.random.default_rng(0).normal(size=(64, 4)).astype("float32")
    >>> model = keras_gud.GUD(schedule="cosine", backbone="tiny"); model.adapt(x, verbose=0)
    >>> tuple(model.score(x, model.schedule(0.5)).shape)
    (64, 4)
    """
    require_built(model, "it has a score")
    view = model.view_along(schedule)
    _, eps = _estimate(model, view, x, state, labels, condition)
    in_z = score_from_eps(eps, state)
    return in_z if components else view.basis.inverse(in_z / view.prior.scale)


def _check_with_given(denoise: bool, states: int, start: str, guidance_model: Any) -> None:
    if (denoise, states, start, guidance_model) != (True, 0, "matched", None):
        raise ValueError(
            "Expected denoise=True, states=0, start='matched' and no `guidance_model` with `given`."
            f" Received: denoise={denoise}, states={states}, start={start!r}, "
            f"guidance_model={guidance_model!r}."
        )


def _warn_of_unseen(model, labels) -> None:
    """Warns of classes that training has not met: what is drawn of them means nothing."""
    if labels is None or model.objective.seen is None:
        return
    seen = ops.convert_to_numpy(model.objective.seen)
    asked = np.unique(np.asarray(labels, "int64"))
    unseen = [int(k) for k in asked if 0 <= k < len(seen) and seen[k] == 0.0]
    if unseen and seen.any():
        warnings.warn(
            f"Class {', '.join(map(str, unseen))} did not occur in training: samples of it mean "
            "nothing.",
            stacklevel=4,
        )


def _estimate(model, view, x, state, labels, condition) -> tuple[Tensor, Tensor]:
    """The components of noised data in a view, and the network's estimate of their noise."""
    if not isinstance(state, NoisingState):
        raise TypeError(
            "Expected `state` to be a NoisingState, such as model.schedule(0.5). "
            f"Received: state={state!r:.80}."
        )
    if tuple(np.shape(x))[1:] != model.data_shape or np.ndim(x) == 0:
        raise ValueError(
            f"Expected x of shape (batch, {str(model.data_shape)[1:-1]}). "
            f"Received: x of shape {tuple(np.shape(x))}."
        )
    if isinstance(x, np.ndarray) and x.dtype.kind == "f":
        check_finite(x)
    z = view.prior(view.basis(ops.convert_to_tensor(x, "float32")))
    told = sampling_condition(model.conditions, len(x), labels=labels, condition=condition)
    given = {name: ops.convert_to_tensor(value) for name, value in told.items()}
    return z, model.denoiser.in_view(view)(z, state, **given)


def to_data(model: keras.Model, z0: Tensor, batch_size: int, view: View) -> Array:
    """Clean components of a view to data in their own units; see `DataSpace.to_data`."""
    return model.data_space.to_data(z0, view.basis, view.prior, batch_size)
