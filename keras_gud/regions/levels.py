"""Random noise levels of groups, for networks that are to serve paths that are not known yet.

A level u in [0, 1] is the fraction of the way from gamma(0) to gamma(1). With v_g uniform for each
group, t the time, and s and r uniform for each example::

    mean           u_g = t + s (v_g^((1 - t)/t) - t)     E[u_g] = t
    floor          u_g = t + s (1 - t) v_g               no group is cleaner than t
    independent    u_g = v_g
    stages         u_g = 0 if v_g < min(s, r), 1 if v_g > max(s, r), else t

The last are the states of groups that are generated a few at a time, in any order. With many groups
independent levels have the same mean in nearly every state, so that a network hardly sees the
states in which all is clean or all is noise; the others do not suffer from that (AsyncPatch,
arXiv:2606.07079; Patch Forcing, arXiv:2604.19141).
"""

from collections.abc import Callable
from typing import TYPE_CHECKING, TypeAlias

from keras import ops

from keras_gud.core.types import Tensor
from keras_gud.diffusion.noising_state import NoisingState

if TYPE_CHECKING:
    from keras_gud.regions.observed import Uniform
    from keras_gud.regions.view import View

# (t, s, r, v) -> u, with t, s and r ``(batch, 1)``, v and u ``(batch, n_groups)``.
Levels: TypeAlias = Callable[[Tensor, Tensor, Tensor, Tensor], Tensor]

# Closer to 0 than this, the exponent of the mean would overflow.
_EARLIEST = 1e-3
# The name for states of the schedule's own paths.
ALONG_PATHS = "path"


def _around_mean(t: Tensor, s: Tensor, r: Tensor, v: Tensor) -> Tensor:
    return t + s * (ops.power(v, (1.0 - t) / ops.maximum(t, _EARLIEST)) - t)


def _above_floor(t: Tensor, s: Tensor, r: Tensor, v: Tensor) -> Tensor:
    return t + s * (1.0 - t) * v


def _independent(t: Tensor, s: Tensor, r: Tensor, v: Tensor) -> Tensor:
    return v


def _in_stages(t: Tensor, s: Tensor, r: Tensor, v: Tensor) -> Tensor:
    waits = ops.cast(v > ops.maximum(s, r), v.dtype)
    done = ops.cast(v < ops.minimum(s, r), v.dtype)
    return waits + (1.0 - waits - done) * t


LEVELS: dict[str, Levels] = {
    "mean": _around_mean,
    "floor": _above_floor,
    "independent": _independent,
    "stages": _in_stages,
}


def draw_state(
    name: str, t: Tensor, first: Tensor, last: Tensor, uniform: "Uniform", view: "View"
) -> NoisingState:
    """A state with random levels of the groups of a view's schedule.

    Args:
        name: One of `LEVELS`.
        t: Times, float32 ``(batch,)``.
        first: Gamma at t = 0.
        last: Gamma at t = 1.
        uniform: As in `View.state`.
        view: The view.

    Returns:
        A state, in which every component moves as if it were noised from end to end in unit time.
    """
    t = ops.reshape(t, (-1, 1))
    s, r = ops.split(uniform((2,)), 2, axis=-1)
    levels = LEVELS[name](t, s, r, uniform((view.schedule.n_groups,)))
    return NoisingState(first + view.schedule.spread(levels) * (last - first), last - first)
