"""One network alone: parameters, first step, time and peak memory of a training step.

Run with ``KERAS_BACKEND=torch python benchmarks/network.py --backbone base --size 256 --batch 1``.
One configuration per process, since peak memory never goes down. `--tokens` shows what it costs to
be told gamma.
"""

import argparse
import os
import resource
import time

os.environ.setdefault("KERAS_BACKEND", "jax")

import keras
import numpy as np

from keras_gud import backbones


class Regression(keras.Model):
    """The network and a squared error: forward, backward and the optimizer, nothing else."""

    def __init__(self, network):
        super().__init__()
        self.network = network

    def call(self, inputs, training=None):
        return self.network(inputs, training=training)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--backbone", default="small")
    parser.add_argument("--size", type=int, default=28)
    parser.add_argument("--channels", type=int, default=1)
    parser.add_argument("--batch", type=int, default=128)
    parser.add_argument("--tokens", type=int, default=32)
    parser.add_argument("--steps", type=int, default=10)
    parser.add_argument("--remat", action="store_true")
    parser.add_argument("--no-jit", action="store_true")
    arguments = parser.parse_args()

    shape = (arguments.size, arguments.size, arguments.channels)
    network = backbones.get(arguments.backbone, data_shape=shape, remat=arguments.remat)
    rng = np.random.default_rng(0)
    y = rng.normal(size=(arguments.batch, *shape)).astype("float32")
    tokens = rng.normal(size=(arguments.batch, arguments.tokens, 2)).astype("float32")
    model = Regression(network)
    model.compile("adam", loss="mse", jit_compile=False if arguments.no_jit else "auto")
    times, before = [], peak_gibibytes()
    for _ in range(arguments.steps + 1):
        start = time.perf_counter()
        model.train_on_batch([y, tokens], y)
        times.append(time.perf_counter() - start)
    low, middle, high = np.percentile(times[1:], [25, 50, 75]) * 1e3
    print(
        "| backend | backbone | data, batch | tokens | remat | parameters | first step, s | ",
        end="",
    )
    print("step, ms (quartiles) | peak memory, GiB (before) |\n" + 9 * "|---" + "|")
    print(
        f"| {keras.backend.backend()} | {arguments.backbone} | {shape} x {arguments.batch} | "
        f"{arguments.tokens} | {arguments.remat} | {network.count_params() / 1e6:.2f}M | "
        f"{times[0]:.1f} | {middle:.0f} ({low:.0f} to {high:.0f}) | "
        f"{peak_gibibytes():.2f} ({before:.2f}) |"
    )


def peak_gibibytes() -> float:
    """The largest resident set that this process has had so far."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20


if __name__ == "__main__":
    main()
