"""Image sets of tensorflow-datasets: read, resized, streamed; and what to do where they lack."""

import importlib
import io
import shutil
import sys
import tarfile
from importlib.machinery import PathFinder

import keras
import numpy as np
import pytest
from PIL import Image

from keras_gud import datasets

tfds = pytest.importorskip("tensorflow_datasets")


@pytest.fixture(scope="module")
def faces():
    """Ten images, as the archive of CelebA-HQ holds them."""
    return np.random.default_rng(0).integers(0, 256, (10, 8, 8, 3)).astype("uint8")


@pytest.fixture(scope="module")
def prepared(faces, tmp_path_factory):
    """A folder in which CelebA-HQ at 8x8 has been prepared by its own builder."""
    pytest.importorskip("tensorflow", reason="preparing takes it, reading does not")
    archive = tmp_path_factory.mktemp("archive")
    with tarfile.open(archive / "data8x8.tar", "w") as tar:
        for i, face in enumerate(faces):
            png = io.BytesIO()
            Image.fromarray(face).save(png, "PNG")
            info = tarfile.TarInfo(f"{i:08d}.png")
            info.size = png.tell()
            png.seek(0)
            tar.addfile(info, png)
    folder = tmp_path_factory.mktemp("prepared")
    datasets.prepare("celeb_a_hq/8", data_dir=folder, manual_dir=archive)
    return folder


@pytest.fixture
def mock():
    """Random images in the place of published ones, with their shapes and labels."""
    with tfds.testing.mock_data(num_examples=23):
        yield


def as_set(images):
    return {image.tobytes() for image in images}


@pytest.mark.once
def test_every_image_of_the_archive_is_read(prepared, faces):
    images = datasets.load("celeb_a_hq/8", data_dir=prepared, verbose=0)
    assert images.dtype == np.uint8
    assert images.shape == faces.shape
    assert as_set(images) == as_set(faces)


@pytest.mark.once
def test_a_part_of_a_split_and_some_images_of_it(prepared):
    load = {"name": "celeb_a_hq/8", "data_dir": prepared, "verbose": 0}
    first, last = (datasets.load(split=s, **load) for s in ("train[:60%]", "train[60%:]"))
    assert (len(first), len(last)) == (6, 4)
    assert as_set(first).isdisjoint(as_set(last))
    some = datasets.load(split="train[:60%]", n=4, seed=3, **load)
    assert as_set(some) < as_set(first)
    assert len(as_set(some)) == 4
    np.testing.assert_array_equal(some, datasets.load(split="train[:60%]", n=4, seed=3, **load))


@pytest.mark.once
def test_images_are_means_over_blocks(prepared):
    load = {"name": "celeb_a_hq/8", "data_dir": prepared, "verbose": 0}
    large, small = datasets.load(**load).astype("float64"), datasets.load(size=4, **load)
    means = large.reshape(10, 4, 2, 4, 2, 3).mean(axis=(2, 4))
    assert np.abs(small - means).max() <= 0.5
    wide = datasets.load(size=(4, 8), **load)
    np.testing.assert_array_equal(wide, large[:, 2:6])  # the centre, nothing to average


def test_reading_takes_no_tensorflow(prepared, faces, monkeypatch):
    find = PathFinder.find_spec

    def without(name, path=None, target=None):
        return None if name.split(".")[0] == "tensorflow" else find(name, path, target)

    monkeypatch.setattr(PathFinder, "find_spec", without)
    for name in [n for n in sys.modules if n.split(".")[0] == "tensorflow"]:
        monkeypatch.delitem(sys.modules, name)
    with pytest.raises(ImportError):
        importlib.import_module("tensorflow")
    images = datasets.load("celeb_a_hq/8", data_dir=prepared, verbose=0)
    assert as_set(images) == as_set(faces)
    if keras.backend.backend() != "tensorflow":  # whose layers hold variables of TensorFlow
        load = {"batch_size": 10, "augment": "RandomInvert", "data_dir": prepared}
        assert as_set(datasets.load("celeb_a_hq/8", **load)[0]) != as_set(faces)


@pytest.mark.once
@pytest.mark.usefixtures("mock")
@pytest.mark.parametrize(
    ("name", "edge", "classes"), [("cifar10", 32, 10), ("pcam", 32, 2), ("mnist", 28, 10)]
)
def test_published_sets_come_in_the_papers_size(name, edge, classes, tmp_path):
    x, y = datasets.load(name, "train", labels=True, data_dir=tmp_path, verbose=0)
    assert x.shape == (23, edge, edge, 1 if name == "mnist" else 3)
    assert x.dtype == np.uint8
    assert y.dtype == np.int32
    assert y.shape == (23,)
    assert 0 <= y.min() <= y.max() < classes


@pytest.mark.once
@pytest.mark.usefixtures("mock")
def test_faces_come_at_256_pixels(tmp_path):
    assert datasets.load("celeb_a_hq", n=2, data_dir=tmp_path, verbose=0).shape == (2, 256, 256, 3)


@pytest.mark.once
@pytest.mark.parametrize("workers", [1, 3])
def test_a_stream_shows_every_image_once_an_epoch(prepared, faces, workers):
    stream = datasets.load("celeb_a_hq/8", batch_size=4, seed=5, data_dir=prepared, workers=workers)
    assert [len(batch) for batch in stream] == [4, 4, 2]
    epochs = []
    for epoch in range(2):
        stream.epoch = epoch
        epochs.append(np.concatenate(list(stream)))
        assert as_set(epochs[-1]) == as_set(faces)
    assert (epochs[0] != epochs[1]).any()
    again = datasets.load("celeb_a_hq/8", batch_size=4, seed=5, data_dir=prepared)
    again.epoch = 1
    np.testing.assert_array_equal(np.concatenate(list(again)), epochs[1])


@pytest.mark.once
def test_unprepared_sets_name_the_command_that_prepares_them(tmp_path):
    with pytest.raises(FileNotFoundError) as error:
        datasets.load("cifar10", data_dir=tmp_path)
    assert f"datasets.prepare('cifar10', data_dir='{tmp_path}')" in str(error.value)
    with pytest.raises(FileNotFoundError, match=r"manual_dir='\.\.\.'[\s\S]*data1024x1024\.tar"):
        datasets.load("celeb_a_hq", data_dir=tmp_path)


@pytest.mark.once
def test_sets_in_another_file_format_are_refused(prepared, faces, tmp_path):
    builder = tfds.builder("celeb_a_hq/8", data_dir=tmp_path, file_format="tfrecord")
    archive = tmp_path / "archive"
    archive.mkdir()
    with tarfile.open(archive / "data8x8.tar", "w") as tar:
        png = io.BytesIO()
        Image.fromarray(faces[0]).save(png, "PNG")
        info = tarfile.TarInfo("0.png")
        info.size = png.tell()
        png.seek(0)
        tar.addfile(info, png)
    builder.download_and_prepare(download_config=tfds.download.DownloadConfig(manual_dir=archive))
    with pytest.raises(ValueError, match=r"prepared as array_record.*Received: tfrecord"):
        datasets.load("celeb_a_hq/8", data_dir=tmp_path)


@pytest.fixture
def damaged(prepared, tmp_path):
    """A copy of a prepared set, and the one file that its images are in."""
    shutil.copytree(prepared, tmp_path / "copy")
    (shard,) = tmp_path.rglob("*.array_record-*-of-*")
    return {"name": "celeb_a_hq/8", "data_dir": tmp_path / "copy"}, shard


@pytest.mark.once
def test_missing_files_are_named_and_how_to_prepare_them_again(damaged):
    known, shard = damaged
    stream = datasets.load(batch_size=4, **known)
    shard.unlink()
    for read in (lambda: stream[0], lambda: datasets.load(**known)):
        with pytest.raises(FileNotFoundError, match="1 missing") as error:
            read()
        for words in (str(shard), f"Delete {shard.parent} and prepare it with", "data_dir="):
            assert words in str(error.value)


@pytest.mark.once
def test_files_that_were_cut_short_are_reported(damaged):
    known, shard = damaged
    for size in (len(shard.read_bytes()) // 2, 0):
        shard.write_bytes(shard.read_bytes()[:size])
        with pytest.raises(OSError, match="files that can be read.*Delete .* and prepare it with"):
            datasets.load(verbose=0, **known)


@pytest.mark.once
def test_unknown_names_and_impossible_requests(prepared):
    with pytest.raises(ValueError, match=r"name='cifar1'\. Did you mean 'cifar10'\?"):
        datasets.load("cifar1")
    known = {"name": "celeb_a_hq/8", "data_dir": prepared}
    with pytest.raises(ValueError, match=r"`split` to be one of \['train'\].*split='test'"):
        datasets.load(split="test", **known)
    with pytest.raises(ValueError, match=r"at most 10, the number of images.*n=11"):
        datasets.load(n=11, **known)
    with pytest.raises(ValueError, match=r"labels. Received: name='celeb_a_hq/8', labels=True"):
        datasets.load(labels=True, **known)
    with pytest.raises(ValueError, match=r"at most \(8, 8\).*size=\(9, 9\)"):
        datasets.load(size=9, **known)
    with pytest.raises(ValueError, match=r"one or two integers\. Received: size=\(1, 2, 3\)"):
        datasets.load(size=(1, 2, 3), **known)


@pytest.mark.once
def test_missing_packages_name_the_extra(monkeypatch):
    monkeypatch.setitem(sys.modules, "tensorflow_datasets", None)
    with pytest.raises(ImportError, match=r'tensorflow-datasets.*".\[data\]"'):
        datasets.load("cifar10")
    with pytest.raises(ValueError, match=r"name='digit'\. Did you mean 'digits'"):
        datasets.load("digit")
