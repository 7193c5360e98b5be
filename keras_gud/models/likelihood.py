"""How likely data are: log-likelihoods by the probability flow, and the variational bound.

Methods of `GUDModel`, which sets them as its attributes; all use the averaged weights.
"""

import inspect
import math
from typing import Any

import keras
import numpy as np
from keras import ops

from keras_gud import backend, regions
from keras_gud.backbones import contract
from keras_gud.conditioning.given import encoded_rows, repeated_rows
from keras_gud.core import counter_rng
from keras_gud.core.arguments import check_integer, require_built
from keras_gud.core.progress import Progress
from keras_gud.core.types import Array, ArrayLike, Identifier
from keras_gud.data.arrays import is_array
from keras_gud.data.batch import pick
from keras_gud.data.source import Source
from keras_gud.diffusion.data_scaling import log_density_terms
from keras_gud.likelihood import FlowLikelihood, check_given
from keras_gud.likelihood.data_likelihood import NegativeElbo
from keras_gud.training.trainer import open_data
from keras_gud.training.weight_snapshot import WeightSnapshot

# Counter of the uniform noise that dequantises; the probes' are numbered from 0.
_DEQUANTISE = -1


@backend.in_strategy_scope
def log_prob(
    model: keras.Model,
    x: Any,
    labels: ArrayLike | None = None,
    *,
    condition: Any = None,
    given: ArrayLike | None = None,
    trace: str = "auto",
    probes: int = 1,
    rtol: float = 1e-4,
    atol: float = 1e-4,
    start: str = "matched",
    seed: int = 0,
    batch_size: int | None = None,
    verbose: int = 0,
    schedule: Identifier | None = None,
    **params: Any,
) -> dict[str, Array]:
    """Log-likelihood of every example by the probability flow (paper eq. 25), term by term.

    It is the density of what the flow makes of Gaussian noise at t = 1, divided by alpha(0)
    (`from_noise`). With integers it is a lower bound of their log probability, by uniform
    dequantisation.

    Args:
        x: Data in any form that `fit` takes; one batch in memory at a time.
        labels: As in `elbo`.
        condition: As in `elbo`.
        given: Boolean array that broadcasts to the data's shape, a mask of *components* (in
            the model's basis), constant within the groups of the schedule (but where the network
            is told the gamma of every value, as with a `region` of ``"inpaint"``), e.g.
            ``model.basis.coordinates["band"] <= 1``: the likelihood is that of the other
            components, conditional on these, also at t = 1 as far as the moments there were
            fitted. `None`, or no component: the joint likelihood.
        trace: ``"exact"``, one Jacobian-vector product per component and evaluation;
            ``"hutchinson"``, an unbiased estimate by `probes` of them; ``"auto"``: exact for
            up to 16 components.
        probes: Number of random vectors of the estimate, fixed throughout a solve.
        rtol: Relative tolerance of the solver, Tsitouras 5(4); the paper's is 1e-4.
        atol: Absolute tolerance.
        start: The density at t = 1: ``"matched"``, the Gaussian with the moments of noised data
            as far as they were fitted (see `start_covariance`), or ``"prior"``, N(0, 1).
        seed: Seed of dequantisation and probes: those of example i depend on (seed, i) alone.
        batch_size: Examples per batch where x is an array; default 128.
        verbose: 1 shows a progress bar.
        schedule: As in `sample`. The likelihood of data does not depend on the path, but the
            model's does, by its errors.
        **params: Parameters of the schedule; those left open take the middle of their range.

    Returns:
        Dict of float64 arrays ``(n,)`` in nats: ``"start"``, the log density at t = 1;
        ``"divergence"``, its integral; ``"log_alpha"``, sum_i log alpha_i(0); ``"log_scale"``,
        -sum_i log S_i; ``"data_scaling"``, -sum_i log of the data's scale; ``"log_prob"``, the
        sum of these; and ``"standard_error"`` of it from the spread between probes (0 for the exact
        trace, NaN for a single probe).

    Raises:
        ValueError: for data that the model was not trained on, or an unusable `given`.
        ToleranceError: if the solver cannot meet its tolerance; it has the statistics.
    """
    require_built(model, "likelihoods are computed")
    view = model.view_along(schedule)
    given = check_given(given, model.data_shape)
    if given is not None:
        regions.check_given(view, given, contract.takes_gamma_map(model.network))
    flow = FlowLikelihood(trace, probes, rtol, atol)  # checks them
    key = "flow", trace, flow.probes, rtol, atol
    flow = model.session.cached(key, lambda: flow)  # one that may be compiled
    params = _one_path(view, params)
    model.view_along(schedule, params=params)
    source = _open(model, x, labels, condition, batch_size, complete=True)
    total = source.keras_data.num_batches if source.is_array else source.n_batches
    progress = Progress(total, "batch", verbose)
    size, count, results = None, 0, []
    for i, (batch, told) in enumerate(source.examples()):
        size = len(batch) if size is None else size
        results.append(
            flow(
                model.denoiser.in_view(view),
                view.schedule,
                _first_state(model, view, batch, params, seed, count),
                given=given,
                start=start,
                seed=seed,
                first=count,
                batch_size=size,
                condition=encoded_rows(model.conditions, told),
                **params,
            )
        )
        count += len(batch)
        progress.update(i + 1)
    terms = {name: np.concatenate([part[name] for part in results]) for name in results[0]}
    added = _density_terms(model, view, given, params)
    constants = {name: np.full(count, value) for name, value in added.items()}
    total = terms.pop("log_prob") + sum(constants.values())
    error = terms.pop("standard_error")
    return terms | constants | {"log_prob": total, "standard_error": error}


def bits_per_dim(
    model: keras.Model, x: Any, labels: ArrayLike | None = None, **arguments: Any
) -> Array:
    """``-log_prob/(d log 2)`` of every example, float64 ``(n,)``.

    Of integers: bits per entry, an upper bound in expectation. Of floats:
    the (differential) density's, in their own units. With `given`, d counts the components that
    are not given.

    Args:
        x: Data in any form that `fit` takes.
        labels: As in `elbo`.
        **arguments: As in `log_prob`.
    """
    terms = log_prob(model, x, labels, **arguments)
    mask = check_given(arguments.get("given"), model.data_shape)
    size = math.prod(model.data_shape) - (0 if mask is None else int(mask.sum()))
    return -terms["log_prob"] / (size * math.log(2.0))


def elbo(
    model: keras.Model,
    x: Any,
    labels: ArrayLike | None = None,
    *,
    condition: Any = None,
    draws: int = 32,
    batch_size: int | None = None,
    verbose: int = 0,
    schedule: Identifier | None = None,
    **params: Any,
) -> dict[str, Array]:
    """The variational bound of -log p of every example, term by term.

    Args:
        x: Data in any form that `fit` takes.
        labels: Labels of an array where the model has `classes`: an integer for all examples,
            or one for each. Without them (here, in a dictionary or in a stream) it is the
            bound without a label.
        condition: Likewise of the model's `condition`.
        draws: Network evaluations per example; the times are spread evenly over [0, 1].
        batch_size: Examples per batch where x is an array; default 128.
        verbose: 1 shows a progress bar.
        schedule: As in `sample`. The likelihood of data does not depend on the path, but the
            model's does, by its errors.
        **params: Parameters of the schedule; those left open take the middle of their range.

    Returns:
        Dict of float32 arrays ``(n,)``: ``"prior"``, ``"diffusion"``, ``"reconstruction"``,
        ``"log_scale"``, ``"data_scaling"`` in nats, and ``"bits_per_dim"``, their sum in bits
        per dimension (of the integers where the model was trained on such, else the
        density of the floats). Where values are missing, all are of the others alone.
    """
    parts = x, labels, condition, draws, schedule, params, batch_size
    terms, values = _negative_elbo(model, *parts, verbose=verbose)
    return terms | {"bits_per_dim": sum(terms.values()) / (values * math.log(2.0))}


def predict(
    model: keras.Model,
    x: Any,
    batch_size: int | None = None,
    verbose: int | str = "auto",
    steps: int | None = None,
    callbacks: Any = None,
) -> Array:
    """Negative ELBO of every example in bits per dimension (see `elbo`), 32 draws each.

    Args:
        x: Data in any form that `fit` takes. Labels in a dictionary or a stream are used where
            the model has `classes`; for labels beside an array there is `elbo`.
        batch_size: Examples per batch where x is an array; default 128.
        verbose: As in Keras.
        steps: As in Keras.
        callbacks: As in Keras.

    Returns:
        float32 NumPy array ``(n,)``; an upper bound, in expectation, of -log2 p / d.
    """
    kwargs = {"steps": steps, "callbacks": callbacks, "verbose": verbose}
    terms, values = _negative_elbo(model, x, None, None, 32, None, {}, batch_size, **kwargs)
    return sum(terms.values()) / (values * math.log(2.0))


@backend.in_strategy_scope
def _negative_elbo(
    model, x, labels, condition, draws, schedule, params, batch_size, **kwargs
) -> tuple[dict[str, Array], Array]:
    """The terms, and the number of values that they are of."""
    require_built(model, "likelihoods are computed")
    view = model.view_along(schedule, params=params)
    check_integer("draws", draws, 1)
    source = _open(model, x, labels, condition, batch_size)
    if backend.process_count() == 1:
        source.check_divides()
    elif keras.backend.backend() == "jax":
        raise ValueError(
            "Expected `predict` and `elbo` in one process: on jax Keras cannot collect what "
            f"several have predicted. Received: {backend.process_count()} processes. "
            "metrics.NegativeElbo in `evaluate` gives the mean."
        )
    key = "elbo", draws, id(view.schedule), str(sorted(params.items()))
    bound = model.session.cached(key, lambda: NegativeElbo(model, view, draws, params))
    bound.counter.assign(0)
    with WeightSnapshot(lambda: bound.variables).guard():
        terms = bound.predict(source.keras_data, **kwargs)
    beyond = ~np.isfinite(np.stack(list(terms.values()))).all(axis=0)
    if beyond.any():
        raise ValueError(
            "Expected data about as large as those that the model was fitted to. Received: x "
            f"whose bound is beyond float32, first in example {beyond.argmax()}."
        )
    return terms, terms.pop("values")


def _open(model, x, labels, condition, batch_size, complete=False) -> Source:
    """The checked data; conditions are welcome, not required."""
    model.data_space.require_density()
    x = model.data_space.without_names(x)
    y = labels if condition is None else condition  # beside a stream, the Source refuses them
    if y is not None and (not model.conditions.names or is_array(x)):
        y = repeated_rows(model.conditions, len(pick(x)) if is_array(x) else 1, condition, labels)
    how = {"required": False, "divided": False, "complete": complete}
    source = open_data(model, x, y, None, batch_size, **how)
    source.guard(model.data_space.checker(complete))
    return source


def _first_state(model, view, batch, params, seed, first) -> Array:
    """Raw data to z(0) = alpha(0) z0: the state at t = 0 whose noise is 0."""
    keys = counter_rng.sample_keys(seed, len(batch), first)
    uniform = lambda: counter_rng.uniform(keys, _DEQUANTISE, model.data_shape)  # noqa: E731
    phi = model.data_space.to_phi(ops.convert_to_tensor(batch), uniform)
    z0 = view.prior(view.basis(phi))
    return ops.convert_to_numpy(view.schedule(0.0, **params).alpha * z0)


def _density_terms(model, view, given, params) -> dict[str, float]:
    """What makes log p(z(0)) the log density of the raw data; the same for all examples."""
    counted = np.ones(model.data_shape) if given is None else (~given).astype("float64")
    alpha = ops.convert_to_numpy(view.schedule(0.0, **params).alpha)[0].astype("float64")
    scale = ops.convert_to_numpy(view.prior.scale).astype("float64")
    return log_density_terms(alpha, scale, model.data_space.scaling, counted, np)


def _one_path(view, params: dict[str, Any]) -> dict[str, Any]:
    """The parameters of the schedule, one value each."""
    known = inspect.signature(log_prob).parameters
    params = view.schedule.resolve(params, others=[name for name in known if name != "model"])
    for name, value in params.items():
        if len(value) != 1:
            raise ValueError(
                f"Expected one value of `{name}` for all examples. Received: {len(value)} values."
            )
    return params
