"""Priors: their densities are those of SciPy, their sums lead to the mode of the posterior."""

from dataclasses import replace

import numpy as np
import pytest
from scipy import stats
from support import datasets
from support.sweeps import KINDS, binomial_params, normal_params

import fastem
from fastem import BinomialMixture, BinomialPrior, GaussianMixture, GaussianPrior

WORLDS = [datasets.univariate_two, datasets.overlapping, datasets.correlated]


def some_prior(d, kind="full", seed=0):
    """A prior that pulls noticeably."""
    A = np.random.default_rng(seed).normal(size=(d, d))
    scale = A @ A.T + np.eye(d)
    return GaussianPrior(
        concentration=3.0,
        mean=np.linspace(-1.0, 1.0, d),
        mean_precision=20.0,
        scale=40.0 * scale,
        degrees_of_freedom=d + 30.0,
    )


def log_density(prior, params):
    """By SciPy."""
    (k, d), kind = params.means.shape, params.covariance_type
    total = stats.dirichlet(np.full(k, prior.concentration)).logpdf(params.weights)
    scale, freedom = np.asarray(prior.scale), prior.degrees_of_freedom
    full = {
        "full": lambda: params.covariances,
        "tied": lambda: np.tile(params.covariances, (k, 1, 1)),
        "diag": lambda: np.array([np.diag(v) for v in params.covariances]),
        "spherical": lambda: np.array([v * np.eye(d) for v in params.covariances]),
    }[kind]()
    for mean, covariance in zip(params.means, full, strict=True):
        total += stats.multivariate_normal(prior.mean, covariance / prior.mean_precision).logpdf(mean)
    if kind in ("full", "tied"):
        total += sum(stats.invwishart(freedom, scale).logpdf(S) for S in params.covariances.reshape(-1, d, d))
    else:
        scales = scale.diagonal() if kind == "diag" else [scale.diagonal().mean()]
        variances = params.covariances.reshape(k, -1)
        for row in variances:
            total += sum(stats.invgamma(freedom / 2, scale=s / 2).logpdf(v) for s, v in zip(scales, row, strict=True))
    return total


@pytest.mark.parametrize("world", WORLDS, ids=lambda world: world.name)
@pytest.mark.parametrize("kind", KINDS)
def test_the_density_of_a_prior_is_scipys(world, kind):
    params = normal_params(world, kind)
    prior = some_prior(params.n_features)
    assert prior.stats(params).loglik == pytest.approx(log_density(prior, params), rel=1e-12)


def test_the_density_of_a_prior_of_coins_is_scipys():
    params = binomial_params(datasets.three_questions)
    prior = BinomialPrior(concentration=2.5, successes=3.0, failures=1.5)
    expected = stats.dirichlet(np.full(2, 2.5)).logpdf(params.weights) + stats.beta(3.0, 1.5).logpdf(params.probs).sum()
    assert prior.stats(params).loglik == pytest.approx(expected, rel=1e-12)


def gradient(sweep, params, extra, step=1e-5):
    """Of the log posterior by central differences, and as the M-step tells it."""
    found = sweep(params)
    at = params.to_vector(params)
    slopes = []
    for e in step * np.eye(len(at)):
        above, below = (sweep(params.from_vector(at + sign * e)).loglik for sign in (1, -1))
        slopes.append((above - below) / (2 * step))
    return np.array(slopes), found.gradient(found.maximize(**extra), params)


@pytest.mark.parametrize("world", WORLDS, ids=lambda world: world.name)
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("parts", ["all", "weights", "means", "covariances"])
@pytest.mark.seconds
def test_the_gradient_of_a_posterior_is_that_of_its_log_density(world, kind, parts):
    params = normal_params(world, kind)
    prior = some_prior(params.n_features)
    prior = {
        "all": prior,
        "weights": GaussianPrior(concentration=3.0),
        "means": replace(prior, scale=None, concentration=1.0),
        "covariances": replace(prior, mean=None, mean_precision=0.0, concentration=1.0),
    }[parts]
    with fastem.open_rows(world.X) as rows:
        expected, found = gradient(lambda p: rows.sweep(p) + prior.stats(p), params, {"reg_covar": 0.0})
    np.testing.assert_allclose(found, expected, atol=1e-7 * np.abs(expected).max())


def test_the_gradient_of_a_posterior_of_coins():
    world, params = datasets.three_questions, binomial_params(datasets.three_questions)
    prior = BinomialPrior(concentration=4.0, successes=20.0, failures=5.0)
    with fastem.open_rows(world.X, world.trials, has_trials=True) as rows:
        expected, found = gradient(lambda p: rows.sweep(p) + prior.stats(p), params, {})
    np.testing.assert_allclose(found, expected, atol=1e-7 * np.abs(expected).max())


@pytest.mark.parametrize("acceleration", [None, "anderson", "quasi-newton"])
@pytest.mark.parametrize("kind", KINDS)
def test_the_log_posterior_never_falls_and_ends_at_a_mode(kind, acceleration):
    X = datasets.overlapping.X
    mixture = GaussianMixture(
        3,
        covariance_type=kind,
        prior=some_prior(2),
        reg_covar=0.0,
        random_state=0,
        tol=1e-10,
        max_iter=5_000,
        acceleration=acceleration,
        stopping="aitken",
    ).fit(X)
    assert mixture.converged_
    assert (np.diff(mixture.history_.loglik) >= -1e-12 * np.abs(mixture.history_.loglik[1:])).all()
    with fastem.open_rows(X) as rows:
        stats_ = rows.sweep(mixture.params_) + mixture.prior.stats(mixture.params_)
    assert mixture.log_posterior_ == pytest.approx(stats_.loglik, rel=1e-12)
    slopes = stats_.gradient(stats_.maximize(reg_covar=0.0), mixture.params_)
    assert np.abs(slopes).max() / len(X) < 1e-3
    assert mixture.loglik_ == pytest.approx(mixture.score(X) * len(X), rel=1e-12)


def test_one_component_ends_at_the_closed_form():
    """Fraley and Raftery (2007), equations 8 and 9."""
    X, prior = datasets.one_component.X, some_prior(3)
    mixture = GaussianMixture(1, prior=prior, reg_covar=0.0, tol=1e-13).fit(X)
    n, kappa, mean = len(X), prior.mean_precision, X.mean(axis=0)
    expected = (kappa * prior.mean + n * mean) / (kappa + n)
    shift = (mean - prior.mean)[:, None]
    scatter = prior.scale + (X - mean).T @ (X - mean) + kappa * n / (kappa + n) * shift @ shift.T
    np.testing.assert_allclose(mixture.means_[0], expected, rtol=1e-10)
    np.testing.assert_allclose(mixture.covariances_[0], scatter / (n + prior.degrees_of_freedom + 3 + 2), rtol=1e-10)


def test_coins_end_at_the_closed_form():
    X, trials = np.array([3, 9, 4]), 10
    prior = BinomialPrior(successes=5.0, failures=3.0)
    coin = BinomialMixture(1, prior=prior).fit(X, trials=trials)
    assert coin.probs_[0, 0] == pytest.approx((16 + 4) / (30 + 4 + 2), rel=1e-12)
    assert coin.log_posterior_ == pytest.approx(coin.loglik_ + prior.stats(coin.params_).loglik, rel=1e-12)


def test_a_prior_keeps_a_component_without_rows_alive_and_off_the_edge():
    X = np.zeros(50, int)
    prior = BinomialPrior(concentration=2.0, successes=2.0, failures=2.0)
    coins = BinomialMixture(2, prior=prior, probs_init=[0.1, 0.9], max_iter=2_000, tol=1e-10).fit(X, trials=5)
    assert coins.weights_.min() > 0.01
    assert coins.probs_.min() > 0
    assert len(coins.empty_components_) == 0


def test_a_component_that_the_prior_alone_holds_is_told():
    X = datasets.two_far.X
    prior = GaussianPrior(concentration=2.0)
    start = {"means_init": [[-10.0, 5.0], [1e6, 1e6]], "precisions_init": [np.eye(2)] * 2, "weights_init": [0.5, 0.5]}
    with pytest.warns(fastem.EmptyComponentWarning, match=r"components \[1\] .* have what the prior gives them"):
        mixture = GaussianMixture(2, prior=prior, **start).fit(X)
    assert mixture.empty_components_.tolist() == [1]
    assert mixture.weights_[1] == pytest.approx(1 / (len(X) + 2), rel=1e-12)


def test_a_fit_that_goes_on_from_its_end_is_at_its_end():
    X, prior = datasets.overlapping.X, GaussianPrior(concentration=50.0)
    settings = {"random_state": 0, "init_params": "kmeans", "tol": 1e-4, "max_iter": 1_000}
    mixture = GaussianMixture(3, prior=prior, warm_start=True, **settings).fit(X)
    assert mixture.fit(X).n_iter_ == 1
    assert mixture.lower_bound_ * len(X) == pytest.approx(mixture.history_.loglik[-1], rel=1e-12)


def test_single_precision_settings_are_computed_in_double():
    X = datasets.overlapping.X
    fits = [
        GaussianMixture(3, random_state=0, prior=GaussianPrior(concentration=kind(2))).fit(X)
        for kind in (float, np.float32)
    ]
    assert fits[0].log_posterior_ == fits[1].log_posterior_


def test_a_flat_prior_is_none():
    X = datasets.overlapping.X
    flat, none = (GaussianMixture(3, random_state=0, prior=prior).fit(X) for prior in (GaussianPrior(), None))
    np.testing.assert_allclose(flat.covariances_, none.covariances_, rtol=1e-12)
    assert none.log_posterior_ == none.loglik_


@pytest.mark.parametrize(
    ("make", "error", "message"),
    [
        (lambda: BinomialPrior(successes=0.5), ValueError, "successes must be at least 1 and at most .*, got 0.5"),
        (lambda: BinomialPrior(concentration="one"), TypeError, "concentration must be a number"),
        (lambda: GaussianPrior(mean_precision=1.0), ValueError, "mean is needed where mean_precision is above 0"),
        (
            lambda: GaussianPrior(scale=[[1.0, 2.0], [2.0, 1.0]]),
            ValueError,
            "'scale' should be symmetric, positive-def",
        ),
        (lambda: GaussianPrior(scale=3.0), ValueError, "scale must be a square matrix, got shape"),
        (
            lambda: GaussianPrior(degrees_of_freedom=-5),
            ValueError,
            "degrees_of_freedom must be finite and not negative",
        ),
        (lambda: GaussianPrior(degrees_of_freedom="a"), TypeError, "degrees_of_freedom must be a number"),
        (lambda: GaussianPrior(concentration=1e308), ValueError, "concentration must be at least 1 and at most 2"),
        (lambda: GaussianPrior(scale=np.eye(3)).check("full", 1, 2), ValueError, "'scale' should have the shape of"),
        (
            lambda: GaussianPrior(mean=[0.0], mean_precision=1.0).check("full", 1, 2),
            ValueError,
            "'mean' should have the sh",
        ),
        (
            lambda: GaussianPrior(scale=np.eye(3), degrees_of_freedom=2.0).check("full", 1, 3),
            ValueError,
            "must be above 2",
        ),
    ],
)
def test_bad_priors(make, error, message):
    with pytest.raises(error, match=message):
        make()
