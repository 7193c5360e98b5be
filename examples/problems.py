"""What is restored: how images are observed, and who restores them.

Each problem has the name of its `task`, a `name`, a short `label`, `observe(model, images, seed)`
that returns an `Observed`, and `answers(model, linear, observed, truth, **options)` that returns
restored images by method, float ``(images, draws, height, width, channels)``: the network's first,
then those of the rival that the picture shows.
"""

from dataclasses import dataclass

import numpy as np
import rivals
from keras import ops
from scipy import ndimage

from keras_gud import tasks

NETWORK = "this network"
_LUMA = np.array([0.299, 0.587, 0.114])


@dataclass(frozen=True)
class Observed:
    """Observations of n images.

    Attributes:
        values: What is observed.
        shown: What that looks like, images with the shape of the truth.
        missing: Boolean ``(n, height, width)`` where only some pixels are missing, the only ones
            that are scored; else `None`.
    """

    values: np.ndarray
    shown: np.ndarray
    missing: np.ndarray | None = None


@dataclass(frozen=True)
class Inpainting:
    """Missing pixels: half of them at random, or a box of 6x6 in the middle."""

    box: bool
    task = "inpaint"

    @property
    def name(self):
        return "in-painting, a box" if self.box else "in-painting, half of the pixels"

    @property
    def label(self):
        return "in-painting (box)" if self.box else "in-painting (half)"

    def observe(self, model, images, seed):
        if self.box:
            missing = np.zeros(images.shape[:3], bool)
            missing[:, 5:11, 5:11] = True
        else:
            rng = np.random.default_rng(seed)
            order = rng.random((len(images), images[0, ..., 0].size)).argsort(axis=1)
            missing = (order < order.shape[1] // 2).reshape(images.shape[:3])
        values = np.where(missing[..., None], 0, images)
        # White, with a little grey, is what a missing pixel looks like.
        return Observed(values, np.where(missing[..., None], 235, images), missing)

    def answers(self, model, linear, observed, truth, **options):
        x, missing = observed.values, observed.missing
        return {
            NETWORK: tasks.inpaint(model, x, missing, as_float=True, **options),
            "biharmonic": rivals.biharmonic(x, missing)[:, None],
            "replacement": rivals.replacement(model, x, missing, **options),
            "best linear": linear.fill(x, missing)[:, None],
        }


class Upscaling:
    """Means over blocks of 2x2 pixels."""

    task = "upscale"
    name, label = "up-scaling by 2", "up-scaling"

    @staticmethod
    def shrink(x):
        return (x[:, ::2, ::2] + x[:, ::2, 1::2] + x[:, 1::2, ::2] + x[:, 1::2, 1::2]) / 4.0

    def observe(self, model, images, seed):
        low = self.shrink(images.astype("float64"))
        return Observed(low, low.repeat(2, axis=1).repeat(2, axis=2))

    def answers(self, model, linear, observed, truth, **options):
        low = observed.values
        bicubic = rivals.bicubic(low, 2)
        # A spline takes the means for values at points; what its own means miss is put back.
        miss = (low - self.shrink(bicubic)).repeat(2, axis=1).repeat(2, axis=2)
        return {
            NETWORK: tasks.upscale(model, low, 2, as_float=True, **options),
            "bicubic": bicubic[:, None],
            "bicubic, means put back": (bicubic + miss)[:, None],
            "best linear": linear(low, self.shrink)[:, None],
        }


class Denoising:
    """White Gaussian noise, not clipped."""

    sigma = 25.0
    task = "denoise"
    name, label = "de-noising, sigma 25", "de-noising"

    def observe(self, model, images, seed):
        noise = np.random.default_rng(seed).normal(size=images.shape)
        noisy = images + self.sigma * noise
        return Observed(noisy, noisy)

    def answers(self, model, linear, observed, truth, **options):
        noisy = observed.values
        return {
            NETWORK: tasks.denoise(model, noisy, self.sigma, as_float=True, **options),
            "non-local means": rivals.nonlocal_means(noisy, self.sigma, truth)[:, None],
            "total variation": rivals.total_variation(noisy, truth)[:, None],
            "best linear": linear(noisy, variance=self.sigma**2)[:, None],
        }


class Deblurring:
    """A Gaussian blur with reflected edges, then white Gaussian noise, not clipped."""

    sigma, noise_std = 1.0, 5.0
    task = "deblur"
    name, label = "de-blurring, sigma 1, noise 5", "de-blurring"

    @property
    def kernel(self):
        line = np.exp(-0.5 * (np.arange(-4, 5) / self.sigma) ** 2)
        return np.outer(line, line) / line.sum() ** 2

    def blur(self, x):
        return ndimage.convolve(x, self.kernel[None, :, :, None], mode="reflect")

    def observe(self, model, images, seed):
        noise = np.random.default_rng(seed).normal(size=images.shape)
        blurred = self.blur(images.astype("float64")) + self.noise_std * noise
        return Observed(blurred, blurred)

    def answers(self, model, linear, observed, truth, **options):
        y, noise_std = observed.values, self.noise_std
        network = tasks.deblur(model, y, self.kernel, noise_std, as_float=True, **options)
        return {
            NETWORK: network,
            "Wiener": rivals.wiener(y, self.kernel, truth)[:, None],
            "best linear": linear(y, self.blur, noise_std**2)[:, None],
        }


class Colouring:
    """The luma alone."""

    task = "colorize"
    name, label = "colouring", "colouring"

    def observe(self, model, images, seed):
        grey = images @ _LUMA
        return Observed(grey, grey[..., None].repeat(3, axis=-1))

    def answers(self, model, linear, observed, truth, **options):
        grey = observed.values
        return {
            NETWORK: tasks.colorize(model, grey, as_float=True, **options),
            "the grey image": observed.shown[:, None],
            "best linear": linear(grey, lambda x: x @ _LUMA)[:, None],
        }


class Completion:
    """The middle of a path from left to right: columns from clean (left) to lost (right)."""

    t, b = 0.5, 0.7
    task = "complete"
    name, label = "completion from t = 0.5", "completion"

    def observe(self, model, images, seed):
        partly = tasks.noised(model, images, self.t, seed=seed, b=self.b)
        return Observed(partly, model.data_space.scaling.to_raw(partly))

    def answers(self, model, linear, observed, truth, **options):
        partly, where = observed.values, {"b": self.b}
        restored = tasks.complete(model, partly, self.t, as_float=True, **where, **options)
        return {NETWORK: restored, "best linear": self.linear(model, linear, partly)[:, None]}

    def linear(self, model, linear, partly):
        """A state is an observation with noise of its own for every value."""
        view, scaling = model.views[0], model.data_space.scaling
        state = view.schedule(np.float32(self.t), **view.schedule.resolve({"b": self.b}))
        parts = view.prior.mean, view.prior.scale, state.alpha, state.gamma
        mean, s, alpha, gamma = (ops.convert_to_numpy(part).astype("float64") for part in parts)
        values = scaling.to_raw((partly - mean) / alpha + mean)
        std = np.broadcast_to(scaling.scale * s * np.exp(0.5 * gamma), (1, *partly.shape[1:]))
        return linear(values, variance=std**2)


ALL = (
    Inpainting(box=False),
    Inpainting(box=True),
    Upscaling(),
    Denoising(),
    Deblurring(),
    Colouring(),
    Completion(),
)
