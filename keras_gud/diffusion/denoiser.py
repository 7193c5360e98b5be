"""From a network in the data's own axes to a denoiser of components (DESIGN secs. 3.2, 3.7)."""

from keras import ops

from keras_gud.conditioning import class_labels
from keras_gud.core.registry import look_up
from keras_gud.diffusion.guidance import guided_eps
from keras_gud.diffusion.prediction import PREDICTIONS


class Denoiser:
    """A callable ``(z, state[, label[, guidance]]) -> eps`` in component space, around a network.

    The network sees ``y = U^T z``, the (whitened) data back in their own axes, where convolutions
    make sense, and the tokens of the noising state; its output goes through U and is read as the
    prediction says.

    Args:
        call_network: Callable ``[y, tokens] -> output``, also of gamma and labels if it is told.
        view: Basis, prior, tokens and moments of the components, all built.
        prediction: What the output means, a name in `objective.PREDICTIONS`.
        variables: Keras variables that a call reads.
        gamma_map: Whether the network is given gamma too, ``(batch, *data_shape)``: of every pixel,
            or the mean over all components where these are no pixels.
        classes: Number of classes if the network is given labels too, int32 ``(batch,)``.
    """

    def __init__(
        self,
        call_network,
        view,
        prediction: str,
        variables=(),
        gamma_map: bool = False,
        classes: int | None = None,
    ):
        self.call_network = call_network
        self.basis, self.prior = view.basis, view.prior
        self.tokens, self.moments = view.tokens, view.moments
        self.gamma_map, self.classes = gamma_map, classes
        self.to_eps = look_up("prediction", PREDICTIONS, prediction)
        parts = (self.basis, self.prior, self.tokens, self.moments)
        self.variables = [*variables, *(v for part in parts for v in part.variables)]

    @property
    def data_shape(self):
        """Shape of one sample's components."""
        return self.basis.data_shape

    def __call__(self, z, state, label=None, guidance=None):
        """Eps in component space, float32, the shape of z.

        Args:
            z: Components ``(batch, *data_shape)``.
            state: Their `NoisingState`.
            label: int32 ``(batch,)``, only with `classes`; default: the null label.
            guidance: float32 ``(batch,)``, see `guidance.guided_eps`. With it the network is called
                once on twice the batch, without and with the labels.
        """
        inputs = self.inputs(z, state)
        label = class_labels.complete(label, ops.shape(z)[0], self.classes)
        if guidance is None:
            return self.read(self.call_network([*inputs, *label]), z, state)
        batch = ops.shape(z)[0]
        inputs = [ops.concatenate([x, x]) for x in inputs]
        null = class_labels.complete(None, batch, self.classes)
        output = self.call_network([*inputs, ops.concatenate([*null, *label])])
        both = (self.read(half, z, state) for half in (output[:batch], output[batch:]))
        return guided_eps(*both, ops.reshape(guidance, (-1, *[1] * (len(z.shape) - 1))))

    def inputs(self, z, state) -> list:
        """What the network is told but for labels: y, the tokens, and gamma if it takes it."""
        batch = ops.shape(z)[0]
        tokens = self.tokens(state.gamma)
        inputs = [self.basis.inverse(z), ops.broadcast_to(tokens, (batch, *tokens.shape[1:]))]
        if self.gamma_map:
            gamma = state.gamma
            if self.basis.mixes_space:  # then no pixel has a gamma of its own
                gamma = ops.mean(gamma, axis=tuple(range(1, len(gamma.shape))), keepdims=True)
            inputs.append(ops.broadcast_to(gamma, ops.shape(z)))
        return inputs

    def read(self, output, z, state):
        """The estimate of eps that an output of the network stands for."""
        return self.to_eps(self.basis(output), z, state, self.prior.variance)

    def start(self, noise, state):
        """Noise N(0, 1) with the moments that noised data have at `state`, as far as fitted."""
        return self.moments.start(noise, state, self.prior.variance)

    def log_start(self, z, state, given=None):
        """Log density of what `start` makes, in nats; see `NoisedMoments.log_density`."""
        return self.moments.log_density(z, state, self.prior.variance, given)
