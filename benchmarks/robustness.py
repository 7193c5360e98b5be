"""How the public interface takes random input: thousands of inputs and what became of each.

Run with ``KERAS_BACKEND=jax python benchmarks/robustness.py [--inputs N] [--seed S] [--quick]``. An
input may work, with finite outputs of the right shape and type, or be refused with an error that
says what was expected; everything else is a defect: another error, a NaN, a crash of the process,
or no answer for a minute. Input i of a class is a function of the seed, the class and i; each
class runs in a process of its own, which is started again where it crashes or hangs.
"""

import argparse
import multiprocessing
import os
import time
import zlib
from collections import Counter

os.environ.setdefault("KERAS_BACKEND", "jax")
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

LONGEST = 60.0  # seconds for one input; starting a process takes some too


def work(pipe, name: str, seed: int, first: int, last: int):
    """Tries inputs one after the other and tells of each."""
    import numpy as np
    from robustness_inputs import CLASSES, outcome

    pipe.send("ready")
    for i in range(first, last):
        rng = np.random.default_rng([seed, zlib.crc32(name.encode()), i])
        pipe.send(outcome(CLASSES[name], rng))


def run(name: str, seed: int, number: int) -> tuple[Counter, list]:
    """The number of inputs of each outcome, and the defects."""
    context = multiprocessing.get_context("spawn")
    counts, defects, i = Counter(), [], 0
    while i < number:
        ours, theirs = context.Pipe()
        process = context.Process(target=work, args=(theirs, name, seed, i, number), daemon=True)
        process.start()
        theirs.close()
        result = None
        try:
            if not ours.poll(5 * LONGEST) or ours.recv() != "ready":
                raise RuntimeError(f"No process for {name!r}.")
            while i < number:
                result = ours.recv() if ours.poll(LONGEST) else ("defect", "no answer: it hangs")
                if result[1].startswith("no answer"):
                    break
                counts[result[0]] += 1
                if result[0] == "defect":
                    defects.append((i, result[1]))
                i += 1
        except EOFError:
            result = ("defect", "crash of the process")
        if i < number:
            counts["defect"] += 1
            defects.append((i, result[1]))
            i += 1
        process.kill()
        process.join()
    return counts, defects


def main():
    """Prints the table, and below it every defect."""
    from robustness_inputs import CLASSES, SHARES

    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--inputs", type=int, default=1000, help="of a class that costs little")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--quick", action="store_true", help="a tenth of the inputs")
    parser.add_argument("--only", help="classes whose name has this in it")
    options = parser.parse_args()
    number = options.inputs // 10 if options.quick else options.inputs
    print("| class | inputs | worked | refused | defects | seconds |\n|---|---|---|---|---|---|")
    total, found = Counter(), []
    for name in CLASSES:
        if options.only and options.only not in name:
            continue
        began = time.perf_counter()
        counts, defects = run(name, options.seed, max(1, round(number * SHARES.get(name, 1.0))))
        seconds = time.perf_counter() - began
        found += [(name, i, what) for i, what in defects]
        total += counts
        row = sum(counts.values()), counts["worked"], counts["refused"], counts["defect"]
        print(f"| {name} | {' | '.join(map(str, row))} | {seconds:.0f} |", flush=True)
    row = sum(total.values()), total["worked"], total["refused"], total["defect"]
    print(f"| all | {' | '.join(map(str, row))} | |\n")
    alike = {}
    for name, i, what in found:
        alike.setdefault((name, what[:120]), []).append((i, what))
    for (name, _), inputs in alike.items():
        print(f"- {name}, {len(inputs)} inputs, e.g. {inputs[0][0]}: {inputs[0][1]}")


if __name__ == "__main__":
    main()
