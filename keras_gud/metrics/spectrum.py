"""The radial power spectrum: the power at each spatial scale."""

from collections.abc import Iterable

import numpy as np

from keras_gud.core.streaming_moments import Moments
from keras_gud.core.types import Shape, TensorLike
from keras_gud.metrics.features import batches_of
from keras_gud.metrics.score import Score

_OCTAVES = 2  # shells per octave
_BLOCK = 256  # images transformed at a time


def radial_spectrum(
    images: TensorLike | Iterable[TensorLike],
) -> tuple[np.ndarray, np.ndarray]:
    """Variance of the Fourier components over images, averaged in shells of spatial frequency.

    Args:
        images: ``(n, height, width, channels)``, any real values, or an iterable of batches of
            them; one is in memory at a time.

    Returns:
        Pair of float64 arrays ``(shells,)``: the geometric centres of the shells in cycles per
        pixel, half an octave each, and the power, the mean over components and channels of the
        unbiased variance over images (of the orthonormal transform).

    Raises:
        ValueError: for fewer than two images, or another number of axes.

    Example:

    >>> import numpy as np
    >>> noise = np.random.default_rng(0).normal(size=(4000, 8, 8, 1))
    >>> k, power = radial_spectrum(noise)
    >>> bool(abs(power - 1.0).max() < 0.1)
    True
    """
    return _spectrum(images)[:2]


def _spectrum(
    images: TensorLike | Iterable[TensorLike],
) -> tuple[np.ndarray, np.ndarray, int, Shape]:
    """`radial_spectrum`, the number of images, and the shape of one."""
    moments = Moments()
    for batch in batches_of(images):
        if batch.ndim != 4:
            raise _unusable(batch.shape)
        for i in range(0, len(batch), _BLOCK):
            waves = np.fft.fft2(batch[i : i + _BLOCK], axes=(1, 2), norm="ortho")
            moments.update(np.stack([waves.real, waves.imag], axis=1))
    if moments.count < 2:
        raise _unusable((moments.count, *(moments.mean.shape[1:] if moments.count else ())))
    height, width, _ = shape = moments.mean.shape[1:]
    power = moments.variance.sum(axis=0).mean(axis=-1) * (moments.count / (moments.count - 1))
    k = np.hypot(np.fft.fftfreq(height)[:, None], np.fft.fftfreq(width))
    lowest = 1.0 / max(height, width)
    shell = np.floor(_OCTAVES * np.log2(np.maximum(k, 1e-9) / lowest) + 1e-6).astype(int)
    shells = np.unique(shell[k > 0.0])
    centres = lowest * 2.0 ** ((shells + 0.5) / _OCTAVES)
    power = np.array([power[(shell == i) & (k > 0.0)].mean() for i in shells])
    return centres, power, moments.count, shape


def _unusable(shape: Shape) -> ValueError:
    return ValueError(
        "Expected at least two images (n, height, width, channels). "
        f"Received: shape {tuple(shape)}."
    )


def spectrum_distance(
    images: TensorLike | Iterable[TensorLike],
    reference: TensorLike | Iterable[TensorLike],
    data: str = "unnamed images",
) -> Score:
    """Root mean square over shells, half an octave each, of the difference of log power, in nats.

    0.1 means that powers differ by about 10%. It does not measure dependence between scales.

    Args:
        images: Images to evaluate, ``(n, height, width, channels)`` in 0..255, or batches of them.
        reference: The reference set in either form, of the same size and range.
        data: Name of the reference set in the result.

    Returns:
        The distance, >= 0; 0 for equal spectra.

    Raises:
        ValueError: for images of different sizes, or fewer than two.

    Example:

    >>> import numpy as np
    >>> noise = 100.0 * np.random.default_rng(0).normal(size=(100, 8, 8, 1))
    >>> f"{spectrum_distance(2.0 * noise, noise).value:.2f}"  # log of 2^2
    '1.39'
    """
    (_, *power, n, shape), (_, *expected, of, wanted) = map(_spectrum, (images, reference))
    if shape != wanted:
        raise ValueError(f"Expected images of the reference's shape {wanted}. Received: {shape}.")
    # The power of rounding to 8 bits (1 / 12) keeps the distance of constant images finite.
    logs = [np.log(power + 1.0 / 12.0) for power in (*power, *expected)]
    value = float(np.sqrt(np.mean((logs[0] - logs[1]) ** 2)))
    size = "x".join(map(str, wanted[:2]))
    return Score(value, f"radial spectrum, {size}, {n} images against {of} of {data}")
