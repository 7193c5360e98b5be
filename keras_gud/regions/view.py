"""One view of the noising states that a network is trained on: paths in one basis.

A path is ``t -> gamma(t)`` of a schedule, or ``t -> min(gamma(t), gamma_observed)`` where some
components are observed (DESIGN sec. 3.10). Or groups have random levels, for any path.
"""

import dataclasses
from dataclasses import dataclass

from keras import ops

from keras_gud.bases import Basis
from keras_gud.conditioning.gamma_tokens import GammaTokens
from keras_gud.core.types import Tensor
from keras_gud.diffusion.missing import without
from keras_gud.diffusion.noising_state import NoisingState
from keras_gud.diffusion.terminal import NoisedMoments
from keras_gud.priors import Prior
from keras_gud.regions import levels as random_levels
from keras_gud.regions import observed as observations
from keras_gud.schedules import ComponentSchedule


@dataclass(frozen=True)
class View:
    """Everything that turns data into noised components and back, in one basis.

    Attributes:
        basis: The built `Basis`.
        prior: The adapted `Prior` of its components.
        schedule: The adapted `ComponentSchedule`.
        tokens: The adapted `GammaTokens`, through which the network is conditioned on states.
        moments: The built `NoisedMoments`, for the start of sampling.
        observed: Kinds of observations on these paths in training, see `Paths`.
        weight: Number of training samples for each one of the model's own view.
        levels: How the levels of groups are drawn in training, see `Paths`.
    """

    basis: Basis
    prior: Prior
    schedule: ComponentSchedule
    tokens: GammaTokens
    moments: NoisedMoments
    observed: tuple[str, ...] = ()
    weight: float = 1.0
    levels: str = random_levels.ALONG_PATHS

    def along_path(self, schedule: ComponentSchedule | None = None) -> "View":
        """This view for sampling: nothing is observed, and the levels are those of a path.

        Args:
            schedule: The path's, adapted; default: that of the view.
        """
        schedule = self.schedule if schedule is None else schedule
        return dataclasses.replace(
            self, schedule=schedule, observed=(), weight=1.0, levels=random_levels.ALONG_PATHS
        )

    @property
    def draws_levels(self) -> bool:
        """Whether groups have random levels in training."""
        return self.levels != random_levels.ALONG_PATHS

    @property
    def learns(self) -> bool:
        """Whether the schedule learns from the errors on these paths, on which its levels are."""
        return self.schedule.learns and not self.draws_levels

    def adapt_schedule(self, schedule: ComponentSchedule) -> None:
        """Adapts a schedule to the components of this view."""
        variance, data_variance = (
            ops.convert_to_numpy(values)
            for values in (self.prior.variance, self.prior.data_variance)
        )
        schedule.adapt(variance, data_variance, self.basis.coordinates)

    def state(
        self,
        t: Tensor,
        parameters: Tensor,
        uniform: observations.Uniform | None = None,
        missing: Tensor | None = None,
    ) -> NoisingState:
        """The noising states of a batch, with random observations and levels given `uniform`.

        Args:
            t: float32 ``(batch,)``.
            parameters: float32 uniforms ``(batch, >= number of the schedule's parameters)``.
            uniform: Callable from a shape to new uniforms ``(batch, *shape)``.
            missing: Boolean ``(batch, *data_shape)``, the values that are missing in the data.

        Returns:
            A state whose fields broadcast against ``(batch, *data_shape)``.
        """
        chosen = self.schedule.draw_parameters(parameters)
        state = self.schedule(t, **chosen)
        drawn = uniform is not None and (self.observed or self.draws_levels)
        if not drawn and missing is None:
            return state
        first, last = (self.schedule(end, **chosen).gamma for end in (0.0, 1.0))
        state = self._drawn(state, t, first, last, uniform) if drawn else state
        return state if missing is None else without(state, missing, last)

    def _drawn(self, state, t, first, last, uniform) -> NoisingState:
        """The state with random observations and levels."""
        if self.draws_levels:
            state = random_levels.draw_state(self.levels, t, first, last, uniform, self)
        if not self.observed:
            return state
        levels = observations.draw_levels(self.observed, uniform, self)
        return state.capped(observations.caps(levels, first, last))
