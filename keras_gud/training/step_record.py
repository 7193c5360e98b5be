"""What a training step knows of its batch, kept from the first loss that is not finite.

Everything here runs inside the step, the same on all backends: a few reductions per example, and
one small variable in which the latest batch is described until one is found to be bad.
"""

from dataclasses import asdict, dataclass

import keras
import numpy as np
from keras import ops

from keras_gud import backend

# Of every example, in the order of the columns of `describe`.
FACTS = ("t", "x_min", "x_max", "x_mean", "x_square", "largest_z", "largest_output")
FACTS += ("largest_weight",)
# The first row of a record.
_HEAD = ("step", "loss", "previous_loss", "bad_examples", "examples", "example")


def describe(t, phi, z, output, weight):
    """Facts about every example of a batch, without gradient; inf where a size is not finite.

    Args:
        t: Diffusion times, ``(batch,)``.
        phi: The data in the model's floats, ``(batch, *data_shape)``.
        z: Noised components, same shape.
        output: What the network makes of them, same shape.
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


def _largest(x, axes):
    """Largest absolute value; inf for NaN, which `max` may pass over."""
    x = ops.cast(x, "float32")
    return ops.max(ops.where(ops.isfinite(x), ops.abs(x), np.inf), axes)


class Record(keras.metrics.Metric):
    """The first batch of an epoch whose loss is not finite; of a good epoch, its last batch.

    A metric, since that is what Keras carries through the steps of all backends and keeps out of
    saved files; it adds nothing to the logs.
    """

    def __init__(self):
        super().__init__(name="health", dtype="float32")
        # Of several replicas the first one tells of itself; bad weights reach it in the next step.
        shape, first = (5, len(FACTS)), "only_first_replica"
        self.values = self.add_variable(shape, "zeros", aggregation=first, name="values")

    def update_state(self, loss, losses, facts, step):
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
        head = ops.pad(head, [(0, len(FACTS) - len(_HEAD))])
        rows = [head, *(f(facts, axis=0) for f in (ops.min, ops.max, ops.mean))]
        rows.append(ops.take(facts, first, axis=0))
        self.values.assign(ops.where(ops.isfinite(old[1]), ops.stack(rows), kept))

    def result(self):
        """Nothing to log."""
        return {}

    def read(self) -> "Batch":
        """What has been recorded; waits for the steps that have been started."""
        return Batch.from_rows(np.array(backend.value_of(self.values)))


@dataclass
class Batch:
    """A batch of training as it was seen inside the step.

    Attributes:
        step: Number of the training step in the life of the model, the first is 1; 0 for none.
        loss: Of the batch.
        previous_loss: Of the batch before it in the same epoch; 0 for none.
        bad_examples: Number of examples whose own loss, before its sample weight, is not finite.
        examples: Number of examples.
        example: Index of the first bad one in the batch, or 0.
        x_min: Smallest value of the data, in the model's floats (8-bit images in [-1, 1]).
        x_max: Their largest.
        x_mean: Their mean.
        x_std: Their standard deviation.
        largest_z: Largest absolute value of the noised components; inf if one is not finite.
        largest_output: Of the network's output, likewise.
        largest_weight: Of the weights of the loss, likewise.
        of_example: t and the figures above of that one example.
    """

    step: int
    loss: float
    previous_loss: float
    bad_examples: int
    examples: int
    example: int
    x_min: float
    x_max: float
    x_mean: float
    x_std: float
    largest_z: float
    largest_output: float
    largest_weight: float
    of_example: dict

    @classmethod
    def from_rows(cls, rows):
        """From the variable of a `Record`."""
        head = dict(zip(_HEAD, rows[0].tolist(), strict=False))
        head |= {k: int(head[k]) for k in ("step", "bad_examples", "examples", "example")}
        low, high, mean, one = (dict(zip(FACTS, row.tolist(), strict=True)) for row in rows[1:])
        whole = high | {"x_min": low["x_min"], "x_mean": mean["x_mean"]}
        whole["x_square"] = mean["x_square"]
        whole, one = (_with_std(facts) for facts in (whole, one))
        del whole["t"]
        return cls(**head, **whole, of_example=one)

    @property
    def is_finite(self) -> bool:
        """Whether the loss is."""
        return bool(np.isfinite(self.loss))

    def statistics(self) -> dict:
        """Everything as a dictionary of numbers."""
        return asdict(self)


def _with_std(facts: dict) -> dict:
    facts = dict(facts)
    variance = facts.pop("x_square") - facts["x_mean"] ** 2
    facts["x_std"] = float(np.sqrt(np.maximum(variance, 0.0)))
    return facts
