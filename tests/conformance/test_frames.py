"""GaussianMixture takes frames as scikit-learn's does."""

import warnings

import numpy as np
import pandas as pd
import polars as pl
import pytest
from sklearn.mixture import GaussianMixture as Reference
from support.drop_in import FRAMES, MATRICES, NAMES, clouds, fitted, framed

from fastem import GaussianMixture


def complaint(function, *arguments):
    """Type and text of the error, or of the first warning, that a call ends in; None if it ends in neither."""
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        try:
            function(*arguments)
        except (ValueError, TypeError, UserWarning) as error:
            return type(error), str(error)
    return None


def test_a_frame_is_fitted_and_predicted_as_its_array(make):
    X = clouds()
    frame = framed(make, X)
    by_frame, by_array = fitted(frame), fitted(X)
    for name in ("weights_", *MATRICES):
        np.testing.assert_array_equal(getattr(by_frame, name), getattr(by_array, name), err_msg=name)
    for name in ("predict", "predict_proba", "score_samples", "score", "aic", "bic"):
        np.testing.assert_array_equal(getattr(by_frame, name)(frame), getattr(by_array, name)(X), err_msg=name)
    np.testing.assert_array_equal(GaussianMixture(3, random_state=0).fit_predict(frame), by_array.predict(X))


def test_a_frame_names_the_features(make):
    mixture = fitted(framed(make, clouds()))
    assert mixture.feature_names_in_.tolist() == NAMES
    assert mixture.feature_names_in_.dtype == object
    assert mixture.n_features_in_ == 2


def test_an_array_names_no_features_and_makes_older_names_forgotten(make):
    X = clouds()
    mixture = fitted(framed(make, X))
    mixture.fit(X)
    assert not hasattr(mixture, "feature_names_in_")
    assert mixture.n_features_in_ == 2


def test_columns_without_string_names_name_no_features():
    mixture = fitted(pd.DataFrame(clouds()))
    assert not hasattr(mixture, "feature_names_in_")


def test_names_that_are_strings_and_numbers_are_refused_as_scikit_learn_does():
    frame = pd.DataFrame(clouds(), columns=["length", 1])
    found, expected = complaint(fitted, frame), complaint(Reference(3).fit, frame)
    assert found == expected
    assert expected[0] is TypeError


@pytest.mark.parametrize("method", ["predict", "predict_proba", "score_samples", "score", "bic", "aic"])
@pytest.mark.parametrize(
    "names",
    [["width", "length"], ["length", "depth"], ["length"], ["length", "width", "depth"]],
    ids=["reordered", "renamed", "one too few", "one too many"],
)
@pytest.mark.seconds
def test_other_columns_are_refused_as_scikit_learn_does(names, method, make):
    X = clouds(3)
    train, other = framed(make, X), framed(make, X, names)
    ours, theirs = fitted(train), Reference(3, random_state=0).fit(train)
    found, expected = complaint(getattr(ours, method), other), complaint(getattr(theirs, method), other)
    assert found == expected
    assert expected[0] is ValueError


def test_an_array_after_a_frame_warns_as_scikit_learn_does(make):
    X = clouds()
    mixture = fitted(framed(make, X))
    with pytest.warns(UserWarning, match="X does not have valid feature names, but GaussianMixture was fitted with"):
        labels = mixture.predict(X)
    np.testing.assert_array_equal(labels, fitted(X).predict(X))


def test_a_frame_after_an_array_warns_as_scikit_learn_does(make):
    X = clouds()
    with pytest.warns(UserWarning, match="X has feature names, but GaussianMixture was fitted without feature names"):
        fitted(X).predict(framed(make, X))


@pytest.mark.parametrize("dtype", [np.int64, np.int16, np.uint8, np.float32])
def test_frames_of_other_numbers_are_fitted_as_their_array(dtype, make):
    X = np.abs(clouds() * 10).astype(dtype)
    frame = framed(make, X)
    by_frame, by_array = fitted(frame), fitted(X)
    np.testing.assert_array_equal(by_frame.covariances_, by_array.covariances_)
    np.testing.assert_array_equal(by_frame.predict_proba(frame), by_array.predict_proba(X))
    assert by_frame.means_.dtype == (np.float32 if dtype == np.float32 else np.float64)


def test_a_frame_of_several_types_is_fitted_as_float64(make):
    X = clouds()
    whole = np.round(X[:, 0]).astype(np.int32)
    mixture = fitted(make({"length": whole, "width": X[:, 1]}))
    np.testing.assert_array_equal(mixture.means_, fitted(np.column_stack([whole, X[:, 1]])).means_)


@pytest.mark.parametrize("dtype", ["Float64", "Int64", "double[pyarrow]", "int64[pyarrow]", "object"])
def test_pandas_extension_types_are_fitted_as_their_array(dtype):
    X = np.round(clouds() * 10)
    frame = framed(pd.DataFrame, X).astype(dtype)
    np.testing.assert_array_equal(fitted(frame).covariances_, fitted(X).covariances_)


def with_a_gap(library, dtype):
    """Six rows of two columns, the second of which lacks a value."""
    whole, gap = [1, 2, 3, 11, 12, 13], [1, 2, None, 11, 12, 13]
    if library == "polars":
        kind = {"int": pl.Int64, "float": pl.Float64}[dtype]
        return pl.DataFrame({"length": pl.Series(whole, dtype=kind), "width": pl.Series(gap, dtype=kind)})
    return pd.DataFrame({"length": pd.Series(whole, dtype=dtype), "width": pd.Series(gap, dtype=dtype)})


MISSING = [
    ("pandas", "float64"),
    ("pandas", "Float64"),
    ("pandas", "Int64"),
    ("pandas", "double[pyarrow]"),
    ("pandas", "object"),
    ("polars", "float"),
    ("polars", "int"),
]


@pytest.mark.parametrize(("library", "dtype"), MISSING)
def test_a_missing_value_is_refused_by_a_value_error_that_names_x(library, dtype):
    frame = with_a_gap(library, dtype)
    with pytest.raises(ValueError, match=r"\bX\b"):
        Reference(2).fit(frame)
    with pytest.raises(ValueError, match=r"\bX\b"):
        GaussianMixture(2).fit(frame)


@pytest.mark.parametrize(("library", "dtype"), MISSING)
def test_a_missing_value_is_refused_by_predictions_too(library, dtype):
    frame = with_a_gap(library, dtype)
    complete = FRAMES[library]({name: [1.0, 2.0, 3.0, 11.0, 12.0, 13.0] for name in NAMES})
    with pytest.raises(ValueError, match=r"\bX\b"):
        GaussianMixture(2, random_state=0).fit(complete).predict(frame)


@pytest.mark.parametrize("make_column", [pd.Series, pl.Series, list])
def test_sample_weight_may_be_a_column(make_column):
    X, weights = clouds(), np.random.default_rng(1).random(600)
    mixture = GaussianMixture(3, random_state=0).fit(X, sample_weight=make_column(weights))
    expected = GaussianMixture(3, random_state=0).fit(X, sample_weight=weights)
    np.testing.assert_array_equal(mixture.means_, expected.means_)
