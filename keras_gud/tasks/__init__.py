"""Restoration: observed data are noising states, and the reverse process completes them.

In-painting, up-scaling, colouring, de-blurring and de-noising of images by one model, with no
guidance: what is observed becomes a noising state in the basis in which it is independent
(`restore`), and the model integrates from there.
"""

from keras_gud.core.registry import discover
from keras_gud.tasks import posterior
from keras_gud.tasks.averages import colorize, upscale
from keras_gud.tasks.blur import deblur
from keras_gud.tasks.completion import complete, noised
from keras_gud.tasks.extension import extend
from keras_gud.tasks.in_order import sample_in_order
from keras_gud.tasks.options import Options
from keras_gud.tasks.pixels import denoise, inpaint
from keras_gud.tasks.restoration import restore
from keras_gud.tasks.task import Task, register, registry

discover(__name__)

__all__ = [
    "Options",
    "Task",
    "colorize",
    "complete",
    "deblur",
    "denoise",
    "extend",
    "inpaint",
    "noised",
    "posterior",
    "register",
    "registry",
    "restore",
    "sample_in_order",
    "upscale",
]
