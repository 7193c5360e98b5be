"""Which path to choose, from the statistics of the data alone: before anything is trained.

Data are taken for Gaussian, of the covariance Sigma of their components. Then `C` of
`keras_gud.paths` is known, and so is the energy of every path::

    C = 1 - (1 + v^1/2 Sigma v^1/2)^-1            v = exp(-gamma)
    best path of all components together          (int sqrt(sum_ij C_ij^2) dgamma)^2
    best path of all                              sum_i [log(1 + SNR_i)(0) - log(1 + SNR_i)(1)]^2

the last two between gamma = -7 and 5, in the eigenbasis of Sigma.
"""

from dataclasses import dataclass

import numpy as np
from keras import ops

from keras_gud import bases, schedules
from keras_gud.bases.linear import matrix_of
from keras_gud.core.arguments import check_integer
from keras_gud.core.data_shape import axis_names, spatial_shape, validate_data_shape
from keras_gud.core.types import Array, Shape, TensorLike
from keras_gud.schedules import ComponentSchedule

# Larger data are averaged over neighbours until each axis is this short, by the number of axes.
_EDGE = {0: 256, 1: 64, 2: 12, 3: 6}
_TIMES = 32
_FIRST, _LAST = -7.0, 5.0
# Component-wise paths that save less than this are not worth the trouble.
_WORTH = 1.1
# Variation of the variance over positions, in its mean, that counts as none.
_SAME = 0.25


@dataclass(frozen=True)
class Recommendation:
    """What `recommend` found; print it.

    Attributes:
        gaps: Discretisation gap of the bound of each schedule, as it comes, between gamma = -7 and
            5, in nats per dimension; ``"best together"`` and ``"best"`` are of the best paths.
        figures: The numbers behind the sentences.
        sentences: What they mean.

    Example:

    >>> print(Recommendation({"cosine": 0.5}, {"power": 2.0}, ("Take cosine.",)))
    Take cosine.
      gap of cosine  0.5
      power          2
    """

    gaps: dict[str, float]
    figures: dict[str, float]
    sentences: tuple[str, ...]

    def __str__(self) -> str:
        rows = {f"gap of {name}": gap for name, gap in self.gaps.items()} | self.figures
        width = max(map(len, rows))
        return "\n".join(
            [*self.sentences, *(f"  {name:{width}}  {value:.3g}" for name, value in rows.items())]
        )


def recommend(x: TensorLike, steps: int = 32) -> Recommendation:
    """Says which path suits some data, in plain words and with the numbers behind.

    What is compared is the bound of an ancestral sampler of few steps on Gaussian data of the same
    covariance; what the eye sees in samples of a trained network may be another matter.

    Args:
        x: Data ``(n, *data_shape)``, numbers of any type, n >= 2.
        steps: Steps of the sampler, >= 1.

    Returns:
        A `Recommendation`.

    Raises:
        ValueError: for fewer than two examples, or data that are not finite or do not vary.

    Example:

    >>> x = np.random.default_rng(0).normal(size=(500, 8, 8, 1)).cumsum(axis=1).cumsum(axis=2)
    >>> advice = recommend(x)
    >>> advice.gaps["best"] < advice.gaps["best together"] < advice.gaps["cosine"]
    True
    """
    steps = check_integer("steps", steps, 1)
    data = _standardised(np.asarray(x, "float64"))
    shape, n = data.shape[1:], len(data)
    flat = data.reshape(n, -1)
    covariance = flat.T @ flat / n
    unit = 1.0 / (4.0 * steps * flat.shape[1])
    gaps = {
        name: unit * energy
        for name, (basis, schedule) in _candidates(shape).items()
        if (energy := _energy(basis, schedule, covariance, data)) is not None
    }
    eigenvalues = np.maximum(np.linalg.eigvalsh(covariance), 1e-12)
    gaps["best together"] = unit * _best_together(eigenvalues)
    gaps["best"] = unit * _best(eigenvalues)
    figures = _figures(data, covariance)
    return Recommendation(gaps, figures, tuple(_sentences(gaps, figures, shape, steps)))


def _standardised(x: Array) -> Array:
    """Data of mean 0 and mean variance 1, averaged over neighbours where they are large."""
    if x.ndim < 2 or len(x) < 2 or not np.isfinite(x).all():
        raise ValueError(
            "Expected `x` of shape (n, *data_shape), n >= 2 and finite. "
            f"Received: x of shape {x.shape}."
        )
    validate_data_shape(x.shape[1:])
    spatial = spatial_shape(x.shape[1:])
    if len(x.shape) > 2:
        edge = _EDGE[len(spatial)]
        for axis, size in enumerate(spatial, start=1):
            factor = -(-size // edge)
            kept = size // factor
            x = np.moveaxis(x, axis, 1)[:, : kept * factor]
            x = np.moveaxis(x.reshape(len(x), kept, factor, *x.shape[2:]).mean(axis=2), 1, axis)
        if np.prod(x.shape[1:]) > _EDGE[0]:
            x = x.mean(axis=-1, keepdims=True)
    else:
        x = x[:, : _EDGE[0]]
        x = x / np.where(x.std(axis=0) > 0.0, x.std(axis=0), 1.0)
    x = x - x.mean(axis=0)
    deviation = np.sqrt(np.mean(x**2))
    if deviation == 0.0:
        raise ValueError("Expected examples that differ. Received: all of them are the same.")
    return x / deviation


def _candidates(shape: Shape) -> dict[str, tuple[str, ComponentSchedule]]:
    """Schedules by name, with a basis, as far as the shape allows."""
    names = ["cosine", "vp", "flow", "edm"]
    if len(shape) > 1:
        names += ["blurring", "frequency"]
    if len(shape) == 3:
        names += ["hierarchical", "columns", "rows"]
    found = {name: schedules.get(name) for name in names}
    return {name: (s.home or "pixel", s) for name, s in found.items()}


def _energy(
    basis_name: str, schedule: ComponentSchedule, covariance: Array, data: Array
) -> float | None:
    """``int gamma'^T E[C o C] gamma' dt`` of Gaussian data; `None` where a basis does not fit."""
    shape = data.shape[1:]
    basis = bases.get(basis_name)
    try:
        basis.build((None, *shape))
    except ValueError:
        return None
    u = matrix_of(basis)
    components = u @ covariance @ u.T
    variance = np.maximum(np.diag(components), 1e-6).reshape(shape)
    schedule.adapt(basis.symmetrize(variance), coordinates=basis.coordinates)
    total = 0.0
    for t in (np.arange(_TIMES) + 0.5) / _TIMES:
        state = schedule(np.float32(t))
        gamma, slope = (
            np.broadcast_to(ops.convert_to_numpy(value), (1, *shape)).ravel().astype("float64")
            for value in (state.gamma, state.dgamma_dt)
        )
        # What is finer or coarser than these ends is of no concern, and named paths differ in it.
        slope = np.where((gamma >= _FIRST) & (gamma <= _LAST), slope, 0.0)
        root = np.exp(-0.5 * gamma)
        scaled = np.eye(len(root)) + root[:, None] * components * root
        c = np.eye(len(root)) - np.linalg.inv(scaled)
        total += float(slope @ c**2 @ slope)
    return total / _TIMES


def _best_together(eigenvalues: Array) -> float:
    gamma = np.linspace(_FIRST, _LAST, 1001)
    snr = eigenvalues * np.exp(-gamma)[:, None]
    speed = np.sqrt(np.sum((snr / (1.0 + snr)) ** 2, axis=1))
    return float(np.trapezoid(speed, gamma) ** 2)


def _best(eigenvalues: Array) -> float:
    first, last = (np.log1p(eigenvalues * np.exp(-gamma)) for gamma in (_FIRST, _LAST))
    return float(np.sum((first - last) ** 2))


def _figures(data: Array, covariance: Array) -> dict[str, float]:
    """What the sentences are about."""
    shape = data.shape[1:]
    variance = np.diag(covariance)
    figures = {"constant components": float(np.mean(variance < 1e-3 * variance.mean()))}
    if len(shape) == 1:
        return figures
    figures["variation over positions"] = float(variance.std() / variance.mean())
    for axis, name in enumerate(axis_names(shape), start=1):
        if data.shape[axis] > 1:
            n = data.shape[axis]
            ahead, behind = (np.take(data, np.arange(n - 1) + k, axis=axis) for k in (0, 1))
            figures[f"correlation along {name}"] = float(
                np.mean(ahead * behind) / np.sqrt(np.mean(ahead**2) * np.mean(behind**2))
            )
    basis = bases.get("fourier")
    basis.build((None, *shape))
    u = matrix_of(basis)
    power = np.diag(u @ covariance @ u.T)
    k = np.broadcast_to(basis.coordinates["frequency"], shape).ravel()
    inner = k > 0.0
    slope = np.polyfit(np.log(k[inner]), np.log(np.maximum(power[inner], 1e-9)), 1)[0]
    figures["spectrum falls as k^-"] = float(-slope)
    return figures


def _sentences(
    gaps: dict[str, float], figures: dict[str, float], shape: Shape, steps: int
) -> list[str]:
    named = {name: gap for name, gap in gaps.items() if not name.startswith("best")}
    first = min(named, key=lambda name: named[name])
    found = [
        f"In {steps} ancestral steps {first!r} costs least of the named paths: {named[first]:.3g} "
        f"nats per dimension; 'cosine' costs {named['cosine']:.3g}, and at its best speed "
        f"{gaps['best together']:.3g} (model.optimize_path(x, 'cosine'))."
    ]
    saved = gaps["best together"] / gaps["best"]
    if saved < _WORTH:
        found.append(
            "To noise components at different times saves next to nothing in the bound "
            f"(a factor of {saved:.2f} at best): take schedule='cosine', unless the order is of "
            "use in itself."
        )
    else:
        found.append(
            f"To noise components at different times saves a factor of {saved:.2f} at best: train "
            "on a family, and let model.optimize_path(x) find the path."
        )
    if figures["constant components"] > 0.0:
        found.append(
            f"{figures['constant components']:.0%} of the components hardly vary, as of a constant "
            "border: schedules that start from variances (linear) leave them aside."
        )
    if figures.get("variation over positions", 1.0) < _SAME and len(shape) > 1:
        found.append(
            "The statistics are nearly the same everywhere: schedules.Sequential(b=(0.5, 0.8)) and "
            "tasks.extend make images of any width."
        )
    along = [value for name, value in figures.items() if name.startswith("correlation")]
    if len(along) == 2 and abs(along[0] - along[1]) > 0.2:
        found.append(
            "The axes differ: neighbours are more alike along the "
            f"{axis_names(shape)[int(np.argmax(along))]}s' axis."
        )
    return found
