"""The first batch of an epoch whose loss is not finite, described from inside the training step.

The same operations on all backends: a few reductions for each example, and one small variable that
describes the latest batch until one is found to be bad.
"""

from typing import Any

import keras
import numpy as np
from keras import ops

from keras_gud import backend
from keras_gud.core.types import Tensor

# Of every example: columns of `describe` and of the rows of a record below the first.
FACTS: tuple[str, ...] = ("t", "x_min", "x_max", "x_mean", "x_square")
FACTS += ("largest_z", "largest_output", "largest_weight")
# Of the batch: the first row of a record.
_BATCH = ("step", "loss", "previous_loss", "bad_examples", "examples", "example")


def describe(t: Tensor, phi: Tensor, z: Tensor, output: Tensor, weight: Tensor) -> Tensor:
    """Facts about every example of a batch, without gradient; inf where a size is not finite.

    Args:
        t: Diffusion times, ``(batch,)``.
        phi: The data in the model's floats, ``(batch, *data_shape)``.
        z: Noised components, same shape.
        output: The network's output for them, same shape.
        weight: lambda_i of the loss, broadcastable to it.

    Returns:
        float32 ``(batch, len(FACTS))``.
    """
    axes = tuple(range(1, len(z.shape)))
    weight = ops.broadcast_to(ops.cast(weight, "float32"), ops.shape(z))
    columns = [
        t,
        ops.min(phi, axes),
        ops.max(phi, axes),
        ops.mean(phi, axes),
        ops.mean(ops.square(phi), axes),
        *(_largest(x, axes) for x in (z, output, weight)),
    ]
    return ops.stop_gradient(ops.stack(columns, axis=-1))


def _largest(x: Tensor, axes: tuple[int, ...]) -> Tensor:
    """Largest absolute value; inf for NaN, which `max` may pass over."""
    x = ops.cast(x, "float32")
    return ops.max(ops.where(ops.isfinite(x), ops.abs(x), np.inf), axes)


class Record(keras.metrics.Metric):
    """The first batch of an epoch whose loss is not finite; of a good epoch, its last batch.

    A metric, since that is what Keras carries through the steps of all backends and keeps out of
    saved files; it adds nothing to the logs.
    """

    def __init__(self) -> None:
        super().__init__(name="health", dtype="float32")
        # The first of several replicas describes its part; weights that another one's part has
        # broken make its own loss bad in the next step.
        shape, first = (5, len(FACTS)), "only_first_replica"
        self.values = self.add_variable(shape, "zeros", aggregation=first, name="values")

    def update_state(self, loss: Tensor, losses: Tensor, facts: Tensor, step: Tensor) -> None:
        """Describes a batch, unless a bad one has been described.

        Args:
            loss: Of the batch, a scalar.
            losses: Of its examples, before their sample weights, ``(batch,)``.
            facts: Of its examples, from `describe`.
            step: Number of this training step.
        """
        loss, kept = ops.cast(ops.stop_gradient(loss), "float32"), self.values.value
        old = kept[0]
        bad = ops.logical_not(ops.isfinite(ops.stop_gradient(losses)))
        first = ops.argmax(ops.cast(bad, "int32"))
        count = ops.sum(ops.cast(bad, "float32"))
        numbers = [step, loss, old[1], count, ops.shape(facts)[0], first]
        head = ops.stack([ops.cast(v, "float32") for v in numbers])
        head = ops.pad(head, [(0, len(FACTS) - len(_BATCH))])
        rows = [head, *(f(facts, axis=0) for f in (ops.min, ops.max, ops.mean))]
        rows.append(ops.take(facts, first, axis=0))
        self.values.assign(ops.where(ops.isfinite(old[1]), ops.stack(rows), kept))

    def result(self) -> dict[str, Tensor]:
        """Nothing to log."""
        return {}

    def read(self) -> dict[str, Any]:
        """What has been recorded; waits for the steps that have been started.

        Returns:
            Dict: ``step`` (the model's first is 1; 0 for none), ``loss``, ``previous_loss`` (0 for
            none in this epoch); ``examples``, ``bad_examples`` (the loss before the sample weight
            is not finite), ``example`` (index of the first bad one, or 0); of the data in the
            model's floats ``x_min``, ``x_max``, ``x_mean``, ``x_std``; ``largest_z``,
            ``largest_output``, ``largest_weight`` (absolute values; inf if one is not finite); and
            ``of_example``, a dict of that example's ``t`` and the last seven.
        """
        rows = np.array(backend.value_of(self.values)).tolist()
        seen = dict(zip(_BATCH, rows[0], strict=False))
        seen |= {k: int(v) for k, v in seen.items() if not k.endswith("loss")}
        low, high, mean, one = (dict(zip(FACTS, row, strict=True)) for row in rows[1:])
        whole = high | {
            "x_min": low["x_min"],
            "x_mean": mean["x_mean"],
            "x_square": mean["x_square"],
        }
        for facts in (whole, one):
            variance = facts.pop("x_square") - facts["x_mean"] ** 2
            facts["x_std"] = float(np.sqrt(np.maximum(variance, 0.0)))
        del whole["t"]
        return seen | whole | {"of_example": one}
