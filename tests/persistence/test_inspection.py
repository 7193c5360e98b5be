"""Files made to harm, and damaged ones: refused with a clear error before anything happens."""

import io
import json
import marshal
import pathlib
import pickle
import zipfile

import h5py
import keras
import numpy as np
import pytest
from helpers.one_weight import OneWeightPerValue

import keras_gud
from keras_gud.persistence import inspection

pytestmark = pytest.mark.once

CONFIG, WEIGHTS = "config.json", "model.weights.h5"
RNG = np.random.default_rng(0)
VECTORS = RNG.normal(size=(32, 4)).astype("float32")


@pytest.fixture(scope="module")
def model():
    made = keras_gud.GUD(schedule="cosine", backbone=OneWeightPerValue(), seed=0)
    made.adapt(VECTORS, verbose=0)
    made.compile("adam")
    made.optimizer.build(made.trainable_variables)
    made.optimizer.iterations.assign(7)
    return made


@pytest.fixture(scope="module")
def entries(model, tmp_path_factory):
    """What is in a good file, by name."""
    path = tmp_path_factory.mktemp("saved") / "good.keras"
    model.save(path)
    with zipfile.ZipFile(path) as archive:
        return {name: archive.read(name) for name in archive.namelist()}


@pytest.fixture
def write(entries, tmp_path):
    """Writes a file from the good entries and changed ones; `None` leaves one out."""

    def write(changes=(), compression=zipfile.ZIP_STORED):
        path = tmp_path / "m.keras"
        with zipfile.ZipFile(path, "w", compression) as archive:
            for name, content in (entries | dict(changes)).items():
                if content is not None:
                    archive.writestr(name, content)
        return path

    return write


@pytest.fixture
def write_config(entries, write):
    """Writes a good file with one value of its configuration changed, found by keys."""

    def write_config(*place, value):
        tree = json.loads(entries[CONFIG])
        node = tree
        for key in place[:-1]:
            node = node[key]
        node[place[-1]] = value
        return write({CONFIG: json.dumps(tree)})

    return write_config


@pytest.fixture
def write_weights(entries, write):
    """Writes a good file with weights that `change(file)` has changed."""

    def write_weights(change):
        content = io.BytesIO(entries[WEIGHTS])
        with h5py.File(content, "a") as file:
            change(file)
        return write({WEIGHTS: content.getvalue()})

    return write_weights


def refused(path, message, **kwargs):
    with pytest.raises(ValueError, match=message) as caught:
        keras_gud.load(path, **kwargs)
    assert "Expected" in str(caught.value)
    assert "Received" in str(caught.value)


# -- good files ------------------------------------------------------------------------------------


def test_a_good_file_is_loaded(model, write):
    path = write()
    loaded = keras_gud.load(path)
    assert type(loaded) is keras_gud.GUD
    assert not loaded.compiled
    np.testing.assert_array_equal(*(m.sample(2, steps=3, seed=1) for m in (loaded, model)))
    assert type(keras_gud.load(str(path))) is keras_gud.GUD


def test_the_optimizer_comes_back_if_asked(write):
    assert int(keras_gud.load(write(), compile=True).optimizer.iterations.numpy()) == 7


def test_nothing_is_unpickled(write, monkeypatch):
    def fail(*args, **kwargs):
        raise AssertionError("unpickled")

    for module, name in ((pickle, "load"), (pickle, "loads"), (pickle, "Unpickler")):
        monkeypatch.setattr(module, name, fail)
    monkeypatch.setattr(marshal, "loads", fail)
    assert keras_gud.load(write(), compile=True).built


def test_a_latent_model_and_its_functional_encoder(tmp_path):
    x = keras.Input((4, 4, 1))
    encoder = keras.Model(x, keras.layers.Conv2D(2, 2, 2, activation="relu")(x))
    decoder = keras.Sequential([keras.layers.Conv2DTranspose(1, 2, 2)])
    made = keras_gud.LatentGUD(encoder, decoder, schedule="cosine", backbone=OneWeightPerValue())
    made.adapt(RNG.normal(size=(32, 4, 4, 1)).astype("float32"), verbose=0)
    made.save(tmp_path / "m.keras")
    loaded = keras_gud.load(tmp_path / "m.keras")
    samples = [m.sample(2, steps=3, seed=1) for m in (loaded, made)]
    np.testing.assert_allclose(*samples, atol=1e-5)


def test_objects_of_the_user_are_loaded_where_they_are_known(write_config):
    class Mine(OneWeightPerValue):
        pass

    config = {"module": None, "class_name": "Mine", "registered_name": "Mine", "config": {}}
    config["build_config"] = {"input_shape": [[None, 4], [None, 1, 1]]}
    path = write_config("config", "backbone", value=config)
    refused(path, "registered.*Received: 'Mine'")
    with keras.saving.custom_object_scope({"Mine": Mine}):
        assert type(keras_gud.load(path).network) is Mine


# -- the archive -----------------------------------------------------------------------------------


@pytest.mark.parametrize("length", [0, 10, 0.5, 0.99])
def test_truncated_files(write, length):
    path = write()
    content = path.read_bytes()
    path.write_bytes(content[: int(length * len(content)) if length < 1 else length])
    refused(path, "a whole file that `model.save` wrote")


def test_a_flipped_bit(write, entries):
    path = write()
    content = bytearray(path.read_bytes())
    content[content.find(entries[WEIGHTS][:64]) + len(entries[WEIGHTS]) // 2] ^= 1
    path.write_bytes(content)
    refused(path, "whole file.*CRC")


def test_files_that_are_not_there(tmp_path):
    with pytest.raises(FileNotFoundError, match="Expected an existing file"):
        keras_gud.load(tmp_path / "m.keras")
    with pytest.raises(ValueError, match=r"ends in '\.keras'"):
        keras_gud.load(pathlib.Path("m.h5"))


@pytest.mark.parametrize(
    "changes",
    [
        {"assets/vocabulary.txt": b"a"},
        {"../../evil": b"a"},
        {"data.pkl": pickle.dumps(1)},
        {WEIGHTS: None},
        {CONFIG: None},
        {"metadata.json": None},
    ],
    ids=str,
)
def test_other_entries(write, changes):
    refused(write(changes), "a file with exactly the entries")


@pytest.mark.filterwarnings("ignore:Duplicate name")
def test_an_entry_twice(write, entries):
    path = write()
    with zipfile.ZipFile(path, "a") as archive:
        archive.writestr(CONFIG, entries[CONFIG])
    refused(path, "a file with exactly the entries")


def test_bombs(write):
    path = write({CONFIG: b" " * 20 * 2**20}, zipfile.ZIP_DEFLATED)
    assert path.stat().st_size < 2**20
    refused(path, "config.json of at most 16777216 bytes.*20971520 bytes, packed.*max_bytes")
    refused(write(), "weights.h5 of at most", max_bytes=10_000)
    with pytest.raises(ValueError, match="Expected `max_bytes` to be an integer >= 1"):
        keras_gud.load(write(), max_bytes=0)


# -- the configuration -----------------------------------------------------------------------------


@pytest.mark.parametrize("content", [b"", b"{", b"\xff\xfe", b"[" * 10**5], ids=len)
def test_what_is_no_json(write, content):
    refused(write({CONFIG: content}), "JSON in config.json")


def test_deep_nesting(write, write_config):
    refused(write({"metadata.json": b"[" * 500 + b"]" * 500}), "metadata.json nested at most 100")
    basis = "pixel"
    for _ in range(60):
        basis = {"class_name": "Compose", "registered_name": "keras_gud>Compose", "config": basis}
        basis["config"] = {"bases": [basis["config"]]}
    refused(write_config("config", "basis", value=basis), "config.json nested at most 100")


@pytest.mark.parametrize("value", [[], 3, "GUD", None])
def test_a_configuration_of_nothing(write, value):
    refused(write({CONFIG: json.dumps(value)}), "a model that keras_gud saved")


def test_models_of_others(tmp_path):
    other = keras.Sequential([keras.Input((3,)), keras.layers.Dense(2)])
    other.save(tmp_path / "m.keras")
    refused(tmp_path / "m.keras", "a model that keras_gud saved.*Received: 'Sequential' of module")


def function(name, module, registered="function"):
    names = {"class_name": "function", "registered_name": registered}
    return names | {"module": module, "config": name}


def layer(class_name, module="keras.layers", **config):
    return {"class_name": class_name, "module": module, "registered_name": None, "config": config}


HOSTILE = {
    "a function of os": function("system", "os"),
    "a builtin": function("system", "os", "builtins>eval"),
    "a class of another module": layer("Popen", "subprocess", args=["touch", "SENTINEL"]),
    "code": layer("Lambda", function={"class_name": "__lambda__", "config": {"value": "eA=="}}),
    "code by itself": {"class_name": "__lambda__", "config": {"value": "eA=="}},
    "a pickle of torch": layer("TorchModuleWrapper", module="eA=="),
    "a saved graph": layer("TFSMLayer", filepath="SENTINEL"),
    "a file to read": layer("StringLookup", vocabulary="/etc/passwd"),
    "a loader of Keras": function("load_model", "keras.saving"),
    "a downloader of Keras": function("get_file", "keras.utils"),
    "a class that is no layer": layer("Progbar", "keras.utils", target=3),
    "a name that is none": {"class_name": ["Lambda"], "module": "keras.layers", "config": {}},
    "a type": {"class_name": "__typespec__", "module": "os", "config": []},
}
PLACES = [("config", "backbone"), ("config", "weighting"), ("config", "basis"), ("note",)]


@pytest.mark.parametrize("what", HOSTILE)
@pytest.mark.parametrize("place", PLACES, ids="/".join)
def test_objects_that_are_not_known_to_be_safe(write_config, what, place, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    value = json.loads(json.dumps(HOSTILE[what]))
    hidden = {"deep": [value]}
    for each in (value, hidden):
        refused(write_config(*place, value=each), "only objects of keras and keras_gud")
    assert not (tmp_path / "SENTINEL").exists()


def test_code_is_refused_by_plain_loading_too(model, write_config, tmp_path):
    sentinel = tmp_path / "SENTINEL"
    name = str(sentinel)
    harm = keras.layers.Lambda(lambda x: open(name, "w"))
    config = keras.saving.serialize_keras_object(harm)
    path = write_config("config", "backbone", value=config)
    refused(path, "only objects of keras and keras_gud")
    # Keras' safe mode holds in what the model itself deserializes.
    with pytest.raises(ValueError, match="arbitrary code execution"):
        keras.saving.load_model(path)
    with pytest.raises(ValueError, match="arbitrary code execution"):
        keras_gud.GUD.from_config(json.loads(zipfile.ZipFile(path).read(CONFIG))["config"])
    assert not sentinel.exists()


def test_the_optimizer_is_looked_at_if_it_is_loaded(write_config):
    path = write_config("compile_config", "optimizer", value=layer("Popen", "subprocess"))
    refused(path, "only objects of keras", compile=True)
    assert keras_gud.load(path).built


@pytest.mark.parametrize(
    ("place", "value", "message"),
    [
        (("build_config", "data_shape"), [10**9], "shapes that fit the"),
        (("config", "prior", "build_config", "input_shape"), [None, 10**5, 10**5], "shapes that"),
        (("config", "basis", "build_config", "input_shape"), [None, 10**400], "shapes that fit"),
        (("build_config", "tokens", "n_tokens"), 10**9, "as many weights as the model has"),
        (("build_config", "tokens", "n_means"), 10**12, "at most as many different tokens"),
        (("build_config", "data_shape"), [1000], "shapes that fit the [0-9]+ numbers"),
        (("build_config", "data_shape"), [-4], "can be made"),
        (("build_config", "data_shape"), "four", "can be made"),
        (("config", "format_version"), "new", "Expected `format_version` to be an integer"),
        (("config", "format_version"), 99, "format version 1 or older"),
        (("config", "schedule"), 3, "can be made"),
        (("config",), {}, "can be made.*KeyError"),
        (("config", "prediction"), "nothing", "Expected `prediction`"),
        (("config", "surprise"), 1, "surprise"),
    ],
)
def test_values_that_make_no_model(write_config, place, value, message):
    refused(write_config(*place, value=value), message)


def test_layers_larger_than_the_file(write_config):
    """They are counted without being made: 24 terabytes would not fit."""
    backbone = layer("MLP", "keras_gud.backbones.mlp", width=10**6)
    backbone["registered_name"] = "keras_gud>MLP"
    refused(write_config("config", "backbone", value=backbone), "as many weights as the model has")


@pytest.mark.parametrize("whole", [True, False])
def test_layers_of_another_call_larger_than_the_file(write_config, whole):
    """They are refused without being made."""
    dense = layer("Dense", units=10**6) | {"build_config": {"input_shape": [None, 10**6]}}
    backbone = layer("Sequential", "keras", name="s", layers=[dense]) if whole else dense
    refused(write_config("config", "backbone", value=backbone), "can be made")


def test_a_table_of_labels_larger_than_the_file(entries, write):
    tree = json.loads(entries[CONFIG])
    tree["config"] |= {"backbone": "tiny", "classes": 10**9}
    refused(write({CONFIG: json.dumps(tree)}), "as many weights as the model has, [0-9]{11,} num")


# -- the weights -----------------------------------------------------------------------------------


def first(file):
    """The group and the key of the first array."""
    found = []
    file.visititems(lambda name, item: found.append(item) if hasattr(item, "dtype") else None)
    return found[0].parent, found[0].name.rsplit("/", 1)[1]


def replace(make):
    def change(file):
        group, key = first(file)
        shape, dtype = group[key].shape, group[key].dtype
        del group[key]
        make(file, group, key, shape, dtype)

    return change


def virtual(file, group, key, shape, dtype):
    layout = h5py.VirtualLayout((4,), dtype)
    layout[:] = h5py.VirtualSource("other.h5", "x", (4,))
    group.create_virtual_dataset(key, layout)


def inside_itself(file, group, key, shape, dtype):
    group[key] = file["/"]


def float_of_its_own(file, group, key, shape, dtype):
    kind = h5py.h5t.IEEE_F32LE.copy()
    kind.set_ebias(10**6)
    h5py.h5d.create(group.id, key.encode(), kind, h5py.h5s.create_simple((2,)))


def name_that_is_no_text(file, group, key, shape, dtype):
    space = h5py.h5s.create_simple((2,))
    h5py.h5d.create(group.id, b"\x9b\xff", h5py.h5t.IEEE_F32LE, space)


DAMAGE = {
    "soft link": (
        lambda f, g, k, s, d: g.__setitem__(k, h5py.SoftLink("/elsewhere")),
        "weights within the file.*SoftLink",
    ),
    "external link": (
        lambda f, g, k, s, d: g.__setitem__(k, h5py.ExternalLink("other.h5", "/x")),
        "weights within the file.*ExternalLink",
    ),
    "external storage": (
        lambda f, g, k, s, d: g.create_dataset(k, (4,), "f4", external=[("/etc/passwd", 0, 16)]),
        "weights within the file.*elsewhere",
    ),
    "virtual": (virtual, "weights within the file.*elsewhere"),
    "fill value": (
        lambda f, g, k, s, d: g.create_dataset(k, (10**9,), "f4", chunks=(1000,), fillvalue=1.0),
        "as large as they claim.*4000000000 bytes.*of which 0",
    ),
    "text": (
        lambda f, g, k, s, d: g.create_dataset(k, data=np.array([b"abc"], "O"),
                                               dtype=h5py.string_dtype()),
        "arrays of numbers.*object",
    ),
    "a float of its own": (float_of_its_own, "arrays of numbers.*an unknown type"),
    "a name that is no text": (name_that_is_no_text, "a whole file of weights.*UnicodeDecodeError"),
    "a group within itself": (inside_itself, "a group within itself"),
    "too few": (lambda f, g, k, s, d: None, "could not be loaded"),
    "another shape": (
        lambda f, g, k, s, d: g.create_dataset(k, data=np.zeros(17, d)),
        "could not be loaded",
    ),
}  # fmt: skip


@pytest.mark.parametrize("what", DAMAGE)
def test_weights_that_are_no_plain_arrays(write_weights, what):
    make, message = DAMAGE[what]
    path = write_weights(replace(make))
    if message == "could not be loaded":  # Keras' own words
        with pytest.raises(ValueError, match=message):
            keras_gud.load(path)
    else:
        refused(path, message)


@pytest.mark.parametrize("cut", [0, 100, 0.5])
def test_weights_cut_short(write, entries, cut):
    content = entries[WEIGHTS]
    content = content[: int(len(content) * cut) if cut < 1 else cut]
    refused(write({WEIGHTS: content}), r"a whole file of weights \(HDF5\)")


def test_weights_that_are_not_finite(write_weights):
    def poison(file):
        group, key = first(file)
        group[key][...] = np.nan

    refused(write_weights(poison), "finite weights.*NaN or inf in")


def test_weights_alone(model, tmp_path):
    path = tmp_path / "m.weights.h5"
    model.save_weights(path)
    contents = inspection.check_weights(path)
    assert 4 * contents.elements <= contents.bytes <= 8 * contents.elements
    assert contents.elements >= sum(int(np.prod(v.shape)) for v in model.weights)
    with pytest.raises(ValueError, match="Expected at most 100 bytes of weights.*max_bytes"):
        inspection.check_weights(path, max_bytes=100)
    path.write_bytes(b"nothing")
    with pytest.raises(ValueError, match=r"a whole file of weights \(HDF5\)"):
        inspection.check_weights(path)
    with pytest.raises(FileNotFoundError):
        inspection.check_weights(tmp_path / "other.h5")
