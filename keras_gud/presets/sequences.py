"""Columns, frames or tokens one after the other."""

from typing import Any

from keras_gud import schedules
from keras_gud.core.arguments import check_integer
from keras_gud.regions import Paths


def groupwise(groups: int | None = None, over: str | int | None = None) -> dict[str, Any]:
    """Groupwise diffusion (Lee et al., 2023): each group is generated before the next begins.

    Sequential (paper eq. 21) over L groups with ``b = (L - 1)/L``.

    Args:
        groups: Number of groups L, >= 1, of neighbouring values of the coordinate; `None`: each
            value is a group of its own.
        over: Axis or coordinate of the groups; default: columns.

    Raises:
        ValueError: for `groups` that is not an integer >= 1, or, once the data are known, more than
            there are values.

    Example:

    >>> groupwise(groups=4)["schedule"].get_config()["window"]
    1.0
    """
    schedule = schedules.Sequential(window=1.0, groups=groups, over=over)
    return {"basis": "pixel", "prior": "isotropic", "schedule": schedule}


def rolling(window: int = 4, over: str | int = 0) -> dict[str, Any]:
    """Rolling Diffusion (Ruhe et al., 2024): a window of frames is noised at a time.

    Sequential with ``b = (L - 1)/(L - 1 + window)`` over the data's L frames; `tasks.extend` rolls
    along the last axes.

    Args:
        window: Number of frames that are noised at a time, >= 1.
        over: Axis or coordinate of the frames; default: the first axis of ``(frames, height, width,
            channels)``.

    Raises:
        ValueError: for a window that is no integer >= 1.
    """
    schedule = schedules.Sequential(window=check_integer("window", window, 1), over=over)
    return {"basis": "pixel", "prior": "isotropic", "schedule": schedule}


def diffusion_forcing(
    steps: int = 50, uncertainty: float = 1.0, over: str | int = 0
) -> dict[str, Any]:
    """Diffusion Forcing (Chen et al., 2024): a gamma of its own for each token of a sequence.

    Training draws gamma of each token independently; sampling follows a pyramid, in which each of
    the data's tokens begins `uncertainty` steps after the one before it, or any other path
    (``sample(schedule=...)``). Their network is causal and recurrent; in this one each token
    depends on all.

    Args:
        steps: Number of sampler steps of each token, >= 1.
        uncertainty: The lag of a token behind the one before it, in steps, >= 0; ``steps`` is
            autoregressive.
        over: Axis or coordinate of the tokens; default: the first axis.

    Raises:
        ValueError: for values out of range.
    """
    check_integer("steps", steps, 1)
    if not uncertainty >= 0.0:
        raise ValueError(f"Expected `uncertainty` >= 0. Received: uncertainty={uncertainty}.")
    # A token takes all its steps while so many begin.
    if uncertainty > 0.0:
        schedule = schedules.Sequential(window=steps / uncertainty, over=over)
    else:
        schedule = schedules.Sequential(b=0.0, over=over)
    region = Paths(schedules.Sequential(b=0.0, over=over), observed="noise")
    return {"basis": "pixel", "prior": "isotropic", "schedule": schedule, "region": region}
