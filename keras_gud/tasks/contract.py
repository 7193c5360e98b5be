"""What tasks need of a model, in types; a built `GUDModel` has all of it."""

from collections.abc import Sequence
from typing import Any, Protocol

from keras_gud.conditioning.conditions import Conditions
from keras_gud.core.types import Array, Shape
from keras_gud.diffusion.data_scaling import DataScaling
from keras_gud.diffusion.denoiser import Denoiser
from keras_gud.regions import View


class DataSpace(Protocol):
    """What the model's data are.

    Attributes:
        kind: ``"uint8"`` or ``"float"``.
        scaling: From raw data to the model's floats and back.
    """

    kind: str
    scaling: DataScaling

    def to_data(self, z0: Any, basis: Any, prior: Any, batch_size: int = 256) -> Array:
        """Clean components to data in their own units and type."""


class Model(Protocol):
    """A trained model.

    Attributes:
        built: Whether it knows its data.
        data_shape: Shape of one example.
        data_space: What its data are.
        conditions: What it is conditioned on beside the noising state.
        views: The bases in which it denoises, its own first.
        denoiser: The denoiser of its own view's components.
        session: Compiled samplers, ``session.sampler(identifier)``.
    """

    built: bool
    data_shape: Shape
    data_space: DataSpace
    conditions: Conditions
    views: Sequence[View]
    denoiser: Denoiser
    session: Any  # a `models.session.Session`, whose folder is above this one

    def view_along(
        self, schedule: Any, basis: Any = None, params: dict[str, Any] | None = None
    ) -> View:
        """The view in which the model follows a schedule, in a given one of its bases."""

    def check_region(self, view: View, gamma: Any) -> None:
        """Warns if the states of a view's components are not among those of the training."""
