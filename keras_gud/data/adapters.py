"""One adapter for each kind of data: how it is recognised, and how Keras is to read it.

`ADAPTERS` is the table, in the order in which data are asked: a further kind is a class more.
"""

import copy
import itertools
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Any, Protocol

import keras
import numpy as np

from keras_gud import backend
from keras_gud.backend import to_numpy
from keras_gud.core.types import Array
from keras_gud.data import grain
from keras_gud.data.arrays import ArrayBatches, is_array, labels_of
from keras_gud.data.batch import Prepare, for_keras, pick
from keras_gud.data.checks import check_weight
from keras_gud.data.epoch_order import LoaderOrder
from keras_gud.data.mapped import Collate, PickedBatches


@dataclass(frozen=True)
class Request:
    """How data are to be read; see `Source` for the attributes."""

    prepare: Prepare
    y: Any
    sample_weight: Any
    batch_size: int
    shuffle: bool
    seed: int
    part: tuple[int, int]


@dataclass
class Opened:
    """Data that have been opened.

    Attributes:
        keras_data: What to hand to Keras as `x`.
        batches: What a pass for fitting statistics iterates over.
        n_batches: Number of batches in one pass, or `None` where it is not known.
        endless: Whether a pass may never end, or can be made only once.
        is_array: Whether all is in memory, or mapped into it.
        ordered: What shuffles by itself and needs its `epoch` set, or `None`.
        any_order: Whether Keras is to shuffle the batches.
    """

    keras_data: Any
    batches: Iterable[Any]
    n_batches: int | None = None
    endless: bool = False
    is_array: bool = False
    ordered: Any = None
    any_order: bool = False


class Adapter(Protocol):
    """What is known of one kind of data."""

    @staticmethod
    def matches(x: Any) -> bool:
        """Whether x is of this kind."""

    @staticmethod
    def open(x: Any, request: Request) -> Opened:
        """Makes x readable for Keras.

        Raises:
            ValueError: for data, weights or labels that cannot be used.
        """


class ArrayAdapter:
    """NumPy arrays, tensors, and dictionaries that hold one."""

    matches = staticmethod(is_array)

    @staticmethod
    def open(x: Any, request: Request) -> Opened:
        """See `Adapter`."""
        if isinstance(pick(x), np.ma.MaskedArray):
            raise ValueError("Expected data without a mask. Received: a masked array; x.filled(0)?")
        values: Array = to_numpy(pick(x))
        if values.ndim == 0 or len(values) == 0:
            raise ValueError(f"Expected at least one example. Received: x of shape {values.shape}.")
        weight = request.sample_weight
        if weight is not None:
            weight = check_weight(weight, len(values))
        label = labels_of(x, request.y, request.prepare.classes, request.prepare.required)
        size, part = request.batch_size, request.part
        data = ArrayBatches(values, weight, size, request.shuffle, request.seed, label, part)
        blocks = ArrayBatches(values, batch_size=max(size, 1024), part=part)
        return Opened(data, blocks, blocks.num_batches, is_array=True, ordered=data)


class TensorFlowAdapter:
    """`tf.data.Dataset`."""

    @staticmethod
    def matches(x: Any) -> bool:
        """See `Adapter`."""
        return hasattr(x, "element_spec") and hasattr(x, "map")

    @staticmethod
    def open(x: Any, request: Request) -> Opened:
        """See `Adapter`."""
        classes = request.prepare.classes
        x = backend.shard_dataset(x) if request.part[1] > 1 else x
        data = x.map(lambda *batch: for_keras(batch if len(batch) > 1 else batch[0], classes))
        cardinality = int(x.cardinality())  # -1: tf.data.INFINITE_CARDINALITY
        known = cardinality if cardinality >= 0 else None
        return Opened(data, data, known, endless=cardinality == -1)


class PyDatasetAdapter:
    """`keras.utils.PyDataset`, and `grain.MapDataset`, which becomes one."""

    @staticmethod
    def matches(x: Any) -> bool:
        """See `Adapter`."""
        return isinstance(x, keras.utils.PyDataset) or grain.kind_of(x) == "MapDataset"

    @staticmethod
    def open(x: Any, request: Request) -> Opened:
        """See `Adapter`."""
        x = x if isinstance(x, keras.utils.PyDataset) else grain.MapBatches(x)
        if hasattr(x, "part"):
            x.part = request.part
        data = PickedBatches(x, request.prepare)
        endless = x.num_batches is None
        opened = Opened(data, data, x.num_batches, endless, ordered=data.ordered)
        if data.ordered is not None or data.in_order or endless:
            return opened
        # It leaves shuffling to Keras, which would draw from Python's `random`.
        if x.workers > 1 or x.use_multiprocessing:  # they read ahead of the epoch that is set
            opened.any_order = True
        elif request.shuffle:
            shuffled = PickedBatches(x, request.prepare, request.seed)
            opened.keras_data = opened.ordered = shuffled
        return opened


class GrainAdapter:
    """`grain.IterDataset` and `grain.DataLoader`."""

    @staticmethod
    def matches(x: Any) -> bool:
        """See `Adapter`."""
        return grain.kind_of(x) in ("IterDataset", "DataLoader")

    @staticmethod
    def open(x: Any, request: Request) -> Opened:
        """See `Adapter`."""
        data = grain.prepared(x, request.prepare)
        return Opened(data, data, endless=grain.is_endless(x))


class TorchAdapter:
    """torch's `DataLoader`."""

    @staticmethod
    def matches(x: Any) -> bool:
        """See `Adapter`."""
        return hasattr(x, "collate_fn") and hasattr(x, "dataset")

    @staticmethod
    def open(x: Any, request: Request) -> Opened:
        """See `Adapter`."""
        data = copy.copy(x)
        data.collate_fn = Collate(x.collate_fn, request.prepare)
        known = len(x) if hasattr(x.dataset, "__len__") else None
        return Opened(data, data, known, ordered=LoaderOrder(x))


class GeneratorAdapter:
    """Generators of batches, which are read once: their head is looked at and put back."""

    @staticmethod
    def matches(x: Any) -> bool:
        """See `Adapter`."""
        return isinstance(x, Iterator)

    @staticmethod
    def open(x: Any, request: Request) -> Opened:
        """See `Adapter`."""
        head: list[Any] = []

        def peek():
            for i in itertools.count():
                if i == len(head):
                    try:
                        head.append(next(x))
                    except StopIteration:
                        return
                yield request.prepare(head[i])

        def chained():
            while head:
                yield request.prepare(head.pop(0))
            yield from map(request.prepare, x)

        return Opened(chained(), _Repeatable(peek), endless=True)


ADAPTERS: tuple[type[Adapter], ...] = (
    ArrayAdapter,
    TensorFlowAdapter,
    PyDatasetAdapter,
    GrainAdapter,
    TorchAdapter,
    GeneratorAdapter,
)


def adapter_for(x: Any) -> type[Adapter] | None:
    """The first adapter that x is for, or `None`.

    >>> adapter_for(np.zeros(3)).__name__, adapter_for("file")
    ('ArrayAdapter', None)
    """
    return next((adapter for adapter in ADAPTERS if adapter.matches(x)), None)


class _Repeatable:
    """A pass over it starts with calling `start`."""

    def __init__(self, start: Callable[[], Iterator[Any]]):
        self.start = start

    def __iter__(self):
        return self.start()
