"""The estimator of tables in scikit-learn's own tools."""

import pickle

import numpy as np
import pytest
from helpers.one_weight import OneWeightPerValue

base = pytest.importorskip("sklearn.base")
exceptions = pytest.importorskip("sklearn.exceptions")
selection = pytest.importorskip("sklearn.model_selection")
pipelines = pytest.importorskip("sklearn.pipeline")
preprocessing = pytest.importorskip("sklearn.preprocessing")
pandas = pytest.importorskip("pandas")
scikit_learn = pytest.importorskip("keras_gud.scikit_learn")

pytestmark = pytest.mark.once
X = np.random.default_rng(0).normal([0.0, 5.0, 9.0], [1.0, 2.0, 0.1], (48, 3))


def density(**arguments):
    arguments = {"epochs": 1, "batch_size": 16, "random_state": 3} | arguments
    return scikit_learn.GUDDensity(backbone=OneWeightPerValue(), **arguments)


def test_it_fits_samples_and_scores():
    fitted = density().fit(X)
    samples = fitted.sample(20)
    assert samples.shape == (20, 3)
    assert (np.abs(samples.mean(0) - X.mean(0)) < 3 * X.std(0)).all()
    np.testing.assert_array_equal(samples, fitted.sample(20))
    assert not np.array_equal(samples, fitted.sample(20, random_state=4))
    likely, far = fitted.score_samples(X[:2]), fitted.score_samples(X[:2] + 8 * X.std(0))
    assert (likely > far).all()
    assert fitted.score(X[:2]) == pytest.approx(likely.mean())


def test_in_a_pipeline_with_names_of_columns():
    frame = pandas.DataFrame(X, columns=["a", "b", "c"])
    pipeline = pipelines.make_pipeline(
        preprocessing.MinMaxScaler().set_output(transform="pandas"), density()
    ).fit(frame)
    last = pipeline[-1]
    assert list(last.feature_names_in_) == list(frame.columns)
    made = pipeline[:-1].inverse_transform(last.sample(30))
    assert (np.abs(np.mean(made, axis=0) - X.mean(0)) < 3 * X.std(0)).all()
    assert pipeline.score_samples(frame[:2]).shape == (2,)
    with pytest.raises(ValueError, match="feature names should match"):
        pipeline.score_samples(frame.rename(columns={"a": "z"})[:2])
    with pytest.raises(ValueError, match=r"without \['a'\]"):
        last.score_samples(frame.rename(columns={"a": "z"})[:2])


def test_it_is_cloned_searched_and_pickled():
    fitted = density().fit(X)
    assert base.clone(fitted).get_params()["random_state"] == 3
    assert not fitted.backbone.built  # each fit trains a network of its own
    again = pickle.loads(pickle.dumps(fitted))
    np.testing.assert_allclose(again.sample(4), fitted.sample(4), rtol=1e-6)
    once = [(np.arange(16), np.arange(16, 24))]
    search = selection.GridSearchCV(
        density(), {"basis": ["pixel", "pca"]}, cv=once, refit=False
    ).fit(X)
    assert np.isfinite(search.cv_results_["mean_test_score"]).all()


def test_what_is_no_table():
    with pytest.raises(ValueError, match=r"reshape\(-1, 1\)"):
        density().fit(X[:, 0])
    with pytest.raises(ValueError, match=r"'city' \(str\)"):
        density().fit(pandas.DataFrame({"city": ["a", "b"], "x": [1.0, 2.0]}))
    with pytest.raises(exceptions.NotFittedError):
        density().sample()


def test_options_are_those_of_the_model():
    fitted = density(options={"prediction": "eps"}).fit(X.tolist())
    assert fitted.model_.objective.prediction == "eps"
    with pytest.raises(ValueError, match="an argument of `GUD`"):
        density(options={"rooms": 1}).fit(X)
