"""Closed-form models: exact denoisers on which samplers and schedules can be tested.

An oracle is a denoiser, a callable ``(z, state) -> eps`` in component space, so whatever takes a
model's denoiser takes an oracle.
"""

import numpy as np
from keras import ops

from keras_gud.process import NoisingState


class Gaussian:
    """The exact denoiser of Gaussian components with any covariance.

    With clean components N(m, C), the noised ones are N(alpha m, alpha C alpha + sigma^2) and the
    best estimate of the noise is ``sigma Cov(z)^-1 (z - alpha m)``.

    Args:
        mean: Mean of the clean components, array of `data_shape`.
        covariance: Their covariance, ``(d, d)`` with d the number of components.

    Raises:
        ValueError: if the covariance does not fit the mean, or is not symmetric and positive
            semi-definite.

    Example:

    >>> import numpy as np
    >>> from keras_gud import samplers, schedules
    >>> schedule = schedules.get("vp"); schedule.adapt(variance=np.ones(2))
    >>> truth = Gaussian(np.zeros(2), [[1.0, 0.9], [0.9, 1.0]])
    >>> z = samplers.EulerMaruyama(steps=200)(truth, schedule, n=2000)
    >>> bool(0.85 < np.corrcoef(z.T)[0, 1] < 0.95)
    True
    """

    def __init__(self, mean, covariance):
        self.mean = np.asarray(mean, "float64")
        self.covariance = np.asarray(covariance, "float64")
        self.data_shape = self.mean.shape
        self.variables = ()
        d = self.mean.size
        if self.covariance.shape != (d, d):
            raise ValueError(
                f"Expected `covariance` of shape ({d}, {d}) for {d} components. "
                f"Received: covariance of shape {self.covariance.shape}."
            )
        smallest = np.linalg.eigvalsh(self.covariance).min()
        asymmetry = np.abs(self.covariance - self.covariance.T).max()
        if asymmetry > 1e-6 or smallest < -1e-6:
            raise ValueError(
                "Expected a symmetric, positive semi-definite `covariance`. Received: smallest "
                f"eigenvalue {smallest:g}, asymmetry {asymmetry:g}."
            )

    def __call__(self, z, state: NoisingState):
        """The exact estimate of eps.

        Args:
            z: Noised components, float32 ``(batch, *data_shape)``.
            state: Their noising state, one for the whole batch or one for each.
        """
        d = self.mean.size

        mean, covariance, sigma = self._marginal(state)
        solution = self._solve(covariance, ops.reshape(z, (-1, d)) - mean)
        return ops.reshape(sigma * solution, ops.shape(z))

    def start(self, noise, state):
        """Noise N(0, 1) turned into exact samples of the noised components at `state`."""
        mean, covariance, _ = self._marginal(state)
        flat = ops.reshape(noise, (-1, self.mean.size))
        # One factor for all rows broadcasts; (rows, 1, d) @ (rows or 1, d, d).
        root = ops.transpose(ops.cholesky(covariance), (0, 2, 1))
        z = mean + ops.matmul(flat[:, None, :], root)[:, 0, :]
        return ops.reshape(z, ops.shape(noise))

    def _marginal(self, state):
        """Mean, covariance and sigma of the noised components, flat, float32 tensors."""
        d = self.mean.size

        def flat(values):
            values = ops.broadcast_to(values, (ops.shape(values)[0], *self.data_shape))
            return ops.reshape(values, (-1, d))

        alpha, sigma = flat(state.alpha), flat(state.sigma)
        covariance = ops.cast(self.covariance, "float32")
        covariance = ops.expand_dims(alpha, 2) * covariance * ops.expand_dims(alpha, 1)
        covariance = covariance + ops.expand_dims(sigma**2, 2) * ops.eye(d)
        return alpha * ops.cast(self.mean.reshape(1, d), "float32"), covariance, sigma

    def _solve(self, covariance, rest):
        """Cov(z)^-1 of every row; one factorisation where the state is one for all rows."""
        if covariance.shape[0] == 1:
            return ops.transpose(ops.solve(covariance[0], ops.transpose(rest)))
        return ops.solve(covariance, ops.expand_dims(rest, -1))[..., 0]

    def marginal(self, state: NoisingState) -> tuple[np.ndarray, np.ndarray]:
        """Mean (`data_shape`) and covariance ``(d, d)`` of z at a state, float64."""

        def flat(values):
            values = ops.convert_to_numpy(values)[0]
            return np.broadcast_to(values, self.data_shape).astype("float64").ravel()

        alpha, sigma = flat(state.alpha), flat(state.sigma)
        covariance = alpha[:, None] * self.covariance * alpha + np.diag(sigma**2)
        return (alpha * self.mean.ravel()).reshape(self.data_shape), covariance
