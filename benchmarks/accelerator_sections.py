"""The sections of `accelerator.py`: functions that yield rows of its table, one after the other.

``python accelerator_sections.py NAME SETTINGS FILE`` runs one; every row is appended to the file as
soon as it is known. A row has ``what`` and, as far as there are such, ``ours``, ``beside``,
``ratio`` (ours over theirs), ``unit`` and ``note``.
"""

import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import keras
import numpy as np
from accelerator_settings import Settings
from accelerator_speed import noise_images, run_host_loop, run_sampling, run_steps
from flops import matmul_flops_per_second

import keras_gud

HERE = Path(__file__).parent
BACKEND = keras.backend.backend()


def device_name() -> str:
    """Name of the device that the backend computes on."""
    if BACKEND == "torch":
        import torch

        return torch.cuda.get_device_name() if torch.cuda.is_available() else "CPU"
    if BACKEND == "jax":
        import jax

        return jax.devices()[0].device_kind
    import tensorflow as tf

    found = tf.config.list_physical_devices("GPU")
    if not found:
        return "CPU"
    return tf.config.experimental.get_device_details(found[0]).get("device_name", "GPU")


def peak_memory() -> float:
    """GiB: the most that the device has held in this process; on a CPU the process' own."""
    if BACKEND == "torch":
        import torch

        if torch.cuda.is_available():
            return torch.cuda.max_memory_allocated() / 2**30
    elif BACKEND == "jax":
        import jax

        found = jax.devices()[0].memory_stats()
        if found:
            return found["peak_bytes_in_use"] / 2**30
    from network import peak_gibibytes

    return peak_gibibytes()


def run_device(settings: Settings):
    """The machine, and the rate of products of large matrices."""
    from importlib.metadata import version

    name = f"{device_name()}; {BACKEND} {version(BACKEND)}, keras {keras.__version__}"
    yield {"what": "machine", "note": name}
    from accelerator_values import set_precision

    for dtype, precision in (("float32", "float32"), ("float32", "tf32"), ("bfloat16", "tf32")):
        set_precision(precision)
        rate = matmul_flops_per_second(settings.product, dtype=dtype)
        what = f"matrix product, {'bfloat16' if dtype == 'bfloat16' else precision}"
        yield {"what": what, "ours": rate / 1e12, "unit": "TFLOP/s"}


def run_agreement(settings: Settings):
    """The same numbers on the CPU and on the device, in three precisions."""
    from accelerator_values import GOALS, compute, distances

    on_cpu = {"JAX_PLATFORMS": "cpu", "CUDA_VISIBLE_DEVICES": ""}
    with tempfile.TemporaryDirectory() as folder:

        def values(precision, environment):
            if settings.in_process:
                return compute(precision)
            file = f"{folder}/values.npz"
            command = [sys.executable, str(HERE / "accelerator_values.py"), precision, file]
            done = subprocess.run(command, env=os.environ | environment, capture_output=True)
            if done.returncode:
                raise RuntimeError(done.stderr.decode(errors="replace").strip().split("\n")[-1])
            with np.load(file) as saved:
                return dict(saved)

        reference = values("float32", on_cpu)
        for precision in settings.precisions:
            found = distances(values(precision, {}), reference)
            for name, distance in found.items():
                met = "" if distance <= GOALS[precision] else f"goal {GOALS[precision]:g} missed"
                what = f"{name}, {precision}"
                yield {"what": what, "ours": distance, "unit": "relative rms", "note": met}


def run_first_step(settings: Settings):
    """Seconds from the model's creation to its first step, in this new process."""
    from accelerator_values import images

    x = images(64)

    class Note(keras.callbacks.Callback):
        seconds = None

        def on_train_batch_end(self, batch, logs=None):
            self.seconds = self.seconds or time.perf_counter() - start

    note, start = Note(), time.perf_counter()
    model = keras_gud.GUD(backbone=settings.networks[0], seed=0)
    model.adapt(x, verbose=0)
    adapted = time.perf_counter() - start
    model.fit(x, batch_size=32, callbacks=[note], verbose=0)
    yield {"what": "until adapted", "ours": adapted, "unit": "s"}
    yield {"what": "until the first step", "ours": note.seconds, "unit": "s"}
    start = time.perf_counter()
    model.sample(4, steps=settings.sampler_steps, seed=0)
    yield {"what": "first samples", "ours": time.perf_counter() - start, "unit": "s"}


def run_memory(settings: Settings):
    """Peak memory of training steps with and without `remat`, each in a process of its own."""
    found = {}
    for remat in ("", "remat"):
        if settings.in_process:
            found[remat] = memory_case(settings, bool(remat))
            continue
        command = [sys.executable, __file__, "_memory", json.dumps(vars(settings)), remat]
        printed = subprocess.run(command, check=True, capture_output=True, text=True).stdout
        found[remat] = json.loads(printed.splitlines()[-1])
    name, size, batch = settings.memory
    for key, unit in (("memory", "GiB"), ("step", "ms")):
        ours, beside = found["remat"][key], found[""][key]
        ratio = ours / beside
        row = {"what": f"{key} with remat beside without", "ours": ours, "beside": beside}
        yield row | {"ratio": ratio, "unit": unit, "note": f"{name}, {size}x{size}x3 x {batch}"}


def memory_case(settings: Settings, remat: bool) -> dict:
    """Peak memory and milliseconds of a step."""
    name, size, batch = settings.memory
    network = keras_gud.backbones.get(name, data_shape=(size, size, 3), remat=remat)
    model = keras_gud.GUD(backbone=network, seed=0)
    x = noise_images(batch * 4, size)
    model.fit(x, batch_size=batch, verbose=0)
    start = time.perf_counter()
    model.fit(x, batch_size=batch, verbose=0)
    return {"memory": peak_memory(), "step": 1e3 * (time.perf_counter() - start) / 4}


def run_tests(settings: Settings):
    """Tests of the package, on the device."""
    if not settings.tests:
        yield {"what": "left out"}
        return
    command = [sys.executable, "-m", "pytest", "-q", "-m", "not slow", *settings.tests]
    environment = {k: v for k, v in os.environ.items() if k != "XLA_FLAGS"}
    done = subprocess.run(command, cwd=HERE.parent, env=environment, capture_output=True, text=True)
    lines = (done.stdout + done.stderr).strip().splitlines() or [""]
    yield {"what": "passed" if done.returncode == 0 else "failed", "note": lines[-1][:160]}


def run_race(settings: Settings):
    """Minutes of training on handwritten digits, and the distance of the samples from real ones."""
    from race import CONTESTANTS, load
    from race_data import RaceData
    from race_scores import ClassifierFeatures, scores

    folder = Path("out/race")
    folder.mkdir(parents=True, exist_ok=True)
    data, k = load("digits", folder), settings.race_examples
    data = RaceData(data.train[:k], data.train_labels[:k], data.test[:k])
    draw, facts = CONTESTANTS["gud"](data, 60.0 * settings.race_minutes, 64, 0)
    samples = draw(min(settings.race_examples or 500, 500))
    # Features of a part of the data are not those of the race.
    name = "features-digits.npz" if k is None else f"features-digits-{k}.npz"
    features = ClassifierFeatures(data, folder / name)
    note = f"{facts['steps']} steps in {settings.race_minutes:g} minutes"
    for key, value in scores(features, samples, data.test).items():
        yield {"what": key, "ours": value, "note": note}
    yield {"what": "bits per dimension", "ours": facts["bits_per_dim"], "note": note}


SECTIONS = {
    "device": run_device,
    "agreement": run_agreement,
    "steps": run_steps,
    "sampling": run_sampling,
    "first step": run_first_step,
    "memory": run_memory,
    "host loop": run_host_loop,
    "tests": run_tests,
    "race": run_race,
}


def write_section(name: str, settings: Settings, rows: Path) -> None:
    """Runs a section and appends its rows to a file, each as soon as it is known."""
    with rows.open("a") as file:
        for row in SECTIONS[name](settings):
            print(json.dumps(row), file=file, flush=True)


def main() -> None:
    """Runs the section that is named on the command line."""
    name, settings, argument = sys.argv[1:]
    given = Settings(**json.loads(settings))
    if name == "_memory":
        print(json.dumps(memory_case(given, bool(argument))))
    else:
        write_section(name, given, Path(argument))


if __name__ == "__main__":
    main()
