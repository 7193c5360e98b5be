"""Habits of other libraries: what is meant is named in the error, and never taken in silence."""

import re

import keras
import numpy as np
import pytest
from helpers.one_weight import OneWeightPerValue

import keras_gud
from keras_gud import presets

pytestmark = pytest.mark.once


@pytest.mark.parametrize(
    ("arguments", "meant"),
    [
        ({"schedule": "ddpm"}, "vp"),
        ({"basis": "fft"}, "fourier"),
        ({"basis": "wavelet"}, "haar"),
        ({"num_classes": 10}, "classes"),
        ({"network": "small"}, "backbone"),
        ({"image_size": 32}, "data_shape"),
        ({"noise_schedule": "cosine"}, "schedule"),
        ({"backbone": "unet"}, "small"),
        ({"prior": "whitened"}, "matching"),
        ({"prediction": "epsilon"}, "eps"),
        ({"precision": "mixed_bfloat16"}, "backbone_dtype"),
        ({"scheduler": "ddim"}, "schedule"),
        ({"preset": "ddpm"}, "vp"),
        ({"prior": "whitening"}, "matching"),
        ({"schedule": "sigmoid"}, "cosine"),
        ({"prediction": "x_start"}, "x0"),
        ({"loss": "l2"}, "weighting"),
        ({"conditional": True}, "classes"),
        ({"preset": "rectified_flow"}, "flow_matching"),
    ],
)
def test_words_of_other_libraries(arguments, meant):
    with pytest.raises((ValueError, TypeError), match=f"Did you mean '{meant}'"):
        keras_gud.GUD(**arguments)


@pytest.mark.parametrize(
    ("argument", "meant"),
    [("num_samples", "n"), ("num_inference_steps", "steps"), ("guidance_scale", "guidance"),
     ("generator", "seed"), ("scheduler", "sampler"), ("class_labels", "labels"),
     ("verbose", "progress"), ("num_timesteps", "steps")],
)  # fmt: skip
def test_words_at_sampling(argument, meant):
    model = keras_gud.GUD(backbone=OneWeightPerValue())
    model.adapt(np.random.default_rng(0).normal(size=(16, 3)), verbose=0)
    with pytest.raises(ValueError, match=f"Did you mean '{meant}'"):
        model.sample(**{argument: 4})


@pytest.mark.parametrize(
    ("argument", "call"),
    [("sampler", "sample(sampler=...)"), ("timesteps", "sample(steps=...)"),
     ("guidance_scale", "sample(guidance=...)"), ("epochs", "fit(epochs=...)"),
     ("batch_size", "fit(batch_size=...)"), ("lr", "compile(keras.optimizers.Adam(...))")],
)  # fmt: skip
def test_arguments_in_the_wrong_place(argument, call):
    with pytest.raises(ValueError, match=re.escape(f"That is for `model.{call}`.")):
        keras_gud.GUD(**{argument: 4})


@pytest.mark.parametrize(
    ("part", "value"),
    [("basis", "edm"), ("schedule", "groupwise"), ("schedule", "flow_matching"),
     ("prior", "equal_snr"), ("basis", presets.edm())],
)  # fmt: skip
def test_presets_in_place_of_parts(part, value):
    given = "..." if isinstance(value, dict) else repr(value)
    with pytest.raises(ValueError, match=re.escape(f"GUD(preset={given})")):
        keras_gud.GUD(**{part: value})


def test_what_is_no_callback_optimizer_or_state():
    model = keras_gud.GUD(backbone=OneWeightPerValue())
    x = np.random.default_rng(0).normal(size=(16, 3))
    with pytest.raises(TypeError, match=r"Call it: EarlyStopping\(\.\.\.\)"):
        model.fit(x, callbacks=[keras.callbacks.EarlyStopping])
    assert not model.built
    model.adapt(x, verbose=0)
    with pytest.raises(ValueError, match="optimizer='adamm'.*Did you mean 'adam'"):
        model.compile("adamm")
    with pytest.raises(TypeError, match=r"NoisingState.*model\.schedule\(0\.5\).*state=0\.3"):
        model.denoise(x, 0.3)


@pytest.mark.parametrize("name", ["model.h5", "model", "model.pt"])
def test_a_file_that_could_not_be_loaded_is_not_written(name, tmp_path):
    model = keras_gud.GUD(backbone=OneWeightPerValue())
    model.adapt(np.random.default_rng(0).normal(size=(16, 3)), verbose=0)
    with pytest.raises(ValueError, match=r"end in '\.keras'.*save_weights"):
        model.save(tmp_path / name)
    assert list(tmp_path.iterdir()) == []


def test_keywords_of_training_before_data_are_read():
    model = keras_gud.GUD(backbone=OneWeightPerValue())
    with pytest.raises(ValueError, match="Did you mean 'epochs'"):
        model.fit(np.zeros((4, 3)), num_epochs=2)
    with pytest.raises(ValueError, match=r"for `model\.compile\(keras\.optimizers"):
        model.fit(np.zeros((4, 3)), lr=1e-3)
    with pytest.raises(ValueError, match="argument of `compile`"):
        model.compile(learning_rate=1e-3)
    assert not model.built


def test_names_that_are_far_away_are_not_suggested():
    for argument in ("flavour", "unroll"):
        with pytest.raises(ValueError, match="argument of `GUD`") as raised:
            keras_gud.GUD(**{argument: 4})
        assert "Did you mean" not in str(raised.value)


def test_presets_by_the_habit_of_keras():
    model = keras_gud.GUD.from_preset("edm", backbone="tiny", prior="matching")
    same = keras_gud.GUD(preset="edm", backbone="tiny", prior="matching")
    ours, theirs = model.get_config(), same.get_config()
    for name in ("prediction", "weighting", "data_scale"):
        assert ours[name] == theirs[name]
    assert type(model.prior).__name__ == "Matching"
    assert "edm" in presets.names()
    assert presets.names() == sorted(presets.ALL)
    with pytest.raises(ValueError, match="Did you mean 've'"):
        keras_gud.GUD.from_preset("ncsn")


def table_of(model):
    lines = []
    model.summary(print_fn=lines.append)
    return lines


def test_the_summary_has_every_shape_and_says_what_numbers_are():
    model = keras_gud.GUD(backbone="tiny", classes=3, region=["columns"])
    assert "given data" in table_of(model)[1]
    model.adapt(np.random.default_rng(0).integers(256, size=(16, 4, 4, 1)), verbose=0)
    text = "\n".join(table_of(model))
    assert "?" not in text
    network = f"{model.network.count_params():,}"
    for part, what in (("network", "weights"), ("average", "their average"), ("prior", "statis")):
        (line,) = [line for line in text.splitlines() if line.startswith(part)]
        assert what in line
    assert f"{network} of " in text
    assert "(None, 4, 4, 1)" in text
    nested = []
    model.summary(print_fn=nested.append, expand_nested=True)
    assert len(nested) > len(text.splitlines())
    with pytest.raises(ValueError, match="Did you mean 'print_fn'"):
        model.summary(print_function=print)


def test_learned_schedules_have_weights():
    model = keras_gud.GUD(schedule="learned", backbone="tiny")
    model.adapt(np.random.default_rng(0).normal(size=(16, 4)), verbose=0)
    (line,) = [line for line in table_of(model) if line.startswith("schedule")]
    assert "curves that training learns" in line


def test_fit_says_what_was_measured_in_one_line(capsys):
    model = keras_gud.GUD(backbone=OneWeightPerValue())
    model.fit(np.random.default_rng(0).normal(size=(32, 4)), batch_size=16)
    said = capsys.readouterr().out
    assert len([line for line in said.splitlines() if line.startswith("Measured")]) == 1
    assert "\x1b" not in said


def test_a_global_float16_is_refused_where_torch_cannot():
    if keras.backend.backend() != "torch":
        pytest.skip("of torch")
    before = keras.config.dtype_policy()
    keras.config.set_dtype_policy("mixed_float16")
    try:
        model = keras_gud.GUD(backbone="tiny")
        with pytest.raises(ValueError, match="mixed_bfloat16"):
            model.fit(np.zeros((8, 4, 4, 1)) + np.arange(8)[:, None, None, None], verbose=0)
    finally:
        keras.config.set_dtype_policy(before)
