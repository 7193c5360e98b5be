"""One full training step beside the same step in other libraries, in one process, in turn.

Run with ``KERAS_BACKEND=torch python benchmarks/training_step.py --official PATH``, where PATH is a
checkout of mathisgerdes/unified-diffusion; peers whose packages are missing are left out. A step is
loss, gradient, Adam and the average of the weights, on 28x28x1 images, batch 128, with about 1.2
million parameters. Ours is `fit` as users call it, with cross-attention on the gamma of 28 columns.
"""

import argparse
import os
import sys
import time

os.environ.setdefault("KERAS_BACKEND", "jax")

import keras
import numpy as np
import peers
from flops import count_flops, matmul_flops_per_second
from timing import time_in_turn

import keras_gud
from keras_gud import backbones, schedules

SIZE, WIDTHS = 28, (32, 64, 128)


def make_ours(x, steps: int):
    """`fit` on the array x: runs `steps` steps; and the parameters and FLOPs of one step."""
    model = keras_gud.GUD(
        basis="pixel",
        schedule=schedules.Sequential(over="column", b=0.5),
        backbone=backbones.UNet(WIDTHS, blocks=1, heads=4, embedding_dim=288, gamma_map=True),
        seed=0,
    )
    model.adapt(x, verbose=0)
    batch = len(x) // steps

    def run():
        model.fit(x, batch_size=batch, epochs=1, shuffle=False, verbose=0)

    shape = model.data_shape
    inputs = [(batch, *shape), (batch, model.tokens.n_tokens, 1 + model.tokens.n_coordinates)]
    flops = 3 * count_flops(model.network, [*inputs, inputs[0]])
    return run, model.network.count_params(), flops


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--batch", type=int, default=128)
    parser.add_argument("--steps", type=int, default=4, help="steps per round")
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--official", help="checkout of mathisgerdes/unified-diffusion")
    parser.add_argument("--peers", nargs="*", default=["diffusers", "flax", "official"])
    arguments = parser.parse_args()
    if arguments.official:
        sys.path += [f"{arguments.official}/src", f"{arguments.official}/tutorials"]

    rng = np.random.default_rng(0)
    x = rng.integers(0, 256, (arguments.batch * arguments.steps, SIZE, SIZE, 1)).astype("uint8")
    backend = keras.backend.backend()
    makers = {f"keras_gud, {backend}": make_ours}
    makers |= {name: peers.MAKERS[name] for name in arguments.peers}
    runs, facts = {}, {}
    for name, make in makers.items():
        try:
            runs[name], *facts[name] = make(x, arguments.steps)
        except ImportError as error:
            print(f"{name} left out: {error}")
            continue
        start = time.perf_counter()
        runs[name]()
        facts[name].append(time.perf_counter() - start)
    speed = matmul_flops_per_second()
    times = time_in_turn(runs, arguments.rounds)
    ours = next(iter(times.values()))
    print(f"{backend}, a matrix product runs at {speed / 1e9:.0f} GFLOP/s\n")
    print(
        "| step | parameters | first call, s | step, ms | ours / theirs (quartiles) | limit, ms |"
    )
    print("|---|---|---|---|---|---|")
    for name, seconds in times.items():
        parameters, flops, first = facts[name]
        low, middle, high = np.percentile(ours / seconds, [25, 50, 75])
        ratio = f"{middle:.2f} ({low:.2f} to {high:.2f})" if seconds is not ours else ""
        print(
            f"| {name} | {parameters / 1e6:.2f}M | {first:.1f} | "
            f"{1e3 * np.median(seconds) / arguments.steps:.0f} | {ratio} | "
            f"{1e3 * flops / speed:.0f} |"
        )


if __name__ == "__main__":
    main()
