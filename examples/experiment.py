"""What the experiments of the paper have in common: settings, training that resumes, results.

An experiment trains one model for each of its variants and seeds, and evaluates each at several
parameters of its family. Everything is kept in the folder of the experiment: interrupted and
started again with the same arguments it goes on from the last finished epoch, and from the last
finished row of results.
"""

import argparse
import csv
import dataclasses
import functools
import json
import time
from pathlib import Path

import keras
import numpy as np

import keras_gud
from keras_gud import metrics


@dataclasses.dataclass(frozen=True)
class Setting:
    """How large an experiment is.

    Attributes:
        dataset: Name of a data set of `keras_gud.datasets`.
        size: Edge of its images.
        steps: Training steps.
        batch_size: Of training.
        epoch: Steps of an epoch, after which training can be resumed.
        rate: Learning rate, falling as a cosine.
        backbone: The network.
        seeds: Number of networks of each variant.
        likelihoods: Number of held-out images whose likelihood is computed.
        samples: Number of samples for the Frechet distance.
        sampler_steps: Steps of the sampler.
    """

    dataset: str = "patches"
    size: int = 8
    steps: int = 3000
    batch_size: int = 128
    epoch: int = 250
    rate: float = 1e-3
    backbone: str = "small"
    seeds: int = 3
    likelihoods: int = 256
    samples: int = 2000
    sampler_steps: int = 50


QUICK = Setting(
    steps=4, batch_size=64, epoch=2, backbone="tiny", seeds=2, likelihoods=4, samples=64,
    sampler_steps=3,
)  # fmt: skip


def parse_arguments(description, name, default=None):
    """The command line of an experiment.

    Args:
        description: Its docstring.
        name: Its name, that of its folder in ``out``.
        default: Its own `Setting`.

    Returns:
        Pair of the `Setting` and the folder, which exists.
    """
    default = Setting() if default is None else default
    parser = argparse.ArgumentParser(description=description.splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="a few steps, to see it run")
    for field in dataclasses.fields(Setting):
        flag = "--" + field.name.replace("_", "-")
        parser.add_argument(flag, type=field.type, help=f"default: {getattr(default, field.name)}")
    parser.add_argument("--out", type=Path, default=Path("out"))
    given = vars(parser.parse_args())
    names = {field.name for field in dataclasses.fields(Setting)}
    setting = default
    if given["quick"]:
        setting = dataclasses.replace(QUICK, dataset=default.dataset, size=default.size)
    changes = {k: v for k, v in given.items() if k in names and v is not None}
    setting = dataclasses.replace(setting, **changes)
    folder = given["out"] / name
    folder.mkdir(parents=True, exist_ok=True)
    _same_setting(folder / "setting.json", setting)
    return setting, folder


def _same_setting(path, setting):
    """A folder holds the results of one setting."""
    now = dataclasses.asdict(setting)
    if path.exists() and (before := json.loads(path.read_text())) != now:
        changed = {k: (before.get(k), v) for k, v in now.items() if before.get(k) != v}
        raise SystemExit(
            f"Expected the setting that {path.parent} was begun with. Received other values "
            f"(before, now): {changed}. Choose another --out, or remove the folder."
        )
    path.write_text(json.dumps(now, indent=2))


def images(setting, split):
    """Training images, an epoch's worth, or held-out ones for likelihoods and as reference."""
    n = setting.epoch * setting.batch_size
    if split == "test":
        n = max(setting.likelihoods, setting.samples)
    size = None if setting.dataset == "digits" else setting.size
    if setting.dataset == "digits":
        n = None
    return keras_gud.datasets.load(setting.dataset, size=size, n=n, split=split)


def train(make, setting, folder, variant: str, seed: int):
    """A trained model, from the folder if it has been trained before.

    Args:
        make: Function that returns a `GUDModel`, not compiled.
        setting: The `Setting`.
        folder: Of the experiment.
        variant: Name of the model.
        seed: Of its weights, noise and order of the data.
    """
    path = folder / f"{variant}-{seed}.keras"
    if path.exists():
        return keras.saving.load_model(path)
    keras.utils.set_random_seed(seed)
    model = make()
    schedule = keras.optimizers.schedules.CosineDecay(setting.rate, setting.steps)
    model.compile(keras.optimizers.Adam(schedule))
    print(f"Training {variant}, seed {seed}: {setting.steps} steps of {setting.batch_size}.")
    data = images(setting, "train")
    per_epoch = -(-len(data) // setting.batch_size)
    backup = keras.callbacks.BackupAndRestore(folder / f"{variant}-{seed}-backup")
    model.fit(
        data,
        batch_size=setting.batch_size,
        epochs=max(1, setting.steps // per_epoch),
        callbacks=[backup, _TimeLeft()],
        verbose=0,
    )
    model.save(path)
    return model


class _TimeLeft(keras.callbacks.Callback):
    """One line for each epoch, with the time that is left."""

    def on_train_begin(self, logs=None):
        self.start, self.first = time.perf_counter(), None

    def on_epoch_end(self, epoch, logs=None):
        self.first = epoch if self.first is None else self.first
        done, total = epoch + 1, self.params["epochs"]
        pace = (time.perf_counter() - self.start) / (done - self.first)
        figures = ", ".join(f"{name} {value:.4f}" for name, value in logs.items())
        print(f"  epoch {done}/{total}: {figures}; {pace * (total - done):.0f} s left", flush=True)


class Results:
    """Rows of figures, written one by one, and not computed twice.

    Args:
        folder: Of the experiment.
    """

    def __init__(self, folder):
        self.path = folder / "results.jsonl"
        lines = self.path.read_text().splitlines() if self.path.exists() else []
        self.rows = [json.loads(line) for line in lines]

    def row(self, compute, **key):
        """The row of a key: that of an earlier run, or the dict that `compute` returns."""
        for row in self.rows:
            if all(row[name] == value for name, value in key.items()):
                return row
        row = key | compute()
        self.rows.append(row)
        with self.path.open("a") as file:
            file.write(json.dumps(row) + "\n")
        print("  " + ", ".join(f"{k} {_short(v)}" for k, v in row.items()), flush=True)
        return row

    def write_csv(self):
        """All rows as a table, beside the other file."""
        names = list(dict.fromkeys(name for row in self.rows for name in row))
        with self.path.with_suffix(".csv").open("w", newline="") as file:
            writer = csv.DictWriter(file, names)
            writer.writeheader()
            writer.writerows(self.rows)

    def over_seeds(self, figure: str, **key):
        """Mean of a figure over the rows of a key, and its standard error."""
        values = [
            row[figure]
            for row in self.rows
            if all(row[name] == value for name, value in key.items())
        ]
        error = np.std(values, ddof=1) / np.sqrt(len(values)) if len(values) > 1 else np.nan
        return float(np.mean(values)), float(error)

    def panels(self, variants, parameter: str, values) -> dict:
        """Likelihood and sample quality of each variant over a parameter, for `plots.scan`."""
        figures = {"bits_per_dim": "bits/dim", "frechet": "Frechet distance"}
        return {
            title: {
                variant: np.transpose(
                    [self.over_seeds(name, variant=variant, **{parameter: v}) for v in values]
                )
                for variant in variants
            }
            for name, title in figures.items()
        }


def _short(value):
    return f"{value:.4g}" if isinstance(value, float) else value


def scan(variants, points, setting, folder) -> Results:
    """Trains every variant with every seed, and evaluates each model at every point.

    Args:
        variants: Dict from a name to a function that returns a model.
        points: List of parameters of the schedule, a dict each.
        setting: The `Setting`.
        folder: Of the experiment.
    """
    held_out, results = images(setting, "test"), Results(folder)
    features = metrics.Features(filter_features, "random-conv-24")
    reference = features.statistics(held_out, f"{setting.dataset} (test)")
    judge = functools.partial(quality, setting, held_out, features, reference)
    for variant, make in variants.items():
        for seed in range(setting.seeds):
            model = train(make, setting, folder, variant, seed)
            for point in points:
                compute = functools.partial(judge, model, seed, **point)
                results.row(compute, variant=variant, seed=seed, **point)
    results.write_csv()
    return results


def quality(setting, held_out, features, reference, model, seed: int, **params) -> dict:
    """Bits per dimension, and the distances of samples to held-out images.

    Args:
        setting: The `Setting`.
        held_out: Held-out images.
        features: The `metrics.Features` of the Frechet distance.
        reference: Their statistics over the held-out images.
        model: A trained model.
        seed: Of the samples.
        **params: Parameters of the schedule.
    """
    bits = model.bits_per_dim(held_out[: setting.likelihoods], probes=3, **params)
    samples = model.sample(setting.samples, steps=setting.sampler_steps, seed=seed, **params)
    distance = metrics.frechet_distance(features.statistics(samples), reference)
    spectrum = metrics.spectrum_distance(samples, held_out)
    return {
        "bits_per_dim": float(bits.mean()),
        "frechet": distance.value,
        "spectrum": spectrum.value,
        "frechet_protocol": distance.protocol,
    }


def filter_features(x):
    """Means and spreads of 12 random 3x3 filters of unit norm, ``(batch, 24)``: no download."""
    rng = np.random.default_rng(0)
    channels = x.shape[-1]
    filters = rng.normal(size=(3, 3, channels, 12))
    filters[..., ::2] -= filters[..., ::2].mean(axis=(0, 1), keepdims=True)
    filters /= np.sqrt((filters**2).sum(axis=(0, 1, 2), keepdims=True))
    ops = keras.ops
    y = ops.relu(ops.conv(x / 255.0 - 0.5, ops.convert_to_tensor(filters, "float32")))
    return ops.concatenate([ops.mean(y, axis=(1, 2)), ops.std(y, axis=(1, 2))], axis=-1)
