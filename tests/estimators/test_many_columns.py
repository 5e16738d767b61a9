"""Many small fits of rows of several columns: against the estimators and naive; laws of groups; statuses."""

from itertools import pairwise

import numpy as np
import pytest
from support import naive
from support.groups import assert_close, assert_equal_bits, offsets_of

import fastem
from fastem.estimators.fit_many import fit_many
from fastem.estimators.many_fits import FitStatus
from fastem.kernels import backend as backend_module

SIZES = (3, 8, 9, 40, 129, 300)
COVARIANCE_TYPES = ("full", "tied", "diag", "spherical")
FAMILIES = (*COVARIANCE_TYPES, "binomial", "poisson")
each_family = pytest.mark.parametrize("name", FAMILIES)
RTOL = 1e-9  # sums in another order, over some iterations


def groups(name, sizes=SIZES, d=3):
    """Two components in each group; how they are fitted."""
    rng = np.random.default_rng([7, len(name)])
    n = sum(sizes)
    second = rng.random((n, 1)) < 0.4
    if name == "binomial":
        return rng.binomial(12, np.where(second, 0.2, 0.6) + np.zeros(d)), {"family": name, "trials": 12}
    if name == "poisson":
        return rng.poisson(np.where(second, 3.0, 9.0) + np.zeros(d)), {"family": name}
    X = rng.standard_normal((n, d)) @ rng.normal(0, 1, (d, d)) + 4 * second + 10
    return X, {"covariance_type": name}


def fitted(name, values, offsets, k=2, **options):
    return fit_many(values, offsets, k, **(groups(name)[1] | options))


def restarted(name, params, X, **options):
    """The estimator from these parameters, to its end."""
    k = len(params.weights)
    if name in ("binomial", "poisson"):
        location = "probs" if name == "binomial" else "rates"
        kind = fastem.BinomialMixture if name == "binomial" else fastem.PoissonMixture
        given = {"weights_init": params.weights, f"{location}_init": getattr(params, location)}
        rows = {"trials": 12} if name == "binomial" else {}
        return kind(k, **given, **options).fit(X, **rows)
    given = {"weights_init": params.weights, "means_init": params.means, "precisions_init": params.precisions()}
    return fastem.GaussianMixture(k, covariance_type=name, **given, **options).fit(X)


@each_family
def test_a_fit_is_where_the_estimator_stays(name, twin):
    """From the parameters of a fit to its end an estimator gains no more than tol says."""
    X, _ = groups(name)
    offsets = offsets_of(SIZES)
    fits = fitted(name, X, offsets, tol=1e-6, max_iter=5_000, backend=twin)
    assert (fits.status == FitStatus.CONVERGED).all()
    for g, (a, b) in enumerate(pairwise(offsets)):
        if b - a < 40:
            continue
        mixture = restarted(name, fits[g], X[a:b], tol=1e-9, max_iter=2_000)
        rows = {"trials": 12} if name == "binomial" else {}
        np.testing.assert_allclose(fits.loglik[g] / (b - a), mixture.score(X[a:b], **rows), atol=1e-5)
        np.testing.assert_allclose(fits.bic[g], mixture.bic(X[a:b], **rows), atol=1e-2)


@each_family
def test_the_log_likelihood_is_that_of_the_parameters(name, twin):
    X, _ = groups(name)
    offsets = offsets_of(SIZES)
    rows = {"trials": np.full(X.shape, 12)} if name == "binomial" else {}
    for most in (0, 1, 4, 7, 200):
        fits = fitted(name, X, offsets, max_iter=most, backend=twin)
        assert (fits.n_iter <= most).all()
        for g, (a, b) in enumerate(pairwise(offsets)):
            options = {key: value[a:b] for key, value in rows.items()}
            log_prob, resp, labels = fastem.posterior(fits[g], X[a:b], **options)
            np.testing.assert_allclose(log_prob.sum(), fits.loglik[g], rtol=1e-10)
    resp_of_all = fits.predict_proba(X, **rows)
    np.testing.assert_allclose(resp_of_all[a:b], resp, atol=1e-9)
    np.testing.assert_array_equal(fits.labels(X, **rows)[a:b], labels)


@each_family
def test_a_maximum_is_a_fixed_point_of_naive_em(name, twin):
    X, _ = groups(name, (300,))
    fits = fitted(name, X, [0, 300], tol=0.0, max_iter=20_000, backend=twin)
    ones, location = np.ones(300), getattr(fits, fits.parameter_names[0])[0]
    if name == "binomial":
        weights, found, _ = naive.binomial_em(X, np.full(X.shape, 12), ones, fits.weights[0], location, 1)
    elif name == "poisson":
        weights, found, _ = naive.poisson_em(X, ones, fits.weights[0], location, 1)
    else:
        start = fits.weights[0], location, fits.covariances[0]
        weights, found, covariances, _ = naive.normal_em(X, ones, *start, name, 1e-6, 1)
        np.testing.assert_allclose(covariances, fits.covariances[0], rtol=1e-4, atol=1e-4)
    np.testing.assert_allclose(weights, fits.weights[0], rtol=1e-4)
    np.testing.assert_allclose(found, location, rtol=1e-4)


@pytest.mark.parametrize("covariance_type", COVARIANCE_TYPES)
def test_one_component_has_a_closed_form(covariance_type, twin):
    X, _ = groups(covariance_type)
    offsets = offsets_of(SIZES)
    fits = fitted(covariance_type, X, offsets, k=1, backend=twin)
    for g, (a, b) in enumerate(pairwise(offsets)):
        full = np.cov(X[a:b].T, bias=True)
        expected = {"full": full, "tied": full, "diag": np.diag(full), "spherical": np.diag(full).mean()}
        np.testing.assert_allclose(fits.means[g, 0], X[a:b].mean(axis=0), rtol=1e-12)
        added = 1e-6 * (np.eye(3) if covariance_type in ("full", "tied") else 1)
        found = fits.covariances[g] if covariance_type == "tied" else fits.covariances[g, 0]
        np.testing.assert_allclose(found, expected[covariance_type] + added, rtol=1e-9)


@each_family
def test_permuted_groups_permute_the_fits(name, twin):
    X, _ = groups(name)
    offsets = offsets_of(SIZES)
    order = np.random.default_rng(1).permutation(len(SIZES))
    parts = np.split(X, offsets[1:-1])
    permuted = fitted(
        name, np.concatenate([parts[g] for g in order]), offsets_of([len(parts[g]) for g in order]), backend=twin
    )
    whole = fitted(name, X, offsets, backend=twin)
    assert_equal_bits(whole, permuted, order)
    alone = fitted(name, parts[4], [0, len(parts[4])], backend=twin)
    np.testing.assert_array_equal(alone.weights[0], whole.weights[4])


@each_family
def test_same_bits_for_any_number_of_threads(name, twin, monkeypatch):
    X, _ = groups(name, SIZES * 4)
    offsets = offsets_of(SIZES * 4)
    one = fitted(name, X, offsets, n_threads=1, backend=twin)
    monkeypatch.setattr(backend_module, "SHARE_ROWS", 100)
    for n_threads in (1, 2, 7):
        assert_equal_bits(one, fitted(name, X, offsets, n_threads=n_threads, backend=twin))


@pytest.mark.numba
@each_family
@pytest.mark.parametrize("k", [1, 2, 3])
def test_cython_and_numba_find_the_same_fits(name, k):
    """As many iterations, from the same draws, of groups shorter and longer than the vectors of both."""
    X, _ = groups(name, SIZES * 3)
    one, other = (fitted(name, X, offsets_of(SIZES * 3), k, backend=twin) for twin in ("cython", "numba"))
    assert_close(one, other, RTOL)


@pytest.mark.numba
@pytest.mark.parametrize("covariance_type", COVARIANCE_TYPES)
@pytest.mark.parametrize("d", [2, 4, 9])
def test_cython_and_numba_find_the_same_fits_in_any_dimension(covariance_type, d):
    X, _ = groups(covariance_type, (60, 130), d)
    one, other = (
        fitted(covariance_type, X, [0, 60, 190], tol=0.01, max_iter=25, backend=twin) for twin in ("cython", "numba")
    )
    assert_close(one, other, 1e-7)


@each_family
def test_labels_matrices_types_and_weight_zero_do_not_matter(name, twin):
    X, _ = groups(name, (50, 50))
    X = np.round(X)
    expected = fitted(name, X, [0, 50, 100], backend=twin)
    assert_equal_bits(expected, fitted(name, X.reshape(2, 50, 3), None, backend=twin))
    shuffled = np.argsort(np.arange(100) % 2, kind="stable")
    labels = np.array(["a", "b"])[np.arange(100) // 50]
    to_the_end = {"tol": 1e-9, "max_iter": 5_000, "backend": twin}
    named = fitted(name, X[shuffled], None, groups=labels[shuffled], **to_the_end)
    here = fitted(name, X, [0, 50, 100], **to_the_end)  # other draws, since they follow the rows of a group
    np.testing.assert_allclose(named["b"].weights, here[1].weights, rtol=1e-3)
    for dtype in (np.float32, np.int32):
        assert_equal_bits(expected, fitted(name, X.astype(dtype), [0, 50, 100], backend=twin))
    assert_equal_bits(expected, fitted(name, np.asfortranarray(X), [0, 50, 100], backend=twin))
    weights = (np.arange(100) % 5 > 0).astype(float)
    few = fitted(name, X[weights > 0], [0, 40, 80], sample_weight=np.ones(80), backend=twin)
    unread = np.where(weights[:, np.newaxis] > 0, X, np.nan)
    assert_equal_bits(few, fitted(name, unread, [0, 50, 100], sample_weight=weights, backend=twin))


@each_family
def test_a_weight_counts_as_that_many_equal_rows(name, twin):
    X, _ = groups(name, (60, 90))
    times = np.random.default_rng(3).integers(1, 4, len(X))
    weighted = fitted(name, X, [0, 60, 150], sample_weight=times, backend=twin)
    repeated = fitted(name, np.repeat(X, times, axis=0), offsets_of(np.add.reduceat(times, [0, 60])), backend=twin)
    np.testing.assert_allclose(weighted.loglik, repeated.loglik, rtol=1e-8)
    np.testing.assert_allclose(weighted.weights, repeated.weights, rtol=1e-5)


@each_family
def test_what_is_wrong_with_a_group_is_its_status(name, twin):
    X, _ = groups(name, (40,))
    X = X.astype(float)
    bad = {
        FitStatus.NO_ROWS: X[:0],
        FitStatus.FEW_ROWS: X[:1],
        FitStatus.NOT_FINITE: np.where(np.arange(40)[:, np.newaxis] == 7, np.nan, X),
    }
    if name in ("binomial", "poisson"):
        bad[FitStatus.NOT_COUNTS] = X - 0.5
    parts = [X]
    for part in bad.values():
        parts += [part, X]
    fits = fitted(name, np.concatenate(parts), offsets_of([len(part) for part in parts]), backend=twin)
    assert list(fits.status[1::2]) == list(bad)
    assert np.isnan(fits.weights[1::2]).all()
    assert np.isnan(fits.loglik[1::2]).all()
    for g in range(0, len(parts), 2):
        np.testing.assert_array_equal(fits.weights[g], fits.weights[0])


def test_collapsed_and_constant_columns_are_fitted(twin):
    rng = np.random.default_rng(0)
    X = np.concatenate([np.zeros((20, 2)), np.column_stack([rng.standard_normal(30), np.full(30, 1e8)])])
    for covariance_type in COVARIANCE_TYPES:
        fits = fit_many(X, [0, 20, 50], 2, covariance_type=covariance_type, backend=twin)
        assert np.isfinite(fits.loglik).all()
        np.testing.assert_allclose(fits.weights.sum(axis=1), 1.0)


def test_several_components_are_told_apart_and_counted():
    rng = np.random.default_rng(0)
    kinds = rng.integers(3, size=(20, 200))
    X = np.array([[0.0, 0.0], [8.0, 0.0], [0.0, 8.0]])[kinds] + rng.standard_normal((20, 200, 2))
    fits = fit_many(X, n_components=range(1, 6))
    assert (fits.n_components == 3).mean() >= 0.9
    assert fits.means.shape == (20, 5, 2)
    assert fits.covariances.shape == (20, 5, 2, 2)
    three = fit_many(X, n_components=3)
    truth = fastem.GaussianMixture(3, means_init=[[0, 0], [0, 8], [8, 0]], tol=1e-8)
    for g in range(20):
        assert three.loglik[g] > 200 * truth.fit(X[g]).score(X[g]) - 0.1
    frame = pytest.importorskip("pandas") and three.to_frame()
    np.testing.assert_array_equal(frame["mean_1_0"], three.means[:, 1, 0])
    np.testing.assert_array_equal(frame["covariance_1_0_1"], three.covariances[:, 1, 0, 1])
