"""Numbers that must not depend on the device or, within its precision, on the number format.

``python accelerator_values.py PRECISION FILE`` writes them to an NPZ file; `accelerator.py` runs it
on the CPU and on the accelerator and compares. Weights and noise are functions of seeds alone:
weights are drawn by NumPy, noise by counters, also that of the training step.
"""

import sys

import keras
import numpy as np

import keras_gud
from keras_gud import bases, schedules
from keras_gud.training import random_draws

SHAPE = (8, 8, 3)
SCHEDULES = ("cosine", "edm", "hierarchical", "columns", "rows")
# Of the distance between an array and its reference: at most this much of its root mean square.
GOALS = {"float32": 1e-3, "tf32": 2e-2, "bfloat16": 1e-1}


def set_precision(precision: str) -> None:
    """Whether float32 products may be rounded to TF32, where the device can."""
    rounded = precision != "float32"
    if keras.backend.backend() == "torch":
        import torch

        torch.backends.cuda.matmul.allow_tf32 = rounded
        torch.backends.cudnn.allow_tf32 = rounded
    elif keras.backend.backend() == "jax":
        import jax

        jax.config.update("jax_default_matmul_precision", "tensorfloat32" if rounded else "float32")
    else:
        import tensorflow as tf

        tf.config.experimental.enable_tensor_float_32_execution(rounded)


def images(n: int) -> np.ndarray:
    """Smooth images of 8 bits, so that the measured statistics are not trivial."""
    rng = np.random.default_rng(0)
    coarse = rng.normal(size=(n, SHAPE[0] // 4, SHAPE[1] // 4, SHAPE[2]))
    noise = 8.0 * rng.normal(size=(n, *SHAPE))
    return np.clip(128 + 50 * coarse.repeat(4, 1).repeat(4, 2) + noise, 0, 255).astype("uint8")


def make_model(x: np.ndarray, dtype: str):
    """A model with random weights, the same everywhere, raw and averaged ones alike."""
    model = keras_gud.GUD(backbone="tiny", backbone_dtype=dtype, seed=0)
    model.adapt(x, verbose=0)
    rng = np.random.default_rng(1)
    for weight, average in zip(model.network.weights, model.ema.average, strict=True):
        fan = np.sqrt(max(np.prod(weight.shape[:-1]), 1.0))
        value = (0.5 * rng.normal(size=weight.shape) / fan).astype("float32")
        weight.assign(value)
        average.assign(value)
    return model


def step_and_samples(x: np.ndarray, dtype: str) -> dict[str, np.ndarray]:
    """Loss, gradient of a training step, samples, log p."""
    model = make_model(x, dtype)
    objective, before = model.objective, [keras.ops.copy(w) for w in model.trainable_variables]
    found = {"samples": model.sample(4, seed=0, steps=10).astype("float32")}
    if dtype == "float32":
        likelihood = model.log_prob(x[:2], seed=0, rtol=1e-3, atol=1e-3)
        found["log_prob"] = np.asarray(likelihood["log_prob"])
    # Noise of the training step from counters too: the generators of devices differ.
    objective._draws = lambda x, views, training: random_draws.for_evaluation(
        x, 1, model.data_shape, objective.eval_index
    )
    model.compile(keras.optimizers.SGD(1.0))
    found["loss"] = np.asarray(model.fit(x, batch_size=len(x), verbose=0).history["loss"])
    pairs = zip(before, model.trainable_variables, strict=True)
    change = [np.ravel(keras.ops.convert_to_numpy(old - new.value)) for old, new in pairs]
    found["gradient"] = np.concatenate(change)
    return found


def compute(precision: str) -> dict[str, np.ndarray]:
    """All values, by name."""
    set_precision(precision)
    x = images(16)
    found = step_and_samples(x, "mixed_bfloat16" if precision == "bfloat16" else "float32")
    floats = x / np.float32(128) - 1
    for name in ("haar", "fourier", "dct"):
        basis = bases.get(name)
        basis.build((None, *SHAPE))
        found[f"basis {name}"] = keras.ops.convert_to_numpy(basis(floats))
    coordinates, variance = basis.coordinates, np.ones(SHAPE)
    for name in SCHEDULES:
        schedule = schedules.get(name)
        basis = bases.get("haar" if name == "hierarchical" else "pixel")
        basis.build((None, *SHAPE))
        coordinates = basis.coordinates
        schedule.adapt(variance, variance, coordinates)
        t = np.linspace(0.0, 1.0, 5, dtype="float32")
        found[f"schedule {name}"] = keras.ops.convert_to_numpy(schedule(t).gamma)
    return found


def distances(values: dict, reference: dict) -> dict[str, float]:
    """Root mean square of the differences over that of the reference, by name."""
    found = {}
    for name in sorted(values):
        ours, theirs = (np.asarray(v[name], "float64") for v in (values, reference))
        scale = np.sqrt(np.mean(theirs**2)) or 1.0
        found[name] = float(np.sqrt(np.mean((ours - theirs) ** 2)) / scale)
    return found


if __name__ == "__main__":
    np.savez(sys.argv[2], **compute(sys.argv[1]))
