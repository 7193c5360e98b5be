"""One training step written by hand for each backend: the least that the same loss can cost.

Loss (with its random numbers and the average of the weights), gradient and Adam, nothing else: no
callbacks, no metrics, no data pipeline. Compiled where the backend compiles.
"""

import copy

import keras


def make_bare_step(model):
    """A function ``batch -> loss`` that trains a copy of the model's weights."""
    return {"jax": _jax, "tensorflow": _tensorflow, "torch": _torch}[keras.backend.backend()](model)


def _optimizer(model):
    optimizer = keras.optimizers.Adam(5e-4)
    optimizer.build(model.trainable_variables)
    return optimizer


def _jax(model):
    import jax

    optimizer = _optimizer(model)
    metric = model.objective.linear_loss.variables

    def loss_fn(trainable, other, x):
        with keras.StatelessScope(
            state_mapping=[
                *zip(model.trainable_variables, trainable, strict=True),
                *zip(model.non_trainable_variables, other, strict=True),
                *((v, v.value) for v in metric),
            ]
        ) as scope:
            loss = model.compute_loss(y_pred=model.call(x, training=True))
        other = [scope.get_current_value(v) for v in model.non_trainable_variables]
        return loss, [o if o is not None else v for o, v in zip(other, values, strict=True)]

    def step(trainable, other, slots, x):
        nonlocal values
        values = other
        (loss, other), grads = jax.value_and_grad(loss_fn, has_aux=True)(trainable, other, x)
        trainable, slots = optimizer.stateless_apply(slots, grads, trainable)
        return loss, trainable, other, slots

    values = None
    compiled = jax.jit(step, donate_argnums=(0, 1, 2))
    copies = [
        [jax.numpy.copy(v.value) for v in group]
        for group in (
            model.trainable_variables,
            model.non_trainable_variables,
            optimizer.variables,
        )
    ]

    def run(batch):
        nonlocal copies
        loss, *copies = compiled(*copies, batch)
        return loss

    return run


def _clone(model):
    """The same model with variables of its own, for the backends that train in place."""
    twin = type(model).from_config(copy.deepcopy(model.get_config()))
    twin.build_from_config(model.get_build_config())
    for to, value in zip(twin.variables, model.variables, strict=True):
        to.assign(value)
    return twin, _optimizer(twin)


def _tensorflow(model):
    import tensorflow as tf

    twin, optimizer = _clone(model)
    weights = twin.trainable_variables

    @tf.function(jit_compile=True)
    def step(x):
        with tf.GradientTape() as tape:
            loss = twin.compute_loss(y_pred=twin.call(x, training=True))
        grads = tape.gradient(loss, [w.value for w in weights])
        optimizer.apply(grads, weights)
        return loss

    return lambda batch: step(tf.constant(batch))


def _torch(model):
    import torch

    twin, optimizer = _clone(model)
    weights = twin.trainable_variables

    def step(batch):
        for w in weights:
            w.value.grad = None
        loss = twin.compute_loss(y_pred=twin.call(torch.from_numpy(batch), training=True))
        loss.backward()
        with torch.no_grad():
            optimizer.apply([w.value.grad for w in weights], weights)
        return loss.detach()

    return step
