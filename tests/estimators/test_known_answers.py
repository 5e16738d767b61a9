"""The estimators on real data with known answers, published examples, and scikit-learn's numbers."""

import math

import numpy as np
import pytest
from sklearn.mixture import GaussianMixture as Reference
from support import naive
from support.real_data import KINDS, clouds, quietly, read

from fastem import BinomialMixture, GaussianMixture

TIGHT = {"tol": 1e-12, "max_iter": 20_000, "random_state": 0}


# ----------------------------------------------------------------------------------------------------------- real data


def test_old_faithful(twin):
    """Log likelihood of R mclust's VVV model."""
    mixture = GaussianMixture(2, reg_covar=0.0, backend=twin, **TIGHT).fit(read("old_faithful.csv"))
    assert mixture.loglik_ == pytest.approx(-1130.264, abs=5e-4)


def test_old_faithful_waiting_time(twin):
    mixture = GaussianMixture(2, reg_covar=0.0, backend=twin, **TIGHT).fit(read("old_faithful.csv")[:, 1:])
    np.testing.assert_allclose(np.sort(mixture.means_.ravel()), [54.61, 80.09], atol=5e-3)
    assert mixture.loglik_ == pytest.approx(-1034.002, abs=5e-4)


@pytest.mark.parametrize("k", [3, 4, 5, 6])
@pytest.mark.seconds
def test_galaxies(k, twin):
    """At least the log likelihood of scikit-learn's best of as many starts."""
    X = read("galaxies.csv") / 1000
    settings = {"n_init": 10, "tol": 1e-9, "max_iter": 20_000, "random_state": 0}
    mixture = GaussianMixture(k, backend=twin, **settings).fit(X)
    reference = Reference(k, **settings).fit(X)
    assert mixture.loglik_ >= reference.score(X) * len(X) - 1e-3


def test_saxony(twin):
    """Boys among 12 children in families of Saxony; the maximum is -12492.406222."""
    boys, girls, families = read("saxony.csv").T
    settings = {**TIGHT, "tol": 1e-14, "weights_init": [0.5, 0.5], "probs_init": [0.45, 0.6], "backend": twin}
    mixture = BinomialMixture(2, **settings)
    mixture.fit(boys, trials=12, sample_weight=families)
    assert mixture.loglik_ == pytest.approx(-12492.406222, abs=1e-6)
    by_array = BinomialMixture(2, **settings)
    by_array.fit(boys[:, None], trials=boys + girls, sample_weight=families)
    assert by_array.loglik_ == mixture.loglik_


# ------------------------------------------------------------------------------------------------- published examples


COINS_Q = [
    -32.68721052517165, -31.258877917413145, -30.760072598843628, -30.33053606687176, -30.071062062760774,
    -29.95042921516964, -29.90079955867412, -29.881202814860167, -29.873553692091832, -29.870576075992844,
    -29.86941691676721, -29.868965223428773,
]  # fmt: skip


def test_three_coins(twin):
    """Do and Batzoglou (2008); this trace leaves out mixing weights and binomial coefficients."""
    heads = [5, 9, 8, 4, 7]
    coins = BinomialMixture(
        2,
        weights_init=[0.5, 0.5],
        probs_init=[0.6, 0.5],
        fixed=("weights",),
        stopping="q",
        tol=1e-3,
        acceleration=None,
        backend=twin,
    )
    coins.fit(heads, trials=10)
    constant = sum(math.log(math.comb(10, h)) for h in heads) + 5 * math.log(0.5)
    np.testing.assert_allclose(coins.history_.q - constant, COINS_Q, rtol=1e-12)
    assert [f"{p:.8g}" for p in coins.probs_.ravel()] == ["0.7967829", "0.51959543"]
    np.testing.assert_array_equal(coins.weights_, [0.5, 0.5])


@pytest.mark.seconds
def test_three_coins_with_free_weights(twin):
    heads = np.array([5.0, 9, 8, 4, 7])[:, None]
    held = BinomialMixture(2, weights_init=[0.5, 0.5], probs_init=[0.6, 0.5], fixed=("weights",), backend=twin, **TIGHT)
    free = BinomialMixture(2, weights_init=[0.5, 0.5], probs_init=[0.6, 0.5], backend=twin, **TIGHT)
    assert free.fit(heads, trials=10).loglik_ > held.fit(heads, trials=10).loglik_
    expected = naive.binomial_em(heads, np.full((5, 1), 10.0), np.ones(5), [0.5, 0.5], np.array([[0.6], [0.5]]), 5000)
    np.testing.assert_allclose(free.probs_, expected[1], rtol=1e-4)


def test_three_component_univariate_demo(twin):
    """4,500 points, random means, random start, until Q stands still; no regularisation."""
    rng = np.random.default_rng(12)
    X = np.concatenate([rng.normal(mean, 1.0, 1500) for mean in rng.uniform(-10, 10, 3)])[:, None]
    sd = rng.uniform(0.1, 3.0, 3)
    mixture = GaussianMixture(
        3,
        weights_init=rng.dirichlet(np.ones(3)),
        means_init=rng.uniform(X.min(), X.max(), (3, 1)),
        precisions_init=(1 / sd**2).reshape(3, 1, 1),
        reg_covar=0.0,
        stopping="q",
        tol=1e-12,
        max_iter=100_000,
        backend=twin,
    ).fit(X)
    assert mixture.converged_
    assert mixture.stop_reason_ == "change of q below tol=1e-12"
    assert (np.diff(mixture.history_.loglik) >= -1e-12 * np.abs(mixture.loglik_)).all()


def test_two_component_univariate_equals_scikit_learn(twin):
    rng = np.random.default_rng(0)
    X = np.concatenate([rng.normal(0, 1, 50), rng.normal(5, 1, 50)])[:, None]
    ours = GaussianMixture(2, backend=twin, **TIGHT).fit(X)
    theirs = Reference(2, **TIGHT).fit(X)
    order, reference = np.argsort(ours.means_.ravel()), np.argsort(theirs.means_.ravel())
    np.testing.assert_allclose(ours.means_[order], theirs.means_[reference], rtol=1e-5)
    np.testing.assert_allclose(ours.covariances_[order], theirs.covariances_[reference], rtol=1e-4)


def test_two_sex_heights(twin):
    rng = np.random.default_rng(3)
    X = np.concatenate([rng.normal(178, 6, 50), rng.normal(164, 5, 50)])[:, None]
    mixture = GaussianMixture(2, init_params="kmeans", random_state=0, backend=twin).fit(X)
    resp = mixture.predict_proba(X)
    tall = int(mixture.means_.argmax())
    assert abs(mixture.means_[tall, 0] - 178) < 3
    assert (resp[:50, tall] > 0.5).mean() > 0.8
    assert (resp[50:, tall] < 0.5).mean() > 0.8
    np.testing.assert_allclose(resp.sum(axis=1), 1.0, rtol=1e-14)


# ------------------------------------------------------------------------------------------- scikit-learn's numbers


@pytest.mark.parametrize("n_iter", [1, 2, 5, 50])
@pytest.mark.parametrize("d", [1, 2, 6])
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.seconds
def test_iterations_equal_scikit_learn(kind, d, n_iter, twin):
    X = clouds(d)
    start = {
        "weights_init": np.array([0.2, 0.3, 0.5]),
        "means_init": X[[0, 400, 700]],
        "precisions_init": naive.reduce_covariances(np.tile(np.eye(d), (3, 1, 1)), np.full(3, 1 / 3), kind),
    }
    settings = {"covariance_type": kind, "max_iter": n_iter, "tol": 0.0, "reg_covar": 1e-4, **start}
    ours = quietly(GaussianMixture(3, backend=twin, **settings).fit, X)
    theirs = quietly(Reference(3, **settings).fit, X)
    for name in ("weights_", "means_", "covariances_", "precisions_", "precisions_cholesky_"):
        found, expected = getattr(ours, name), getattr(theirs, name)
        assert found.shape == expected.shape
        np.testing.assert_allclose(found, expected, rtol=1e-8, atol=1e-8 * np.abs(expected).max(), err_msg=name)
    assert ours.n_iter_ == theirs.n_iter_
    assert ours.lower_bound_ == pytest.approx(theirs.lower_bound_, rel=1e-10)
    for name in ("score_samples", "predict_proba", "predict", "score", "aic", "bic"):
        np.testing.assert_allclose(getattr(ours, name)(X), getattr(theirs, name)(X), rtol=1e-7, atol=1e-9, err_msg=name)


def test_default_settings_are_scikit_learns():
    theirs = Reference().get_params()
    ours = GaussianMixture().get_params()
    assert (ours["init_params"], theirs["init_params"]) == ("auto", "kmeans")
    theirs["init_params"] = "auto"
    assert {name: ours[name] for name in theirs} == theirs
    assert set(ours) - set(theirs) == {
        "fixed",
        "noise",
        "prior",
        "order_by",
        "stopping",
        "acceleration",
        "warm_sweeps",
        "missing",
        "on_collapse",
        "max_time",
        "on_interrupt",
        "callback",
        "checkpoint",
        "checkpoint_every",
        "backend",
        "n_threads",
    }
