"""Where order decides: 4x4 Sudokus of handwritten digits, made in different orders by one network.

Each of the 16 cells is a patch of 8x8 pixels. The network is trained on states in which some cells
are clean, some are noise, and the others in between; then it makes the cells all at once, one after
the other in a fixed or a random order, or always the one next of which it is surest. A small
classifier reads the digits, and the score is the share of grids that follow the rules.
"""

import os

os.environ.setdefault("KERAS_BACKEND", "jax")

import functools
import itertools

import evaluation
import experiment
import numpy as np
from sklearn.datasets import load_digits
from sklearn.svm import SVC

import keras_gud
from keras_gud import backbones, bases, plots, regions, schedules, tasks

SETTING = experiment.Setting(dataset="sudoku", size=32, steps=6000, backbone="dit", samples=500)
CELLS, PIXELS = 16, 8
# By name: the order, cells at a time and steps of each stage; at most 100 evaluations in all.
ORDERS = {
    "all at once": ("fixed", 16, 95),
    "in reading order": ("fixed", 1, 6),
    "in random order": ("random", 1, 6),
    "the surest first": ("surest", 1, 5),
    "the surest two first": ("surest", 2, 11),
}
# In the picture: grids of each order, and the grey of the lines between their cells.
SHOWN, LINES = 7, 90


def evaluations(order, at_once, steps):
    """Evaluations of the network for one sample."""
    stages = -(-CELLS // at_once)
    return stages * steps + 1 + (stages - 1 if order == "surest" else 0)


def blocks(grids):
    """The 2x2 blocks of grids ``(n, 4, 4)``, as rows of four, ``(n, 4, 4)``."""
    return grids.reshape(-1, 2, 2, 2, 2).swapaxes(2, 3).reshape(-1, 4, 4)


def follows_rules(grids):
    """Whether every row, column and block of grids ``(n, 4, 4)`` has the digits 1 to 4 once."""
    lines = np.concatenate([grids, grids.swapaxes(1, 2), blocks(grids)], axis=1)
    return (np.sort(lines, axis=-1) == [1, 2, 3, 4]).all(axis=(1, 2))


def all_grids():
    """The 288 grids that follow the rules, ``(288, 4, 4)``."""
    rows = np.array(list(itertools.permutations([1, 2, 3, 4])))
    above = [
        (a, b) for a, b in itertools.product(rows, rows) if len({*a[:2], *b[:2]}) == 4
    ]  # two rows whose blocks are complete
    grids = np.array([[*top, *bottom] for top, bottom in itertools.product(above, above)])
    return grids[follows_rules(grids)]


def to_images(cells):
    """Cells ``(n, 4, 4, 8, 8)`` to images ``(n, 32, 32, 1)``."""
    return cells.swapaxes(2, 3).reshape(-1, 4 * PIXELS, 4 * PIXELS, 1)


def handwritten(n, seed):
    """Images of random grids, uint8 ``(n, 32, 32, 1)``, each digit by a random hand."""
    rng = np.random.default_rng(seed)
    images, digits = _digits()
    known = all_grids()
    grids = known[rng.integers(len(known), size=n)]
    cells = np.empty((n, 4, 4, PIXELS, PIXELS), "uint8")
    for digit in range(1, 5):
        of_digit = images[digits == digit]
        where = grids == digit
        cells[where] = of_digit[rng.integers(len(of_digit), size=where.sum())]
    return to_images(cells)


@functools.cache
def _digits():
    found = load_digits()
    return np.clip(16.0 * found.images, 0.0, 255.0).astype("uint8"), found.target


@functools.cache
def _reader():
    images, digits = _digits()
    return SVC(gamma=0.001).fit(images.reshape(-1, PIXELS**2) / 16.0, digits)


def read(images):
    """The digits that a classifier of all ten reads in images ``(n, 32, 32, 1)``."""
    cells = images.reshape(-1, 4, PIXELS, 4, PIXELS).swapaxes(2, 3)
    return _reader().predict(cells.reshape(-1, PIXELS**2) / 16.0).reshape(-1, 4, 4)


def make():
    """The model; cells are the groups of its schedule."""
    path = schedules.Sequential(b=0.0, over="patch", gamma_min=-5.0, gamma_max=5.0)
    return keras_gud.GUD(
        basis=bases.Pixel(patch=PIXELS),
        schedule=path,
        region=regions.Paths(levels="stages"),
        backbone=backbones.DiT(width=128, blocks=4, patch=PIXELS, embedding_dim=64, gamma_map=True),
    )


def draw(model, setting, name, n, seed):
    """Samples in one of the orders."""
    order, at_once, steps = ORDERS[name]
    steps = min(steps, setting.sampler_steps) if setting.steps <= experiment.QUICK.steps else steps
    kwargs = {"steps": steps, "sampler": setting.sampler, "seed": seed}
    return tasks.sample_in_order(model, n, order, at_once, **kwargs)


def score(model, setting, name, seed) -> dict:
    """Shares of grids that follow the rules, and of cells read as 1 to 4."""
    grids = read(draw(model, setting, name, setting.samples, seed))
    legible = (grids >= 1) & (grids <= 4)
    return {
        "valid": float(follows_rules(grids).mean()),
        "legible": float(legible.mean()),
        "evaluations": evaluations(*ORDERS[name]),
    }


def framed(images):
    """Grids with lines between cells, and those that break the rules in red."""
    cells = images.reshape(-1, 4, PIXELS, 4, PIXELS).swapaxes(2, 3)
    cells = np.pad(cells, [(0, 0)] * 3 + [(1, 1)] * 2, constant_values=LINES)
    grids = cells.swapaxes(2, 3).reshape(len(images), 4 * (PIXELS + 2), -1, 1)
    colours = np.repeat(grids, 3, axis=-1)
    colours[~follows_rules(read(images)), ..., 1:] //= 3
    return colours


def write_picture(model, setting, results, folder):
    """Some grids of every order."""
    rows = [framed(draw(model, setting, name, SHOWN, seed=1)) for name in ORDERS]
    shares = [results.over_seeds("valid", order=name)[0] for name in ORDERS]
    labels = [f"{name}: {share:.0%}" for name, share in zip(ORDERS, shares, strict=True)]
    plots.image_table(np.stack(rows), labels, scale=3).savefig(folder / "sudoku.png")
    print(f"wrote {folder / 'sudoku.png'}")


def main():
    setting, folder = experiment.parse_arguments(__doc__, "sudoku", SETTING, paper=SETTING)
    results = evaluation.Results(folder)
    data = handwritten(setting.epoch * setting.batch_size, seed=0)
    for seed in range(setting.seeds):
        model = experiment.train(make, setting, folder, "cells", seed, data)
        for name in ORDERS:
            compute = functools.partial(score, model, setting, name, seed)
            results.row(compute, order=name, seed=seed)
    results.write_csv()
    for name in ORDERS:
        mean, error = results.over_seeds("valid", order=name)
        print(f"{name}: {mean:.3f} +- {error:.3f} of the grids follow the rules")
    write_picture(model, setting, results, folder)


if __name__ == "__main__":
    main()
