"""`model.adapt(x)`: everything that is measured on data.

A method of `GUDModel`, which sets it as its attribute; `fit` calls it.
"""

from typing import Any

import keras

from keras_gud import backend, regions
from keras_gud.core.progress import verbosity
from keras_gud.data.source import Source
from keras_gud.models import description
from keras_gud.training import fit_components, trainer
from keras_gud.training.measure_data import Passes


@backend.in_strategy_scope
def adapt(
    model: keras.Model, data: Any, batch_size: int = 1024, verbose: int | str = "auto"
) -> None:
    """Fits everything that is measured on data: basis, mean, variances, orderings.

    Args:
        data: Data in any form that `fit` takes; streamed once, twice for a fitted basis.
        batch_size: Examples per batch where `data` is an array.
        verbose: 0 is silent, 1 shows bars, 2 lines; ``"auto"``: bars where they can be drawn.

    Raises:
        ValueError: for data that cannot be used; the message says why.

    Warns:
        UserWarning: if more than a third of the path is of no use (`regions.span`).
    """
    source = data
    if not isinstance(data, Source):
        data = model.data_space.without_names(data, first=True)
        source = trainer.open_data(model, data, batch_size=batch_size, required=False)
    shape, kind = model.data_space.recognise(source.first)
    source.observe = model.conditions.observe
    show = verbosity(verbose)
    space = model.data_space
    read = Passes(source, shape, kind, show, space.missing, getattr(space.names, "columns", None))
    scaling = fit_components.fit_parts(model.views, model.region, read, space.measured_scale)
    source.observe = None
    if not model.conditions.built:
        model.conditions.build(shape, source.row_shapes)
    model.conditions.adapt()
    model.data_space.shape, before = shape, model.data_space.scaling
    model.data_space.scaling = scaling
    if before is not None and before.get_config() != scaling.get_config():
        # It is part of what has been compiled.
        model.train_function = model.test_function = None
        model.session.clear()
    model.session.forget("path", "path gap", "elbo")  # they hold what has been measured
    span = regions.measure_span(model.views[0])
    if show:
        print(description.measured(model, span), flush=True)
    regions.warn_if_wasted(span, type(model.schedule).__name__)
    if not model.built:
        model.build((None, *shape))
