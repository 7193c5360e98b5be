"""A component-wise schedule as curves over time (paper fig. 2)."""

import numpy as np

from keras_gud.backend import to_numpy
from keras_gud.plots.canvas import FONT, INK, new_figure
from keras_gud.process import NoisingState

_MOST_LINES = 8
_MOST_NAMES = 12


def schedule(gamma, times, variance=None, labels=None, components=None):
    """Noise level, gamma and log signal-to-noise ratio over time (paper fig. 2).

    Lines are coloured by the order of the components, the first one darkest.

    Args:
        gamma: Array `(n_times, n_components)`, or `(n_times, *data_shape)`.
        times: The `n_times` diffusion times.
        variance: Sigma_i, the variance of each component chi_i over the data, `(n_components,)` or
            `data_shape`; 1 unless given.
        labels: A name or number for each component, shaped like `variance`, for the legend; their
            indices unless given.
        components: Indices of the components to show, in the order of the colours. By default eight
            (or all, if fewer), evenly spread between the component noised last and the one noised
            first.

    Returns:
        A `matplotlib.figure.Figure` with three axes: sigma, gamma, and log SNR.

    Raises:
        ValueError: if the shapes do not fit together or a component does not exist.
        ImportError: where Matplotlib is missing.

    Example:
    >>> from keras_gud import plots
    >>> t = np.linspace(0, 1, 5)[:, None]
    >>> figure = plots.schedule(-7 + 12 * t + np.array([0.0, 1.0]), t[:, 0])
    >>> [len(axes.lines) for axes in figure.axes]
    [2, 2, 2]
    """
    gamma, times = to_numpy(gamma), to_numpy(times)
    if gamma.ndim < 2 or times.shape != gamma.shape[:1]:
        raise ValueError(
            "Expected `gamma` of shape (n_times, n_components) and as many `times`. "
            f"Received: gamma.shape={gamma.shape}, times.shape={times.shape}."
        )
    gamma = gamma.reshape(len(times), -1)
    n = gamma.shape[1]
    variance = np.ones(n) if variance is None else _per_component(variance, n, "variance")
    names = np.arange(n) if labels is None else _per_component(labels, n, "labels")
    log_snr = np.log(variance) - gamma
    chosen = _spread(gamma, log_snr) if components is None else np.asarray(components, "int64")
    if chosen.size == 0 or chosen.min() < 0 or chosen.max() >= n:
        raise ValueError(
            f"Expected `components` between 0 and {n - 1}. Received: components={components!r}."
        )
    figure = new_figure(1000, 300, layout="constrained")
    curves = {
        r"noise level $\sigma_i(t)$": to_numpy(NoisingState(gamma).sigma),
        r"noising state $\gamma_i(t)$": gamma,
        r"$\log\,\mathrm{SNR}_i(t)$": log_snr,
    }
    for axes, (name, values) in zip(figure.subplots(1, 3), curves.items(), strict=True):
        _draw(axes, times, values[:, chosen])
        axes.set_title(name, fontsize=FONT)
    # Every line has a colour, but a legend stops being readable where a dozen of them are named.
    named = np.unique(np.linspace(0, len(chosen) - 1, _MOST_NAMES).round().astype("int64"))
    figure.legend(
        [figure.axes[0].lines[i] for i in named],
        [_text(names[chosen[i]]) for i in named],
        loc="outside right center",
        title="component",
        title_fontsize=FONT - 1,
        fontsize=FONT - 2,
        frameon=False,
    )
    return figure


def _per_component(values, n: int, name: str) -> np.ndarray:
    # Labels may be text, which no backend has a tensor for.
    values = np.asarray(values) if isinstance(values, list | tuple) else to_numpy(values)
    if values.size != n:
        raise ValueError(
            f"Expected `{name}` to have one entry for each of the {n} components. "
            f"Received: {name}.shape={values.shape}."
        )
    return values.reshape(-1)


def _spread(gamma, log_snr) -> np.ndarray:
    """Components evenly spread over the order of noising; equal gammas are ordered by their SNR."""
    with np.errstate(invalid="ignore"):  # gamma may be infinite at the ends, and then has no mean
        means = [np.nan_to_num(np.round(v.mean(axis=0), 5)) for v in (-log_snr, gamma)]
    order = np.lexsort(means)
    count = min(_MOST_LINES, len(order))
    return order[np.linspace(0, len(order) - 1, count).round().astype("int64")]


def _draw(axes, times, values):
    from matplotlib import colormaps

    # The last fifth of viridis is too light on white.
    colours = colormaps["viridis"](np.linspace(0, 0.8, values.shape[1]))
    for i, colour in enumerate(colours):
        axes.plot(times, values[:, i], color=colour, linewidth=1.4)
    axes.set_xlabel(r"$t$", fontsize=FONT)
    axes.set_xlim(times.min(), times.max())
    axes.grid(color="0.92", linewidth=0.8)
    axes.tick_params(labelsize=FONT - 2, colors=INK, length=0)
    axes.spines[:].set_color("0.8")


def _text(name) -> str:
    return f"{name:.3g}" if isinstance(name, np.floating) else str(name)
