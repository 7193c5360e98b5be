"""What a condition costs: the time of a training step with each kind, against that without.

    python benchmarks/condition_cost.py --rounds 8

The runs take turns; printed are medians of the ratio within a round, and the quartiles.
"""

import argparse
import os

os.environ.setdefault("KERAS_BACKEND", "torch")

import keras
import numpy as np
from timing import time_in_turn

import keras_gud
from keras_gud import datasets

RNG = np.random.default_rng(0)
BATCH, STEPS = 64, 4
TOKENS, FEATURES = 16, 128


def conditions(n):
    """Values of each condition for n examples, by name; `None` for none."""
    return {
        "none": None,
        "vector of 16": {"vector": RNG.normal(size=(n, 16))},
        f"sequence of {TOKENS}": {"sequence": RNG.normal(size=(n, TOKENS, FEATURES))},
        "image of the data's size": {"image": RNG.normal(size=(n, 28, 28, 1))},
    }


def trained(values, images, backbone):
    """A function that takes some training steps of a compiled model."""
    kinds = None if values is None else {f"its {kind}": kind for kind in values}
    given = None if values is None else {f"its {kind}": part for kind, part in values.items()}
    model = keras_gud.GUD(condition=kinds, backbone=backbone, seed=0)

    def run():
        model.fit(images, given, batch_size=BATCH, shuffle=False, verbose=0)

    run()
    return run


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=8)
    parser.add_argument("--backbone", default="small")
    arguments = parser.parse_args()
    images = datasets.load("mnist-5000", split="train", n=BATCH * STEPS)
    found = conditions(len(images))
    runs = {name: trained(values, images, arguments.backbone) for name, values in found.items()}
    times = time_in_turn(runs, arguments.rounds)
    print(f"{keras.backend.backend()}, {arguments.backbone}, 28x28x1, batch {BATCH}")
    for name, seconds in times.items():
        low, middle, high = np.quantile(seconds / times["none"], [0.25, 0.5, 0.75])
        step = 1e3 * np.median(seconds) / STEPS
        print(f"{name:25s} {step:7.0f} ms a step, {middle:.3f} ({low:.3f} to {high:.3f})")


if __name__ == "__main__":
    main()
