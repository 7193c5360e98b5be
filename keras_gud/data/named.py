"""Tables of pandas and arrays of xarray: their names, which samples are given again.

Neither library is imported before a table or an array of it has been seen, or is made.
"""

import importlib
from typing import Any, Protocol, TypeAlias

import numpy as np

from keras_gud.core import optional
from keras_gud.core.registry import near_match
from keras_gud.core.types import Array
from keras_gud.data.checks import ALLOW_MISSING

Config: TypeAlias = dict[str, Any]
_VARIABLE = "variable"  # the axis of a Dataset's variables, as xarray calls it


class Names(Protocol):
    """The names of data of one kind."""

    def values(self, x: Any, missing: bool = False) -> Array:
        """The values of other data with these names, in the order that they have here.

        Args:
            x: The data.
            missing: Whether values may be missing; they become NaN.
        """

    def restore(self, values: Array) -> Any:
        """Data of this kind with these names."""

    def get_config(self) -> Config:
        """What `from_config` takes, of the types that JSON has."""


def kind_of(x: Any) -> str | None:
    """``"table"`` of pandas, ``"array"`` or ``"arrays"`` of xarray, `None` for anything else.

    >>> kind_of(np.zeros(3)) is None
    True
    """
    library, name = type(x).__module__.split(".")[0], type(x).__name__
    found = {"DataFrame": "table"} if library == "pandas" else {}
    if library == "xarray":
        found = {"DataArray": "array", "Dataset": "arrays"}
    return found.get(name)


def names_of(x: Any) -> Names | None:
    """The names of a table or an array; `None` for other data.

    Raises:
        ValueError: for data that cannot be used: text, names that are not unique, other shapes.
    """
    kind = kind_of(x)
    if kind is None:
        return None
    return TableNames.of(x) if kind == "table" else ArrayNames.of(x)


def from_config(config: Config | None) -> Names | None:
    """The names that `get_config` described."""
    if config is None:
        return None
    config = dict(config)
    kinds = {"table": TableNames, "array": ArrayNames}
    return kinds[config.pop("kind")](**config)


class TableNames:
    """Columns of a `pandas.DataFrame`.

    Args:
        columns: Their names, strings or integers.
        dtypes: The names of their types; samples get them too.

    Example:

    >>> import pandas
    >>> names = TableNames.of(pandas.DataFrame({"height": [1.5, 1.7], "child": [True, False]}))
    >>> print(names.restore(np.array([[1.25, 0.0]])))
       height  child
    0    1.25  False
    """

    def __init__(self, columns: list[Any], dtypes: list[str]) -> None:
        self.columns, self.dtypes = list(columns), list(dtypes)

    @classmethod
    def of(cls, x: Any) -> "TableNames":
        """The columns of a table.

        Raises:
            ValueError: for columns that are no numbers, or names that are not unique.
        """
        text = [name for name, dtype in x.dtypes.items() if dtype.kind not in "biuf"]
        if text:
            kinds = ", ".join(f"{name!r} ({x.dtypes[name]})" for name in text)
            raise ValueError(
                f"Expected a table of numbers. Received: other columns, {kinds}. Leave them out, "
                "x.drop(columns=...), or encode them, pandas.get_dummies(x, columns=...); numbers "
                "that are held as text or objects become such by x.astype(float)."
            )
        names = [_plain_name(name) for name in x.columns]
        if len(set(names)) != len(names):
            raise ValueError(f"Expected columns with names of their own. Received: {names}.")
        return cls(names, [str(dtype) for dtype in x.dtypes])

    def values(self, x: Any, missing: bool = False) -> Array:
        """See `Names`.

        Raises:
            ValueError: for other columns than these, or values that are missing unless they may.
        """
        if kind_of(x) != "table":
            raise _other("a table with columns " + str(self.columns), x)
        given = TableNames.of(x).columns
        _check_same("columns", self.columns, given)
        gaps = {name for name in x.columns if x[name].isna().any()}
        if gaps and not missing:
            raise ValueError(
                "Expected a table without missing values. Received: some in "
                f"{[name for name in x.columns if name in gaps]}; x.dropna() leaves those rows "
                f"out.{ALLOW_MISSING}"
            )
        names = [x.columns[given.index(name)] for name in self.columns]
        columns = [
            x[name].to_numpy("float64", na_value=np.nan) if name in gaps else x[name].to_numpy()
            for name in names
        ]
        common = np.result_type(*(column.dtype for column in columns))
        return np.stack([column.astype(common) for column in columns], axis=1)

    def restore(self, values: Array) -> Any:
        """See `Names`."""
        pandas = _library("pandas")
        made = {}
        for name, dtype, column in zip(self.columns, self.dtypes, values.T, strict=True):
            whole = not dtype.lower().startswith("float")
            column = np.rint(column) if whole and column.dtype.kind == "f" else column
            made[name] = pandas.Series(column).astype(dtype)
        return pandas.DataFrame(made)

    def get_config(self) -> Config:
        """See `Names`."""
        return {"kind": "table", "columns": self.columns, "dtypes": self.dtypes}


class ArrayNames:
    """Axes and coordinates of an `xarray.DataArray`, or of a Dataset, whose variables are channels.

    Args:
        dims: Names of the axes, that of the examples first.
        coordinates: By the name of an axis, type and values of its coordinates.
        variables: Names of the variables of a Dataset, else `None`.
    """

    def __init__(
        self, dims: list[str], coordinates: dict[str, Config], variables: list[str] | None = None
    ) -> None:
        self.dims, self.coordinates, self.variables = list(dims), coordinates, variables

    @classmethod
    def of(cls, x: Any) -> "ArrayNames":
        """The names of an array, or of several of one shape.

        Raises:
            ValueError: for variables of other shapes, or of text.
        """
        variables = None
        if kind_of(x) == "arrays":
            variables = [str(name) for name in x.data_vars]
            axes = {tuple(x[name].dims) for name in x.data_vars}
            if len(axes) != 1:
                raise ValueError(
                    "Expected a Dataset whose variables have the same axes: they are the channels. "
                    f"Received: {sorted(axes)}."
                )
        whole = _as_one(x)
        if whole.dtype.kind not in "biuf":
            raise ValueError(f"Expected numbers. Received: an array of {whole.dtype}.")
        inner = [str(dim) for dim in whole.dims[1:] if dim in whole.coords and dim != _VARIABLE]
        coordinates = {dim: _to_json(whole.coords[dim].values) for dim in inner}
        return cls([str(dim) for dim in whole.dims], coordinates, variables)

    def values(self, x: Any, missing: bool = False) -> Array:
        """See `Names`.

        Raises:
            ValueError: for other axes, variables or coordinates than these.
        """
        if kind_of(x) not in ("array", "arrays"):
            raise _other(f"an array of xarray with axes {self.dims}", x)
        other = ArrayNames.of(x)
        _check_same("axes", self.dims, other.dims)
        if (self.variables is None) != (other.variables is None):
            raise _other("a Dataset" if self.variables else "a DataArray", x)
        if self.variables is not None and other.variables is not None:
            _check_same("variables", self.variables, other.variables)
            x = x[self.variables]
        for dim, known in self.coordinates.items():
            if other.coordinates.get(dim, known) != known:
                raise ValueError(
                    f"Expected the coordinates of {dim!r} that the model was fitted to. "
                    f"Received: others, from {other.coordinates[dim]['values'][0]} on."
                )
        return np.asarray(_as_one(x).transpose(*self.dims).values)

    def restore(self, values: Array) -> Any:
        """See `Names`."""
        coordinates = {dim: _from_json(known) for dim, known in self.coordinates.items()}
        if self.variables is not None:
            coordinates[_VARIABLE] = np.asarray(self.variables)
        made = _library("xarray").DataArray(values, dims=self.dims, coords=coordinates)
        return made if self.variables is None else made.to_dataset(_VARIABLE)

    def get_config(self) -> Config:
        """See `Names`."""
        own = {"dims": self.dims, "coordinates": self.coordinates, "variables": self.variables}
        return {"kind": "array"} | own


def _as_one(x: Any) -> Any:
    """A DataArray; of a Dataset, with its variables along the last axis."""
    return x.to_dataarray(_VARIABLE).transpose(..., _VARIABLE) if kind_of(x) == "arrays" else x


def _plain_name(name: Any) -> str | int:
    if isinstance(name, str):
        return name
    if isinstance(name, (int, np.integer)):
        return int(name)
    raise ValueError(f"Expected names of columns, strings or integers. Received: {name!r}.")


def _check_same(what: str, known: list[Any], given: list[Any]) -> None:
    """Raises a `ValueError` unless both hold the same names, in any order."""
    missing, new = ([n for n in a if n not in b] for a, b in ((known, given), (given, known)))
    if missing or new:
        hint = near_match(str(new[0]), map(str, missing)) if new and missing else ""
        raise ValueError(
            f"Expected the {what} that the model was fitted to, {known}. Received: {given}, "
            f"without {missing} and with {new} beside.{hint}"
        )


def _other(expected: str, x: Any) -> ValueError:
    return ValueError(
        f"Expected {expected}, as the model was fitted to, or a NumPy array of such. "
        f"Received: {type(x).__name__}."
    )


def _library(name: str) -> Any:
    try:
        return importlib.import_module(name)
    except ImportError as error:
        raise optional.missing(name, "samples of data with names", "tables") from error


def _to_json(values: np.ndarray) -> Config:
    if values.dtype.kind in "OUST":
        return {"dtype": "str", "values": [str(value) for value in values]}
    plain = values.astype("int64") if values.dtype.kind in "mM" else values  # dates and times
    return {"dtype": str(values.dtype), "values": plain.tolist()}


def _from_json(known: Config) -> np.ndarray:
    return np.asarray(known["values"]).astype(known["dtype"])
