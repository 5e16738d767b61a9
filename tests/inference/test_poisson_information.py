"""Standard errors of Poisson mixtures: the curvature of the log likelihood as differences of it tell, closed forms."""

import numpy as np
import pytest
from support import datasets, naive

import fastem
from fastem import PoissonMixture
from fastem.inference.standard_errors import METHODS

methods = pytest.mark.parametrize("method", METHODS)
worlds = pytest.mark.parametrize(
    "world", [datasets.two_rates, datasets.three_rates, datasets.three_columns], ids=lambda world: world.name
)
AT_MAXIMUM = {"tol": 1e-10, "stopping": "gradient", "acceleration": "quasi-newton", "max_iter": 5_000}


def fitted(world, **settings):
    """At the maximum that the start of the data set leads to."""
    options = AT_MAXIMUM | {"weights_init": world.weights, "rates_init": world.rates} | settings
    return PoissonMixture(len(world.weights), **options).fit(world.X)


def truth(mixture, X, method, errors, free=None):
    """The covariance of all parameters, from differences of the naive log density over a 40th of a standard error and
    half of that, extrapolated; the last free weight is 1 minus the others."""
    k, at = len(mixture.weights_), np.concatenate([mixture.weights_, mixture.rates_.ravel()])
    free = np.ones(len(at), bool) if free is None else free
    directions = np.eye(len(at))[free]
    weights = np.flatnonzero(free[:k])
    if len(weights):
        directions[: len(weights), weights[-1]] = -1.0
        directions = np.delete(directions, len(weights) - 1, axis=0)
    steps = 0.025 * np.sqrt(errors.parameters_covariance.diagonal()[directions.argmax(axis=1)])
    shifts = steps[:, None] * directions

    def log_prob(shift):
        vector = at + shift
        return naive.posterior(naive.poisson_log_density(X, vector[k:].reshape(k, -1)), vector[:k])[0]

    def slope(step):
        return (log_prob(step) - log_prob(-step)) / 2

    def curvature(a, b):
        return sum(s * (log_prob(a + s * b).sum() + log_prob(-a - s * b).sum()) for s in (1, -1)) / 4

    scores = np.array([(8 * slope(s / 2) - slope(s)) / 3 for s in shifts]).T / steps
    hessian = np.array([[(16 * curvature(a / 2, b / 2) - curvature(a, b)) / 3 for b in shifts] for a in shifts])
    hessian /= np.outer(steps, steps)
    products = scores.T @ scores
    inverse = np.linalg.inv(products if method == "opg" else -hessian)
    if method == "sandwich":
        inverse = inverse @ products @ inverse
    return directions.T @ inverse @ directions


def agree(found, expected, tolerance=1e-6):
    """Covariances, measured in standard errors."""
    variances = expected.diagonal()
    units = np.sqrt(np.outer(variances, variances)) + (expected == 0)  # what is fixed has 0, exactly
    np.testing.assert_allclose(found / units, expected / units, rtol=0, atol=tolerance)


@methods
@worlds
@pytest.mark.seconds
def test_information_is_that_of_differences(world, method):
    mixture = fitted(world)
    errors = mixture.standard_errors(world.X, method=method)
    agree(errors.parameters_covariance, truth(mixture, world.X, method, errors))
    assert errors.rates.shape == mixture.rates_.shape
    found = np.concatenate([errors.weights, errors.rates.ravel()])
    np.testing.assert_array_equal(found, np.sqrt(errors.parameters_covariance.diagonal()))


def test_errors_have_the_names_of_the_parameters():
    errors = fitted(datasets.two_rates).standard_errors(datasets.two_rates.X)
    with pytest.raises(AttributeError, match="has no 'means', only weights, rates"):
        _ = errors.means


def test_one_component_has_the_textbook_errors():
    X = datasets.three_columns.X
    found = PoissonMixture(1).fit(X).standard_errors(X)
    np.testing.assert_array_equal(found.weights, [0.0])
    np.testing.assert_allclose(found.rates, np.sqrt(X.mean(axis=0, keepdims=True) / len(X)), rtol=1e-12)
    robust = PoissonMixture(1).fit(X).standard_errors(X, method="sandwich")
    np.testing.assert_allclose(robust.rates[0], X.std(axis=0) / np.sqrt(len(X)), rtol=1e-12)


@pytest.mark.parametrize("method", ["louis", "opg"])
def test_a_weight_counts_as_equal_rows(method):
    world = datasets.two_rates
    w = np.random.default_rng(0).integers(0, 4, size=len(world.X))
    mixture = fitted(world).set_params(warm_start=True).fit(world.X, sample_weight=w)
    weighted = mixture.standard_errors(world.X, sample_weight=w, method=method)
    repeated = mixture.standard_errors(np.repeat(world.X, w, axis=0), method=method)
    agree(weighted.parameters_covariance, repeated.parameters_covariance, 1e-9)


def test_a_sandwich_does_not_join_equal_rows_and_knows_no_scale_of_weights():
    world = datasets.two_rates
    mixture = fitted(world)
    once = mixture.standard_errors(world.X, method="sandwich")
    twice = mixture.standard_errors(np.concatenate([world.X, world.X]), method="sandwich")
    agree(2 * twice.parameters_covariance, once.parameters_covariance, 1e-9)
    small = mixture.standard_errors(world.X, sample_weight=np.full(len(world.X), 0.01), method="sandwich")
    agree(small.parameters_covariance, once.parameters_covariance, 1e-9)


@methods
@pytest.mark.parametrize("fixed", ["weights", "rates"])
@pytest.mark.seconds
def test_what_is_fixed_is_known(fixed, method):
    world = datasets.three_columns
    mixture = fitted(world, fixed=(fixed,))
    errors = mixture.standard_errors(world.X, method=method)
    for name in ("weights", "rates"):
        assert ((getattr(errors, name) == 0) == (name == fixed)).all()
    free = errors.parameters_covariance.diagonal() > 0
    agree(errors.parameters_covariance, truth(mixture, world.X, method, errors, free))


def test_a_mask_holds_those_of_its_components_and_all_fixed_is_all_known():
    world = datasets.three_rates
    mixture = fitted(world, fixed={"rates": [True, False, False]})
    errors = mixture.standard_errors(world.X)
    assert errors.rates[0, 0] == 0
    agree(errors.parameters_covariance, truth(mixture, world.X, "louis", errors,
                                              errors.parameters_covariance.diagonal() > 0))  # fmt: skip
    found = fitted(world, fixed=("weights", "rates")).standard_errors(world.X)
    assert (found.parameters_covariance == 0).all()


@methods
def test_a_rate_of_0_has_none_and_the_others_theirs(method):
    world = datasets.silent_column
    mixture = fitted(world)
    assert (mixture.rates_[:, 1] == 0).all()
    found = mixture.standard_errors(world.X, method=method)
    np.testing.assert_array_equal(np.isnan(found.rates), [[False, True, False]] * 2)
    inside = ~np.isnan(found.parameters_covariance.diagonal())
    without = fitted(datasets.EventsWorld("", world.X[:, [0, 2]], world.weights, world.rates[:, [0, 2]]))
    expected = without.standard_errors(world.X[:, [0, 2]], method=method)
    agree(found.parameters_covariance[np.ix_(inside, inside)], expected.parameters_covariance, 1e-8)


@pytest.mark.filterwarnings("ignore::fastem.EmptyComponentWarning")
def test_an_empty_component_has_none_and_the_others_theirs():
    X = datasets.two_rates.X
    mixture = PoissonMixture(3, weights_init=[0.3, 0.0, 0.7], rates_init=[1.0, 50.0, 7.0], **AT_MAXIMUM).fit(X)
    found = mixture.standard_errors(X)
    assert np.isnan(found.rates[1])
    np.testing.assert_allclose(found.rates[[0, 2]], fitted(datasets.two_rates).standard_errors(X).rates, rtol=1e-5)


def test_refusals():
    X = datasets.two_rates.X
    with pytest.raises(fastem.NotFittedError, match="not fitted yet"):
        PoissonMixture(2).standard_errors(X)
    mixture = fitted(datasets.two_rates)
    with pytest.raises(ValueError, match="method must be one of 'louis', 'opg', 'sandwich', got 'fisher'"):
        mixture.standard_errors(X, method="fisher")
    with pytest.raises(ValueError, match="X has 2 features, but PoissonMixture is expecting 1"):
        mixture.standard_errors(np.tile(X, 2))
    prior = PoissonMixture(1, prior=fastem.PoissonPrior(shape=2.0)).fit(X)
    with pytest.raises(ValueError, match="prior must be None"):
        prior.standard_errors(X)
    with pytest.raises(ValueError, match="needs all weights fixed or none; 1 of 3 are fixed"):
        fitted(datasets.three_rates, fixed={"weights": [True, False, False]}).standard_errors(datasets.three_rates.X)


@methods
@pytest.mark.filterwarnings("ignore::fastem.EqualComponentWarning")
def test_equal_components_are_not_identified(method):
    mixture = PoissonMixture(2, weights_init=[0.5, 0.5], rates_init=[6.0, 6.0]).fit([5, 9, 8, 4, 7])
    with pytest.raises(ValueError, match="not identified"):
        mixture.standard_errors([5, 9, 8, 4, 7], method=method)
