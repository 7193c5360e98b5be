"""What a model may have become meanwhile: a network of other weights, or one without statistics."""

import warnings

import keras


def has_statistics(model: keras.Model) -> bool:
    """Whether what is measured on data is there, from `adapt` or loaded, and not only built."""
    share = model.tokens.share  # 0 before it is measured
    return model.session.once("statistics", lambda: float(keras.ops.max(share)) > 0.0)


def follow_network(model: keras.Model) -> None:
    """Lets the average, and what has been compiled, follow a network whose weights are others now.

    As after ``layer.enable_lora(4)``. An optimizer that was built for the former ones starts anew.

    Args:
        model: The built model.
    """
    if not model.ema.follow(model.network):
        return
    model.session.clear()
    if not model.compiled:
        return
    model.train_function = model.test_function = model.predict_function = None
    if model.optimizer.built:
        warnings.warn(
            "The weights of the network are others than those of the optimizer, which starts anew.",
            stacklevel=3,
        )
        optimizer = type(model.optimizer).from_config(model.optimizer.get_config())
        likelihoods = model.objective.compiled_likelihoods
        model.compile(optimizer, metrics=likelihoods or None)
