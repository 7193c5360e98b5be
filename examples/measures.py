"""How far restored images are from the true ones, each figure with its standard error.

Restored images are float arrays ``(seeds, images, draws, height, width, channels)`` in 0..255, true
ones ``(images, height, width, channels)``. Standard errors are over images: seeds and draws of one
image are averaged before, because they share its difficulty.
"""

import sys
from pathlib import Path

import numpy as np

# The formula of the Frechet distance stands with the benchmarks.
sys.path.append(str(Path(__file__).resolve().parents[1] / "benchmarks"))
from frechet import feature_distance

# No estimate can be blamed for what rounding to 8 bits did to the truth.
_LEAST_ERROR = 1.0 / 12.0
_LUMA = np.array([0.299, 0.587, 0.114])


def squared_errors(restored, truth, scored):
    """Mean squared errors ``(seeds, images, draws)``; `scored` as for `psnr`."""
    errors = (np.clip(restored, 0.0, 255.0) - truth[None, :, None]) ** 2
    weights = np.broadcast_to(scored[:, :, None], errors.shape)
    axes = (3, 4, 5)
    return (errors * weights).sum(axis=axes) / weights.sum(axis=axes)


def psnr(restored, truth, scored):
    """Peak signal-to-noise ratio in dB of every image, averaged over seeds and draws.

    Args:
        restored: See above.
        truth: The true images.
        scored: Boolean ``(1 or seeds, images, height, width, 1)``, the pixels that count.

    Returns:
        float64 ``(images,)``.
    """
    return decibels(squared_errors(restored, truth, scored)).mean(axis=(0, 2))


def pooled_psnr(restored, truth, scored):
    """That of the squared error averaged over images, and its standard error."""
    errors = squared_errors(restored, truth, scored).mean(axis=(0, 2))
    return jackknife(lambda keep: decibels(errors[keep].mean()), len(truth))


def decibels(squared_error):
    """Peak signal-to-noise ratio."""
    return 10.0 * np.log10(255.0**2 / np.maximum(squared_error, _LEAST_ERROR))


def error_over_spread(draws, truth, scored):
    """Error of the mean of draws over what their spread says it should be: 1 if they are right.

    Draws from the true posterior scatter about its mean as the truth does. The mean of k draws
    misses by ``1 + 1/k`` times their variance.
    """
    k = draws.shape[2]
    weights = np.broadcast_to(scored, draws[:, :, 0].shape)
    error = (((draws.mean(axis=2) - truth) ** 2) * weights).sum(axis=(0, 2, 3, 4))
    expected = (draws.var(axis=2, ddof=1) * (1 + 1 / k) * weights).sum(axis=(0, 2, 3, 4))

    def ratio(keep):
        return np.sqrt(error[keep].sum() / max(expected[keep].sum(), 1e-12))

    return jackknife(ratio, len(truth))


def features(images):
    """Twelve numbers that say what an image looks like, not where things are.

    Means of the three channels; of the luma the logarithm of the standard deviation and of the
    mean absolute Haar details, horizontal, vertical and diagonal, at the two finest levels; of the
    two colour differences to the luma the logarithm of the standard deviation.

    Args:
        images: ``(..., height, width, 3)``, 0..255.

    Returns:
        float64 ``(..., 12)``.
    """
    x = np.clip(images, 0.0, 255.0)
    luma = x @ _LUMA
    sizes = [luma.std(axis=(-1, -2))]
    low = luma
    for _ in range(2):
        a, b = low[..., ::2, ::2], low[..., ::2, 1::2]
        c, d = low[..., 1::2, ::2], low[..., 1::2, 1::2]
        details = (a - b + c - d, a + b - c - d, a - b - c + d)
        sizes += [np.abs(detail / 4.0).mean(axis=(-1, -2)) for detail in details]
        low = (a + b + c + d) / 4.0
    sizes += [(x[..., channel] - luma).std(axis=(-1, -2)) for channel in (0, 2)]
    # One grey level is added: what is smaller cannot be seen.
    return np.concatenate([x.mean(axis=(-3, -2)), np.log(1.0 + np.stack(sizes, axis=-1))], axis=-1)


def frechet(restored, truth):
    """Frechet distance of single draws to the true images in `features`, and its standard error.

    Features are divided by their standard deviation over the true images, and the distance by
    their number. It is that of one draw of every image, averaged over draws and seeds; all methods
    have the same number of images, and so the same bias.
    """
    reference = features(truth)
    scale = np.maximum(reference.std(axis=0, ddof=1), 1e-6)
    reference = reference / scale
    found = np.moveaxis(features(restored) / scale, 2, 1)
    found = found.reshape(-1, *found.shape[2:])  # (seeds * draws, images, features)

    def distance(keep):
        return np.mean([feature_distance(part[keep], reference[keep]) for part in found])

    return jackknife(distance, len(truth))


def jackknife(statistic, n):
    """A statistic of n images and its standard error, from leaving out one after the other.

    Args:
        statistic: Function of the indices of the images to use.
        n: Number of images.
    """
    everything = np.arange(n)
    if n < 3:
        return float(statistic(everything)), float("nan")
    without = [statistic(np.delete(everything, i)) for i in range(n)]
    return float(statistic(everything)), float(np.sqrt((n - 1) * np.var(without)))


def mean_and_error(values):
    """The mean over images and its standard error."""
    return float(values.mean()), float(values.std(ddof=1) / np.sqrt(len(values)))


def written(pair, digits=2, sign=""):
    """A figure with its standard error, in bold if it is a difference of more than two of them."""
    text = f"{pair[0]:{sign}.{digits}f} ± {pair[1]:.{digits}f}"
    return f"**{text}**" if sign and abs(pair[0]) > 2.0 * pair[1] else text
