"""The radial power spectrum: how much there is at each scale."""

import numpy as np

from keras_gud.metrics.score import Score

_OCTAVES = 2  # shells per octave


def radial_spectrum(images) -> tuple[np.ndarray, np.ndarray]:
    """Mean power of the images, less that of their mean, in shells of spatial frequency.

    Args:
        images: ``(n, height, width, channels)``, any real values.

    Returns:
        Pair of float64 arrays: geometric centres of the shells in cycles per pixel, half an octave
        each, and the power of a component, averaged over images, components and channels.

    Raises:
        ValueError: for fewer than two images, or another number of axes.

    Example:

    >>> import numpy as np
    >>> noise = np.random.default_rng(0).normal(size=(4000, 8, 8, 1))
    >>> k, power = radial_spectrum(noise)
    >>> bool(abs(power - 1.0).max() < 0.1)
    True
    """
    images = np.asarray(images, "float64")
    if images.ndim != 4 or len(images) < 2:
        raise ValueError(
            "Expected at least two images (n, height, width, channels). "
            f"Received: shape {images.shape}."
        )
    images = images - images.mean(axis=0)
    height, width = images.shape[1:3]
    power = np.abs(np.fft.fft2(images, axes=(1, 2), norm="ortho")) ** 2
    power = power.sum(axis=0).mean(axis=-1) / (len(images) - 1)
    k = np.hypot(np.fft.fftfreq(height)[:, None], np.fft.fftfreq(width))
    lowest = 1.0 / max(height, width)
    shell = np.floor(_OCTAVES * np.log2(np.maximum(k, 1e-9) / lowest) + 1e-6).astype(int)
    shells = np.unique(shell[k > 0.0])
    centres = lowest * 2.0 ** ((shells + 0.5) / _OCTAVES)
    return centres, np.array([power[(shell == i) & (k > 0.0)].mean() for i in shells])


def spectrum_distance(images, reference, data: str = "unnamed images") -> Score:
    """Root mean square, over half octaves, of the difference of log power, in nats.

    0.1 means that powers differ by 10%. What it cannot see is how scales go together.

    Args:
        images: Images to judge, ``(n, height, width, channels)``.
        reference: The reference set, of the same size and range.
        data: What the reference is called in the result.

    Raises:
        ValueError: for images of another size, or fewer than two.
    """
    if np.shape(images)[1:] != np.shape(reference)[1:]:
        raise ValueError(
            f"Expected images of the reference's shape {np.shape(reference)[1:]}. "
            f"Received: {np.shape(images)[1:]}."
        )
    powers = [radial_spectrum(part)[1] for part in (images, reference)]
    # A power of rounding to 8 bits is added, so that flat images are far away and not infinitely.
    logs = [np.log(power + 1.0 / 12.0) for power in powers]
    value = float(np.sqrt(np.mean((logs[0] - logs[1]) ** 2)))
    size = "x".join(str(n) for n in np.shape(reference)[1:3])
    return Score(
        value,
        f"radial spectrum, {size}, {len(images)} images against {len(reference)} of {data}",
    )
