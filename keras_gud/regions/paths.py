"""What a network is trained on: paths through noising states, in one basis or several."""

from collections.abc import Iterable
from dataclasses import dataclass
from types import SimpleNamespace
from typing import Any

import keras
import numpy as np
from keras import ops

from keras_gud import bases, schedules
from keras_gud.conditioning.gamma_tokens import GammaTokens
from keras_gud.core.fitted_layer import FittedLayer
from keras_gud.core.registry import PACKAGE, Registry
from keras_gud.diffusion.terminal import NoisedMoments
from keras_gud.priors import Isotropic
from keras_gud.regions import observed as observations


@dataclass(frozen=True)
class View:
    """Everything that turns data into noised components and back, in one basis.

    Attributes:
        basis: The built `Basis`.
        prior: The adapted `Prior` of its components.
        schedule: The adapted `ComponentSchedule`.
        tokens: The adapted `GammaTokens`, which tell the network about its states.
        moments: The built `NoisedMoments`, for the start of sampling.
        observed: Kinds of observations that training has met on these paths, see `Paths`.
        weight: Its part of the training samples, relative to the other views.
    """

    basis: object
    prior: object
    schedule: object
    tokens: object
    moments: object
    observed: tuple[str, ...] = ()
    weight: float = 1.0

    def state(self, t, parameters, uniform=None):
        """The noising states of a batch, with random observations if `uniform` is given.

        Args:
            t: float32 ``(batch,)``.
            parameters: float32 uniforms ``(batch, >= number of the schedule's parameters)``.
            uniform: Callable from a shape to new uniforms ``(batch, *shape)``.
        """
        chosen = self.schedule.draw_parameters(parameters)
        state = self.schedule(t, **chosen)
        if not self.observed or uniform is None:
            return state
        levels = observations.draw_levels(self.observed, uniform, self)
        ends = (self.schedule(end, **chosen).gamma for end in (0.0, 1.0))
        return state.capped(observations.caps(levels, *ends))


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
                coordinate
            of the basis (``"column"``, ``"band"``, ``"channel"``, ``"frequency"``): some of its
            values; ``"noise"``: all, with noise that differs from group to group; ``"blur"``: all,
            with noise that grows with the frequency. Half of the observations of some components
            are free of noise, the others have a random amount. None: the paths as they are.
        weight: How many samples are drawn from these paths for each one of the model's own.

    Raises:
        ValueError: for a basis without a schedule, weights <= 0, or (when data are known)
            coordinates that the basis does not have.

    Example:

    >>> paths = Paths(schedules.Sequential(b=0.0, over="band"), "haar", observed="band")
    >>> paths.basis.name, paths.observed
    ('haar', ('band',))
    """

    def __init__(self, schedule=None, basis=None, observed=(), weight: float = 1.0, **kwargs):
        super().__init__(**kwargs)
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
        # The basis in use, `None` for the model's own; a namespace, because Keras would not let a
        # loaded layer take another basis.
        self.used = SimpleNamespace(basis=self.basis)
        self.tokens = self.prior = self.moments = None

    def build(self, data_shape, max_tokens, scale=None, tokens=None):
        """Makes the parts; `adapt` calls it, or loading.

        Args:
            data_shape: Shape of one example.
            max_tokens: The cap on the number of tokens.
            scale: The prior's scale where there is a basis of its own.
            tokens: The build config of the tokens, when loading.
        """
        self.data_shape, self.scale = tuple(data_shape), scale
        self.tokens = GammaTokens(max_tokens)
        if self.basis is not None and not self.basis.built:
            self.basis.build((None, *self.data_shape))  # not in use, but it must be found again
        if scale is not None:
            self.prior = Isotropic(scale)
            self.prior.build((None, *self.data_shape))
            self.prior.built = True
            self.moments = NoisedMoments()
            self.moments.build(self.data_shape)
        self.tokens.build_from_config(tokens)

    def adapt(self, own: View, mean=None, variance=None):
        """Takes the statistics of the components, of a basis of its own.

        Args:
            own: The model's own view, adapted.
            mean: Mean of the components, `data_shape`.
            variance: Their variance.
        """
        scale = None
        if self.used.basis is not None:  # the own prior's, which may have been measured
            scale = float(ops.convert_to_numpy(own.prior.scale).max())
        if not self.built:
            self.build(own.basis.data_shape, own.tokens.max_tokens, scale)
            self.built = True
        if self.used.basis is not None:
            self.prior.constant = self.scale = scale
            self.prior.adapt(mean, variance)
        if self.schedule is not None:
            view = self.view(own)
            numbers = view.prior.variance, view.prior.data_variance
            numbers = (ops.convert_to_numpy(values) for values in numbers)
            self.schedule.adapt(*numbers, view.basis.coordinates)
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
        )

    def get_build_config(self):
        """What `build` needs, so that saved paths are built again on loading."""
        if not self.built:
            return None
        return {
            "data_shape": list(self.data_shape),
            "max_tokens": self.tokens.max_tokens,
            "scale": self.scale,
            "tokens": self.tokens.get_build_config(),
        }

    def get_config(self):
        """The constructor's arguments."""
        parts = {"schedule": self.schedule, "basis": self.basis}
        config = {name: keras.saving.serialize_keras_object(part) for name, part in parts.items()}
        return super().get_config() | config | {"observed": self.observed, "weight": self.weight}

    @classmethod
    def from_config(cls, config):
        """Makes the parts from their configs."""
        parts = {name: config[name] for name in ("schedule", "basis")}
        parts = {
            name: part and keras.saving.deserialize_keras_object(part)
            for name, part in parts.items()
        }
        return cls(**(config | parts))


def get_all(region: Any, basis: Any, prior: Any) -> list[Paths]:
    """The `Paths` of a model's argument `region`, with equal bases made one.

    Args:
        region: `Paths`, names of tasks, or a list of them.
        basis: The model's own basis.
        prior: The model's own prior.

    Raises:
        ValueError: for an unknown name, or paths in other bases with a prior that whitens.
    """
    region = list(region) if isinstance(region, (tuple, list)) else [region]
    found = [registry.get(paths) for paths in region]
    share_bases(basis, found)
    others = [paths.used.basis.name for paths in found if paths.used.basis is not None]
    if others and not isinstance(prior, Isotropic):
        raise ValueError(
            "Expected an isotropic `prior` with a `region` in other bases, since one network "
            f"sees the data in all of them. Received: prior={prior.name!r} with paths in "
            f"{others}."
        )
    return found


def has_pixel_states(views: Iterable[View]) -> bool:
    """Whether there are states in which pixels differ in gamma."""
    return any(
        not view.basis.mixes_space and (view.tokens.n_means > 1 or bool(view.observed))
        for view in views
    )


def share_bases(own, region):
    """Makes paths in equal bases use one and the same, so that each is computed once.

    Args:
        own: The model's own basis.
        region: List of `Paths`.
    """
    known = [own]
    for paths in region:
        if paths.basis is None:
            continue
        same = [basis for basis in known if _essence(basis) == _essence(paths.basis)]
        known += [] if same else [paths.basis]
        basis = same[0] if same else paths.basis
        paths.used.basis = None if basis is own else basis


def _essence(basis):
    """What makes two bases the same function, whatever they are called."""
    config = basis.get_config()
    return type(basis), {k: v for k, v in config.items() if k not in ("name", "trainable", "dtype")}


def adapt_tokens(views):
    """Fits the tokens of all views, so that one network can read them.

    They get the same number of tokens and the same coordinates; with several bases, also marks that
    say which basis they are about.

    Args:
        views: The views, all else adapted.
    """
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
        view.tokens.adapt(group, view.schedule.noising_order(), coordinates, total=total, marks=marks)


registry = Registry("region", Paths)
