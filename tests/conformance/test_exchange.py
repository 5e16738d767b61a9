"""Fitted mixtures handed to scikit-learn and back: predictions are the same on both sides."""

import sys

import numpy as np
import pandas as pd
import pytest
import sklearn.mixture
from sklearn.exceptions import NotFittedError
from sklearn.utils.validation import check_is_fitted
from support.drop_in import KINDS, clouds

import fastem

X = clouds(3)
PAIRS = {name: (getattr(fastem, name), getattr(sklearn.mixture, name)) for name in
         ("GaussianMixture", "BayesianGaussianMixture")}  # fmt: skip
PRIORS = ("dirichlet_process", "dirichlet_distribution")


def assert_same_predictions(one, other, rows=X, rtol=1e-10):
    np.testing.assert_array_equal(one.predict(rows), other.predict(rows))
    np.testing.assert_allclose(one.predict_proba(rows), other.predict_proba(rows), rtol=rtol, atol=1e-4 * rtol)
    np.testing.assert_allclose(one.score_samples(rows), other.score_samples(rows), rtol=rtol)
    assert one.score(rows) == pytest.approx(other.score(rows), rel=rtol)


def pair_of(name, **settings):
    ours, theirs = PAIRS[name]
    return ours(n_components=3, random_state=0, **settings), theirs(n_components=3, random_state=0, **settings)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("name", PAIRS)
def test_there_and_back(name, kind):
    ours, theirs = (mixture.fit(X) for mixture in pair_of(name, covariance_type=kind))
    there = ours.to_sklearn()
    assert type(there) is PAIRS[name][1]
    check_is_fitted(there)
    assert_same_predictions(there, ours)
    assert {each for each in vars(theirs) if each.endswith("_")} == {each for each in vars(there) if each.endswith("_")}
    assert_same_predictions(PAIRS[name][0].from_sklearn(there), ours)
    assert_same_predictions(PAIRS[name][0].from_sklearn(theirs), theirs)
    assert there.sample(5)[0].shape == (5, 3)
    assert there.fit(X).converged_


@pytest.mark.parametrize("prior", PRIORS)
def test_both_priors_of_weights(prior):
    ours, theirs = pair_of("BayesianGaussianMixture", weight_concentration_prior_type=prior)
    assert_same_predictions(ours.fit(X).to_sklearn(), ours)
    assert_same_predictions(fastem.BayesianGaussianMixture.from_sklearn(theirs.fit(X)), theirs)


@pytest.mark.parametrize("name", PAIRS)
def test_float32_too(name):
    rows = X.astype(np.float32)
    ours, theirs = (mixture.fit(rows) for mixture in pair_of(name))
    assert_same_predictions(ours.to_sklearn(), ours)
    # scikit-learn has rounded covariances and their factors to float32, each on its own: 6e-8 of squares up to 100
    assert_same_predictions(PAIRS[name][0].from_sklearn(theirs), theirs, rtol=1e-5)


def test_settings_that_both_have_go_along():
    ours = fastem.GaussianMixture(3, tol=1e-5, max_iter=200, random_state=7, order_by="means", init_params="random")
    there = ours.fit(X).to_sklearn()
    assert (there.n_components, there.tol, there.max_iter, there.random_state) == (3, 1e-5, 200, 7)
    assert there.init_params == "random"
    back = fastem.GaussianMixture.from_sklearn(there, order_by="means", max_iter=50)
    assert (back.tol, back.max_iter, back.order_by) == (1e-5, 50, "means")


def test_settings_that_scikit_learn_does_not_know_are_its_defaults():
    ours = fastem.GaussianMixture(3, reg_covar="auto", random_state=np.random.default_rng(0)).fit(X)
    there = ours.to_sklearn()
    assert (there.init_params, there.reg_covar, there.random_state) == ("kmeans", 1e-6, None)
    there.fit(X)
    starts = {"weights_init": [0.2, 0.3, 0.5], "means_init": [[0.0, 0.0, 0.0], [np.nan] * 3, [5.0, 5.0, 5.0]]}
    there = fastem.GaussianMixture(3, **starts).fit(X).to_sklearn()
    assert (there.weights_init, there.means_init) == ([0.2, 0.3, 0.5], None)
    there.fit(X)


def test_names_of_features_go_along():
    frame = pd.DataFrame(X, columns=["a", "b", "c"])
    ours, _ = pair_of("GaussianMixture")
    there = ours.fit(frame).to_sklearn()
    assert there.feature_names_in_.tolist() == ["a", "b", "c"]
    assert_same_predictions(fastem.GaussianMixture.from_sklearn(there), ours, frame)


def test_nothing_is_shared():
    ours = pair_of("GaussianMixture")[0].fit(X)
    there = ours.to_sklearn()
    before = ours.predict_proba(X)
    back = fastem.GaussianMixture.from_sklearn(there)
    for name in ("weights_", "means_", "covariances_", "precisions_cholesky_"):
        getattr(there, name)[...] = 1.0
    np.testing.assert_array_equal(ours.predict_proba(X), before)
    np.testing.assert_allclose(back.predict_proba(X), before, rtol=1e-10, atol=1e-14)


def test_what_comes_back_is_saved_goes_on_and_remembers_how_it_is_read(tmp_path):
    theirs = pair_of("GaussianMixture")[1].fit(X)
    ours = fastem.GaussianMixture.from_sklearn(theirs, warm_start=True)
    ours.covariance_type = "tied"
    with pytest.raises(ValueError, match="covariance_type was 'full' when this mixture was fitted"):
        ours.predict(X)
    ours.covariance_type = "full"
    ours.save(tmp_path / "mixture.npz")
    assert_same_predictions(fastem.load(tmp_path / "mixture.npz"), theirs)
    assert ours.fit(X).score(X) >= theirs.score(X) - 1e-12


@pytest.mark.parametrize("name", PAIRS)
def test_it_is_scikit_learns_class_while_patched(name):
    ours, theirs = PAIRS[name][0](n_components=2, random_state=0).fit(X), PAIRS[name][1]
    with fastem.patch_sklearn():
        assert type(ours.to_sklearn()) is theirs
        assert_same_predictions(PAIRS[name][0].from_sklearn(ours.to_sklearn()), ours)


def test_wrong_objects_are_refused():
    with pytest.raises(NotFittedError):
        fastem.GaussianMixture().to_sklearn()
    with pytest.raises(NotFittedError):
        fastem.GaussianMixture.from_sklearn(sklearn.mixture.GaussianMixture())
    with pytest.raises(TypeError, match="mixture must be a GaussianMixture, got"):
        fastem.GaussianMixture.from_sklearn(sklearn.mixture.BayesianGaussianMixture())
    damaged = pair_of("GaussianMixture")[1].fit(X)
    damaged.means_ = damaged.means_[:, :2]
    with pytest.raises(ValueError, match="covariances"):
        fastem.GaussianMixture.from_sklearn(damaged)


def test_without_scikit_learn_the_error_says_what_is_missing(monkeypatch):
    mixture = fastem.GaussianMixture(1).fit(X)
    monkeypatch.setitem(sys.modules, "sklearn.mixture", None)
    for call in (mixture.to_sklearn, lambda: fastem.GaussianMixture.from_sklearn(mixture)):
        with pytest.raises(ImportError, match="_sklearn needs scikit-learn: pip install scikit-learn"):
            call()


def test_counts_have_no_such_method():
    for kind in (fastem.PoissonMixture, fastem.BinomialMixture):
        assert not hasattr(kind, "to_sklearn")
        assert not hasattr(kind, "from_sklearn")
