"""The process is killed in the middle of an epoch; the same command, started again, finishes."""

import os
import subprocess
import sys
from pathlib import Path

import numpy as np

COMMAND = """
import os, signal, sys
sys.path.insert(0, {tests!r})
import keras, numpy as np
from model_helpers import everything, make, vectors

class Killer(keras.callbacks.Callback):
    def on_train_batch_end(self, batch, logs=None):
        if len(os.listdir({folder!r})) and batch == 1 and {kill}:
            os.kill(os.getpid(), signal.SIGKILL)

model = make(dropout=0.3)
backup = [] if {alone} else [keras.callbacks.BackupAndRestore({folder!r})]
model.fit(vectors(50), batch_size=16, epochs=3, verbose=0, validation_data=vectors(20, seed=1),
          callbacks=[*backup, Killer()])
np.savez({out!r}, *everything(model).values())
"""


def run(folder: Path, out: Path, kill=False, alone=False):
    folder.mkdir(exist_ok=True)
    here = Path(__file__)
    code = COMMAND.format(
        tests=str(here.parent), folder=str(folder), out=str(out), kill=kill, alone=alone
    )
    paths = [str(here.parents[2]), os.environ.get("PYTHONPATH", "")]
    env = os.environ | {"PYTHONPATH": os.pathsep.join(paths)}
    return subprocess.run([sys.executable, "-c", code], env=env, capture_output=True, text=True)


def test_a_killed_process_loses_at_most_its_epoch(tmp_path):
    backup, outs = tmp_path / "backup", [tmp_path / f"{name}.npz" for name in ("again", "alone")]
    killed = run(backup, outs[0], kill=True)
    assert killed.returncode == -9, killed.stderr
    assert not outs[0].exists()
    assert list(backup.iterdir())
    for out, alone in zip(outs, (False, True), strict=True):
        done = run(backup, out, alone=alone)
        assert done.returncode == 0, done.stderr
    again, never_killed = (list(np.load(out).values()) for out in outs)
    assert len(again) == len(never_killed) > 10
    for a, b in zip(again, never_killed, strict=True):
        np.testing.assert_array_equal(a, b)
