"""What the experiments of the paper measure: likelihood and sample quality, kept row by row."""

import csv
import functools
import json
import time

import experiment
import keras
import numpy as np

from keras_gud import metrics


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
        start = time.perf_counter()
        row = key | compute()
        self.rows.append(row)
        with self.path.open("a") as file:
            file.write(json.dumps(row) + "\n")
        figures = ", ".join(f"{k} {_short(v)}" for k, v in row.items())
        print(f"  {figures}; {time.perf_counter() - start:.0f} s", flush=True)
        return row

    def write_csv(self):
        """All rows as a table, beside the other file."""
        names = list(dict.fromkeys(name for row in self.rows for name in row))
        with self.path.with_suffix(".csv").open("w", newline="") as file:
            writer = csv.DictWriter(file, names)
            writer.writeheader()
            writer.writerows(self.rows)

    def select(self, **key):
        """The rows of a key, in the order in which they were computed."""
        return [row for row in self.rows if all(row[name] == value for name, value in key.items())]

    def over_seeds(self, figure: str, **key):
        """Mean of a figure over the rows of a key, and its standard error; NaN without rows."""
        values = [row[figure] for row in self.select(**key)]
        if not values:
            return np.nan, np.nan
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
        points: List of parameters of the schedule, a dict each; or a dict of such lists, one for
            each variant.
        setting: The `experiment.Setting`.
        folder: Of the experiment.
    """
    judge, results = Judge(setting), Results(folder)
    for variant, make in variants.items():
        own = points[variant] if isinstance(points, dict) else points
        for seed in range(setting.seeds):
            model = experiment.train(make, setting, folder, variant, seed)
            for point in own:
                compute = functools.partial(judge, model, seed, **point)
                results.row(compute, variant=variant, seed=seed, **point)
    results.write_csv()
    return results


class Judge:
    """Likelihood of held-out images, and distances of samples to them.

    Args:
        setting: The `experiment.Setting`.
    """

    def __init__(self, setting):
        self.setting = setting
        self.held_out = experiment.images(setting, "test")
        if not setting.inception:
            # Of data that are no images the filters see the values as they are.
            unit = 1.0 if self.held_out.dtype.kind == "f" else 255.0
            extractor = functools.partial(filter_features, unit=unit)
            self.features = metrics.Features(extractor, "random-conv-24")
            self.reference = self.features.statistics(self.held_out, f"{setting.dataset} (test)")

    def __call__(self, model, seed: int, **params) -> dict:
        """Figures of a trained model; the samples' seed, and parameters of the schedule."""
        setting = self.setting
        held_out = self.held_out[: setting.likelihoods]
        bits = model.bits_per_dim(held_out, probes=setting.probes, **params)
        how = {"steps": setting.sampler_steps, "sampler": setting.sampler, "seed": seed}
        samples = model.sample(setting.samples, **how, **params)
        distance = self.frechet(samples)
        return {
            "bits_per_dim": float(bits.mean()),
            "frechet": distance.value,
            "spectrum": metrics.spectrum_distance(samples, self.held_out).value,
            "frechet_protocol": distance.protocol,
        }

    def frechet(self, samples):
        """Distance of samples to the held-out images."""
        if not self.setting.inception:
            return metrics.frechet_distance(self.features.statistics(samples), self.reference)
        name = self.setting.dataset
        # The reference of published figures is the training images.
        known = name == "cifar10"
        reference = "cifar10-train" if known else experiment.training_images(self.setting)
        return metrics.fid_and_kid(samples, reference, "fid", data=f"{name} (train)")["fid"]


def filter_features(x, unit=255.0):
    """Means and spreads of 12 random 3x3 filters of unit norm, ``(batch, 24)``: no download."""
    rng = np.random.default_rng(0)
    channels = x.shape[-1]
    filters = rng.normal(size=(3, 3, channels, 12))
    filters[..., ::2] -= filters[..., ::2].mean(axis=(0, 1), keepdims=True)
    filters /= np.sqrt((filters**2).sum(axis=(0, 1, 2), keepdims=True))
    ops = keras.ops
    y = ops.relu(ops.conv(x / unit - 0.5, ops.convert_to_tensor(filters, "float32")))
    return ops.concatenate([ops.mean(y, axis=(1, 2)), ops.std(y, axis=(1, 2))], axis=-1)
