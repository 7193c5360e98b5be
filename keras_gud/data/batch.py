"""One batch in any of the forms that data sets yield, brought to one.

The image is picked out of dictionaries, and string fields (ids) are ignored. Labels are dropped,
unless the model has classes.
"""

from keras_gud.backend import to_numpy
from keras_gud.conditioning import class_labels
from keras_gud.data.checks import check_divides

_IMAGE_KEYS = ("image", "images", "x", "inputs", "data")


def pick(batch):
    """The array x of one batch.

    Args:
        batch: An array, a tuple ``(x, ...)``, or a dict with the image under ``"image"`` (or
            another usual key), or with a single array of rank >= 2 that is not a string.

    Raises:
        ValueError: if a dict leaves open which of its arrays is meant.
    """
    if isinstance(batch, (tuple, list)) and not hasattr(batch, "shape"):
        batch = batch[0]
    if not isinstance(batch, dict):
        return batch
    numeric = {k: v for k, v in batch.items() if _is_numeric(v)}
    for key in _IMAGE_KEYS:
        if key in numeric:
            return numeric[key]
    arrays = [k for k, v in numeric.items() if len(v.shape) >= 2]
    if len(arrays) != 1:
        raise ValueError(
            f"Expected a dictionary with the data under one of the keys {_IMAGE_KEYS}, or with a "
            f"single array. Received: keys {sorted(batch)}."
        )
    return numeric[arrays[0]]


def pick_label(batch):
    """The labels of one batch, ``y`` of a tuple or an entry of a dictionary, or `None`."""
    if isinstance(batch, (tuple, list)) and not hasattr(batch, "shape"):
        if len(batch) > 1 and batch[1] is not None:
            return batch[1]
        batch = batch[0]
    if not isinstance(batch, dict):
        return None
    return next((batch[key] for key in class_labels.KEYS if batch.get(key) is not None), None)


def with_label(x, label):
    """What `call` is given: x, or x and its labels in a dictionary."""
    return x if label is None else {"x": x, "label": label}


def _is_numeric(value) -> bool:
    name = str(getattr(value, "dtype", "string"))
    return not any(word in name for word in ("str", "object", "<U", "|S", "bytes"))


def for_keras(batch, classes: int | None = None) -> tuple:
    """A batch as Keras wants it: ``(x,)``, or with a sample weight ``(x, weight, weight)``.

    (Keras expects a target between the two; the model ignores it.)

    Args:
        batch: An array, a tuple ``(x[, y[, sample_weight]])``, or a dict.
        classes: Number of classes; with it, x is `with_label` where there are labels.
    """
    x = pick(batch)
    label = None if classes is None else pick_label(batch)
    if label is not None:
        x = with_label(x, class_labels.as_vector(label, classes))
    if isinstance(batch, (tuple, list)) and len(batch) == 3:
        return x, batch[2], batch[2]
    return (x,)


class Prepare:
    """`for_keras`, and a check of every batch; can be pickled.

    Args:
        classes: Number of classes, or `None` to drop labels.
        required: Whether every batch must have labels, if there are classes.
    """

    def __init__(self, classes: int | None = None, required: bool = True):
        self.classes, self.required = classes, required
        self.check = None  # set once it is known what to check x for
        self.parts = 1  # of the batch, among devices

    def __call__(self, batch) -> tuple:
        """The batch for Keras; an error if it cannot be used."""
        prepared = for_keras(batch, self.classes)
        x = pick(prepared[0])
        if self.check is not None:
            self.check(to_numpy(x))
        check_divides(len(x), self.parts)
        self.check_labels(prepared[0])
        if len(prepared) == 3 and len(prepared[1]) != len(x):
            raise ValueError(
                "Expected one sample weight per example. Received: a batch of "
                f"{len(x)} examples with {len(prepared[1])} weights."
            )
        return prepared

    def check_labels(self, x):
        """Raises a `ValueError` unless x, as `call` is given it, has usable labels if it must."""
        if self.classes is None:
            return
        label = pick_label(x)
        if label is not None:
            class_labels.check(label, len(pick(x)), self.classes)
        elif self.required:
            raise class_labels.missing(self.classes, "a batch without labels")
