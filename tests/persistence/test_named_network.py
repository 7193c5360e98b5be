"""Networks that were given by name, in checkpoints."""

import numpy as np
import pytest

import keras_gud
from keras_gud import callbacks


@pytest.mark.once
def test_training_goes_on_from_a_checkpoint_of_a_named_network(tmp_path):
    x = np.random.default_rng(0).normal(size=(32, 4)).astype("float32")

    def train(folder, epochs):
        model = keras_gud.GUD(backbone="tiny", seed=0)
        checkpoint = callbacks.Checkpoint(tmp_path / folder)
        return model.fit(x, batch_size=16, epochs=epochs, verbose=0, callbacks=[checkpoint])

    first = train("halves", 1).history["loss"]
    both = train("halves", 2).history["loss"]
    assert both[0] == first[0]  # it was not run again
    assert both[1] < both[0]
