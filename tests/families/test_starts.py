"""Starts: k-means and its seeds, partitions, quantiles; deterministic, weighted, scale-aware, on a subsample."""

import numpy as np
import pytest
from sklearn.cluster import KMeans
from support import naive

from fastem.data.kmeans import lloyd, sorting, spread_centers, subsample
from fastem.data.open import open_rows
from fastem.families.binomial.starts import find_probs
from fastem.families.counts import spread_quantiles
from fastem.families.gaussian.starts import START_METHODS, feature_scale, partition_params, partition_start
from fastem.kernels.backend import spread_rows

KINDS = ("full", "tied", "diag", "spherical")


def blobs(n=400, d=2, k=4, distance=10.0, seed=0):
    rng = np.random.default_rng(seed)
    return np.concatenate([rng.normal(size=(n, d)) + distance * rng.permutation(k * d)[:d] for _ in range(k)])


def rng(seed=0):
    return np.random.default_rng(seed)


@pytest.mark.parametrize("method", START_METHODS)
@pytest.mark.parametrize("kind", KINDS)
def test_a_start_is_a_mixture(method, kind):
    rows = open_rows(blobs())
    params = partition_start(rows, 4, kind, method=method, reg_covar=1e-6, rng=rng())
    params.check()
    assert params.means.shape == (4, 2)
    assert params.weights.min() > 0


def test_kmeans_finds_separated_blobs(twin):
    rows = open_rows(blobs(), backend=twin)
    params = partition_start(rows, 4, "full", method="kmeans", reg_covar=0.0, rng=rng())
    np.testing.assert_allclose(params.weights, 0.25, atol=1e-9)
    np.testing.assert_allclose(np.diagonal(params.covariances, axis1=1, axis2=2), 1.0, atol=0.2)


def test_lloyd_reaches_scikit_learns_inertia_from_the_same_seeds():
    X = np.random.default_rng(1).normal(size=(3000, 3))
    rows = open_rows(X)
    seeds = spread_centers(rows, 6, np.ones(3), rng())
    ours = rows.nearest(lloyd(rows, seeds, np.ones(3)), np.ones(3))[-1]
    theirs = KMeans(6, init=seeds, n_init=1, max_iter=1000, tol=0.0).fit(X).inertia_
    assert ours <= 1.01 * theirs  # ours stops when a step gains less than LLOYD_TOL


def test_lloyd_moves_a_center_without_rows():
    X = blobs(k=2)
    rows = open_rows(X)
    centers = lloyd(rows, np.array([[0.0, 0.0], [1e6, 1e6]]), np.ones(2))
    assert rows.nearest(centers, np.ones(2))[2].min() > 0


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("hard", [False, True])
def test_partition_params_are_the_m_step_on_its_responsibilities(kind, hard):
    X = np.random.default_rng(2).normal(size=(500, 3)) + 100
    w = np.random.default_rng(3).random(500)
    resp = np.random.default_rng(4).dirichlet(np.ones(4), 500)
    resp = np.eye(4)[resp.argmax(axis=1)] if hard else resp
    params = partition_params(open_rows(X, sample_weight=w), 4, np.ones(3), kind, 1e-3, lambda block: resp[block])
    expected = naive.normal_m_step(X, w, resp, kind, 1e-3)
    for found, truth in zip((params.weights, params.means, params.covariances), expected, strict=True):
        np.testing.assert_allclose(found, truth, rtol=1e-9, atol=1e-12)


def test_units_of_a_feature_do_not_decide():
    """The same start whether the second feature is in metres or in millimetres."""
    X = blobs()
    a = partition_start(open_rows(X), 4, "full", method="kmeans", reg_covar=0.0, rng=rng())
    b = partition_start(open_rows(X * [1.0, 1024.0]), 4, "full", method="kmeans", reg_covar=0.0, rng=rng())
    np.testing.assert_allclose(b.means / [1.0, 1024.0], a.means, rtol=1e-12)


def test_a_constant_feature_has_scale_one():
    X = np.c_[np.arange(10.0), np.full(10, 3.0)]
    np.testing.assert_allclose(feature_scale(X, np.ones(10)), [1 / X[:, 0].std(), 1.0])
    assert feature_scale(np.full((10_001, 1), 0.1), np.ones(10_001)) == 1.0  # their mean is 0.1 but for rounding


def first_rows(X, weights, draws, random):
    """The rows that k-means++ begins with, drawn again and again."""
    uniforms = random.random((draws, 1, 1))
    return np.concatenate([spread_rows(X, weights, np.ones(X.shape[1]), each) for each in uniforms])


def test_the_first_center_is_drawn_in_proportion_to_the_weights():
    X, weights = np.arange(4.0)[:, np.newaxis], np.array([0.0, 1.0, 3.0, 0.0])
    counts = np.bincount(first_rows(X, weights, 4000, rng()), minlength=4)
    assert counts[0] == counts[3] == 0
    assert counts[2] / 4000 == pytest.approx(0.75, abs=0.04)  # five standard errors


def test_seeds_are_those_of_a_loop_over_rows():
    """k-means++, greedy: the law in plain NumPy."""
    X = blobs().astype(np.float32).astype(np.float64)
    weights, scale = rng().uniform(0, 2, len(X)), np.array([1.0, 3.0])
    uniforms = rng().random((6, 3))
    chosen = [int(np.searchsorted(np.cumsum(weights), uniforms[0, 0] * weights.sum(), side="right"))]
    nearest = (((X - X[chosen[0]]) * scale) ** 2).sum(axis=1)
    for draw in uniforms[1:]:
        ends = np.cumsum(weights * nearest)
        candidates = np.searchsorted(ends, draw * ends[-1], side="right")
        fields = [np.minimum(nearest, (((X - X[c]) * scale) ** 2).sum(axis=1)) for c in candidates]
        best = int(np.argmin([(weights * field).sum() for field in fields]))
        chosen.append(int(candidates[best]))
        nearest = fields[best]
    for dtype in (np.float64, np.float32):
        found = spread_rows(X.astype(dtype), weights, scale, uniforms)
        np.testing.assert_array_equal(found, chosen)


def test_where_all_rows_are_centers_any_row_is_drawn():
    X = np.array([[1.0], [1.0], [1.0]])
    found = {tuple(spread_rows(X, np.ones(3), np.ones(1), each)) for each in rng().random((100, 2, 2))}
    assert {second for _, second in found} == {0, 1, 2}


@pytest.mark.parametrize("values", [10**6, 10**4, 30, 3])
@pytest.mark.parametrize("d", [1, 2, 3, 5])
def test_rows_are_sorted_as_lexsort_does(values, d):
    """One column tells rows apart, two do, or none: then equal rows stay in their order."""
    columns = list(rng().integers(values, size=(d, 500)).astype(float))
    np.testing.assert_array_equal(sorting(columns), np.lexsort(columns))


def test_seeds_spread_over_far_clusters():
    X = blobs(distance=1000.0)
    centers = spread_centers(open_rows(X), 4, np.ones(2), rng())
    assert open_rows(X).nearest(centers, np.ones(2))[2].tolist() == [400.0] * 4


def test_many_rows_are_sampled(monkeypatch):
    X = np.arange(1000.0)[:, np.newaxis]
    few = subsample(open_rows(X, sample_weight=np.arange(1000.0)), 100, rng())
    assert len(few) == 100
    assert len(np.unique(few.data[0])) == 100
    np.testing.assert_array_equal(few.sample_weight, few.data[0][:, 0])
    monkeypatch.setattr("fastem.data.kmeans.START_ROWS", 100)
    start = partition_start(open_rows(blobs(10_000)), 4, "full", method="kmeans", reg_covar=0.0, rng=rng())
    np.testing.assert_allclose(start.weights, 0.25, atol=0.2)


@pytest.mark.parametrize("method", START_METHODS)
def test_as_many_components_as_rows(method):
    X = np.random.default_rng(0).normal(size=(6, 2))
    partition_start(open_rows(X), 6, "full", method=method, reg_covar=1e-6, rng=rng()).check()


@pytest.mark.parametrize("method", START_METHODS)
def test_equal_rows(method):
    params = partition_start(open_rows(np.full((10, 2), 5.0)), 3, "diag", method=method, reg_covar=1e-6, rng=rng())
    np.testing.assert_allclose(params.means[params.weights > 0], 5.0)
    assert np.isfinite(params.covariances).all()


def test_quantiles_are_weighted_and_never_tie():
    values = np.array([0.1, 0.2, 0.3, 0.9])
    np.testing.assert_array_equal(spread_quantiles(values, np.ones(4), np.array([0.25, 0.75])), [0.1, 0.3])
    np.testing.assert_array_equal(
        spread_quantiles(values, np.array([0, 0, 1.0, 3.0]), np.array([0.2, 0.9])), [0.3, 0.9]
    )
    for tied in (np.full(9, 0.4), np.r_[np.full(8, 0.4), 0.6]):
        found = spread_quantiles(tied, np.ones(9), (np.arange(4) + 0.5) / 4)
        assert len(np.unique(found)) == 4
        assert (found > 0).all()
        assert (found < 1).all()
    np.testing.assert_array_equal(spread_quantiles(values, np.zeros(4), np.array([0.25, 0.75])), [0.25, 0.75])


def test_rows_of_weight_zero_do_not_move_a_binomial_start():
    successes, w = np.array([1.0, 2, 3, 7, 8, 9, 0, 0, 0]), np.r_[np.ones(6), np.zeros(3)]
    with_them = find_probs(open_rows(successes, 10, w, has_trials=True), 2, method="quantiles", rng=rng())
    without = find_probs(open_rows(successes[:6], 10, has_trials=True), 2, method="quantiles", rng=rng())
    np.testing.assert_array_equal(with_them, without)
