"""Models on the hub, of which a folder stands in: what is written, read, inspected and refused."""

import inspect
import shutil
import sys

import numpy as np
import pytest
from helpers.one_weight import OneWeightPerValue

import keras_gud

huggingface_hub = pytest.importorskip("huggingface_hub")
pytestmark = pytest.mark.once
X = np.random.default_rng(0).integers(0, 256, (32, 4, 4, 1)).astype("uint8")


@pytest.fixture
def hub(tmp_path, monkeypatch):
    """A folder with the hub's interface of files."""

    class LocalHub(huggingface_hub.HfApi):
        def _folder(self, repo_id, revision):
            return tmp_path / "hub" / repo_id / (revision or "main")

        def create_repo(self, repo_id, *, private=None, exist_ok=False, **kwargs):
            assert not kwargs
            self._folder(repo_id, None).mkdir(parents=True, exist_ok=exist_ok)

        def upload_folder(self, *, repo_id, folder_path, commit_message, revision=None):
            to = self._folder(repo_id, revision)
            shutil.copytree(folder_path, to, dirs_exist_ok=True)

        def hf_hub_download(self, repo_id, filename, *, revision=None):
            file = self._folder(repo_id, revision) / filename
            if not file.exists():
                raise huggingface_hub.errors.EntryNotFoundError(filename)
            return str(file)

    monkeypatch.setattr(huggingface_hub, "HfApi", LocalHub)
    return tmp_path / "hub"


def make(**arguments):
    model = keras_gud.GUD(backbone=OneWeightPerValue(), seed=0, **arguments)
    model.adapt(X, verbose=0)
    return model


@pytest.mark.parametrize("revision", ["", "@v1"])
def test_what_is_pushed_is_loaded(hub, revision):
    model = make()
    model.push(f"hf://user/digits{revision}", about="Trained on noise.", license="apache-2.0")
    assert {file.name for file in (hub / "user" / "digits").rglob("*.*")} == {
        "README.md",
        "model.keras",
    }
    again = keras_gud.load(f"hf://user/digits{revision}")
    np.testing.assert_array_equal(
        again.sample(2, steps=2, seed=0), model.sample(2, steps=2, seed=0)
    )


def test_the_card_has_the_models_own_facts():
    yaml = pytest.importorskip("yaml")
    model = make(region=["columns"])
    text = model.card("user/digits", about="Trained on noise.", license="mit")
    _, head, body = text.split("---\n", 2)
    facts = yaml.safe_load(head)
    assert (facts["library_name"], facts["license"]) == ("keras", "mit")
    for said in ("# digits", "Trained on noise.", "uint8 of shape (4, 4, 1)", "for 0 steps",
                 'load("hf://user/digits")', "average", keras_gud.__version__):  # fmt: skip
        assert said in body
    assert "has not been said" in make().card()


def test_files_of_the_hub_are_inspected(hub):
    make().push("hf://user/digits")
    file = hub / "user" / "digits" / "main" / "model.keras"
    file.write_bytes(file.read_bytes()[:-200])
    with pytest.raises(ValueError, match="Expected"):
        keras_gud.load("hf://user/digits")
    file.unlink()
    with pytest.raises(ValueError, match=r"that `model.push` wrote.*which has none"):
        keras_gud.load("hf://user/digits")


def test_a_hub_that_is_not_reached_is_not_an_empty_one(hub, monkeypatch):
    def offline(self, *args, **kwargs):
        raise huggingface_hub.errors.LocalEntryNotFoundError("no network")

    monkeypatch.setattr(huggingface_hub.HfApi, "hf_hub_download", offline)
    with pytest.raises(ConnectionError, match=r"hub to be reached.*'hf://user/digits'.*no network"):
        keras_gud.load("hf://user/digits")


@pytest.mark.parametrize("address", ["user/digits", "hf://digits", "hf://a/b/c", "hf://a/../b", 3])
def test_other_addresses(address, hub):
    with pytest.raises(ValueError, match="'hf://user/name'"):
        make().push(address)
    assert not hub.exists()


def test_a_model_without_data_is_not_pushed(hub):
    with pytest.raises(ValueError, match="before it is uploaded"):
        keras_gud.GUD().push("hf://user/digits")
    assert not hub.exists()


def test_the_extra_is_named_where_the_library_is_missing(monkeypatch):
    monkeypatch.setitem(sys.modules, "huggingface_hub", None)
    with pytest.raises(ImportError, match=r"\.\[hub\]"):
        keras_gud.load("hf://user/digits")


def test_the_calls_are_those_of_the_library():
    api, repository = huggingface_hub.HfApi, {"repo_id": "user/digits"}
    calls = {
        api.create_repo: {"private": True, "exist_ok": True},
        api.upload_folder: {"folder_path": ".", "commit_message": "a", "revision": None},
        api.hf_hub_download: {"filename": "model.keras", "revision": None},
    }
    for function, arguments in calls.items():
        inspect.signature(function).bind(None, **repository, **arguments)
