"""FID and KID comparable with published ones: features and formulas of torch-fidelity."""

import hashlib
import os
import tempfile
import urllib.error
import warnings
from collections.abc import Collection, Iterable
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np

from keras_gud import backend
from keras_gud.core import optional
from keras_gud.core.arguments import check_integer
from keras_gud.core.registry import near_match
from keras_gud.core.types import TensorLike
from keras_gud.metrics.features import batches_of
from keras_gud.metrics.score import Score

_LAYERS = (64, 192, 768, 2048)
_MEASURES = ("fid", "kid")
_FEWEST = 10_000  # images of a published FID: usually 50 000, never fewer than these
_SUFFIXES = ("png", "jpg", "jpeg")

PathLike: TypeAlias = str | os.PathLike[str]
# An array, batches, a folder, or the name of a registered set.
Images: TypeAlias = TensorLike | Iterable[TensorLike] | PathLike


def fid_and_kid(
    images: Images,
    reference: Images,
    measures: str | Iterable[str] = _MEASURES,
    *,
    data: str | None = None,
    layer: int = 2048,
    subsets: int = 100,
    subset_size: int = 1000,
    seed: int = 2020,
    batch_size: int = 64,
    weights: PathLike | None = None,
) -> dict[str, Score]:
    """FID (Heusel et al., 2017) and KID (Binkowski et al., 2018), as papers report them.

    Computed by torch-fidelity, whose port of TensorFlow's Inception network and its resizing
    reproduces the original values; on a GPU if torch has one, whatever the backend. The network
    runs once over each set, for one measure or both::

        batches = (model.sample(500, seed=seed) for seed in range(100))
        scores = keras_gud.metrics.fid_and_kid(batches, "cifar10-train")
        print(scores["fid"], scores["kid"])

    Args:
        images: Images to evaluate: uint8 ``(n, height, width, 1 or 3)``; an iterable of batches of
            them, which are written to a temporary folder, so that memory holds a single batch (and
            the features of every image); the path of a folder of PNG or JPEG files, without its
            subfolders; or the name of a set that is registered in torch-fidelity. Grey images are
            repeated in three channels, as is usual.
        reference: The reference set, in any of these forms. Registered sets, such as
            ``"cifar10-train"``, are downloaded once, and their features are kept.
        measures: ``"fid"``, ``"kid"``, or a collection of both.
        data: Name of the reference set in results; by default its name or that of its folder.
        layer: Number of features: 2048, or 64, 192 or 768 of earlier layers, which need fewer
            images but are not the published measure.
        subsets: Number of random subsets whose mean is KID, >= 1; `Score.error` is their standard
            deviation, which papers report.
        subset_size: Images in each, >= 2.
        seed: Seed of the subsets, >= 0; the default is that of torch-fidelity.
        batch_size: Images per call of the network, >= 1.
        weights: Path of the network's weights, for machines without network access; by default
            torch-fidelity downloads them once. The protocol names other weights than the published.

    Returns:
        Dictionary from measure to `Score`. KID is not multiplied by 1000.

    Raises:
        ImportError: where torch-fidelity is not installed.
        ValueError: for too few images (FID needs more than there are features, KID at least
            `subset_size`); for images that are not uint8, such as floats, since how they are
            rounded would change the result; for unknown names, paths and layers.
        OSError: where weights or a registered set can neither be found nor downloaded.
    """
    measures = _check_measures(measures)
    if layer not in _LAYERS:
        raise ValueError(f"Expected `layer` to be one of {_LAYERS}. Received: layer={layer!r}.")
    subsets = check_integer("subsets", subsets, 1)
    subset_size = check_integer("subset_size", subset_size, 2)
    options: dict[str, Any] = {
        "kid_subsets": subsets,
        "kid_subset_size": subset_size,
        "rng_seed": check_integer("seed", seed, 0),
        "batch_size": check_integer("batch_size", batch_size, 1),
    }
    for measure in measures:
        options |= {measure: True, f"feature_layer_{measure}": str(layer)}
    package, registered, url = _torch_fidelity()
    network = _network_name(weights, url)
    with tempfile.TemporaryDirectory() as folder:
        counts = {}
        # The reference first, so that errors in it are found before images are sampled.
        for key, name, source in (("input2", "reference", reference), ("input1", "images", images)):
            options[key], counts[name] = _prepare(name, source, Path(folder, name), registered)
            _check_count(name, counts[name], measures, layer, subset_size)
        found = _calculate(package, url, weights, network, options)
    if data is None and isinstance(reference, str | os.PathLike):
        data = Path(reference).resolve().name
    protocol = _protocol(package, network, layer, counts, data or "unnamed images")
    return _scores(package, found, measures, protocol, subsets, subset_size)


def _check_measures(measures: str | Iterable[str]) -> tuple[str, ...]:
    measures = (measures,) if isinstance(measures, str) else tuple(measures)
    for measure in measures:
        if measure not in _MEASURES:
            raise ValueError(
                f"Expected `measures` to be of {_MEASURES}. Received: {measure!r}."
                f"{near_match(measure, _MEASURES)}"
            )
    if not measures:
        raise ValueError(f"Expected `measures` to be of {_MEASURES}. Received: none.")
    return measures


def _torch_fidelity() -> tuple[Any, Collection[str], str]:
    """The package, the names of its registered sets, and the URL of the network's weights."""
    try:
        backend.import_torchvision()  # torch-fidelity does
        import torch_fidelity
        from torch_fidelity.feature_extractor_inceptionv3 import URL_INCEPTION_V3
        from torch_fidelity.registry import DATASETS_REGISTRY
    except ImportError as error:
        raise optional.missing("torch-fidelity", "published FID and KID", "fid") from error
    return torch_fidelity, DATASETS_REGISTRY.keys(), URL_INCEPTION_V3


def _network_name(weights: PathLike | None, url: str) -> str:
    """The name of the published file of weights, or a hash of another one."""
    name = Path(url).stem  # ends with the first digits of the file's SHA-256
    if weights is None:
        return name
    if not Path(weights).is_file():
        raise ValueError(
            f"Expected `weights` to be the path of a copy of {url}. Received: weights={weights!r}, "
            "where there is no file."
        )
    with open(weights, "rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
    return name if digest.startswith(name.split("-")[-1]) else f"other weights {digest[:8]}"


def _prepare(
    argument: str, source: Images, folder: Path, registered: Collection[str]
) -> tuple[str, int | None]:
    """The name or folder that torch-fidelity reads, and the number of images if known."""
    if not isinstance(source, str | os.PathLike):
        folder.mkdir()
        return str(folder), _write(argument, source, folder)
    if source in registered:
        return str(source), None
    if not Path(source).is_dir():
        raise ValueError(
            f"Expected `{argument}` to be images, the path of a folder of them, or one of "
            f"{sorted(registered)}. Received: {argument}={source!r}."
            f"{near_match(str(source), registered)}"
        )
    files = [file.suffix[1:].lower() in _SUFFIXES for file in Path(source).iterdir()]
    return str(Path(source).resolve()), sum(files)


def _write(argument: str, images: TensorLike | Iterable[TensorLike], folder: Path) -> int:
    """Writes an array or batches as PNG files, in order, and returns their number."""
    from PIL import Image  # torchvision, and so torch-fidelity, requires it

    n = 0
    for batch in batches_of(images):
        if batch.dtype != np.uint8 or batch.ndim != 4 or batch.shape[-1] not in (1, 3):
            raise ValueError(
                f"Expected `{argument}` to be uint8 images (n, height, width, 1 or 3), or batches "
                f"of them. Received: {batch.dtype} of shape {batch.shape}."
            )
        for image in batch:
            image = image[..., 0] if image.shape[-1] == 1 else image
            Image.fromarray(image).save(folder / f"{n:09d}.png", compress_level=1)
            n += 1
    return n


def _check_count(
    argument: str, n: int | None, measures: Iterable[str], layer: int, subset_size: int
) -> None:
    """Raises for too few images, and warns for fewer than in any published FID.

    >>> _check_count("images", 900, ["kid"], 2048, 1000)
    Traceback (most recent call last):
    ValueError: Expected `images` to be at least 1000 for KID: ... Received: 900 images.
    """
    if n is None:
        return
    needed = {"fid": layer + 1, "kid": subset_size}
    why = {
        "fid": f"the covariance of {layer} features is singular for fewer (published scores are of "
        "50000; an earlier `layer` needs fewer)",
        "kid": "the size of its subsets, `subset_size`",
    }
    for measure in measures:
        if n < needed[measure]:
            raise ValueError(
                f"Expected `{argument}` to be at least {needed[measure]} for {measure.upper()}: "
                f"{why[measure]}. Received: {n} images."
            )
    if n < _FEWEST and "fid" in measures and layer == _LAYERS[-1]:
        warnings.warn(
            f"FID with {n} {argument} is biased upwards and not comparable with published scores, "
            f"which are of 50000 images, or at least {_FEWEST}.",
            stacklevel=3,
        )


def _calculate(
    package: Any, url: str, weights: PathLike | None, network: str, options: dict[str, Any]
) -> dict[str, float]:
    """Calls torch-fidelity."""
    try:
        return package.calculate_metrics(
            **options,
            feature_extractor_weights_path=None if weights is None else str(weights),
            # The cache identifies a registered set by its name alone, not by the weights.
            cache=network == Path(url).stem,
            samples_find_ext=",".join(_SUFFIXES),
            cuda=backend.torch_has_gpu(),
            save_cpu_ram=True,  # no worker processes: forking is unsafe beside backends' threads
            verbose=False,
        )
    except urllib.error.URLError as error:
        cache = os.environ.get("XDG_CACHE_HOME", os.path.join("~", ".cache"))
        home = os.environ.get("TORCH_HOME", os.path.join(cache, "torch"))
        raise OSError(
            f"Expected network access to download {url} and registered sets. Without it, put that "
            f"file into {os.path.join(home, 'hub', 'checkpoints')}, or give its path as `weights`, "
            f"and give sets as folders of images. Received: {error}."
        ) from error


def _protocol(
    package: Any, network: str, layer: int, counts: dict[str, int | None], data: str
) -> str:
    """The part of the protocol that all measures share."""
    n, of = ("all" if counts[name] is None else counts[name] for name in ("images", "reference"))
    which = "" if layer == _LAYERS[-1] else " (not the published layer)"
    return (
        f"torch-fidelity {package.__version__} inception-v3-compat ({network}), {layer} features"
        f"{which}, images resized to 299x299 as by TensorFlow 1, {n} images against {of} of {data}"
    )


def _scores(
    package: Any,
    found: dict[str, float],
    measures: Iterable[str],
    protocol: str,
    subsets: int,
    size: int,
) -> dict[str, Score]:
    """The measures as scores, in the order of `measures`."""
    scores = {}
    for measure in measures:
        if measure == "fid":
            scores["fid"] = Score(found[package.KEY_METRIC_FID], f"FID, {protocol}")
        else:
            scores["kid"] = Score(
                found[package.KEY_METRIC_KID_MEAN],
                f"KID, {protocol}, {subsets} subsets of {size} +- their standard deviation",
                found[package.KEY_METRIC_KID_STD] if subsets > 1 else None,
            )
    return scores
