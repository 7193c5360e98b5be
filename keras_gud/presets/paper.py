"""The experiments of the paper, to the letter of its appendix B.

=======================  =====================================================================
of the paper             all: eps-prediction with the weights of eq. 11, 8-bit images in [-1, 1);
                         ends by eq. 19, gamma_denoise = -7 (-3 in `principal_components`) and
                         gamma_noise = max[3, logit(0.99^2) - min_i log Sigma_i]; a and b drawn
                         anew for every example of a batch
for you to give          ``compile(keras.optimizers.Adam(5e-4))``, 300 000 steps of 128 examples;
                         ``backbone="ncsnpp"`` in `principal_components` and `power_spectrum`,
                         ``"base"`` in the others; ``sample(sampler="euler_maruyama", steps=1000)``
not of the paper         the widths of the cross-attention network, which it does not give;
                         schedules start from Sigma of the whole training set, as its own do
=======================  =====================================================================
"""

from typing import Any

from keras_gud import schedules
from keras_gud.bases import Haar
from keras_gud.core.types import Parameter

# The network's output and the loss of the paper, eq. 11.
_LOSS = {"prediction": "eps", "weighting": "eps"}
# The ends of its schedules (eq. 19, app. B), without a floor for small variances.
_ENDS: dict[str, Any] = {"gamma_denoise": -7.0, "gamma_noise": "paper", "floor": 0.0}


def principal_components(a: Parameter = (0.4, 1.6), prior: str = "isotropic") -> dict[str, Any]:
    """All principal components at once, or the largest first (the paper, sec. 5.1, fig. 3).

    Linear schedules (eqs. 18-20) with ``gamma_denoise = -3`` and time warped by 0.5 (appendix B);
    ``a = 1`` with the isotropic prior is standard diffusion; 1/a is the paper's softness.

    Args:
        a: How sequential (1 is standard diffusion), or a range.
        prior: ``"isotropic"`` or ``"matching"``: the paper has both.

    Example:

    >>> principal_components(a=1.0)["basis"]
    'pca'
    """
    linear = schedules.Linear(a=a, **_ENDS | {"gamma_denoise": -3.0})
    return {
        "basis": "pca",
        "prior": prior,
        "schedule": schedules.TimeWarp(linear, power=0.5),
    } | _LOSS


def ordering(a: Parameter = (0.6, 1.4), r: Parameter = (0.0, 1.0)) -> dict[str, Any]:
    """An ordering between that by variance and that by frequency (the paper, sec. 5.1, fig. 5).

    Args:
        a: How sequential, or a range.
        r: Weight of the frequency in the ordering, in [0, 1], or a range.
    """
    schedule = schedules.Linear(a=a, ordering="mixed", r=r, **_ENDS)
    return {"basis": "fourier", "prior": "isotropic", "schedule": schedule} | _LOSS


def columns(b: Parameter = (0.3, 0.5)) -> dict[str, Any]:
    """Soft-conditioning column by column (the paper, sec. 5.2, eq. 21).

    Args:
        b: How sequential, in [0, 1), or a range. (The paper trains a network for each value.)
    """
    schedule = schedules.Sequential(b=b, over="column", **_ENDS)
    return {"basis": "pixel", "prior": "isotropic", "schedule": schedule} | _LOSS


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
    schedule = schedules.Hierarchical(a=a, b=b, **_ENDS)
    return {"basis": Haar(levels), "prior": prior, "schedule": schedule} | _LOSS


def power_spectrum(a: Parameter = (0.7, 1.4)) -> dict[str, Any]:
    """Noise with the data's power spectrum (the paper, appendix E, fig. 9).

    Args:
        a: How sequential, or a range.
    """
    return {
        "basis": "fourier",
        "prior": "spectrum",
        "schedule": schedules.Linear(a=a, **_ENDS),
    } | _LOSS
