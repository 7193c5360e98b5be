"""What a user gives a trained model to sample with: conditions of one row or n, and guidance."""

from collections.abc import Mapping
from typing import Any

import numpy as np

from keras_gud.backend import to_numpy
from keras_gud.conditioning.conditions import GUIDANCE, INTERVAL, Conditions
from keras_gud.conditioning.forms import MASK, Form
from keras_gud.core.types import ArrayLike


def given_rows(
    conditions: Conditions, n: int, condition: Any = None, labels: ArrayLike | None = None
) -> dict[str, np.ndarray]:
    """Raw values of conditions, ``(n, ...)`` or ``(1, ...)``, by name.

    Args:
        conditions: Those of the model, built.
        n: Number of examples.
        condition: `None`, the value of the only condition, or a dict of some by name, each for one
            example or for n.
        labels: Of a condition of labels: `None`, an integer, or n integers.

    Raises:
        ValueError: for conditions of other names, shapes or numbers, or that the model does not
            have.
    """
    if labels is not None and conditions.classes is None:
        raise ValueError(
            "Expected no `labels`, because the model was made without `classes`. "
            f"Received: labels={labels!r}."
        )
    if condition is not None and not conditions.names:
        raise ValueError(
            "Expected no `condition`, because the model was made without one, "
            f"GUD(..., condition=...). Received: condition of type {type(condition).__name__}."
        )
    values: dict[str, Any] = {} if condition is None else conditions.forms.pick(condition, {})
    if labels is not None:
        values[conditions.names[0]] = labels
    found = {}
    for form in conditions.forms.forms:
        if form.name not in values:
            continue
        found[form.name] = _rows(form, values[form.name], n)
        mask = values.get(form.name + MASK)
        if mask is not None:
            mask = to_numpy(mask)
            mask = mask[None] if mask.ndim == 1 else mask
            found[form.name + MASK] = form.check_mask(mask, found[form.name])
    return found


def repeated_rows(
    conditions: Conditions, n: int, condition: Any = None, labels: ArrayLike | None = None
) -> dict[str, np.ndarray]:
    """As `given_rows`, of n rows each."""
    rows = given_rows(conditions, n, condition, labels)
    return {name: np.broadcast_to(value, (n, *value.shape[1:])) for name, value in rows.items()}


def encoded_rows(conditions: Conditions, raw: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    """Raw values by name as networks are given them, as NumPy."""
    return {name: to_numpy(value) for name, value in conditions.encode(raw).items()}


def _rows(form: Form, value: Any, n: int) -> np.ndarray:
    """Checked values of one row or n; labels always of n."""
    value = to_numpy(value)
    if form.kind == "labels":
        return form.check(np.full(n, value) if value.ndim == 0 else value, n)
    assert form.row_shape is not None
    value = value[None] if value.ndim == len(form.row_shape) else value
    return form.check(value, 1 if len(value) == 1 else n)


def sampling_condition(
    conditions: Conditions,
    n: int,
    *,
    condition: Any = None,
    labels: ArrayLike | None = None,
    guidance: ArrayLike | Mapping[str, ArrayLike] = 1.0,
    interval: tuple[float, float] | None = None,
) -> dict[str, np.ndarray]:
    """What the denoiser is called with in sampling, beside the noising state.

    Args:
        conditions: Those of the model, built.
        n: Number of samples.
        condition: As in `given_rows`; what is not given is null.
        labels: As in `given_rows`.
        guidance: Strength w of classifier-free guidance by all conditions, a number or one for each
            sample: 0 is without them, 1 without guidance. Or a dict of strengths by name: the
            others are then given throughout.
        interval: Times ``(from, until)`` of the path between which guidance holds; else 1.

    Returns:
        Encoded conditions by name, of one row or n, and with guidance what `Conditions.evaluations`
        reads, float32 ``(n,)``.

    Raises:
        ValueError: as `given_rows`; for guidance that is not finite or of another shape, guidance
            other than 1 by what is not given, or a condition that has to be given.

    Example:

    >>> conditions = Conditions.of(None, classes=10, label_dropout=0.1)
    >>> conditions.build((8,), {})
    >>> sampling_condition(conditions, 2, labels=[3, 1], guidance=2.0)["guidance"].tolist()
    [2.0, 2.0]
    """
    raw = given_rows(conditions, n, condition, labels)
    for name, kind in conditions.items():
        if name not in raw and kind.dropout == 0.0 and kind.kind != "labels":
            raise ValueError(
                f"Expected the condition {name!r}: it was never hidden in training, "
                "dropout=0. Received: none."
            )
    strengths = _strengths(conditions, guidance, n)
    _require_given(conditions, raw, strengths, guidance)
    found = encoded_rows(conditions, raw)
    if conditions.classes is not None and conditions.names[0] not in found:
        found[conditions.names[0]] = np.full(n, conditions.classes, "int32")
    if not strengths:
        return found
    # Where guidance is 0 for all samples, one evaluation of the network is enough.
    if interval is None and not strengths.get(GUIDANCE, np.ones(1)).any():
        kinds = dict(conditions.items())
        return {name: to_numpy(kinds[name].null(value)) for name, value in found.items()}
    return found | strengths | _check_interval(interval, n)


def _require_given(
    conditions: Conditions, raw: Mapping[str, Any], strengths: Mapping[str, Any], guidance: Any
) -> None:
    """Raises a `ValueError` for guidance by what is not given."""
    named = [key.removeprefix(f"{GUIDANCE}_") for key in strengths if key != GUIDANCE]
    if (GUIDANCE in strengths and not raw) or any(name not in raw for name in named):
        has_labels = conditions.classes is not None or not conditions.names
        raise ValueError(
            f"Expected {'`labels`' if has_labels else '`condition`'} with a `guidance` other than "
            "1: guidance goes from the estimate without a label towards the one with it. "
            f"Received: guidance={guidance!r}."
        )


def _strengths(conditions: Conditions, guidance: Any, n: int) -> dict[str, np.ndarray]:
    """Strengths other than 1, by the name of their entry."""
    if not isinstance(guidance, Mapping):
        strength = check_guidance(guidance, n)
        return {GUIDANCE: strength} if (strength != 1.0).any() else {}
    unknown = [name for name in guidance if name not in conditions.names]
    if unknown:
        raise ValueError(
            f"Expected `guidance` by the names of conditions, {list(conditions.names)}. "
            f"Received: guidance of {unknown[0]!r}."
        )
    found = {f"{GUIDANCE}_{name}": check_guidance(w, n) for name, w in guidance.items()}
    return {name: strength for name, strength in found.items() if (strength != 1.0).any()}


def check_guidance(guidance: Any, n: int) -> np.ndarray:
    """The guidance of each of n samples, float32 ``(n,)``, or a `ValueError`."""
    try:
        strength = np.asarray(to_numpy(guidance), "float32")
    except (TypeError, ValueError):
        strength = np.full(n, np.nan)
    if strength.shape not in ((), (n,)) or not np.isfinite(strength).all():
        raise ValueError(
            f"Expected `guidance` to be a finite number, or one for each of n={n} samples. "
            f"Received: guidance={guidance!r}."
        )
    return np.broadcast_to(strength, (n,))


def _check_interval(interval: Any, n: int) -> dict[str, np.ndarray]:
    if interval is None:
        return {}
    try:
        start, end = (float(t) for t in interval)
    except (TypeError, ValueError):
        start, end = np.nan, np.nan
    if not 0.0 <= start < end <= 1.0:
        raise ValueError(
            "Expected `guidance_interval` to be two growing times in [0, 1]. "
            f"Received: guidance_interval={interval!r}."
        )
    if (start, end) == (0.0, 1.0):
        return {}
    times = zip(INTERVAL, (start, end), strict=True)
    return {name: np.full(n, t, "float32") for name, t in times}
