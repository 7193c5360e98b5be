"""Cases of tests that are mathematics, and run on one backend, beside those that run on all."""

from collections.abc import Collection, Iterable
from typing import Any

import keras
import pytest

# Processes that are started one after another spend their time on compiling, but on torch.
slow_but_on_torch = pytest.mark.slow if keras.backend.backend() != "torch" else pytest.mark.once


def once(cases: Iterable[Any], but: Collection[Any] = ()) -> list[Any]:
    """Values for `pytest.mark.parametrize`, marked ``once``, but for those that run everywhere.

    A tuple is taken as the values of several arguments.
    """
    return [
        case
        if case in but
        else pytest.param(*(case if isinstance(case, tuple) else (case,)), marks=pytest.mark.once)
        for case in cases
    ]
