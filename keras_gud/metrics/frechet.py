"""The Frechet distance of feature statistics (Heusel et al., 2017)."""

from collections.abc import Callable, Iterable

import numpy as np

from keras_gud.core.arguments import check_integer
from keras_gud.core.types import TensorLike
from keras_gud.metrics.features import Features, FeatureStatistics
from keras_gud.metrics.score import Score


def frechet_distance(one: FeatureStatistics, reference: FeatureStatistics) -> Score:
    """``|m1 - m2|^2 + tr(C1 + C2 - 2 (C1 C2)^(1/2))`` of two sets of images.

    With few images it is biased upwards. Scores of different numbers of images are therefore not
    comparable, and comparing them is an error.

    Args:
        one: Statistics of the images to evaluate.
        reference: Those of the reference set.

    Returns:
        The distance, >= 0 up to rounding; 0 for equal statistics.

    Raises:
        ValueError: for statistics in different spaces.

    Example:

    >>> import numpy as np
    >>> parts = [FeatureStatistics(np.full(2, m), np.eye(2), 100, "toy") for m in (0.0, 1.0)]
    >>> frechet_distance(*parts).value
    2.0
    """
    if one.space != reference.space:
        raise ValueError(
            "Expected statistics in the same space of features. "
            f"Received: {one.space!r} and {reference.space!r}."
        )
    # (C1 C2)^(1/2) has the trace of (A C2 A)^(1/2), A = C1^(1/2), which is symmetric.
    values, vectors = np.linalg.eigh(one.covariance)
    root = (vectors * np.sqrt(np.maximum(values, 0.0))) @ vectors.T
    product = np.linalg.eigvalsh(root @ reference.covariance @ root)
    trace = np.trace(one.covariance) + np.trace(reference.covariance)
    trace -= 2.0 * np.sum(np.sqrt(np.maximum(product, 0.0)))
    value = float(np.sum((one.mean - reference.mean) ** 2) + trace)
    return Score(value, protocol(one, reference))


def protocol(one: FeatureStatistics, reference: FeatureStatistics) -> str:
    """The protocol of a Frechet distance: features, and both numbers of images."""
    return (
        f"Frechet distance, {one.space}, {one.n} images against {reference.n} of {reference.data}"
    )


def frechet_over_seeds(
    draw: Callable[[int], TensorLike | Iterable[TensorLike]],
    reference: FeatureStatistics,
    features: Features,
    seeds: int = 3,
) -> Score:
    """The mean Frechet distance over seeds, with its standard error.

    Args:
        draw: Function from a seed, 0 .. seeds - 1, to images or an iterable of batches, e.g.
            ``lambda seed: model.sample(1000, seed=seed)``.
        reference: Statistics of the reference set, from the same `features`.
        features: The feature space.
        seeds: Number of seeds, >= 2.

    Raises:
        ValueError: for fewer than two seeds, or where seeds give different numbers of images.

    Example:

    >>> import numpy as np
    >>> def draw(seed):
    ...     return np.random.default_rng(seed).integers(0, 256, (50, 4, 4, 3))
    >>> features = Features(lambda images: images[:, 0, 0], "corner")
    >>> score = frechet_over_seeds(draw, features.statistics(draw(9)), features)
    >>> score.error is not None
    True
    """
    check_integer("seeds", seeds, 2)
    scores = [frechet_distance(features.statistics(draw(seed)), reference) for seed in range(seeds)]
    if len({score.protocol for score in scores}) > 1:
        raise ValueError("Expected `draw` to return the same number of images for every seed.")
    values = np.array([score.value for score in scores])
    error = float(values.std(ddof=1) / np.sqrt(seeds))
    return Score(float(values.mean()), f"{scores[0].protocol}, mean of {seeds} seeds", error)
