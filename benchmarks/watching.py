"""What it costs to notice a run that goes wrong: fit as it is against fit without the watch.

Run with ``KERAS_BACKEND=jax python benchmarks/watching.py``. Steady state, whole batches,
compilation excluded; the two sides are timed in turn, and the ratio is that of each round. An
epoch ends with a look at all weights and a copy of them, so that short epochs cost more.
"""

import argparse
import os
from unittest import mock

os.environ.setdefault("KERAS_BACKEND", "jax")

import keras
import numpy as np
from keras import ops
from timing import time_in_turn

import keras_gud
from keras_gud.training import non_finite, step_record


def build(arguments):
    """A small model on random images, adapted."""
    rng = np.random.default_rng(0)
    n = arguments.batch * arguments.steps
    x = rng.integers(0, 256, (n, arguments.size, arguments.size, 1)).astype("uint8")
    model = keras_gud.GUD(basis="haar", schedule="cosine", backbone=arguments.backbone, seed=0)
    model.adapt(x[:1024], verbose=0)
    return model, x


def without(function):
    """A function in a library without the parts that this is about."""

    def nothing(t, *args):
        return ops.zeros((*ops.shape(t), 0))

    def call():
        with (
            mock.patch.object(step_record, "describe", nothing),
            mock.patch.object(step_record.Record, "update_state", return_value=None),
            mock.patch.object(non_finite.TerminateOnNonFinite, "look", return_value=None),
        ):
            return function()

    return call


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--size", type=int, default=8)
    parser.add_argument("--batch", type=int, default=64)
    parser.add_argument("--backbone", default="tiny")
    parser.add_argument("--steps", type=int, default=100, help="training steps per epoch")
    parser.add_argument("--rounds", type=int, default=7)
    arguments = parser.parse_args()
    kwargs = {"batch_size": arguments.batch, "verbose": 0}

    def fit():
        model, x = build(arguments)
        return lambda: model.fit(x, **kwargs)

    sides = {"watched": fit(), "unwatched": without(fit())}
    for run in sides.values():
        run()
    times = time_in_turn(sides, arguments.rounds)
    watched, unwatched = (1e3 * np.array(times[k]) / arguments.steps for k in sides)
    low, middle, high = np.percentile(watched / unwatched, [25, 50, 75])
    print(
        f"{keras.backend.backend()}, {arguments.backbone}, {arguments.size}x{arguments.size}, "
        f"batch {arguments.batch}, {arguments.steps} steps an epoch: "
        f"{np.median(unwatched):.2f} ms a step without, {np.median(watched):.2f} with; ratio "
        f"{middle:.3f} ({low:.3f} to {high:.3f})"
    )


if __name__ == "__main__":
    main()
