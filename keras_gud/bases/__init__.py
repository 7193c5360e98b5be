"""Orthogonal bases U in which the noising process is diagonal."""

from keras_gud.bases.basis import Basis, registry
from keras_gud.bases.channel import ChannelMix
from keras_gud.bases.compose import Compose
from keras_gud.bases.dct import DCT
from keras_gud.bases.fourier import Fourier
from keras_gud.bases.haar import Haar
from keras_gud.bases.matrix import Matrix
from keras_gud.bases.pca import PCA
from keras_gud.bases.pixel import Pixel
from keras_gud.core.registry import discover

discover(__name__)
get = registry.get

__all__ = [
    "DCT",
    "PCA",
    "Basis",
    "ChannelMix",
    "Compose",
    "Fourier",
    "Haar",
    "Matrix",
    "Pixel",
    "get",
]
