"""What every file here trains: the model code does not know how many devices there are."""

import argparse
import json
from pathlib import Path

import keras

import keras_gud

OUT = Path("out/distributed")


def arguments(description: str) -> argparse.ArgumentParser:
    """The options that all engines share."""
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument("--out", type=Path, default=OUT, help="folder for results")
    parser.add_argument("--quick", action="store_true", help="a tiny network for a moment")
    return parser


def build(quick: bool) -> keras_gud.GUD:
    """A model of handwritten digits; the seeds make every run, however divided, the same run."""
    keras.utils.set_random_seed(0)
    network = keras_gud.backbones.UNet(widths=(8,), blocks=1) if quick else "small"
    model = keras_gud.GUD(basis="haar", schedule="hierarchical", backbone=network, seed=0)
    model.compile(keras.optimizers.SGD(0.05, momentum=0.9))
    return model


def run(model, out: Path, quick: bool) -> dict:
    """Trains, evaluates, samples; every process gets the same results."""
    images = keras_gud.datasets.load("digits")[: 64 if quick else 1536]
    epochs, batch_size, steps = (2, 16, 4) if quick else (20, 128, 32)
    history = model.fit(images, batch_size=batch_size, epochs=epochs, verbose=0 if quick else 2)
    loss, linear_loss = model.evaluate(images, batch_size=batch_size, verbose=0)
    samples = model.sample(6, steps=steps, seed=0)
    bits = model.bits_per_dim(images[:2], rtol=1e-3, atol=1e-3)
    results = {
        "losses": history.history["loss"],
        "evaluated": loss,
        "linear": linear_loss,
        "bits": bits.tolist(),
        "samples": samples.astype(int).ravel().tolist(),
    }
    out.mkdir(parents=True, exist_ok=True)
    (out / "results.json").write_text(json.dumps(results))
    model.save(out / "model.keras")
    return results
