"""Private names of scikit-learn's mixtures that clients read: the same values under fastem's."""

import numpy as np
import pytest
import sklearn.mixture
from support.drop_in import KINDS, clouds

import fastem

X = clouds(3)
PRIORS = ("dirichlet_process", "dirichlet_distribution")
MIXTURES = {
    "gaussian": lambda kind: fastem.GaussianMixture(3, covariance_type=kind, random_state=0),
    **{
        prior: lambda kind, prior=prior: fastem.BayesianGaussianMixture(
            3, covariance_type=kind, weight_concentration_prior_type=prior, random_state=0
        )
        for prior in PRIORS
    },
}


@pytest.fixture(params=[(name, kind) for name in MIXTURES for kind in KINDS], ids="-".join)
def ours(request):
    name, kind = request.param
    return MIXTURES[name](kind).fit(X)


@pytest.fixture
def theirs(ours):
    return ours.to_sklearn()


def test_densities_and_weights(ours, theirs):
    np.testing.assert_allclose(ours._estimate_log_weights(), theirs._estimate_log_weights(), rtol=1e-12, atol=1e-14)
    for name in ("_estimate_log_prob", "_estimate_weighted_log_prob"):
        np.testing.assert_allclose(getattr(ours, name)(X), getattr(theirs, name)(X), rtol=1e-11)
    for found, right in zip(ours._estimate_log_prob_resp(X), theirs._estimate_log_prob_resp(X), strict=True):
        np.testing.assert_allclose(found, right, rtol=1e-11, atol=1e-12)


def test_parameters_are_those_of_scikit_learn_and_can_be_set(ours, theirs):
    found, right = ours._get_parameters(), theirs._get_parameters()
    for one, other in zip(found, right, strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-12)
    another = type(ours)(**ours.get_params())
    another._set_parameters(right)
    np.testing.assert_allclose(another.predict_proba(X), theirs.predict_proba(X), rtol=1e-10, atol=1e-14)
    np.testing.assert_allclose(another.weights_, theirs.weights_, rtol=1e-12)
    np.testing.assert_allclose(another.precisions_, theirs.precisions_, rtol=1e-10)
    right[2][...] = 0.0  # the arrays stay the caller's
    assert (another.means_ != 0.0).all()


def test_parameters_that_are_set_are_kept_whole():
    """Of a step that is undone, as clients do it, nothing is left."""
    ours = MIXTURES["gaussian"]("full").fit(X)
    before, kept = ours.predict_proba(X), ours._get_parameters()
    ours.fit(X + 100)
    ours._set_parameters(kept)
    np.testing.assert_array_equal(ours.predict_proba(X), before)


def test_the_number_of_parameters():
    for kind in KINDS:
        ours = MIXTURES["gaussian"](kind).fit(X)
        assert ours._n_parameters() == ours.to_sklearn()._n_parameters()


def test_an_empty_component_still_has_a_density():
    ours = MIXTURES["gaussian"]("full").fit(X)
    right = ours._estimate_log_prob(X)
    ours.weights_ = np.array([0.0, 0.5, 0.5])
    np.testing.assert_allclose(ours._estimate_log_prob(X), right, rtol=1e-12)
    assert ours._estimate_log_weights()[0] == -np.inf


def test_float32_rows_give_float32():
    ours = MIXTURES["gaussian"]("full").fit(X)
    rows = X.astype(np.float32)
    assert ours._estimate_log_prob(rows).dtype == np.float32
    np.testing.assert_allclose(ours._estimate_log_prob(rows), ours._estimate_log_prob(X), rtol=1e-5)


def test_a_start_is_refused_in_words():
    with pytest.raises(TypeError, match="_initialize_parameters is a step of scikit-learn's fit and none of fastem's"):
        fastem.GaussianMixture(2)._initialize_parameters(X, np.random.RandomState(0))


@pytest.mark.parametrize("name", ["_estimate_log_weights", "_get_parameters"])
def test_before_a_fit_they_raise(name):
    with pytest.raises(fastem.NotFittedError):
        getattr(fastem.GaussianMixture(), name)()


def test_counts_have_no_such_names():
    assert not hasattr(fastem.PoissonMixture, "_estimate_log_prob")
    assert hasattr(sklearn.mixture.GaussianMixture, "_estimate_log_prob")
