"""One network that restores images in many ways, against what one would take instead.

Trained once on natural patches, on noising states in pixels, wavelets, cosines and channels, it
does in-painting, up-scaling, colouring, de-blurring, de-noising and completion. Evaluates the
network that ships with the package, that of ``--model``, or with ``--train`` a new one (about 20
minutes on two CPU cores) on held-out patches: prints a table and writes ``out/restoration.png``.
"""

import argparse
import os
import time
from pathlib import Path

os.environ.setdefault("KERAS_BACKEND", "jax")

import keras
import measures
import numpy as np
import problems
import rivals
from gallery import gallery, interesting

import keras_gud
from keras_gud import schedules

TASKS = ("inpaint", "upscale", "deblur", "colorize", "denoise")
STEPS = 9000
_TRAINING_PATCHES = 16384


def parse_arguments():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--model", type=Path, help="file of a trained model to evaluate")
    parser.add_argument(
        "--train", type=int, nargs="?", const=STEPS, help=f"train so many steps, {STEPS} if bare"
    )
    parser.add_argument("--batch-size", type=int, default=64, help="of training")
    parser.add_argument("--backbone", default="small", help="to train")
    parser.add_argument("--seed", type=int, default=0, help="of training")
    parser.add_argument("--images", type=int, default=48, help="held-out patches to restore")
    parser.add_argument("--draws", type=int, default=8, help="from each posterior")
    parser.add_argument("--seeds", type=int, default=2, help="repetitions with other noise")
    parser.add_argument("--steps", type=int, default=32, help="sampler steps")
    parser.add_argument("--out", type=Path, default=Path("out"))
    return parser.parse_args()


def train(arguments):
    """Trains on crops of the left three quarters of four photographs."""
    keras.utils.set_random_seed(arguments.seed)
    per_epoch = min(400, arguments.train)
    patches = keras_gud.datasets.load("patches", n=per_epoch * arguments.batch_size, split="train")
    model = keras_gud.GUD(
        basis="pixel",
        schedule=schedules.Sequential(b=(0.0, 0.7), over="column"),
        backbone=arguments.backbone,
        region=TASKS,
        max_tokens=32,
        seed=arguments.seed,
    )
    model.compile(
        keras.optimizers.Adam(keras.optimizers.schedules.CosineDecay(1e-3, arguments.train))
    )
    path = arguments.out / "restoration.keras"
    model.fit(
        patches,
        batch_size=arguments.batch_size,
        epochs=arguments.train // per_epoch,
        verbose=2,
        callbacks=[keras.callbacks.ModelCheckpoint(path)],
    )
    return model


def load(arguments):
    """The network to evaluate."""
    if arguments.train is not None:
        return train(arguments)
    if arguments.model is not None:
        return keras.saving.load_model(arguments.model)
    return keras_gud.load("patches")


def restore(problem, model, linear, truth, arguments):
    """Observations and answers of all seeds, stacked: ``(seeds, images, draws, ...)`` by method."""
    observed, answers = [], []
    for seed in range(arguments.seeds):
        observed.append(problem.observe(model, truth, seed))
        options = {"draws": arguments.draws, "steps": arguments.steps, "seed": seed}
        answers.append(problem.answers(model, linear, observed[-1], truth, **options))
    return observed, {name: np.stack([part[name] for part in answers]) for name in answers[0]}


def print_rows(problem, observed, answers, truth):
    """The rows of one problem: the network, then every rival."""
    missing = [seen.missing for seen in observed]
    if missing[0] is None:
        scored = np.ones((1, *truth.shape[:3], 1), bool)
    else:
        scored = np.stack(missing)[..., None]
    ours = None
    for name, images in answers.items():
        mean = measures.psnr(images.mean(axis=2, keepdims=True), truth, scored)
        several = images.shape[2] > 1
        one = measures.mean_and_error(measures.psnr(images, truth, scored)) if several else None
        spread = measures.error_over_spread(images, truth, scored) if several else None
        ours = mean if ours is None else ours
        rival = mean is not ours
        cells = (
            problem.name,
            name,
            measures.written(measures.mean_and_error(mean)),
            measures.written(one) if several else "",
            measures.written(measures.mean_and_error(ours - mean), sign="+") if rival else "",
            f"{np.mean(ours > mean):.0%}" if rival else "",
            measures.written(measures.frechet(images, truth), digits=3),
            measures.written(spread) if several else "",
        )
        print("|", *(f"{cell} |" for cell in cells), flush=True)


def print_heading(truth, n_pixels, arguments):
    """What the table is about and how to read it."""
    other = keras_gud.datasets.load("patches", split="test", n=len(truth), seed=1)
    floor = measures.written(measures.frechet(other[None, :, None], truth), digits=3)
    print(
        f"{len(truth)} held-out patches of {n_pixels}x{n_pixels} pixels, {arguments.draws} draws, "
        f"{arguments.seeds} seeds of noise, {arguments.steps} steps. PSNR in dB, of missing pixels "
        "where some are observed;\nthe difference is paired over patches, bold if beyond two "
        "standard errors, + where the network is better. Standard errors are over patches.\n"
        f"Frechet distance (12 features) of one draw; of other held-out patches it is {floor}.\n"
    )
    print(
        "| task | method | PSNR: mean of draws | one draw | network - it | network better on "
        "| Frechet | error / spread |"
    )
    print("|---|---|---|---|---|---|---|---|", flush=True)


def print_halves(images, truth):
    """What completion makes of the columns that were nearly clean, and of the others."""
    figures = []
    for part in (slice(0, 8), slice(8, 16)):
        scored = np.zeros((1, *truth.shape[:3], 1), bool)
        scored[:, :, :, part] = True
        figures.append(measures.psnr(images.mean(axis=2, keepdims=True), truth, scored))
    left, right = (measures.written(measures.mean_and_error(part)) for part in figures)
    print(f"\nCompletion, mean of draws: left half {left} dB, right half {right} dB.")


def main():
    arguments = parse_arguments()
    arguments.out.mkdir(parents=True, exist_ok=True)
    model = load(arguments)
    start = time.perf_counter()
    truth = keras_gud.datasets.load("patches", split="test", n=arguments.images, seed=0)
    patches = keras_gud.datasets.load("patches", split="train", n=_TRAINING_PATCHES, seed=1)
    linear = rivals.Linear(patches)
    print_heading(truth, truth.shape[1], arguments)
    shown, rows = interesting(truth), []
    for problem in problems.ALL:
        observed, answers = restore(problem, model, linear, truth, arguments)
        print_rows(problem, observed, answers, truth)
        rows.append((problem.label, observed[0].shown[shown], answers, shown))
    print_halves(answers[problems.NETWORK], truth)
    path = arguments.out / "restoration.png"
    gallery(rows, truth).savefig(path)
    print(f"wrote {path} in {time.perf_counter() - start:.0f} s")


if __name__ == "__main__":
    main()
