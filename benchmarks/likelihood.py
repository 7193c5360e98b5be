"""Likelihoods: how exact, how many evaluations, and what they cost.

Run with ``KERAS_BACKEND=jax python benchmarks/likelihood.py``. Errors are against closed forms,
without a network. The adaptive solver is compared with diffrax (jax only, extra `bench`): same
field, network, start, tolerance and controller, both compiled, timed in turn. Costs are in units of
a forward of the same denoiser, compiled in the same way.
"""

import argparse
import os

os.environ.setdefault("KERAS_BACKEND", "jax")

import keras
import numpy as np
from flow_cost import build, cost, ratio, spectrum
from keras import ops
from timing import time_in_turn

from keras_gud import backend, bases, likelihood, oracle, samplers, schedules
from keras_gud.core import counter_rng

SIDE = 4
NATS_PER_BIT = SIDE**2 * np.log(2.0)


def cases() -> dict:
    """Oracles of 16 correlated components, and schedules."""
    shape = (SIDE, SIDE, 1)
    unit = np.eye(SIDE**2).reshape(-1, SIDE, SIDE)
    root = np.fft.ifft2(np.fft.fft2(unit) * spectrum(SIDE)).real.reshape(SIDE**2, -1)
    other = np.random.default_rng(1).normal(size=root.shape)
    covariance = root @ root.T / np.mean(root**2) / SIDE**2 + 0.02 * other @ other.T
    covariance = (covariance + covariance.T) / 2.0
    sequential = {"over": "column"}
    rows = {
        "linear a=1, fourier": ("fourier", schedules.Linear(a=1.0), False),
        "linear a=1, fourier, whitened": ("fourier", schedules.Linear(a=1.0), True),
        "linear a=1.6, fourier": ("fourier", schedules.Linear(a=1.6), False),
        "sequential b=0.5, pixel": ("pixel", schedules.Sequential(b=0.5, **sequential), False),
        "sequential b=0.9, pixel": ("pixel", schedules.Sequential(b=0.9, **sequential), False),
        "hierarchical, haar": ("haar", schedules.Hierarchical(), False),
        "cosine, dct": ("dct", schedules.Cosine(), False),
        "vp, pixel": ("pixel", schedules.VP(), False),
        "mixture: linear a=1, pixel": ("pixel", schedules.Linear(a=1.0), False),
    }
    found = {}
    for name, (basis, schedule, whitened) in rows.items():
        basis = bases.get(basis)
        basis.build((None, *shape))
        truth = oracle.Gaussian.from_data_space(np.zeros(shape), covariance, basis)
        data_variance = np.diag(truth.covariance).reshape(shape)
        if whitened:
            scale = np.sqrt(data_variance.ravel())
            truth = oracle.Gaussian(np.zeros(shape), truth.covariance / np.outer(scale, scale))
        if name.startswith("mixture"):
            means = np.stack([np.full(shape, 0.7), np.full(shape, -0.3)])
            truth = oracle.Mixture([0.3, 0.7], means, np.stack([covariance, 0.3 * covariance]))
        variance = np.diag(truth.covariance).reshape(shape)
        schedule.adapt(variance, data_variance, basis.coordinates)
        found[name] = truth, schedule
    return found


def accuracy(n: int):
    """One row for every schedule, in bits/dim."""
    print(
        "| path | mean, max error | accepted/rejected | Hutchinson z | ELBO - closed form "
        "| closed form - entropy |"
    )
    print("|---|---|---|---|---|---|")
    for name, (truth, schedule) in cases().items():
        first = schedule(0.0)
        z = truth.sample(n, first, seed=1).astype("float32")
        expected = truth.log_prob(z, first)
        exact = likelihood.FlowLikelihood("exact")
        # The path starts from one Gaussian at t = 1, where a mixture is nearly one.
        errors = np.abs(exact(truth, schedule, z)["log_prob"] - expected) / NATS_PER_BIT
        counts = exact.statistics[0]
        found = likelihood.log_prob(truth, schedule, z, trace="hutchinson", probes=4)
        rest = found["log_prob"] - expected
        score = rest.mean() / (rest.std(ddof=1) / np.sqrt(n))
        many = 16 * n
        z0 = ops.convert_to_tensor(truth.sample(many, seed=2).astype("float32"))
        keys, index = counter_rng.sample_keys(0, many), np.arange(many, dtype="int32")
        terms = backend.compile(
            lambda z0, keys, index, truth=truth, schedule=schedule: likelihood.negative_elbo(
                truth, schedule, z0, keys, index, 32, {}
            )
        )(z0, keys, index)
        drawn = ops.convert_to_numpy(sum(terms.values())).astype("float64") / NATS_PER_BIT
        closed = truth.negative_elbo(schedule)
        closed = sum(v for k, v in closed.items() if k != "standard_error") / NATS_PER_BIT
        error = drawn.std(ddof=1) / np.sqrt(many)
        entropy = -truth.log_prob(truth.sample(100 * n, seed=3)).mean() / NATS_PER_BIT
        print(
            f"| {name} | {errors.mean():.0e}, {errors.max():.0e} | {counts['accepted']}/"
            f"{counts['rejected']} | {score:+.1f} | {drawn.mean() - closed:+.4f} +- {error:.4f} "
            f"| {closed - entropy:+.4f} |",
            flush=True,
        )


def beside_diffrax(arguments):
    """Evaluations and seconds of both."""
    from diffrax_flow import DiffraxFlow

    print(
        "\n| path | what | evaluations, ours | diffrax | ours, s | diffrax, s | ratio (quartiles) |"
    )
    print("|---|---|---|---|---|---|---|")
    for schedule in arguments.schedules:
        model, x = build(arguments, schedule)
        z0 = ops.convert_to_numpy(model.prior(model.basis(model.data_space.to_model(x))))
        eps = np.random.default_rng(1).normal(size=z0.shape).astype("float32")
        ends = [ops.convert_to_numpy(model.schedule(t).add_noise(z0, eps)) for t in (0.0, 1.0)]
        sampler, flow = samplers.AdaptiveRungeKutta(), likelihood.FlowLikelihood("hutchinson")
        peer = DiffraxFlow(model, 1e-4)
        parts = model.denoiser, model.schedule
        pairs = {
            "sampling": (
                sampler,
                lambda p=parts, z=ends[1], s=sampler: s.integrate(*p, z),
                lambda z=ends[1], d=peer: d.sample(z),
            ),
            "likelihood": (
                flow,
                lambda p=parts, z=ends[0], f=flow: f(*p, z),
                lambda z=ends[0], d=peer: d.log_prob(z),
            ),
        }
        for what, (counter, ours, theirs) in pairs.items():
            ours(), theirs()
            times = time_in_turn({"ours": ours, "theirs": theirs}, arguments.rounds)
            seconds = [np.median(side) for side in times.values()]
            print(
                f"| {schedule} | {what} | {counter.statistics[0]['evaluations']} | "
                f"{peer.evaluations} | {seconds[0]:.2f} | {seconds[1]:.2f} | "
                f"{ratio(*times.values())} |",
                flush=True,
            )


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--parts", nargs="+", default=["accuracy", "diffrax", "cost"])
    parser.add_argument("--n", type=int, default=128, help="states whose density is compared")
    parser.add_argument("--size", type=int, default=8)
    parser.add_argument("--batch", type=int, default=32)
    parser.add_argument("--backbone", default="small")
    parser.add_argument("--schedules", nargs="+", default=["linear", "cosine"])
    parser.add_argument("--steps", type=int, default=20)
    parser.add_argument("--rounds", type=int, default=7)
    arguments = parser.parse_args()
    if "accuracy" in arguments.parts:
        accuracy(arguments.n)
    if "diffrax" in arguments.parts and keras.backend.backend() == "jax":
        beside_diffrax(arguments)
    if "cost" in arguments.parts:
        cost(arguments)


if __name__ == "__main__":
    main()
