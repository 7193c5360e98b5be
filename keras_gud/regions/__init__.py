"""The region of noising states that a network is trained on, and the distance of others from it."""

from keras_gud.regions.coverage import (
    Gap,
    check_gamma_map,
    check_region,
    gamma_scales,
    has_local_states,
    warn_of_gap,
)
from keras_gud.regions.given import check_given
from keras_gud.regions.path import (
    Path,
    describe_path,
    find_view,
    gap_of_path,
    trained_paths,
)
from keras_gud.regions.paths import (
    Paths,
    adapt_tokens,
    get_all,
    registry,
)
from keras_gud.regions.span import Span, measure_span, warn_if_wasted
from keras_gud.regions.view import View
from keras_gud.schedules import Sequential

# Observed values get the noise of gamma(0) before the network sees them. At -7, the default of the
# schedule, that is 4 levels of 8-bit images and costs a third of a decibel; at -9 it is 1.4.
_GAMMA_MIN = -9.0


def _at_once(over: str | None = None) -> Sequential:
    """A schedule on which all that is not observed is generated together: standard diffusion."""
    return Sequential(b=0.0, over=over, gamma_min=_GAMMA_MIN)


# Each name is that of the task for which the paths are (`keras_gud.tasks`).
registry.add("inpaint", lambda: Paths(_at_once(), "pixel", ("pixels", "boxes"), weight=2.0))
registry.add("denoise", lambda: Paths(_at_once(), "pixel", "noise", weight=0.5))
registry.add("upscale", lambda: Paths(_at_once("band"), "haar", "band"))
registry.add("deblur", lambda: Paths(_at_once("frequency"), "dct", ("blur", "frequency")))
registry.add("colorize", lambda: Paths(_at_once("channel"), "channel", "channel", weight=0.5))

get = registry.get

__all__ = [
    "Gap",
    "Path",
    "Paths",
    "Span",
    "View",
    "adapt_tokens",
    "check_gamma_map",
    "check_given",
    "check_region",
    "describe_path",
    "find_view",
    "gamma_scales",
    "gap_of_path",
    "get",
    "get_all",
    "has_local_states",
    "measure_span",
    "trained_paths",
    "warn_if_wasted",
    "warn_of_gap",
]
