"""A prior with a mean for each component: relevance MAP, the adaptation of a known mixture to few rows."""

import numpy as np
import pytest
from scipy import stats
from support import datasets, naive
from support.sweeps import KINDS, normal_params

import fastem
from fastem import GaussianMixture, GaussianPrior

X = datasets.overlapping.X
MEANS = normal_params(datasets.overlapping, "full").means
RELEVANCE = 16.0


def relevance_map(X, params, relevance):
    """Return the means after one iteration, as Reynolds, Quatieri and Dunn (2000), equations 7 to 14, write them."""
    k, d = params.means.shape
    covariances = naive.expand_covariances(params.covariances, params.covariance_type, k, d)
    resp = naive.posterior(naive.normal_log_density(X, params.means, covariances), params.weights)[1]
    adapted = np.empty((k, d))
    for c in range(k):
        n = resp[:, c].sum()
        expected = (resp[:, c, np.newaxis] * X).sum(axis=0) / n
        alpha = n / (n + relevance)
        adapted[c] = alpha * expected + (1 - alpha) * params.means[c]
    return adapted


def adapted(params, X, n_iter, **settings):
    prior = GaussianPrior(mean=params.means, mean_precision=RELEVANCE)
    fixed = {"fixed": ("weights", "covariances"), "warm_start": True, "max_iter": n_iter, "tol": 0.0}
    return GaussianMixture.from_params(params, prior=prior, **fixed | settings).fit(X)


@pytest.mark.filterwarnings("ignore::fastem.ConvergenceWarning")
@pytest.mark.parametrize("n_rows", [25, 9_000], ids=["few rows", "several slots"])
@pytest.mark.parametrize("kind", KINDS)
def test_one_iteration_is_relevance_map(kind, n_rows, twin):
    params = normal_params(datasets.overlapping, kind)
    rows = np.random.default_rng(0).choice(X, n_rows) + 0.5
    found = adapted(params, rows, 1, backend=twin)
    np.testing.assert_allclose(found.means_, relevance_map(rows, params, RELEVANCE), rtol=1e-10)
    np.testing.assert_array_equal(found.weights_, params.weights)
    np.testing.assert_array_equal(found.covariances_, params.covariances)


@pytest.mark.parametrize("acceleration", [None, "quasi-newton"])
def test_the_end_is_where_relevance_map_stays(acceleration):
    """The prior keeps the means that it has, and does not move along with those of the fit."""
    params = normal_params(datasets.overlapping, "full")
    end = adapted(params, X[:40], 2_000, tol=1e-12, acceleration=acceleration)
    assert end.converged_
    resp = end.predict_proba(X[:40])
    counts = resp.sum(axis=0)[:, np.newaxis]
    expected = (resp.T @ X[:40] + RELEVANCE * params.means) / (counts + RELEVANCE)
    np.testing.assert_allclose(end.means_, expected, rtol=1e-5)
    assert (np.diff(end.history_.loglik) >= -1e-12 * np.abs(end.history_.loglik[1:])).all()


def test_partial_fits_are_relevance_map_too():
    params = normal_params(datasets.overlapping, "diag")
    found = GaussianMixture.from_params(
        params, prior=GaussianPrior(mean=params.means, mean_precision=RELEVANCE), fixed=("weights", "covariances")
    ).partial_fit(X[:50])
    np.testing.assert_allclose(found.means_, relevance_map(X[:50], params, RELEVANCE), rtol=1e-10)


@pytest.mark.parametrize("kind", KINDS)
def test_the_density_is_scipys(kind):
    params = normal_params(datasets.overlapping, kind)
    prior = GaussianPrior(mean=MEANS, mean_precision=3.0)
    covariances = naive.expand_covariances(params.covariances, kind, 3, 2)
    pairs = zip(params.means, MEANS, covariances, strict=True)
    expected = sum(stats.multivariate_normal(mean, S / 3.0).logpdf(m) for m, mean, S in pairs)
    expected += stats.dirichlet(np.ones(3)).logpdf(params.weights)
    assert prior.stats(params).loglik == pytest.approx(expected, rel=1e-12)


def test_equal_means_are_one_mean():
    one, each = (GaussianPrior(mean=mean, mean_precision=5.0) for mean in ([1.0, 2.0], np.tile([1.0, 2.0], (3, 1))))
    start = {"means_init": MEANS, "tol": 1e-6, "random_state": 0}
    fits = [GaussianMixture(3, prior=prior, **start).fit(X) for prior in (one, each)]
    np.testing.assert_array_equal(fits[0].means_, fits[1].means_)
    assert fits[0].log_posterior_ == fits[1].log_posterior_


@pytest.mark.filterwarnings("ignore::fastem.ConvergenceWarning")
def test_a_fit_begins_at_the_means_of_the_prior_and_keeps_their_places():
    prior = GaussianPrior(mean=MEANS, mean_precision=1e9)
    np.testing.assert_allclose(GaussianMixture(3, prior=prior, random_state=0).fit(X).means_, MEANS, atol=1e-5)
    start = GaussianMixture(3, prior=prior, max_iter=0, random_state=0).fit(X)
    np.testing.assert_array_equal(start.means_, MEANS)
    given = GaussianMixture(3, prior=prior, means_init=MEANS + 1, max_iter=0, random_state=0).fit(X)
    np.testing.assert_array_equal(given.means_, MEANS + 1)


def test_a_saved_mixture_has_its_prior(tmp_path):
    mixture = GaussianMixture(3, prior=GaussianPrior(mean=MEANS, mean_precision=5.0), random_state=0).fit(X)
    mixture.save(tmp_path / "adapted")
    np.testing.assert_array_equal(fastem.load(tmp_path / "adapted").prior.mean, MEANS)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"n_components": 2}, r"'mean' should have the shape of \(2, 2\), but got \(3, 2\)"),
        ({"order_by": "means"}, "order_by must be None where the prior has a mean for each component"),
        ({"on_collapse": "drop"}, "on_collapse must be 'floor' or 'raise' where the prior has a mean for each"),
        ({"on_collapse": "reseed"}, "on_collapse must be 'floor' or 'raise' where the prior has a mean for each"),
    ],
    ids=str,
)
def test_what_would_move_components_is_refused(settings, message):
    prior = GaussianPrior(mean=MEANS, mean_precision=5.0)
    with pytest.raises(ValueError, match=message):
        GaussianMixture(**{"n_components": 3, "prior": prior} | settings).fit(X)


def test_components_that_a_prior_tells_apart_are_not_split_or_merged():
    mixture = GaussianMixture(3, prior=GaussianPrior(mean=MEANS, mean_precision=5.0), random_state=0).fit(X)
    with pytest.raises(ValueError, match=r"improve splits and merges components, which needs .* one mean in the prior"):
        mixture.improve(X)


@pytest.mark.parametrize("mean", [1.0, np.zeros((2, 2, 2)), np.zeros((0,)), [[np.nan, 0.0]]], ids=str)
def test_means_that_are_none_are_refused_by_name(mean):
    with pytest.raises(ValueError, match=r"'?mean'?"):
        GaussianPrior(mean=mean, mean_precision=1.0).check("full", 2, 2)
