"""One adapter for each kind of data: how it is recognised, and how Keras is to read it.

`ADAPTERS` lists them in the order in which they are tried; to support another kind of data, add a
class.
"""

import copy
import itertools
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any, Protocol

import keras
import numpy as np

from keras_gud import backend
from keras_gud.backend import to_numpy
from keras_gud.core.types import Array
from keras_gud.data import grain, hugging_face
from keras_gud.data.arrays import ArrayBatches, checked_conditions, is_array
from keras_gud.data.batch import (
    Batch,
    KerasBatch,
    PrepareBatch,
    in_common_type,
    pick,
    to_keras_batch,
    warn_unused,
)
from keras_gud.data.checks import check_sample_weight
from keras_gud.data.epoch_order import LoaderOrder, filled
from keras_gud.data.mapped import MappedBatches, MappedCollate


@dataclass(frozen=True)
class Request:
    """How data are to be read.

    Attributes:
        prepare: Brings every batch to Keras' form and checks it.
        y, sample_weight, batch_size, shuffle, seed, part: As in `Source`.
    """

    prepare: PrepareBatch
    y: Any
    sample_weight: Any
    batch_size: int
    shuffle: bool
    seed: int
    part: tuple[int, int]


@dataclass
class Progress:
    """How far data that can be read only once have been read.

    Attributes:
        read: Number of batches.
        ended: Whether there are no more.
    """

    read: int = 0
    ended: bool = False


@dataclass
class Opened:
    """Data that have been opened.

    Attributes:
        keras_data: What to hand to Keras as `x`.
        batches: What to iterate over for one pass in which statistics are fitted.
        n_batches: Number of batches in one pass, or `None` where it is not known.
        endless: Whether a pass may never end, or can be made only once.
        is_array: Whether x is an array, in memory or memory-mapped.
        shuffler: What shuffles by itself and needs its `epoch` set before each epoch, or `None`.
        keras_shuffles: Whether Keras is to shuffle the batches.
        progress: How far it has been read for training, where that can be done only once.
    """

    keras_data: Any
    batches: Iterable[KerasBatch]
    n_batches: int | None = None
    endless: bool = False
    is_array: bool = False
    shuffler: Any = None
    keras_shuffles: bool = False
    progress: Progress = field(default_factory=Progress)


class Adapter(Protocol):
    """How data of one kind are recognised and opened."""

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

    @staticmethod
    def matches(x: Any) -> bool:
        """See `Adapter`."""
        return is_array(x)

    @staticmethod
    def open(x: Any, request: Request) -> Opened:
        """See `Adapter`."""
        if isinstance(pick(x), np.ma.MaskedArray):
            raise ValueError("Expected data without a mask. Received: a masked array; x.filled(0)?")
        values: Array = to_numpy(pick(x))
        if values.ndim == 0 or len(values) == 0:
            raise ValueError(f"Expected at least one example. Received: x of shape {values.shape}.")
        weight = request.sample_weight
        weight = None if weight is None else check_sample_weight(weight, len(values))
        forms = request.prepare.forms
        given = checked_conditions(x, request.y, forms, request.prepare.required)
        warn_unused(x if request.y is None else (x, request.y), forms)
        size, part = request.batch_size, request.part
        how = weight, size, request.shuffle, request.seed, given, part
        data = ArrayBatches(in_common_type(values), *how, fill=True)
        blocks = ArrayBatches(values, batch_size=max(size, 1024), conditions=given, part=part)
        return Opened(data, blocks, blocks.num_batches, is_array=True, shuffler=data)


class TensorFlowAdapter:
    """`tf.data.Dataset`."""

    @staticmethod
    def matches(x: Any) -> bool:
        """See `Adapter`."""
        return hasattr(x, "element_spec") and hasattr(x, "map")

    @staticmethod
    def open(x: Any, request: Request) -> Opened:
        """See `Adapter`."""
        forms = request.prepare.forms
        x = backend.shard_dataset(x) if request.part[1] > 1 else x

        def prepare(*batch: Any) -> KerasBatch:  # traced once
            entries = batch if len(batch) > 1 else batch[0]
            warn_unused(entries, forms)
            return to_keras_batch(entries, forms)

        data = x.map(prepare)
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
        plain = MappedBatches(x, request.prepare)
        data = MappedBatches(filled(x), request.prepare) if request.shuffle else plain
        opened = Opened(data, plain, x.num_batches, x.num_batches is None, shuffler=data.shuffler)
        if opened.shuffler is not None or data.in_order or opened.endless:
            return opened
        # It leaves shuffling to Keras, which would draw from Python's `random`.
        if x.workers > 1 or x.use_multiprocessing:
            # Workers read ahead, so the epoch cannot be set in time to shuffle here.
            opened.keras_shuffles = True
        elif request.shuffle:
            shuffled = MappedBatches(x, request.prepare, request.seed)
            opened.keras_data = opened.shuffler = shuffled
        return opened


class HuggingFaceAdapter:
    """`datasets.Dataset` of Hugging Face."""

    @staticmethod
    def matches(x: Any) -> bool:
        """See `Adapter`."""
        return hugging_face.kind_of(x) is not None

    @staticmethod
    def open(x: Any, request: Request) -> Opened:
        """See `Adapter`."""
        return PyDatasetAdapter.open(hugging_face.open_rows(x, request), request)


class GrainAdapter:
    """`grain.IterDataset` and `grain.DataLoader`."""

    @staticmethod
    def matches(x: Any) -> bool:
        """See `Adapter`."""
        return grain.kind_of(x) in ("IterDataset", "DataLoader")

    @staticmethod
    def open(x: Any, request: Request) -> Opened:
        """See `Adapter`."""
        data = grain.map_batches(x, request.prepare)
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
        data.collate_fn = MappedCollate(x.collate_fn, request.prepare)
        known = len(x) if hasattr(x.dataset, "__len__") else None
        return Opened(data, data, known, shuffler=LoaderOrder(x))


class GeneratorAdapter:
    """Generators of batches, read only once: batches used for statistics are kept for training."""

    @staticmethod
    def matches(x: Any) -> bool:
        """See `Adapter`."""
        return isinstance(x, Iterator)

    @staticmethod
    def open(x: Any, request: Request) -> Opened:
        """See `Adapter`."""
        kept: list[Batch] = []
        progress = Progress()

        def first_batches() -> Iterator[KerasBatch]:
            for i in itertools.count():
                if i == len(kept):
                    try:
                        kept.append(next(x))
                    except StopIteration:
                        return
                yield request.prepare(kept[i])

        def all_batches() -> Iterator[KerasBatch]:
            while kept:
                progress.read += 1
                yield request.prepare(kept.pop(0))
            for batch in x:
                progress.read += 1
                yield request.prepare(batch)
            progress.ended = True

        batches = _Restartable(first_batches)
        return Opened(all_batches(), batches, endless=True, progress=progress)


ADAPTERS: tuple[type[Adapter], ...] = (
    HuggingFaceAdapter,  # splits by name are a dict, too
    ArrayAdapter,
    TensorFlowAdapter,
    PyDatasetAdapter,
    GrainAdapter,
    TorchAdapter,
    GeneratorAdapter,
)


def adapter_for(x: Any) -> type[Adapter] | None:
    """The first adapter that accepts x, or `None`.

    Example:

    >>> adapter_for(np.zeros(3)).__name__, adapter_for("file")
    ('ArrayAdapter', None)
    """
    return next((adapter for adapter in ADAPTERS if adapter.matches(x)), None)


class _Restartable:
    """An iterable that calls `start` for a new iterator at the beginning of every pass."""

    def __init__(self, start: Callable[[], Iterator[KerasBatch]]) -> None:
        self.start = start

    def __iter__(self) -> Iterator[KerasBatch]:
        return self.start()
