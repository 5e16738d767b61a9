"""Missing values: their means given the others, and draws."""

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest
from numpy.testing import assert_allclose, assert_array_equal

import fastem
from fastem.families.gaussian.imputation import BLOCK_ROWS

KINDS = ("full", "tied", "diag", "spherical")
K, D = 3, 5
RNG = np.random.default_rng(0)
COMPLETE = RNG.normal(size=(300, D)) @ RNG.normal(size=(D, D)) + 4.0 * RNG.integers(0, 3, size=(300, 1))
X = np.where(RNG.random(COMPLETE.shape) < 0.4, np.nan, COMPLETE)
X[7] = np.nan


def fitted(kind="full", **settings):
    return fastem.GaussianMixture(K, covariance_type=kind, random_state=0, **settings).fit(COMPLETE)


def naive(params, row):
    """The mean of each missing value: by the textbook, with inverse matrices, one component at a time."""
    missing, found = np.isnan(row), row.copy()
    given = ~missing
    means, logs = [], []
    for c, mean in enumerate(params.means):
        covariance = params.structure.cholesky_of_components()[c]
        covariance = covariance @ covariance.T
        inner = np.linalg.inv(covariance[np.ix_(given, given)])
        residual = row[given] - mean[given]
        means.append(mean[missing] + covariance[np.ix_(missing, given)] @ inner @ residual)
        logs.append(np.log(params.weights[c]) + 0.5 * np.linalg.slogdet(inner)[1] - 0.5 * residual @ inner @ residual)
    shares = np.exp(np.array(logs) - max(logs))
    found[missing] = shares / shares.sum() @ np.array(means)
    return found


@pytest.mark.parametrize("kind", KINDS)
def test_missing_values_get_their_means_given_the_others(kind):
    mixture = fitted(kind)
    found = mixture.impute(X)
    assert_allclose(found, [naive(mixture.params_, row) for row in X], rtol=1e-9, atol=1e-9)
    assert_array_equal(found[~np.isnan(X)], X[~np.isnan(X)])
    assert_allclose(found[7], mixture.weights_ @ mixture.means_, rtol=1e-12)


@pytest.mark.parametrize("kind", KINDS)
def test_it_is_the_mean_of_the_conditional(kind):
    mixture = fitted(kind)
    for row, found in zip(X[:6], mixture.impute(X[:6]), strict=True):
        given = np.flatnonzero(~np.isnan(row))
        if 0 < len(given) < D:
            at = mixture.conditional(given, row[given])
            assert_allclose(found[np.isnan(row)], at.weights_ @ at.means_, rtol=1e-10)


def test_complete_rows_stay_as_they_are_and_nobody_writes_to_them():
    rows = COMPLETE.copy()
    found = fitted().impute(rows)
    assert_array_equal(found, rows)
    assert found is not rows
    X.flags.writeable = False
    assert not np.isnan(fitted().impute(X)).any()
    X.flags.writeable = True


def long_rows(n):
    rows = np.tile(X, (-(-n // len(X)), 1))[:n]
    rows[: BLOCK_ROWS + 5, 1:3] = np.nan  # a block with one pattern but for what is missing elsewhere
    rows[: BLOCK_ROWS + 5, [0, 3, 4]] = 0.5
    return rows


@pytest.mark.parametrize("draw", [False, True])
def test_threads_and_layouts_give_the_same_bits(draw):
    rows = long_rows(3 * BLOCK_ROWS + 17)
    found = fitted(n_threads=1).impute(rows, draw=draw)
    for other in (fitted(n_threads=3).impute(rows, draw=draw), fitted().impute(np.asfortranarray(rows), draw=draw)):
        assert_array_equal(other, found)


@pytest.mark.numba
def test_numba_agrees():
    assert_allclose(fitted(backend="numba").impute(X), fitted().impute(X), rtol=1e-10)


def test_an_offset_costs_no_digits():
    """Parameters at an offset are rounded to a unit in the last place of it, and no more than that is lost."""
    mixture = fitted()
    shifted = fastem.GaussianMixture.from_params(
        fastem.GaussianParams(mixture.weights_, mixture.means_ + 1e8, mixture.covariances_)
    )
    assert_allclose(shifted.impute(X + 1e8) - 1e8, mixture.impute(X), atol=1e-6)


def test_float32_stays_float32():
    found = fitted().impute(X.astype(np.float32))
    assert found.dtype == np.float32
    assert_allclose(found, fitted().impute(X), rtol=1e-4, atol=1e-4)


def test_draws_have_the_moments_of_what_is_missing():
    """Of 20,000 draws a standard error of a mean is 1/140 of a standard deviation; five of them are allowed."""
    mixture, row = fitted(), np.array([np.nan, 2.0, np.nan, 1.0, np.nan])
    n = 20_000
    found = mixture.impute(np.tile(row, (n, 1)), draw=True)[:, [0, 2, 4]]
    at = mixture.conditional([1, 3], [2.0, 1.0])
    mean = at.weights_ @ at.means_
    deviation = at.means_ - mean
    covariance = np.einsum(
        "k,kij->ij", at.weights_, at.covariances_ + deviation[:, :, np.newaxis] * deviation[:, np.newaxis]
    )
    sds = np.sqrt(np.diag(covariance))
    assert_allclose(found.mean(axis=0), mean, atol=5 * sds.max() / np.sqrt(n))
    assert_allclose(np.cov(found.T) / np.outer(sds, sds), covariance / np.outer(sds, sds), atol=0.06)


def test_draws_are_those_of_the_random_state():
    found = fitted().impute(X, draw=True)
    assert_array_equal(found, fitted().impute(X, draw=True))
    assert (found[np.isnan(X)] != fitted().set_params(random_state=1).impute(X, draw=True)[np.isnan(X)]).all()


def test_frames_and_tables_come_back_as_they_are():
    mixture, names = fitted(), list("abcde")
    right, few = mixture.impute(X[:20]), X[:20]
    frame = pd.DataFrame(few, columns=names, index=range(5, 25))
    fit_on_frame = fastem.GaussianMixture(K, random_state=0).fit(pd.DataFrame(COMPLETE, columns=names))
    found = fit_on_frame.impute(frame)
    pd.testing.assert_frame_equal(found, pd.DataFrame(right, columns=names, index=range(5, 25)))
    of_polars = fit_on_frame.impute(pl.DataFrame({name: few[:, j] for j, name in enumerate(names)}))
    assert isinstance(of_polars, pl.DataFrame)
    assert_array_equal(of_polars.to_numpy(), right)
    nulls = {name: pa.array(few[:, j], from_pandas=True) for j, name in enumerate(names)}
    table = fit_on_frame.impute(pa.table(nulls))
    assert table.column_names == names
    assert_array_equal(np.column_stack([column.to_numpy() for column in table.columns]), right)


def test_whole_numbers_with_nothing_for_a_number():
    found = fitted().impute([[1, None, 2, 3, None]])
    assert found.dtype == np.float64
    assert_array_equal(found[0, [0, 2, 3]], [1, 2, 3])


@pytest.mark.parametrize(
    ("rows", "sentence"),
    [
        ([[np.inf, 0, 0, 0, 0]], "X must be finite, without infinity, got inf at row 0, column 0"),
        ([[0.0, np.nan]], "X has 2 features, but GaussianMixture is expecting 5"),
        (np.empty((0, 5)), "found array with 0 sample"),
    ],
)
def test_unusable_rows_are_named(rows, sentence):
    with pytest.raises(ValueError, match=sentence):
        fitted().impute(rows)
