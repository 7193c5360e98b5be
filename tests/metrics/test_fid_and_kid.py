"""FID and KID by torch-fidelity, against our own formulas on the features of its network.

The published weights have to be downloaded: these are random ones.
"""

import hashlib
import subprocess
import sys

import numpy as np
import pytest
from PIL import Image
from sklearn.metrics.pairwise import polynomial_kernel

from keras_gud.metrics import FeatureStatistics, fid_and_kid, frechet_distance, inception

FEW = {"measures": "kid", "layer": 64, "subset_size": 4, "subsets": 3, "batch_size": 5}


def images(n, seed=0, shift=0.0, channels=3):
    rng = np.random.default_rng(seed)
    smooth = rng.normal(size=(n, 12, 10, channels)).cumsum(axis=1)
    return np.clip(128 + shift + 25 * smooth, 0, 255).astype("uint8")


@pytest.fixture(scope="module")
def fidelity(torchvision):
    return pytest.importorskip("torch_fidelity")


@pytest.fixture(scope="module")
def weights(fidelity, tmp_path_factory):
    """Path of a file of random weights."""
    import torch

    class Untrained(fidelity.FeatureExtractorInceptionV3):
        def load_state_dict(self, state_dict):
            """Keeps the random ones."""

    folder = tmp_path_factory.mktemp("weights")
    torch.save({}, folder / "empty.pth")
    torch.manual_seed(0)
    network = Untrained("random", ["64"], feature_extractor_weights_path=folder / "empty.pth")
    state = network.state_dict()
    # Of the scale at which signals keep theirs (He et al., 2015); as initialised, they would fade.
    gain = 6.0**0.5
    state = {key: gain * v if key.endswith("conv.weight") else v for key, v in state.items()}
    torch.save(state, folder / "random.pth")
    return folder / "random.pth"


def features(fidelity, weights, x, layer):
    """What torch-fidelity's network makes of images, float64 ``(n, layer)``."""
    import torch

    network = fidelity.FeatureExtractorInceptionV3(
        "random", [str(layer)], feature_extractor_weights_path=weights
    )
    (found,) = network(torch.as_tensor(np.moveaxis(x, -1, 1).copy()))
    return found.numpy().astype("float64")


def mmd(x, y):
    """Unbiased squared MMD with the kernel of KID (Binkowski et al., 2018, eq. 4)."""
    n, d = x.shape
    xx, yy, xy = (
        polynomial_kernel(a, b, degree=3, gamma=1 / d, coef0=1) for a, b in ((x, x), (y, y), (x, y))
    )
    within = sum(k.sum() - np.trace(k) for k in (xx, yy))
    return within / (n * (n - 1)) - 2 * xy.mean()


# -- the figures -----------------------------------------------------------------------------------


@pytest.mark.once
def test_both_are_our_formulas_on_its_features(fidelity, weights):
    x, y = images(13), images(13, seed=1, shift=20.0)
    five = [np.concatenate(5 * [part]) for part in (x, y)]  # FID takes more images than features
    found = fid_and_kid(*five, layer=64, subset_size=65, subsets=1, batch_size=5, weights=weights)
    one, other = (np.tile(features(fidelity, weights, part, 64), (5, 1)) for part in (x, y))
    parts = [FeatureStatistics(f.mean(0), np.cov(f.T), 65, "64") for f in (one, other)]
    assert found["fid"].value == pytest.approx(frechet_distance(*parts).value, rel=1e-4)
    assert found["kid"].value == pytest.approx(mmd(one, other), rel=1e-4)
    assert min(score.value for score in found.values()) > 0.01
    assert found["fid"].error is found["kid"].error is None


@pytest.mark.once
def test_equal_sets_have_no_distance(weights):
    x = images(5)
    near, far = (
        fid_and_kid(x, y, "kid", layer=64, subset_size=5, subsets=1, weights=weights)["kid"]
        for y in (x, images(5, seed=1, shift=40.0))
    )
    assert -0.1 * far.value < near.value < 0.0  # unbiased: two draws are further apart than equals


@pytest.mark.once
def test_features_of_the_published_layer(fidelity, weights):
    x, y = images(4), images(4, seed=1, shift=40.0)
    found = fid_and_kid(x, y, "kid", subset_size=4, subsets=1, weights=weights)["kid"]
    one, other = (features(fidelity, weights, part, 2048) for part in (x, y))
    assert found.value == pytest.approx(mmd(one, other), rel=1e-3)
    assert found.value > 0.01
    assert "2048 features, images resized" in found.protocol


@pytest.mark.once
def test_the_error_of_kid_is_that_of_its_subsets_which_are_drawn_by_the_seed(weights):
    x, y = images(8), images(8, seed=1, shift=20.0)
    one, again, other = (
        fid_and_kid(x, y, **FEW, seed=seed, weights=weights)["kid"] for seed in (0, 0, 1)
    )
    assert one == again
    assert one.value != other.value
    assert one.error > 0.0
    assert other - one == other.value - one.value  # the same protocol


# -- forms of images -------------------------------------------------------------------------------


@pytest.mark.once
def test_streams_folders_and_registered_sets_are_arrays(fidelity, weights, tmp_path, monkeypatch):
    import torch

    x, y = images(8), images(8, seed=1, shift=20.0)
    folder = tmp_path / "y-set"
    folder.mkdir()
    for i, image in enumerate(y):
        Image.fromarray(image).save(folder / f"{i}.PNG")
    (folder / "notes.txt").write_text("not an image")
    monkeypatch.setenv("TORCH_HOME", str(tmp_path / "torch"))
    tensors = [torch.as_tensor(np.moveaxis(image, -1, 0).copy()) for image in y]
    fidelity.register_dataset("keras-gud-test", lambda root, download: listed(tensors))

    array = fid_and_kid(x, y, **FEW, weights=weights)["kid"]
    batches = iter([x[:3], torch.as_tensor(x[3:])])
    stream = fid_and_kid(batches, folder, **FEW, weights=weights)["kid"]
    named = fid_and_kid(x, "keras-gud-test", **FEW, weights=weights)["kid"]
    assert array.value == stream.value == named.value
    assert "8 images against 8 of unnamed images" in array.protocol
    assert "8 images against 8 of y-set" in stream.protocol
    assert "8 images against all of keras-gud-test" in named.protocol
    # Features of these weights are not cached as those of the published ones.
    assert not list((tmp_path / "torch").rglob("*.pt"))


def listed(tensors):
    """A torch data set."""
    import torch

    class Listed(torch.utils.data.Dataset):
        def __len__(self):
            return len(tensors)

        def __getitem__(self, i):
            return tensors[i]

    return Listed()


@pytest.mark.once
def test_grey_images_are_three_equal_channels(weights):
    grey, y = images(5, channels=1), images(5, seed=1)
    found = fid_and_kid(grey, y, **FEW, weights=weights)
    assert found == fid_and_kid(np.repeat(grey, 3, axis=-1), y, **FEW, weights=weights)


# -- unlike is not compared with unlike ------------------------------------------------------------


@pytest.mark.once
def test_the_protocol_names_what_the_figure_depends_on(fidelity, weights):
    x, y = images(6), images(6, seed=1)
    score = fid_and_kid(x, y, **FEW, data="toys", weights=weights)["kid"]
    assert score.protocol.startswith(
        f"KID, torch-fidelity {fidelity.__version__} inception-v3-compat (other weights "
    )
    assert score.protocol.endswith(
        ", 64 features (not the published layer), images resized to 299x299 as by TensorFlow 1, "
        "6 images against 6 of toys, 3 subsets of 4 +- their standard deviation"
    )
    fewer = fid_and_kid(x[:5], y, **FEW, data="toys", weights=weights)["kid"]
    with pytest.raises(ValueError, match="Expected a score of the same protocol"):
        assert score < fewer


@pytest.mark.once
def test_the_published_weights_are_known_by_their_hash(tmp_path):
    path = tmp_path / "copy.pth"
    path.write_bytes(b"weights")
    digits = hashlib.sha256(b"weights").hexdigest()[:8]
    name = inception._network_name
    assert name(path, f"somewhere/inception-{digits}.pth") == f"inception-{digits}"
    assert name(path, "somewhere/inception-0.pth") == f"other weights {digits}"
    assert name(None, "somewhere/inception-0.pth") == "inception-0"


# -- mistakes --------------------------------------------------------------------------------------


@pytest.mark.once
@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"measures": "fid"}, "`reference` to be at least 65 for FID: .* Received: 6 images"),
        ({"subset_size": 7}, "`reference` to be at least 7 for KID: .* Received: 6 images"),
        ({"images": images(3)}, "`images` to be at least 4 for KID.* Received: 3 images"),
        ({"images": images(6) / 255.0}, "`images` to be uint8 images.*Received: float64 of shape"),
        ({"images": images(6, channels=2)}, r"Received: uint8 of shape \(6, 12, 10, 2\)"),
        ({"images": images(6)[..., 0]}, r"Received: uint8 of shape \(6, 12, 10\)"),
        ({"reference": "cifar10-trian"}, "`reference` to be.*Did you mean 'cifar10-train'"),
        ({"measures": "fit"}, "`measures` to be of .*Did you mean 'fid'"),
        ({"measures": ()}, "`measures` to be of .*Received: none"),
        ({"layer": 100}, r"`layer` to be one of \(64, 192, 768, 2048\). Received: layer=100"),
        ({"subset_size": 1}, "`subset_size` to be an integer >= 2"),
        ({"weights": "nowhere.pth"}, "`weights` to be the path of a copy of .*no file"),
    ],
)
def test_bad_arguments(fidelity, weights, change, message):
    arguments = {"images": images(6), "reference": images(6, seed=1), "weights": weights}
    with pytest.raises(ValueError, match=message):
        fid_and_kid(**(arguments | FEW | change))


@pytest.mark.once
def test_an_empty_folder(fidelity, weights, tmp_path):
    with pytest.raises(ValueError, match="at least 4 for KID.*Received: 0 images"):
        fid_and_kid(images(6), tmp_path, **FEW, weights=weights)


@pytest.mark.once
def test_a_wrong_reference_is_found_before_images_are_drawn(fidelity, weights):
    def draw():
        pytest.fail("images were drawn")
        yield

    with pytest.raises(ValueError, match="`reference` to be at least 4"):
        fid_and_kid(draw(), images(3), **FEW, weights=weights)


@pytest.mark.once
def test_fewer_images_than_are_published_warn():
    with pytest.warns(UserWarning, match="FID with 3000 images is biased upwards.*of 50000 images"):
        inception._check_count("images", 3000, ("fid",), 2048, 1000)


@pytest.mark.once
def test_offline_the_error_says_where_the_weights_go(fidelity, tmp_path, monkeypatch):
    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    for name in ("https_proxy", "HTTPS_PROXY"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")  # where nobody listens
    for name in ("no_proxy", "NO_PROXY"):
        monkeypatch.delenv(name, raising=False)
    where = tmp_path / "hub" / "checkpoints"
    with pytest.raises(OSError, match=f"weights-inception.*pth.*put that file into {where}"):
        fid_and_kid(images(6), images(6, seed=1), **FEW)


@pytest.mark.once
def test_a_missing_package_names_the_extra(monkeypatch):
    monkeypatch.setitem(sys.modules, "torch_fidelity", None)  # makes the import statement fail
    with pytest.raises(ImportError, match=r'torch-fidelity.*pip install ".\[fid\]"'):
        fid_and_kid(images(6), images(6))


@pytest.mark.once
def test_torch_fidelity_is_found_in_a_process_of_its_own():
    """Beside a CPU build of torch too, for which torchvision's wheels are not made."""
    pytest.importorskip("torch_fidelity")
    code = "from keras_gud.metrics import inception; print(inception._torch_fidelity()[2])"
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert run.stdout.startswith("https://"), run.stderr
