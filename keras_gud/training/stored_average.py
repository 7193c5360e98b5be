"""An average of the weights of any width, from those of a few widths that were stored on disk."""

import numpy as np

from keras_gud.core.types import Array
from keras_gud.persistence.average_store import AverageStore, Stored
from keras_gud.training.power_profile import coefficients


def stored_average(
    files: AverageStore, width: float, step: int | None = None
) -> tuple[Array, Stored, float]:
    """The average of a width; one file at a time is in memory.

    Args:
        files: What was stored.
        width: The width, in (0, 12^(-1/2)].
        step: After which step, one of `files.steps()`; default: the last.

    Returns:
        The average of all weights in a row, float64; what the file of the step says; and how far
        the profile is off, see `power_profile.coefficients`.

    Raises:
        FileNotFoundError: if nothing is stored.
        ValueError: for another step or a width out of range, for damaged files, and for files of
            several runs.
    """
    steps = files.steps()
    if not steps:
        raise FileNotFoundError(
            f"Expected snapshots of averages in {files.directory}. Received: none."
        )
    if step is not None and step not in steps:
        raise ValueError(
            f"Expected `step` to be one of {steps}, after which there are snapshots. "
            f"Received: step={step!r}."
        )
    steps = [each for each in steps if step is None or each <= step]
    about = files.about(steps[-1])
    found, error = coefficients(steps, about.widths, steps[-1], width)
    total = np.zeros(())
    for at, factors in zip(steps, found, strict=True):
        if files.about(at)[1:] != about[1:]:
            raise ValueError(
                f"Expected snapshots of one run in {files.directory}. Received: those of several, "
                f"after steps {at} and {about.step}."
            )
        total = total + factors @ files.read(at)
    return total, about, error
