"""FID and KID comparable with published figures: features and formulas of torch-fidelity."""

import hashlib
import os
import tempfile
import urllib.error
import warnings
from pathlib import Path

import numpy as np

from keras_gud import backend
from keras_gud.core import optional
from keras_gud.core.arguments import check_integer
from keras_gud.core.registry import near_match
from keras_gud.metrics.features import batches_of
from keras_gud.metrics.score import Score

_LAYERS = (64, 192, 768, 2048)
_MEASURES = ("fid", "kid")
_FEW = 10_000  # published figures take 50 000 images, at the very least these
_SUFFIXES = ("png", "jpg", "jpeg")


def published(
    images,
    reference,
    measures=_MEASURES,
    *,
    data: str | None = None,
    layer: int = 2048,
    subsets: int = 100,
    subset_size: int = 1000,
    seed: int = 2020,
    batch_size: int = 64,
    weights=None,
) -> dict[str, Score]:
    """FID (Heusel et al., 2017) and KID (Binkowski et al., 2018), as papers report them.

    Computed by torch-fidelity, whose port of the TensorFlow Inception network and of its resizing
    reproduces the original figures; on a GPU if torch sees one, whatever the backend. The network
    runs once over each set, however many measures are asked for::

        batches = (model.sample(500, seed=seed) for seed in range(100))
        scores = keras_gud.metrics.published(batches, "cifar10-train")
        print(scores["fid"], scores["kid"])

    Args:
        images: Images to judge: uint8 ``(n, height, width, 1 or 3)``; an iterable of batches of
            them, which go to a temporary folder one by one, so that memory holds a single batch
            (and of every image its features); the path of a folder of PNG or JPEG files, those in
            its subfolders not counted; or the name of a set that is registered in torch-fidelity.
            Grey images are taken as three equal channels, as is usual.
        reference: The reference set, in any of these forms. Registered sets, such as
            ``"cifar10-train"``, are downloaded once, and their features kept.
        measures: ``"fid"``, ``"kid"``, or a collection of both.
        data: What the reference is called in results; default: its name or that of its folder.
        layer: Number of features: 2048, or 192, 64 or 768 of earlier layers, which need fewer
            images and are not what is published.
        subsets: Number of random subsets whose mean is KID; `Score.error` is their standard
            deviation, which is what papers give.
        subset_size: Images in each.
        seed: Of the subsets; the default is that of torch-fidelity.
        batch_size: Images at a time in the network.
        weights: Path of the network's weights, for machines that are offline; default:
            torch-fidelity downloads them once. The protocol tells other weights from the published.

    Returns:
        Dictionary of measure to `Score`. KID is not multiplied by 1000.

    Raises:
        ImportError: where torch-fidelity is not installed.
        ValueError: for too few images: FID takes more than there are features, KID at least
            `subset_size`; for images that are not uint8, such as floats, whose rounding to 8 bits
            would be a part of the figure; for unknown names, paths and layers.
        OSError: where weights or a registered set can neither be found nor downloaded.
    """
    measures = _check_measures(measures)
    if layer not in _LAYERS:
        raise ValueError(f"Expected `layer` to be one of {_LAYERS}. Received: layer={layer!r}.")
    subsets = check_integer("subsets", subsets, 1)
    subset_size = check_integer("subset_size", subset_size, 2)
    options = {
        "kid_subsets": subsets,
        "kid_subset_size": subset_size,
        "rng_seed": check_integer("seed", seed, 0),
        "batch_size": check_integer("batch_size", batch_size, 1),
    }
    for measure in measures:
        options |= {measure: True, f"feature_layer_{measure}": str(layer)}
    package, sets, url = _package()
    network = _network(weights, url)
    with tempfile.TemporaryDirectory() as folder:
        counts = {}
        # The reference first: what is wrong with it shows before images are drawn.
        for key, name, source in (("input2", "reference", reference), ("input1", "images", images)):
            options[key], counts[name] = _prepare(name, source, Path(folder, name), sets)
            _check_count(name, counts[name], measures, layer, subset_size)
        found = _calculate(package, url, weights, network, options)
    if data is None:
        named = isinstance(reference, str | os.PathLike)
        data = Path(reference).resolve().name if named else "unnamed images"
    protocol = _protocol(package, network, layer, counts, data)
    return _scores(package, found, measures, protocol, subsets, subset_size)


def _check_measures(measures) -> tuple[str, ...]:
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


def _package():
    """torch-fidelity, the names of its registered sets, and where it gets the weights."""
    try:
        import torch_fidelity
        from torch_fidelity.feature_extractor_inceptionv3 import URL_INCEPTION_V3
        from torch_fidelity.registry import DATASETS_REGISTRY
    except ImportError as error:
        raise optional.missing("torch-fidelity", "published FID and KID", "fid") from error
    return torch_fidelity, DATASETS_REGISTRY.keys(), URL_INCEPTION_V3


def _network(weights, url: str) -> str:
    """What the network is called: the name of the published file, or a hash of another one."""
    name = Path(url).stem  # it ends in the beginning of the file's SHA-256
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


def _prepare(argument: str, source, folder: Path, sets) -> tuple[str, int | None]:
    """What torch-fidelity reads, a name or a folder, and the number of images, if it is known."""
    if not isinstance(source, str | os.PathLike):
        folder.mkdir()
        return str(folder), _write(argument, source, folder)
    if source in sets:
        return source, None
    if not Path(source).is_dir():
        raise ValueError(
            f"Expected `{argument}` to be images, the path of a folder of them, or one of "
            f"{sorted(sets)}. Received: {argument}={source!r}.{near_match(source, sets)}"
        )
    files = [file.suffix[1:].lower() in _SUFFIXES for file in Path(source).iterdir()]
    return str(Path(source).resolve()), sum(files)


def _write(argument: str, images, folder: Path) -> int:
    """Writes an array or batches as PNG files, in their order; their number."""
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


def _check_count(argument: str, n: int | None, measures, layer: int, subset_size: int):
    """Raises for too few images, and warns for fewer than anybody publishes.

    >>> _check_count("images", 900, ["kid"], 2048, 1000)
    Traceback (most recent call last):
    ValueError: Expected `images` to be at least 1000 for KID: ... Received: 900 images.
    """
    if n is None:
        return
    needed = {"fid": layer + 1, "kid": subset_size}
    why = {
        "fid": f"the covariance of {layer} features is singular for fewer (published figures take "
        "50000; with an earlier `layer`, fewer do)",
        "kid": "the size of its subsets, `subset_size`",
    }
    for measure in measures:
        if n < needed[measure]:
            raise ValueError(
                f"Expected `{argument}` to be at least {needed[measure]} for {measure.upper()}: "
                f"{why[measure]}. Received: {n} images."
            )
    if n < _FEW and "fid" in measures and layer == _LAYERS[-1]:
        warnings.warn(
            f"FID with {n} {argument} is biased upwards and not comparable with published figures, "
            f"which take 50000, or at least {_FEW}.",
            stacklevel=3,
        )


def _calculate(package, url: str, weights, network: str, options) -> dict[str, float]:
    """Features and measures, by torch-fidelity."""
    try:
        return package.calculate_metrics(
            **options,
            feature_extractor_weights_path=None if weights is None else str(weights),
            # The cache knows a registered set by its name alone, whatever the weights.
            cache=network == Path(url).stem,
            samples_find_ext=",".join(_SUFFIXES),
            cuda=backend.torch_has_gpu(),
            save_cpu_ram=True,  # no worker processes: they are forks, and backends have threads
            verbose=False,
        )
    except urllib.error.URLError as error:
        cache = os.environ.get("XDG_CACHE_HOME", os.path.join("~", ".cache"))
        home = os.environ.get("TORCH_HOME", os.path.join(cache, "torch"))
        raise OSError(
            f"Expected a network to download {url} and registered sets. Without one, put that file "
            f"into {os.path.join(home, 'hub', 'checkpoints')}, or give its path as `weights=`; "
            f"and sets as folders of images. Received: {error}."
        ) from error


def _protocol(package, network: str, layer: int, counts, data: str) -> str:
    """What all measures were measured with."""
    n, of = ("all" if counts[name] is None else counts[name] for name in ("images", "reference"))
    unlike = "" if layer == _LAYERS[-1] else " (not the published layer)"
    return (
        f"torch-fidelity {package.__version__} inception-v3-compat ({network}), {layer} features"
        f"{unlike}, images resized to 299x299 as by TensorFlow 1, {n} images against {of} of {data}"
    )


def _scores(package, found, measures, protocol: str, subsets: int, size: int) -> dict[str, Score]:
    """The measures with what they were measured with, in the order asked for."""
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
