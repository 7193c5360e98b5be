"""Which of a model's bases serves a task: the one in which the observation is diagonal."""

import inspect
from collections.abc import Callable

from keras_gud import bases
from keras_gud.bases import Basis
from keras_gud.core.types import Identifier
from keras_gud.regions import View
from keras_gud.tasks.contract import Model


def find_view(model: Model, task: str, needed: str, fits: Callable[[Basis], bool]) -> View:
    """The view of a model whose basis fits; one with observed components in training if possible.

    Args:
        model: The model.
        task: The task's name.
        needed: The bases that fit, in words.
        fits: Function from a built `Basis` to whether it fits.

    Raises:
        ValueError: if there is none; the message says what to train.
    """
    found = [view for view in model.views if fits(view.basis)]
    if not found:
        raise ValueError(
            f"Expected a model with {needed}, in which {task} has independent observations. "
            f"Received: a model with {describe_bases(model)}. Train one for the task: "
            f'GUD(..., region=["{task}"]).'
        )
    return max(found, key=lambda view: bool(view.observed))  # the first of equals


def view_of_basis(model: Model, basis: Identifier | None) -> View:
    """The view of a given basis.

    Args:
        model: The model.
        basis: `None` for the model's own, a name or a class.

    Raises:
        ValueError: if the model has no such view.
    """
    if basis is None:
        return model.views[0]
    kind = basis if inspect.isclass(basis) else type(bases.get(basis))
    for view in model.views:
        if isinstance(view.basis, kind):
            return view
    raise ValueError(
        f"Expected `basis` to be one of the model's. Received: basis={basis!r} and a model "
        f"with {describe_bases(model)}."
    )


def describe_bases(model: Model) -> str:
    """The model's bases, in words."""
    names = [type(view.basis).__name__ for view in model.views]
    return ("the basis " if len(names) == 1 else "the bases ") + ", ".join(names)


def is_pixel_basis(basis: Basis) -> bool:
    """Whether components are the values of the image."""
    return not (basis.mixes_space or basis.mixes_channels)


def is_channel_basis(basis: Basis) -> bool:
    """Whether components are mixed channels, the first one grey."""
    return basis.mixes_channels and not basis.mixes_space and "channel" in basis.coordinates


def has_bands(basis: Basis) -> bool:
    """Whether components are bands of wavelets."""
    return "band" in basis.coordinates


def frequency_basis(basis: Basis) -> bases.DCT | bases.Fourier | None:
    """The DCT or Fourier basis that is the spatial part of a basis; `None` for all others."""
    parts = basis.bases if isinstance(basis, bases.Compose) else [basis]
    spatial = [part for part in parts if part.mixes_space]
    if len(spatial) == 1 and isinstance(spatial[0], bases.DCT | bases.Fourier):
        return spatial[0]
    return None
