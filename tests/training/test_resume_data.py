"""Training interrupted within an epoch goes on at the same place in data of every kind."""

import itertools

import keras
import numpy as np
import pytest
from helpers.interrupted import assert_same_run, interrupted, train
from helpers.marks import once
from helpers.tiny_model import vectors

from keras_gud import datasets
from keras_gud.data.epoch_order import LoaderOrder


class Batches(keras.utils.PyDataset):
    """Leaves its order to others."""

    @property
    def num_batches(self):
        return 4

    def __getitem__(self, index):
        return vectors(16, seed=index)


def brightened(images, rng):
    return images // rng.integers(1, 4, size=(len(images), 1, 1, 1), dtype="uint8")


def stream():
    return datasets.load("digits", n=50, batch_size=16, seed=2, augment=brightened)


def generator():
    return (vectors(16, seed=i) for i in itertools.count())


def tf_data(repeat=False):
    tf = pytest.importorskip("tensorflow")
    dataset = tf.data.Dataset.from_tensor_slices(vectors(50))
    dataset = dataset.repeat() if repeat else dataset
    return dataset.shuffle(50, seed=4).batch(16)


def loader():
    torch = pytest.importorskip("torch")
    examples = torch.utils.data.TensorDataset(torch.tensor(vectors(50)))
    order = torch.Generator().manual_seed(8)
    return torch.utils.data.DataLoader(examples, 16, shuffle=True, generator=order)


def distributed_loader():
    torch = pytest.importorskip("torch")
    examples = torch.utils.data.TensorDataset(torch.tensor(vectors(50)))
    sampler = torch.utils.data.DistributedSampler(examples, num_replicas=1, rank=0, seed=5)
    return torch.utils.data.DataLoader(examples, 16, sampler=sampler)


STEPS = {"steps_per_epoch": 4}
KINDS = {
    "Stream": (stream, {}),
    "PyDataset": (Batches, {}),
    "generator": (generator, STEPS),
    "tf.data": (tf_data, {}),
    "endless tf.data": (lambda: tf_data(repeat=True), STEPS),
    "DataLoader": (loader, {}),
    "DistributedSampler": (distributed_loader, {}),
}


@pytest.mark.parametrize("kind", once(KINDS, but=["tf.data"]))
def test_an_interrupted_run_equals_one_that_was_not(kind, tmp_path):
    data, kwargs = KINDS[kind]
    expected = train(data, **kwargs)
    assert_same_run(interrupted(data, tmp_path, at=(1, 1), **kwargs), expected)


def test_the_order_of_a_loader_is_a_function_of_its_seed_and_the_epoch():
    def orders(epochs):
        data = loader()
        order = LoaderOrder(data)
        found = []
        for epoch in epochs:
            order.epoch = epoch
            found.append(np.concatenate([np.asarray(batch[0]) for batch in data]).tolist())
        return found

    assert orders([0, 1, 2])[2] == orders([2])[0]
    assert orders([0])[0] != orders([1])[0]
