"""Variational Bayes: special functions, sums and bound are those of the books; the bound never falls."""

import mpmath
import numpy as np
import pytest
from support import datasets, naive, variational

from fastem.data.open import open_rows
from fastem.families.gaussian.variational import special
from fastem.families.gaussian.variational.concentration import Sticks
from fastem.families.gaussian.variational.family import VariationalFamily, moments_of
from fastem.fitting.driver import run_em
from fastem.fitting.mixture import steps_of
from fastem.fitting.settings import FitSettings

KINDS = ("full", "tied", "diag", "spherical")
WEIGHTS = ("dirichlet_process", "dirichlet_distribution")
WORLDS = [datasets.univariate_two, datasets.correlated]
ROWS = 60


@pytest.mark.parametrize(
    ("ours", "exact"),
    [
        (special.log_gamma, mpmath.loggamma),
        (special.digamma, mpmath.digamma),
        (special.trigamma, lambda x: mpmath.polygamma(1, x)),
    ],
)
def test_special_functions_are_mpmaths(ours, exact):
    x = np.concatenate([np.geomspace(1e-6, 1e9, 300), [1.0, 2.0, 1.4616321449683623, 9.999999, 10.0]])
    expected = np.array([float(exact(mpmath.mpf(float(each)))) for each in x])
    np.testing.assert_allclose(ours(x), expected, rtol=2e-14, atol=2e-14)
    np.testing.assert_allclose(ours(x.reshape(5, -1)), expected.reshape(5, -1), rtol=2e-14, atol=2e-14)


@pytest.mark.parametrize("concentration", [1e-3, 1e-10, 1e-20, 1e-300])
def test_sticks_behind_which_nothing_is_left_keep_the_bits_of_those_before(concentration):
    sticks = Sticks.prior(concentration, 4).updated(np.array([100.0, 50.0, 0.0, 0.0]))
    taken, left = ([mpmath.digamma(mpmath.mpf(float(x))) for x in each] for each in sticks.values)
    both = [mpmath.digamma(mpmath.mpf(float(a)) + mpmath.mpf(float(b))) for a, b in sticks.values.T]
    expected = [taken[c] - both[c] + sum(left[i] - both[i] for i in range(c)) for c in range(4)]
    np.testing.assert_allclose(sticks.expected_logs, np.array([float(each) for each in expected]), rtol=1e-13)


def world_of(world, kind, weights):
    """Rows with weights, a family that knows them, and its prior as the books write it."""
    X, d = world.X[:ROWS], world.X.shape[1]
    w = np.random.default_rng(3).integers(0, 3, len(X)).astype(float)
    family = VariationalFamily(kind, 1e-3, weights=weights, concentration=0.3, mean_precision=2.0, mean=np.full(d, 0.5))
    rows = open_rows(X, sample_weight=w, fitting=True)
    family = family.for_rows(rows, np.random.default_rng(0))
    scale = np.asarray(family.scale, float)
    scale = scale if scale.ndim == 2 else np.diag(np.broadcast_to(scale, d))
    prior = variational.Prior(0.3, np.full(d, 0.5), 2.0, scale, float(d), weights == "dirichlet_process")
    return rows, w, family, prior


def as_the_books(params, k, d):
    return variational.Posterior(
        params.concentration,
        params.mean_precision,
        params.means,
        params.degrees_of_freedom,
        naive.expand_covariances(params.covariances, params.covariance_type, k, d),
    )


def with_prior(rows, family, params):
    return rows.sweep(params) + family.prior_of(None).stats(params)


@pytest.mark.parametrize("world", WORLDS, ids=lambda world: world.name)
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("weights", WEIGHTS)
def test_an_iteration_is_that_of_the_books(world, kind, weights):
    rows, w, family, prior = world_of(world, kind, weights)
    k, d = 3, rows.n_features
    params = family.start(rows, k, method="kmeans", rng=np.random.default_rng(1))
    for _ in range(3):
        known = as_the_books(params, k, d)
        stats = with_prior(rows, family, params)
        assert stats.loglik == pytest.approx(variational.evidence_bound(rows.data[0], w, known, prior), rel=1e-11)
        resp = variational.responsibilities(variational.log_joint(rows.data[0], known, prior))
        np.testing.assert_allclose(rows.predict(params, "resp", None), resp, rtol=1e-9, atol=1e-12)
        assert stats.entropy == pytest.approx(naive.entropy_of(w, resp), rel=1e-9)
        expected = variational.m_step(rows.data[0], w, resp, prior, kind, 1e-3)
        params = family.maximize(stats)
        for name, value in vars(as_the_books(params, k, d)).items():
            np.testing.assert_allclose(value, getattr(expected, name), rtol=1e-9, atol=1e-12, err_msg=name)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("weights", WEIGHTS)
def test_the_gradient_is_that_of_the_bound(kind, weights):
    rows, _, family, _ = world_of(datasets.correlated, kind, weights)
    at = family.start(rows, 3, method="kmeans", rng=np.random.default_rng(1))
    stats = with_prior(rows, family, at)
    family = VariationalFamily(**vars(family) | {"reg_covar": 0.0})  # which is no part of the bound
    found, x, step = stats.gradient(family.maximize(stats), at), at.to_vector(at), 1e-5
    slopes = [
        (
            with_prior(rows, family, at.from_vector(x + e)).loglik
            - with_prior(rows, family, at.from_vector(x - e)).loglik
        )
        / (2 * step)
        for e in step * np.eye(len(x))
    ]
    np.testing.assert_allclose(found, slopes, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("acceleration", [None, "anderson", "squarem"])
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("weights", WEIGHTS)
def test_the_bound_never_falls_and_ends_at_a_fixed_point(kind, weights, acceleration):
    X = datasets.overlapping.X
    rows = open_rows(X, fitting=True)
    family = VariationalFamily(kind, 0.0, weights=weights, concentration=0.1).for_rows(rows, np.random.default_rng(0))
    start = family.start(rows, 4, method="kmeans", rng=np.random.default_rng(1))
    settings = FitSettings(
        max_iter=5000,
        tol=1e-10,
        stopping="bound",
        acceleration=acceleration,
        prior=family.prior_of(None),
        fixed=start.as_fixed(()),
    )
    fit = run_em(steps_of(rows, family, settings), start, settings)
    assert fit.converged
    assert fit.ascent.holds
    if acceleration is None:
        assert (np.diff(fit.bounds) > -1e-8).all()
    reached = family.maximize(with_prior(rows, family, fit.params))
    np.testing.assert_allclose(reached.means, fit.params.means, rtol=1e-4, atol=1e-4)
    np.testing.assert_allclose(reached.covariances, fit.params.covariances, rtol=1e-4, atol=1e-4)


def test_moments_of_all_rows_lose_no_bits_far_from_zero():
    rng = np.random.default_rng(0)
    X = rng.normal(size=(500, 2)) @ np.array([[1.0, 0.5], [0.0, 2.0]]) + np.array([1e8, -3e7])
    params, total = moments_of(open_rows(X, fitting=True))
    residual = X - X.mean(axis=0)
    np.testing.assert_allclose(params.means[0], X.mean(axis=0), rtol=1e-15)
    np.testing.assert_allclose(params.covariances[0], residual.T @ residual / 500, rtol=1e-6)
    assert total == 500
