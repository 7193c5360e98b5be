"""Which sampler at few evaluations is as good as 1000 steps of Euler-Maruyama? Trained networks.

Run with ``KERAS_BACKEND=jax python benchmarks/few_steps.py --models demo columns patches``. The
networks are trained once and kept in `--out`. The distance is Frechet's, of samples to real images,
in units of their total variance, mean and standard deviation over seeds of the sampler's noise,
which are the same for every sampler. ``name@32`` is a sampler with 32 evaluations.
"""

import argparse
import os
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

os.environ.setdefault("KERAS_BACKEND", "jax")

import keras
import numpy as np
from frechet import digit_features, feature_distance, random_features

import keras_gud
from keras_gud import datasets, samplers, schedules

REFERENCE = 2048  # most real images to compare with


@dataclass(frozen=True)
class Setting:
    """A network, its training and where it is sampled.

    Attributes:
        images: Arguments of `datasets.load`.
        parts: Arguments of `GUD`.
        epochs: Epochs of training.
        batch_size: Examples per step of training.
        paths: Parameters of the schedule to sample with.
        features: The space of the distance.
    """

    images: dict
    parts: dict
    epochs: int
    batch_size: int
    paths: tuple
    features: Callable


# From standard diffusion, b = 0, to columns half after each other.
COLUMNS = keras.saving.serialize_keras_object(schedules.Sequential(over="column", b=(0.0, 0.5)))
BOTH = {"b": 0.0}, {"b": 0.5}
SETTINGS = {
    # The network and the training of examples/demo.py.
    "demo": Setting(
        {"name": "digits"},
        {"basis": "haar", "schedule": schedules.Hierarchical(a=(0.3, 0.7), b=(0.3, 0.7))},
        epochs=110,
        batch_size=128,
        paths=({"a": 0.5, "b": 0.5},),
        features=digit_features,
    ),
    "columns": Setting(
        {"name": "digits"},
        {"basis": "pixel", "schedule": COLUMNS},
        epochs=110,
        batch_size=128,
        paths=BOTH,
        features=digit_features,
    ),
    "patches": Setting(
        {"name": "patches", "size": 16, "n": 8192},
        {"basis": "pixel", "schedule": COLUMNS, "ema_decay": 0.995},
        epochs=8,
        batch_size=64,
        paths=BOTH,
        features=random_features,
    ),
}
SAMPLERS = {
    "3M": samplers.DPMSolver(order=3),
    "3M+C": samplers.DPMSolver(order=3, corrector=True),
}
MAIN = ["dpm++@32", "dpm++sde@32", "unipc@32", "euler_maruyama@1000"]
FURTHER = ["3M@32", "3M+C@32", "ddim@32", "ancestral@32", "euler_maruyama@100"]
FEWER = [f"{name}@20" for name in ("dpm++", "dpm++sde", "unipc", "3M", "3M+C")]


def trained(name: str, setting: Setting, out: Path):
    """The network of a setting, from its file if there is one."""
    path = out / f"few_steps_{name}.keras"
    if path.exists():
        return keras.saving.load_model(path)
    keras.utils.set_random_seed(0)
    images = datasets.load(**setting.images, split="train")
    model = keras_gud.GUD(backbone="small", seed=0, **setting.parts)
    steps = setting.epochs * -(-len(images) // setting.batch_size)
    rate = keras.optimizers.schedules.CosineDecay(1e-3, steps)
    model.compile(keras.optimizers.Adam(rate))
    settings = {"batch_size": setting.batch_size, "epochs": setting.epochs, "verbose": 0}
    log = model.fit(images, **settings).history
    figures = ", ".join(f"{key} {log[key][-1]:.4f}" for key in ("loss", "linear_loss"))
    print(f"trained {name}: {figures}", flush=True)
    path.parent.mkdir(parents=True, exist_ok=True)
    model.save(path)
    return model


def print_row(model: str, path: str, sampler: str, evaluations, distances, seconds: str):
    """A row of the table, with the distances themselves in the order of the seeds."""
    figure = f"{np.mean(distances):.4f} ± {np.std(distances, ddof=1):.4f}"
    each = ", ".join(f"{d:.4f}" for d in distances)
    cells = model, path, sampler, evaluations, figure, each, seconds
    print("|", *(f"{cell} |" for cell in cells), flush=True)


def compare(name: str, arguments):
    """The rows of one setting."""
    setting = SETTINGS[name]
    model = trained(name, setting, arguments.out)
    real = setting.features(datasets.load(**setting.images, split="train")[:REFERENCE])
    floor = []
    for seed in arguments.seeds:
        order = np.random.default_rng(seed).permutation(len(real))
        floor.append(feature_distance(*np.split(real[order], [arguments.samples])))
    print_row(name, "", "other real images", "", floor, "")
    for path in setting.paths:
        label = ", ".join(f"{k}={v:g}" for k, v in path.items())
        for row in arguments.rows:
            sampler, steps = row.split("@")
            distances, start = [], time.perf_counter()
            for seed in arguments.seeds:
                samples = model.sample(
                    arguments.samples,
                    sampler=SAMPLERS.get(sampler, sampler),
                    steps=int(steps),
                    seed=seed,
                    **path,
                )
                distances.append(feature_distance(setting.features(samples), real))
            print_row(name, label, sampler, steps, distances, f"{time.perf_counter() - start:.0f}")


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--models", nargs="+", default=list(SETTINGS))
    parser.add_argument("--rows", nargs="+", default=MAIN + FURTHER + FEWER)
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--samples", type=int, default=512)
    parser.add_argument("--out", type=Path, default=Path("out"))
    arguments = parser.parse_args()
    print("| model | path | sampler | evaluations | distance | by seed | seconds |")
    print("|---|---|---|---|---|---|---|", flush=True)
    for name in arguments.models:
        compare(name, arguments)


if __name__ == "__main__":
    main()
