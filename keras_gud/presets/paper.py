"""The experiments of the paper.

Their networks are ``backbone="ncsnpp"`` in `softness` and `power_spectrum`, and ``"base"`` in the
others, trained for 300 000 steps of 128 examples with ``keras.optimizers.Adam(5e-4)``.
"""

from typing import Any

from keras_gud import schedules
from keras_gud.bases import Haar
from keras_gud.core.types import Parameter

# The loss of the paper, eq. 11.
_WEIGHTING = {"weighting": "eps"}


def softness(a: Parameter = (0.4, 1.6), prior: str = "isotropic") -> dict[str, Any]:
    """All principal components at once, or the largest first (the paper, sec. 5.1, fig. 3).

    Linear schedules (eqs. 18-20) with ``gamma_denoise = -3`` and time warped by 0.5 (appendix B);
    ``a = 1`` with the isotropic prior is standard diffusion.

    Args:
        a: How sequential (1 is standard diffusion), or a range.
        prior: ``"isotropic"`` or ``"matching"``: the paper has both.

    Example:

    >>> softness(a=1.0)["basis"]
    'pca'
    """
    linear = schedules.Linear(a=a, gamma_denoise=-3.0, floor=0.0)
    return {
        "basis": "pca",
        "prior": prior,
        "schedule": schedules.TimeWarp(linear, power=0.5),
    } | _WEIGHTING


def ordering(a: Parameter = (0.6, 1.4), r: Parameter = (0.0, 1.0)) -> dict[str, Any]:
    """An ordering between that by variance and that by frequency (the paper, sec. 5.1, fig. 5).

    Args:
        a: How sequential, or a range.
        r: Weight of the frequency in the ordering, in [0, 1], or a range.
    """
    schedule = schedules.Linear(a=a, ordering="mixed", r=r, floor=0.0)
    return {"basis": "fourier", "prior": "isotropic", "schedule": schedule} | _WEIGHTING


def columns(b: Parameter = (0.3, 0.5)) -> dict[str, Any]:
    """Soft-conditioning column by column (the paper, sec. 5.2, eq. 21).

    Args:
        b: How sequential, in [0, 1), or a range. (The paper trains a network for each value.)
    """
    schedule = schedules.Sequential(b=b, over="column")
    return {"basis": "pixel", "prior": "isotropic", "schedule": schedule} | _WEIGHTING


def haar_columns(
    a: Parameter = (0.3, 0.7),
    b: Parameter = (0.3, 0.7),
    levels: int = 3,
    prior: str = "isotropic",
) -> dict[str, Any]:
    """Haar levels from coarse to fine, columns within each (the paper, sec. 5.3, eq. 22).

    Args:
        a: How sequential the levels are, in [0, 1), or a range.
        b: How sequential the columns of a level are, in [0, 1), or a range.
        levels: Number of decompositions, >= 1.
        prior: ``"isotropic"``, as in the table of the paper's appendix B, or ``"matching"``, as in
            the caption of its fig. 4.
    """
    schedule = schedules.Hierarchical(a=a, b=b)
    return {"basis": Haar(levels), "prior": prior, "schedule": schedule} | _WEIGHTING


def power_spectrum(a: Parameter = (0.7, 1.4)) -> dict[str, Any]:
    """Noise with the data's power spectrum (the paper, appendix E, fig. 9).

    Args:
        a: How sequential, or a range.
    """
    return {
        "basis": "fourier",
        "prior": "spectrum",
        "schedule": schedules.Linear(a=a, floor=0.0),
    } | _WEIGHTING
