"""The experiments of the paper.

Their networks are ``backbone="ncsnpp"`` in `softness` and `power_spectrum`, and ``"base"`` in the
others, trained for 300 000 steps of 128 (`fit`'s defaults but for the steps).
"""

from keras_gud import schedules
from keras_gud.bases import Haar


def softness(a=(0.4, 1.6), prior: str = "isotropic") -> dict:
    """All principal components at once, or the largest first (the paper, sec. 5.1, fig. 3).

    Linear schedules (eqs. 18-20) with ``gamma_denoise = -3`` and time warped by 0.5 (appendix B);
    ``a = 1`` with the isotropic prior is standard diffusion.

    Args:
        a: How sequential, or a range.
        prior: ``"isotropic"`` or ``"matching"``: the paper has both.
    """
    linear = schedules.Linear(a=a, gamma_denoise=-3.0)
    return {"basis": "pca", "prior": prior, "schedule": schedules.TimeWarp(linear, power=0.5)}


def ordering(a=(0.6, 1.4), r=(0.0, 1.0)) -> dict:
    """From the order of variances to that of frequencies (the paper, sec. 5.1, fig. 5).

    Args:
        a: How sequential, or a range.
        r: Weight of the frequency in the ordering, or a range.
    """
    schedule = schedules.Linear(a=a, ordering="mixed", r=r)
    return {"basis": "fourier", "prior": "isotropic", "schedule": schedule}


def columns(b=(0.3, 0.5)) -> dict:
    """Soft-conditioning column by column (the paper, sec. 5.2).

    Args:
        b: How sequential, or a range. (The paper has a network for each value.)
    """
    schedule = schedules.Sequential(b=b, over="column")
    return {"basis": "pixel", "prior": "isotropic", "schedule": schedule}


def haar_columns(a=(0.3, 0.7), b=(0.3, 0.7), levels: int = 3, prior: str = "isotropic") -> dict:
    """Levels from coarse to fine, columns within each (the paper, sec. 5.3).

    Args:
        a: How sequential levels are, or a range.
        b: How sequential columns of a level are, or a range.
        levels: Number of decompositions.
        prior: ``"isotropic"``, as the table of the paper's appendix B has it, or ``"matching"``, as
            the caption of its fig. 4 has it.
    """
    schedule = schedules.Hierarchical(a=a, b=b)
    return {"basis": Haar(levels), "prior": prior, "schedule": schedule}


def power_spectrum(a=(0.7, 1.4)) -> dict:
    """Noise of the data's power spectrum (the paper, appendix E, fig. 9).

    Args:
        a: How sequential, or a range.
    """
    return {"basis": "fourier", "prior": "spectrum", "schedule": schedules.Linear(a=a)}
