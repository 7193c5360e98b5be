"""One network that restores images in many ways, against what one would take instead.

Trained once on natural patches, on noising states in pixels, wavelets, cosines and channels, it
does in-painting, up-scaling, colouring, de-blurring, de-noising and completion. Evaluates the
network that ships with the package, that of ``--model``, or with ``--train`` a new one (about 80
minutes on a CPU core) on held-out patches: prints a table and writes ``out/restoration.png``.
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
import quick
import rivals
from gallery import gallery, interesting

import keras_gud
from keras_gud import schedules

TASKS = ("inpaint", "upscale", "deblur", "colorize", "denoise", "complete")
STEPS = 16000
# Every pixel by itself: with patches of 2 pixels, as "small" has them from this size on, what is
# missing is restored 1 to 2 dB worse.
NETWORK = {"widths": (32, 64, 64), "blocks": 1, "patch": 1}
_TRAINING_PATCHES = 16384


def parse_arguments():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--model", type=Path, help="file of a trained model to evaluate")
    parser.add_argument(
        "--train", type=int, nargs="?", const=STEPS, help=f"train so many steps, {STEPS} if bare"
    )
    parser.add_argument(
        "--tasks", nargs="+", default=TASKS, choices=TASKS, help="to train for and to evaluate"
    )
    parser.add_argument("--batch-size", type=int, default=64, help="of training")
    parser.add_argument("--backbone", help="to train; default: a U-Net without patches")
    parser.add_argument("--seed", type=int, default=0, help="of training")
    parser.add_argument("--images", type=int, default=48, help="held-out patches to restore")
    parser.add_argument("--draws", type=int, default=8, help="from each posterior, at least 2")
    parser.add_argument("--seeds", type=int, default=2, help="repetitions with other noise")
    parser.add_argument("--steps", type=int, default=32, help="sampler steps")
    parser.add_argument("--out", type=Path, default=Path("out"))
    small = {"train": 2, "batch_size": 8, "backbone": "tiny", "tasks": ["inpaint", "complete"]}
    small |= {"images": 3, "draws": 2, "steps": 2, "seeds": 1}
    return quick.parse_arguments(parser, **small)


def train(arguments):
    """Trains on crops of the left three quarters of four photographs."""
    keras.utils.set_random_seed(arguments.seed)
    per_epoch = min(800, arguments.train)
    patches = keras_gud.datasets.load("patches", n=per_epoch * arguments.batch_size, split="train")
    model = keras_gud.GUD(
        basis="pixel",
        schedule=schedules.Sequential(b=(0.0, 0.7), over="column"),
        backbone=arguments.backbone or keras_gud.backbones.UNet(**NETWORK, gamma_map=True),
        weighting="v",  # what observed values tell of missing ones counts in high noise too
        region=[task for task in arguments.tasks if task != "complete"],  # its paths are the own
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
    scored = np.ones((1, *truth.shape[:3]), bool) if missing[0] is None else np.stack(missing)
    scored = scored[..., None]
    ours = None
    for name, images in answers.items():
        mean, several = images.mean(axis=2, keepdims=True), images.shape[2] > 1
        figures = measures.psnr(mean, truth, scored)
        cells = [problem.name if ours is None else "", name]
        cells += [measures.written(measures.mean_and_error(figures))]
        cells += [measures.written(measures.pooled_psnr(mean, truth, scored))]
        one = measures.mean_and_error(measures.psnr(images, truth, scored))
        cells += [measures.written(one) if several else ""]
        if ours is None:
            ours, versus = figures, ["", ""]
        else:
            difference = measures.mean_and_error(ours - figures)
            versus = [measures.written(difference, sign="+"), f"{np.mean(ours > figures):.0%}"]
        cells += [*versus, measures.written(measures.frechet(images, truth), digits=3)]
        spread = measures.error_over_spread(images, truth, scored) if several else None
        cells += [measures.written(spread) if several else ""]
        print("|", *(f"{cell} |" for cell in cells), flush=True)


def print_heading(truth, arguments):
    """What the table is about, and how to read it."""
    other = keras_gud.datasets.load("patches", split="test", n=len(truth), seed=1)
    floor = measures.written(measures.frechet(other[None, :, None], truth), digits=3)
    height, width = truth.shape[1:3]
    k = arguments.draws
    print(
        f"{len(truth)} held-out patches of {height}x{width} pixels, {k} draws, {arguments.seeds} "
        f"seed(s), {arguments.steps} steps.\n\n"
        "PSNR in dB, averaged over patches, of the missing pixels where only some are missing; "
        "pooled: of the squared error\naveraged over patches, which smooth ones hardly touch. "
        f"The mean of {k} right draws is {10 * np.log10(1 + 1 / k):.2f} dB below that of all.\n"
        "Differences are paired over patches, + where the network is better, bold beyond two "
        "standard errors. Errors are over\npatches, which come from four photographs. Frechet "
        f"distance of one draw, 12 features: of other held-out patches {floor}.\n"
    )
    columns = ["task", "method", "PSNR: mean of draws", "pooled", "one draw", "network - it"]
    columns += ["network better on", "Frechet", "error / spread"]
    print(f"| {' | '.join(columns)} |\n{'|---' * len(columns)}|", flush=True)


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
    print_heading(truth, arguments)
    shown, rows = interesting(truth), []
    for problem in problems.ALL:
        if problem.task not in arguments.tasks:
            continue
        observed, answers = restore(problem, model, linear, truth, arguments)
        print_rows(problem, observed, answers, truth)
        rows.append((problem.label, observed[0].shown[shown], answers))
        if problem.task == "complete":
            print_halves(answers[problems.NETWORK], truth)
    path = arguments.out / "restoration.png"
    gallery(rows, shown, truth).savefig(path)
    print(f"wrote {path} in {time.perf_counter() - start:.0f} s")


if __name__ == "__main__":
    main()
