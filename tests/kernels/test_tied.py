"""The kernel of a tied covariance, and when it is taken."""

import numpy as np
import pytest
from support import naive
from support.sweeps import sweep

from fastem import GaussianMixture, GaussianParams
from fastem.data.open import open_rows
from fastem.families.gaussian.tables import NEAR


def mixture_of(d, k, apart=1.0):
    """Components of one covariance, and rows of them; `apart` are standard deviations of the means."""
    rng = np.random.default_rng(10 * d + k)
    A = rng.normal(size=(d, d))
    factor = np.linalg.cholesky(A @ A.T / d + np.eye(d))
    means = 10.0 + apart * rng.normal(size=(k, d)) @ factor.T
    X = means[rng.integers(k, size=700)] + rng.normal(size=(700, d)) @ factor.T
    return GaussianParams(rng.dirichlet(np.full(k, 5.0)), means, factor @ factor.T, "tied"), X


def test_one_feature_has_a_kernel_of_its_own(twin):
    """However many components there are."""
    params, X = mixture_of(1, 20)
    assert params.kernel.accumulate == "accumulate_normal"
    assert sweep(params, X, twin).counts.sum() == pytest.approx(len(X))


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize(("d", "k"), [(2, 9), (3, 6), (4, 4), (6, 7), (7, 5), (8, 2), (8, 8), (9, 3), (17, 13)])
def test_sums_agree_with_naive_whatever_is_left_of_blocks_of_four(d, k, weighted, twin):
    params, X = mixture_of(d, k)
    assert params.kernel.accumulate == "accumulate_mvnormal_tied"
    w = np.random.default_rng(0).gamma(1.0, size=len(X)) if weighted else np.ones(len(X))
    stats = sweep(params, X, twin, w if weighted else None)
    full = np.tile(params.covariances, (k, 1, 1))
    counts, first, second, loglik, entropy = naive.normal_sums(X, w, params.weights, params.means, full)
    np.testing.assert_allclose(stats.counts, counts, rtol=1e-12)
    np.testing.assert_allclose(stats.first, first, atol=1e-11 * len(X))
    np.testing.assert_allclose(stats.second, second.sum(axis=0), atol=1e-11 * len(X))
    assert stats.loglik == pytest.approx(loglik, rel=1e-12)
    assert stats.entropy == pytest.approx(entropy, rel=1e-11, abs=1e-11)


@pytest.mark.parametrize(("d", "k"), [(2, 8), (5, 6), (8, 3)])
@pytest.mark.parametrize("apart", [1.0, 100.0])
def test_posteriors_agree_with_naive(d, k, apart, twin):
    params, X = mixture_of(d, k, apart)
    densities = naive.normal_log_density(X, params.means, np.tile(params.covariances, (k, 1, 1)))
    log_prob, resp = naive.posterior(densities, params.weights)
    with open_rows(X, backend=twin) as rows:
        found = rows.posterior(params, "log_prob", "resp", "labels")
    np.testing.assert_allclose(found.log_prob, log_prob, rtol=1e-11)
    np.testing.assert_allclose(found.resp, resp, atol=1e-11)
    np.testing.assert_array_equal(found.labels, resp.argmax(axis=1))


@pytest.mark.parametrize(("share", "expected"), [(0.999, "tied"), (1.001, "full")])
def test_the_distance_of_the_means_decides(share, expected, twin):
    """On either side of the limit the sums are the same."""
    d, steps = 8, np.array([[-1.0], [1.0]])
    means = share * np.sqrt(NEAR) * steps * np.ones(d)
    params = GaussianParams(np.full(2, 0.5), means, np.eye(d), "tied")
    assert params.kernel.accumulate == f"accumulate_mvnormal_{expected}"
    X = np.random.default_rng(0).normal(size=(500, d)) + np.repeat(means, 250, axis=0)
    stats = sweep(params, X, twin)
    second = naive.normal_sums(X, np.ones(500), params.weights, means, np.tile(np.eye(d), (2, 1, 1)))[2]
    np.testing.assert_allclose(stats.second, second.sum(axis=0), atol=1e-12 * NEAR * 500)


@pytest.mark.parametrize("d", [2, 8])
def test_clusters_that_the_start_hardly_sees_are_found_to_the_last_digits(d, twin):
    """A first M-step takes nearly all of the scatter away; the sweeps after it are those of means far apart."""
    rng = np.random.default_rng(d)
    noise = rng.normal(size=(2, 300, d))
    X = (noise + 1e7 * np.array([-1.0, 1.0])[:, np.newaxis, np.newaxis]).reshape(-1, d)
    start = {"means_init": [[-5e6] * d, [5e6] * d], "precisions_init": np.eye(d) / 1e14, "weights_init": [0.5, 0.5]}
    fitted = GaussianMixture(2, covariance_type="tied", reg_covar=0.0, backend=twin, **start).fit(X)
    within = X.reshape(2, 300, d) - X.reshape(2, 300, d).mean(axis=1, keepdims=True)
    expected = np.einsum("cni,cnj->ij", within, within) / 600
    np.testing.assert_allclose(fitted.covariances_, expected, atol=1e-8)


def test_float32_lanes_are_for_means_that_are_near(twin):
    """Others are summed in float64, and as precisely."""
    for apart, single in ((1.0, twin != "numba"), (4.0, False)):
        params, X = mixture_of(20, 5, apart)
        assert params.middle is not None
        params = GaussianParams(params.weights, params.means - 10.0, params.covariances, "tied")
        rows = (X - 10.0).astype(np.float32)
        found, expected = sweep(params, rows, twin), sweep(params, rows.astype(np.float64), twin)
        assert found.single == single
        np.testing.assert_allclose(found.second, expected.second, atol=5e-6 * np.abs(expected.second).max())
        assert found.loglik == pytest.approx(expected.loglik, rel=1e-6)


@pytest.mark.parametrize("apart", [1.0, 100.0])
def test_the_bits_do_not_depend_on_threads(apart, twin):
    params, X = mixture_of(5, 6, apart)
    X = np.tile(X, (40, 1))
    one, three = (sweep(params, X, twin, n_threads=n) for n in (1, 3))
    np.testing.assert_array_equal(one.second, three.second)
    np.testing.assert_array_equal(one.first, three.first)
