"""A background and missing values: what is there of a row has the density of the box in these features."""

import math
from functools import cache

import numpy as np
import pytest
from scipy import stats
from support import naive, naive_background
from support.asserts import assert_no_fall_but_rounding
from support.sweeps import KINDS, reduce_second_moments

from fastem import accumulate, posterior
from fastem.data.open import open_rows
from fastem.families.gaussian.background import box
from fastem.families.gaussian.background.model import BackgroundParams

RTOL = 1e-12  # sums of some hundred terms, each good to a few units in the last place
SHAPES = [(500, 3, 2, 0.3), (200, 1, 2, 0.3), (300, 7, 3, 0.2), (137, 12, 4, 0.9), (200, 70, 2, 0.1)]
"""Rows, features, components, and the share of values that are missing: with 70 features a mask has two words."""
shapes = pytest.mark.parametrize("shape", SHAPES, ids=lambda shape: "x".join(map(str, shape)))
kinds = pytest.mark.parametrize("kind", KINDS)
noises = pytest.mark.parametrize("noise", [True, 1e-3], ids=["box", "density"])


@cache
def world(shape, kind, noise=True):
    """Parameters; rows with gaps, a fifth of them anywhere in the box, the first without any value; weights 0 to 2."""
    n, d, k, share = shape
    rng = np.random.default_rng(d)
    A = rng.standard_normal((k, d, d))
    weights, means = 0.8 * rng.dirichlet(np.ones(k)), 2 * rng.standard_normal((k, d))
    covariances = naive.reduce_covariances(A @ A.mT + 0.3 * np.eye(d), weights, kind)
    X = means[rng.integers(k, size=n)] + 2 * rng.standard_normal((n, d))
    low, widths = X.min(axis=0) - 3, np.ptp(X, axis=0) + rng.uniform(3, 9, d)
    X[::5] = rng.uniform(low, low + widths, X[::5].shape)
    X[rng.random((n, d)) < share] = np.nan
    X[0] = np.nan
    values = {"noise_weight": np.asarray(0.2), "noise_box": np.vstack([low, np.diag(widths)]), "noise": noise}
    return BackgroundParams(weights, means, covariances, kind, **values), X, rng.integers(0, 3, n).astype(float)


def log_densities(params):
    """Those of each feature: of the box or, for a density, of one of its proportions and with that density."""
    widths = params.noise_box[1:].diagonal()
    if params.noise is True:
        return -np.log(widths)
    return -np.log(widths) + (math.log(params.noise) + np.log(widths).sum()) / len(widths)


def matrices(params):
    return naive.expand_covariances(params.covariances, params.covariance_type, *params.means.shape)


def sweep(params, X, twin="auto", sample_weight=None, n_threads=None):
    return accumulate(params, X, sample_weight=sample_weight, missing="marginalize", backend=twin, n_threads=n_threads)


def close(found, expected, rtol=RTOL):
    np.testing.assert_allclose(found, expected, rtol=rtol, atol=rtol * (np.abs(expected).max() + 1))


@noises
@kinds
@shapes
def test_sums_are_naive(shape, kind, noise, twin):
    params, X, w = world(shape, kind, noise)
    found = sweep(params, X, twin, w)
    counts, first, second, loglik, entropy = naive_background.background_sums_missing(
        X, w, params.all_weights, params.means, matrices(params), log_densities(params)
    )
    close(found.loglik, loglik)
    close(found.entropy, entropy)
    close(found.all_counts, counts)
    close(found.first, first)
    close(found.second, reduce_second_moments(second, kind))
    assert found.total == pytest.approx(w[~np.isnan(X).all(axis=1)].sum(), rel=1e-14)


@noises
@kinds
@shapes
def test_densities_are_marginal_ones_of_scipy(shape, kind, noise, twin):
    params, X, _ = world(shape, kind, noise)
    log_prob, uniform = np.zeros((len(X), len(params.all_weights))), log_densities(params)
    for i, o in enumerate(~np.isnan(X)):
        for c, covariance in enumerate(matrices(params) if o.any() else ()):
            log_prob[i, c] = stats.multivariate_normal(params.means[c, o], covariance[np.ix_(o, o)]).logpdf(X[i, o])
        log_prob[i, -1] = uniform[o].sum()
    expected, resp = naive.posterior(log_prob, params.all_weights)
    found = posterior(params, X, missing="marginalize", backend=twin)
    close(found.log_prob, expected)
    close(found.resp, resp)
    places = np.where(found.labels < 0, resp.shape[1] - 1, found.labels)
    assert (resp[np.arange(len(X)), places] >= resp.max(axis=1) - 1e-12).all()
    close(found.resp[0], params.all_weights)
    assert abs(found.log_prob[0]) < RTOL


@noises
@kinds
@pytest.mark.parametrize("shape", SHAPES[:2], ids=str)
def test_em_is_the_naive_loop_and_never_falls(shape, kind, noise, twin):
    params, X, w = world(shape, kind, noise)
    start = params.all_weights, params.means, params.covariances
    weights, means, covariances, logliks = naive_background.background_em_missing(
        X, w, *start, kind, log_densities(params), 8
    )
    trace = []
    for _ in range(8):
        trace.append(sweep(params, X, twin, w))
        params = trace[-1].maximize(reg_covar=0.0)
    close([each.loglik for each in trace], logliks, 1e-11)
    close(params.all_weights, weights, 1e-9)
    close(params.means, means, 1e-9)
    close(params.covariances, covariances, 1e-9)
    for _ in range(40):
        trace.append(sweep(params, X, twin, w))
        params = trace[-1].maximize(reg_covar=0.0)
    assert_no_fall_but_rounding(trace)


@kinds
def test_complete_rows_among_others_have_the_sums_of_complete_ones(kind, twin):
    params, X, _ = world(SHAPES[0], kind)
    complete = X[~np.isnan(X).any(axis=1)]
    found = sweep(params, np.vstack([complete, X[:1]]), twin)
    expected = accumulate(params, complete, backend=twin)
    for name in ("all_counts", "first", "second", "loglik", "entropy"):
        close(getattr(found, name), getattr(expected, name), 1e-11)


@kinds
def test_parameters_of_sums_sweep_complete_rows_too(kind):
    params, X, _ = world(SHAPES[0], kind)
    complete, found = X[~np.isnan(X).any(axis=1)], sweep(params, X)
    assert accumulate(found.params, complete).loglik == accumulate(params, complete).loglik
    assert (found + sweep(params, X)).loglik == 2 * found.loglik


@kinds
def test_bits_do_not_depend_on_threads(kind, twin):
    params, X, w = world(SHAPES[0], kind)
    rows, weights = np.tile(X, (20, 1)), np.tile(w, 20)
    one, many = (sweep(params, rows, twin, weights, n_threads) for n_threads in (1, 3))
    for name in ("all_counts", "first", "second", "loglik", "entropy"):
        np.testing.assert_array_equal(getattr(one, name), getattr(many, name))


@kinds
@pytest.mark.parametrize("fixed", [(), ("weights",), ("means",)], ids=str)
def test_gradients_are_slopes(kind, fixed):
    params, X, w = world(SHAPES[0], kind)
    stats_, x, h = sweep(params, X, "cython", w), params.to_vector(params, fixed), 1e-5

    def loglik(vector):
        return sweep(params.from_vector(vector, fixed), X, "cython", w).loglik

    slopes = [(loglik(x + e) - loglik(x - e)) / (2 * h) for e in h * np.eye(len(x))]
    found = stats_.gradient(stats_.maximize(fixed=fixed, reg_covar=0.0), params, fixed)
    np.testing.assert_allclose(found, slopes, rtol=1e-5, atol=1e-4)


@noises
@pytest.mark.parametrize("kind", ["full", "spherical"])
def test_some_features_have_the_density_of_rows_that_lack_the_others(kind, noise):
    params, X, _ = world(SHAPES[2], kind, noise)
    features = np.array([4, 1, 6])
    rows = np.full_like(X, np.nan)
    rows[1:, features] = np.nan_to_num(X[1:, features])
    own = params.structure.of_features(features)
    part = BackgroundParams(
        params.weights, params.means[:, features], own, kind, **params.background_arrays() | sub_box(params, features)
    )
    expected = posterior(part, rows[1:, features])
    found = posterior(params, rows[1:], missing="marginalize")
    close(found.log_prob, expected.log_prob)
    close(found.resp, expected.resp)


def sub_box(params, features):
    """The box of some features, and a density per unit of volume that is the product of theirs."""
    edges = np.vstack([params.noise_box[0, features], np.diag(params.noise_box[1:].diagonal()[features])])
    return {"noise_box": edges, "noise": params.noise is True or math.exp(log_densities(params)[features].sum())}


def test_a_density_of_nothing_is_no_background():
    for kind in KINDS:
        params, X, _ = world(SHAPES[0], kind, 1e-300)
        found, alone = sweep(params, X), sweep(params.point, X)
        assert found.loglik == pytest.approx(alone.loglik + alone.total * math.log(0.8), rel=1e-13)
        assert found.noise_count < 1e-60  # of a row that has one value, 1e-100 less than the component
        close(found.second, alone.second)


# ------------------------------------------------------------------------------------------------------------- the box


def test_the_box_lies_along_the_features_about_what_is_there():
    rng = np.random.default_rng(0)
    X = rng.normal(size=(3_000, 3)) @ rng.normal(size=(3, 3)) + [1e6, 0, -5]
    X[rng.random(X.shape) < 0.3] = np.nan
    w = rng.integers(0, 2, len(X)).astype(float)
    rows = open_rows(X, sample_weight=w, missing="marginalize", fitting=True)
    found = box.box_of(rows, along_features=True)
    there = X[w > 0]
    np.testing.assert_array_equal(found[0], np.nanmin(there, axis=0))
    np.testing.assert_array_equal(found[1:], np.diag(np.nanmax(there, axis=0) - np.nanmin(there, axis=0)))


def test_a_rotated_or_flat_box_has_no_density_of_some_features():
    params, X, _ = world(SHAPES[0], "full")
    turned = params.noise_box.copy()
    turned[1:] = turned[1:] @ np.linalg.qr(np.arange(9.0).reshape(3, 3) - 7)[0]
    flat = params.noise_box * np.array([[1.0, 1.0, 1.0], [1, 1, 1], [0, 0, 0], [1, 1, 1]])
    values = {"noise_weight": params.noise_weight, "noise": 1e-3}
    for edges in (turned, flat):
        other = BackgroundParams(params.weights, params.means, params.covariances, noise_box=edges, **values)
        with pytest.raises(ValueError, match=r"X has missing values, but the density of the background .* not known"):
            sweep(other, X)
        with pytest.raises(ValueError, match=r"X has missing values, but the density of the background .* not known"):
            posterior(other, X, missing="marginalize")
        assert np.isfinite(accumulate(other, np.nan_to_num(X)).loglik)
