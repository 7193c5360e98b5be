"""Columns, frames or tokens one after the other."""

from typing import Any

from keras_gud import schedules
from keras_gud.core.arguments import check_integer
from keras_gud.regions import Paths


def groupwise(groups: int = 4, over: str | int | None = None) -> dict[str, Any]:
    """Groupwise diffusion (Lee et al., 2023): each group is generated before the next begins.

    Sequential (paper eq. 21) with ``b = 1 - 1/groups``.

    Args:
        groups: Number of groups L, >= 1: of different values of the coordinate.
        over: Axis or coordinate of the groups; default: columns.

    Raises:
        ValueError: for `groups` that is not an integer >= 1.

    Example:

    >>> groupwise(groups=4)["schedule"].get_config()["b"]
    0.75
    """
    check_integer("groups", groups, 1)
    schedule = schedules.Sequential(b=1.0 - 1.0 / groups, over=over)
    return {"basis": "pixel", "prior": "isotropic", "schedule": schedule}


def rolling(frames: int = 16, window: int = 4, over: str | int = 0) -> dict[str, Any]:
    """Rolling Diffusion (Ruhe et al., 2024): a window of frames is noised at a time.

    Sequential with ``b = (L - 1)/(L - 1 + window)`` over L frames; `tasks.extend` rolls along the
    last axes.

    Args:
        frames: Number of frames L of an example, >= 2.
        window: Number of frames that are noised at a time, >= 1.
        over: Axis or coordinate of the frames; default: the first axis of ``(frames, height, width,
            channels)``.

    Raises:
        ValueError: for numbers that are not integers, or too small.
    """
    check_integer("frames", frames, 2)
    check_integer("window", window, 1)
    b = (frames - 1) / (frames - 1 + window)
    return {
        "basis": "pixel",
        "prior": "isotropic",
        "schedule": schedules.Sequential(b=b, over=over),
    }


def diffusion_forcing(
    length: int = 16, steps: int = 50, uncertainty: float = 1.0, over: str | int = 0
) -> dict[str, Any]:
    """Diffusion Forcing (Chen et al., 2024): a gamma of its own for each token of a sequence.

    Training draws gamma of each token independently; sampling follows a pyramid (`pyramid_b`), or
    any other path. Their network is causal and recurrent; in this one each token depends on all.

    Args:
        length: Number of tokens of an example, >= 1.
        steps: Number of sampler steps of each token, >= 1.
        uncertainty: The lag of a token behind the one before it, in steps, >= 0; ``steps`` is
            autoregressive.
        over: Axis or coordinate of the tokens; default: the first axis.

    Raises:
        ValueError: for values out of range.
    """
    b = pyramid_b(length, steps, uncertainty)
    schedule = schedules.Sequential(b=b, over=over)
    region = Paths(schedules.Sequential(b=0.0, over=over), observed="noise")
    return {"basis": "pixel", "prior": "isotropic", "schedule": schedule, "region": region}


def pyramid_b(length: int, steps: int, uncertainty: float = 1.0) -> float:
    """The parameter b of the paper's eq. 21 for the pyramid of Diffusion Forcing.

    Token h begins ``uncertainty`` steps after the one before it: ``b = (H - 1) u/(S + (H - 1) u)``.

    Args:
        length: Number of tokens H, >= 1.
        steps: Number of steps S of each token, >= 1.
        uncertainty: The lag u, in steps, >= 0.

    Raises:
        ValueError: for values out of range.

    Example:

    >>> pyramid_b(length=5, steps=12, uncertainty=1.0)
    0.25
    """
    check_integer("length", length, 1)
    check_integer("steps", steps, 1)
    if not uncertainty >= 0.0:
        raise ValueError(f"Expected `uncertainty` >= 0. Received: uncertainty={uncertainty}.")
    lag = (length - 1) * uncertainty
    return lag / (steps + lag)
