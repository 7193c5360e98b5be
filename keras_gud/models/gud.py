"""`GUD`: the model whose parts are given by name."""

from typing import Any

import keras

from keras_gud import backbones, bases, presets, priors, schedules
from keras_gud.backbones import sizes
from keras_gud.backend import torch_has_gpu
from keras_gud.core.registry import PACKAGE
from keras_gud.core.types import Shape
from keras_gud.models.gud_model import GUDModel

_DEFAULTS = {"basis": "pixel", "prior": "isotropic", "schedule": "cosine"}


@keras.saving.register_keras_serializable(package=PACKAGE)
class GUD(GUDModel):
    """A diffusion model of your own arrays in three lines.

    Every part may be a name, a Keras config or an instance. Nothing has to be compiled or adapted:
    `fit` measures the data, and the defaults are what made the best samples of unseen data in equal
    time (`benchmarks/race.py`); the paper's settings are presets.

    Args:
        preset: A model of the literature, e.g. ``"blurring"`` or ``"edm"`` (`keras_gud.presets`),
            or a dictionary that its function returned: it stands for further arguments, which
            those given beside it replace.
        basis: ``"pixel"`` (default), ``"haar"``, ``"fourier"``, ``"dct"``, ``"pca"``,
            ``"channel"``, ...; a list of bases is composed, the first applied first.
        prior: ``"isotropic"`` (default), ``"matching"``, ``"spectrum"``, ...
        schedule: ``"cosine"`` (default), ``"hierarchical"``, ``"linear"``, ``"sequential"``,
            ``"frequency"``, ``"vp"``, ...
        backbone: A size, ``"tiny"``, ``"small"`` or ``"base"``, or a network of your own that is
            called as ``[y, tokens]``, with ``classes`` as ``[y, tokens, labels]`` (`GUDModel`).
        backbone_options: Further arguments of a network that is given by its name, e.g.
            ``{"boundary": "periodic"}``, ``{"dropout": 0.1}`` or ``{"remat": True}``
            (`keras_gud.backbones`).
        backbone_dtype: The network's dtype policy, e.g. ``"mixed_bfloat16"``; default: Keras'
            global policy. Everything else stays float32.
        **kwargs: Further arguments of `GUDModel`: `prediction`, `weighting`, `ema_decay`,
            `max_tokens`, `data_shape`, `missing`, `classes`, `condition`, `start_covariance`,
            `region`, `seed`.

    Raises:
        ValueError: for an unknown name; the nearest known one is suggested.

    Example:

    >>> import numpy as np
    >>> import keras_gud
    >>> x = np.random.default_rng(0).normal(size=(64, 4)).astype("float32")
    >>> model = keras_gud.GUD(basis="pixel", schedule="cosine", backbone="tiny")
    >>> history = model.fit(x, epochs=1, verbose=0)
    >>> model.sample(3, steps=10, seed=0).shape
    (3, 4)
    """

    def __init__(
        self,
        basis: Any = None,
        prior: Any = None,
        schedule: Any = None,
        backbone: Any = "small",
        *,
        preset: str | dict[str, Any] | None = None,
        backbone_options: dict[str, Any] | None = None,
        backbone_dtype: str | None = None,
        **kwargs: Any,
    ) -> None:
        # Presets have the units of the literature, 8-bit images in [-1, 1].
        parts = {} if preset is None else {"data_scale": "range"} | presets.get(preset)
        given = {"basis": basis, "prior": prior, "schedule": schedule}
        _refuse_presets(given)
        parts |= {name: part for name, part in given.items() if part is not None}
        basis, prior, schedule = (parts.pop(name, part) for name, part in _DEFAULTS.items())
        kwargs = parts | kwargs
        if isinstance(basis, (list, tuple)):
            basis = bases.Compose([bases.get(part) for part in basis])
        if backbone_dtype is None:
            backbone_dtype = keras.config.dtype_policy().name
        _check_policy(backbone_dtype)
        options = dict(backbone_options or {})
        if options and not isinstance(backbone, str):
            raise ValueError(
                "Expected `backbone_options` beside the name of a network; others have theirs. "
                f"Received: backbone_options={options} with a {type(backbone).__name__}."
            )
        if not isinstance(backbone, keras.layers.Layer):
            backbone = _NamedBackbone(backbone, backbone_dtype, options)
        super().__init__(
            bases.get(basis), priors.get(prior), schedules.get(schedule), backbone, **kwargs
        )
        self.backbone_dtype = backbone_dtype

    @classmethod
    def from_preset(cls, preset: str, **kwargs: Any) -> "GUD":
        """A new model of the literature, as ``GUD(preset=...)`` makes it; it has no weights yet.

        Trained models are loaded, `keras_gud.load`.

        Args:
            preset: One of `keras_gud.presets.names`.
            **kwargs: Arguments of `GUD`, which replace those of the preset.

        Raises:
            ValueError: for an unknown name; the nearest known one is suggested.

        Example:

        >>> import keras_gud
        >>> keras_gud.GUD.from_preset("edm", backbone="tiny").objective.prediction
        'edm'
        """
        return cls(preset=preset, **kwargs)

    def get_config(self) -> dict[str, Any]:
        """The constructor's arguments."""
        # The config of a network that is built has its options.
        options = {} if self.built else getattr(self.backbone, "options", {})
        own = {"backbone_options": dict(options), "backbone_dtype": self.backbone_dtype}
        return super().get_config() | own


def _refuse_presets(given: dict[str, Any]) -> None:
    """Names of presets, which stand for all parts, in place of those of one part."""
    families = {"basis": bases, "prior": priors, "schedule": schedules}
    for name, part in given.items():
        if isinstance(part, dict) and "schedule" in part:
            raise ValueError(
                f"Expected `{name}` to be one part. Received: the arguments of a preset. Give them "
                "as GUD(preset=...)."
            )
        known = families[name].registry.factories
        if isinstance(part, str) and part.lower() in presets.ALL and part.lower() not in known:
            raise ValueError(
                f"Expected `{name}` to be one of {sorted(known)}, a config or an instance. "
                f"Received: {name}={part!r}, the name of a preset: GUD(preset={part!r})."
            )


class _NamedBackbone:
    """A network by its name or config, to be made once the data are known.

    Args:
        identifier: As `backbones.get` takes it.
        dtype: Name of its dtype policy.
        options: Further arguments of the network.

    Raises:
        ValueError: for an unknown name or option, before any data are read.
    """

    def __init__(self, identifier: Any, dtype: str, options: dict[str, Any]):
        backbones.get(identifier)
        if options:
            sizes.check_options(identifier, options)
        self.identifier, self.dtype, self.options = identifier, dtype, options

    def __call__(
        self,
        data_shape: Shape,
        gamma_map: bool,
        classes: int | None,
        conditions: dict[str, str] | None = None,
    ) -> keras.layers.Layer:
        _check_float16(self.dtype, data_shape)
        if self.options:
            sizes.check_options(self.identifier, self.options, data_shape)
        kwargs = self.options | {"gamma_map": gamma_map, "classes": classes}
        kwargs |= {"conditions": conditions} if conditions else {}
        return backbones.get(self.identifier, data_shape=data_shape, dtype=self.dtype, **kwargs)


def _check_policy(policy: str) -> None:
    try:
        keras.dtype_policies.get(policy)
    except (TypeError, ValueError) as error:
        raise ValueError(
            "Expected `backbone_dtype` to be a dtype policy, such as 'mixed_bfloat16'. "
            f"Received: backbone_dtype={policy!r}."
        ) from error


def _check_float16(policy: str, data_shape: Shape) -> None:
    """Before training fails in the middle of torch."""
    half = keras.dtype_policies.get(policy).compute_dtype == "float16"
    on_cpu = keras.backend.backend() == "torch" and not torch_has_gpu()
    if half and on_cpu and len(data_shape) == 3:
        raise ValueError(
            "Expected a dtype policy that torch can train with here: on a CPU its convolutions of "
            "images have no gradients in float16. Take backbone_dtype='mixed_bfloat16', or set "
            f"that as the global policy. Received: backbone_dtype={policy!r}."
        )
