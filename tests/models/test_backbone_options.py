"""`GUD(backbone_options=...)`: further arguments of a network that is given by its name."""

import keras
import numpy as np
import pytest

import keras_gud
from keras_gud import backbones

PERIODIC = {"boundary": "periodic", "dropout": 0.1}


def images():
    return np.random.default_rng(0).normal(size=(32, 8, 8, 1)).astype("float32")


def test_the_network_has_them_and_fits_itself_to_the_data_as_without(tmp_path):
    model = keras_gud.GUD(schedule="sequential", backbone="tiny", backbone_options=PERIODIC, seed=0)
    assert keras_gud.GUD.from_config(model.get_config()).backbone.options == PERIODIC
    model.adapt(images(), verbose=0)
    assert {name: getattr(model.network, name) for name in PERIODIC} == PERIODIC
    assert model.network.gamma_map
    model.save(tmp_path / "model.keras")
    loaded = keras.saving.load_model(tmp_path / "model.keras")
    assert loaded.network.get_config() == model.network.get_config()


def test_a_size_takes_those_of_the_network_that_it_becomes():
    model = keras_gud.GUD(backbone="tiny", backbone_options={"width": 7})
    model.adapt(np.random.default_rng(0).normal(size=(32, 5)), verbose=0)
    assert model.network.width == 7
    model = keras_gud.GUD(backbone="tiny", backbone_options={"width": 7})
    with pytest.raises(ValueError, match="`UNet`.*Received: width=7. Did you mean 'widths'"):
        model.adapt(images(), verbose=0)


@pytest.mark.once
@pytest.mark.parametrize(
    ("backbone", "options", "message"),
    [
        ("tiny", {"boundry": "periodic"}, "Did you mean 'boundary'"),
        ("tiny", {"gamma_map": True}, "Expected an argument of `UNet or MLP`"),
        ("dit-tiny", {"dropout": 2.0}, "Expected 0 <= dropout < 1"),
        (backbones.MLP(8), {"dropout": 0.1}, "beside the name of a network.*with a MLP"),
    ],
)
def test_what_no_network_takes_is_refused_before_data_are_read(backbone, options, message):
    with pytest.raises(ValueError, match=message):
        keras_gud.GUD(backbone=backbone, backbone_options=options)
