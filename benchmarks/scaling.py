"""How training scales: collectives, overhead and memory of compiled steps, and a cost model.

Run with ``python benchmarks/scaling.py [--quick]`` (jax, four virtual CPU devices). Three parts:
what devices tell each other and what that costs, from the compiled steps of networks that run here;
the memory of a step against network and image size, from steps that are compiled and not run; and
`scaling_model.py`, which makes of these what many accelerators would do. ``--quick`` measures the
first part with a very small network; ``--paper`` is the last part, from given ratios.
"""

import argparse
import math
import os
import time

os.environ["KERAS_BACKEND"] = "jax"
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
os.environ["XLA_FLAGS"] = (
    os.environ.get("XLA_FLAGS", "") + " --xla_force_host_platform_device_count=4"
)

import jax
import keras
import numpy as np
from flops import count_flops
from scaling_model import (
    Machine,
    Network,
    bottleneck,
    collectives,
    efficiency,
    fitting_batch,
    hiding_batch,
    step_times,
)

import keras_gud
from keras_gud import backbones, backend

TOKENS = 32

# -- compiled steps --------------------------------------------------------------------------------


def distribute(devices: int, model_parallel: int = 1):
    """Makes the first of the virtual devices those of all that follows."""
    chosen = keras.distribution.list_devices()[:devices]
    if model_parallel == 1:
        distribution = keras.distribution.DataParallel(devices=chosen)
    else:
        shape = devices // model_parallel, model_parallel
        mesh = keras.distribution.DeviceMesh(shape, ("batch", "model"), chosen)
        layout = backbones.layout_map(mesh)
        distribution = keras.distribution.ModelParallel(layout_map=layout, batch_dim_name="batch")
    distribution.auto_shard_dataset = False
    keras.distribution.set_distribution(distribution)


def images(n: int, size: int) -> np.ndarray:
    """Random 8-bit images in colour."""
    return np.random.default_rng(0).integers(0, 256, (n, size, size, 3)).astype("uint8")


def make(backbone, size: int, remat: bool = False) -> keras_gud.GUD:
    """A model that knows its data, with Adam."""
    keras.utils.set_random_seed(0)
    if remat:
        backbone = backbones.get(backbone, data_shape=(size, size, 3), remat=True)
    model = keras_gud.GUD(basis="haar", schedule="hierarchical", backbone=backbone, seed=0)
    model.adapt(images(8, size), verbose=0)
    model.compile(keras.optimizers.Adam(5e-4))
    model.optimizer.build(model.trainable_variables)
    return model


def state_of(model) -> tuple:
    """What a training step of Keras takes and returns."""
    optimizer = model.optimizer.variables
    groups = model.trainable_variables, model.non_trainable_variables, optimizer
    return tuple([v.value for v in group] for group in (*groups, model.metrics_variables))


def compile_step(model, batch: int):
    """Keras' training step, compiled, and a batch to run it on, divided among the devices."""
    state = state_of(model)
    x = backend.shard_rows(images(batch, model.data_shape[0]))
    shardings = jax.tree.map(lambda value: value.sharding, state)
    step = jax.jit(model.train_step, donate_argnums=0, out_shardings=(None, shardings))
    return step.lower(state, (x,)).compile(), state, x


def cpu_time(step, state, x, steps: int, rounds: int = 5) -> float:
    """Median over rounds of the process' CPU seconds a step, all cores together."""
    times = []
    for _ in range(rounds + 1):
        start = time.process_time()
        for _ in range(steps):
            _, state = step(state, (x,))
        jax.block_until_ready(state)
        times.append((time.process_time() - start) / steps)
    return float(np.median(times[1:]))


def sampling_collectives(model, n: int) -> dict:
    """Collectives in the compiled loop over a sampler's steps."""
    texts, original = [], backend.compile

    def compile_and_note(function):
        compiled = jax.jit(function)

        def call(*args):
            args = keras.tree.map_structure(keras.ops.convert_to_tensor, args)
            if function.__name__ != "advance":
                return compiled(*args)
            program = compiled.lower(*args).compile()
            texts.append(program.as_text())
            return program(*args)

        return call

    backend.compile = compile_and_note
    try:
        model.sample(n, steps=4, seed=0)
    finally:
        backend.compile = original
    (text,) = texts
    return collectives(text)


def header(*columns: str):
    """The first two lines of a table."""
    print("\n| " + " | ".join(columns) + " |\n" + len(columns) * "|---" + "|", flush=True)


def number(x: float) -> str:
    """Three digits, or a whole number."""
    return f"{x:,.0f}" if x >= 100 else f"{x:.3g}"


# -- what devices tell each other ------------------------------------------------------------------


def measure(backbone, size: int, batch: int, devices: int, model_parallel: int, steps: int) -> dict:
    """One training step on some devices, and the loop of sampling."""
    distribute(devices, model_parallel)
    model = make(backbone, size)
    step, state, x = compile_step(model, batch)
    memory, cost = step.memory_analysis(), step.cost_analysis()
    sampling = sampling_collectives(model, 4)  # before a step takes the weights' buffers
    return {
        "gradient": 4 * sum(math.prod(v.shape) for v in model.trainable_variables),
        "training": collectives(step.as_text()),
        "sampling": sampling,
        "arguments": memory.argument_size_in_bytes,
        "temporary": memory.temp_size_in_bytes,
        "flops": cost["flops"],
        "cpu": cpu_time(step, state, x, steps),
    }


def told(found: dict) -> str:
    """Collectives in words."""
    parts = [f"{count} {name}, {size / 1024:.1f}" for name, (count, size) in found.items()]
    return "; ".join(parts) or "none"


def print_communication(cases, divisions, steps: int):
    """The first table."""
    header(
        *("network, data, batch", "devices", "gradient, KiB", "collectives of training, KiB"),
        *("of a sampling step", "FLOPs per device", "memory per device, MiB", "CPU, ms", "ratio"),
    )
    for backbone, size, batch in cases:
        alone = None
        for devices, model_parallel in divisions:
            got = measure(backbone, size, batch, devices, model_parallel, steps)
            alone = alone or got
            name = backbone if isinstance(backbone, str) else "one level"
            how = (
                f"{devices // model_parallel} x {model_parallel}" if model_parallel > 1 else devices
            )
            print(
                f"| {name}, {size}x{size}x3 x {batch} | {how} | {got['gradient'] / 1024:.1f} | "
                f"{told(got['training'])} | {told(got['sampling'])} | "
                f"{got['flops'] / alone['flops']:.3f} | "
                f"{got['arguments'] / 2**20:.1f} + {got['temporary'] / 2**20:.1f} | "
                f"{1e3 * got['cpu']:.1f} | {got['cpu'] / alone['cpu']:.2f} |",
                flush=True,
            )


# -- memory ----------------------------------------------------------------------------------------


def saved_bytes(network, size: int) -> int:
    """Bytes that the backward pass needs of the forward pass for one more image, on paper.

    Before the compiler joins operations: what automatic differentiation keeps.
    """

    def structs(variables):
        return [jax.ShapeDtypeStruct(v.shape, v.dtype) for v in variables]

    def kept(batch):
        def backward(weights, other, y, tokens):
            def forward(weights):
                return network.stateless_call(weights, other, [y, tokens], training=True)[0]

            return jax.vjp(forward, weights)[1]

        inputs = [(batch, size, size, 3), (batch, TOKENS, 4)]
        inputs = [jax.ShapeDtypeStruct(shape, "float32") for shape in inputs]
        variables = network.trainable_variables, network.non_trainable_variables
        leaves = jax.tree.leaves(jax.eval_shape(backward, *map(structs, variables), *inputs))
        return sum(math.prod(leaf.shape) * leaf.dtype.itemsize for leaf in leaves)

    return kept(2) - kept(1)


def build(name: str, size: int, **kwargs):
    """A network, and the FLOPs of a forward pass of one image."""
    network = backbones.get(name, data_shape=(size, size, 3), **kwargs)
    shapes = [(1, size, size, 3), (1, TOKENS, 4)]
    network([keras.KerasTensor(shape) for shape in shapes])
    return network, count_flops(network, shapes)


def print_memory(cases, batch: int) -> tuple:
    """The second table; returns the ratios of its last row."""
    header(
        *(
            "network, data",
            "remat",
            "parameters",
            "arguments, bytes per parameter",
            "kept, bytes per pixel",
        ),
        *("compiled, bytes per pixel", "ratio", "moved, bytes per pixel", "ratio"),
    )
    keras.distribution.set_distribution(None)
    for name, size, remat in cases:
        model = make(name, size, remat)
        step, _, _ = compile_step(model, batch)
        memory, pixels = step.memory_analysis(), batch * size**2
        network, _ = build(name, size, remat=remat)
        kept = saved_bytes(network, size) / size**2
        parameters = sum(math.prod(v.shape) for v in model.trainable_variables)
        held = (memory.temp_size_in_bytes - 4 * parameters) / pixels
        moved = step.cost_analysis()["bytes accessed"] / pixels
        arguments = (memory.argument_size_in_bytes - pixels * 3) / parameters
        print(
            f"| {name}, {size}x{size}x3 | {'yes' if remat else 'no'} | {parameters / 1e6:.2f}M | "
            f"{arguments:.1f} | {kept:.0f} | {held:.0f} | {held / kept:.2f} | {moved:.0f} | "
            f"{moved / kept:.1f} |",
            flush=True,
        )
    return held / kept, moved / kept


# -- many accelerators -----------------------------------------------------------------------------


def figures(name: str, size: int, ratios: tuple) -> Network:
    """What the cost model needs to know: shapes alone, and what compiled steps made of others."""
    network, flops = build(name, size, dtype="mixed_bfloat16")
    memory, traffic = (ratio * saved_bytes(network, size) for ratio in ratios)
    return Network(size, network.count_params(), flops, memory, traffic)


def print_sizes(networks, machine: Machine):
    """The third table: the networks, and how many images an accelerator holds."""
    header(
        *("data", "parameters", "forward, GFLOP", "GB per image", "GB moved per image"),
        *("batch", "least batch that hides the all-reduce on 1024"),
    )
    for network in networks:
        print(
            f"| {network.size}x{network.size}x3 | {network.parameters / 1e6:.1f}M | "
            f"{number(network.flops / 1e9)} | {network.memory / 1e9:.3g} | "
            f"{network.traffic / 1e9:.3g} | {fitting_batch(network, machine)} | "
            f"{hiding_batch(network, machine, 1024)} |"
        )


def print_scaling(networks, machine: Machine, total: int | None = None):
    """Times on many accelerators, with the batch that fits or with `total` images in all."""
    header(
        *("data", "accelerators", "batch each", "arithmetic, ms", "memory traffic, ms"),
        *("all-reduce, ms (not hidden)", "input, ms", "step, ms", "images/s", "efficiency"),
        "bottleneck",
    )
    for network in networks:
        for accelerators in (8, 64, 1024):
            batch = total // accelerators if total else fitting_batch(network, machine)
            times = step_times(network, machine, accelerators, batch)
            part = efficiency(network, machine, accelerators, batch)
            ms = {name: number(1e3 * time) for name, time in times.items()}
            print(
                f"| {network.size}x{network.size}x3 | {accelerators} | {batch} | "
                f"{ms['arithmetic']} | {ms['memory traffic']} | {ms['all-reduce']} "
                f"({ms['exposed']}) | {ms['input']} | {ms['step']} | "
                f"{number(accelerators * batch / times['step'])} | {100 * part:.0f}% | "
                f"{bottleneck(times)} |"
            )


def print_changes(networks, total: int):
    """The last table: what a worse machine does to 1024 accelerators."""
    changes = {
        "as above": {},
        "1 GB/s between hosts": {"between": 1e9},
        "input of 0.1 GB/s a host": {"read": 0.1e9},
        "memory of 1.5 TB/s": {"traffic": 1.5e12},
        "host takes 20 ms": {"host": 20e-3},
        "steps vary by 5%": {"spread": 0.05},
    }
    header("1024 accelerators", *(f"{n.size}x{n.size}, fitting / {total}" for n in networks))
    for name, change in changes.items():
        machine, cells = Machine(**change), []
        for network in networks:
            batches = fitting_batch(network, machine), total // 1024
            cells.append(
                " / ".join(
                    f"{100 * efficiency(network, machine, 1024, batch):.0f}% "
                    f"{bottleneck(step_times(network, machine, 1024, batch))}"
                    for batch in batches
                )
            )
        print(f"| {name} | " + " | ".join(cells) + " |")


def run() -> tuple:
    """All that is measured; returns the ratios that the cost model needs."""
    divisions = [(1, 1), (2, 1), (4, 1), (4, 2)]
    print_communication([("tiny", 8, 32), ("small", 32, 32)], divisions, 3)
    cases = [("tiny", size, False) for size in (16, 32, 64)]
    cases += [("small", 32, False), ("small", 64, True), ("small", 64, False)]
    return print_memory(cases, 4)


def main():
    """The tables, one after the other."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="a very small network, one table")
    parser.add_argument(
        "--paper",
        type=float,
        nargs=2,
        metavar=("MEMORY", "TRAFFIC"),
        help="only the cost model, from these ratios to what is kept",
    )
    given = parser.parse_args()
    if given.quick:
        network = backbones.UNet(widths=(8,), blocks=1).get_config()
        network = {"class_name": "keras_gud>UNet", "config": network}
        print_communication([(network, 4, 8)], [(4, 1)], 1)
        return
    ratios = given.paper or run()
    networks = [figures("base", size, ratios) for size in (64, 128, 256, 512, 1024)]
    print_sizes(networks, Machine())
    print_scaling(networks, Machine())
    print_scaling(networks, Machine(), total=2048)
    print_changes(networks, total=2048)


if __name__ == "__main__":
    main()
