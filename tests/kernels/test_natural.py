"""The kernel of natural parameters, of components without correlations, and when it is taken."""

import numpy as np
import pytest
from support import naive
from support.few_rows import assert_runs_in_a_kernel
from support.sweeps import reduce_second_moments, sweep

from fastem import GaussianMixture, GaussianParams
from fastem.data.open import open_rows
from fastem.families.gaussian.tables import NEAR

KINDS = pytest.mark.parametrize("kind", ["diag", "spherical"])


def mixture_of(d, k, kind, apart=1.0):
    """Components of the kind, and rows of them; `apart` are standard deviations of the means."""
    rng = np.random.default_rng(10 * d + k)
    variances = rng.uniform(0.5, 2.0, size=(k, d) if kind == "diag" else (k,))
    sds = np.sqrt(variances if kind == "diag" else np.repeat(variances[:, np.newaxis], d, axis=1))
    means, labels = 10.0 + apart * rng.normal(size=(k, d)), rng.integers(k, size=700)
    X = means[labels] + sds[labels] * rng.normal(size=(700, d))
    return GaussianParams(rng.dirichlet(np.full(k, 5.0)), means, variances, kind), X


def full_covariances(params):
    return naive.expand_covariances(params.covariances, params.covariance_type, *params.means.shape)


def naive_sums(params, X, w):
    counts, first, second, *rest = naive.normal_sums(X, w, params.weights, params.means, full_covariances(params))
    return counts, first, reduce_second_moments(second, params.covariance_type), *rest


@KINDS
@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize(
    ("d", "k"), [(2, 9), (3, 10), (4, 8), (6, 11), (7, 10), (8, 8), (9, 9), (17, 13), (66, 9), (131, 8)]
)
def test_sums_agree_with_naive_whatever_is_left_of_blocks_of_four(d, k, weighted, kind, twin):
    params, X = mixture_of(d, k, kind)
    assert params.kernel.accumulate == "accumulate_mvnormal_natural"
    w = np.random.default_rng(0).gamma(1.0, size=len(X)) if weighted else np.ones(len(X))
    stats = sweep(params, X, twin, w if weighted else None)
    counts, first, second, loglik, entropy = naive_sums(params, X, w)
    np.testing.assert_allclose(stats.counts, counts, rtol=1e-12)
    np.testing.assert_allclose(stats.first, first, atol=1e-11 * len(X))
    np.testing.assert_allclose(stats.second, second, atol=1e-11 * len(X))
    assert stats.loglik == pytest.approx(loglik, rel=1e-12)
    assert stats.entropy == pytest.approx(entropy, rel=1e-11, abs=1e-11)


@KINDS
@pytest.mark.parametrize(("d", "k"), [(2, 8), (5, 9), (8, 11)])
@pytest.mark.parametrize("apart", [1.0, 100.0])
def test_posteriors_agree_with_naive(d, k, apart, kind, twin):
    params, X = mixture_of(d, k, kind, apart)
    assert (params.middle is None) == (apart == 100.0)
    densities = naive.normal_log_density(X, params.means, full_covariances(params))
    log_prob, resp = naive.posterior(densities, params.weights)
    with open_rows(X, backend=twin) as rows:
        found = rows.posterior(params, "log_prob", "resp", "labels")
    np.testing.assert_allclose(found.log_prob, log_prob, rtol=1e-11)
    np.testing.assert_allclose(found.resp, resp, atol=1e-11)
    np.testing.assert_array_equal(found.labels, resp.argmax(axis=1))


@KINDS
def test_log_densities_of_each_component_are_those_of_all(kind, twin):
    params, X = mixture_of(5, 9, kind)
    with open_rows(X, backend=twin) as rows:
        found = rows.predict(params, "log_prob_by_component")
    expected = np.log(params.weights) + naive.normal_log_density(X, params.means, full_covariances(params))
    np.testing.assert_allclose(found, expected, rtol=1e-11)


@KINDS
@pytest.mark.parametrize(("share", "expected"), [(0.999, "natural"), (1.001, "diag")])
def test_the_distance_of_the_means_decides(share, expected, kind, twin):
    """On either side of the limit the sums are the same."""
    d, k, steps = 8, 10, np.array([[-1.0], [1.0]] * 5)
    means = share * np.sqrt(NEAR) * steps * np.ones(d)
    params = GaussianParams(np.full(k, 1 / k), means, np.ones((k, d) if kind == "diag" else k), kind)
    assert params.kernel.accumulate == f"accumulate_mvnormal_{expected}"
    X = np.random.default_rng(0).normal(size=(600, d)) + np.tile(means, (60, 1))
    stats = sweep(params, X, twin)
    np.testing.assert_allclose(stats.second, naive_sums(params, X, np.ones(600))[2], atol=1e-12 * NEAR * 600)


@KINDS
@pytest.mark.parametrize("apart", [1.0, 100.0])
@pytest.mark.filterwarnings("ignore::fastem.ConvergenceWarning")
def test_a_fit_in_a_kernel_is_that_of_the_driver(kind, apart, calls, twin):
    """On either side of the limit."""
    params, X = mixture_of(4, 9, kind, apart)
    start = {"means_init": params.means + 0.1, "weights_init": params.weights, "precisions_init": params.precisions()}
    mixture = GaussianMixture(9, covariance_type=kind, tol=1e-6, max_iter=30, backend=twin, **start)
    assert_runs_in_a_kernel(calls, mixture, X)


@KINDS
def test_clusters_that_the_start_hardly_sees_are_found_to_the_last_digits(kind, twin):
    """A first M-step takes nearly all of the scatter away; the sweeps after it are those of means far apart."""
    d, k, rng = 8, 8, np.random.default_rng(1)
    noise, centers = rng.normal(size=(k, 300, d)), 1e7 * np.arange(k)[:, np.newaxis] * np.ones(d)
    X = (noise + centers[:, np.newaxis]).reshape(-1, d)
    precisions = np.full((k, d) if kind == "diag" else k, 1e-13)
    start = {"means_init": centers + 1e6, "precisions_init": precisions, "weights_init": np.full(k, 1 / k)}
    fitted = GaussianMixture(k, covariance_type=kind, reg_covar=0.0, backend=twin, **start).fit(X)
    within = ((noise - noise.mean(axis=1, keepdims=True)) ** 2).mean(axis=1)
    np.testing.assert_allclose(fitted.covariances_, within if kind == "diag" else within.mean(axis=1), rtol=1e-7)


@KINDS
def test_float32_rows_are_summed_as_precisely(kind, twin):
    for apart in (0.5, 4.0):
        params, X = mixture_of(20, 9, kind, apart)
        assert params.middle is not None
        params = GaussianParams(params.weights, params.means - 10.0, params.covariances, kind)
        rows = (X - 10.0).astype(np.float32)
        found, expected = sweep(params, rows, twin), sweep(params, rows.astype(np.float64), twin)
        near = apart < 1.0 or kind == "diag"  # whose residuals are summed in float32 wherever the means are
        assert found.single == (near and twin != "numba")
        np.testing.assert_allclose(found.second, expected.second, atol=5e-6 * np.abs(expected.second).max())
        np.testing.assert_allclose(found.counts, expected.counts, atol=5e-6 * len(X))
        assert found.loglik == pytest.approx(expected.loglik, rel=1e-6)


@KINDS
@pytest.mark.parametrize("apart", [1.0, 100.0])
def test_the_bits_do_not_depend_on_threads(apart, kind, twin):
    params, X = mixture_of(5, 9, kind, apart)
    X = np.tile(X, (40, 1))
    one, three = (sweep(params, X, twin, n_threads=n) for n in (1, 3))
    np.testing.assert_array_equal(one.second, three.second)
    np.testing.assert_array_equal(one.first, three.first)
