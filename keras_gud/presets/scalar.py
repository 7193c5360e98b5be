"""One gamma for all pixels: one path of noising states, with different speeds along it."""

import math
from typing import Any

import numpy as np

from keras_gud import schedules
from keras_gud.core.types import ArrayLike
from keras_gud.priors import Isotropic

# Images whose distances from all others are computed at a time.
_BLOCK = 1024


def vp(**options: Any) -> dict[str, Any]:
    """The variance preserving SDE of Song et al. (2021), the continuous limit of DDPM.

    ``gamma = log(e^B - 1)``, ``B = 0.1 t + 9.95 t^2``.

    Args:
        **options: Arguments of `schedules.VP`.

    Example:

    >>> sorted(vp())
    ['basis', 'prior', 'schedule']
    """
    return {"basis": "pixel", "prior": "isotropic", "schedule": schedules.VP(**options)}


def subvp(**options: Any) -> dict[str, Any]:
    """The sub-VP SDE of Song et al. (2021): ``gamma = B + 2 log(1 - e^-B)``, B as in `vp`.

    Args:
        **options: Arguments of `schedules.SubVP`.
    """
    return {"basis": "pixel", "prior": "isotropic", "schedule": schedules.SubVP(**options)}


def ve(
    sigma_min: float = 0.01, sigma_max: float = 50.0, data: ArrayLike | None = None
) -> dict[str, Any]:
    """The variance exploding SDE of Song et al. (2021): ``sigma = sigma_min^(1-t) sigma_max^t``.

    So ``gamma = 2 log sigma`` is linear in t. Data are in [0, 1].

    Args:
        sigma_min: Standard deviation of the noise at t = 0, > 0.
        sigma_max: Standard deviation of the noise at t = 1, > sigma_min; the default is theirs for
            CIFAR-10.
        data: In place of `sigma_max`: 8-bit images ``(n, height, width, channels)``, whose largest
            distance from each other it becomes (Technique 1 of Song and Ermon, 2020).

    Raises:
        ValueError: for `data` that are no 8-bit images, or fewer than two.

    Example:

    >>> ve(sigma_max=1.0)["schedule"].gamma_max
    0.0
    """
    if data is not None:
        sigma_max = _largest_distance(data)
    schedule = schedules.Sequential(
        b=0.0, gamma_min=2.0 * math.log(sigma_min), gamma_max=2.0 * math.log(sigma_max)
    )
    return {"basis": "pixel", "prior": Isotropic(2.0), "schedule": schedule}


def _largest_distance(images: ArrayLike) -> float:
    """The largest Euclidean distance of two images in [0, 1]."""
    images = np.asarray(images)
    if images.dtype != np.uint8 or len(images) < 2:
        raise ValueError(
            "Expected `data` to be at least two 8-bit images. Received: data of type "
            f"{images.dtype} and shape {images.shape}."
        )
    x = images.reshape(len(images), -1) / 255.0
    lengths = np.sum(x**2, axis=1)
    blocks = range(0, len(x), _BLOCK)
    squares = [
        (lengths[i : i + _BLOCK, None] + lengths - 2.0 * x[i : i + _BLOCK] @ x.T).max()
        for i in blocks
    ]
    return float(np.sqrt(max(squares)))


def edm(**options: Any) -> dict[str, Any]:
    """The noise levels of Karras et al. (2022), with their preconditioning of the network.

    ``gamma = 2 log sigma``, ``sigma^(1/7)`` linear from ``0.002^(1/7)`` to ``80^(1/7)``. Training
    uses the distribution of noise levels of sampling, where EDM draws them log-normal.

    Args:
        **options: Arguments of `schedules.EDM`.
    """
    return {
        "basis": "pixel",
        "prior": "isotropic",
        "schedule": schedules.EDM(**options),
        "prediction": "edm",
        "weighting": "v",
    }


def cosine() -> dict[str, Any]:
    """The cosine schedule of Nichol and Dhariwal (2021): ``gamma = 2 log tan(pi t/2)``."""
    return {"basis": "pixel", "prior": "isotropic", "schedule": "cosine"}


def flow_matching(**options: Any) -> dict[str, Any]:
    """Flow matching on straight lines (Lipman et al., 2023; Liu et al., 2023).

    ``gamma = 2 log(t/(1 - t))``: the line ``(1 - t) z0 + t eps`` divided by its norm. Its velocity
    ``eps - z0`` is, at given z, the same information as any other prediction.

    Args:
        **options: Arguments of `schedules.FlowMatching`.
    """
    return {"basis": "pixel", "prior": "isotropic", "schedule": schedules.FlowMatching(**options)}


def variational(gamma_min: float = -13.3, gamma_max: float = 5.0) -> dict[str, Any]:
    """Variational Diffusion (Kingma et al., 2021): the loss is the ELBO, and gamma is learned.

    Between its given ends, gamma(t) becomes the monotone curve along which the loss varies least
    (`schedules.Learned`).

    Args:
        gamma_min: Gamma at t = 0.
        gamma_max: Gamma at t = 1, > gamma_min.
    """
    return {
        "basis": "pixel",
        "prior": "isotropic",
        "schedule": schedules.Learned(gamma_min, gamma_max, criterion="variance"),
        "prediction": "eps",
        "weighting": "likelihood",
    }
