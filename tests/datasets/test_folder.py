"""Folders of image files of all kinds, and what is wrong with them."""

import numpy as np
import pytest

from keras_gud import datasets

Image = pytest.importorskip("PIL.Image")
pytestmark = pytest.mark.once


def save(path, array, mode=None, **kwargs):
    path.parent.mkdir(parents=True, exist_ok=True)
    image = Image.fromarray(array)
    (image.convert(mode) if mode else image).save(path, **kwargs)


@pytest.fixture
def arrays(rng):
    return rng.integers(256, size=(6, 8, 10, 3), dtype="uint8")


def load(path, *args, **kwargs):
    return datasets.from_folder(path, *args, verbose=0, **kwargs)


def test_files_come_back_as_they_are(tmp_path, arrays):
    for i, array in enumerate(arrays):
        save(tmp_path / f"{i}.png", array)
    (tmp_path / "notes.txt").write_text("no image")
    x = load(tmp_path)
    assert x.shape == arrays.shape
    assert sorted(map(bytes, x)) == sorted(map(bytes, arrays))
    assert load(tmp_path, n=4, seed=1).shape == (4, 8, 10, 3)


def test_sizes_become_one(tmp_path, arrays):
    save(tmp_path / "a.png", arrays[0])
    save(tmp_path / "b.png", arrays[1, :6])
    with pytest.raises(ValueError, match=r"2 sizes, from \(6, 10\) to \(8, 10\).*size=\(6, 10\)"):
        load(tmp_path)
    x = load(tmp_path, size=4)
    assert x.shape == (2, 4, 4, 3)
    # Of the larger one, an 8x8 crop around the centre and means of 2x2.
    means = arrays[0, :, 1:9].astype(float).reshape(4, 2, 4, 2, 3).mean(axis=(1, 3))
    assert min(np.abs(image - means).max() for image in x.astype(float)) <= 0.5


def test_small_images_are_named_and_skipped_if_asked(tmp_path, arrays):
    save(tmp_path / "a.png", arrays[0])
    save(tmp_path / "b.png", arrays[1, :6])
    with pytest.raises(
        ValueError, match=r"1 file smaller than 7x7: .*b\.png \(6x10\).*size=\(6, 10\).*skip_small"
    ):
        load(tmp_path, size=7)
    with pytest.warns(UserWarning, match=r"Left out 1 file smaller than 7x7: .*b\.png"):
        assert load(tmp_path, size=7, skip_small=True).shape == (1, 7, 7, 3)
    with pytest.warns(UserWarning, match="2 files"), pytest.raises(ValueError, match="none but"):
        load(tmp_path, size=20, skip_small=True)


def test_modes_become_one(tmp_path, arrays):
    modes = {"grey.png": "L", "colour.jpg": "RGB", "palette.gif": "P", "alpha.png": "RGBA"}
    for array, (name, mode) in zip(arrays, modes.items(), strict=False):
        save(tmp_path / name, array, mode)
    with pytest.raises(ValueError, match=r"by channels, such as .*alpha\.png \(4\)"):
        load(tmp_path)
    for channels in (1, 3, 4):
        assert load(tmp_path, channels=channels).shape == (4, 8, 10, channels)
    with pytest.raises(ValueError, match="channels=2"):
        load(tmp_path, channels=2)


def test_grey_of_16_bits_keeps_them(tmp_path, rng):
    array = rng.integers(2**16, size=(8, 8), dtype="uint16")
    save(tmp_path / "a.png", array)
    x = load(tmp_path)
    assert x.dtype == "uint16"
    np.testing.assert_array_equal(x[0, ..., 0], array)
    small = load(tmp_path, size=4)
    np.testing.assert_allclose(
        small[0, ..., 0], array.reshape(4, 2, 4, 2).mean(axis=(1, 3)), atol=0.5
    )
    np.testing.assert_array_equal(load(tmp_path, channels=1), x)


def test_16_bits_among_8_are_scaled_and_not_clipped(tmp_path, arrays):
    grey = arrays[..., 0]
    save(tmp_path / "a.png", grey[0])
    save(tmp_path / "b.png", grey[1].astype("uint16") * 257)
    save(tmp_path / "c.tif", grey[2].astype("int32") * 257)
    found = load(tmp_path)
    assert found.dtype == "uint8"
    assert sorted(map(bytes, found)) == sorted(map(bytes, grey[:3]))
    colours = load(tmp_path, channels=3)
    assert sorted(map(bytes, colours[..., 2])) == sorted(map(bytes, grey[:3]))


@pytest.mark.parametrize(
    ("pixels", "said"),
    [(np.ones((8, 8), "float32"), "floats, of unknown"), (np.full((8, 8), 70000), "to 70000"),
     (np.full((8, 8), -1), "from -1")],
)  # fmt: skip
def test_pixels_of_unknown_scale_are_refused(tmp_path, arrays, pixels, said):
    kind = "float32" if pixels.dtype == "float32" else "int32"
    save(tmp_path / "a.tif", pixels.astype(kind))
    save(tmp_path / "b.tif", arrays[0, :8, :8])
    with pytest.raises(ValueError, match=rf"8 or 16 bits.*{said}.*a\.tif"):
        load(tmp_path, channels=3)
    with pytest.warns(UserWarning, match=r"1 file that cannot.*a\.tif"):
        assert load(tmp_path, skip_unreadable=True).shape == (1, 8, 8, 3)


@pytest.mark.parametrize("ending", ["jpg", "png"])
def test_photographs_are_turned_upright(tmp_path, ending):
    picture = Image.new("RGB", (10, 6))
    picture.paste((255, 0, 0), (0, 0, 5, 6))  # the left half
    notes = picture.getexif()
    notes[0x0112] = 6  # to be turned clockwise: left becomes top
    picture.save(tmp_path / f"a.{ending}", exif=notes)
    (x,) = load(tmp_path)
    assert x.shape == (10, 6, 3)
    assert x[:4, ..., 0].min() > 200
    assert x[6:, ..., 0].max() < 50


def test_what_is_hidden_is_not_looked_at(tmp_path, arrays):
    save(tmp_path / "a.png", arrays[0])
    (tmp_path / "._a.png").write_text("what a Mac leaves behind")
    save(tmp_path / ".thumbnails" / "a.png", arrays[0, :4, :4])
    assert len(load(tmp_path)) == 1


def test_sub_folders_are_classes(tmp_path, arrays):
    for i, array in enumerate(arrays):
        save(tmp_path / ("dogs" if i % 2 else "cats") / f"{i}.png", array)
    x, y = load(tmp_path, labels=True)
    assert x.shape == arrays.shape
    assert sorted(y) == [0, 0, 0, 1, 1, 1]
    is_dog = [any((image == array).all() for array in arrays[1::2]) for image in x]
    assert y.tolist() == is_dog
    stream = load(tmp_path, labels=True, batch_size=4)
    assert [len(batch[0]) for batch in stream] == [4, 2]
    with pytest.raises(ValueError, match="several sub-folders"):
        load(tmp_path / "dogs", labels=True)


def test_files_that_cannot_be_read_are_named(tmp_path, arrays):
    save(tmp_path / "whole.png", arrays[0])
    whole = (tmp_path / "whole.png").read_bytes()
    (tmp_path / "truncated.png").write_bytes(whole[: len(whole) // 2])
    (tmp_path / "text.jpg").write_text("no image")
    with pytest.raises(ValueError, match=r"1 file that cannot.*text\.jpg.*skip_unreadable"):
        load(tmp_path)
    with pytest.warns(UserWarning, match=r"Left out 2 files.*truncated\.png"):
        assert load(tmp_path, skip_unreadable=True).shape == (1, 8, 10, 3)
    (tmp_path / "text.jpg").unlink()
    with pytest.raises(ValueError, match=r"whole image.*truncated\.png.*truncated.*skip_unread"):
        load(tmp_path)


def test_there_must_be_some(tmp_path):
    with pytest.raises(ValueError, match=r"image files \(\.png.*with none\."):
        load(tmp_path)
    (tmp_path / "a.npy").touch()
    with pytest.raises(ValueError, match=r"but files: 1 of \.npy"):
        load(tmp_path)
    with pytest.raises(ValueError, match="a file"):
        load(tmp_path / "a.npy")
    with pytest.raises(ValueError, match="no folder"):
        load(tmp_path / "missing")


@pytest.mark.parametrize(
    ("argument", "meant"), [("image_size", "size"), ("color_mode", "channels"), ("limit", "n")]
)
def test_words_of_other_libraries(tmp_path, argument, meant):
    with pytest.raises(ValueError, match=f"argument of `from_folder`.*Did you mean '{meant}'"):
        load(tmp_path, **{argument: 3})
