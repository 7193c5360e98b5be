"""Arrays in memory: their batches, and the labels beside them."""

import keras

from keras_gud.conditioning import class_labels
from keras_gud.data.batch import pick, pick_label, with_label
from keras_gud.data.epoch_order import EpochOrder

BATCH_SIZE = 128  # the paper's (app. B)


class ArrayBatches(keras.utils.PyDataset):
    """Batches of an array in memory.

    `fit` says which `epoch` it is in: the order is a function of (seed, epoch) alone.

    Args:
        x: Array ``(n, *data_shape)``.
        sample_weight: `None` or array ``(n,)``.
        batch_size: Examples per batch; the last batch may be smaller.
        shuffle: Whether to shuffle, anew in every epoch.
        seed: Seed of the order.
        label: `None` or int array ``(n,)``.
        part: See `EpochOrder`.
    """

    def __init__(
        self,
        x,
        sample_weight=None,
        batch_size=BATCH_SIZE,
        shuffle=False,
        seed=0,
        label=None,
        part=(0, 1),
    ):
        super().__init__()
        self.in_order = False  # they can be read in any
        self.x, self.sample_weight, self.label = x, sample_weight, label
        self.order, self.epoch = EpochOrder(len(x), batch_size, shuffle, seed, part), 0

    @property
    def num_batches(self):
        """Number of batches of an epoch."""
        return len(self.order)

    def __getitem__(self, index):
        rows = self.order.rows(index, self.epoch)
        x = with_label(self.x[rows], None if self.label is None else self.label[rows])
        if self.sample_weight is None:
            return (x,)
        weight = self.sample_weight[rows]
        return x, weight, weight


def is_array(x) -> bool:
    """Whether x is an array or tensor, or a dict that holds one: no stream."""
    return isinstance(x, dict) or (hasattr(x, "shape") and hasattr(x, "dtype"))


def labels_of(x, y, classes: int | None, required: bool = True):
    """The checked labels of arrays, int32 ``(n,)``; `None` where there are none to be had.

    Args:
        x: Data of any kind; a stream has its labels in its batches.
        y: Labels beside x, or `None`; a dict may hold them.
        classes: Number of classes, or `None` to ignore labels.
        required: Whether an array must have labels.

    Raises:
        ValueError: for labels that are missing, unusable, or beside a stream.
    """
    if classes is None:
        return None
    if not is_array(x):
        if y is not None:
            raise ValueError(
                "Expected labels beside an array only; data sets carry them in their batches, "
                f"(x, y). Received: labels and {type(x).__name__}."
            )
        return None
    y = pick_label((x, y))
    if y is None:
        if required:
            raise class_labels.missing(classes, "y=None")
        return None
    return class_labels.check(y, len(pick(x)), classes)


def split(x, sample_weight, fraction: float, *more):
    """Splits arrays into a training and a validation part, the last `fraction` of the examples.

    Args:
        x: Array, or dict that holds it.
        sample_weight: Array or `None`.
        fraction: Fraction of the examples to hold out.
        *more: Further arrays or `None`.

    Returns:
        Pair of ``(x, sample_weight, *more)``.

    Raises:
        ValueError: if x is not an array, or a part would be empty.
    """
    x = pick(x) if isinstance(x, dict) else x
    if not (hasattr(x, "shape") and hasattr(x, "dtype")):
        raise ValueError(
            "Expected `x` to be an array where `validation_split` is used. "
            f"Received: x of type {type(x).__name__}."
        )
    at = int(len(x) * (1.0 - fraction)) if 0.0 < fraction < 1.0 else 0
    if not 0 < at < len(x):
        raise ValueError(
            "Expected `validation_split` to leave examples on both sides. "
            f"Received: validation_split={fraction} with {len(x)} examples."
        )
    parts = x, sample_weight, *more
    return tuple(
        tuple(None if part is None else part[rows] for part in parts)
        for rows in (slice(at), slice(at, None))
    )
