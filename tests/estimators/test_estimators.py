"""The estimators as a user meets them: the whole interface."""

import copy
import math
import pickle
import warnings

import numpy as np
import pytest
from sklearn.base import clone
from support import naive
from support.real_data import KINDS, clouds, quietly, read

import fastem
from fastem import BinomialMixture, ConvergenceWarning, GaussianMixture


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
    assert mixture.stop_reason_ == "remaining gain below tol=1e-06"
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
    assert (
        len(np.unique(BinomialMixture(3, init_params="quantiles", max_iter=0).fit(X, trials=10).probs_)) == 3
    )  # ties are moved apart
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
    told, known = BinomialMixture(2, random_state=0), BinomialMixture(2, n_trials=10, random_state=0)
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


@pytest.mark.seconds
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
    settings |= {"init_params": "quantiles"}  # a search ends where both components are nearly one
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
    ends = np.array([start.mean_loglik for start in mixture.starts_])  # of all rows, or of none
    assert (np.diff(ends[:3]) <= 0).all()
    assert np.isnan(ends[3:]).all()
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
