"""The transformer: the time of its step beside a plain one, and what it learns beside the U-Net.

    KERAS_BACKEND=torch python benchmarks/transformer.py speed
    KERAS_BACKEND=torch python benchmarks/transformer.py learning

The first takes steps of a transformer of width 128 with 6 blocks on 32x32x3 images in patches of 2,
along a path that gives every patch its own gamma and along one that gives all the same, in turn
with a hand-written one of equal size that is told one gamma (PyTorch or Flax, with the backend; on
torch neither is compiled). The second trains `dit-small` and `small` for as many minutes and prints
the bound on the likelihood of held-out images as training goes on.
"""

import argparse
import importlib
import os
import time

os.environ.setdefault("KERAS_BACKEND", "torch")

import keras
import numpy as np
from timing import time_in_turn

import keras_gud
from keras_gud import backbones, datasets, schedules

SHAPE, BATCH, STEPS = (32, 32, 3), 32, 4
PATHS = {
    "columns": lambda: {"basis": "pixel", "schedule": schedules.Sequential(over="column", b=0.5)},
    "haar": lambda: {"basis": "haar", "schedule": schedules.Hierarchical(a=0.5)},
}


def make_ours(x, gamma_map=False, **given):
    """`fit` on x with a transformer, and the network."""
    sizes = {"width": 128, "blocks": 6, "heads": 4, "embedding_dim": 128, "patch": 2}
    network = backbones.DiT(**sizes, gamma_map=gamma_map)
    model = keras_gud.GUD(backbone=network, seed=0, **given)
    model.adapt(x, verbose=0)
    return lambda: model.fit(x, batch_size=BATCH, shuffle=False, verbose=0), model.network


def speed(arguments):
    """Prints the table of steps."""
    x = np.random.default_rng(0).integers(0, 256, (BATCH * STEPS, *SHAPE), dtype="uint8")
    one, simple = make_ours(x)
    many, local = make_ours(x, gamma_map=True, **PATHS["columns"]())
    backend = keras.backend.backend()
    plain = importlib.import_module({"torch": "plain_torch", "jax": "plain_flax"}[backend])
    step, parameters, _ = plain.make_step(simple, x, STEPS, "float32", compiled=backend == "jax")
    runs = {"plain, one gamma": step, "ours, one gamma": one, "ours, a gamma per patch": many}
    sizes = [parameters, simple.count_params(), local.count_params()]
    for run in runs.values():
        run()
    times = time_in_turn(runs, arguments.rounds)
    theirs = times["plain, one gamma"]
    print(
        f"{backend}\n\n| step | parameters | ms | of the plain one (quartiles) |\n|---|---|---|---|"
    )
    for (name, seconds), size in zip(times.items(), sizes, strict=True):
        low, middle, high = np.percentile(seconds / theirs, [25, 50, 75])
        milliseconds = 1e3 * np.median(seconds) / STEPS
        ratio = f"{middle:.3f} ({low:.3f} to {high:.3f})"
        print(f"| {name} | {size / 1e6:.2f}M | {milliseconds:.0f} | {ratio} |")


def curve(name, images, held_out, path, minutes):
    """Steps and the bound (mean and standard error) after each stretch of minutes."""
    model = keras_gud.GUD(backbone=name, seed=0, **PATHS[path]())
    spent, found = 0.0, []
    for until in minutes:
        start = time.perf_counter()
        model.fit(images, batch_size=64, minutes=until - spent, verbose=0)
        spent += (time.perf_counter() - start) / 60
        bits = model.elbo(held_out)["bits_per_dim"]
        found.append((int(model.ema.count), bits.mean(), bits.std() / np.sqrt(len(bits))))
        print(f"{name}, {path}, {until} minutes: {found[-1]}", flush=True)
    return model.network.count_params(), found


def learning(arguments):
    """Prints the table of bounds."""
    rows = []
    for data in arguments.data:
        images = datasets.load(data, split="train", n=4000)
        held_out = datasets.load(data, split="test", n=256)
        for path in PATHS:
            for name in ("small", "dit-small"):
                size, found = curve(name, images, held_out, path, arguments.minutes)
                cells = [f"{steps}: {bits:.3f} +- {error:.3f}" for steps, bits, error in found]
                rows.append(
                    f"| {data}, {path} | {name} | {size / 1e6:.2f}M | {' | '.join(cells)} |"
                )
    print("| data, path | network | parameters | ", end="")
    print(" | ".join(f"{minutes} min" for minutes in arguments.minutes) + " |")
    print("|---" * (3 + len(arguments.minutes)) + "|")
    print("\n".join(rows))


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("part", choices=["speed", "learning"])
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--data", nargs="+", default=["mnist-5000", "patches"])
    parser.add_argument("--minutes", nargs="+", type=float, default=[1.0, 2.0, 4.0, 6.0])
    arguments = parser.parse_args()
    {"speed": speed, "learning": learning}[arguments.part](arguments)


if __name__ == "__main__":
    main()
