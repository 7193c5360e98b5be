"""What a network is trained on beside the model's own schedule: paths in one basis or several."""

from collections.abc import Iterable, Sequence
from types import SimpleNamespace
from typing import Any

import keras
import numpy as np
from keras import ops

from keras_gud import bases, schedules
from keras_gud.bases import Basis
from keras_gud.conditioning.gamma_tokens import GammaTokens
from keras_gud.core.fitted_layer import FittedLayer
from keras_gud.core.registry import PACKAGE, Registry, near_match, require_one_of
from keras_gud.core.types import ArrayLike, Identifier, Shape
from keras_gud.diffusion.missing import check_bases
from keras_gud.diffusion.terminal import NoisedMoments
from keras_gud.priors import Isotropic, Prior
from keras_gud.regions import observed as observations
from keras_gud.regions.levels import ALONG_PATHS, LEVELS
from keras_gud.regions.view import View


@keras.saving.register_keras_serializable(package=PACKAGE)
class Paths(FittedLayer):
    """Paths that a model is trained on beside those of its own schedule.

    Given as ``region=[...]`` to `GUD`, they widen the region of noising states that one network
    serves: other bases, and observations of some components (DESIGN sec. 3.10).

    Args:
        schedule: A schedule or family of schedules, or its name; default: the model's own.
        basis: The basis in which it acts, or its name; default: the model's own. Other bases need
            an isotropic prior, since the network sees the data in their own axes.
        observed: What is observed in training, one name or several, of which each sample takes
            one: ``"pixels"`` (random ones) and ``"boxes"``, where components are pixels; a
            coordinate of the basis (``"column"``, ``"band"``, ``"channel"``, ``"frequency"``): some
            of its values; ``"noise"``: all, with noise that differs from group to group;
            ``"blur"``: all, with noise that grows with the frequency. Half of the observations of
            some components are free of noise, the others have a random amount. ``()``: nothing is
            observed.
        weight: Number of training samples on these paths for each one on the model's own, > 0.
        levels: ``"path"``: states are those of the schedule's paths. Or each group of the schedule
            has a random level between its ends, so that paths may be chosen later: ``"mean"``,
            around a mean level, ``"floor"``, above that of the cleanest group, ``"independent"``,
            or ``"stages"``: some groups are clean, some are noise, and the others have the level of
            the time; see `regions.levels`.
        **kwargs: Arguments of `keras.layers.Layer`.

    Raises:
        ValueError: for a basis without a schedule, a weight <= 0, unknown levels, or (once data are
            known) coordinates that the basis does not have.

    Example:

    >>> paths = Paths(schedules.Sequential(b=0.0, over="band"), "haar", observed="band")
    >>> paths.basis.name, paths.observed
    ('haar', ('band',))
    """

    # Known from `build` on; `prior` and `moments` only of paths in a basis of their own.
    data_shape: Shape
    tokens: GammaTokens
    prior: Isotropic
    moments: NoisedMoments

    def __init__(
        self,
        schedule: Identifier | None = None,
        basis: Identifier | None = None,
        observed: str | Sequence[str] = (),
        weight: float = 1.0,
        levels: str = ALONG_PATHS,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        require_one_of("levels", levels, (ALONG_PATHS, *LEVELS))
        self.levels = levels
        if schedule is None and basis is not None:
            raise ValueError(
                "Expected a `schedule` for paths in a `basis` of their own. "
                f"Received: schedule=None, basis={basis!r}."
            )
        if not 0.0 < weight < float("inf"):
            raise ValueError(f"Expected `weight` > 0. Received: weight={weight!r}.")
        self.schedule = None if schedule is None else schedules.get(schedule)
        self.basis = None if basis is None else bases.get(basis)
        self.observed = observations.check_kinds(observed)
        self.weight = float(weight)
        # The basis in use, `None` for the model's own; in a namespace, since Keras would not let a
        # loaded layer take another basis.
        self.used = SimpleNamespace(basis=self.basis)
        self.tokens = self.prior = self.moments = None  # type: ignore[assignment]  # until built

    def build(
        self,
        data_shape: Shape,
        max_tokens: int,
        scale: float | None = None,
        tokens: dict[str, Any] | None = None,
    ) -> None:
        """Makes the parts; `adapt` calls it, or loading.

        Args:
            data_shape: Shape of one example.
            max_tokens: Largest number of tokens.
            scale: The prior's scale; `None` for paths in the model's own basis.
            tokens: The build config of the tokens, when loading.
        """
        self.data_shape, self.scale = tuple(data_shape), scale
        self.tokens = GammaTokens(max_tokens)
        if self.basis is not None and not self.basis.built:
            # Also where an equal basis of another part is used, so that its weights can be loaded.
            self.basis.build((None, *self.data_shape))
        if scale is not None:
            self.prior = Isotropic(scale)
            self.prior.build((None, *self.data_shape))
            self.prior.built = True
            self.moments = NoisedMoments()
            self.moments.build(self.data_shape)
        self.tokens.build_from_config(tokens)

    def adapt(
        self, own: View, mean: ArrayLike | None = None, variance: ArrayLike | None = None
    ) -> None:
        """Fits the parts to the data.

        Args:
            own: The model's own view, adapted.
            mean: Mean of the components in a basis other than the model's own, `data_shape`.
            variance: Their variance.

        Raises:
            ValueError: for coordinates that the basis does not have.
        """
        scale = None
        if self.used.basis is not None:  # that of the model's own prior, which may be fitted
            scale = float(ops.convert_to_numpy(own.prior.scale).max())
        if not self.built:
            self.build(own.basis.data_shape, own.tokens.max_tokens, scale)
            self.built = True
        if self.used.basis is not None:
            self.prior.constant = self.scale = scale
            assert mean is not None
            assert variance is not None
            self.prior.adapt(mean, variance)
        if self.schedule is not None:
            self.view(own).adapt_schedule(self.schedule)
        observations.check_view(self.view(own), self.view(own).basis.coordinates)

    def view(self, own: View) -> View:
        """These paths as a `View`; what they leave open is the model's own."""
        same_basis = self.used.basis is None
        return View(
            basis=own.basis if same_basis else self.used.basis,
            prior=own.prior if same_basis else self.prior,
            schedule=self.schedule or own.schedule,
            tokens=own.tokens if same_basis and self.schedule is None else self.tokens,
            moments=own.moments if same_basis else self.moments,
            observed=self.observed,
            weight=self.weight,
            levels=self.levels,
        )

    def get_build_config(self) -> dict[str, Any] | None:
        """What `build` needs, so that saved paths are built again on loading."""
        if not self.built:
            return None
        return {
            "data_shape": list(self.data_shape),
            "max_tokens": self.tokens.max_tokens,
            "scale": self.scale,
            "tokens": self.tokens.get_build_config(),
        }

    def get_config(self) -> dict[str, Any]:
        """The constructor's arguments."""
        parts = {"schedule": self.schedule, "basis": self.basis}
        config = {name: keras.saving.serialize_keras_object(part) for name, part in parts.items()}
        own = {"observed": self.observed, "weight": self.weight, "levels": self.levels}
        return super().get_config() | config | own

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> "Paths":
        """Makes the parts from their configs."""
        parts = {name: config[name] for name in ("schedule", "basis")}
        parts = {
            name: part and keras.saving.deserialize_keras_object(part)
            for name, part in parts.items()
        }
        return cls(**(config | parts))


def get_all(
    region: Identifier | Sequence[Identifier], basis: Basis, prior: Prior, missing: bool = False
) -> list[Paths]:
    """The `Paths` of a model's argument `region`, with equal bases made one.

    Args:
        region: `Paths`, names of tasks, names of schedules (each in the basis where the literature
            has it), arguments of presets, or a list of them.
        basis: The model's own basis.
        prior: The model's own prior.
        missing: Whether values of the data may be missing.

    Raises:
        ValueError: for an unknown name, paths in other bases with a prior that whitens, or bases
            in which no value can be missing.
    """
    region = list(region) if isinstance(region, (tuple, list)) else [region]
    found = [_paths_of(paths, basis) for paths in region]
    share_bases(basis, found)
    if missing:
        check_bases([basis, *(paths.used.basis for paths in found if paths.used.basis)])
    others = [paths.used.basis.name for paths in found if paths.used.basis is not None]
    if others and not isinstance(prior, Isotropic):
        raise ValueError(
            "Expected an isotropic `prior` with a `region` in other bases, since one network "
            f"sees the data in all of them. Received: prior={prior.name!r} with paths in "
            f"{others}."
        )
    return found


def _paths_of(given: Identifier, own: Basis) -> Paths:
    """The `Paths` of one entry of `region`."""
    if isinstance(given, dict) and "schedule" in given:  # arguments of a preset
        return Paths(given["schedule"], given.get("basis"))
    if isinstance(given, schedules.ComponentSchedule) or (
        isinstance(given, str) and given.lower() in schedules.registry.factories
    ):
        schedule = schedules.get(given)
        home = None if schedule.home is None else bases.get(schedule.home)
        return Paths(schedule, None if home is None or type(home) is type(own) else home)
    if isinstance(given, str) and given.lower() not in registry.factories:
        known = [*registry.factories, *schedules.registry.factories]
        raise ValueError(
            f"Expected `region` to be of the tasks {sorted(registry.factories)}, of the schedules "
            f"{sorted(schedules.registry.factories)}, or `Paths`. "
            f"Received: region={given!r}.{near_match(given, known)}"
        )
    return registry.get(given)


def share_bases(own: Basis, region: Sequence[Paths]) -> None:
    """Makes paths in equal bases use the same object, so that each basis is computed once.

    Args:
        own: The model's own basis.
        region: The `Paths`, whose `used.basis` is set.
    """
    known = [own]
    for paths in region:
        if paths.basis is None:
            continue
        same = [basis for basis in known if _definition(basis) == _definition(paths.basis)]
        known += [] if same else [paths.basis]
        basis = same[0] if same else paths.basis
        paths.used.basis = None if basis is own else basis


def _definition(basis: Basis) -> tuple[type, dict[str, Any]]:
    """Equal for two bases that are the same function, whatever their names."""
    config = basis.get_config()
    return type(basis), {k: v for k, v in config.items() if k not in ("name", "trainable", "dtype")}


def adapt_tokens(views: Iterable[View]) -> None:
    """Fits the tokens of all views, so that one network is conditioned on all of them.

    They get the same number of tokens and the same coordinates; with several bases, also a one-hot
    mark of their basis.

    Args:
        views: The views, all else adapted.
    """
    views = list(views)
    distinct = list({id(view.tokens): view for view in views}.values())
    bases_ = list({id(view.basis): view.basis for view in views}.values())
    groups = [np.asarray(ops.convert_to_numpy(view.schedule.groups)) for view in distinct]
    total = max(view.tokens.count(g) for view, g in zip(distinct, groups, strict=True))
    names = {name for basis in bases_ for name in basis.coordinates}
    for view, group in zip(distinct, groups, strict=True):
        empty = {name: np.zeros(view.basis.data_shape) for name in names}
        variance = ops.convert_to_numpy(view.prior.data_variance)
        coordinates = empty | view.basis.coordinates | {"log_variance": -np.log(variance)}
        marks = [float(view.basis is basis) for basis in bases_] if len(bases_) > 1 else []
        # The order is needed where groups have to share tokens; on jax it would be compiled.
        shared = int(group.max()) + 1 > view.tokens.max_tokens
        order = view.schedule.noising_order() if shared else group
        view.tokens.adapt(group, order, coordinates, total=total, marks=marks)


registry = Registry("region", Paths)
