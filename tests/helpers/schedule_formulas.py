"""The schedules as float64 NumPy formulas, written from DESIGN section 3 and not from the package.

Every formula takes times ``(n, 1)`` and returns gamma, dgamma/dt, both ``(n, components)``, and
whether a point is so near a kink that rounding decides which slope is right.
"""

import numpy as np
from scipy.special import logit

NEAR = 1e-6


def times(n=200):
    """0, n interior points and 1: float64 numbers that float32 holds exactly."""
    return np.linspace(0, 1, n + 2).astype("float32").astype("float64")


def near(u, kink):
    """Whether u is within rounding of the kink; exactly on it is decided: active."""
    return (np.abs(u - kink) < NEAR) & (u != kink)


def clipped(u, low, high, slope):
    gamma = low + (high - low) * np.clip(u, 0, 1)
    active = (u >= 0) & (u <= 1)
    return gamma, np.where(active, slope, 0.0), near(u, 0.0) | near(u, 1.0)


def smooth(gamma, slope):
    return gamma, slope, np.zeros(np.shape(gamma), bool)


def linear_ordering(data_variance, ordering, r, frequency):
    l = -np.log(data_variance.ravel())
    if isinstance(ordering, np.ndarray):
        return np.broadcast_to(ordering, data_variance.shape).ravel()
    r = {"variance": 0.0, "frequency": 1.0, "mixed": r}[ordering]
    if r == 0.0:
        return l
    k = frequency.ravel()
    kappa = (k.max() - k.min()) / (l.max() - l.min())
    delta = kappa * l.min() - k.min()
    return (1 - r) * l + r * (k + delta) / kappa


def linear(
    t,
    variance,
    data_variance=None,
    a=1.0,
    ordering="variance",
    r=None,
    frequency=None,
    gamma_denoise=-7.0,
    gamma_noise=None,
):
    data_variance = variance if data_variance is None else data_variance
    l = linear_ordering(data_variance, ordering, r, frequency)
    log_variance = np.log(variance.ravel())
    if gamma_noise is None:
        gamma_noise = max(3.0, np.max(logit(0.99**2) - log_variance - a * (l - l.min())))
    elif gamma_noise == "paper":
        gamma_noise = max(3.0, np.max(logit(0.99**2) - log_variance))
    delta = gamma_noise - gamma_denoise + a * (l.max() - l.min())
    gamma = gamma_denoise + log_variance + a * (l - l.max()) + t * delta
    return smooth(gamma, np.full_like(gamma, delta))


def sequential(t, group, b=0.5, gamma_min=-7.0, gamma_max=5.0):
    """`group` counts from 1 in the order of generation."""
    i = group.ravel().astype("float64")
    L = i.max()
    b, t_i = (b, b * (L - i) / (L - 1)) if L > 1 else (0.0, 0.0)
    slope = (gamma_max - gamma_min) / (1 - b)
    return clipped((t - t_i) / (1 - b), gamma_min, gamma_max, slope)


def hierarchical(t, level, column, a=0.5, b=0.5, gamma_min=-7.0, gamma_max=5.0):
    """`level` counts from 1, coarsest first, and `column` from 1 within its level."""
    n = level.max()
    results = []
    for i, j in zip(level.ravel(), column.ravel(), strict=True):
        length = column[level == i].max()
        a_i, c_i = (a, a * (n - i) / (n - 1)) if n > 1 else (0.0, 0.0)
        b_i, c_ij = (b, b * (length - j) / (length - 1)) if length > 1 else (0.0, 0.0)
        raw = (t - c_i) / (1 - a_i)
        slope = (gamma_max - gamma_min) / ((1 - a_i) * (1 - b_i))
        slope = np.where((raw >= 0) & (raw <= 1), slope, 0.0)
        u = (np.clip(raw, 0, 1) - c_ij) / (1 - b_i)
        gamma, slope, kink = clipped(u, gamma_min, gamma_max, slope)
        results.append((gamma, slope, kink | near(raw, 0.0) | near(raw, 1.0)))
    return tuple(np.concatenate(parts, axis=1) for parts in zip(*results, strict=True))


def cosine(t, gamma_min=-10.0, gamma_max=10.0):
    with np.errstate(divide="ignore"):
        # tan(pi/2 - x) = 1/tan(x): pi/2 itself is not a float64.
        half = np.pi / 2 * np.minimum(t, 1 - t)
        gamma = 2 * np.log(np.tan(half)) * np.where(t <= 0.5, 1, -1)
        slope = np.pi / (np.sin(half) * np.cos(half))
    return clip_gamma(gamma, slope, gamma_min, gamma_max)


def vp(t, beta_min=0.1, beta_max=20.0, gamma_min=-10.0, gamma_max=20.0):
    B = beta_min * t + (beta_max - beta_min) * t**2 / 2
    with np.errstate(divide="ignore"):
        gamma = np.log(np.expm1(B))
        slope = (beta_min + (beta_max - beta_min) * t) * np.exp(B) / np.expm1(B)
    return clip_gamma(gamma, slope, gamma_min, gamma_max)


def subvp(t, beta_min=0.1, beta_max=20.0, gamma_min=-10.0, gamma_max=20.0):
    """From the marginals of Song et al. (2021): mean e^(-B/2), standard deviation 1 - e^-B."""
    B = beta_min * t + (beta_max - beta_min) * t**2 / 2
    with np.errstate(divide="ignore", invalid="ignore"):
        gamma = 2 * np.log(-np.expm1(-B)) + B
        slope = (beta_min + (beta_max - beta_min) * t) / np.tanh(B / 2)
    return clip_gamma(gamma, slope, gamma_min, gamma_max)


def flow(t, gamma_min=-10.0, gamma_max=10.0):
    with np.errstate(divide="ignore"):
        return clip_gamma(2 * logit(t), 2 / (t * (1 - t)), gamma_min, gamma_max)


def edm(t, sigma_min=0.002, sigma_max=80.0, rho=7.0):
    low, high = sigma_min ** (1 / rho), sigma_max ** (1 / rho)
    root = low + t * (high - low)
    return smooth(2 * rho * np.log(root), 2 * rho * (high - low) / root)


def blurring(t, k, blur=20.0, d_min=0.001, gamma_min=-10.0, gamma_max=24.0):
    """Hoogeboom and Salimans (2022): scaled by d, with cos and sin of theta."""
    first = np.arctan(np.exp(-5.0))
    theta, rate = first + t * (np.pi / 2 - 2 * first), np.pi / 2 - 2 * first
    width = blur * np.sin(np.pi * t / 2) ** 2
    width_rate = blur * np.pi / 2 * np.sin(np.pi * t)
    lam = (2 * np.pi * k.ravel()) ** 2
    decay = (1 - d_min) * np.exp(-lam * width**2 / 2)
    alpha, sigma = (decay + d_min) * np.cos(theta), np.sin(theta)
    slope = 2 * rate / (np.sin(theta) * np.cos(theta))
    slope = slope + 2 * decay * lam * width * width_rate / (decay + d_min)
    return clip_gamma(2 * np.log(sigma / alpha), slope, gamma_min, gamma_max)


def heat(t, k, blur_min=0.5, blur_max=24.0, noise_std=0.01, gamma_max=20.0):
    """Rissanen et al. (2023): the heat equation for a time width^2/2, and noise."""
    width = blur_min ** (1 - t) * blur_max**t
    lam = (2 * np.pi * k.ravel()) ** 2
    gamma = 2 * np.log(noise_std) + lam * width**2
    slope = 2 * lam * width**2 * np.log(blur_max / blur_min)
    return clip_gamma(gamma, slope, -np.inf, gamma_max)


def shortest(t, k, amplitude=1.59, corner=0.0086, gamma_min=-10.0, gamma_max=10.0):
    """Das et al. (2023): the covariance Sigma^(1 - t) along the path."""
    power = amplitude / (corner + k.ravel()) ** 2
    now = power ** (1 - t)
    with np.errstate(divide="ignore", invalid="ignore"):
        gamma = np.log(np.abs((power - now) / (now - 1)))  # 0/0 may have either sign at an end
        slope = np.log(power) * now * (1 / (power - now) + 1 / (now - 1))
    return clip_gamma(gamma, slope, gamma_min, gamma_max)


def renormalization(t, k, sharpness=1.0, mass=0.01, gamma_min=-10.0, gamma_max=10.0):
    """alpha^2 = K(k^2/Lambda^2), from a cutoff that lets all pass to one that lets nothing."""
    k = np.sqrt(k.ravel() ** 2 + mass**2)
    first = k.max() * np.exp(-gamma_min / (2 * sharpness))
    last = k.min() * np.exp(-gamma_max / (2 * sharpness))
    cutoff = first ** (1 - t) * last**t
    passed = 1 / (1 + (k / cutoff) ** (2 * sharpness))
    slope = np.full_like(passed, 2 * sharpness * np.log(first / last))
    return clip_gamma(-logit(passed), slope, gamma_min, gamma_max)


def clip_gamma(gamma, slope, gamma_min, gamma_max):
    active = (gamma >= gamma_min) & (gamma <= gamma_max)
    kink = (np.abs(gamma - gamma_min) < 1e-4) | (np.abs(gamma - gamma_max) < 1e-4)
    return np.clip(gamma, gamma_min, gamma_max), np.where(active, slope, 0.0), kink


def warped(t, power, formula):
    """formula(s(t)); the infinite speed at the ends counts as undecided."""
    s = t**power / (t**power + (1 - t) ** power)
    gamma, slope, kink = formula(s)
    with np.errstate(divide="ignore", invalid="ignore"):
        speed = power * (t * (1 - t)) ** (power - 1) / (t**power + (1 - t) ** power) ** 2
        slope = slope * speed
    ends = ((t == 0) | (t == 1)) & (power != 1)
    return gamma, np.where(ends, 0.0, slope), kink | ends


def haar_levels(height, width, levels, channels=1):
    """Level (1 = coarsest) and column within it (from 1) of every coefficient of the pyramid."""
    level, column = np.zeros((2, height, width, channels), int)
    for row in range(height):
        for col in range(width):
            m = 0
            while m < levels and row < height >> (m + 1) and col < width >> (m + 1):
                m += 1
            level[row, col] = 1 if m == levels else levels - m + 1
            size = width >> levels if m == levels else width >> (m + 1)
            column[row, col] = col % size + 1
    return level, column


def dct_frequency(height, width, channels=1):
    ky, kx = np.arange(height) / (2 * height), np.arange(width) / (2 * width)
    k = np.sqrt(ky[:, None] ** 2 + kx[None, :] ** 2)
    return np.repeat(k[..., None], channels, axis=-1)


def fourier_frequency(height, width, channels=1):
    ky, kx = np.fft.fftfreq(height), np.fft.fftfreq(width)
    k = np.sqrt(ky[:, None] ** 2 + kx[None, :] ** 2)
    return np.repeat(k[..., None], channels, axis=-1)
