"""The estimators as a user meets them: real data with known answers, scikit-learn's numbers, the whole interface."""

import copy
import math
import pickle
import warnings
from pathlib import Path

import numpy as np
import pytest
from sklearn.base import clone
from sklearn.mixture import GaussianMixture as Reference
from support import naive

import fastem
from fastem import BinomialMixture, ConvergenceWarning, GaussianMixture

DATA = Path(__file__).parents[2] / "examples" / "data"
KINDS = ("full", "tied", "diag", "spherical")
TIGHT = {"tol": 1e-12, "max_iter": 20_000, "random_state": 0}


def read(name):
    return np.loadtxt(DATA / name, delimiter=",", skiprows=1, ndmin=2)


def clouds(d=2, n=300, seed=0):
    rng = np.random.default_rng(seed)
    return np.concatenate([rng.normal(size=(n, d)) + 4 * center for center in range(3)])


def quietly(function, *arguments, **named):
    """Without the warning that a fit was cut short, which the caller asked for."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", category=UserWarning, message="Best performing initialization")
        return function(*arguments, **named)


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
    mixture = GaussianMixture(2, random_state=0, backend=twin).fit(X)
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
    assert {name: ours[name] for name in theirs} == theirs
    assert set(ours) - set(theirs) == {
        "fixed",
        "prior",
        "order_by",
        "stopping",
        "acceleration",
        "warm_sweeps",
        "on_collapse",
        "max_time",
        "on_interrupt",
        "callback",
        "checkpoint",
        "checkpoint_every",
        "backend",
        "n_threads",
    }


# --------------------------------------------------------------------------------------------------- the interface


@pytest.mark.parametrize("kind", KINDS)
def test_history_and_final_log_likelihood(kind):
    X = clouds()
    mixture = GaussianMixture(3, covariance_type=kind, random_state=0, tol=1e-6).fit(X)
    history = mixture.history_
    assert len(history) == mixture.n_iter_ == len(history.q) == len(history.entropy)
    np.testing.assert_allclose(history.loglik, history.q + history.entropy, rtol=1e-10)
    # the mean is over the sum of the counts, which is the number of rows to rounding
    assert mixture.lower_bound_ == pytest.approx(history.loglik[-1] / len(X), rel=1e-13)
    assert mixture.loglik_ == pytest.approx(mixture.score(X) * len(X), rel=1e-12)
    assert mixture.stop_reason_ == "change of loglik below tol=1e-06"
    assert mixture.n_features_in_ == 2
    assert len(mixture.empty_components_) == 0


def test_sample_weight_is_repetition():
    X, times = clouds(), np.random.default_rng(0).integers(0, 4, 900)
    start = {
        "means_init": X[[0, 400, 700]],
        "weights_init": np.full(3, 1 / 3),
        "precisions_init": np.tile(np.eye(2), (3, 1, 1)),
    }
    a = GaussianMixture(3, **start).fit(X, sample_weight=times)
    b = GaussianMixture(3, **start).fit(np.repeat(X, times, axis=0))
    np.testing.assert_allclose(a.means_, b.means_, rtol=1e-10)
    np.testing.assert_allclose(a.covariances_, b.covariances_, rtol=1e-9, atol=1e-12)
    assert a.n_iter_ == b.n_iter_
    assert a.bic(X, sample_weight=times) == pytest.approx(b.bic(np.repeat(X, times, axis=0)), rel=1e-12)
    assert a.score(X, sample_weight=times) == pytest.approx(b.score(np.repeat(X, times, axis=0)), rel=1e-12)


def test_best_of_several_starts():
    X = read("galaxies.csv") / 1000
    one = quietly(GaussianMixture(6, random_state=3, init_params="random").fit, X)
    many = quietly(GaussianMixture(6, random_state=3, init_params="random", n_init=10).fit, X)
    assert many.loglik_ >= one.loglik_


@pytest.mark.parametrize("init_params", ["kmeans", "k-means++", "random", "random_from_data"])
@pytest.mark.parametrize("kind", KINDS)
def test_random_state_decides_the_fit(init_params, kind):
    X = clouds()

    def make(seed):
        return quietly(GaussianMixture(3, covariance_type=kind, init_params=init_params, random_state=seed).fit, X)

    a, b = make(5), make(5)
    np.testing.assert_array_equal(a.means_, b.means_)
    for other in (np.random.default_rng(5), np.random.RandomState(5), None):
        assert np.isfinite(make(other).loglik_)


def test_warm_start_goes_on_where_it_stopped():
    X = clouds()
    whole = quietly(GaussianMixture(3, random_state=0, max_iter=6, tol=0.0, init_params="random").fit, X)
    parts = GaussianMixture(3, random_state=0, max_iter=2, tol=0.0, init_params="random", warm_start=True)
    for _ in range(3):
        quietly(parts.fit, X)
    np.testing.assert_array_equal(parts.means_, whole.means_)


def test_max_iter_zero_returns_the_start():
    X = clouds()
    mixture = GaussianMixture(3, means_init=X[:3], max_iter=0, random_state=0).fit(X)
    np.testing.assert_array_equal(mixture.means_, X[:3])
    assert (mixture.n_iter_, mixture.converged_, len(mixture.history_)) == (0, False, 0)


def test_a_fit_cut_short_warns():
    with pytest.warns(ConvergenceWarning, match="did not converge"):
        mixture = GaussianMixture(3, max_iter=1, tol=0.0, random_state=0).fit(clouds())
    assert not mixture.converged_
    assert mixture.stop_reason_ == "max_iter=1 reached"


def test_an_empty_component_is_reported():
    X = clouds()
    mixture = GaussianMixture(2, means_init=[[4.0, 4.0], [1e4, 1e4]], precisions_init=np.tile(np.eye(2), (2, 1, 1)),
                              weights_init=[0.5, 0.5])  # fmt: skip
    with pytest.warns(fastem.EmptyComponentWarning, match=r"components \[1\] lost all their points"):
        mixture.fit(X)
    assert mixture.empty_components_.tolist() == [1]
    assert mixture.weights_.tolist() == [1.0, 0.0]
    np.testing.assert_array_equal(mixture.means_[1], [1e4, 1e4])


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("d", [1, 3])
def test_sample_draws_from_the_fitted_mixture(kind, d):
    X = clouds(d)
    mixture = GaussianMixture(3, covariance_type=kind, random_state=0).fit(X)
    drawn, labels = mixture.sample(30_000)
    assert drawn.shape == (30_000, d)
    assert (np.diff(labels) >= 0).all()
    # standard errors of means and proportions at this size are below 0.01; five of them
    np.testing.assert_allclose(np.bincount(labels) / 30_000, mixture.weights_, atol=0.02)
    for c in range(3):
        np.testing.assert_allclose(drawn[labels == c].mean(axis=0), mixture.means_[c], atol=0.06)
        found = np.cov(drawn[labels == c].T, bias=True).reshape(d, d)
        full = naive.expand_covariances(mixture.covariances_, kind, 3, d)[c]
        np.testing.assert_allclose(found, full, atol=0.1)


def test_binomial_interface():
    rng = np.random.default_rng(0)
    trials = rng.integers(5, 60, 2000)
    X = rng.binomial(trials, np.where(rng.random(2000) < 0.3, 0.15, 0.7)).astype(float)
    mixture = BinomialMixture(2, tol=1e-9, max_iter=1000).fit(X, trials=trials)
    assert mixture.probs_.shape == (2, 1)
    np.testing.assert_allclose(np.sort(mixture.probs_.ravel()), [0.15, 0.7], atol=0.02)
    log_density = naive.binomial_log_density(X[:, None], trials[:, None], mixture.probs_)
    log_prob, resp = naive.posterior(log_density, mixture.weights_)
    np.testing.assert_allclose(mixture.score_samples(X, trials=trials), log_prob, rtol=1e-11)
    np.testing.assert_allclose(mixture.predict_proba(X, trials=trials), resp, rtol=1e-8, atol=1e-12)
    assert (mixture.predict(X, trials=trials) == resp.argmax(axis=1)).all()
    assert (mixture.fit_predict(X, trials=trials) == resp.argmax(axis=1)).all()
    assert mixture.score(X, trials=trials) == pytest.approx(log_prob.mean(), rel=1e-12)
    assert mixture.loglik_ == pytest.approx(log_prob.sum(), rel=1e-11)
    assert mixture.aic(X, trials=trials) == pytest.approx(-2 * log_prob.sum() + 2 * 3, rel=1e-12)
    assert mixture.bic(X, trials=trials) == pytest.approx(-2 * log_prob.sum() + 3 * math.log(2000), rel=1e-12)
    drawn, labels = mixture.sample(20_000, trials=40)
    assert drawn.shape == (20_000, 1)
    for c in range(2):
        assert drawn[labels == c].mean() == pytest.approx(40 * mixture.probs_[c, 0], rel=0.02)


def test_binomial_starts():
    X = np.r_[np.full(50, 1.0), np.full(50, 9.0)]
    assert len(np.unique(BinomialMixture(3, max_iter=0).fit(X, trials=10).probs_)) == 3  # ties are moved apart
    a = BinomialMixture(2, n_init=4, random_state=0).fit(X, trials=10)
    np.testing.assert_allclose(np.sort(a.probs_.ravel()), [0.1, 0.9], atol=1e-6)
    np.testing.assert_array_equal(
        BinomialMixture(2, probs_init=[0.2, 0.8], max_iter=0).fit(X, trials=10).probs_,
        BinomialMixture(2, probs_init=[[0.2], [0.8]], max_iter=0).fit(X, trials=10).probs_,
    )


def test_parameters_are_held_as_scikit_learn_holds_them():
    mixture = GaussianMixture(3, covariance_type="diag", tol=1e-5)
    assert repr(mixture) == "GaussianMixture(covariance_type='diag', n_components=3, tol=1e-05)"
    assert clone(mixture).get_params() == mixture.get_params()
    assert mixture.set_params(n_components=2) is mixture
    assert mixture.n_components == 2
    with pytest.raises(ValueError, match="Invalid parameter 'components'"):
        mixture.set_params(components=2)


@pytest.mark.parametrize("copied", [copy.deepcopy, lambda m: pickle.loads(pickle.dumps(m))])
def test_copies_predict_the_same(copied):
    X = clouds()
    mixture = GaussianMixture(3, random_state=0).fit(X)
    np.testing.assert_array_equal(copied(mixture).predict_proba(X), mixture.predict_proba(X))
    np.testing.assert_array_equal(copied(mixture).history_.loglik, mixture.history_.loglik)


def test_verbose_reports_on_standard_output(capsys):
    GaussianMixture(3, random_state=0, verbose=2, verbose_interval=1).fit(clouds())
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == "Initialization 1"
    assert "ll change" in lines[1]


def test_same_bits_of_a_whole_fit_for_any_number_of_threads(twin, monkeypatch):
    monkeypatch.setattr("fastem.kernels.backend.PARALLEL_WORK", 0)
    X = clouds(2, 7000)
    fits = [GaussianMixture(3, random_state=0, backend=twin, n_threads=n).fit(X) for n in (1, 2, 3, 7)]
    for fit in fits[1:]:
        assert fit.means_.tobytes() == fits[0].means_.tobytes()
        assert fit.covariances_.tobytes() == fits[0].covariances_.tobytes()
        assert fit.loglik_ == fits[0].loglik_


@pytest.mark.parametrize("kind", KINDS)
def test_fixed_groups_of_a_fit(kind):
    X = clouds()
    mixture = GaussianMixture(
        3, covariance_type=kind, means_init=[[0, 0], [4, 4], [8.5, 8.5]], fixed=("means", "weights"), random_state=0,
        weights_init=[0.25, 0.25, 0.5],
    ).fit(X)  # fmt: skip
    np.testing.assert_array_equal(mixture.means_, [[0, 0], [4, 4], [8.5, 8.5]])
    np.testing.assert_array_equal(mixture.weights_, [0.25, 0.25, 0.5])
    assert (np.diff(mixture.history_.loglik) >= -1e-9).all()


def test_binomial_rows_of_several_columns_are_products():
    rng = np.random.default_rng(8)
    probs, labels = np.array([[0.2, 0.8], [0.8, 0.8], [0.5, 0.1]]), np.repeat([0, 1, 2], [500, 300, 200])
    trials = rng.integers(0, 40, (1000, 2))
    X = rng.binomial(trials, probs[labels])
    mixture = BinomialMixture(3, random_state=0, tol=1e-10, acceleration=None).fit(X, trials=trials)
    order = np.argsort(mixture.probs_ @ [1.0, -0.7])
    np.testing.assert_allclose(mixture.probs_[order], probs, atol=0.02)  # five standard errors
    np.testing.assert_allclose(mixture.weights_[order], [0.5, 0.3, 0.2], atol=0.08)
    start = BinomialMixture(3, random_state=0, max_iter=0).fit(X, trials=trials)
    expected = naive.binomial_em(X, trials, np.ones(1000), start.weights_, start.probs_, mixture.n_iter_)
    np.testing.assert_allclose(mixture.probs_, expected[1], rtol=1e-9)
    assert mixture.sample(5, trials=7)[0].shape == (5, 2)


@pytest.mark.parametrize("init_params", ["auto", "quantiles", "kmeans", "random"])
def test_binomial_starts_in_several_columns(init_params):
    X = np.random.default_rng(2).binomial(20, 0.3, (50, 3))
    mixture = BinomialMixture(4, n_trials=20, init_params=init_params, random_state=1, max_iter=0).fit(X)
    assert mixture.probs_.shape == (4, 3)
    assert ((mixture.probs_ > 0) & (mixture.probs_ < 1)).all()
    assert len(np.unique(mixture.probs_, axis=0)) == 4


def test_a_fixed_number_of_trials_may_stand_in_the_constructor():
    heads = [5, 9, 8, 4, 7]
    told, known = BinomialMixture(2), BinomialMixture(2, n_trials=10)
    told.fit(heads, trials=10)
    known.fit(heads)
    np.testing.assert_array_equal(known.probs_, told.probs_)
    np.testing.assert_array_equal(known.predict_proba(heads), told.predict_proba(heads, trials=10))
    assert known.score(heads) == told.score(heads, trials=10)
    assert known.score(heads, trials=20) == told.score(heads, trials=20)
    assert known.sample(3)[0].max() <= 10
    with pytest.raises(TypeError, match="the number of trials of each row is needed"):
        told.predict(heads)


CARCINOMA = {
    "0000000": 34, "0000100": 2, "0100000": 6, "0100001": 1, "0100100": 4, "0100101": 5, "1000000": 2,
    "1010101": 1, "1100000": 2, "1100001": 1, "1100100": 2, "1100101": 7, "1100111": 1, "1101001": 1,
    "1101101": 2, "1101111": 3, "1110101": 13, "1110111": 5, "1111101": 10, "1111111": 16,
}  # fmt: skip
"""How many of 118 slides seven pathologists have rated so (Landis and Koch 1977)."""


def test_a_default_binomial_fit_does_not_rest_on_a_plateau():
    """The maximum of three classes is -293.705; EM changes by less than 1e-3 a row in an iteration at -296.87."""
    ratings = np.array([[int(rating) for rating in pattern] for pattern in CARCINOMA])
    found = BinomialMixture(3, random_state=0).fit(ratings, trials=1, sample_weight=list(CARCINOMA.values()))
    assert found.converged_
    assert found.loglik_ == pytest.approx(-293.70498, abs=1e-4)
    np.testing.assert_allclose(np.sort(found.weights_), [0.182, 0.374, 0.445], atol=1e-3)


def test_of_default_binomial_fits_that_say_converged_nearly_all_are():
    """Within 1e-3 a row of where the same fit goes on to: twenty mixtures of several columns, some of them flat."""
    near = []
    for seed in range(20):
        rng = np.random.default_rng(seed)
        k, d = rng.integers(2, 6), rng.integers(2, 9)
        probs = np.clip(0.5 + 0.2 * rng.normal(size=(k, d)), 0.02, 0.98)
        X = rng.binomial(1, probs[rng.integers(k, size=500)])
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", fastem.EqualComponentWarning)
            found = BinomialMixture(k, n_trials=1, random_state=0).fit(X)
            settings = {"stopping": "loglik", "tol": 1e-12, "max_iter": 20_000, "weights_init": found.weights_}
            end = BinomialMixture(k, n_trials=1, probs_init=found.probs_, **settings).fit(X)
        near.append(not found.converged_ or (end.loglik_ - found.loglik_) / len(X) < 1e-3)
    assert np.mean(near) >= 0.95


def test_a_binomial_weight_is_so_many_rows():
    rng = np.random.default_rng(4)
    X, w = rng.binomial(20, 0.4, (60, 2)), rng.integers(0, 4, 60)
    settings = {"n_trials": 20, "random_state": 0, "tol": 1e-9, "stopping": "loglik", "acceleration": None}
    weighted = BinomialMixture(2, **settings).fit(X, sample_weight=w)
    repeated = BinomialMixture(2, **settings).fit(np.repeat(X, w, axis=0))
    np.testing.assert_allclose(weighted.probs_, repeated.probs_, rtol=1e-6)
    np.testing.assert_allclose(weighted.loglik_, repeated.loglik_, rtol=1e-9)


def test_starts_are_reported_the_best_first():
    X = read("galaxies.csv") / 1000
    mixture = quietly(GaussianMixture(6, random_state=3, init_params="random", n_init=8).fit, X)
    assert len(mixture.starts_) == 8
    assert mixture.starts_[0].mean_loglik == mixture.loglik_ / len(X)
    assert (mixture.starts_[0].n_iter, mixture.starts_[0].stop_reason) == (mixture.n_iter_, mixture.stop_reason_)
    assert len(GaussianMixture(1).fit(X).starts_) == 1


def test_many_starts_on_many_rows_are_screened_on_a_part(monkeypatch):
    monkeypatch.setattr("fastem.data.kmeans.START_ROWS", 300)
    X = clouds(2, 2000)
    settings = {"init_params": "random_from_data", "random_state": 0, "max_iter": 500, "tol": 1e-6}
    mixture = GaussianMixture(3, n_init=9, **settings).fit(X)
    reasons = [start.stop_reason for start in mixture.starts_]
    assert sum(reason.startswith("screened out") for reason in reasons) == 6
    assert not any(reason.startswith("screened out") for reason in reasons[:3])
    everything = [GaussianMixture(3, **{**settings, "random_state": seed}).fit(X).loglik_ for seed in range(9)]
    assert mixture.loglik_ >= max(everything) - 1e-3 * abs(max(everything))


@pytest.mark.parametrize("kind", KINDS)
def test_automatic_regularisation_does_not_depend_on_units(kind):
    X = clouds(2)
    units = np.array([1024.0, 1024.0]) if kind == "spherical" else np.array([1.0, 2.0**30])
    settings = {"covariance_type": kind, "reg_covar": "auto", "random_state": 0, "tol": 1e-8, "max_iter": 500}
    a, b = GaussianMixture(3, **settings).fit(X), GaussianMixture(3, **settings).fit(X * units)
    np.testing.assert_allclose(b.means_ / units, a.means_, rtol=1e-9)
    np.testing.assert_allclose(b.weights_, a.weights_, rtol=1e-9)


def test_automatic_regularisation_is_a_part_of_the_variance_of_a_feature():
    X = np.random.default_rng(0).normal(size=(1000, 2)) * [1.0, 1e6]
    plain = GaussianMixture(1, reg_covar=0.0).fit(X).covariances_[0]
    auto = GaussianMixture(1, reg_covar="auto").fit(X).covariances_[0]
    np.testing.assert_allclose(np.diag(auto - plain), 1e-6 * X.var(axis=0), rtol=1e-6)
    np.testing.assert_allclose(auto[0, 1], plain[0, 1], rtol=1e-12)


def test_fitted_parameters_are_a_value_of_the_building_blocks():
    X = clouds()
    mixture = GaussianMixture(3, random_state=0).fit(X)
    with fastem.open_rows(X, fitting=True) as rows:
        assert rows.sweep(mixture.params_).loglik == mixture.loglik_
    coins = BinomialMixture(2, tol=1e-9, max_iter=1000).fit([5, 9, 8, 4, 7], trials=10)
    with fastem.open_rows([5, 9, 8, 4, 7], 10, has_trials=True) as rows:
        assert rows.sweep(coins.params_).loglik == coins.loglik_
