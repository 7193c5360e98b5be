"""Checks of files from untrusted sources, before anything in them is used.

`check_model` is for files of `model.save`, `check_weights` for those of weights alone. A file that
passes is still loaded in Keras' own safe mode; `load_model` does both.
"""

from keras_gud.persistence.inspection.archive import check_model
from keras_gud.persistence.inspection.loading import load_model
from keras_gud.persistence.inspection.weights import Contents, check_weights

__all__ = ["Contents", "check_model", "check_weights", "load_model"]
