"""What differs between backends, in one place: the only folder that may import one of them."""

import keras
import numpy as np

from keras_gud.backend.devices import (
    after,
    all_processes,
    all_rows,
    batch_parts,
    call,
    data_part,
    in_step,
    one_program,
    own_part,
    part_of_sum,
    process,
    reading_own_part,
    replica,
    replicated,
    share_of_loss,
    share_rows,
    step_results,
    summed,
    together,
    value_of,
    where_trained,
    whole,
)

__all__ = [
    "after",
    "all_processes",
    "all_rows",
    "batch_parts",
    "compile",
    "data_part",
    "dtype_name",
    "gradient",
    "in_step",
    "is_lost",
    "one_program",
    "own_part",
    "part_of_sum",
    "process",
    "reading_own_part",
    "replica",
    "replicated",
    "require_finite",
    "require_labels",
    "share_of_loss",
    "share_rows",
    "step_results",
    "summed",
    "to_numpy",
    "together",
    "torch_has_gpu",
    "value_of",
    "where_trained",
    "whole",
]


def compile(function):
    """Compiles a pure function of tensors as a whole: XLA on jax and tensorflow, no_grad on torch.

    Everything that may change between calls (weights, bounds of loops) has to be an argument, or
    it is baked in. Arguments may be nested; every leaf becomes a tensor, so that no Python number
    causes a new compilation.

    Args:
        function: A function of nested tensors that returns nested tensors.

    Returns:
        A function with the same signature (positional arguments only).

    Example:

    >>> double = compile(lambda x: 2 * x)
    >>> float(double(3.0))
    6.0
    """
    name = keras.backend.backend()
    if name == "jax":
        import jax

        compiled = jax.jit(function)
    elif name == "tensorflow":
        import tensorflow as tf

        compiled = tf.function(function, jit_compile=True, autograph=False)
    elif name == "torch":
        import torch

        compiled = torch.no_grad()(function)
    else:
        compiled = function

    return lambda *args: call(compiled, args)


def gradient(function, x):
    """The gradient of a function of tensors, also within a compiled loop; `keras.ops` has none.

    Args:
        function: Function of one tensor ``(batch, ...)`` that returns a number for every row, of
            that row alone, ``(batch,)``; or one number for all.
        x: The tensor at which.

    Returns:
        Tensor of the shape of x.

    Example:

    >>> slope = gradient(lambda x: x**2, keras.ops.convert_to_tensor([1.0, -3.0]))
    >>> to_numpy(slope).tolist()
    [2.0, -6.0]
    """
    name = keras.backend.backend()

    def total(x):
        return keras.ops.sum(function(x))

    if name == "tensorflow":
        import tensorflow as tf

        with tf.GradientTape(watch_accessed_variables=False) as tape:
            tape.watch(x)
            y = total(x)
        return tape.gradient(y, x, unconnected_gradients=tf.UnconnectedGradients.ZERO)
    if name == "torch":
        import torch

        return torch.func.grad(total)(x)
    import jax

    return jax.grad(total)(x)


def require_finite(x, message: str):
    """A tensor of a `tf.data` pipeline; reading it raises an error if it holds NaN or inf."""
    import tensorflow as tf

    return tf.debugging.check_numerics(x, message) if x.dtype.is_floating else x


def require_labels(label, x, classes: int):
    """Labels of a `tf.data` pipeline; reading them raises an error unless they are in range.

    Args:
        label: Integer tensor ``(batch,)``.
        x: The data, ``(batch, ...)``.
        classes: Number of classes.
    """
    import tensorflow as tf

    check, number = tf.debugging, tf.cast(label, tf.int64)
    message = f"Expected one label from 0 to {classes - 1} per example."
    checked = [
        check.assert_equal(tf.shape(label)[0], tf.shape(x)[0], message),
        check.assert_less(number, tf.constant(classes, tf.int64), message),
        check.assert_non_negative(number, message),
    ]
    with tf.control_dependencies(checked):
        return tf.identity(label)


def to_numpy(x) -> np.ndarray:
    """An array or tensor of any library, also of another backend than the active one, as NumPy.

    >>> to_numpy([1, 2]).tolist()
    [1, 2]
    """
    if hasattr(x, "detach"):  # torch: NumPy knows neither its gradients nor its half precision
        x = x.detach().cpu()
        x = x.float() if "bfloat16" in str(x.dtype) else x
    return np.asarray(x)


def dtype_name(x) -> str:
    """The name of an array's or tensor's type, whatever its library.

    >>> dtype_name(np.zeros(1, "float32"))
    'float32'
    """
    # NumPy and tensorflow have names for their types, torch has not.
    return str(getattr(x.dtype, "name", x.dtype)).removeprefix("torch.")


def is_lost(variable) -> bool:
    """Whether a variable has no value any more.

    On jax, a training step that is interrupted has given its inputs' buffers away ("donated") and
    not yet returned new ones.
    """
    value = variable._value
    return value is None or bool(getattr(value, "is_deleted", lambda: False)())


def torch_has_gpu() -> bool:
    """Whether torch sees a GPU, for packages that compute with it whatever the backend is."""
    import torch

    return torch.cuda.is_available()
