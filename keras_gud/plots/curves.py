"""Component-wise schedules as curves over time (paper figs. 2 and 6)."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Protocol, TypeAlias

import numpy as np

from keras_gud.backend import to_numpy
from keras_gud.core.registry import near_match
from keras_gud.core.types import ArrayLike, TensorLike
from keras_gud.diffusion.noising_state import NoisingState
from keras_gud.plots.canvas import FONT_SIZE, TEXT_COLOUR, dark_to_light, new_figure, style

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_TIMES = np.linspace(0.0, 1.0, 65, dtype="float32")

_MAX_LINES = 8
_MAX_LEGEND_ENTRIES = 12


class HasSchedule(Protocol):
    """A model."""

    schedule: Callable[..., NoisingState]


# One schedule: gamma at several times, its `NoisingState`, itself, or a model that has one.
Gamma: TypeAlias = TensorLike | NoisingState | Callable[..., NoisingState] | HasSchedule

# Quantities that can be shown: `log_snr`, and the properties of `NoisingState`.
_TITLES = {
    "sigma": r"noise level $\sigma_i(t)$",
    "gamma": r"noising state $\gamma_i(t)$",
    "log_snr": r"$\log\,\mathrm{SNR}_i(t)$",
    "beta": r"noising rate $\beta_i(t)$",
    "alpha": r"signal level $\alpha_i(t)$",
}


def schedule(
    gamma: Gamma | Mapping[str, Gamma],
    times: TensorLike | None = None,
    variance: TensorLike | Mapping[str, TensorLike] | None = None,
    component_labels: ArrayLike | None = None,
    components: ArrayLike | None = None,
    show: Sequence[str] = ("sigma", "gamma", "log_snr"),
    levels: Mapping[str, Sequence[float]] | None = None,
) -> "Figure":
    """One schedule or several as curves over time (paper figs. 2 and 6).

    Lines are coloured in the order of the components, the first one darkest. Several schedules
    are shown side by side, one column each, and share the vertical scale of every quantity.

    Args:
        gamma: A `GUDModel`, an adapted schedule, or its `NoisingState` at the times, whose groups
            are then the components; or an array `(n_times, n_components)` or `(n_times,
            *data_shape)`; or a dict of these by the name of the schedule.
        times: The `n_times` diffusion times, `(n_times,)`; default: 65 from 0 to 1.
        variance: Sigma_i, the variance of each clean component z0_i over the data,
            `(n_components,)` or `data_shape`; 1 by default. A dict by the same names where
            schedules differ in it.
        component_labels: A name or number for each component, shaped like `variance`, for the
            legend; by default their indices.
        components: Indices of the components to show, in the order of the colours. By default eight
            (or all, if fewer), evenly spread between the component noised last and the one noised
            first (of the first schedule).
        show: Quantities to show: ``"sigma"``, ``"gamma"``, ``"log_snr"`` (of paper eq. 16),
            ``"alpha"`` (the paper's suppression factor) and ``"beta"``, which needs a
            `NoisingState`.
        levels: Dict from a quantity shown to values that are marked by a dashed line, such as
            those at which data count as noised; or `None`.

    Returns:
        A `matplotlib.figure.Figure` with one axes per quantity; for a dict, one axes per schedule
        for the first quantity, then for the next.

    Raises:
        ValueError: if the shapes do not fit together, or for a component or quantity that does not
            exist.
        ImportError: where Matplotlib is missing.

    Example:

    >>> from keras_gud import plots
    >>> t = np.linspace(0, 1, 5)[:, None]
    >>> gamma = -7 + 12 * t + np.array([0.0, 1.0])
    >>> figure = plots.schedule(gamma, t[:, 0])
    >>> [len(axes.lines) for axes in figure.axes]
    [2, 2, 2]
    >>> both = {"early": gamma + 2, "late": gamma}
    >>> figure = plots.schedule(both, t[:, 0], show=("gamma", "alpha"))
    >>> len(figure.axes)
    4
    """
    times = _TIMES if times is None else to_numpy(times)
    _check_names("show", show, _TITLES)
    levels = levels or {}
    _check_names("levels", levels, show)
    several = isinstance(gamma, Mapping)
    gammas = gamma if isinstance(gamma, Mapping) else {"": gamma}
    if len(show) == 0 or not gammas:
        raise ValueError(
            "Expected at least one schedule and one quantity. "
            f"Received: gamma={gamma if several else '...'}, show={show!r}."
        )
    curves = {
        name: _quantities(_at(each, times), times, _variance_of(name, variance), show)
        for name, each in gammas.items()
    }
    chosen, names = _choose(curves, components, component_labels)
    figure, grid = _grid(len(show), len(curves), several)
    for row, quantity in zip(grid, show, strict=True):
        for axes, (name, values) in zip(row, curves.items(), strict=True):
            _draw(axes, times, values[quantity][:, chosen], levels.get(quantity, ()))
            if not several or quantity == show[0]:
                axes.set_title(name if several else _TITLES[quantity], fontsize=FONT_SIZE)
            if not several or quantity == show[-1]:
                axes.set_xlabel(r"$t$", fontsize=FONT_SIZE)
        if several:
            row[0].set_ylabel(_TITLES[quantity], fontsize=FONT_SIZE, color=TEXT_COLOUR)
    _add_legend(figure, names)
    return figure


def _at(gamma: Gamma, times: np.ndarray) -> TensorLike | NoisingState:
    """Gamma or the states of a schedule or of a model's own; what is neither is returned."""
    found = getattr(gamma, "schedule", gamma)
    return found(times.astype("float32")) if callable(found) else found


def _check_names(argument: str, given: Iterable[str], known: Iterable[str]) -> None:
    for name in given:
        if name not in known:
            raise ValueError(
                f"Expected `{argument}` to name quantities among {list(known)}. "
                f"Received: {argument}={given!r}.{near_match(name, known)}"
            )


def _variance_of(name: str, variance: Any) -> Any:
    """The entry of a dict of variances, or the variance of all schedules."""
    if isinstance(variance, Mapping):
        if name not in variance:
            raise ValueError(
                f"Expected `variance` to have an entry for {name!r}, as `gamma` has. "
                f"Received: variance for {sorted(variance)}."
            )
        return variance[name]
    return variance


def _quantities(
    gamma: Gamma, times: np.ndarray, variance: TensorLike | None, show: Sequence[str]
) -> dict[str, np.ndarray]:
    """Every quantity shown, and gamma and log SNR, `(n_times, n_components)`."""
    state = gamma if isinstance(gamma, NoisingState) else NoisingState(gamma)
    gamma, dgamma_dt = to_numpy(state.gamma), state.dgamma_dt
    if gamma.ndim < 2 or times.shape != gamma.shape[:1]:
        raise ValueError(
            "Expected `gamma` of shape (n_times, n_components) and as many `times`. "
            f"Received: gamma.shape={gamma.shape}, times.shape={times.shape}."
        )
    if "beta" in show and dgamma_dt is None:
        raise ValueError(
            'Expected `gamma` to be a `NoisingState` with `dgamma_dt` to show "beta". '
            f"Received: gamma without, show={show!r}."
        )
    if dgamma_dt is not None:
        dgamma_dt = np.broadcast_to(to_numpy(dgamma_dt), gamma.shape).reshape(len(times), -1)
    gamma = gamma.reshape(len(times), -1)
    n = gamma.shape[1]
    variance = np.ones(n) if variance is None else _per_component(variance, n, "variance")
    known = {"gamma": gamma, "log_snr": np.log(variance) - gamma}
    state = NoisingState(gamma, dgamma_dt)
    return known | {name: to_numpy(getattr(state, name)) for name in show if name not in known}


def _choose(
    curves: dict[str, dict[str, np.ndarray]],
    components: ArrayLike | None,
    component_labels: ArrayLike | None,
) -> tuple[np.ndarray, list[str]]:
    """Indices of the components to show, and their names."""
    first, *others = curves.values()
    n = first["gamma"].shape[1]
    for other in others:
        if other["gamma"].shape[1] != n:
            raise ValueError(
                "Expected schedules of the same number of components. Received: "
                f"{[c['gamma'].shape[1] for c in curves.values()]} components."
            )
    chosen = _evenly_spread(first) if components is None else np.asarray(components, "int64")
    if chosen.size == 0 or chosen.min() < 0 or chosen.max() >= n:
        raise ValueError(
            f"Expected `components` between 0 and {n - 1}. Received: components={components!r}."
        )
    if component_labels is None:
        names = np.arange(n)
    else:
        names = _per_component(component_labels, n, "component_labels")
    return chosen, [_text(names[i]) for i in chosen]


def _per_component(values: Any, n: int, name: str) -> np.ndarray:
    # Labels may be strings, of which backends have no tensors.
    values = np.asarray(values) if isinstance(values, list | tuple) else to_numpy(values)
    if values.size != n:
        raise ValueError(
            f"Expected `{name}` to have one entry for each of the {n} components. "
            f"Received: {name}.shape={values.shape}."
        )
    return values.reshape(-1)


def _evenly_spread(curves: dict[str, np.ndarray]) -> np.ndarray:
    """Components evenly spread over the order of noising; equal gammas are ordered by their SNR."""
    with np.errstate(invalid="ignore"):  # an infinite gamma at an end has no mean
        means = [np.round(v.mean(axis=0), 5) for v in (-curves["log_snr"], curves["gamma"])]
    order = np.lexsort(np.nan_to_num(means))
    count = min(_MAX_LINES, len(order))
    return order[np.linspace(0, len(order) - 1, count).round().astype("int64")]


def _grid(n_quantities: int, n_schedules: int, several: bool) -> tuple["Figure", np.ndarray]:
    """A figure and its axes `(n_quantities, n_schedules)`; a single schedule's are side by side."""
    if several:
        figure = new_figure(230 * n_schedules + 150, 185 * n_quantities + 50, layout="constrained")
        shape = (n_quantities, n_schedules)
        return figure, figure.subplots(*shape, squeeze=False, sharex=True, sharey="row")
    figure = new_figure(300 * n_quantities + 100, 300, layout="constrained")
    return figure, figure.subplots(1, n_quantities, squeeze=False).T


def _draw(axes: "Axes", times: np.ndarray, values: np.ndarray, levels: Sequence[float]) -> None:
    for line, colour in zip(values.T, dark_to_light(values.shape[1]), strict=True):
        axes.plot(times, line, color=colour, linewidth=1.4)
    for level in levels:
        axes.axhline(level, color="#3b6fb6", linewidth=1, linestyle="--")
    axes.set_xlim(times.min(), times.max())
    style(axes)


def _add_legend(figure: "Figure", names: list[str]) -> None:
    # A legend of more than a dozen entries is hard to read: of many lines only some are named.
    named = np.unique(np.linspace(0, len(names) - 1, _MAX_LEGEND_ENTRIES).round().astype("int64"))
    figure.legend(
        [figure.axes[0].lines[i] for i in named],
        [names[i] for i in named],
        loc="outside right center",
        title="component",
        title_fontsize=FONT_SIZE - 1,
        fontsize=FONT_SIZE - 2,
        frameon=False,
    )


def _text(name: Any) -> str:
    return f"{name:.3g}" if isinstance(name, np.floating) else str(name)
