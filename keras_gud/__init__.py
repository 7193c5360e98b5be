"""Generation with Unified Diffusion: component-wise diffusion models in Keras 3."""

from keras_gud.version import __version__

__all__ = ["__version__"]
