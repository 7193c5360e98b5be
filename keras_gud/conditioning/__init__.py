"""What a network is conditioned on: the noising state, and what a user gives beside the data."""

from keras_gud.conditioning.condition import Condition, Image, Labels, Sequence, Vector, registry
from keras_gud.conditioning.conditions import Conditions

__all__ = ["Condition", "Conditions", "Image", "Labels", "Sequence", "Vector", "registry"]
