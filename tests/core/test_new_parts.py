"""One new file in a folder is a new part: found by its name, and run by its family's contract."""

import os
import re
import shutil
import subprocess
import sys

import pytest
from helpers import ROOT

BASIS = '''
"""Turned upside down."""
import keras
import numpy as np
from keras import ops
from keras_gud.bases.basis import Basis, registry

@registry.register("toy_basis")
@keras.saving.register_keras_serializable(package="toy")
class ToyBasis(Basis):
    def call(self, x):
        return ops.flip(self.as_tensor(x), axis=1)

    def inverse(self, z):
        return self.call(z)

    def make_coordinates(self, data_shape):
        return {"row": np.indices(data_shape)[0]}
'''
PRIOR = '''
"""Twice the largest standard deviation."""
import keras
import numpy as np
from keras_gud.priors.prior import Prior, registry

@registry.register("toy_prior")
@keras.saving.register_keras_serializable(package="toy")
class ToyPrior(Prior):
    def make_scale(self, data_variance, coordinates):
        return np.full_like(data_variance, 2.0 * np.sqrt(data_variance.max()))
'''
SCHEDULE = '''
"""A parabola."""
import keras
from keras_gud.schedules.schedule import ComponentSchedule, registry

@registry.register("toy_schedule")
@keras.saving.register_keras_serializable(package="toy")
class ToySchedule(ComponentSchedule):
    def path(self, t):
        return -6.0 + 10.0 * t * t, 20.0 * t
'''
SAMPLER = '''
"""Euler's method on the probability flow."""
import keras
from keras import ops
from keras_gud.diffusion.noising_state import score_from_eps
from keras_gud.samplers.sampler import Sampler, registry

@registry.register("toy_sampler")
@keras.saving.register_keras_serializable(package="toy")
class ToySampler(Sampler):
    def step(self, denoiser, state_at, z, memory, clock, draw):
        state, target = state_at(clock(0)), state_at(clock(1))
        b = 0.5 * ops.square(state.sigma) * (state.gamma - target.gamma)
        return z + b * (z + score_from_eps(denoiser(z, state), state)), memory
'''
BACKBONE = '''
"""Two dense layers."""
import math
import keras
from keras import ops
from keras_gud.backbones.backbone import Backbone, registry

@registry.register("toy_backbone")
@keras.saving.register_keras_serializable(package="toy")
class ToyBackbone(Backbone):
    def create_layers(self, data_shape, tokens_shape, vector_shape):
        width = math.prod(data_shape) + math.prod(tokens_shape[1:]) + vector_shape[-1]
        self.first = keras.layers.Dense(16, activation="silu", dtype=self.dtype_policy)
        self.first.build((None, width))
        self.last = keras.layers.Dense(
            math.prod(data_shape), kernel_initializer="zeros", dtype=self.dtype_policy
        )
        self.last.build((None, 16))

    def transform(self, y, tokens, vector, gamma=None, training=None):
        n = ops.shape(y)[0]
        parts = [ops.reshape(ops.cast(x, self.compute_dtype), (n, -1)) for x in (y, tokens, vector)]
        return ops.reshape(self.last(self.first(ops.concatenate(parts, -1))), (n, *y.shape[1:]))
'''
TASK = '''
"""Everything is observed."""
from keras_gud.tasks.restoration import restore
from keras_gud.tasks.task import register

@register(lambda image: {"image": image})
def toy_task(model, image, **options):
    return restore(model, image, 1.0, 0.0, **options)
'''
FILES = {
    "bases/toy.py": BASIS,
    "priors/toy.py": PRIOR,
    "schedules/toy.py": SCHEDULE,
    "samplers/toy.py": SAMPLER,
    "backbones/toy.py": BACKBONE,
    "tasks/toy.py": TASK,
}
CONTRACTS = {
    "bases/test_basis_contract.py": 5,
    "priors/test_priors.py": 4,
    "schedules/test_schedule_contract.py": 4,
    "samplers/test_sampler_contract.py": 5,
    "samplers/test_exact_gaussian.py": 2,
    "backbones/test_backbone_contract.py": 6,
    "tasks/test_task_contract.py": 4,
}


@pytest.mark.slow
def test_a_new_file_is_run_by_its_contract(tmp_path):
    """In a copy of the repository with a new file in each folder and nothing else changed."""
    for name in ("keras_gud", "tests", "setup.cfg", "pyproject.toml"):
        copy = shutil.copytree if (ROOT / name).is_dir() else shutil.copy
        copy(ROOT / name, tmp_path / name)
    for name, source in FILES.items():
        (tmp_path / "keras_gud" / name).write_text(source.lstrip())
    run = subprocess.run(
        [sys.executable, "-m", "pytest", "-vv", "-p", "no:cacheprovider", "-k", "toy"]
        + [f"tests/{name}" for name in CONTRACTS],
        cwd=tmp_path,
        env=os.environ | {"PYTHONPATH": str(tmp_path)},
        capture_output=True,
        text=True,
    )
    assert run.returncode == 0, run.stdout + run.stderr
    for name, least in CONTRACTS.items():
        passed = re.findall(rf"{re.escape(name)}::\S*toy.* PASSED", run.stdout)
        assert len(passed) >= least, (name, run.stdout)
