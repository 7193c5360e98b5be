"""Data as the noise that the probability flow makes of them, and back."""

import numpy as np
from keras import ops

from keras_gud import backend
from keras_gud.backend import to_numpy
from keras_gud.conditioning.class_labels import condition
from keras_gud.core.arguments import check_integer
from keras_gud.data.checks import check_batch
from keras_gud.data.source import BATCH_SIZE

_NO_PARAMETERS = ("steps", "progress")


class Latents:
    """Mixin of `GUDModel`: everything here uses the averaged weights."""

    def encode(
        self,
        x,
        labels=None,
        guidance=1.0,
        *,
        sampler="adaptive",
        batch_size: int | None = None,
        **arguments,
    ) -> np.ndarray:
        """Data to noise, by the probability flow (paper eq. 25) from t = 0 to 1.

        The flow has no randomness, so that `decode` gives the data back within the solver's
        tolerance (and that of the network's steepness in between).

        Args:
            x: Array ``(n, *data_shape)`` in the data's own units.
            labels: As in `sample`.
            guidance: As in `sample`.
            sampler: A Runge-Kutta sampler: ``"adaptive"``, ``"tsit5"``, ``"rk4"``, ``"heun"``, ...
            batch_size: Examples computed at a time; default: min(n, 128).
            **arguments: `steps` (of ``"adaptive"`` the limit), `progress`, and parameters of the
                schedule; those left open take the middle of their range.

        Returns:
            float32 ``(n, *data_shape)``: components z(1), nearly N(0, 1) for likely data.

        Raises:
            ValueError: for data that the model was not trained on, or another sampler.
        """
        self._require_built("it encodes")
        x = to_numpy(x)
        check_batch(x, self.data_shape, self.kind)
        x = ops.convert_to_tensor(x)
        z0 = ops.convert_to_numpy(self.to_components(x, lambda: 0.5))
        z = z0 * self._first_alpha(arguments)
        told = condition(labels, guidance, len(z), self.classes)
        return self._flow(z, (0.0, 1.0), told, sampler, batch_size, arguments)

    def decode(
        self,
        z,
        labels=None,
        guidance=1.0,
        *,
        sampler="adaptive",
        batch_size: int | None = None,
        **arguments,
    ) -> np.ndarray:
        """Noise to data, by the probability flow from t = 1 to 0: the inverse of `encode`.

        Args:
            z: Array ``(n, *data_shape)``, components at t = 1.
            labels: As in `sample`.
            guidance: As in `sample`.
            sampler: Any sampler of `sample`; those with noise of their own are no inverse.
            batch_size: As in `encode`.
            **arguments: As in `encode`.

        Returns:
            Array ``(n, *data_shape)``, data in their own units, ``z(0)/alpha(0)``.
        """
        self._require_built("it decodes")
        z = np.asarray(to_numpy(z), "float32")
        if z.shape[1:] != self.data_shape or not np.isfinite(z).all():
            raise ValueError(
                f"Expected finite `z` of shape (n, {str(self.data_shape)[1:-1]}). "
                f"Received: z of shape {z.shape}."
            )
        told = condition(labels, guidance, len(z), self.classes)
        batch_size = BATCH_SIZE if batch_size is None else batch_size
        z = self._flow(z, (1.0, 0.0), told, sampler, batch_size, arguments)
        return self.to_data(z / self._first_alpha(arguments), batch_size)

    def interpolate(self, first, second, n: int = 8, labels=None, guidance=1.0, **arguments):
        """Data on the way from one example to another, along a great circle between their noises.

        Args:
            first: One example, array of `data_shape`.
            second: Another one.
            n: Number of examples, >= 2, both ends included (as the flow gives them back).
            labels: As in `sample`, one or n; the ends are encoded with the first and the last.
            guidance: As in `sample`.
            **arguments: As in `encode`.

        Returns:
            Array ``(n, *data_shape)`` in the data's own units.
        """
        n = check_integer("n", n, 2)
        ends = [to_numpy(first), to_numpy(second)]
        if ends[0].shape != ends[1].shape:
            raise ValueError(
                "Expected `first` and `second` to be two examples of the same shape. "
                f"Received: shapes {ends[0].shape} and {ends[1].shape}."
            )
        ends = np.stack(ends)
        told = labels if labels is None or np.ndim(labels) == 0 else np.asarray(labels)[[0, -1]]
        z = self.encode(ends, told, guidance, **arguments)
        path = spherical(z[0], z[1], np.linspace(0.0, 1.0, n))
        return self.decode(path, labels, guidance, **arguments)

    @backend.in_strategy_scope
    def _flow(self, z, times, told, sampler, batch_size, arguments) -> np.ndarray:
        batch_size = BATCH_SIZE if batch_size is None else batch_size
        parts = self.denoiser, self.schedule, z, times
        return self._sampler(sampler).integrate(
            *parts, batch_size=batch_size, condition=told, **arguments
        )

    def _first_alpha(self, arguments) -> np.ndarray:
        params = {k: v for k, v in arguments.items() if k not in ("steps", "progress")}
        params = self.schedule.resolve(
            params, others=("steps", "progress", "sampler", "batch_size")
        )
        return ops.convert_to_numpy(self.schedule(0.0, **params).alpha)


def spherical(a: np.ndarray, b: np.ndarray, weights) -> np.ndarray:
    """Points on the great circle from a to b, whose lengths go from one's to the other's.

    A straight line between two noises would pass points that are too short to be noise.

    Args:
        a: Array of any shape.
        b: Array of the same shape.
        weights: Places between them, ``(n,)``: 0 is a, 1 is b.

    Returns:
        float32 ``(n, *a.shape)``.

    Example:

    >>> import numpy as np
    >>> middle = spherical(np.array([1.0, 0.0]), np.array([0.0, 1.0]), [0.5])
    >>> middle.round(3).tolist()
    [[0.7070000171661377, 0.7070000171661377]]
    """
    lengths = np.linalg.norm(a), np.linalg.norm(b)
    cosine = np.clip(np.vdot(a, b) / max(lengths[0] * lengths[1], 1e-30), -1.0, 1.0)
    angle = float(np.arccos(cosine))
    w = np.reshape(np.asarray(weights, "float64"), (-1, *[1] * a.ndim))
    if angle < 1e-4 or angle > np.pi - 1e-4:  # one direction, or opposite ones: no circle
        return ((1.0 - w) * a + w * b).astype("float32")
    units = a / lengths[0], b / lengths[1]
    direction = np.sin((1.0 - w) * angle) * units[0] + np.sin(w * angle) * units[1]
    length = (1.0 - w) * lengths[0] + w * lengths[1]
    return (length * direction / np.sin(angle)).astype("float32")
