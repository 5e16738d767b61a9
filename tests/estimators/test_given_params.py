"""Mixtures of parameters that a user gives, in the place of a fit."""

import numpy as np
import pytest

import fastem

X = np.concatenate([np.random.default_rng(0).normal(size=(60, 2)), np.random.default_rng(1).normal(size=(40, 2)) + 6])
COUNTS = np.array([[0, 1], [1, 0], [8, 9], [9, 7], [2, 0]])
COVARIANCES = {
    "full": np.tile(np.eye(2), (2, 1, 1)),
    "tied": np.eye(2),
    "diag": np.ones((2, 2)),
    "spherical": np.ones(2),
}
WEIGHTS, MEANS = np.array([0.6, 0.4]), np.array([[0.0, 0.0], [6.0, 6.0]])


def gaussian(kind="full"):
    return fastem.GaussianParams(WEIGHTS.copy(), MEANS.copy(), COVARIANCES[kind].copy(), kind)


GIVEN = {
    **{kind: (fastem.GaussianMixture, gaussian(kind), X) for kind in COVARIANCES},
    "poisson": (fastem.PoissonMixture, fastem.PoissonParams(WEIGHTS, np.array([[1.0, 1.0], [8.0, 8.0]])), COUNTS),
    "binomial": (fastem.BinomialMixture, fastem.BinomialParams(WEIGHTS, np.array([[0.1, 0.1], [0.8, 0.8]])), COUNTS),
    "bayesian": (fastem.BayesianGaussianMixture, fastem.BayesianGaussianMixture(2, random_state=0).fit(X).params_, X),
}


@pytest.fixture(params=GIVEN)
def given(request):
    kind, params, rows = GIVEN[request.param]
    settings = {"n_trials": 10} if kind is fastem.BinomialMixture else {}
    return kind.from_params(params, random_state=0, **settings), params, rows


def test_predictions_are_those_of_the_parameters(given):
    mixture, params, rows = given
    right = fastem.posterior(params, rows, trials=getattr(mixture, "n_trials", None))
    np.testing.assert_array_equal(mixture.predict_proba(rows), right.resp)
    np.testing.assert_array_equal(mixture.score_samples(rows), right.log_prob)
    assert mixture.n_components == len(params.weights)
    assert mixture.n_features_in_ == params.n_features
    assert mixture.sample(5)[0].shape == (5, 2)
    assert mixture.summary().weights.tolist() == params.weights.tolist()


def test_they_are_saved_and_loaded(given, tmp_path):
    mixture, _, rows = given
    mixture.save(tmp_path / "mixture.npz")
    loaded = fastem.load(tmp_path / "mixture.npz")
    assert loaded.get_params() == mixture.get_params()
    np.testing.assert_array_equal(loaded.predict_proba(rows), mixture.predict_proba(rows))


def test_a_fit_and_a_partial_fit_go_on_from_them(given):
    mixture, params, rows = given
    mixture.set_params(warm_start=True, max_iter=0)
    fitted = mixture.fit(rows)
    np.testing.assert_array_equal(fitted.weights_, params.weights)
    assert fitted.set_params(max_iter=100).fit(rows).score(rows) >= mixture.score(rows)


@pytest.mark.parametrize("stopping", ["loglik", "q", "gain"])
def test_a_fit_goes_on_by_every_stop_rule(stopping):
    mixture = fastem.GaussianMixture.from_params(gaussian(), warm_start=True, stopping=stopping, max_iter=500)
    before = mixture.score(X)
    assert mixture.fit(X).converged_
    assert mixture.score(X) > before
    assert fastem.GaussianMixture.from_params(gaussian()).partial_fit(X).score(X) > before
    assert fastem.GaussianMixture.from_params(gaussian()).improve(X).score(X) > before


def test_the_parameters_stay_the_users():
    params = gaussian()
    mixture = fastem.GaussianMixture.from_params(params)
    params.means[0] = 99.0
    assert mixture.means_.tolist() == MEANS.tolist()
    mixture.means_[0] = 7.0
    assert params.means[0].tolist() == [99.0, 99.0]


def test_what_a_fit_tells_is_not_there():
    mixture = fastem.GaussianMixture.from_params(gaussian())
    assert not hasattr(mixture, "converged_")
    assert not hasattr(mixture, "loglik_")
    with pytest.raises(fastem.NotFittedError):
        mixture.diagnose()
    assert mixture.aic(X) == pytest.approx(2 * 11 - 2 * mixture.score(X) * len(X))


def test_wrong_parameters_and_settings_are_refused():
    make = fastem.GaussianMixture.from_params
    with pytest.raises(TypeError, match="params must be a GaussianParams, got PoissonParams"):
        make(fastem.PoissonParams(np.ones(1), np.ones((1, 1))))
    with pytest.raises(TypeError, match="params must be a GaussianParams, got None"):
        make(None)
    with pytest.raises(ValueError, match="covariance_type is 'full' by the parameters: leave it out, got 'diag'"):
        make(gaussian(), covariance_type="diag")
    with pytest.raises(ValueError, match="n_components is 2 by the parameters"):
        make(gaussian(), n_components=3)
    with pytest.raises(ValueError, match="weights"):
        make(fastem.GaussianParams(np.array([0.5, 0.7]), MEANS, np.ones(2), "spherical"))
    with pytest.raises(ValueError, match="covariances"):
        make(fastem.GaussianParams(WEIGHTS, MEANS, -np.ones(2), "spherical"))
    with pytest.raises(ValueError, match="tol"):
        make(gaussian(), tol=-1.0)
    with pytest.raises(TypeError, match="unexpected keyword argument 'components'"):
        make(gaussian(), components=2)
    assert make(gaussian(), n_components=2, covariance_type="full").n_components == 2
