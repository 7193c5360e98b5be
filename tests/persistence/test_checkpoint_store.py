"""Checkpoints on disk: whole or not there, checked, pruned; nothing is lost where writing fails."""

import errno
import json
import os
import shutil

import pytest

from keras_gud.persistence import atomic_write, checkpoint_store
from keras_gud.persistence.checkpoint_store import CheckpointStore

pytestmark = pytest.mark.once  # files, not tensors


def fill(folder):
    (folder / "weights").write_bytes(b"0123456789")


def write(files, *steps):
    for step in steps:
        files.write(step, {"epoch": step}, fill)


def names(directory):
    return sorted(path.name for path in directory.iterdir())


def test_the_newest_is_read_and_old_ones_go(tmp_path):
    files = CheckpointStore(tmp_path / "run", keep=2)
    assert files.newest() is None
    write(files, 5, 10, 200)
    path, state = files.newest()
    assert (path.name, state["epoch"]) == ("step-000000000200", 200)
    assert names(tmp_path / "run") == ["step-000000000010", "step-000000000200"]
    assert names(path) == ["state.json", "weights"]


def truncate(path):
    (path / "weights").write_bytes(b"01234")


def flip(path):
    (path / "weights").write_bytes(b"0123456780")


def remove(path):
    (path / "weights").unlink()


def cut_state(path):
    text = (path / "state.json").read_text()
    (path / "state.json").write_text(text[: len(text) // 2])


def change_state(path):
    text = (path / "state.json").read_text()
    (path / "state.json").write_text(text.replace('"epoch": 2', '"epoch": 3'))


def empty(path):
    shutil.rmtree(path)
    path.mkdir()


def other_json(path):
    (path / "state.json").write_text("[1]")


DAMAGES = {
    truncate: "weights is not as it was written .5 instead of 10 bytes",
    flip: "weights is not as it was written .its checksum differs",
    remove: "weights is missing",
    cut_state: "state.json cannot be read",
    change_state: "state.json is not as it was written",
    empty: "state.json cannot be read",
    other_json: "state.json cannot be read",
}


@pytest.mark.parametrize("damage", DAMAGES, ids=lambda damage: damage.__name__)
def test_a_damaged_one_is_reported_and_the_one_before_taken(damage, tmp_path):
    files = CheckpointStore(tmp_path, keep=3)
    write(files, 1, 2)
    damage(tmp_path / "step-000000000002")
    with pytest.warns(UserWarning, match=f"step-000000000002: {DAMAGES[damage]}"):
        path, state = files.newest()
    assert (path.name, state["epoch"]) == ("step-000000000001", 1)


def test_damaged_ones_do_not_push_good_ones_out(tmp_path):
    files = CheckpointStore(tmp_path, keep=2)
    write(files, 1, 5)
    flip(tmp_path / "step-000000000005")
    write(files, 2)
    assert names(tmp_path) == ["step-000000000001", "step-000000000002"]
    flip(tmp_path / "step-000000000002")
    write(files, 2)  # in its place
    assert files.newest()[1]["epoch"] == 2


def test_if_all_are_damaged_nothing_is_begun_anew(tmp_path):
    files = CheckpointStore(tmp_path, keep=2)
    write(files, 1, 2)
    for path in files.paths():
        truncate(path)
    with (
        pytest.warns(UserWarning, match="damaged"),
        pytest.raises(ValueError, match="only damaged ones.*0001.*anew"),
    ):
        files.newest()


def test_a_newer_version_is_refused_not_skipped(tmp_path):
    files = CheckpointStore(tmp_path, keep=2)
    write(files, 1, 2)
    state = tmp_path / "step-000000000002" / "state.json"
    state.write_text(json.dumps({"format_version": 7, "other": "layout"}))
    with pytest.raises(ValueError, match="version 1 or older. Received: .*0002 of version 7"):
        files.newest()


@pytest.mark.parametrize("where", ["save", "_seal", "sync", "replace"])
def test_an_interrupted_write_leaves_the_old_ones_and_nothing_else(where, tmp_path, monkeypatch):
    files = CheckpointStore(tmp_path, keep=1)
    write(files, 1)

    def interrupt(*args):
        raise KeyboardInterrupt

    if where == "replace":
        monkeypatch.setattr(os, "replace", interrupt)
    elif where == "sync":
        monkeypatch.setattr(atomic_write, "sync", interrupt)
    elif where == "_seal":
        monkeypatch.setattr(checkpoint_store, where, interrupt)
    with pytest.raises(KeyboardInterrupt):
        files.write(2, {"epoch": 2}, interrupt if where == "save" else fill)
    monkeypatch.undo()
    assert names(tmp_path) == ["step-000000000001"]
    assert files.newest()[1]["epoch"] == 1


def test_leftovers_of_a_killed_process_are_no_checkpoints_and_are_removed(tmp_path):
    files = CheckpointStore(tmp_path, keep=2)
    write(files, 1)
    for prefix in (".writing-", ".removing-"):
        (tmp_path / f"{prefix}step-000000000002").mkdir()
        fill(tmp_path / f"{prefix}step-000000000002")
    (tmp_path / "notes.txt").write_text("mine")
    assert files.newest()[1]["epoch"] == 1
    files.remove_unfinished()
    assert names(tmp_path) == ["notes.txt", "step-000000000001"]


def test_a_full_disk_is_explained_and_loses_nothing(tmp_path):
    files = CheckpointStore(tmp_path, keep=1)
    write(files, 1)

    def full(folder):
        fill(folder)
        raise OSError(errno.ENOSPC, "No space left on device")

    with pytest.raises(
        OSError, match=f"about 3.0 MiB to {tmp_path}.*are free.*No space.*0001"
    ) as e:
        files.write(2, {"epoch": 2}, full, size=3 * 2**20)
    assert e.value.errno == errno.ENOSPC
    assert names(tmp_path) == ["step-000000000001"]


def test_a_disk_that_is_too_full_is_not_filled_up(tmp_path):
    files = CheckpointStore(tmp_path, keep=1)
    with pytest.raises(OSError, match="No space.*The last checkpoint is none"):
        files.write(2, {"epoch": 2}, fill, size=2**60)
    assert names(tmp_path) == []


def test_a_directory_that_cannot_be_made(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(OSError, match="Expected to be able to write a checkpoint"):
        write(CheckpointStore(tmp_path / "file" / "run", keep=1), 1)
