"""From a network in the data's own axes to a denoiser of components (DESIGN secs. 3.2, 3.7)."""

import keras
from keras import ops

from keras_gud import labels
from keras_gud.average import training_argument
from keras_gud.objective import PREDICTIONS, choose

_DEFAULT_BUILDS = keras.layers.Layer.build, keras.Model.build


def takes_gamma_map(network) -> bool:
    """Whether a network is called as ``network([y, tokens, gamma])``."""
    return bool(getattr(network, "gamma_map", False))


def build_network(network, data_shape, token_shape):
    """Builds a network and runs it on shapes alone: a wrong one fails here, not in the first step.

    Args:
        network: Any Keras layer or model.
        data_shape: Shape of one example.
        token_shape: ``(None, n_tokens, n_features)``.

    Raises:
        ValueError: if it cannot be called as ``network([y, tokens])`` (with gamma and labels where
            it has the attributes `gamma_map` and `classes`), or does not return the shape of y.
    """
    told = {"y": (None, *data_shape), "tokens": tuple(token_shape)}
    if takes_gamma_map(network):
        told["gamma"] = told["y"]
    if labels.classes_of(network) is not None:
        told["labels"] = (None,)
    shapes = list(told.values())
    try:
        # Networks without a `build` of their own are built by the call below.
        if not network.built and type(network).build not in _DEFAULT_BUILDS:
            network.build(shapes)
        inputs = [
            keras.KerasTensor((2, *shape[1:]), "int32" if name == "labels" else "float32")
            for name, shape in told.items()
        ]
        output = network(inputs, **training_argument(network, False))
    except Exception as error:
        raise ValueError(
            f"Expected the `backbone` to be called as backbone([{', '.join(told)}]) with inputs of "
            f"shapes {shapes}. Received: {type(network).__name__}, which raised "
            f"{type(error).__name__}: {error}"
        ) from error
    shape = tuple(getattr(output, "shape", ()))
    if shape != (2, *data_shape):
        raise ValueError(
            "Expected the `backbone` to return the shape of its first input, (batch, "
            f"{str(tuple(data_shape))[1:-1]}). Received: an output of shape {shape} for a batch "
            "of 2."
        )


class Denoiser:
    """A callable ``(z, state[, label[, guidance]]) -> eps`` in component space, around a network.

    The network sees ``y = U^T z``, the (whitened) data back in their own axes, where convolutions
    make sense, and the tokens of the noising state; its output goes through U and is read as the
    prediction says.

    Args:
        call_network: Callable ``[y, tokens] -> output``, also of gamma and labels if it is told.
        basis: The built `Basis`.
        prior: The built `Prior`, for the variances of the components.
        tokens: The built `GammaTokens`.
        moments: The built `NoisedMoments`.
        prediction: What the output means, a name in `objective.PREDICTIONS`.
        variables: Keras variables that a call reads.
        gamma_map: Whether the network is given gamma too, ``(batch, *data_shape)``.
        classes: Number of classes if the network is given labels too, int32 ``(batch,)``.
    """

    def __init__(
        self,
        call_network,
        basis,
        prior,
        tokens,
        moments,
        prediction: str,
        variables=(),
        gamma_map: bool = False,
        classes: int | None = None,
    ):
        self.call_network = call_network
        self.basis, self.prior, self.tokens, self.moments = basis, prior, tokens, moments
        self.gamma_map, self.classes = gamma_map, classes
        self.to_eps = choose("prediction", PREDICTIONS, prediction)
        parts = (basis, prior, tokens, moments)
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
            guidance: float32 ``(batch,)``, see `keras_gud.labels.guided_eps`. With it the network
                is called once on twice the batch, without and with the labels.
        """
        batch = ops.shape(z)[0]
        tokens = self.tokens(state.gamma)
        tokens = ops.broadcast_to(tokens, (batch, *tokens.shape[1:]))
        inputs = [self.basis.inverse(z), tokens]
        if self.gamma_map:
            inputs.append(ops.broadcast_to(state.gamma, ops.shape(z)))
        if self.classes is None:
            labels.choose(label, batch, None)  # which refuses labels
            return self._eps(inputs, z, state)
        null = ops.full((batch,), self.classes, dtype="int32")
        label = null if label is None else ops.broadcast_to(label, (batch,))
        if guidance is None:
            return self._eps([*inputs, label], z, state)
        inputs = [ops.concatenate([x, x]) for x in inputs]
        output = self.basis(self.call_network([*inputs, ops.concatenate([null, label])]))
        both = (self._read(half, z, state) for half in (output[:batch], output[batch:]))
        return labels.guided_eps(*both, ops.reshape(guidance, (-1, *[1] * (len(z.shape) - 1))))

    def start(self, noise, state):
        """Noise N(0, 1) with the moments that noised data have at `state`, as far as fitted."""
        return self.moments.start(noise, state, self.prior.variance)

    def log_start(self, z, state, given=None):
        """Log density of what `start` makes, in nats; see `NoisedMoments.log_density`."""
        return self.moments.log_density(z, state, self.prior.variance, given)

    def _eps(self, inputs, z, state):
        return self._read(self.basis(self.call_network(inputs)), z, state)

    def _read(self, output, z, state):
        return self.to_eps(output, z, state, self.prior.variance)
