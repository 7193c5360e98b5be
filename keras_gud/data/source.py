"""Data of any kind that Keras accepts, brought to batches whose first entry is the array x.

With conditions, that entry is ``{"x": x, "label": label, ...}``, since the loss is computed in
`call`.
Every batch is checked when it is read. A generator can be read only once: the batches to which
statistics are fitted are kept for training.
"""

import inspect
import os
from collections.abc import Callable, Iterable, Iterator
from typing import Any

import numpy as np

from keras_gud import backend
from keras_gud.backend import to_numpy
from keras_gud.conditioning.forms import Forms
from keras_gud.core.arguments import check_integer
from keras_gud.core.types import Array
from keras_gud.data.adapters import ArrayAdapter, Request, adapter_for
from keras_gud.data.arrays import BATCH_SIZE, checked_conditions, is_array
from keras_gud.data.batch import (
    NONE,
    KerasBatch,
    PrepareBatch,
    conditions_of,
    pick,
    with_conditions,
)
from keras_gud.data.checks import check_divides

# How much of endless data, or of a generator, is used to fit statistics; that of a generator is
# also kept in memory.
MAX_PEEK_BATCHES = 256
MAX_PEEK_BYTES = 2**30
NOT_FINITE = "Expected finite data. Received: NaN or inf in a batch of x"


class Source:
    """Data of any kind that Keras accepts.

    Args:
        x: NumPy array or tensor, dict of arrays, `tf.data.Dataset`, `keras.utils.PyDataset`,
            torch `DataLoader`, `grain.MapDataset`, `grain.IterDataset`, `grain.DataLoader`, a
            `datasets.Dataset` of Hugging Face, or a generator of batches.
        sample_weight: Weights of the examples, only with arrays.
        batch_size: Examples per batch, of arrays and data sets of Hugging Face; default 128.
        shuffle: Whether to shuffle arrays.
        seed: Seed of the order of arrays.
        y: Conditions of the examples, only with arrays; ignored without `forms`.
        forms: Those of the model's conditions.
        required: Whether all conditions must be there.
        part: Which part of every batch to read, see `EpochOrder`, of an array or a PyDataset that
            has an attribute of this name. Others are taken to be this process' part already.
        missing: Whether values of x may be missing, as NaN.

    Attributes:
        keras_data: What to hand to Keras as `x`.
        first: The x of the first batch, NumPy ``(batch, *data_shape)``.
        row_shapes: Shapes of the conditions of one example, by name, of the first batch.
        observe: `None`, or a function that is given the conditions of every batch of a pass, by
            name, as NumPy.
        n_batches: Number of batches in one pass, or `None` where it is not known.
        endless: Whether a pass may never end, or can be made only once.
        is_array: Whether x is an array, a tensor or a dict of them.
        shuffler: What shuffles by itself and needs its attribute `epoch` set before each epoch: the
            batches of an array, a `keras.utils.PyDataset` that has this attribute, or the
            `LoaderOrder` of a DataLoader; else `None`.
        progress: How far a generator has been read for training, a `Progress`; data that can be
            read again have none.
        passes: How many passes over x have begun so far, other than by Keras.
        keras_shuffles: Whether Keras is to shuffle the batches: those of another PyDataset that
            has workers, unless it has an attribute ``in_order = True``.

    Raises:
        ValueError: for empty data, unusable sample weights or labels, or a batch size that is not
            a positive integer.
        TypeError: for data of none of these kinds.

    Example:

    >>> source = Source(np.zeros((300, 4), "float32"), batch_size=100)
    >>> source.first.shape, source.keras_data.num_batches
    ((300, 4), 3)
    """

    def __init__(
        self,
        x: Any,
        sample_weight: Any = None,
        batch_size: int | None = None,
        shuffle: bool = False,
        seed: int = 0,
        *,
        y: Any = None,
        forms: Forms = NONE,
        required: bool = True,
        part: tuple[int, int] = (0, 1),
        missing: bool = False,
    ) -> None:
        batch_size = BATCH_SIZE if batch_size is None else batch_size
        batch_size = check_integer("batch_size", batch_size, 1)
        if isinstance(x, Source):
            raise TypeError("Expected data. Received: a Source.")
        self._prepare, self.part, self.passes = PrepareBatch(forms, required), part, 0
        self._missing = missing
        adapter = adapter_for(x)
        if sample_weight is not None and adapter is not ArrayAdapter:
            raise ValueError(
                "Expected `sample_weight` only with arrays; data sets carry it in their batches, "
                f"(x, y, sample_weight). Received: sample_weight and {type(x).__name__}."
            )
        if adapter is None:
            raise TypeError(
                "Expected `x` to be an array, a dict of arrays, a tf.data.Dataset, a "
                "keras.utils.PyDataset, a torch DataLoader, a grain.MapDataset, IterDataset or "
                "DataLoader, a datasets.Dataset of Hugging Face, or a generator of batches. "
                f"Received: x of type {type(x).__name__}.{_hint(x)}"
            )
        request = Request(self._prepare, y, sample_weight, batch_size, shuffle, seed, part)
        opened = adapter.open(x, request)
        self.keras_data = opened.keras_data
        self._batches: Iterable[KerasBatch] = opened.batches
        self.n_batches, self.endless = opened.n_batches, opened.endless
        self.is_array, self.shuffler = opened.is_array, opened.shuffler
        self.keras_shuffles, self.progress = opened.keras_shuffles, opened.progress
        if not self.is_array:
            checked_conditions(x, y, forms)  # raises for those beside a stream
        self.observe: Callable[[dict[str, Array]], None] | None = None
        self.first, given = self._read_first()
        self.row_shapes = {name: tuple(value.shape[1:]) for name, value in given.items()}

    def guard(self, check: Callable[[Array], None]) -> None:
        """Checks an array at once, and every batch of a stream when it is read.

        Args:
            check: Function of a NumPy batch that raises an error if it cannot be used. Of a
                `tf.data.Dataset` it is given the first batch only; the others are only checked to
                be finite, by TensorFlow.
        """
        for x in self if self.is_array else [self.first]:
            check(x)
        self._prepare.check = check
        if hasattr(self.keras_data, "element_spec"):
            self.keras_data = self.keras_data.map(lambda x, *rest: (self._require_usable(x), *rest))

    def check_divides(self) -> None:
        """Makes sure that the devices of a distributed run can divide every batch.

        Raises:
            ValueError: for a batch that they cannot divide, of an array or a
                `keras_gud.datasets.stream.Stream` at once, of others when it is read; if processes
                have different numbers of batches. Generators and torch DataLoaders of unknown
                length raise a `RuntimeError` where those of one process end.
        """
        lengths = backend.process_allgather(
            np.int64(-1 if self.n_batches is None else self.n_batches)
        )
        if (lengths != lengths[0]).any():
            raise ValueError(
                "Expected the same number of batches in every process, or all but one would wait "
                f"for ever. Received: {lengths.tolist()} batches (-1: not known)."
            )
        parts = backend.batch_shards()
        order = getattr(self.shuffler, "order", None)
        if order is not None:
            for size in sorted(order.sizes()):
                check_divides(size, parts, order.n)
        self._prepare.n_devices = parts // self.part[1]
        if len(lengths) > 1 and self.n_batches is None:
            self._end_together()

    def _end_together(self) -> None:
        """Lets data of unknown length end in all processes or in none."""
        if isinstance(self.keras_data, Iterator):
            self.keras_data = backend.synchronized_batches(self.keras_data)
        elif hasattr(self.keras_data, "collate_fn"):  # must remain a DataLoader for Keras
            kind = type(self.keras_data)
            iterate = {
                "__iter__": lambda loader: backend.synchronized_batches(kind.__iter__(loader))
            }
            self.keras_data.__class__ = type(kind.__name__, (kind,), iterate)

    def _require_usable(self, x: Any) -> Any:
        """The same x, see `with_conditions`, in a `tf.data` pipeline that raises unless usable."""
        require = backend.require_observed if self._missing else backend.require_finite
        given, x = conditions_of(x), require(pick(x), NOT_FINITE)
        for form in self._prepare.forms.forms:
            value = given.get(form.name)
            if value is not None and form.classes is not None:
                given[form.name] = backend.require_labels(value, x, form.classes)
            elif value is not None:
                message = f"{NOT_FINITE[:-1]}the condition {form.name!r}"
                given[form.name] = backend.require_finite(value, message)
        return with_conditions(x, given)

    def _read_first(self) -> tuple[np.ndarray, dict[str, Any]]:
        self.passes += 1
        for batch in self._batches:
            if not self.is_array:
                self._prepare.check_conditions(batch[0])
            return to_numpy(pick(batch[0])), conditions_of(batch[0])
        raise ValueError("Expected at least one batch of data. Received: an empty data set.")

    def __iter__(self) -> Iterator[Array]:
        """One pass over x as NumPy batches; over endless data, the first batches only."""
        self.passes += 1
        size = 0
        for i, batch in enumerate(self._batches, start=1):
            x = to_numpy(pick(batch[0]))
            if self.observe is not None:
                self.observe({k: to_numpy(v) for k, v in conditions_of(batch[0]).items()})
            yield x
            size += x.nbytes
            if self.endless and (i >= MAX_PEEK_BATCHES or size >= MAX_PEEK_BYTES):
                return

    def examples(self) -> Iterator[tuple[Array, dict[str, Array]]]:
        """One pass over batches as NumPy, each a pair of x and its conditions by name."""
        for batch in self.keras_data:
            given = conditions_of(batch[0])
            yield to_numpy(pick(batch[0])), {k: to_numpy(v) for k, v in given.items()}


def _hint(x: Any) -> str:
    """How to make data of common objects that are none."""
    if isinstance(x, (str, os.PathLike)) and os.path.isdir(x):
        return f" Images in a folder: keras_gud.datasets.from_folder({os.fspath(x)!r}, size=32)."
    if isinstance(x, (str, os.PathLike)):
        return " Load the file first, e.g. np.load(path)."
    if isinstance(x, tuple) and len(x) == 2 and all(map(is_array, x)):
        return " Labels are an argument of their own: fit(x, y)."
    if isinstance(x, (list, tuple)):
        return " Make it one array first, e.g. np.stack(x)."
    if inspect.isgeneratorfunction(x):
        return f" Call it: {x.__name__}()."
    if hasattr(x, "to_numpy"):
        return " Use x.to_numpy()."
    if hasattr(x, "__getitem__") and hasattr(x, "__len__"):
        return " Wrap a torch Dataset in torch.utils.data.DataLoader."
    return ""
