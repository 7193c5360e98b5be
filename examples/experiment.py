"""What the experiments of the paper have in common: settings, data, training that resumes.

An experiment trains one model for each of its variants and seeds, and evaluates each at several
parameters of its family. Everything is kept in the folder of the experiment: interrupted and
started again with the same arguments it goes on from the last finished epoch, and from the last
finished row of results.
"""

import argparse
import dataclasses
import json
import os
import time
from pathlib import Path

import keras

from keras_gud import datasets


@dataclasses.dataclass(frozen=True)
class Setting:
    """How large an experiment is.

    Attributes:
        dataset: Name of a data set of `keras_gud.datasets`.
        size: Edge of its images.
        steps: Training steps.
        batch_size: Of training.
        epoch: Steps of an epoch, after which training can be resumed; of prepared data sets it is
            one pass over them.
        rate: Learning rate at first.
        final_rate: At last, as a fraction of it, to which it falls as a cosine.
        backbone: The network.
        seeds: Number of networks of each variant.
        likelihoods: Number of held-out images whose likelihood is computed.
        probes: Random vectors of its estimate of the divergence.
        samples: Number of samples for the Frechet distance.
        sampler: Name of their sampler.
        sampler_steps: Its steps.
        inception: 1 to judge samples by the published FID, 0 by features without download.
    """

    dataset: str = "patches"
    size: int = 8
    steps: int = 4000
    batch_size: int = 64
    epoch: int = 250
    rate: float = 1e-3
    final_rate: float = 0.0
    backbone: str = "tiny"
    seeds: int = 3
    likelihoods: int = 256
    probes: int = 1
    samples: int = 2000
    sampler: str = "dpm++sde"
    sampler_steps: int = 25
    inception: int = 0


QUICK = Setting(steps=4, epoch=2, seeds=2, likelihoods=4, samples=64, sampler_steps=3)

# Appendix B.
PAPER = Setting(
    dataset="cifar10", size=32, steps=300_000, batch_size=128, rate=5e-4, final_rate=1.0,
    backbone="base", seeds=1, likelihoods=6144, probes=3, samples=50_000,
    sampler="euler_maruyama", sampler_steps=1000, inception=1,
)  # fmt: skip

# CelebA-HQ comes without held-out images.
_SPLITS = {"celeb_a_hq": {"train": "train[:90%]", "test": "train[90%:]"}}


def parse_arguments(description, name, default=None, paper=PAPER):
    """The command line of an experiment.

    Args:
        description: Its docstring.
        name: Its name, that of its folder in ``out``.
        default: Its own `Setting`.
        paper: That of the paper.

    Returns:
        Pair of the `Setting` and the folder, which exists.
    """
    default = Setting() if default is None else default
    parser = argparse.ArgumentParser(description=description.splitlines()[0])
    how = parser.add_mutually_exclusive_group()
    how.add_argument("--quick", action="store_true", help="a few steps, to see it run")
    how.add_argument("--paper", action="store_true", help="the paper's setting, for a GPU")
    for field in dataclasses.fields(Setting):
        flag, value = "--" + field.name.replace("_", "-"), getattr(default, field.name)
        text = f"{value}; --paper: {getattr(paper, field.name)}"
        parser.add_argument(flag, type=field.type, help=text, metavar="")
    parser.add_argument("--out", type=Path, default=Path("out"), metavar="")
    given = vars(parser.parse_args())
    setting = default
    if given["quick"]:
        setting = dataclasses.replace(QUICK, dataset=default.dataset, size=default.size)
    elif given["paper"]:
        setting = paper
    names = {field.name for field in dataclasses.fields(Setting)}
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


def _load(setting, split: str, **kwargs):
    size = None if setting.dataset == "digits" else setting.size
    split = _SPLITS.get(setting.dataset.split("/")[0], {}).get(split, split)
    return datasets.load(setting.dataset, split, size, **kwargs)


def images(setting, split: str, n: int | None = None):
    """An array of n images; without a number as many as the held-out ones that are needed."""
    if n is None:
        n = setting.likelihoods if setting.inception else max(setting.likelihoods, setting.samples)
    return _load(setting, split, n=None if setting.dataset == "digits" else n)


def training_images(setting, **kwargs):
    """What a model is trained on: crops of an epoch, as an array, or batches of a whole set."""
    if setting.dataset == "digits":
        return _load(setting, "train")
    if setting.dataset in datasets.offline.NAMES:
        return _load(setting, "train", n=setting.epoch * setting.batch_size)
    return _load(setting, "train", batch_size=setting.batch_size, **kwargs)


def train(make, setting, folder, variant: str, seed: int, data=None):
    """A trained model, from the folder if it has been trained before.

    Args:
        make: Function that returns a `GUDModel`, not compiled.
        setting: The `Setting`.
        folder: Of the experiment.
        variant: Name of the model.
        seed: Of its weights, noise and order of the data.
        data: What it is trained on; default: `training_images`.
    """
    path = folder / f"{variant}-{seed}.keras"
    if path.exists():
        return keras.saving.load_model(path)
    keras.utils.set_random_seed(seed)
    model = make()
    schedule = keras.optimizers.schedules.CosineDecay(
        setting.rate, setting.steps, alpha=setting.final_rate
    )
    model.compile(keras.optimizers.Adam(schedule))
    print(f"Training {variant}, seed {seed}: {setting.steps} steps of {setting.batch_size}.")
    data = training_images(setting, seed=seed) if data is None else data
    stream = isinstance(data, datasets.Stream)
    per_epoch = len(data) if stream else -(-len(data) // setting.batch_size)
    backup = folder / f"{variant}-{seed}-backup"
    model.fit(
        data,
        batch_size=None if stream else setting.batch_size,
        epochs=max(1, setting.steps // per_epoch),
        callbacks=[
            keras.callbacks.BackupAndRestore(backup, double_checkpoint=True),
            _TimeLeft(),
        ],
        verbose=0,
    )
    # A file with this name is a whole one.
    unfinished = path.with_stem(f"{path.stem}-unfinished")
    model.save(unfinished)
    os.replace(unfinished, path)
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
