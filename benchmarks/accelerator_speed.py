"""How fast training steps and samplers are beside hand-written ones; sections of `accelerator.py`.

Functions that yield rows of its table, see `accelerator_sections`.
"""

import importlib

import keras
import numpy as np
from accelerator_settings import Settings
from flops import count_flops, matmul_flops_per_second
from timing import time_in_turn

import keras_gud

BACKEND = keras.backend.backend()
# The module with the plain networks to compare with.
PLAIN = {"torch": "plain_torch", "jax": "plain_flax"}


def noise_images(n: int, size: int, channels: int = 3) -> np.ndarray:
    """Random images of 8 bits."""
    shape = (n, size, size, channels)
    return np.random.default_rng(0).integers(0, 256, shape, dtype="uint8")


def plain_module():
    """The module with the plain networks, or the sentence that says why there is none."""
    try:
        return importlib.import_module(PLAIN[BACKEND]), ""
    except (ImportError, KeyError) as error:
        return None, f"nothing beside it: {error}"


def run_steps(settings: Settings):
    """A training step, `fit` as users call it, beside a hand-written one of the same size."""
    rates = {}
    for size, batch in settings.sizes:
        for dtype in settings.dtypes:
            if dtype not in rates:
                rates[dtype] = matmul_flops_per_second(settings.product, dtype=dtype)
            for name in settings.networks:
                what = f"{name}, {size}x{size}x3 x {batch}, {dtype}"
                try:
                    yield {"what": what} | _step(settings, name, size, batch, dtype, rates[dtype])
                except Exception as error:  # the next one may fit into the memory
                    yield {"what": what, "note": f"failed: {_in_short(error)}"}


def _step(settings: Settings, name, size, batch, dtype, rate) -> dict:
    x, steps = noise_images(batch * settings.steps, size), settings.steps
    policy = "mixed_bfloat16" if dtype == "bfloat16" else "float32"
    model = keras_gud.GUD(backbone=name, backbone_dtype=policy, seed=0)
    model.adapt(x[:256], verbose=0)

    def ours():
        model.fit(x, batch_size=batch, shuffle=False, verbose=0)

    runs, note = {"ours": ours}, ""
    module, missing = plain_module()
    if module is not None:
        made = module.make_step(model.network, x, steps, dtype, settings.compiled)
        runs["beside"], parameters, flops = made
    ours()
    if module is not None:
        runs["beside"]()
    times = time_in_turn(runs, settings.rounds)
    tokens = (batch, model.tokens.n_tokens, model.tokens.n_features)
    needed = 3 * count_flops(model.network, [(batch, size, size, 3), tokens])
    milliseconds = {key: 1e3 * float(np.median(t)) / steps for key, t in times.items()}
    share = needed / (1e-3 * milliseconds["ours"]) / rate
    note = f"{model.network.count_params() / 1e6:.2f}M, {share:.1%} of the matrix peak"
    row = milliseconds | {"unit": "ms", "note": f"{note}; {missing}" if missing else note}
    if module is not None:
        row["ratio"] = float(np.median(times["ours"] / times["beside"]))
        row["note"] += f"; plain: {parameters / 1e6:.2f}M, {flops / needed:.2f} of the FLOPs"
    return row


def run_sampling(settings: Settings):
    """Images a second, beside as many forwards of the network and beside a plain loop."""
    size, n, steps = settings.sizes[0][0], settings.samples, settings.sampler_steps
    model = keras_gud.GUD(backbone=settings.networks[0], seed=0)
    model.adapt(noise_images(64, size), verbose=0)
    from overhead import make_forwards

    runs = {
        name: (lambda name=name: model.sample(n, sampler=name, steps=steps, seed=0, batch_size=n))
        for name in ("ddim", "dpm++sde")
    }
    runs["forwards"] = make_forwards(model, n, steps)
    module, missing = plain_module()
    if module is not None:
        runs["plain loop"] = module.make_sampler(
            model.network, (size, size, 3), n, steps, settings.compiled
        )
    for run in runs.values():
        run()
    times = time_in_turn(runs, settings.rounds)
    rates = {name: n / float(np.median(seconds)) for name, seconds in times.items()}
    for name in ("ddim", "dpm++sde"):
        for other in ("forwards", "plain loop"):
            if other in rates:
                yield {
                    "what": f"{name} beside {steps} {other}".replace(f"{steps} plain", "a plain"),
                    "ours": rates[name],
                    "beside": rates[other],
                    "ratio": rates[name] / rates[other],
                    "unit": "images/s",
                    "note": f"{settings.networks[0]}, {size}x{size}x3 x {n}",
                }
    if missing:
        yield {"what": "plain loop", "note": missing}


def run_host_loop(settings: Settings):
    """What Keras' loop costs where steps are tiny: `fit`, also several steps at a time."""
    from bare_step import make_bare_step

    batch, count = 8, 16 * max(settings.steps // 2, 1)
    x = noise_images(batch * count, 8)
    batches = x.reshape(count, batch, *x.shape[1:])

    def fitting(steps_per_execution):
        model = keras_gud.GUD(backbone="tiny", seed=0)
        model.adapt(x[:256], verbose=0)
        model.compile(steps_per_execution=steps_per_execution)
        return model, lambda: model.fit(x, batch_size=batch, shuffle=False, verbose=0)

    model, one = fitting(1)
    step = make_bare_step(model)

    def bare():
        for each in batches:
            loss = step(each)
        float(loss)

    runs = {"fit": one, "bare": bare}
    if BACKEND != "torch":  # where Keras has none
        runs["fit, 16 steps at a time"] = fitting(16)[1]
    for run in runs.values():
        run()
    times = time_in_turn(runs, settings.rounds)
    milliseconds = {name: 1e3 * float(np.median(t)) / count for name, t in times.items()}
    for name in sorted(runs.keys() - {"bare"}):
        row = {"what": f"{name} beside a bare step", "ours": milliseconds[name]}
        row |= {"beside": milliseconds["bare"], "ratio": milliseconds[name] / milliseconds["bare"]}
        yield row | {"unit": "ms", "note": f"tiny, 8x8x3 x {batch}"}


def _in_short(error: Exception) -> str:
    return f"{type(error).__name__}: {str(error).splitlines()[0] if str(error) else ''}"[:120]
