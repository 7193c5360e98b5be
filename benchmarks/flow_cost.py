"""What the field of a likelihood and the loops of samplers cost, in forwards of the denoiser."""

import itertools

import keras
import numpy as np
from keras import ops
from timing import time_in_turn

import keras_gud
from keras_gud import backend, samplers
from keras_gud.core import counter_rng
from keras_gud.diffusion.noising_state import probability_flow, z0_from_eps
from keras_gud.likelihood.divergence import FlowWithDivergence, signs
from keras_gud.samplers.loop import Path


def spectrum(size: int):
    """Amplitudes 1/(|k| + 1) of the modes of smooth images."""
    k = np.fft.fftfreq(size, 1.0 / size)
    return 1.0 / (np.hypot(k[:, None], k[None]) + 1.0)


def images(n: int, size: int):
    """Smooth Gaussian images, float32 ``(n, size, size, 1)``."""
    white = np.random.default_rng(0).normal(size=(n, size, size))
    x = np.fft.ifft2(np.fft.fft2(white) * spectrum(size)).real
    return (x / x.std())[..., None].astype("float32")


def build(arguments, schedule: str):
    """A small model, trained for a moment."""
    x = images(1024, arguments.size)
    model = keras_gud.GUD(basis="fourier", schedule=schedule, backbone=arguments.backbone, seed=0)
    model.fit(x, batch_size=64, epochs=1, verbose=0)
    return model, x[: arguments.batch]


def ratio(ours, theirs) -> str:
    """Median and quartiles of the per-round ratios."""
    low, middle, high = np.percentile(ours / theirs, [25, 50, 75])
    return f"{middle:.3f} ({low:.3f} to {high:.3f})"


def cost(arguments):
    """The right-hand side and the loops in units of forwards."""
    model, _ = build(arguments, "linear")
    denoiser, schedule, steps = model.denoiser, model.schedule, arguments.steps
    variables = [*denoiser.variables, *schedule.variables]
    values = [v.value for v in variables]
    path = Path(schedule, schedule.resolve({}))
    shape = (arguments.batch, *model.data_shape)
    z = ops.convert_to_tensor(np.random.default_rng(0).normal(size=shape).astype("float32"))
    log = ops.zeros((arguments.batch, 1))

    def compiled(function):
        def pure(values, *inputs):
            with keras.StatelessScope(state_mapping=list(zip(variables, values, strict=True))):
                return function(*inputs)

        whole = backend.compile(pure)
        return lambda *inputs: whole(values, *inputs)

    probes = signs(ops.convert_to_tensor(counter_rng.sample_keys(0, arguments.batch)), 1, shape[1:])
    field = compiled(lambda t, z, log: FlowWithDivergence(denoiser, path, probes)(t, (z, log)))
    forward = compiled(lambda t, z: denoiser(z, path(t)))
    times_of = np.linspace(1.0, 0.0, steps + 1, dtype="float32")

    def repeat(function, count, *inputs):
        for _ in range(count):
            out = function(np.float32(0.5), *inputs)
        return ops.convert_to_numpy(out[0])

    def plain_heun():
        def velocity(t, z):
            state = path(t)
            return probability_flow(z, denoiser(z, state), state)

        x = z
        for t, s in itertools.pairwise(times_of):
            first = velocity(t, x)
            x = x + 0.5 * (s - t) * (first + velocity(s, x + (s - t) * first))
        return ops.convert_to_numpy(x)

    def plain_dpm():
        x, before, h_before = z, None, None
        for t, s in itertools.pairwise(times_of):
            now, then = path(t), path(s)
            clean, h = z0_from_eps(x, denoiser(x, now), now), 0.5 * (now.gamma - then.gamma)
            slope = 0.0 if before is None else 0.5 * h / h_before * (clean - before)
            x = then.sigma / now.sigma * x - then.alpha * ops.expm1(-h) * (clean + slope)
            before, h_before = clean, h
        return ops.convert_to_numpy(x)

    torch = keras.backend.backend() == "torch"
    rows = {
        "10 right-hand sides vs 10 forwards": (
            lambda: repeat(field, 10, z, log),
            lambda: repeat(forward, 10, z),
        )
    }
    for name, sampler, calls, plain in (
        ("dpm++", samplers.DPMSolver(steps=steps), steps, plain_dpm),
        ("heun", samplers.RungeKutta("heun", steps=steps), 2 * steps, plain_heun),
    ):

        def ours(sampler=sampler):
            return sampler.integrate(denoiser, schedule, z)

        rows[f"{name} vs {calls} forwards"] = ours, lambda n=calls: repeat(forward, n, z)
        if torch:
            rows[f"{name} vs plain loop"] = ours, backend.compile(plain)
    print("\n| backend | what | ours, ms | theirs, ms | ratio (quartiles) |\n|---|---|---|---|---|")
    for name, (ours, theirs) in rows.items():
        ours(), theirs()
        times = time_in_turn({"ours": ours, "theirs": theirs}, arguments.rounds)
        ms = [1e3 * np.median(side) for side in times.values()]
        row = f"{keras.backend.backend()} | {name} | {ms[0]:.1f} | {ms[1]:.1f}"
        print(f"| {row} | {ratio(*times.values())} |", flush=True)
