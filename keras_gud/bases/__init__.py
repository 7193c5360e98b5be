"""Orthogonal bases U in which the noising process is diagonal."""

from keras_gud.bases.basis import Basis, registry

get = registry.get

__all__ = ["Basis", "get"]
