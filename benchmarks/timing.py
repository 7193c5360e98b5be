"""Timing things that are compared: in turn, so that a change in the machine's speed hits all."""

import time

import numpy as np


def time_in_turn(runs: dict, rounds: int, clock=time.perf_counter) -> dict:
    """Seconds of every run in every round, one after the other within each round.

    Args:
        runs: Functions without arguments, by name.
        rounds: Number of rounds.
        clock: Function without arguments that returns seconds; `time.process_time` for those of
            this process alone, on a CPU that others use too.

    Returns:
        Arrays ``(rounds,)`` by name.
    """
    times = {name: [] for name in runs}
    for _ in range(rounds):
        for name, run in runs.items():
            start = clock()
            run()
            times[name].append(clock() - start)
    return {name: np.array(seconds) for name, seconds in times.items()}
