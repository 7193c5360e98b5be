"""What training costs on many accelerators, on paper; and what a compiled program communicates.

Nothing here runs a network: figures of one are given, constants of the machines are assumed.
"""

import math
import re
from collections import Counter
from dataclasses import dataclass

_WIDTHS = {"pred": 1, "s8": 1, "u8": 1, "bf16": 2, "f16": 2, "s64": 8, "u64": 8, "f64": 8}
_COLLECTIVE = re.compile(
    r" = (?P<type>.*?) (?P<name>all-reduce|all-gather|reduce-scatter|all-to-all|"
    r"collective-permute)(-start)?\("
)
_ARRAY = re.compile(r"\b([a-z]+\d*)\[([\d,]*)\]")


def collectives(hlo: str) -> dict:
    """Number and bytes of the results of every kind of collective in a compiled program.

    Args:
        hlo: The program's text. What is inside a loop counts once.

    Returns:
        From the name to ``(number, bytes)``.
    """
    numbers, sizes = Counter(), Counter()
    for found in _COLLECTIVE.finditer(hlo):
        numbers[found["name"]] += 1
        for kind, shape in _ARRAY.findall(found["type"]):
            count = math.prod(int(n) for n in shape.split(",") if n)
            sizes[found["name"]] += _WIDTHS.get(kind, 4) * count
    return {name: (numbers[name], sizes[name]) for name in sorted(numbers)}


@dataclass(frozen=True)
class Machine:
    """Accelerators in hosts of eight. All of this is assumed; times in s, rates per second.

    Attributes:
        arithmetic: FLOPs of matrix products and convolutions in bfloat16, at the peak.
        utilisation: The part of them that a convolutional network gets.
        memory: Bytes of memory.
        usable: The part of it that a step may fill.
        traffic: Bytes between memory and processor.
        within: Bytes that an accelerator exchanges with others of its host.
        between: Bytes that an accelerator exchanges with other hosts.
        latency: Time of one hop of an all-reduce; a tree has twice the log2 of their number.
        reduces: All-reduces of a step, as buckets that begin during the backward pass.
        overlap: The part of a step's computation during which they may run: the backward pass.
        read: Decoded bytes that a host reads, prefetched.
        host: Time in which the host starts a step, before which it cannot start another.
        spread: Relative standard deviation of the time of a step; all wait for the slowest.
    """

    arithmetic: float = 400e12
    utilisation: float = 0.4
    memory: float = 80e9
    usable: float = 0.8
    traffic: float = 3e12
    per_host: int = 8
    within: float = 450e9
    between: float = 50e9
    latency: float = 10e-6
    reduces: int = 10
    overlap: float = 2 / 3
    read: float = 5e9
    host: float = 5e-3
    spread: float = 0.01


@dataclass(frozen=True)
class Network:
    """Figures of a network at one size of images.

    Attributes:
        size: Edge of the images.
        parameters: Their number.
        flops: Of one forward pass of one image.
        memory: Bytes that a step holds for an image, beside weights.
        traffic: Bytes that a step moves to and from memory for an image.
    """

    size: int
    parameters: int
    flops: float
    memory: float
    traffic: float

    # Weights, their average, two moments and the gradient, float32.
    PER_PARAMETER = 20
    # The update reads five such arrays and writes four.
    UPDATE_TRAFFIC = 36
    GRADIENT = 4


def fitting_batch(network: Network, machine: Machine, most: int = 64) -> int:
    """The largest power of two of images, up to `most`, whose step fits; 0 if none does."""
    room = machine.usable * machine.memory - network.PER_PARAMETER * network.parameters
    images = room / network.memory
    return 0 if images < 1 else min(most, 2 ** int(math.log2(images)))


def reduce_time(payload: float, accelerators: int, machine: Machine) -> float:
    """Time of an all-reduce: rings within hosts, and between them of what each one holds."""
    inside = min(accelerators, machine.per_host)
    hosts = accelerators // inside
    time = 2 * (inside - 1) / inside * payload / machine.within
    time += 2 * (hosts - 1) / hosts * payload / inside / machine.between
    return time + machine.reduces * machine.latency * 2 * math.log2(accelerators)


def step_times(network: Network, machine: Machine, accelerators: int, batch: int):
    """The times of a step's parts, each for itself, in s.

    Args:
        network: What is trained.
        machine: On what.
        accelerators: How many.
        batch: Images for each.

    Returns:
        Dict of parts; of the all-reduce as a whole, and of what of it is not hidden behind the
        backward pass, ``"exposed"``; and ``"step"``, all together.
    """
    flops = 3 * network.flops * batch  # the backward pass is two
    moved = network.traffic * batch + network.UPDATE_TRAFFIC * network.parameters
    times = {
        "arithmetic": flops / (machine.arithmetic * machine.utilisation),
        "memory traffic": moved / machine.traffic,
        "all-reduce": reduce_time(network.GRADIENT * network.parameters, accelerators, machine),
        "input": 3 * network.size**2 * batch * min(accelerators, machine.per_host) / machine.read,
        "host": machine.host,
    }
    compute = max(times["arithmetic"], times["memory traffic"])
    exposed = max(0.0, times["all-reduce"] - machine.overlap * compute)
    # Of n normal variables, the largest is about sqrt(2 log n) deviations above the mean.
    slowest = 1 + machine.spread * math.sqrt(2 * math.log(accelerators))
    step = slowest * max(compute + exposed, times["input"], times["host"])
    return times | {"exposed": exposed, "step": step}


def bottleneck(times: dict) -> str:
    """The part that takes longest; of the all-reduce what is not hidden."""
    parts = {name: times[name] for name in ("arithmetic", "memory traffic", "input", "host")}
    parts["all-reduce"] = times["exposed"]
    return max(parts, key=parts.get)


def efficiency(network: Network, machine: Machine, accelerators: int, batch: int):
    """Images a second and accelerator over those of one alone with the batch that fits it."""
    best = fitting_batch(network, machine)
    alone = step_times(network, machine, 1, best)["step"] / best
    return alone * batch / step_times(network, machine, accelerators, batch)["step"]


def hiding_batch(network: Network, machine: Machine, accelerators: int) -> int:
    """Images for each accelerator from which on the all-reduce is hidden."""
    batch = 1
    while step_times(network, machine, accelerators, batch)["exposed"] > 0:
        batch += 1
    return batch
