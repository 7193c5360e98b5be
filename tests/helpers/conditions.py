"""Conditions of data, for tests that read them."""

from keras_gud.conditioning.forms import Form, Forms


def label_forms(classes):
    """The forms of a model with classes; with `None` those of one without."""
    return Forms(() if classes is None else (Form("label", "labels", classes),))
