"""Tables of pandas and arrays of xarray: names go in, are checked, and come out."""

import numpy as np
import pytest
from helpers.one_weight import OneWeightPerValue

import keras_gud

pandas = pytest.importorskip("pandas")
xarray = pytest.importorskip("xarray")
pytestmark = pytest.mark.once

RNG = np.random.default_rng(0)
TABLE = pandas.DataFrame(
    {
        "height": RNG.normal(1.7, 0.1, 40),
        "rooms": RNG.integers(1, 6, 40),
        "garden": RNG.integers(0, 2, 40).astype(bool),
    }
)
FIELDS = xarray.Dataset(
    {
        name: (("time", "lat", "lon"), RNG.normal(size=(12, 4, 3)).astype("float32"))
        for name in ("u", "v")
    },
    coords={"lat": [10.0, 20.0, 30.0, 40.0], "lon": list("abc"), "time": np.arange(12)},
)
DAYS = xarray.DataArray(
    RNG.normal(size=(12, 5, 2)),
    dims=("run", "day", "station"),
    coords={"day": np.arange("2020-01-01", "2020-01-06", dtype="datetime64[D]").astype("M8[ns]")},
)


def fitted(x, **arguments):
    model = keras_gud.GUD(backbone=OneWeightPerValue(), seed=0)
    model.fit(x, epochs=1, batch_size=8, verbose=0, **arguments)
    return model


@pytest.mark.parametrize("loaded", [False, True])
def test_a_table_comes_out_as_it_went_in(loaded, tmp_path):
    model = fitted(TABLE, validation_split=0.25)
    if loaded:
        model.save(tmp_path / "table.keras")
        model = keras_gud.load(tmp_path / "table.keras")
    made = model.sample(6, steps=3, seed=0)
    assert list(made.columns) == list(TABLE.columns)
    assert made.dtypes.equals(TABLE.dtypes)
    assert made.rooms.between(1, 5).all()
    assert np.isfinite(model.predict(made)).all()


def test_columns_go_by_name():
    model = fitted(TABLE)
    expected = model.predict(TABLE)
    np.testing.assert_array_equal(model.predict(TABLE[["garden", "height", "rooms"]]), expected)
    np.testing.assert_array_equal(model.predict(TABLE.to_numpy("float64")), expected)
    np.testing.assert_allclose(
        model.to_noise(TABLE[["rooms", "height", "garden"]], sampler="heun", steps=2),
        model.to_noise(TABLE, sampler="heun", steps=2),
    )


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda x: x.rename(columns={"rooms": "room"}), r"without \['rooms'\].*mean 'rooms'"),
        (lambda x: x.drop(columns="rooms"), r"without \['rooms'\]"),
        (lambda x: x.assign(more=1), r"with \['more'\]"),
        (lambda x: x.assign(rooms="two"), r"'rooms' \(str\).*get_dummies"),
        (lambda x: x.assign(garden=pandas.Timestamp("2020")), r"'garden' \(datetime64"),
        (lambda x: x.assign(height=np.where(x.index == 3, np.nan, 1.7)), r"some in \['height'\]"),
        (lambda x: FIELDS, "Expected a table with columns"),
    ],
)
def test_tables_that_differ(change, said):
    model = fitted(TABLE)
    for call in (model.evaluate, model.predict, model.to_noise):
        with pytest.raises(ValueError, match=said):
            call(change(TABLE))


@pytest.mark.parametrize(
    ("table", "said"),
    [
        (TABLE.assign(city="here"), r"other columns, 'city' \(str\)"),
        (pandas.concat([TABLE, TABLE], axis=1), "names of their own"),
        (TABLE.set_axis([(1, 2), (3, 4), (5, 6)], axis=1), "strings or integers"),
    ],
)
def test_tables_that_cannot_be_fitted(table, said):
    with pytest.raises(ValueError, match=said):
        fitted(table)


def test_what_pandas_alone_has():
    x = pandas.DataFrame({0: pandas.array(RNG.integers(0, 9, 30), "Int64"), 1: RNG.normal(size=30)})
    made = fitted(x).sample(3, steps=2)
    assert made.dtypes.equals(x.dtypes)
    assert list(made.columns) == [0, 1]


@pytest.mark.parametrize(("data", "first"), [(FIELDS, "time"), (DAYS, "run")])
def test_axes_and_coordinates_come_out_as_they_went_in(data, first, tmp_path):
    model = fitted(data)
    model.save(tmp_path / "model.keras")
    made = keras_gud.load(tmp_path / "model.keras").sample(3, steps=2, seed=0)
    assert type(made) is type(data)
    expected = data.isel({first: slice(3)}).drop_vars(first, errors="ignore")
    assert made.sizes == expected.sizes
    assert made.coords.to_dataset().identical(expected.coords.to_dataset())
    np.testing.assert_allclose(
        model.predict(data.transpose(*tuple(data.dims)[::-1])), model.predict(data), rtol=1e-6
    )


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda x: x.assign_coords(lat=x.lat + 1), "coordinates of 'lat'.*from 11.0 on"),
        (lambda x: x.rename(lon="x"), r"the axes .*without \['lon'\]"),
        (lambda x: x.rename(u="w"), r"the variables .*without \['u'\]"),
        (lambda x: x.to_dataarray("variable").transpose(..., "variable"), "Expected a Dataset"),
        (lambda x: x.assign(u=x.u.astype(str)), "Expected numbers"),
        (lambda x: x.assign(u=x.u.mean("lat")), "the same axes"),
        (lambda x: TABLE, "an array of xarray"),
    ],
)
def test_arrays_that_differ(change, said):
    with pytest.raises(ValueError, match=said):
        fitted(FIELDS).evaluate(change(FIELDS))


def test_variables_are_channels():
    model = fitted(FIELDS)
    assert model.data_shape == (4, 3, 2)


def test_names_are_those_of_the_last_data_that_a_new_model_was_given():
    model = keras_gud.GUD(backbone=OneWeightPerValue())
    with pytest.raises(ValueError, match="every example is the same"):
        model.fit(TABLE.iloc[[0, 0]], verbose=0)
    model.fit(TABLE.to_numpy("float32"), batch_size=8, verbose=0)
    assert isinstance(model.sample(2, steps=2), np.ndarray)


def test_tasks_want_arrays():
    model = fitted(TABLE)
    with pytest.raises(ValueError, match="without names"):
        keras_gud.tasks.inpaint(model, TABLE, missing=np.array([True, False, False]))
