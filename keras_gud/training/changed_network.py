"""What a model may have become meanwhile: a network of other weights, or one without statistics."""

import warnings

import keras


def has_statistics(model: keras.Model) -> bool:
    """Whether what is measured on data is there, from `adapt` or loaded, and not only built."""
    share = model.tokens.share  # 0 before it is measured
    return model.session.once("statistics", lambda: float(keras.ops.max(share)) > 0.0)


def follow_network(model: keras.Model) -> None:
    """Lets the average, and what has been compiled, follow a network whose weights are others now.

    As after ``network.enable_lora(4)``. An optimizer that was built for the former ones starts
    anew, and so do averages of `callbacks.PostHocEMA`.

    Args:
        model: The built model.
    """
    if model.ema.follow(model.network):
        model.power_averages.restart(model.network)
        model.session.clear()
        if model.compiled:
            _restart(model)


def follow_trainable(model: keras.Model) -> None:
    """Lets a compiled model, before it is trained, follow which of its weights are frozen.

    Args:
        model: The built model.

    Raises:
        ValueError: if all are.
    """
    trained = [id(weight) for weight in model.trainable_variables]
    if not trained:
        raise ValueError(
            "Expected weights to train. Received: a model in which all layers are frozen "
            "(`trainable=False`)."
        )
    optimizer = getattr(model.optimizer, "inner_optimizer", model.optimizer)
    if optimizer.built and [id(weight) for weight in optimizer._trainable_variables] != trained:
        _restart(model)


def forget_training(model: keras.Model) -> None:
    """Starts all averages at the network's weights, and the optimizer, if there is one, anew."""
    model.ema.restart(model.network)
    model.power_averages.restart(model.network)
    model.session.clear()
    if model.compiled:
        _compile_again(model)


def _restart(model: keras.Model) -> None:
    if model.optimizer.built:
        warnings.warn(
            "The weights that are trained are others than those of the optimizer, which starts "
            "anew.",
            stacklevel=4,
        )
    _compile_again(model)


def _compile_again(model: keras.Model) -> None:
    """With the arguments of the optimizer, without its state."""
    model.train_function = model.test_function = model.predict_function = None
    if model.optimizer.built:
        optimizer = type(model.optimizer).from_config(model.optimizer.get_config())
        likelihoods = model.objective.compiled_likelihoods
        model.compile(optimizer, metrics=likelihoods or None)
