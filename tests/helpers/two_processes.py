"""One of two processes that test_distributed starts: what they tell each other."""

import os
import sys

import keras
import numpy as np

here, port = int(sys.argv[1]), sys.argv[2]
BACKEND = os.environ["KERAS_BACKEND"]
if BACKEND == "jax":
    keras.distribution.initialize(f"localhost:{port}", 2, here)
    keras.distribution.set_distribution(keras.distribution.DataParallel())
else:
    import torch.distributed

    class Some(torch.utils.data.IterableDataset):
        """Batches whose number is not known before they end."""

        def __init__(self, batches):
            self.batches = batches

        def __iter__(self):
            return iter(self.batches)

    torch.distributed.init_process_group(
        "gloo", init_method=f"tcp://localhost:{port}", rank=here, world_size=2
    )

import keras_gud  # noqa: E402
from helpers.one_weight import OneWeightPerValue  # noqa: E402
from keras_gud import backend  # noqa: E402
from keras_gud.core.streaming_moments import Covariance, Moments  # noqa: E402
from keras_gud.data.source import Source  # noqa: E402


def error_of(function) -> str:
    try:
        function()
    except (ValueError, RuntimeError) as error:
        return f"{type(error).__name__}: {error}"
    return "none"


def check_statistics():
    """Parts of unequal size, merged, are the whole, to 64 bits and the same in both processes."""
    x = np.random.default_rng(0).normal(size=(50, 3)) + 1e6
    part = x[:20] if here == 0 else x[20:]
    for kind in (Moments, Covariance):
        merged, whole = kind().update(part).across_processes(), kind().update(x)
        assert merged.count == 50
        np.testing.assert_allclose(merged.mean, whole.mean, rtol=1e-15)
        np.testing.assert_allclose(merged._m2, whole._m2, rtol=1e-9, atol=1e-7)
        both = backend.process_allgather(merged._m2)
        np.testing.assert_array_equal(both[0], both[1])


def check_adapted():
    """Each process has seen its own part: mean and scale are those of all."""
    x = np.random.default_rng(1).normal(size=(64, 4)).astype("float32")
    kwargs = {"basis": "pca", "schedule": "cosine", "backbone": "tiny", "seed": 0}
    as_they_are = keras_gud.GUD(data_scale="range", **kwargs)
    as_they_are.adapt(iter(np.split(x[here::2], 4)), verbose=0)
    mean = as_they_are.basis.inverse(as_they_are.prior.mean[None])
    np.testing.assert_allclose(backend.to_numpy(mean)[0], x.mean(axis=0), atol=1e-5)

    x[:, 3] = np.round(8 * x[:, 3]) / 255  # a column on a grid, whose step is known with an error
    x[:, 2] = np.round(8 * x[:, 2])  # each process' values on a grid, but not all values on one
    x[1::2, 2] += 0.25
    measured = keras_gud.GUD(**kwargs)
    measured.adapt(iter(np.split(x[here::2], 4)), verbose=0)
    scaling, whole = measured.data_space.scaling, x.astype("float64")
    np.testing.assert_allclose(scaling.step, [0, 0, 0, 1 / 255], rtol=1e-6)
    np.testing.assert_allclose(scaling.centre, whole.mean(axis=0), atol=1e-12)
    variance = whole.var(axis=0) + scaling.step**2 / 12
    np.testing.assert_allclose(scaling.scale, np.sqrt(variance), rtol=1e-12)
    assert (scaling.low[3], scaling.high[3]) == (x[:, 3].min(), x[:, 3].max())


def check_errors():
    """One process fails, both raise, and the other is told of it."""
    model = keras_gud.GUD(schedule="cosine", backbone="tiny", seed=0)
    empty = iter([] if here == 1 else [np.zeros((4, 2), "float32")])
    told = error_of(lambda: model.fit(empty, verbose=0))
    if here == 1:
        assert told.startswith("ValueError: Expected at least one batch"), told
    else:
        assert told.startswith("RuntimeError: Expected every process to open its data"), told
        assert "process 1 of 2 failed, with ValueError: Expected at least one batch" in told, told

    some = [np.ones((4, 2), "float32") * i for i in range(3 + here)]
    kinds = [iter(some)]
    if BACKEND == "torch":
        kinds.append(torch.utils.data.DataLoader(Some(some), batch_size=None))
    for few in kinds:
        model = keras_gud.GUD(schedule="cosine", backbone=OneWeightPerValue(), seed=0)
        told = error_of(lambda model=model, few=few: model.fit(few, verbose=0))
        assert "the same number of batches in every process" in told, told
        assert "after 3 batches those of processes [0] of 2 have ended" in told, told

    class Batches(keras.utils.PyDataset):
        num_batches = 3 + here

        def __getitem__(self, index):
            return np.ones((4, 2), "float32") * index

    told = error_of(Source(Batches(), part=backend.data_shard()).check_divides)
    assert "same number of batches in every process" in told, told
    assert "[3, 4]" in told, told


assert (backend.process_index(), backend.process_count()) == (here, 2)
assert backend.data_shard() == (here, 2)
assert backend.process_allgather(np.float64(1 / 3 + here)).tolist() == [1 / 3, 4 / 3]
check_statistics()
check_adapted()
check_errors()
if BACKEND == "torch":  # else its threads abort some processes at exit
    torch.distributed.destroy_process_group()
print("as it should be")
