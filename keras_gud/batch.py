"""One batch in any of the forms that data sets yield, brought to one.

Labels are dropped, the image is picked out of dictionaries, and string fields (ids) are ignored.
"""

from keras_gud.backend import to_numpy

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


def _is_numeric(value) -> bool:
    name = str(getattr(value, "dtype", "string"))
    return not any(word in name for word in ("str", "object", "<U", "|S", "bytes"))


def for_keras(batch) -> tuple:
    """A batch as Keras wants it: ``(x,)``, or with a sample weight ``(x, weight, weight)``.

    (Keras expects a target between the two; the model ignores it.)
    """
    if isinstance(batch, (tuple, list)) and len(batch) == 3:
        return pick(batch), batch[2], batch[2]
    return (pick(batch),)


class Prepare:
    """`for_keras`, and once it is known what to check, a check of every batch; can be pickled."""

    def __init__(self):
        self.check = None

    def __call__(self, batch) -> tuple:
        """The batch for Keras; an error if it cannot be used."""
        batch = for_keras(batch)
        if self.check is not None:
            self.check(to_numpy(batch[0]))
        if len(batch) == 3 and len(batch[1]) != len(batch[0]):
            raise ValueError(
                "Expected one sample weight per example. Received: a batch of "
                f"{len(batch[0])} examples with {len(batch[1])} weights."
            )
        return batch
