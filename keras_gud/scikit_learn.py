"""A density of tables that scikit-learn's tools can use; not imported with the package."""

from typing import Any

import numpy as np

from keras_gud.core import optional
from keras_gud.models.gud import GUD

try:
    from sklearn.base import BaseEstimator, DensityMixin
    from sklearn.utils.validation import check_is_fitted
except ImportError as error:
    raise optional.missing("scikit-learn", "its estimators", "tables") from error

__all__ = ["GUDDensity"]


class GUDDensity(DensityMixin, BaseEstimator):
    """A `GUD` of a table, with the methods of scikit-learn's densities.

    At the end of a `Pipeline` it is given what the steps before it make: ``pipeline.score_samples``
    is of transformed data, and samples in the table's own units are
    ``pipeline[:-1].inverse_transform(pipeline[-1].sample(n))``. The model measures means and scales
    itself, so that a `StandardScaler` is not needed.

    Args:
        basis: As in `GUD`.
        prior: As in `GUD`.
        schedule: As in `GUD`.
        backbone: As in `GUD`.
        epochs: Passes over the table in `fit`.
        batch_size: Rows per step.
        random_state: Seed of training, and of `sample` where that is given none; `None` draws one.
        options: Further arguments of `GUD`, a dict.

    Attributes:
        model_: The trained `GUD`.
        n_features_in_: Number of columns.
        feature_names_in_: Names of the columns, of a `pandas.DataFrame`.

    Example:

    >>> table = np.random.default_rng(0).normal(size=(64, 3))
    >>> density = GUDDensity(backbone="tiny", epochs=1, random_state=0).fit(table)
    >>> density.sample(5).shape, density.score_samples(table[:2]).shape
    ((5, 3), (2,))
    """

    def __init__(
        self,
        basis: Any = "pixel",
        prior: Any = "isotropic",
        schedule: Any = "cosine",
        backbone: Any = "small",
        epochs: int = 20,
        batch_size: int = 128,
        random_state: int | None = None,
        options: dict[str, Any] | None = None,
    ) -> None:
        self.basis, self.prior, self.schedule = basis, prior, schedule
        self.backbone, self.epochs, self.batch_size = backbone, epochs, batch_size
        self.random_state, self.options = random_state, options

    def fit(self, X: Any, y: Any = None) -> "GUDDensity":
        """Trains a new model.

        Args:
            X: Table ``(n, features)`` of numbers: an array, nested lists or a `pandas.DataFrame`.
            y: Ignored; it is there for pipelines.

        Returns:
            The estimator itself.

        Raises:
            ValueError: for what is no table of finite numbers; text columns are named.
        """
        X = _table(X)
        parts = map(_fresh, (self.basis, self.prior, self.schedule, self.backbone))
        self.model_ = GUD(*parts, seed=self.random_state, **(self.options or {}))
        self.model_.fit(X, epochs=self.epochs, batch_size=self.batch_size, verbose=0)
        self.n_features_in_ = X.shape[1]
        self.__dict__.pop("feature_names_in_", None)
        if hasattr(X, "columns"):
            self.feature_names_in_ = np.asarray(X.columns, dtype=object)
        return self

    def sample(self, n_samples: int = 1, random_state: int | None = None) -> Any:
        """Draws new rows.

        Args:
            n_samples: Their number.
            random_state: Seed; default: that of the estimator.

        Returns:
            Array ``(n_samples, features)``, or a `pandas.DataFrame` with the table's columns.
        """
        check_is_fitted(self)
        seed = self.random_state if random_state is None else random_state
        return self.model_.sample(n_samples, seed=seed)

    def score_samples(self, X: Any) -> np.ndarray:
        """Log density of every row in nats, by the probability flow (`GUDModel.log_prob`).

        Args:
            X: Table with the columns that the model was fitted to.

        Returns:
            float array ``(n,)``.

        Raises:
            ValueError: for other columns.
        """
        check_is_fitted(self)
        return self.model_.log_prob(_table(X), batch_size=self.batch_size)["log_prob"]

    def score(self, X: Any, y: Any = None) -> float:
        """Mean of `score_samples`, for searches over parameters; y is ignored."""
        return float(np.mean(self.score_samples(X)))


def _fresh(part: Any) -> Any:
    """A part as it was before it was fitted: an estimator leaves its arguments as they are."""
    return type(part).from_config(part.get_config()) if hasattr(part, "get_config") else part


def _table(X: Any) -> Any:
    """Nested lists as an array; a table as it is.

    Raises:
        ValueError: for anything without rows and columns.
    """
    X = X if hasattr(X, "columns") else np.asarray(X)
    if X.ndim != 2:
        raise ValueError(
            f"Expected a table, (rows, columns). Received: X of shape {X.shape}. Of one column: "
            "X.reshape(-1, 1)."
        )
    return X
