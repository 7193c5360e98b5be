"""Two latents of one image, of its texture and of its meaning: which should be generated first?

Handwritten digits are encoded twice: by an autoencoder, whose decoder makes the images, and by the
last feature maps of a classifier. One network learns both latents with every offset between them,
from "meaning first" over "together" to "texture first". It is judged by its bound on the latents of
held-out images and by the Frechet distance of decoded samples, in the features of another
classifier, beside a network of the autoencoder's latents alone.
"""

import os

os.environ.setdefault("KERAS_BACKEND", "jax")

import argparse
import time
from pathlib import Path

import keras
import numpy as np
import quick
from keras import layers

import keras_gud
from keras_gud import datasets, metrics, plots, schedules

# The first stream is the texture: a negative offset generates the meaning first.
PATHS = {"meaning first": -0.5, "meaning ahead": -0.25, "together": 0.0}
PATHS |= {"texture ahead": 0.25, "texture first": 0.5}
ENDS = (-0.5, 0.5)
# Of each path: held-out latents, draws of each one's bound, draws of samples.
BOUNDS, DRAWS, SAMPLE_SEEDS = 256, 4, 2


def parse_arguments():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--train", type=int, default=None, help="digits to train on; all")
    parser.add_argument("--epochs", type=int, default=8, help="of encoders and classifiers")
    parser.add_argument("--steps", type=int, default=1500, help="of each network")
    parser.add_argument("--samples", type=int, default=500, help="drawn of each path, twice")
    parser.add_argument("--sampler-steps", type=int, default=32)
    parser.add_argument("--paths", nargs="*", choices=PATHS, default=list(PATHS))
    parser.add_argument("--backbone", default="tiny")
    parser.add_argument("--seeds", type=int, default=3, help="networks of each kind")
    parser.add_argument("--out", type=Path, default=Path("out"))
    small = {"train": 64, "epochs": 1, "steps": 2, "samples": 40, "sampler_steps": 2, "seeds": 1}
    return quick.parse_arguments(parser, **small, paths=["together"])


def train_autoencoder(scaled, epochs):
    """Encoder of 28x28x1 to 7x7x4, and decoder."""
    down = {"strides": 2, "padding": "same"}
    encoder = keras.Sequential(
        [layers.Conv2D(16, 3, activation="silu", **down), layers.Conv2D(4, 3, **down)]
    )
    decoder = keras.Sequential(
        [
            layers.Conv2DTranspose(32, 3, activation="silu", **down),
            layers.Conv2DTranspose(1, 3, **down),
        ]
    )
    both = keras.Sequential([encoder, decoder])
    both.compile(keras.optimizers.Adam(3e-3), "mse")
    both.fit(scaled, scaled, epochs=epochs, batch_size=64, verbose=0)
    return encoder, decoder


def train_classifier(scaled, labels, epochs):
    """Its feature maps, 7x7x4, its features, 32 numbers, and its logits."""
    inputs = keras.Input(scaled.shape[1:])
    x = layers.Conv2D(16, 3, 2, "same", activation="silu")(inputs)
    maps = layers.Conv2D(4, 3, 2, "same", activation="tanh")(x)
    features = layers.Dense(32, activation="silu")(layers.Flatten()(maps))
    logits = layers.Dense(10)(layers.Dropout(0.3)(features))
    classifier = keras.Model(inputs, logits)
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    classifier.compile(keras.optimizers.Adam(2e-3), loss)
    classifier.fit(scaled, labels, epochs=epochs, batch_size=64, verbose=0)
    return [keras.Model(inputs, part) for part in (maps, features, logits)]


def to_unit(images):
    """8-bit images as encoders are given them."""
    return (images.astype("float32") + 0.5) / 128.0 - 1.0


def fit(model, images, steps, seed):
    """Trains for so many steps of 64."""
    epochs = max(1, steps * 64 // len(images))
    rate = keras.optimizers.schedules.CosineDecay(2e-3, epochs * -(-len(images) // 64))
    model.compile(keras.optimizers.Adam(rate))
    start = time.perf_counter()
    model.fit(images, epochs=epochs, batch_size=64, verbose=0)
    print(f"network {seed}: {epochs} epochs in {time.perf_counter() - start:.0f} s", flush=True)
    return model


class Judge:
    """What samples and a bound say of a path."""

    def __init__(self, held_out, features, logits, samples, steps):
        self.held_out, self.logits, self.samples, self.steps = held_out, logits, samples, steps
        extractor = metrics.Features(lambda x: features((x + 0.5) / 128.0 - 1.0), "classifier-32")
        self.statistics = extractor.statistics
        self.reference = extractor.statistics(held_out, "held-out digits")

    def frechet(self, images):
        """Distance to the held-out images."""
        return metrics.frechet_distance(self.statistics(images), self.reference).value

    def sure(self, images):
        """The share of images that the classifier is sure of, by more than 0.9."""
        logits = self.logits.predict(to_unit(images), verbose=0)
        return float((np.exp(logits - logits.max(1, keepdims=True)).sum(1) < 1 / 0.9).mean())

    def __call__(self, model, name, seed, **path):
        """A row: the bound in bits/dim, the gap of few steps, and the samples' figures."""
        alone, latents = model.diffusion(), model.to_latents(self.held_out[:BOUNDS])
        bits = alone.elbo(latents, draws=DRAWS, **path)["bits_per_dim"].mean()
        cost = model.path_cost(self.held_out, times=16, examples=64, **path)
        gap = cost.gap(self.steps) / np.log(2.0) / latents[0].size
        seeds = range(SAMPLE_SEEDS)
        drawn = [model.sample(self.samples, steps=self.steps, seed=s, **path) for s in seeds]
        figures = {
            "bits": float(bits),
            "gap": gap,
            "frechet": float(np.mean([self.frechet(x) for x in drawn])),
            "sure": float(np.mean([self.sure(x) for x in drawn])),
        }
        print(f"  {name}:", ", ".join(f"{k} {v:.4g}" for k, v in figures.items()), flush=True)
        return {"path": name, "seed": seed, **figures}


def print_table(rows):
    """Means over networks, and standard errors where there are several."""
    names = ("bits", "gap", "frechet", "sure")
    print("\n| path | " + " | ".join(names) + " |\n|---|" + "---|" * len(names))
    for path in dict.fromkeys(row["path"] for row in rows):
        cells = []
        for name in names:
            values = [row[name] for row in rows if row["path"] == path]
            error = np.std(values, ddof=1) / np.sqrt(len(values)) if len(values) > 1 else np.nan
            cells.append(f"{np.mean(values):.3f} +- {error:.3f}")
        print(f"| {path} | {' | '.join(cells)} |")


def train_texture(judge, encoder, decoder, images, given, seed):
    """The row of a network of the autoencoder's latents alone."""
    parts = {"backbone": given.backbone, "seed": seed}
    model = keras_gud.LatentGUD(encoder, decoder, **parts)
    fit(model, images, given.steps, seed)
    if not seed:
        decoded = model.from_latents(model.to_latents(judge.held_out))
        figures = f"frechet {judge.frechet(decoded):.4g}, sure {judge.sure(decoded):.4g}"
        print("  held-out digits, decoded:", figures)
    return judge(model, "texture alone", seed)


def train_both(encoders, decoder, images, given, seed):
    """One network of both latents, with every offset between them."""
    paths = schedules.Staggered("cosine", offset=ENDS)
    parts = {"backbone": given.backbone, "seed": seed}
    model = keras_gud.LatentGUD(encoders, decoder, schedule=paths, **parts)
    return fit(model, images, given.steps, seed)


def find_path(model, images, given):
    """What `optimize_path` finds, a schedule; prints it."""
    how = {"objective": "model", "knots": 8, "examples": 32}
    best = model.optimize_path(images[:256], steps=given.sampler_steps, **how)
    gamma = best(np.linspace(0, 1, 9)).gamma
    gamma = np.reshape(keras.ops.convert_to_numpy(gamma), (9, -1))[:, [0, -1]]
    print("  found, gamma of texture and meaning:", np.round(gamma, 1).tolist())
    return best


def main():
    given = parse_arguments()
    folder = given.out / "streams"
    folder.mkdir(parents=True, exist_ok=True)
    keras.utils.set_random_seed(0)
    images, labels = datasets.load("mnist-5000", "train", n=given.train, labels=True)
    held_out = datasets.load("mnist-5000", "test", n=given.train)
    encoder, decoder = train_autoencoder(to_unit(images), given.epochs)
    maps, _, _ = train_classifier(to_unit(images), labels, given.epochs)
    _, features, logits = train_classifier(to_unit(images), labels, given.epochs)
    judge = Judge(held_out, features, logits, given.samples, given.sampler_steps)
    rows, drawn = [], {}
    for seed in range(given.seeds):
        rows.append(train_texture(judge, encoder, decoder, images, given, seed))
        encoders = {"texture": encoder, "meaning": maps}
        model = train_both(encoders, decoder, images, given, seed)
        for name in given.paths:
            path = {"offset": PATHS[name]}
            rows.append(judge(model, name, seed, **path))
            drawn[name] = model.sample(12, steps=given.sampler_steps, seed=0, **path)
        if not given.quick:
            best = find_path(model, images, given)
            rows.append(judge(model, "found", seed, schedule=best))
    print_table(rows)
    plots.image_table(np.stack(list(drawn.values())), list(drawn)).savefig(folder / "streams.png")
    print(f"wrote {folder / 'streams.png'}")


if __name__ == "__main__":
    main()
