"""How to draw noising states in training, for a network that is to serve paths chosen later.

Networks are trained on random levels of all columns, drawn in several ways, beside the path of all
columns at once. Each is then held against networks trained on one path alone for as many steps, by
the bound on the likelihood of held-out images along three paths.
"""

import os

os.environ.setdefault("KERAS_BACKEND", "jax")

import functools

import evaluation
import experiment
import numpy as np

import keras_gud
from keras_gud import regions, schedules
from keras_gud.regions.levels import LEVELS

SETTING = experiment.Setting(seeds=1)
ENDS = {"over": "column", "gamma_min": -7.0, "gamma_max": 5.0}
PATHS = {
    "all at once": {"b": 0.0},
    "left to right": {"b": 0.7},
    "right to left": {"b": 0.7, "reverse": True},
}
ALONE = "alone, "
# Examples with random levels for each one on the path of all columns at once.
WEIGHT = 3.0


def path_of(name):
    """The schedule of a name in `PATHS`."""
    return schedules.Sequential(**ENDS, **PATHS[name])


def make(variant, setting):
    """A model of one path alone, of all three, or of levels drawn in a way."""
    first = path_of("all at once")
    if variant.startswith(ALONE):
        return keras_gud.GUD(schedule=path_of(variant[len(ALONE) :]), backbone=setting.backbone)
    if variant == "the three paths":
        region = [regions.Paths(path_of(name)) for name in list(PATHS)[1:]]
    else:
        region = regions.Paths(path_of("all at once"), levels=variant, weight=WEIGHT)
    return keras_gud.GUD(schedule=first, region=region, backbone=setting.backbone)


def bound(model, held_out, name) -> dict:
    """Bits per dimension of the bound along a path."""
    path = None if model.region is None else path_of(name)
    return {"bits": float(model.elbo(held_out, schedule=path)["bits_per_dim"].mean())}


def table(results, variants):
    """How much worse each variant is on each path than a network of that path alone."""
    alone = [results.over_seeds("bits", variant=ALONE + name, path=name)[0] for name in PATHS]
    lines = ["| levels | " + " | ".join(PATHS) + " |", "|---" * (1 + len(PATHS)) + "|"]
    lines.append("| alone | " + " | ".join(f"{bits:.3f}" for bits in alone) + " |")
    for variant in variants:
        bits = [results.over_seeds("bits", variant=variant, path=name)[0] for name in PATHS]
        above = np.subtract(bits, alone)
        lines.append(f"| {variant} | " + " | ".join(f"{x:+.3f}" for x in above) + " |")
    return "\n".join(lines)


def main():
    setting, folder = experiment.parse_arguments(__doc__, "state_samplers", SETTING)
    held_out = experiment.images(setting, "test")[: setting.likelihoods]
    results = evaluation.Results(folder)
    together = ["the three paths", *LEVELS]
    if setting.steps <= experiment.QUICK.steps:
        together = together[-1:]
    for seed in range(setting.seeds):
        for variant in [*(ALONE + name for name in PATHS), *together]:
            how = functools.partial(make, variant, setting)
            model = experiment.train(how, setting, folder, variant.replace(" ", "_"), seed)
            own = variant[len(ALONE) :] if variant.startswith(ALONE) else None
            for name in PATHS if own is None else [own]:
                compute = functools.partial(bound, model, held_out, name)
                results.row(compute, variant=variant, path=name, seed=seed)
    results.write_csv()
    print(table(results, together))


if __name__ == "__main__":
    main()
