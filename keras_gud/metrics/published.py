"""Figures that can be held against published ones, by the packages that those come from."""

import numpy as np

from keras_gud import extras
from keras_gud.metrics.score import Score
from keras_gud.registry import near_match

_NAMES = ("fid", "kid")


def published(name: str, images, reference, data: str = "unnamed images", batch_size: int = 64):
    """FID or KID in Inception features, by torch-fidelity (the weights of Heusel et al., 2017).

    The first call downloads the weights of the Inception network. Published figures on CIFAR-10
    hold 50000 samples against the 50000 training images.

    Args:
        name: ``"fid"``, or ``"kid"`` (with its standard deviation over subsets as `error`).
        images: uint8 ``(n, height, width, 3)``.
        reference: uint8 images of the reference set.
        data: What the reference is called in the result.
        batch_size: Images at a time.

    Returns:
        A `Score`.

    Raises:
        ImportError: without the extra ``fid``.
        ValueError: for another name, or images that are not uint8 with three channels.
    """
    if name not in _NAMES:
        raise ValueError(
            f"Expected `name` to be one of {_NAMES}. Received: {name!r}.{near_match(name, _NAMES)}"
        )
    for given in (images, reference):
        if given.dtype != np.uint8 or given.ndim != 4 or given.shape[-1] != 3:
            raise ValueError(
                "Expected uint8 images (n, height, width, 3). "
                f"Received: {given.dtype} of shape {given.shape}."
            )
    try:
        import torch_fidelity
    except ImportError:
        raise extras.missing("torch-fidelity", "published figures", extra="fid") from None
    figures = torch_fidelity.calculate_metrics(
        input1=_Images(images),
        input2=_Images(reference),
        cuda=False,
        fid=name == "fid",
        kid=name == "kid",
        batch_size=batch_size,
        verbose=False,
    )
    key = {"fid": "frechet_inception_distance", "kid": "kernel_inception_distance_mean"}[name]
    protocol = (
        f"{name.upper()}, torch-fidelity {torch_fidelity.__version__}, inception-v3-compat, "
        f"{len(images)} images against {len(reference)} of {data}"
    )
    return Score(float(figures[key]), protocol, figures.get("kernel_inception_distance_std"))


class _Images:
    """Images one by one as torch-fidelity reads them: uint8 tensors, channels first."""

    def __init__(self, images):
        self.images = images

    def __len__(self):
        return len(self.images)

    def __getitem__(self, i):
        return np.ascontiguousarray(np.moveaxis(self.images[i], -1, 0))
