"""Diffusion models of the literature as special cases of this one: arguments of `GUD` by name.

Each preset is a function that returns a dictionary of arguments: basis, prior, schedule, and what
else the model needs. ``GUD(preset="blurring")`` uses its defaults, ``GUD(preset=presets.blurring(
blur=8.0))`` others; an argument given beside a preset replaces that of the preset.

A preset determines the path of noising states, up to the rescaling to ``alpha^2 + sigma^2 = 1``,
and in some cases the region of noising states for training. Networks, weights of the loss and
samplers are those of this package, unless the docstring says otherwise. With a preset data are not
scaled by what is measured but ``data_scale="range"``: 8-bit images to [-1, 1], floats not at all;
where the original uses [0, 1], the prior of the preset has scale 2.

Latent diffusion (Rombach et al.) is not a path but a model around one, `keras_gud.LatentGUD`, with
any of these presets (the scale of a prior is then in units of the latents).
"""

from collections.abc import Callable
from typing import Any

from keras_gud.core.registry import near_match
from keras_gud.presets.frequencies import (
    blurring,
    equal_snr,
    heat_dissipation,
    nonisotropic,
    offset_noise,
    renormalization,
    shortest_path,
)
from keras_gud.presets.paper import (
    columns,
    haar_columns,
    ordering,
    power_spectrum,
    principal_components,
)
from keras_gud.presets.scalar import cosine, edm, flow_matching, subvp, variational, ve, vp
from keras_gud.presets.sequences import diffusion_forcing, groupwise, rolling
from keras_gud.presets.wavelets import cascaded, wavelet_score

ALL: dict[str, Callable[..., dict[str, Any]]] = {
    "vp": vp,
    "subvp": subvp,
    "ve": ve,
    "edm": edm,
    "cosine": cosine,
    "flow_matching": flow_matching,
    "variational": variational,
    "nonisotropic": nonisotropic,
    "offset_noise": offset_noise,
    "equal_snr": equal_snr,
    "heat_dissipation": heat_dissipation,
    "blurring": blurring,
    "shortest_path": shortest_path,
    "renormalization": renormalization,
    "groupwise": groupwise,
    "rolling": rolling,
    "diffusion_forcing": diffusion_forcing,
    "wavelet_score": wavelet_score,
    "cascaded": cascaded,
    "principal_components": principal_components,
    "ordering": ordering,
    "columns": columns,
    "haar_columns": haar_columns,
    "power_spectrum": power_spectrum,
}


def names() -> list[str]:
    """The names of all presets, sorted.

    >>> names()[:2]
    ['blurring', 'cascaded']
    """
    return sorted(ALL)


def get(preset: str | dict[str, Any]) -> dict[str, Any]:
    """The arguments of a preset.

    Args:
        preset: A name, or a dictionary of arguments, of which a copy is returned.

    Returns:
        Arguments of `GUD`.

    Raises:
        ValueError: for an unknown name; the nearest known one is suggested.

    Example:

    >>> get("cosine")["schedule"]
    'cosine'
    """
    if isinstance(preset, dict):
        return dict(preset)
    if not isinstance(preset, str) or preset.lower() not in ALL:
        raise ValueError(
            f"Expected `preset` to be one of {sorted(ALL)}, or a dictionary made by a function of "
            f"`keras_gud.presets`. Received: preset={preset!r}.{near_match(preset, ALL)}"
        )
    return ALL[preset.lower()]()


__all__ = [*ALL, "get", "names"]
