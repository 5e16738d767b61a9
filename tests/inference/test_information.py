"""Standard errors are the curvature of the log likelihood, as differences of it tell."""

import numpy as np
import pytest
from support import datasets
from support.fits_at_maximum import AT_MAXIMUM, Truth, agree, binomial, gaussian, kinds, methods, pack, truth_of

from fastem import BinomialMixture, GaussianMixture
from fastem.inference.standard_errors import METHODS

normals = pytest.mark.parametrize(
    "world", [datasets.univariate_two, datasets.overlapping], ids=lambda world: world.name
)
coins = pytest.mark.parametrize(
    "world", [datasets.two_coins, datasets.three_coins, datasets.three_questions], ids=lambda world: world.name
)


# ------------------------------------------------------------------------------------------------------ the naive truth


@methods
@kinds
@normals
@pytest.mark.seconds
def test_normal_information_is_that_of_differences(world, kind, method):
    mixture = gaussian(world, kind)
    errors = mixture.standard_errors(world.X, method=method)
    agree(errors.parameters_covariance, truth_of(mixture, world).covariance(method))


@methods
@coins
@pytest.mark.seconds
def test_binomial_information_is_that_of_differences(world, method):
    mixture = binomial(world)
    errors = mixture.standard_errors(world.X, trials=world.trials, method=method)
    agree(errors.parameters_covariance, truth_of(mixture, world, world.trials).covariance(method))


@kinds
def test_gradients_in_five_dimensions_are_those_of_differences(kind):
    world = datasets.correlated
    mixture = gaussian(world, kind)
    errors = mixture.standard_errors(world.X, method="opg")
    agree(errors.parameters_covariance, Truth(mixture, world.X, errors=errors).covariance("opg"))


def test_off_the_maximum_too_gradients_are_those_of_differences():
    world = datasets.overlapping
    mixture = gaussian(world)
    mixture.means_ = mixture.means_ + 0.1
    errors = mixture.standard_errors(world.X, method="opg")
    agree(errors.parameters_covariance, Truth(mixture, world.X, errors=errors).covariance("opg"))


@kinds
def test_errors_are_the_diagonal_shaped_as_the_parameters(kind):
    world = datasets.overlapping
    mixture = gaussian(world, kind)
    found = mixture.standard_errors(world.X)
    with pytest.raises(AttributeError, match="has no 'probs', only weights, means, covariances"):
        _ = found.probs
    for name in ("weights", "means", "covariances"):
        assert getattr(found, name).shape == getattr(mixture, name + "_").shape
        setattr(mixture, name + "_", getattr(found, name))
    if found.covariances.ndim > 1 and kind != "diag":
        np.testing.assert_array_equal(found.covariances, np.swapaxes(found.covariances, -1, -2))
    np.testing.assert_array_equal(pack(mixture), np.sqrt(found.parameters_covariance.diagonal()))


# --------------------------------------------------------------------------------------------------------- closed forms


@kinds
def test_one_component_has_the_textbook_errors(kind):
    X, (n, d) = datasets.one_component.X, datasets.one_component.X.shape
    found = GaussianMixture(1, covariance_type=kind, reg_covar=0.0).fit(X).standard_errors(X)
    S = np.cov(X.T, bias=True)
    variances = S.diagonal() if kind != "spherical" else np.full(d, S.trace() / d)
    np.testing.assert_array_equal(found.weights, [0.0])
    np.testing.assert_allclose(found.means[0], np.sqrt(variances / n), rtol=1e-10)
    wishart = np.sqrt((S**2 + np.outer(variances, variances)) / n)
    expected = {"diag": wishart.diagonal(), "spherical": np.sqrt(2 / (n * d)) * variances[0]}.get(kind, wishart)
    np.testing.assert_allclose(np.squeeze(found.covariances), expected, rtol=1e-10)


def test_one_coin_has_the_textbook_error():
    rng = np.random.default_rng(0)
    trials = rng.integers(1, 9, size=200)
    heads = rng.binomial(trials, 0.3)
    p = heads.sum() / trials.sum()
    found = BinomialMixture(1).fit(heads, trials=trials).standard_errors(heads, trials=trials)
    np.testing.assert_allclose(found.probs, [[np.sqrt(p * (1 - p) / trials.sum())]], rtol=1e-12)


@methods
def test_of_components_that_no_row_confuses_the_weights_are_counts(method):
    rng = np.random.default_rng(0)
    X = rng.normal(size=(1_000, 1)) + 100.0 * rng.choice(3, size=(1_000, 1), p=[0.2, 0.3, 0.5])
    mixture = GaussianMixture(3, means_init=[[0.0], [100.0], [200.0]], random_state=0).fit(X)
    found, w = mixture.standard_errors(X, method=method), mixture.weights_
    np.testing.assert_allclose(found.parameters_covariance[:3, :3], (np.diag(w) - np.outer(w, w)) / 1_000, rtol=1e-5)


# ------------------------------------------------------------------------------------------------------------ bootstrap


@pytest.mark.slow
def test_the_bootstrap_agrees():
    """400 refits: their spread is known to 4 %, three times which is 12 %; the asymptotics take the rest."""
    covariances = [np.eye(2), 0.5 * np.eye(2)]
    world = datasets.normal_world("bootstrap", 0, 3_000, [0.4, 0.6], [[0.0, 0.0], [2.5, 1.0]], covariances)
    mixture, rng = gaussian(world), np.random.default_rng(1)
    again = GaussianMixture(2, reg_covar=0.0, warm_start=True, **AT_MAXIMUM).fit(world.X)
    again.weights_, again.means_, again.covariances_ = mixture.weights_, mixture.means_, mixture.covariances_
    refits = np.array([pack(again.fit(rng.choice(world.X, size=len(world.X)))) for _ in range(400)])
    for method in METHODS:
        covariance = mixture.standard_errors(world.X, method=method).parameters_covariance
        np.testing.assert_allclose(refits.std(axis=0), np.sqrt(covariance.diagonal()), rtol=0.15)


@pytest.mark.slow
def test_the_parametric_bootstrap_agrees():
    """Of rows drawn from the fit itself; the outer product of their gradients is noisy too: by 9 % with 905 rows."""
    trials, rng = datasets.varying_trials(24, 5_000, 3, 12), np.random.default_rng(1)
    world = datasets.counts_world("bootstrap", 23, trials, [0.45, 0.55], [[0.2, 0.7, 0.5], [0.6, 0.3, 0.9]])
    mixture = binomial(world)
    settings = AT_MAXIMUM | {"weights_init": mixture.weights_, "probs_init": mixture.probs_}
    labels = rng.choice(2, size=(400, len(trials)), p=mixture.weights_)
    draws = rng.binomial(trials, mixture.probs_[labels])
    refits = [pack(BinomialMixture(2, **settings).fit(X, trials=trials)) for X in draws]
    for method in METHODS:
        covariance = mixture.standard_errors(world.X, trials=trials, method=method).parameters_covariance
        np.testing.assert_allclose(np.std(refits, axis=0), np.sqrt(covariance.diagonal()), rtol=0.15)
