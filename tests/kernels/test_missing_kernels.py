"""The kernels of rows of which values are missing, against naive and SciPy, on both twins; bits and laws."""

from functools import cache

import numpy as np
import pytest
from scipy.stats import multivariate_normal
from support import naive
from support.sweeps import KINDS, reduce_second_moments

from fastem import GaussianParams, PoissonParams, accumulate
from fastem import posterior as posterior_of
from fastem.data.open import open_rows
from fastem.data.slots import SLOT_ROWS

RTOL = 1e-12  # sums of a thousand terms, each good to a few units in the last place, compared with another order
SHAPES = [(700, 8, 3, 0.1), (300, 1, 2, 0.3), (500, 3, 2, 0.5), (400, 70, 2, 0.1), (137, 12, 4, 0.9), (400, 11, 1, 0.3)]
"""Rows, features, components, and the share of values that are missing: with 70 features a mask has two words."""
shapes = pytest.mark.parametrize("shape", SHAPES, ids=lambda shape: "x".join(map(str, shape)))
kinds = pytest.mark.parametrize("kind", KINDS)


@cache
def world(shape, kind):
    """Parameters, and rows with gaps of which the first has no value."""
    n, d, k, share = shape
    rng = np.random.default_rng(d)
    A = rng.standard_normal((k, d, d))
    weights, means = rng.dirichlet(np.ones(k)), 2 * rng.standard_normal((k, d))
    covariances = naive.reduce_covariances(A @ A.mT + 0.3 * np.eye(d), weights, kind)
    X = means[rng.integers(k, size=n)] + 2 * rng.standard_normal((n, d))
    X[rng.random((n, d)) < share] = np.nan
    X[0] = np.nan
    return GaussianParams(weights, means, covariances, kind), X


def matrices(params):
    return naive.expand_covariances(params.covariances, params.covariance_type, *params.means.shape)


def close(found, expected, rtol=RTOL):
    np.testing.assert_allclose(found, expected, rtol=rtol, atol=rtol * (np.abs(expected).max() + 1))


def sweep(params, X, twin="auto", sample_weight=None, n_threads=None):
    return accumulate(params, X, sample_weight=sample_weight, missing="marginalize", backend=twin, n_threads=n_threads)


def posterior(params, X, twin="auto"):
    return posterior_of(params, X, missing="marginalize", backend=twin)


def assert_same_bits(a, b):
    assert (a.loglik, a.entropy) == (b.loglik, b.entropy)
    for name in ("counts", "first", "second"):
        np.testing.assert_array_equal(getattr(a, name), getattr(b, name))


# -------------------------------------------------------------------------------------------------- right values


@pytest.mark.parametrize("weighted", [False, True], ids=["unit", "weighted"])
@kinds
@shapes
def test_sums_agree_with_naive(shape, kind, weighted, twin):
    params, X = world(shape, kind)
    w = np.random.default_rng(5).gamma(1.0, size=len(X)) if weighted else None
    stats = sweep(params, X, twin, w)
    w = np.ones(len(X)) if w is None else w
    counts, first, second, loglik, entropy = naive.normal_sums_missing(
        X, w, params.weights, params.means, matrices(params)
    )
    close(stats.counts, counts)
    close(stats.first, first)
    close(stats.second, reduce_second_moments(second, params.covariance_type))
    close(stats.loglik, loglik)
    close(stats.entropy, entropy)


@kinds
@shapes
def test_densities_are_marginal_ones_of_scipy(shape, kind, twin):
    params, X = world(shape, kind)
    log_prob = np.zeros((len(X), len(params.weights)))
    for i, o in enumerate(~np.isnan(X)):
        for c, covariance in enumerate(matrices(params) if o.any() else ()):
            marginal = multivariate_normal(params.means[c, o], covariance[np.ix_(o, o)], allow_singular=False)
            log_prob[i, c] = marginal.logpdf(X[i, o])
    expected, resp = naive.posterior(log_prob, params.weights)
    found = posterior(params, X, twin)
    close(found.log_prob, expected)
    close(found.resp, resp)
    assert (resp[np.arange(len(X)), found.labels] >= resp.max(axis=1) - 1e-12).all()


def test_a_row_without_any_value_is_one_of_the_weights(twin):
    params, X = world(SHAPES[0], "full")
    found = posterior(params, X, twin)
    assert abs(found.log_prob[0]) < 1e-14
    close(found.resp[0], params.weights)
    assert found.labels[0] == params.weights.argmax()


@pytest.mark.parametrize("d", [1, 5])
def test_poisson_sums_agree_with_naive(d, twin):
    rng = np.random.default_rng(d)
    params = PoissonParams(rng.dirichlet(np.ones(3)), rng.gamma(2.0, 4.0, size=(3, d)))
    X = rng.poisson(params.rates[rng.integers(3, size=500)]).astype(float)
    X[rng.random(X.shape) < 0.3] = np.nan
    w = rng.gamma(1.0, size=500)
    stats, found = sweep(params, X, twin, w), posterior(params, X, twin)
    counts, events, loglik, entropy = naive.poisson_sums_missing(X, w, params.weights, params.rates)
    close(stats.counts, counts)
    close(stats.events, events)
    close(stats.loglik, loglik)
    close(stats.entropy, entropy)
    log_prob, resp = naive.posterior(naive.poisson_log_density_missing(X, params.rates), params.weights)
    close(found.log_prob, log_prob)
    close(found.resp, resp)


def test_a_rate_of_zero_expects_no_event(twin):
    params = PoissonParams(np.array([0.5, 0.5]), np.array([[0.0, 3.0], [2.0, 1.0]]))
    stats = sweep(params, [[np.nan, 3.0], [0.0, np.nan]], twin)
    assert np.isfinite(stats.loglik)
    assert stats.events[0, 0] == 0.0


# ------------------------------------------------------------------------------------------------ laws of the sums


@kinds
def test_bits_do_not_depend_on_threads(kind, twin):
    params, _ = world(SHAPES[0], kind)
    rng = np.random.default_rng(1)
    X = rng.standard_normal((5 * SLOT_ROWS + 11, 8))
    X[rng.random(X.shape) < 0.1] = np.nan
    one = sweep(params, X, twin, n_threads=1)
    for threads in (2, 3, 7):
        assert_same_bits(sweep(params, X, twin, n_threads=threads), one)


@kinds
def test_rows_that_lack_nothing_have_the_bits_of_complete_ones(kind, twin):
    params, X = world(SHAPES[0], kind)
    X = np.nan_to_num(X)
    assert_same_bits(sweep(params, X, twin), accumulate(params, X, backend=twin))


@kinds
def test_complete_rows_among_others_have_the_sums_of_complete_ones(kind, twin):
    params, X = world(SHAPES[0], kind)
    complete = X[~np.isnan(X).any(axis=1)]
    lacking = np.concatenate([complete, np.full((1, 8), np.nan)])  # a row of weight 0
    stats, expected = sweep(params, lacking, twin), accumulate(params, complete, backend=twin)
    for name in ("counts", "first", "second", "loglik", "entropy"):
        close(getattr(stats, name), getattr(expected, name))


@kinds
def test_parts_add_up_and_order_does_not_matter(kind):
    params, X = world(SHAPES[2], kind)
    whole, parts = sweep(params, X), sweep(params, X[:123]) + sweep(params, X[123:])
    shuffled = sweep(params, np.random.default_rng(0).permutation(X))
    for name in ("counts", "first", "second", "loglik", "entropy"):
        close(getattr(parts, name), getattr(whole, name))
        close(getattr(shuffled, name), getattr(whole, name))


@kinds
def test_permuted_columns_have_permuted_sums(kind):
    params, X = world(SHAPES[0], kind)
    order = np.random.default_rng(3).permutation(8)
    covariances = params.covariances
    if params.is_matrix:
        covariances = covariances[..., order, :][..., order]
    elif kind == "diag":
        covariances = covariances[:, order]
    moved = sweep(GaussianParams(params.weights, params.means[:, order], covariances, kind), X[:, order])
    stats = sweep(params, X)
    close(moved.first, stats.first[:, order])
    second = stats.second[..., order]
    close(moved.second, second[..., order, :] if params.is_matrix else second)
    close(moved.loglik, stats.loglik)


def test_strides_and_float32_are_read_as_they_are(twin):
    params, X = world(SHAPES[0], "full")
    wide = np.zeros((len(X), 20))
    wide[:, 3:19:2] = X
    assert_same_bits(sweep(params, wide[:, 3:19:2], twin), sweep(params, X, twin))
    rounded = X.astype(np.float32)
    assert_same_bits(sweep(params, rounded, twin), sweep(params, rounded.astype(np.float64), twin))


def test_more_patterns_than_are_kept_have_the_sums_of_naive():
    rng = np.random.default_rng(0)
    params = GaussianParams(np.array([0.4, 0.6]), rng.standard_normal((2, 13)), np.stack([np.eye(13) + 0.5] * 2))
    X = rng.standard_normal((3 * SLOT_ROWS, 13))
    X[rng.random(X.shape) < 0.5] = np.nan
    stats = sweep(params, X, n_threads=1)
    some = [sweep(params, X[begin : begin + 512]) for begin in range(0, len(X), 512)]
    close(stats.second, sum(some[1:], start=some[0]).second)


def test_values_that_change_to_infinity_are_named():
    params, X = world(SHAPES[0], "diag")
    X = X.copy()
    with open_rows(X, missing="marginalize") as rows:
        X[7, 2] = np.inf
        with pytest.raises(ValueError, match="without infinity, got inf at row 7, column 2"):
            rows.sweep(params)
