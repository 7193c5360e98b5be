"""Files that others made, looked at before anything in them is used.

`check_model` is for the files of `model.save`, `check_weights` for those of weights alone. A file
that they pass still goes through Keras' own safe mode.
"""

from keras_gud.persistence.inspection.archive import check_model
from keras_gud.persistence.inspection.weights import Contents, check_weights

__all__ = ["Contents", "check_model", "check_weights"]
