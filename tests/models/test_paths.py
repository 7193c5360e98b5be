"""One network follows every path: `schedule=` wherever a model is used."""

import warnings

import numpy as np
import pytest
from helpers.one_weight import OneWeightPerValue
from keras import ops

import keras_gud
from keras_gud import presets, schedules, tasks

RNG = np.random.default_rng(0)
SHAPE = (4, 4, 1)
X = RNG.normal(size=(512, 16))
X = X - X.mean(axis=0)
# Uncorrelated and of equal variance in every basis.
X = np.linalg.solve(np.linalg.cholesky(np.cov(X.T)), X.T).T.reshape(-1, *SHAPE).astype("float32")
NAMES = ("columns", "rows", "hierarchical", "blurring")


def make(x=X, **arguments):
    """Independent Gaussians, whose exact denoiser is linear and need not be trained."""
    parts = {
        "schedule": "cosine",
        "prediction": "wiener",
        "backbone": OneWeightPerValue(),
        "seed": 0,
    }
    model = keras_gud.GUD(**(parts | arguments))
    model.adapt(x, verbose=0)
    return model


@pytest.fixture(scope="module")
def served():
    return make(region=list(NAMES))


@pytest.fixture
def no_warning():
    with warnings.catch_warnings():
        warnings.simplefilter("error", UserWarning)
        yield


def log_density(model, x):
    """Of the Gaussian that the model knows: independent values of measured mean and variance."""
    mean, variance = x.mean(axis=0), np.asarray(ops.convert_to_numpy(model.prior.variance))
    scaling = model.data_space.scaling
    variance = variance * scaling.scale**2
    terms = (x - mean) ** 2 / variance + np.log(2 * np.pi * variance)
    return -0.5 * terms.sum(axis=(1, 2, 3))


def test_the_paths_of_a_model(served):
    text = [str(path) for path in served.paths]
    assert text[0] == "Cosine() in Pixel components"
    assert text[1] == "Sequential(b=0.5) in Pixel components"
    assert text[3] == "Hierarchical(a=0.5, b=0.5) in Haar components"
    assert text[4] == "Blurring() in DCT components"


@pytest.mark.usefixtures("no_warning")
@pytest.mark.parametrize("name", [*NAMES, "cosine", schedules.Sequential(b=0.5, over="row")])
def test_every_trained_path_is_followed(served, name):
    assert served.path(name).distance < 1e-3
    samples = served.sample(256, schedule=name, steps=100, seed=0)
    assert samples.shape == (256, *SHAPE)
    np.testing.assert_allclose(samples.std(), X.std(), rtol=0.05)
    terms = served.log_prob(X[:4], schedule=name)
    np.testing.assert_allclose(terms["log_prob"], log_density(served, X)[:4], atol=0.05)
    noise = served.to_noise(X[:4], schedule=name)
    np.testing.assert_allclose(served.from_noise(noise, schedule=name), X[:4], atol=0.01)


@pytest.mark.once
@pytest.mark.usefixtures("no_warning")
def test_the_bound_of_exact_models_is_the_same_on_every_path(served):
    exact = -log_density(served, X) / (X[0].size * np.log(2))
    for name in NAMES:
        gap = served.elbo(X, draws=64, schedule=name)["bits_per_dim"] - exact
        error = gap.std() / np.sqrt(len(X))
        assert error < 0.1
        assert abs(gap.mean()) < 4.0 * error


def test_paths_beside_the_trained_ones():
    model = make(schedule=schedules.Sequential(b=(0.2, 0.8)))
    with warnings.catch_warnings():
        warnings.simplefilter("error", UserWarning)
        model.sample(1, schedule=schedules.Sequential(b=0.37), steps=2)
        model.sample(1, schedule="columns", b=0.7, steps=2)
    assert model.path(schedules.Sequential(b=0.37)).distance < 0.5
    said = r"most of all at t=0\.\d+, leaves .* nearest trained state is \d\.\d away in gamma"
    with pytest.warns(UserWarning, match=said):
        model.sample(1, schedule="rows", steps=2)
    with pytest.warns(UserWarning, match=said):
        model.elbo(X[:2], schedule="rows", draws=1)
    with pytest.warns(UserWarning, match=said):
        model.log_prob(X[:2], schedule="rows")
    path = model.path("rows")
    assert path.distance > 3.0
    assert 0.0 < path.time < 1.0
    assert f"{path.distance:.2g} in gamma from the trained states" in str(path)


@pytest.mark.once
def test_estimates_along_another_path(served):
    view = served.view_along("hierarchical")
    state = view.schedule(0.5)
    z = RNG.normal(size=(3, *SHAPE)).astype("float32")
    x = ops.convert_to_numpy(view.basis.inverse(view.prior.inverse(z)))
    variance = view.prior.variance
    z0 = ops.convert_to_numpy(state.alpha * variance / state.marginal_variance(variance)) * z
    expected = ops.convert_to_numpy(view.basis.inverse(view.prior.inverse(z0)))
    found = ops.convert_to_numpy(served.denoise(x, state, schedule="hierarchical"))
    np.testing.assert_allclose(found, expected, atol=0.05)


@pytest.mark.parametrize("schedule", ["cosine", "hierarchical"])
def test_the_score_is_the_gradient_of_the_log_density(schedule):
    """Paper eq. 23: of Gaussians whose variances differ, from pixel to pixel and band to band."""
    basis = "pixel" if schedule == "cosine" else "haar"
    model = make(
        X * np.linspace(0.5, 2.0, 16).reshape(SHAPE),
        basis=basis,
        schedule=schedule,
        prior="matching",
    )
    state = model.schedule(0.4)
    spread = state.marginal_variance(model.prior.variance) * model.prior.scale**2
    spread = np.broadcast_to(ops.convert_to_numpy(spread), (1, *SHAPE))
    unit = np.eye(16, dtype="float32").reshape(16, *SHAPE)
    u = ops.convert_to_numpy(model.basis(unit)).reshape(16, 16)  # its rows are U's columns
    precision = u @ np.diag(1.0 / spread.ravel()) @ u.T
    x = RNG.normal(size=(3, *SHAPE)).astype("float32")
    mean = ops.convert_to_numpy(model.basis.inverse(model.prior.mean[None]))
    expected = -(x - mean).reshape(3, 16) @ precision
    found = ops.convert_to_numpy(model.score(x, state)).reshape(3, 16)
    np.testing.assert_allclose(found, expected, rtol=1e-3, atol=1e-4)
    in_components = ops.convert_to_numpy(model.score(x, state, components=True)).reshape(3, 16)
    scale = np.broadcast_to(ops.convert_to_numpy(model.prior.scale), SHAPE).ravel()
    np.testing.assert_allclose(in_components, found @ u * scale, rtol=1e-3, atol=1e-4)


@pytest.mark.once
def test_tasks_take_a_schedule(served):
    missing = np.zeros(SHAPE, bool)
    missing[:, 2:] = True
    with pytest.warns(UserWarning, match="nearest trained state"):
        filled = tasks.inpaint(served, X[0], missing, schedule="columns", steps=4, seed=0)
    np.testing.assert_array_equal(filled[0][~missing], X[0][~missing])
    noised = tasks.noised(served, X[:2], 0.5, schedule="rows")
    drawn = tasks.complete(served, noised, 0.5, schedule="rows", steps=4)
    assert drawn.shape == (2, 1, *SHAPE)
    path = schedules.Sequential(b=0.75)
    with pytest.warns(UserWarning, match="nearest trained state"):
        block = next(tasks.extend(served, schedule=path, steps=4, seed=0))
    assert block.shape[-3] == SHAPE[0]


@pytest.mark.once
def test_presets_name_paths(served):
    assert served.path(presets.blurring()).schedule == "Blurring"
    assert served.path("haar_columns").basis == "Haar"


@pytest.mark.once
def test_a_path_is_adapted_once_and_again_to_other_data():
    model = make()
    kept = model.view_along("linear")
    assert model.view_along("linear") is kept
    model.adapt(np.concatenate([X, 2.0 * X[:, ::-1] * np.arange(4).reshape(4, 1, 1)]), verbose=0)
    assert model.view_along("linear") is not kept


@pytest.mark.once
@pytest.mark.parametrize(
    ("schedule", "said"),
    [
        ("colums", "Did you mean 'columns'"),
        ("hierarchical", 'basis="haar"'),
        (schedules.Sequential(over="frequency"), "coordinate of the basis"),
        (schedules.Sequential(b=0.0, gamma_max=90.0), "where float32 holds"),
        (3, "Expected `schedule`"),
    ],
)
def test_schedules_that_cannot_be_followed(schedule, said):
    with pytest.raises((ValueError, TypeError), match=said):
        make().sample(1, schedule=schedule)


@pytest.mark.once
def test_schedules_of_other_data():
    other = schedules.get("linear")
    other.adapt(np.linspace(0.1, 3.0, 16).reshape(SHAPE))
    with pytest.raises(ValueError, match="adapted to others: gamma differs by"):
        make().sample(1, schedule=other)
    smaller = schedules.get("columns")
    smaller.adapt(
        np.ones((3, 3, 1)), coordinates={"column": np.ones((3, 3, 1)) * np.arange(3)[:, None]}
    )
    with pytest.raises(ValueError, match=r"4 groups\. Received: Sequential, adapted to 3"):
        make().sample(1, schedule=smaller)


@pytest.mark.once
def test_regions_by_name():
    model = make(
        region=["columns", presets.blurring(), schedules.Sequential(over="row"), "inpaint"]
    )
    assert [path.schedule for path in model.paths] == ["Cosine", "Sequential", "Blurring"] + [
        "Sequential"
    ] * 2
    assert model.paths[2].basis == "DCT"
    with pytest.raises(ValueError, match=r"of the schedules .*Did you mean 'columns'"):
        make(region=["colums"])
