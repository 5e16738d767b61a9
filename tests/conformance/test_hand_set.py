"""Parameters that a user sets by hand, without a fit or after one: all of them count, as scikit-learn's do."""

import copy
import pickle

import numpy as np
import pytest
import sklearn.mixture
from support.drop_in import KINDS, clouds

import fastem

X = clouds(3)
GIVEN = (("covariances_",), ("precisions_cholesky_",), ("covariances_", "precisions_cholesky_"))
OF_COVARIANCES = ("covariances_", "precisions_cholesky_", "precisions_")


def scikit_learns(kind):
    return sklearn.mixture.GaussianMixture(3, covariance_type=kind, random_state=0).fit(X)


def hand_set(theirs, names, as_given=np.array):
    ours = fastem.GaussianMixture(3, covariance_type=theirs.covariance_type, random_state=0)
    for name in ("weights_", "means_", *names):
        setattr(ours, name, as_given(getattr(theirs, name)))
    return ours


def assert_agrees(ours, theirs):
    np.testing.assert_array_equal(ours.predict(X), theirs.predict(X))
    np.testing.assert_allclose(ours.predict_proba(X), theirs.predict_proba(X), rtol=1e-9, atol=1e-13)
    np.testing.assert_allclose(ours.score_samples(X), theirs.score_samples(X), rtol=1e-10)
    for name in OF_COVARIANCES:
        np.testing.assert_allclose(getattr(ours, name), getattr(theirs, name), rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("names", GIVEN, ids="+".join)
@pytest.mark.parametrize("kind", KINDS)
def test_an_unfitted_mixture_is_what_has_been_set(kind, names):
    theirs = scikit_learns(kind)
    for as_given in (np.array, lambda values: np.array(values).tolist()):
        ours = hand_set(theirs, names, as_given)
        assert_agrees(ours, theirs)
        assert ours.bic(X) == pytest.approx(theirs.bic(X), rel=1e-12)
        assert_agrees(ours.to_sklearn(), theirs)


@pytest.mark.parametrize("kind", KINDS)
def test_samples_have_the_moments_of_the_mixture(kind):
    theirs = scikit_learns(kind)
    rows, labels = hand_set(theirs, ("precisions_cholesky_",)).sample(40_000)
    np.testing.assert_allclose(np.bincount(labels) / len(labels), theirs.weights_, atol=0.01)
    for c in range(3):
        # 5 standard errors of a mean of 13,000 rows with standard deviation 1
        np.testing.assert_allclose(rows[labels == c].mean(axis=0), theirs.means_[c], atol=0.05)


@pytest.mark.parametrize("copied", [copy.deepcopy, lambda mixture: pickle.loads(pickle.dumps(mixture))])
@pytest.mark.parametrize("names", GIVEN, ids="+".join)
def test_copies_and_files_have_it_too(names, copied, tmp_path):
    theirs = scikit_learns("full")
    assert_agrees(copied(hand_set(theirs, names)), theirs)
    hand_set(theirs, names).save(tmp_path / "mixture.npz")
    assert_agrees(fastem.load(tmp_path / "mixture.npz"), theirs)


def test_a_fit_begins_at_it():
    theirs = scikit_learns("full")
    ours = hand_set(theirs, ("covariances_",)).set_params(warm_start=True, max_iter=0)
    np.testing.assert_array_equal(ours.fit(X).means_, theirs.means_)
    assert ours.set_params(max_iter=100).fit(X).score(X) >= theirs.score(X) - 1e-12


@pytest.mark.parametrize("kind", KINDS)
def test_factors_that_are_set_again_count(kind):
    """What was derived from the first ones does not stand in their way."""
    theirs = scikit_learns(kind)
    ours = hand_set(theirs, ("precisions_cholesky_",))
    ours.predict(X)
    for mixture in (ours, theirs):
        mixture.precisions_cholesky_ = np.array(mixture.precisions_cholesky_) * 2
    np.testing.assert_allclose(ours.predict_proba(X), theirs.predict_proba(X), rtol=1e-9, atol=1e-13)
    np.testing.assert_allclose(ours.covariances_, np.array(theirs.covariances_) / 4, rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("name", ["covariances_", "precisions_cholesky_"])
@pytest.mark.parametrize("kind", [kind for kind in KINDS if kind != "tied"])
def test_components_that_are_taken_away_after_a_fit_are_gone(kind, name):
    ours = fastem.GaussianMixture(3, covariance_type=kind, init_params="kmeans", random_state=0).fit(X)
    kept = {each: np.array(getattr(ours, each)[:2]) for each in ("means_", name)}
    ours.weights_ = ours.weights_[:2] / ours.weights_[:2].sum()
    ours.means_ = kept["means_"]
    with pytest.raises(ValueError, match="covariances"):
        ours.predict(X)
    setattr(ours, name, kept[name])
    assert ours.predict_proba(X).shape == (len(X), 2)
    assert {len(getattr(ours, each)) for each in OF_COVARIANCES} == {2}
    assert np.bincount(ours.sample(100)[1]).size == 2


def test_what_is_missing_is_named():
    theirs = scikit_learns("full")
    ours = fastem.GaussianMixture(3)
    ours.weights_ = theirs.weights_
    with pytest.raises(fastem.NotFittedError, match="has weights_ and no means_: call 'fit', or set all attributes"):
        ours.predict(X)
    ours.means_ = theirs.means_
    with pytest.raises(fastem.NotFittedError, match="has weights_ and no covariances_ or precisions_cholesky_"):
        ours.predict(X)
    counts = fastem.PoissonMixture(2)
    counts.weights_ = np.array([0.5, 0.5])
    with pytest.raises(fastem.NotFittedError, match="has weights_ and no rates_"):
        counts.predict([1, 2])


def test_a_posterior_that_is_set_by_hand():
    theirs = sklearn.mixture.BayesianGaussianMixture(n_components=3, random_state=0).fit(X)
    ours = fastem.BayesianGaussianMixture(3)
    for name in ("weights_", *ours.sklearn_parameters):
        if name != "covariances_":
            setattr(ours, name, getattr(theirs, name))
    assert_agrees(ours, theirs)
    del ours.mean_precision_
    with pytest.raises(fastem.NotFittedError, match="no mean_precision_"):
        ours.predict(X)


@pytest.mark.parametrize("prior", ["dirichlet_process", "dirichlet_distribution"])
def test_a_posterior_whose_weights_are_changed_alone_is_refused(prior):
    """They follow from weight_concentration_, which predicts: never half of what has been changed."""
    ours = fastem.BayesianGaussianMixture(3, weight_concentration_prior_type=prior, random_state=0).fit(X)
    theirs, before = ours.to_sklearn(), ours.weights_
    ours.weights_ = np.array([0.1, 0.2, 0.7])
    for ask in (ours.predict, ours.score_samples, lambda _: ours.sample(3), lambda _: ours.params_):
        with pytest.raises(ValueError, match="weights_ must be what follows from weight_concentration_"):
            ask(X)
    ours.weights_ = before
    assert_agrees(ours, theirs)
    ours.means_ = theirs.means_ = theirs.means_ + 0.5
    assert_agrees(ours, theirs)
    np.testing.assert_array_equal(ours.params_.means, theirs.means_)


def test_a_posterior_whose_concentration_is_changed_needs_its_weights():
    settings = {"weight_concentration_prior_type": "dirichlet_distribution", "random_state": 0}
    ours = fastem.BayesianGaussianMixture(3, **settings).fit(X)
    theirs = ours.to_sklearn()
    ours.weight_concentration_ = theirs.weight_concentration_ = np.array([20.0, 30.0, 50.0])
    with pytest.raises(ValueError, match=r"follows from weight_concentration_, \[0.2, 0.3"):
        ours.predict(X)
    ours.weights_ = [0.2, 0.3, 0.5]
    assert_agrees(ours, theirs)
