"""Memory that is exhausted in training: an error that says what to lower."""

import contextlib
from collections.abc import Iterator

from keras_gud import backend


@contextlib.contextmanager
def naming_what_to_lower(batch_size: int) -> Iterator[None]:
    """Turns a backend's error of a device without memory into a `MemoryError` that says more.

    Args:
        batch_size: Examples per step.
    """
    try:
        yield
    except Exception as error:
        if not backend.is_out_of_memory(error):
            raise
        said = str(error).strip().split("\n")[0] or type(error).__name__
        raise MemoryError(
            f"Expected the device to have memory for a training step. Received: {said[:200]} "
            f"Lower `batch_size` (it is {batch_size}), take `backbone_dtype='mixed_bfloat16'`, "
            "`backbone_options={'remat': True}` (of a network of your own: `remat=True`) or a "
            "smaller network. The model has kept its weights and can be used and trained on."
        ) from error
