"""From a network in the data's own axes to a denoiser of components (DESIGN secs. 3.2, 3.7)."""

from keras import ops

from keras_gud.objective import PREDICTIONS, choose


class Denoiser:
    """A callable ``(z, state) -> eps`` in component space, around a network.

    The network sees ``y = U^T z``, the (whitened) data back in their own axes, where convolutions
    make sense, and the tokens of the noising state; its output goes through U and is read as the
    prediction says.

    Args:
        call_network: Callable ``[y, tokens] -> output``.
        basis: The built `Basis`.
        prior: The built `Prior`, for the variances of the components.
        tokens: The built `GammaTokens`.
        prediction: What the output means: ``"eps"``, ``"residual"`` or ``"wiener"``.
        variables: Keras variables that a call reads.
    """

    def __init__(self, call_network, basis, prior, tokens, prediction: str, variables=()):
        self.call_network = call_network
        self.basis, self.prior, self.tokens = basis, prior, tokens
        self.to_eps = choose("prediction", PREDICTIONS, prediction)
        parts = (basis, prior, tokens)
        self.variables = [*variables, *(v for part in parts for v in part.variables)]

    @property
    def data_shape(self):
        """Shape of one sample's components."""
        return self.basis.data_shape

    def __call__(self, z, state):
        """Eps in component space, float32, the shape of z."""
        tokens = self.tokens(state.gamma)
        tokens = ops.broadcast_to(tokens, (ops.shape(z)[0], *tokens.shape[1:]))
        output = self.call_network([self.basis.inverse(z), tokens])
        return self.to_eps(self.basis(output), z, state, self.prior.variance)
