"""The region of noising states that a network is trained on, and what lies outside it."""

from keras_gud.regions.coverage import check_region
from keras_gud.regions.paths import Paths, View, adapt_tokens, registry, share_bases
from keras_gud.schedules import Sequential

# Each name is the task that the paths serve (`keras_gud.tasks`). On all of them everything that is
# not observed is generated together, as in standard diffusion.
registry.add("inpaint", lambda: Paths(Sequential(b=0.0), "pixel", ("pixels", "boxes")))
registry.add("denoise", lambda: Paths(Sequential(b=0.0), "pixel", "noise", weight=0.5))
registry.add("upscale", lambda: Paths(Sequential(b=0.0, over="band"), "haar", "band"))
registry.add(
    "deblur", lambda: Paths(Sequential(b=0.0, over="frequency"), "dct", ("blur", "frequency"))
)
registry.add("colorize", lambda: Paths(Sequential(b=0.0, over="channel"), "channel", "channel"))

get = registry.get

__all__ = ["Paths", "View", "adapt_tokens", "check_region", "get", "share_bases"]
