"""Which path is best for few steps, measured on one trained network.

A network is trained on a family, from all at once to coarse to fine and column by column. Hand-made
paths through it are held against themselves at their best speed, and against those that
`optimize_path` finds: the bound of held-out data at some numbers of ancestral steps, and the
Frechet distance of samples.
"""

import os

os.environ.setdefault("KERAS_BACKEND", "jax")

import functools
import time

import evaluation
import experiment
import keras
import numpy as np

import keras_gud
from keras_gud import plots, schedules

FAMILY = {"a": (0.0, 0.7), "b": (0.0, 0.7)}
BY_HAND = {
    "all at once": {"a": 0.0, "b": 0.0},
    "coarse to fine": {"a": 0.7, "b": 0.0},
    "left to right": {"a": 0.0, "b": 0.7},
}
STEPS = (8, 16, 32)
SAMPLERS = ("ancestral", "dpm++sde", "unipc")
OBJECTIVES = ("elbo", "model")
# Of the optimised paths' steps, with the network's own loss.
CHOSEN_FOR = 16
NATS_PER_BIT = np.log(2.0)


def make(setting):
    """The model of the whole family."""
    schedule = schedules.Hierarchical(**FAMILY)
    return keras_gud.GUD(basis="haar", schedule=schedule, backbone=setting.backbone)


def find_paths(model, x, setting, quick):
    """Paths by name, each a pair of a schedule, `None` for the model's, and its parameters."""
    how = {"examples": 16, "knots": 4} if quick else {"examples": 128, "knots": 16}
    at_once = BY_HAND["all at once"]
    searches = {
        "all at once, best speed": functools.partial(
            model.optimize_path, x, over=(), **at_once, **how
        )
    }
    if not quick:
        searches["all at once, best speed for an ODE"] = functools.partial(
            model.optimize_path, x, over=(), objective="ode", **at_once, **how
        )
    for objective in () if quick else OBJECTIVES:
        searches[f"best by {objective}"] = functools.partial(
            model.optimize_path, x, objective=objective, steps=CHOSEN_FOR, **how
        )
    found = {name: (None, point) for name, point in BY_HAND.items()}
    for name, search in searches.items():
        start = time.perf_counter()
        found[name] = search(), {}
        print(f"  found {name} in {time.perf_counter() - start:.0f} s", flush=True)
    return found


def bound(model, x, path, params, quick) -> dict:
    """Bits per dimension of the bound's diffusion term, of infinitely many and of few steps."""
    how = {"examples": 16, "times": 4} if quick else {"examples": 256, "times": 32}
    cost = model.path_cost(x, path, **params, **how)
    unit = NATS_PER_BIT * x[0].size
    bits = {f"bits_{steps}": cost.bound(steps) / unit for steps in STEPS}
    return {"bits_continuous": cost.nats / unit, **bits}


def distance(judge, model, seed, path, params, sampler, steps) -> dict:
    """Frechet distance of samples."""
    how = {"steps": steps, "sampler": sampler, "seed": seed}
    samples = model.sample(judge.setting.samples, schedule=path, **how, **params)
    return {"frechet": judge.frechet(samples).value}


def main():
    setting, folder = experiment.parse_arguments(__doc__, "best_paths")
    quick = setting.steps <= experiment.QUICK.steps
    judge, results = evaluation.Judge(setting), evaluation.Results(folder)
    optimised_on = experiment.training_images(setting)
    for seed in range(setting.seeds):
        model = experiment.train(functools.partial(make, setting), setting, folder, "family", seed)
        found = find_paths(model, optimised_on, setting, quick)
        for name, (path, params) in found.items():
            compute = functools.partial(bound, model, judge.held_out, path, params, quick)
            results.row(compute, path=name, seed=seed, what="bound")
            for sampler in SAMPLERS[:1] if quick else SAMPLERS:
                for steps in STEPS[:1] if quick else STEPS:
                    compute = functools.partial(
                        distance, judge, model, seed, path, params, sampler, steps
                    )
                    key = {"path": name, "seed": seed, "what": "samples"}
                    results.row(compute, **key, sampler=sampler, steps=steps)
    results.write_csv()
    write_picture(found, model, folder)


def write_picture(found, model, folder):
    """Gamma of the groups along each path."""
    t = np.linspace(0.0, 1.0, 65, dtype="float32")
    gamma = {}
    for name, (path, params) in found.items():
        state = (model.schedule if path is None else path)(t, **params)
        values = keras.ops.convert_to_numpy(state.gamma)
        gamma[name] = np.broadcast_to(values, (len(t), *model.data_shape))
    plots.schedule(gamma, t, show=("gamma",)).savefig(folder / "best_paths.png")
    print(f"wrote {folder / 'best_paths.png'}")


if __name__ == "__main__":
    main()
