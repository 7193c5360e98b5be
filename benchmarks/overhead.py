"""What the library adds to the arithmetic: fit against a bare step, sampling against N forwards.

Run with ``KERAS_BACKEND=jax python benchmarks/overhead.py``; ``make bench`` runs all backends.
Steady state, whole batches, compilation excluded. The two sides of each ratio are timed in turn,
round by round, so that a change in the machine's speed hits both; the table gives medians and the
spread (quartiles) of the per-round ratios.
"""

import argparse
import os
import platform
import resource

os.environ.setdefault("KERAS_BACKEND", "jax")

import keras
import numpy as np
from bare_step import make_bare_step
from timing import time_in_turn

import keras_gud


def build(arguments):
    """A small model on random images, adapted."""
    rng = np.random.default_rng(0)
    n = arguments.batch * arguments.steps
    x = rng.integers(0, 256, (n, arguments.size, arguments.size, 1)).astype("uint8")
    model = keras_gud.GUD(
        basis="haar", schedule="hierarchical", backbone=arguments.backbone, seed=0
    )
    model.adapt(x[:1024], verbose=0)  # `fit` compiles with its defaults
    return model, x


def report(name, ours, theirs, count, what):
    """One row of the table: milliseconds per `what` on both sides, and their ratio."""
    low, middle, high = np.percentile(ours / theirs, [25, 50, 75])
    ms = [1e3 * np.median(side) / count for side in (ours, theirs)]
    print(
        f"| {keras.backend.backend()} | {name} | {ms[0]:.2f} | {ms[1]:.2f} | "
        f"{middle:.3f} ({low:.3f} to {high:.3f}) | {what} |",
        flush=True,
    )


def time_fit(model, x, arguments):
    """`fit` over an epoch against as many bare steps of the same loss on the same batches."""
    batches = x.reshape(-1, arguments.batch, *x.shape[1:])
    step = make_bare_step(model)

    def bare():
        for batch in batches:
            loss = step(batch)
        float(loss)

    def fit():
        model.fit(x, batch_size=arguments.batch, epochs=1, shuffle=False, verbose=0)

    # The bare step has its own copy of the weights, so the two cannot disturb each other.
    bare(), fit()
    times = time_in_turn({"fit": fit, "bare": bare}, arguments.rounds)
    report("fit vs bare step", times["fit"], times["bare"], len(batches), "step")


def make_forwards(model, n, steps):
    """As many compiled forwards of the network on n examples; waits for the last one."""
    from keras_gud import backend

    y = np.random.default_rng(0).normal(size=(n, *model.data_shape)).astype("float32")
    y = keras.ops.convert_to_tensor(y)
    tokens = model.tokens(model.schedule(0.5).gamma)
    tokens = keras.ops.broadcast_to(tokens, (n, *tokens.shape[1:]))
    variables = [*model.network.variables, *model.ema.variables]

    def forward(values, y, tokens):
        with keras.StatelessScope(state_mapping=list(zip(variables, values, strict=True))):
            return model.ema.call_network(model.network, [y, tokens])

    compiled = backend.compile(forward)
    values = [v.value for v in variables]

    def forwards():
        for _ in range(steps):
            out = compiled(values, y, tokens)
        keras.ops.convert_to_numpy(out)

    return forwards


def time_sampling(model, arguments):
    """The sampling loop against as many forwards of the network with the same weights."""
    steps, n = arguments.sampler_steps, arguments.batch
    forwards = make_forwards(model, n, steps)

    def sample():
        sampler(model.denoiser, model.schedule, n, steps=steps)

    sampler = keras_gud.samplers.get("euler_maruyama")
    forwards(), sample()
    times = time_in_turn({"sample": sample, "forwards": forwards}, arguments.rounds)
    pair = times["sample"], times["forwards"]
    report("sampling loop vs N forwards", *pair, steps, "sampler step")


def measure_memory(model, arguments):
    """Peak memory of this process after sampling with more and more steps."""
    model.sample(4, steps=2, seed=0)
    start = peak_mebibytes()
    for steps in arguments.memory_steps:
        model.sample(4, steps=steps, seed=0)
        print(f"| {keras.backend.backend()} | {steps} | {peak_mebibytes() - start:+.1f} |")


def peak_mebibytes() -> float:
    """The largest resident set that this process has had so far."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--size", type=int, default=16)
    parser.add_argument("--batch", type=int, default=64)
    parser.add_argument("--backbone", default="small")
    parser.add_argument("--steps", type=int, default=20, help="training steps per round")
    parser.add_argument("--sampler-steps", type=int, default=50)
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--memory-steps", type=int, nargs="*", default=[10, 100, 1000])
    arguments = parser.parse_args()
    print(
        f"{platform.processor() or platform.machine()}, {os.cpu_count()} cores, Python "
        f"{platform.python_version()}, keras {keras.__version__}, {keras.backend.backend()} "
        f"{backend_version()}; {arguments.size}x{arguments.size}x1, batch {arguments.batch}, "
        f"backbone {arguments.backbone}\n"
    )
    print("| backend | what | ours, ms | theirs, ms | ratio (quartiles) | per |")
    print("|---|---|---|---|---|---|")
    model, x = build(arguments)
    time_fit(model, x, arguments)
    time_sampling(model, arguments)
    print("\n| backend | sampler steps | growth of peak memory, MiB |\n|---|---|---|")
    measure_memory(model, arguments)


def backend_version() -> str:
    from importlib.metadata import version

    return version(keras.backend.backend())


if __name__ == "__main__":
    main()
