"""Rows of float32 are fitted as the same rows of float64 are, and what is told of them is one model."""

import dask.array as da
import numpy as np
import pytest
from support.float32_datasets import disagreements, float32_world

import fastem
from fastem import BinomialMixture, GaussianMixture, GaussianParams
from fastem.estimators.model import is_coarse
from fastem.families.gaussian.rounding import SPREAD

LINE = np.random.default_rng(0).normal(size=2000) * 1000


def beside_a_line(noise):
    """Two columns that are equal but for `noise`, of standard deviation 1,000."""
    return np.c_[LINE, LINE + noise * np.random.default_rng(1).normal(size=len(LINE))].astype(np.float32)


def two_lines():
    """Two groups, 5,000 apart along a line and 0.5 across it, where they have standard deviations of 1,000 and 0.1."""
    rng, shift = np.random.default_rng(0), np.arange(4000) < 2000
    x = rng.normal(size=4000) * 1000 + 5000 * shift
    return np.c_[x, x + rng.normal(size=4000) * 0.1 + 0.5 * shift].astype(np.float32)


@pytest.mark.parametrize("block", range(10))
@pytest.mark.slow
def test_fits_of_float32_worlds_agree_with_those_of_float64(block):
    """Fresh seeds by the thousand are tried by bench/float32.py."""
    wrong = {seed: disagreements(float32_world(seed, 5e3)) for seed in range(20 * block, 20 * block + 20)}
    assert {seed: names for seed, names in wrong.items() if names} == {}


SETTINGS = {
    "prior": {"prior": fastem.GaussianPrior(concentration=2.0)},
    "starts": {"n_init": 3},
    "fixed weights": {"fixed": ("weights",)},
    "three iterations": {"max_iter": 3},
    "ordered": {"order_by": "means"},
    "accelerated": {"stopping": "aitken", "acceleration": "anderson"},
}


@pytest.mark.parametrize("name", [pytest.param("numba", marks=pytest.mark.numba), *SETTINGS])
@pytest.mark.slow
def test_they_agree_whatever_the_settings(name):
    settings = {"backend": "numba"} if name == "numba" else SETTINGS[name]
    wrong = {seed: disagreements(float32_world(seed, 2e3), **settings) for seed in range(300, 315)}
    assert {seed: names for seed, names in wrong.items() if names} == {}


@pytest.mark.parametrize("noise", [1.0, 0.3, 0.1, 0.03])
def test_one_component_of_correlated_columns_has_its_closed_form(noise, twin):
    X = beside_a_line(noise)
    covariance = np.cov(X.astype(np.float64).T, bias=True)
    expected = -0.5 * (2 * np.log(2 * np.pi) + np.linalg.slogdet(covariance)[1] + 2) * len(X)
    for fit in (
        GaussianMixture(1, reg_covar=0.0, backend=twin).fit(X),
        GaussianMixture(1, reg_covar=0.0, backend=twin).fit(chunks=[X[:999], X[999:]]),
        GaussianMixture(1, reg_covar=0.0, backend=twin).fit(da.from_array(X, chunks=(700, 2))),
    ):
        assert fit.loglik_ == pytest.approx(expected, rel=1e-6)
        assert fit.bic(X) == pytest.approx(fit.bic_, rel=1e-9)


@pytest.mark.parametrize("noise", [1e-1, 1e-2, 1e-3, 3e-4, 1e-4])
def test_an_m_step_of_float32_rows_keeps_the_least_variance(noise):
    """Sums in float32 are good to 5e-6 of the largest; where that is a share of the least, they are in float64."""
    rng = np.random.default_rng(0)
    truth = np.array([[1.0, 1.0], [1.0, 1.0 + noise**2]])
    X = rng.multivariate_normal(np.zeros(2), truth, size=20_000).astype(np.float32)
    at = GaussianParams(np.ones(1), np.zeros((1, 2)), truth[np.newaxis])
    found = fastem.accumulate(at, X).maximize(reg_covar=0.0).covariances[0]
    expected = np.linalg.eigvalsh(np.cov(X.astype(np.float64).T, bias=True))
    np.testing.assert_allclose(np.linalg.eigvalsh(found), expected, rtol=1e-3)


def test_parameters_that_float32_cannot_hold_are_float64(twin):
    X = two_lines()
    narrow, wide = (GaussianMixture(2, random_state=0, backend=twin).fit(rows) for rows in (X, X.astype(np.float64)))
    assert narrow.covariances_.dtype == narrow.means_.dtype == np.float64
    assert (np.linalg.eigvalsh(narrow.covariances_) > 0).all()
    np.testing.assert_array_equal(narrow.predict(X), wide.predict(X))
    assert narrow.score(X) == pytest.approx(wide.score(X.astype(np.float64)), rel=1e-6)  # a mean of float32
    assert narrow.predict_proba(X).dtype == np.float32  # predictions are told in the precision of the rows
    again = GaussianMixture(2, warm_start=True, random_state=0, backend=twin).fit(X)
    reached = again.loglik_
    assert again.fit(X).history_.loglik[0] == pytest.approx(reached, rel=1e-9)


def test_means_far_from_zero_are_float64():
    X = (1e6 + np.random.default_rng(0).normal(size=(5000, 2))).astype(np.float32)
    mixture = GaussianMixture(1).fit(X)
    assert mixture.means_.dtype == np.float64
    assert mixture.bic(X) == pytest.approx(mixture.bic_, rel=1e-12)


def test_what_float32_holds_stays_float32_and_is_the_model_that_is_told():
    X = np.random.default_rng(0).normal(size=(5000, 3)).astype(np.float32)
    mixture = GaussianMixture(2, random_state=0, max_iter=500).fit(X)
    assert mixture.means_.dtype == mixture.covariances_.dtype == np.float32
    sums = fastem.accumulate(mixture.params_, X, dtype=np.float64)
    assert mixture.loglik_ == pytest.approx(sums.loglik, rel=1e-14)
    assert mixture.entropy_ == pytest.approx(sums.entropy, rel=1e-12)


def test_partial_fits_tell_what_float32_can_hold():
    for X, dtype in ((two_lines(), np.float64), (np.random.default_rng(0).normal(size=(999, 2)), np.float32)):
        mixture = GaussianMixture(2, random_state=0).partial_fit(X.astype(np.float32))
        assert mixture.covariances_.dtype == dtype
        mixture.params_.check()


def test_probabilities_of_float32_counts_are_float64(twin):
    """Two failures in 1e8 trials: to float32 that is a probability of 1, at which they have no density."""
    x = np.full(100_000, 1000)
    x[:2] -= 1
    expected = BinomialMixture(1, backend=twin).fit(x, trials=1000)
    mixture = BinomialMixture(1, backend=twin).fit(x.astype(np.float32), trials=1000)
    assert mixture.probs_.dtype == np.float64
    assert mixture.probs_.item() == 1 - 2e-8
    assert mixture.loglik_ == pytest.approx(expected.loglik_, rel=1e-12)
    assert mixture.bic(x.astype(np.float32), trials=1000) == pytest.approx(mixture.bic_, rel=1e-9)


def test_criteria_of_millions_of_float32_rows_are_those_of_float64():
    X = (np.random.default_rng(0).normal(size=(2_000_000, 1)) * 1e6).astype(np.float32)
    narrow, wide = (GaussianMixture(1).fit(rows) for rows in (X, X.astype(np.float64)))
    assert narrow.bic_ == pytest.approx(wide.bic_, abs=1e-3)  # of 6e7; float32 sums were off by 5
    assert narrow.bic(X) == pytest.approx(wide.bic_, abs=1e-3)
    lazy = da.from_array(X, chunks=(300_000, 1))
    assert float(narrow.score(lazy)) == pytest.approx(narrow.loglik_ / len(X), rel=1e-12)


def test_the_bound_of_rounding_knows_the_arithmetic(twin):
    """Sums that were float32 in a tile are off by more than those of float64, also in a sum with such."""
    X = np.random.default_rng(0).normal(size=(5000, 3)).astype(np.float32)
    params = GaussianParams(np.ones(1), np.zeros((1, 3)), np.eye(3)[np.newaxis])
    narrow, wide = (fastem.accumulate(params, X, dtype=dtype, backend=twin) for dtype in (None, np.float64))
    assert narrow.single == (twin == "cython")
    assert not wide.single
    assert (narrow + wide).single == (narrow * 2.0).single == narrow.about(params).single == narrow.single
    assert abs(narrow.loglik - wide.loglik) <= narrow.rounding + wide.rounding
    assert wide.rounding < 1e-9 * abs(wide.loglik)


@pytest.mark.parametrize("d", [2, 8, 32])
def test_where_float32_is_taken_the_least_variance_is_that_of_float64(d):
    """Correlations near the limit: what sums in float32 lose has any sign, 1e-3 is for the case that it had one."""
    rng = np.random.default_rng(d)
    axes = np.linalg.qr(rng.normal(size=(d, d)))[0]
    least = 1.0 / SPREAD**2  # no row of L times the standard deviations is longer than SPREAD
    at = GaussianParams(np.ones(1), np.zeros((1, d)), ((axes * np.geomspace(1.0, least, d)) @ axes.T)[np.newaxis])
    assert at.float32_is_sufficient(at.tables())
    X = rng.multivariate_normal(np.zeros(d), at.covariances[0], size=20_000).astype(np.float32)
    found, expected = (fastem.accumulate(at, X, dtype=dtype).maximize(reg_covar=0.0) for dtype in (None, np.float64))
    whitened = expected.precision_factors()[0] @ found.covariances[0] @ expected.precision_factors()[0].T
    np.testing.assert_allclose(np.linalg.eigvalsh(whitened), 1.0, atol=1e-5)


@pytest.mark.parametrize(
    ("settings", "coarse"),
    [
        ({}, True),
        ({"tol": 1e-5}, False),
        ({"tol": 1e-5, "stopping": "loglik"}, True),
        ({"tol": 1e-7, "stopping": "loglik"}, False),
        ({"stopping": "gradient"}, False),
    ],
)
def test_stop_rules_that_float32_can_tell(settings, coarse):
    """By default it stops where a hundredth of tol is left to gain, by the last iterations."""
    assert is_coarse(GaussianMixture(2, **settings)) == coarse
