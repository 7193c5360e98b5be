"""Noise with a spectrum, or noising that depends on the frequency."""

from typing import Any

from keras_gud import priors, schedules


def nonisotropic(exponent: float = 2.0, **options: Any) -> dict[str, Any]:
    """Non-isotropic DDPM (Voleti et al., 2022): the noise is a Gaussian free field.

    One gamma for all components; ``S^2 ~ |k|^-exponent``, of mean 1.

    Args:
        exponent: Exponent of the power spectrum; 0 is white noise.
        **options: Arguments of `schedules.VP`.

    Example:

    >>> nonisotropic()["prior"].exponent
    2.0
    """
    return {
        "basis": "fourier",
        "prior": priors.PowerLaw(exponent),
        "schedule": schedules.VP(**options),
    }


def offset_noise(strength: float = 0.1, **options: Any) -> dict[str, Any]:
    """Offset noise (Guttenberg, 2023): the noise has a random constant for each channel.

    One gamma for all components; ``S^2 = 1 + strength^2 n`` at k = 0, for n pixels.

    Args:
        strength: Standard deviation of the constant, >= 0.
        **options: Arguments of `schedules.VP`.
    """
    return {
        "basis": "fourier",
        "prior": priors.OffsetNoise(strength),
        "schedule": schedules.VP(**options),
    }


def equal_snr() -> dict[str, Any]:
    """EqualSNR (Falck et al., 2025): every frequency has the same signal-to-noise ratio.

    The noise has the data's power spectrum, and all components have one gamma: a = 0 of the paper's
    linear schedules (eqs. 18-20).

    Example:

    >>> equal_snr()
    {'basis': 'fourier', 'prior': 'spectrum', 'schedule': 'cosine'}
    """
    return {"basis": "fourier", "prior": "spectrum", "schedule": "cosine"}


def heat_dissipation(**options: Any) -> dict[str, Any]:
    """Inverse Heat Dissipation (Rissanen et al., 2023): a blur under a little constant noise.

    ``gamma_i = 2 log 0.01 + lambda_i sigma_B(t)^2``, with lambda_i the eigenvalues of minus the
    Laplacian and sigma_B(t) the width of the blur. Data are in [0, 1]. The path does not end in
    noise: start from blurred images, ``tasks.complete(model, tasks.noised(model, images, t=1.0),
    t=1.0)``. Their network is conditioned on t; this one on gamma, clipped at 20.

    Args:
        **options: Arguments of `schedules.HeatDissipation`.
    """
    return {
        "basis": "dct",
        "prior": priors.Isotropic(2.0),
        "schedule": schedules.HeatDissipation(**options),
    }


def blurring(**options: Any) -> dict[str, Any]:
    """Blurring Diffusion (Hoogeboom and Salimans, 2022): a blur and the noise of `cosine`.

    ``gamma_i = 2 log tan(theta) - 2 log d_i``, with theta the angle of `cosine` and d_i the factor
    by which the blur damps component i.

    Args:
        **options: Arguments of `schedules.Blurring`.
    """
    return {"basis": "dct", "prior": "isotropic", "schedule": schedules.Blurring(**options)}


def shortest_path(**options: Any) -> dict[str, Any]:
    """Shortest Path Diffusion (Das et al., 2023): the covariance at time t is ``Sigma^(1 - t)``.

    Sigma is the data's own spectrum; ``shortest_path(amplitude=1.59, corner=0.0086)`` has their fit
    to CIFAR-10.

    Args:
        **options: Arguments of `schedules.ShortestPath`.
    """
    return {"basis": "fourier", "prior": "isotropic", "schedule": schedules.ShortestPath(**options)}


def renormalization(mass: float = 0.01, **options: Any) -> dict[str, Any]:
    """Renormalization group flow to a free field (Cotler and Rezchikov, 2023; Polchinski, 1984).

    ``alpha_i^2 = K(k^2/Lambda^2)`` with Polchinski's smooth cutoff K, and noise of power
    ``S^2 ~ 1/(k^2 + mass^2)``.

    Args:
        mass: Mass of the free field, > 0, in cycles per sample.
        **options: Further arguments of `schedules.Renormalization`.
    """
    return {
        "basis": "fourier",
        "prior": priors.PowerLaw(2.0, corner=mass),
        "schedule": schedules.Renormalization(mass=mass, **options),
    }
