"""Progress in terminals, and in files, where nothing can be redrawn."""

import numpy as np
import pytest

import keras_gud
from keras_gud.core import progress
from keras_gud.core.progress import Progress, verbosity

pytestmark = pytest.mark.once


@pytest.fixture(params=[False, True], ids=["file", "terminal"])
def live(request, monkeypatch):
    monkeypatch.setattr(progress, "is_live", lambda: request.param)
    return request.param


def test_a_bar_or_one_line(live, capsys):
    work = Progress(3, "batch")
    for _ in range(3):
        work.add(1)
    printed = capsys.readouterr().out
    if live:
        assert printed.count("3/3") == 1
    else:
        assert printed == "3 of 3 batches in 0 s\n"


def test_lines_and_silence(live, capsys):
    Progress(2, "step", verbose=2).update(2)
    Progress(None, "step", verbose=2).update(7, finalize=True)
    first, second = capsys.readouterr().out.splitlines()
    assert (first[:12], second[:7]) == ("2 of 2 steps", "7 steps")
    Progress(2, "step", verbose=0).update(2)
    assert capsys.readouterr().out == ""


def test_long_work_says_something_meanwhile(monkeypatch, capsys):
    now = iter([0.0, 10.0, 31.0, 40.0, 62.0])
    monkeypatch.setattr(progress.time, "monotonic", lambda: next(now))
    work = Progress(100, "image", verbose=2)
    for _ in range(4):
        work.add(1)
    assert capsys.readouterr().out == "2 of 100 images in 31 s\n4 of 100 images in 62 s\n"


def test_the_log_of_a_training_has_no_bars(capsys):
    """Output is captured, as it is in files: one line an epoch, nothing that a terminal reads."""
    assert verbosity("auto") == 2
    model = keras_gud.GUD(schedule="cosine", backbone="tiny", seed=0)
    model.fit(np.random.default_rng(0).normal(size=(64, 4)), epochs=2, batch_size=16)
    model.sample(2, steps=2, seed=0, progress=True)
    printed = capsys.readouterr().out
    assert not {"\x1b", "\b", "\r", "\u2501"} & set(printed)
    assert [line for line in printed.splitlines() if line.startswith("Epoch")] == [
        "Epoch 1/2",
        "Epoch 2/2",
    ]
    assert "steps in" in printed
