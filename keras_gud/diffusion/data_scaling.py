"""Between raw data, the floats phi of the model and clean components."""

import numpy as np
from keras import ops

# Data of 8 bits become floats as (x + u)/128 - 1 with u uniform in [0, 1): [0, 256) to [-1, 1).
LEVELS = 128.0


# The variance that u adds to every component of an orthogonal basis.
_DEQUANTISATION = 1.0 / (12.0 * LEVELS**2)


def expected_floats(x: np.ndarray, kind: str) -> np.ndarray:
    """The model's floats for raw data, with u at its mean 1/2."""
    scale, offset = units(kind)
    return (x.astype("float32") - offset) / scale


def units(kind: str) -> tuple[float, float]:
    """Scale and offset from the model's floats to raw values: ``raw = scale phi + offset``."""
    return (LEVELS, LEVELS - 0.5) if kind == "uint8" else (1.0, 0.0)


def to_raw(z0, basis, prior, kind: str, batch_size: int = 256) -> np.ndarray:
    """Components to raw values, neither rounded nor clipped: float32 of the same shape.

    Args:
        z0: Components ``(n, *data_shape)``.
        basis: The `Basis` that they are of.
        prior: Its `Prior`.
        kind: ``"uint8"`` or ``"float"``.
        batch_size: Examples transformed at a time.
    """
    scale, offset = units(kind)
    phi = [
        ops.convert_to_numpy(basis.inverse(prior.inverse(z0[i : i + batch_size])))
        for i in range(0, len(z0), batch_size)
    ]
    return scale * np.concatenate(phi) + offset


def rounded(raw: np.ndarray, kind: str) -> np.ndarray:
    """Raw values in the data's own type: uint8 for 8-bit data, else as they are."""
    return np.clip(np.floor(raw + 0.5), 0, 255).astype("uint8") if kind == "uint8" else raw
