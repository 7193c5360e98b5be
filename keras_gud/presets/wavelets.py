"""From coarse to fine in a wavelet basis."""

from typing import Any

from keras_gud import schedules
from keras_gud.bases import Haar
from keras_gud.core.arguments import check_integer
from keras_gud.priors import Matching
from keras_gud.regions import Paths


def wavelet_score(levels: int = 3) -> dict[str, Any]:
    """Wavelet score-based models (Guth et al., 2022): scale by scale, each normalised.

    Sequential over the bands of a Haar transform, each generated before the next finer one begins,
    with every sub-band whitened. They train a network for each scale, here there is one for all.

    Args:
        levels: Number of decompositions, >= 1.

    Raises:
        ValueError: for `levels` that is not an integer >= 1.

    Example:

    >>> wavelet_score(levels=2)["basis"].levels
    2
    """
    check_integer("levels", levels, 1)
    return {
        "basis": Haar(levels),
        "prior": Matching(over=("band", "orientation", "channel")),
        "schedule": schedules.Sequential(window=1.0, over="band"),
    }


def cascaded(levels: int = 2) -> dict[str, Any]:
    """Cascaded and pyramidal diffusion (Ho et al., 2022; Ryu and Ye, 2022), approximately.

    One level after the other; training also conditions on coarser levels with any amount of noise
    (their "conditioning augmentation"). Their stages generate the whole image of a resolution
    again, coarse levels too; here coarse levels stay as they are and details are added.

    Args:
        levels: Number of decompositions, >= 1; there is one resolution more.

    Raises:
        ValueError: for `levels` that is not an integer >= 1.
    """
    check_integer("levels", levels, 1)
    return {
        "basis": Haar(levels),
        "prior": "isotropic",
        "schedule": schedules.Sequential(window=1.0, over="band"),
        "region": Paths(schedules.Sequential(b=0.0, over="band"), observed="band"),
    }
