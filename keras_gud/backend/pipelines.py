"""Checks within `tf.data` pipelines, which raise when a batch is read."""

from keras_gud.backend.distribution import Tensor


def require_finite(x: Tensor, message: str) -> Tensor:
    """The same tensor in a `tf.data` pipeline, which raises when read if it holds NaN or inf.

    Args:
        x: Tensor of any dtype; only floats are checked.
        message: Of the `tf.errors.InvalidArgumentError` that reading raises.
    """
    import tensorflow as tf

    return tf.debugging.check_numerics(x, message) if x.dtype.is_floating else x


def require_observed(x: Tensor, message: str) -> Tensor:
    """As `require_finite`, of data whose values may be missing, as NaN.

    Args:
        x: Tensor ``(batch, ...)``.
        message: Of the error that reading raises for inf, and for an example without any value.
    """
    import tensorflow as tf

    if not x.dtype.is_floating:
        return x
    empty = tf.reduce_all(tf.math.is_nan(tf.reshape(x, (tf.shape(x)[0], -1))), axis=1)
    bad = tf.logical_or(tf.reduce_any(tf.math.is_inf(x)), tf.reduce_any(empty))
    with tf.control_dependencies([tf.debugging.assert_equal(bad, False, message)]):
        return tf.identity(x)


def require_labels(label: Tensor, x: Tensor, classes: int) -> Tensor:
    """The same labels in a `tf.data` pipeline, which raises when read unless all are in range.

    Args:
        label: Integer tensor ``(batch,)``.
        x: The data, ``(batch, ...)``.
        classes: Number of classes; labels are 0 .. classes - 1.
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
