"""The keyword arguments that all tasks share."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, fields
from typing import Any

import numpy as np

from keras_gud.core.arguments import check_integer
from keras_gud.core.types import ArrayLike, Identifier, Tensor
from keras_gud.data.arrays import BATCH_SIZE


@dataclass(frozen=True)
class Options:
    """Keyword arguments of all tasks; further ones are parameters of the schedule, e.g. ``a=0.7``.

    Attributes:
        draws: Number of draws from the posterior for each image.
        return_std: Whether to return, beside the draws, their standard deviation as well: float32,
            in the data's units, one map for each image. Needs draws >= 2.
        seed: Draw r of image i depends on (seed, i, r) alone: the same whatever the number of
            images and draws and the batch size. `None` draws a seed from NumPy's global generator.
        sampler: A name, config or instance (`keras_gud.samplers`). Observations with noise need one
            of the reverse SDE, as the default is; without noise others are possible as well.
        steps: Number of steps; default: the sampler's.
        batch_size: Draws computed at a time; default: at most 128.
        progress: Whether to show a progress bar over the steps.
        labels: Which classes, where the model has some: an integer, or one for each image.
        condition: What the model's `condition` is, for one image or for each; see
            `GUDModel.sample`.
        guidance: Weight of classifier-free guidance towards what is given; see `GUDModel.sample`.
        guidance_interval: Times between which guidance holds; see `GUDModel.sample`.
        guide: `None`, or a function ``(eps, z, state) -> eps`` that is applied to every estimate
            of the network (`keras_gud.diffusion.guidance`). Its components are those of the basis
            of the observation: pixels for in-painting, say.
        as_float: Whether a model of integers, or of floats on a grid, returns float32 that are
            neither rounded nor clipped.
        schedule: The path that is followed, in the basis of the observation; see
            `GUDModel.sample`. Default: the one that the model was trained on.

    Raises:
        ValueError: for draws < 1, or return_std with fewer than 2.

    Example:

    >>> options, params = Options.split({"draws": 4, "a": 0.7})
    >>> options.draws, params
    (4, {'a': 0.7})
    """

    draws: int = 1
    return_std: bool = False
    seed: int | None = None
    sampler: Identifier = "dpm++sde"
    steps: int | None = None
    batch_size: int | None = BATCH_SIZE
    progress: bool = False
    labels: ArrayLike | None = None
    condition: Any = None
    guidance: ArrayLike | Mapping[str, ArrayLike] = 1.0
    guidance_interval: tuple[float, float] | None = None
    guide: Callable[..., Tensor] | None = None
    as_float: bool = False
    schedule: Identifier | None = None

    def __post_init__(self) -> None:
        check_integer("draws", self.draws, 1)
        if self.return_std and self.draws < 2:
            raise ValueError(
                "Expected at least 2 `draws` with return_std=True: one has no spread. "
                f"Received: draws={self.draws}."
            )
        if self.seed is None:
            object.__setattr__(self, "seed", int(np.random.randint(2**31)))
        if self.batch_size is None:
            object.__setattr__(self, "batch_size", BATCH_SIZE)

    @classmethod
    def split(cls, keywords: dict[str, Any]) -> tuple["Options", dict[str, Any]]:
        """The options among some keywords, and the rest: parameters of the schedule."""
        names = cls.names()
        options = cls(**{k: v for k, v in keywords.items() if k in names})
        return options, {k: v for k, v in keywords.items() if k not in names}

    def for_sampler(self) -> dict[str, Any]:
        """The options that every call of a sampler takes."""
        names = ("steps", "seed", "batch_size", "progress")
        return {name: getattr(self, name) for name in names}

    def conditioning(self) -> dict[str, Any]:
        """The options that `sampling_condition` takes."""
        names = ("condition", "labels", "guidance")
        found = {name: getattr(self, name) for name in names}
        return found | {"interval": self.guidance_interval}

    @classmethod
    def names(cls) -> tuple[str, ...]:
        """The names of all options."""
        return tuple(field.name for field in fields(cls))
