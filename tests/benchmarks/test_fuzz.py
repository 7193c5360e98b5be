"""A short run of the fuzzing in `benchmarks/robustness.py`: nothing but worked or refused."""

import numpy as np
import pytest
import robustness_inputs
from hypothesis import given, settings
from hypothesis import strategies as st

pytestmark = pytest.mark.once

# What compiles something new for nearly every input is left to the benchmark.
EXAMPLES = {
    "bases": 30,
    "priors": 40,
    "schedules": 25,
    "states (gamma to +-80)": 10,
    "noise": 15,
    "statistics": 30,
    "configurations": 30,
    "damaged and odd files": 40,
}


@pytest.mark.parametrize("name", EXAMPLES)
def test_every_input_works_or_is_refused(name):
    @settings(max_examples=EXAMPLES[name], derandomize=True, deadline=None, database=None)
    @given(st.integers(0, 2**32 - 1))
    def every(seed):
        rng = np.random.default_rng(seed)
        result, what = robustness_inputs.outcome(robustness_inputs.CLASSES[name], rng)
        assert result != "defect", what

    every()


def test_outcomes_are_told_apart():
    def fail(error):
        def function(rng):
            raise error

        return robustness_inputs.outcome(function, None)[0]

    assert robustness_inputs.outcome(lambda rng: None, None)[0] == "worked"
    assert fail(ValueError("Expected `a` to be 3. Received: a=2.")) == "refused"
    assert fail(ValueError("operands could not be broadcast")) == "defect"
    assert fail(IndexError("Expected `a` to be 3. Received: a=2.")) == "defect"
    with pytest.raises(robustness_inputs.DefectError):
        robustness_inputs.finite(np.array([np.nan]), "x")


def test_the_table_of_classes():
    assert EXAMPLES.keys() <= robustness_inputs.CLASSES.keys()
    assert robustness_inputs.SHARES.keys() <= robustness_inputs.CLASSES.keys()
