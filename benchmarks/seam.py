"""The seam of periodic data: networks that are told of it beside those that are not.

Free fields on a periodic lattice, whose correlations are known, are learned by networks with zeros
beyond the ends and by periodic ones, for as many steps. Printed is the correlation of neighbours
inside of samples and across the seam, between the last and the first row and column.

    python benchmarks/seam.py --steps 1000
"""

import argparse
import os
import time

os.environ.setdefault("KERAS_BACKEND", "jax")

import numpy as np

import keras_gud
from keras_gud import backbones

MASS_SQUARED = 0.1
BATCH = 64


def spectrum(size):
    """The variance of each wave number, 1/(m^2 + k^2) with the lattice's k^2."""
    k = 2.0 - 2.0 * np.cos(2.0 * np.pi * np.arange(size) / size)
    return 1.0 / (MASS_SQUARED + k[:, None] + k[None, :])


def free_fields(size, n, seed):
    """Exact draws, float32 ``(n, size, size, 1)``."""
    noise = np.random.default_rng(seed).normal(size=(n, size, size))
    fields = np.fft.ifft2(np.fft.fft2(noise) * np.sqrt(spectrum(size))).real
    return fields[..., None].astype("float32")


def expected_correlation(size):
    """That of neighbours, by the propagator."""
    propagator = np.fft.ifft2(spectrum(size)).real
    return propagator[0, 1] / propagator[0, 0]


def correlations(fields):
    """That of neighbours inside and across the seam, with standard errors, over both axes."""
    n, size = fields.shape[:2]
    x = fields[..., 0] - fields.mean()
    products = [np.moveaxis(x * np.roll(x, -1, axis), axis, -1) for axis in (1, 2)]
    along = np.mean(products, axis=(0, 2)) / np.mean(x**2)  # (n, size), the last across the seam
    found = {}
    for name, part in {"inside": along[:, : size - 1], "seam": along[:, size - 1 :]}.items():
        of_sample = part.mean(axis=1)
        found[name] = of_sample.mean(), of_sample.std() / n**0.5
    return found


def report(name, fields, note=""):
    found = correlations(fields)
    texts = [f"{key} {value:.3f} +- {error:.3f}" for key, (value, error) in found.items()]
    print(f"{name}: {', '.join(texts)}{note}", flush=True)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--size", type=int, default=16)
    parser.add_argument("--steps", type=int, default=1000)
    parser.add_argument("--samples", type=int, default=2000)
    parser.add_argument("--networks", nargs="+", default=["tiny", "dit-tiny"])
    arguments = parser.parse_args()
    fields = free_fields(arguments.size, BATCH * 60, seed=0)
    print(f"expected: {expected_correlation(arguments.size):.3f}")
    report("data", fields)
    for name in arguments.networks:
        for boundary in ("zero", "periodic"):
            network = backbones.get(name, fields.shape[1:], boundary=boundary)
            model = keras_gud.GUD(backbone=network, seed=0)
            start = time.process_time()
            epochs = max(1, arguments.steps * BATCH // len(fields))
            model.fit(fields, batch_size=BATCH, epochs=epochs, verbose=0)
            seconds = time.process_time() - start
            loss, linear = model.evaluate(free_fields(arguments.size, 512, seed=1), verbose=0)
            note = f"; held-out loss / linear {loss / linear:.3f}, {seconds:.0f} s of CPU"
            samples = model.sample(arguments.samples, steps=50, seed=0)
            report(f"{name}, {boundary}", samples, note)


if __name__ == "__main__":
    main()
