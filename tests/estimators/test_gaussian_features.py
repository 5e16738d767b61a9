"""Mixtures of some features of a Gaussian mixture: by themselves, and given the others."""

import math

import numpy as np
import pandas as pd
import pytest
from numpy.testing import assert_allclose, assert_array_equal

import fastem
from fastem.families.gaussian.structures import STRUCTURES

KINDS = ("full", "tied", "diag", "spherical")
K, D = 3, 5
RNG = np.random.default_rng(0)
X = RNG.normal(size=(400, D)) @ RNG.normal(size=(D, D)) + 4.0 * RNG.integers(0, 3, size=(400, 1))
PAIR = fastem.GaussianParams(
    np.array([0.4, 0.6]),
    np.array([[0.0, 0.0], [2.0, 3.0]]),
    np.array([[[1.0, 0.8], [0.8, 2.0]], [[1.5, -0.5], [-0.5, 1.0]]]),
)


def fitted(kind="full", rows=X):
    return fastem.GaussianMixture(K, covariance_type=kind, random_state=0).fit(rows)


def test_a_conditional_is_that_of_the_closed_form():
    """At x = 1: N(1; 0, 1) and N(1; 2, 1.5) weigh the components, and y = m + c / v (x - mean), w - c^2 / v."""
    found = fastem.GaussianMixture.from_params(PAIR).conditional([0], [1.0])
    first = 0.4 * math.exp(-1 / 2) / math.sqrt(2 * math.pi)
    second = 0.6 * math.exp(-1 / 3) / math.sqrt(2 * math.pi * 1.5)
    assert_allclose(found.weights_, np.array([first, second]) / (first + second), rtol=1e-12)
    assert_allclose(found.means_.ravel(), [0.8, 3 + 0.5 / 1.5], rtol=1e-12)
    assert_allclose(found.covariances_.ravel(), [2 - 0.64, 1 - 0.25 / 1.5], rtol=1e-12)
    densities = [
        np.exp(-((2.0 - m) ** 2) / (2 * v)) / math.sqrt(2 * math.pi * v) for m, v in ((0.8, 1.36), (10 / 3, 5 / 6))
    ]
    shares = np.array([first, second]) * densities
    assert_allclose(found.predict_proba([[2.0]])[0], shares / shares.sum(), rtol=1e-12)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("given", [[0], [3, 1], [4, 0, 2, 1]])
def test_a_density_is_the_marginal_times_the_conditional(kind, given):
    mixture = fitted(kind)
    left = [feature for feature in range(D) if feature not in given]
    marginal = mixture.marginal(given).score_samples(X[:9, given])
    conditional = [mixture.conditional(given, row[given]).score_samples(row[np.newaxis, left])[0] for row in X[:9]]
    assert_allclose(marginal + conditional, mixture.score_samples(X[:9]), rtol=1e-12)


@pytest.mark.parametrize("kind", KINDS)
def test_the_weights_of_a_conditional_are_the_probabilities_of_the_marginal(kind):
    mixture = fitted(kind)
    found = mixture.conditional([1, 2], X[0, [1, 2]])
    assert_array_equal(found.weights_, mixture.marginal([1, 2]).predict_proba(X[:1, [1, 2]])[0])
    assert found.covariance_type == kind
    assert found.covariances_.shape == STRUCTURES[kind].shape(K, D - 2)


@pytest.mark.parametrize("kind", KINDS)
def test_a_marginal_has_the_moments_of_its_features(kind):
    """Rows that are drawn from it are those of the mixture, without the other features."""
    mixture, features = fitted(kind), np.array([3, 0])
    found = mixture.marginal(features)
    assert_array_equal(found.means_, mixture.means_[:, features])
    full, own = (
        np.broadcast_to(m.params_.structure.cholesky_of_components(), (K, m.n_features_in_, m.n_features_in_))
        for m in (mixture, found)
    )
    covariances = full @ full.transpose(0, 2, 1)
    assert_allclose(
        own @ own.transpose(0, 2, 1), covariances[:, features[:, np.newaxis], features], rtol=1e-12, atol=1e-14
    )


def test_a_conditional_does_not_depend_on_the_order_in_which_values_are_given():
    mixture = fitted()
    at_once = mixture.conditional([3, 1, 0], [0.5, 1.5, -1.0]).params_
    one_by_one = mixture.conditional(0, -1.0).conditional([2, 0], [0.5, 1.5]).params_
    for name in ("weights", "means", "covariances"):
        assert_allclose(getattr(one_by_one, name), getattr(at_once, name), rtol=1e-11, atol=1e-12)


def test_far_values_leave_weights_that_sum_to_one_and_follow_the_widest_component():
    params = fastem.GaussianParams(np.array([0.5, 0.5]), np.zeros((2, 2)), np.stack([np.eye(2), 4 * np.eye(2)]))
    found = fastem.GaussianMixture.from_params(params).conditional(0, 1e6)
    assert found.weights_[0] < 1e-200
    assert found.weights_[1] == 1.0


def test_an_offset_costs_no_digits():
    shifted = fastem.GaussianParams(PAIR.weights, PAIR.means + 1e8, PAIR.covariances)
    found = fastem.GaussianMixture.from_params(shifted).conditional(0, 1e8 + 1)
    assert_allclose(found.means_.ravel() - 1e8, [0.8, 10 / 3], atol=3e-8)  # half a unit in the last place of 1e8


def test_nearly_dependent_features_leave_a_positive_variance():
    covariance = np.array([[1.0, 1 - 1e-15], [1 - 1e-15, 1.0]])
    params = fastem.GaussianParams(np.ones(1), np.zeros((1, 2)), covariance, "tied")
    assert fastem.GaussianMixture.from_params(params).conditional(0, 0.3).covariances_[0, 0] > 0


def test_names_of_a_data_frame_stay_with_their_features():
    mixture = fitted(rows=pd.DataFrame(X, columns=list("abcde")))
    found = mixture.marginal(["d", "a"])
    assert found.feature_names_in_.tolist() == ["d", "a"]
    assert_array_equal(found.means_, mixture.means_[:, [3, 0]])
    left = mixture.conditional("b", 1.0)
    assert left.feature_names_in_.tolist() == list("acde")
    left.predict(pd.DataFrame(X[:, [0, 2, 3, 4]], columns=list("acde")))


def test_it_is_a_fitted_mixture(tmp_path):
    found = (
        fastem.GaussianMixture(
            2, random_state=3, n_threads=1, fixed=("means",), means_init=np.outer([0.0, 1.0], np.ones(D))
        )
        .fit(X)
        .marginal([0, 1])
    )
    assert (found.random_state, found.n_threads) == (3, 1)
    assert found.sample(5)[0].shape == (5, 2)
    found.save(tmp_path / "two.npz")
    assert_array_equal(fastem.load(tmp_path / "two.npz").predict(X[:, :2]), found.predict(X[:, :2]))
    assert not hasattr(found, "loglik_")
    found.fit(X[:, :2])


@pytest.mark.parametrize(
    ("call", "sentence"),
    [
        (lambda m: m.marginal([]), "features must not be empty"),
        (lambda m: m.marginal([0, 0]), "features must be at most 5 different columns"),
        (lambda m: m.marginal([5]), "features must be at most 4, got 5"),
        (lambda m: m.marginal("z"), "features must be one of 'x0'"),
        (lambda m: m.conditional(range(5), np.zeros(5)), "features must be at most 4 different columns"),
        (lambda m: m.conditional([0, 1], [1.0]), r"'values' should have the shape of \(2,\), but got \(1,\)"),
        (lambda m: m.conditional([0, 1], [1.0, np.nan]), "values must be finite, without NaN or infinity, got nan at"),
    ],
)
def test_features_and_values_that_are_none_are_named(call, sentence):
    with pytest.raises(ValueError, match=sentence):
        call(fitted())


def test_a_fit_is_needed():
    with pytest.raises(fastem.NotFittedError):
        fastem.GaussianMixture(2).marginal([0])
