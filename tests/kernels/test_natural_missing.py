"""The kernel of natural parameters for rows with gaps, of components without correlations, and when it is taken."""

import numpy as np
import pytest
from support import naive
from support.sweeps import reduce_second_moments

from fastem import GaussianParams, accumulate, posterior
from fastem.data.slots import SLOT_ROWS
from fastem.families.gaussian.tables import NEAR

KINDS = pytest.mark.parametrize("kind", ["diag", "spherical"])


def mixture_of(d, k, kind, share=0.2, n=500, offset=10.0):
    """Components of the kind, and rows of them with gaps, of which the first has no value."""
    rng = np.random.default_rng(10 * d + k)
    variances = rng.uniform(0.5, 2.0, size=(k, d) if kind == "diag" else (k,))
    sds = np.sqrt(variances if kind == "diag" else np.repeat(variances[:, np.newaxis], d, axis=1))
    means, labels = offset + rng.normal(size=(k, d)), rng.integers(k, size=n)
    X = means[labels] + sds[labels] * rng.normal(size=(n, d))
    X[rng.random(X.shape) < share] = np.nan
    X[0] = np.nan
    return GaussianParams(rng.dirichlet(np.full(k, 5.0)), means, variances, kind), X


def matrices(params):
    return naive.expand_covariances(params.covariances, params.covariance_type, *params.means.shape)


def swept(params, X, twin="auto", **options):
    return accumulate(params, X, missing="marginalize", backend=twin, **options)


def arrays_of(stats):
    return stats.counts, stats.first, stats.second, np.array([stats.loglik, stats.entropy])


def close(found, expected, rtol=1e-12):
    np.testing.assert_allclose(found, expected, rtol=rtol, atol=rtol * (np.abs(expected).max() + 1))


@KINDS
@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize(("d", "k"), [(2, 9), (3, 10), (4, 8), (7, 13), (8, 8), (17, 9), (65, 8), (131, 9)])
def test_sums_agree_with_naive_whatever_is_left_of_blocks_of_four(d, k, weighted, kind, twin):
    params, X = mixture_of(d, k, kind, n=200 if d > 20 else 500)
    assert params.one_by_one().kernel.accumulate_missing == "accumulate_mvnormal_natural_missing"
    w = np.random.default_rng(0).gamma(1.0, size=len(X)) if weighted else np.ones(len(X))
    counts, first, second, loglik, entropy = naive.normal_sums_missing(
        X, w, params.weights, params.means, matrices(params)
    )
    expected = counts, first, reduce_second_moments(second, kind), np.array([loglik, entropy])
    for found, truth in zip(arrays_of(swept(params, X, twin, sample_weight=w)), expected, strict=True):
        close(found, truth)


@KINDS
@pytest.mark.parametrize(("d", "k"), [(2, 8), (5, 9), (70, 8)])
def test_posteriors_agree_with_naive(d, k, kind, twin):
    params, X = mixture_of(d, k, kind, n=150)
    densities = naive.normal_log_density_missing(X, params.means, matrices(params))
    log_prob, resp = naive.posterior(densities, params.weights)
    found = posterior(params, X, missing="marginalize", backend=twin)
    close(found.log_prob, log_prob)
    close(found.resp, resp)
    np.testing.assert_array_equal(found.labels, resp.argmax(axis=1))


@KINDS
@pytest.mark.parametrize(("share", "expected"), [(0.999, "natural"), (1.001, "diag")])
def test_the_distance_of_the_means_decides(share, expected, kind, twin):
    """On either side of the limit the sums are the same."""
    d, k, steps = 8, 10, np.array([[-1.0], [1.0]] * 5)
    means = share * np.sqrt(NEAR) * steps * np.ones(d)
    params = GaussianParams(np.full(k, 1 / k), means, np.ones((k, d) if kind == "diag" else k), kind)
    assert params.one_by_one().kernel.accumulate_missing == f"accumulate_mvnormal_{expected}_missing"
    rng = np.random.default_rng(0)
    X = rng.normal(size=(600, d)) + np.tile(means, (60, 1))
    X[rng.random(X.shape) < 0.2] = np.nan
    second = naive.normal_sums_missing(X, np.ones(600), params.weights, means, matrices(params))[2]
    np.testing.assert_allclose(
        swept(params, X, twin).second, reduce_second_moments(second, kind), atol=1e-12 * NEAR * 600
    )


@KINDS
def test_an_offset_costs_no_digits(kind, twin):
    """Rows and means that a power of 2 moves are as far from each other as before."""
    params, X = mixture_of(6, 9, kind, offset=0.0)
    means, X = np.round(params.means * 2**10) / 2**10, np.round(X * 2**10) / 2**10
    near = GaussianParams(params.weights, means, params.covariances, kind)
    far = GaussianParams(params.weights, means + 2**27, params.covariances, kind)
    for found, expected in zip(arrays_of(swept(far, X + 2**27, twin)), arrays_of(swept(near, X, twin)), strict=True):
        close(found, expected, rtol=1e-11)  # the middle is rounded to 2^-26 of a unit


@KINDS
def test_bits_do_not_depend_on_threads(kind, twin):
    params, X = mixture_of(5, 8, kind, n=3 * SLOT_ROWS + 7)
    one = arrays_of(swept(params, X, twin, n_threads=1))
    for threads in (2, 3):
        for found, expected in zip(arrays_of(swept(params, X, twin, n_threads=threads)), one, strict=True):
            np.testing.assert_array_equal(found, expected)


@KINDS
def test_rows_of_float32_have_the_bits_of_the_same_in_float64(kind, twin):
    params, X = mixture_of(5, 8, kind)
    rounded = X.astype(np.float32)
    pairs = zip(
        arrays_of(swept(params, rounded, twin)), arrays_of(swept(params, rounded.astype(float), twin)), strict=True
    )
    for found, expected in pairs:
        np.testing.assert_array_equal(found, expected)
