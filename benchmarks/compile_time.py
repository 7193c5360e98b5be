"""What jax compiles from a model's creation to its first samples: how many programs, and how long.

Run with ``python benchmarks/compile_time.py small`` (images of 28x28, batches of 64) or ``tiny``
(volumes of 8x12x10, batches of 16), each in a new process. Seconds of the processor beside those of
the clock: on a machine that does other work too, only the former say much.
"""

import argparse
import logging
import os
import re
import time

os.environ["KERAS_BACKEND"] = "jax"

import jax
import keras
import numpy as np

import keras_gud

COMPILED = re.compile(r"Finished XLA compilation of (?:jit\()?(\w+)\)? in ([\d.e-]+) sec")
# Shape of an example, arguments of the model, batch; four batches and a part of one.
CASES = {
    "small": ((28, 28, 1), {}, 64),
    "tiny": ((8, 12, 10, 1), {"backbone": "tiny"}, 16),
}


class Programs(logging.Handler):
    """The programs that jax says it has compiled: pairs of name and seconds."""

    def __init__(self):
        super().__init__(logging.DEBUG)
        self.found = []
        jax.config.update("jax_log_compiles", True)
        for name in ("jax._src.dispatch", "jax._src.interpreters.pxla"):
            logger = logging.getLogger(name)
            logger.addHandler(self)
            logger.propagate = False

    def emit(self, record):
        """Keeps what is about a program."""
        match = COMPILED.match(record.getMessage())
        if match:
            self.found.append((match[1], float(match[2])))


class FirstStep(keras.callbacks.Callback):
    """The time of the processor when the first step has been taken."""

    at = None

    def on_train_batch_end(self, batch, logs=None):
        """Notes it."""
        self.at = self.at or time.process_time()


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("case", choices=CASES)
    shape, given, batch = CASES[parser.parse_args().case]
    x = np.random.default_rng(0).integers(0, 256, (4 * batch + batch // 3, *shape), "uint8")
    programs, first = Programs(), FirstStep()
    model = keras_gud.GUD(seed=0, **given)
    stages = {
        "adapt and build": lambda: model.adapt(x, verbose=0),
        "first epoch": lambda: model.fit(x, batch_size=batch, callbacks=[first], verbose=0),
        "second epoch": lambda: model.fit(x, batch_size=batch, verbose=0),
        "first samples": lambda: model.sample(4, seed=0),
        "again": lambda: model.sample(4, seed=0),
    }
    begun = time.process_time()
    print("| stage | programs | processor, s | clock, s | the longest, s |\n|---|---|---|---|---|")
    for name, run in stages.items():
        before, clock, processor = len(programs.found), time.perf_counter(), time.process_time()
        run()
        spent = time.process_time() - processor, time.perf_counter() - clock
        new = sorted(programs.found[before:], key=lambda each: -each[1])
        longest = ", ".join(f"{name} {seconds:.1f}" for name, seconds in new[:3])
        print(f"| {name} | {len(new)} | {spent[0]:.1f} | {spent[1]:.1f} | {longest} |", flush=True)
    print(f"\nUntil the first step: {first.at - begun:.1f} s of the processor.")


if __name__ == "__main__":
    main()
