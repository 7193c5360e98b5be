"""`DataSpace`: what one example of a model's data is, and the way of data in and of samples out."""

from collections.abc import Callable
from typing import Any

import numpy as np

from keras_gud import backend
from keras_gud.conditioning.forms import Forms
from keras_gud.core.arguments import check_flag
from keras_gud.core.data_shape import validate_data_shape
from keras_gud.core.types import Array, Shape, Tensor
from keras_gud.data import named
from keras_gud.data.batch import NONE
from keras_gud.data.checks import (
    ALLOW_MISSING,
    check_batch,
    check_data_scale,
    check_layout,
    check_shape_and_kind,
    data_kind,
)
from keras_gud.data.source import Source
from keras_gud.diffusion.data_scaling import DataScaling, components_to_raw


class DataSpace:
    """Data as the user has them.

    Args:
        shape: Shape of one example, where it should not be taken from the data.
        data_scale: As in `GUDModel`.
        missing: Whether values may be missing, as NaN.

    Attributes:
        shape: Shape of one example; `None` until the model knows its data.
        scaling: Between raw data and the model's floats, likewise.
        names: The `data.named.Names` of a table of pandas or an array of xarray; else `None`.

    Raises:
        ValueError: for a `data_scale` that is not positive.
    """

    def __init__(
        self, shape: Shape | None = None, data_scale: Any = None, missing: bool = False
    ) -> None:
        self.shape = None if shape is None else validate_data_shape(shape)
        self.missing = check_flag("missing", missing)
        self.data_scale = check_data_scale(data_scale)
        self.scaling: Any = None  # a DataScaling
        self.names: named.Names | None = None

    @property
    def known(self) -> tuple[Shape, str]:
        """Shape and kind, once the model knows its data.

        Raises:
            ValueError: before that.
        """
        if self.shape is None or self.scaling is None:
            raise ValueError("Expected the model to know its data. Call `model.fit(x)` first.")
        return self.shape, self.scaling.kind

    @property
    def kind(self) -> str | None:
        """Type of the data, see `data_kind`; `None` until the model knows its data."""
        return None if self.scaling is None else self.scaling.kind

    @property
    def measured_scale(self) -> Any:
        """What `fit_parts` is given as `data_scale`."""
        return self.data_scale

    def open(
        self,
        x: Any,
        y: Any = None,
        sample_weight: Any = None,
        batch_size: int | None = None,
        *,
        forms: Forms = NONE,
        seed: int = 0,
        shuffle: bool = False,
        required: bool = True,
        divided: bool = True,
        verbose: int = 0,
        complete: bool = False,
    ) -> Source:
        """Data in any form that `fit` takes, as the model itself is given them.

        Args:
            x: As in `fit`.
            y: As in `fit`.
            sample_weight: As in `fit`.
            batch_size: As in `fit`.
            forms: Those of the model's conditions.
            seed: Seed of the order of arrays.
            shuffle: As in `fit`.
            required: Whether the conditions must be there.
            divided: Whether each of several processes reads its own part of an array's batches.
            verbose: 1 shows progress, where data are transformed first.
            complete: Whether no value may be missing, although the model allows it.
        """
        x = self.without_names(x)
        part = backend.data_shard() if divided else (0, 1)
        kwargs = {"y": y, "forms": forms, "required": required, "part": part}
        kwargs["missing"] = self.missing and not complete
        return Source(x, sample_weight, batch_size, shuffle, seed, **kwargs)

    def without_names(self, x: Any, first: bool = False) -> Any:
        """Data as they are, or the values of a table or an array with names, in the known order.

        Args:
            x: Data of any kind.
            first: Whether a model that knows no data yet is given those that it is fitted to.

        Raises:
            ValueError: for other names than those that the model was fitted to.
        """
        names = named.names_of(x)
        if self.scaling is None and (first or names is not None):
            self.names = names
        if names is None:
            return x
        return (self.names or names).values(x, self.missing)

    def with_names(self, x: Array) -> Any:
        """Data in their own units, as the table or the array that the model was fitted to."""
        return x if self.names is None else self.names.restore(x)

    def recognise(self, first: Array) -> tuple[Shape, str]:
        """Shape and kind of data, from their first batch.

        Raises:
            ValueError: for data that cannot be used.
        """
        kind = data_kind(first)
        return self.shape or check_layout(first), kind

    def check(self, x: Array) -> None:
        """Raises a `ValueError` unless x is a usable batch of the data that the model knows."""
        check_batch(x, *self.known, self.missing, ALLOW_MISSING)

    def checker(self, complete: bool) -> Callable[[Array], None]:
        """`check_complete`, or `check`."""
        return self.check_complete if complete else self.check

    def check_complete(self, x: Array) -> None:
        """As `check`, also where values may be missing: here they may not."""
        hint = " Values that are missing can be trained on, but not here: `elbo` is of the others, "
        hint += "and `sample(given=...)` draws them."
        check_batch(x, *self.known, hint=hint if self.missing else "")

    def to_phi(self, x: Tensor, dequantise: Callable[[], Any]) -> Tensor:
        """A batch of raw data to the model's floats; see `DataScaling.to_phi`.

        Raises:
            ValueError: for another shape or type than the model knows.
        """
        check_shape_and_kind(x, *self.known)
        return self.scaling.to_phi(x, dequantise)

    def to_model(self, x: Any, batch_size: int | None = None) -> Array:
        """An array of data, checked, to the model's floats, with dequantisation at its mean."""
        x = backend.to_numpy(self.without_names(x))
        self.check_complete(x)
        return self.scaling.expected(x)

    def to_data(self, z0: Tensor, basis: Any, prior: Any, batch_size: int = 256) -> Array:
        """Clean components to data in their own units and type.

        Args:
            z0: Components ``(n, *shape)``.
            basis: The `Basis` that they are of.
            prior: Its `Prior`.
            batch_size: Examples transformed at a time.
        """
        raw = components_to_raw(z0, basis, prior, self.scaling, batch_size)
        return self.scaling.rounded(raw)

    def from_components(self, z0: Tensor, basis: Any, prior: Any) -> Tensor:
        """As `to_data`, in a graph: of all examples at once, a tensor without names."""
        return self.scaling.from_phi(basis.inverse(prior.inverse(z0)))

    def require_density(self) -> None:
        """Raises a `ValueError` where the likelihood of data is not defined."""

    def get_build_config(self) -> dict[str, Any]:
        """What is known of the data, for `build_from_config`."""
        shape, kind = self.known
        names = {} if self.names is None else {"names": self.names.get_config()}
        scaling = self.scaling.get_config()
        return {"data_shape": list(shape), "kind": kind, "scaling": scaling} | names

    def build_from_config(self, config: dict[str, Any]) -> None:
        """Takes what `get_build_config` returned."""
        self.shape = validate_data_shape(config["data_shape"])
        # Files of before data were scaled by what is measured have none.
        self.scaling = DataScaling(**config.get("scaling", {"kind": config["kind"]}))
        self.names = named.from_config(config.get("names"))


def require_shape(x: Any, shape: Shape, what: str) -> np.ndarray:
    """A finite float32 array of examples, or a `ValueError` that names it.

    Args:
        x: Array ``(n, *shape)``.
        shape: Shape of one example.
        what: Its name in the message.
    """
    x = np.asarray(backend.to_numpy(x), "float32")
    if x.shape[1:] != shape or not np.isfinite(x).all():
        raise ValueError(
            f"Expected finite `{what}` of shape (n, {str(shape)[1:-1]}). "
            f"Received: {what} of shape {x.shape}."
        )
    return x
