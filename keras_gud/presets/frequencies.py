"""Noise or data whose frequencies are treated differently."""

from keras_gud import priors, schedules


def nonisotropic(exponent: float = 2.0, **options) -> dict:
    """Non-isotropic DDPM (Voleti et al., 2022): the noise is a Gaussian free field.

    One gamma for all components; ``S^2 ~ |k|^-exponent``, of mean 1.

    Args:
        exponent: Of the power spectrum.
        **options: Arguments of `schedules.VP`.
    """
    return {
        "basis": "fourier",
        "prior": priors.PowerLaw(exponent),
        "schedule": schedules.VP(**options),
    }


def offset_noise(strength: float = 0.1, **options) -> dict:
    """Offset noise (Guttenberg, 2023): the noise has a random constant for each channel.

    One gamma for all components; ``S^2 = 1 + strength^2 n`` for the constant mode of n pixels.

    Args:
        strength: Standard deviation of the constant.
        **options: Arguments of `schedules.VP`.
    """
    return {
        "basis": "fourier",
        "prior": priors.OffsetNoise(strength),
        "schedule": schedules.VP(**options),
    }


def equal_snr() -> dict:
    """EqualSNR (Falck et al., 2025): every frequency has the same signal-to-noise ratio.

    The noise has the data's power spectrum, and one gamma serves all: a = 0 of the paper's linear
    schedules.
    """
    return {"basis": "fourier", "prior": "spectrum", "schedule": "cosine"}


def heat_dissipation(**options) -> dict:
    """Inverse Heat Dissipation (Rissanen et al., 2023): a blur under a little constant noise.

    ``gamma_i = 2 log 0.01 + lambda_i sigma_B(t)^2``. Data are in [0, 1]. It does not end in noise:
    begin from blurred images with ``tasks.complete(model, tasks.noised(model, images, t=1.0),
    t=1.0)``. Their network is told t; this one is told gamma, clipped at 20.

    Args:
        **options: Arguments of `schedules.HeatDissipation`.
    """
    return {
        "basis": "dct",
        "prior": priors.Isotropic(2.0),
        "schedule": schedules.HeatDissipation(**options),
    }


def blurring(**options) -> dict:
    """Blurring Diffusion (Hoogeboom and Salimans, 2022): a blur and the noise of `cosine`.

    ``gamma_i = 2 log tan(theta) - 2 log d_i``.

    Args:
        **options: Arguments of `schedules.Blurring`.
    """
    return {"basis": "dct", "prior": "isotropic", "schedule": schedules.Blurring(**options)}


def shortest_path(**options) -> dict:
    """Shortest Path Diffusion (Das et al., 2023): covariance ``Sigma^(1 - t)`` on the way.

    Args:
        **options: Arguments of `schedules.ShortestPath`.
    """
    return {"basis": "fourier", "prior": "isotropic", "schedule": schedules.ShortestPath(**options)}


def renormalization(mass: float = 0.01, **options) -> dict:
    """Renormalization group flow to a free field (Cotler and Rezchikov, 2023; Polchinski, 1984).

    ``alpha_i^2 = K(k^2/Lambda^2)`` with Polchinski's smooth cutoff K, and noise of power
    ``S^2 ~ 1/(k^2 + mass^2)``.

    Args:
        mass: Of the free field, in cycles per sample.
        **options: Further arguments of `schedules.Renormalization`.
    """
    return {
        "basis": "fourier",
        "prior": priors.PowerLaw(2.0, corner=mass),
        "schedule": schedules.Renormalization(mass=mass, **options),
    }
