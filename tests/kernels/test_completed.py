"""Rows with gaps that are completed for each component: when they are, and that nothing is lost by it."""

from dataclasses import replace

import numpy as np
import pytest
from support import exact, naive

from fastem import GaussianParams, accumulate, posterior
from fastem.data.slots import SLOT_ROWS
from fastem.families.gaussian import tables
from fastem.families.gaussian.tables import LARGEST_INFLATION


def with_gaps(X, share, rng):
    """X without a share of its values; the first row has none, the second all."""
    X = np.where(rng.random(X.shape) < share, np.nan, X)
    X[0], X[1] = np.nan, 1.0
    return X


def world(n, d, k, share, kind="full", offset=0.0):
    rng = np.random.default_rng(100 * d + k)
    A = rng.standard_normal((k, d, d))
    weights, means = rng.dirichlet(np.full(k, 5.0)), offset + 2 * rng.standard_normal((k, d))
    covariances = naive.reduce_covariances(A @ A.mT + 0.5 * d * np.eye(d), weights, kind)
    X = means[rng.integers(k, size=n)] + np.sqrt(d) * rng.standard_normal((n, d))
    return GaussianParams(weights, means, covariances, kind), with_gaps(X, share, rng)


def inflated(inflation, d=9):
    """Two components, in which the variance of a feature is so many times what is left of it given the others."""
    covariance = np.eye(d)
    covariance[0, 1] = covariance[1, 0] = np.sqrt(1 - 1 / inflation)
    return GaussianParams(np.array([0.4, 0.6]), np.array([np.zeros(d), np.ones(d)]), np.stack([covariance] * 2))


def swept(params, X, twin="auto", **options):
    return accumulate(params, X, missing="marginalize", backend=twin, **options)


def arrays_of(stats):
    return stats.counts, stats.first, stats.second, np.array([stats.loglik, stats.entropy])


def close(found, expected, rtol=1e-12):
    np.testing.assert_allclose(found, expected, rtol=rtol, atol=rtol * (np.abs(expected).max() + 1))


@pytest.mark.parametrize("kind", ["full", "tied"])
@pytest.mark.parametrize("offset", [0.0, 1e8])
@pytest.mark.parametrize(
    "shape",
    [(700, 8, 3, 0.1), (600, 2, 2, 0.3), (500, 4, 3, 0.3), (300, 9, 9, 0.2), (300, 66, 2, 0.1), (90, 12, 2, 0.9)],
)
def test_rows_completed_have_the_sums_of_rows_swept_by_pattern(shape, offset, kind, twin, monkeypatch):
    params, X = world(*shape, kind, offset)
    w = np.random.default_rng(0).gamma(1.0, size=len(X))
    assert params.one_by_one().kernel is tables.COMPLETING
    found, of_rows = swept(params, X, twin, sample_weight=w), posterior(params, X, missing="marginalize", backend=twin)
    monkeypatch.setattr(tables, "LARGEST_INFLATION", 0.0)
    params = replace(params)
    assert params.one_by_one().kernel.accumulate_missing == "accumulate_mvnormal_full_missing"
    expected = swept(params, X, twin, sample_weight=w)
    for of_one, of_other in zip(arrays_of(found), arrays_of(expected), strict=True):
        close(of_one, of_other)
    by_pattern = posterior(params, X, missing="marginalize", backend=twin)
    close(of_rows.log_prob, by_pattern.log_prob)
    close(of_rows.resp, by_pattern.resp)
    np.testing.assert_array_equal(of_rows.labels, by_pattern.labels)


@pytest.mark.parametrize(("share", "completes"), [(0.999, True), (1.001, False)])
def test_what_is_left_of_a_feature_decides(share, completes, twin):
    """On either side of the limit log densities are those of 60 digits, to a few units of what is left."""
    params = inflated(share * LARGEST_INFLATION)
    assert (params.one_by_one().completing is not None) == completes
    rng = np.random.default_rng(0)
    z = rng.standard_normal((60, 9)) @ np.linalg.cholesky(params.covariances[0]).T
    X = with_gaps(params.means[rng.integers(2, size=60)] + z, 0.3, rng)[1:]
    found = posterior(params, X, missing="marginalize", backend=twin).log_prob
    for x, log_prob in zip(X, found, strict=True):
        o = ~np.isnan(x)
        if o.any():
            covariances = params.covariances[:, o][:, :, o]
            densities, _ = exact.normal_densities(x[np.newaxis, o], params.means[:, o], covariances)
            truth = exact.posterior(densities, params.weights)[0][0]
            assert abs(log_prob - truth) < 2e-13 * (1 + abs(truth))


def test_nearly_equal_features_are_swept_by_pattern(twin):
    """With a condition of 1e12 log densities are still those of what is observed, to 1e-12."""
    params = inflated(1e12, d=5)
    x = np.array([[0.3, np.nan, 0.1, 0.2, -1.0], [np.nan, 0.3, 0.1, np.nan, -1.0]])
    found = posterior(params, x, missing="marginalize", backend=twin).log_prob
    for row, log_prob in zip(x, found, strict=True):
        o = ~np.isnan(row)
        density = naive.normal_log_density(row[np.newaxis, o], params.means[:, o], np.stack([np.eye(o.sum())] * 2))
        assert log_prob == pytest.approx(naive.posterior(density, params.weights)[0][0], rel=1e-12)


def test_complete_rows_and_rows_with_gaps_share_a_tile(twin):
    """One of each pattern of five features, in any order, as often as there are rows in a tile."""
    params, _ = world(10, 5, 3, 0.0)
    rng = np.random.default_rng(4)
    patterns = (np.arange(32)[:, np.newaxis] >> np.arange(5) & 1).astype(bool)
    X = np.where(rng.permutation(np.tile(patterns, (9, 1))), np.nan, rng.standard_normal((288, 5)))
    stats = swept(params, X, twin)
    *expected, loglik, entropy = naive.normal_sums_missing(
        X, np.ones(len(X)), params.weights, params.means, params.covariances
    )
    for found, truth in zip(arrays_of(stats), (*expected, np.array([loglik, entropy])), strict=True):
        close(found, truth)


@pytest.mark.parametrize(("d", "k", "n_heavy", "share"), [(30, 2, SLOT_ROWS, 0.1), (100, 6, 40, 0.9)])
def test_bits_do_not_depend_on_what_other_slots_have_met(d, k, n_heavy, share):
    """Nearly every row has a pattern of its own; or the tables of a few dozen do not fit into memory together."""
    params, X = world(2 * SLOT_ROWS + 5, d, k, 0.0)
    rng = np.random.default_rng(2)
    heavy = rng.permutation(len(X))[:n_heavy]
    X[heavy] = np.where(rng.random((n_heavy, d)) < share, np.nan, X[heavy])
    one = swept(params, X, n_threads=1)
    for threads in (2, 3):
        for found, expected in zip(arrays_of(swept(params, X, n_threads=threads)), arrays_of(one), strict=True):
            np.testing.assert_array_equal(found, expected)
    parts = [swept(params, X[begin : begin + SLOT_ROWS], n_threads=1) for begin in range(0, len(X), SLOT_ROWS)]
    close(sum(parts[1:], start=parts[0]).second, one.second)


def test_weights_zero_are_rows_that_are_not_there(twin):
    params, X = world(400, 6, 3, 0.2)
    w = np.random.default_rng(0).integers(2, size=len(X)).astype(float)
    found, expected = swept(params, X, twin, sample_weight=w), swept(params, X[w > 0], twin)
    for of_one, of_other in zip(arrays_of(found), arrays_of(expected), strict=True):
        close(of_one, of_other)
