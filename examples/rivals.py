"""What one would take instead of the network: classical methods, and replacement.

Where a method has a free parameter, it gets the value that is best on the test images themselves,
so a rival is never beaten for lack of tuning. All take and return float arrays in 0..255.
"""

import functools

import numpy as np
from keras import ops
from skimage import restoration, transform

from keras_gud import samplers
from keras_gud.tasks import Options, views
from keras_gud.tasks.restoration import observe_image, to_data


def best(candidates, truth):
    """The candidate of the highest PSNR, averaged over images.

    Args:
        candidates: Restored images, one array for each value of a parameter.
        truth: The true images.
    """

    def score(images):
        mse = ((np.clip(images, 0, 255) - truth) ** 2).mean(axis=(1, 2, 3))
        return -np.log(np.maximum(mse, 1.0 / 12.0)).mean()

    return max(candidates, key=score)


def biharmonic(images, missing):
    """In-painting by the biharmonic equation; `missing` is boolean ``(n, height, width)``."""
    pairs = zip(images / 255.0, missing, strict=True)
    filled = [restoration.inpaint_biharmonic(x, hole, channel_axis=-1) for x, hole in pairs]
    return 255.0 * np.stack(filled)


def bicubic(low, factor):
    """Bicubic up-scaling of ``(n, height, width, channels)``."""
    spatial = low.shape[1] * factor, low.shape[2] * factor
    options = {"order": 3, "mode": "symmetric", "anti_aliasing": False, "preserve_range": True}
    return np.stack([transform.resize(x, spatial, **options) for x in low])


def nonlocal_means(noisy, sigma, truth):
    """Non-local means that know sigma, with the best filter strength and size of patches."""
    candidates = []
    for patch_size in (3, 5):
        for strength in (0.2, 0.4, 0.6, 0.8, 1.0, 1.2):
            options = {"patch_size": patch_size, "patch_distance": 7, "fast_mode": False}
            options |= {"sigma": sigma / 255.0, "h": strength * sigma / 255.0, "channel_axis": -1}
            restored = [restoration.denoise_nl_means(x / 255.0, **options) for x in noisy]
            candidates.append(255.0 * np.stack(restored))
    return best(candidates, truth)


def total_variation(noisy, truth):
    """De-noising by total variation (Chambolle), with the best weight."""
    candidates = []
    for weight in (0.03, 0.05, 0.08, 0.12, 0.17, 0.25):
        options = {"weight": weight, "channel_axis": -1}
        restored = [restoration.denoise_tv_chambolle(x / 255.0, **options) for x in noisy]
        candidates.append(255.0 * np.stack(restored))
    return best(candidates, truth)


def wiener(blurred, kernel, truth):
    """The Wiener filter with the best balance; it is periodic, so images are reflected first."""
    pad, candidates = 8, []
    wide = np.pad(blurred, [(0, 0), (pad, pad), (pad, pad), (0, 0)], mode="symmetric") / 255.0
    for balance in np.logspace(-3.0, 1.0, 13):
        restored = np.stack(
            [
                [restoration.wiener(x[..., c], kernel, balance, clip=False) for c in range(3)]
                for x in wide
            ]
        )
        restored = np.moveaxis(restored, 1, -1)[:, pad:-pad, pad:-pad]
        candidates.append(255.0 * restored)
    return best(candidates, truth)


class Linear:
    """The best linear estimate: the posterior mean if training patches were Gaussian.

    It has seen the same data as the network and is told the task exactly. What the network adds to
    it is what natural images have beyond their covariance.

    Args:
        patches: Training patches ``(n, height, width, channels)``.
    """

    def __init__(self, patches):
        self.shape = patches.shape[1:]
        flat = patches.reshape(len(patches), -1).astype("float64")
        self.mean, self.covariance = flat.mean(axis=0), np.cov(flat.T)

    def __call__(self, observed, operator=None, variance=0.0):
        """Images given ``operator(image) + noise``.

        Args:
            observed: Array ``(n, ...)``.
            operator: Linear function of a batch of images; default: the images themselves.
            variance: Of the noise, a number or one for each observed value.
        """
        d = len(self.mean)
        basis = np.eye(d).reshape(d, *self.shape)
        matrix = (basis if operator is None else operator(basis)).reshape(d, -1)
        observed = observed.reshape(len(observed), -1)
        # Rounding to 8 bits is noise as well, and keeps the system regular.
        variance = np.broadcast_to(np.ravel(variance), matrix.shape[1]) + 1.0 / 12.0
        cross = matrix.T @ self.covariance
        weights = np.linalg.solve(cross @ matrix + np.diag(variance), cross)
        estimate = self.mean + (observed - self.mean @ matrix) @ weights
        return estimate.reshape(-1, *self.shape)

    def fill(self, images, missing):
        """Images of which some pixels are missing, ``(n, height, width)``; the rest is kept."""
        filled = np.array(images, "float64")
        for x, hole in zip(filled, missing, strict=True):
            x[hole] = self(x[None, ~hole], lambda basis, seen=~hole: basis[:, seen])[0][hole]
        return filled


class Replacement(samplers.DPMSolver):
    """In-painting as in RePaint (Lugmayr et al. 2022, arXiv:2201.09865), without its resampling.

    The path is that of sampling from noise; before every step the observed components are replaced
    by themselves with the noise of that time. The network is never told that they are observed.
    """

    def step(self, denoiser, state_at, z, memory, clock, draw):
        told = denoiser.keywords  # the sampler's loop binds what is given for each sample
        observed = state_at(clock(0)).add_noise(told["observed"], draw(1))
        z = ops.where(told["seen"], observed, z)
        return super().step(denoiser, state_at, z, memory, clock, draw)


class Deaf:
    """A denoiser that ignores what only `Replacement` needs to know."""

    def __init__(self, denoiser):
        self.denoiser = denoiser
        self.variables, self.data_shape = denoiser.variables, denoiser.data_shape
        self.start = denoiser.start

    def __call__(self, z, state, observed, seen):
        return self.denoiser(z, state)


@functools.lru_cache(maxsize=1)
def _replacing(denoiser):
    """Sampler and denoiser, the same for every call: their loop is compiled once."""
    return Replacement(stochastic=True), Deaf(denoiser)


def replacement(model, images, missing, draws, steps, seed):
    """Draws by `Replacement`, ``(n, draws, *shape)``, with as many evaluations as `tasks.inpaint`.

    The beginning of `tasks.inpaint` evaluates the network once more: it is one step here.
    """
    view = views.find_view(model, "inpaint", "a basis of pixels", views.is_pixel_basis)
    seen = np.broadcast_to(~missing[..., None], images.shape)
    x = np.where(seen, images, 0.0)
    told = {"observed": observe_image(model, view, x, seen, 0.0).z0, "seen": seen}
    told = {name: np.repeat(value, draws, axis=0) for name, value in told.items()}
    sampler, denoiser = _replacing(model.denoiser.in_view(view))
    n = len(images) * draws
    options = Options(draws=draws, seed=seed, as_float=True)
    z0 = sampler(
        denoiser,
        view.schedule,
        n,
        steps=steps + 1,
        seed=seed,
        batch_size=options.batch_size,
        denoise=True,
        condition=told,
    )
    z0 = z0.reshape(len(images), draws, *z0.shape[1:])
    return to_data(model, view, z0, options, False, (seen, x))
