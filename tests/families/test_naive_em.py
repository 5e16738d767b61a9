"""The naive EM is true: against closed forms, hand-computed values and scikit-learn."""

import math

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from support import loops, naive
from support.datasets import COUNTS_WORLDS, NORMAL_WORLDS, World
from support.worlds import ROUNDING, close, named, ones, some_weights

TYPES = ["full", "tied", "diag", "spherical"]


def start(world: World, covariance_type):
    """weights, means, covariances shaped by type."""
    covariances = naive.reduce_covariances(world.covariances, world.weights, covariance_type)
    return world.weights, world.means, covariances


# ------------------------------------------------------------------------------------------------------------------- EM


@pytest.mark.parametrize("world", named(NORMAL_WORLDS, only=("univariate_one", "one_component")))
def test_em_of_one_component_is_sample_mean_and_covariance_in_one_step(world):
    (n, d), sample_weight = world.X.shape, ones(world)
    weights, means, covariances, _ = naive.normal_em(world.X, sample_weight, *start(world, "full"), "full", 0.0, 1)
    close(weights, [1.0])
    close(means[0], world.X.mean(axis=0))
    close(covariances[0], np.cov(world.X.T, bias=True).reshape(d, d))
    *_, logliks = naive.normal_em(world.X, sample_weight, *start(world, "full"), "full", 0.0, 2)
    log_det = math.log(np.linalg.det(covariances[0]))
    close(logliks[1], -n / 2 * (d * math.log(2 * math.pi) + log_det + d))


@pytest.mark.parametrize("world", named(NORMAL_WORLDS, only=("univariate_one", "one_component")))
def test_covariance_types_of_one_component_are_numpys_variances_plus_reg_covar(world):
    sample_weight, reg_covar, d = some_weights(world), 0.25, world.X.shape[1]
    covariance = np.cov(world.X.T, bias=True, aweights=sample_weight).reshape(d, d) + reg_covar * np.eye(d)
    truth = {"full": [covariance], "tied": covariance, "diag": [np.diag(covariance)],
             "spherical": [np.trace(covariance) / d]}
    for covariance_type in TYPES:
        *_, ours = naive.normal_m_step(world.X, sample_weight, np.ones((len(world.X), 1)), covariance_type, reg_covar)
        assert ours.shape == np.shape(truth[covariance_type])
        close(ours, truth[covariance_type])


@pytest.mark.parametrize("covariance_type", TYPES)
def test_reducing_expanded_covariances_gives_them_back(covariance_type):
    (world,) = [w for w in NORMAL_WORLDS if w.name == "correlated"]
    _, _, covariances = start(world, covariance_type)
    full = naive.expand_covariances(covariances, covariance_type, *world.means.shape)
    assert full.shape == world.covariances.shape
    close(naive.reduce_covariances(full, world.weights, covariance_type), covariances)


@pytest.mark.parametrize("covariance_type", TYPES)
@pytest.mark.parametrize("world", named(NORMAL_WORLDS, only=("univariate_two", "overlapping", "correlated", "many")))
def test_one_em_iteration_is_scikit_learns(world, covariance_type):
    mixture, exceptions = pytest.importorskip("sklearn.mixture"), pytest.importorskip("sklearn.exceptions")
    weights, means, covariances = start(world, covariance_type)
    precisions = 1 / covariances if covariance_type in ("diag", "spherical") else np.linalg.inv(covariances)
    theirs = mixture.GaussianMixture(len(weights), covariance_type=covariance_type, reg_covar=0.01, max_iter=1, tol=0.0,
                                     weights_init=weights, means_init=means, precisions_init=precisions,
                                     init_params="random", random_state=0)
    with pytest.warns(exceptions.ConvergenceWarning):
        theirs.fit(world.X)
    *ours, logliks = naive.normal_em(world.X, ones(world), weights, means, covariances, covariance_type, 0.01, 1)
    # scikit-learn adds 10 eps to every count and takes some variances as a difference of squares
    for one, other in zip(ours, (theirs.weights_, theirs.means_, theirs.covariances_), strict=True):
        close(one, other, 1e-11)
    close(logliks[0] / len(world.X), theirs.lower_bound_, 1e-11)


@pytest.mark.parametrize("covariance_type", TYPES)
@pytest.mark.parametrize("world", named(NORMAL_WORLDS, without=("collapsed",)))     # its likelihood has no maximum
@pytest.mark.seconds
def test_em_never_decreases_the_log_likelihood(world, covariance_type):
    parameters = start(world, covariance_type)
    *_, logliks = naive.normal_em(world.X, some_weights(world), *parameters, covariance_type, 0.0, 15)
    assert len(logliks) == 15
    assert logliks[-1] > logliks[0]
    assert np.min(np.diff(logliks)) >= -ROUNDING * abs(logliks[-1])


@pytest.mark.parametrize("world", named(COUNTS_WORLDS))
def test_binomial_em_never_decreases_the_log_likelihood(world):
    *_, logliks = naive.binomial_em(world.X, world.trials, some_weights(world), world.weights, world.probs, 15)
    assert len(logliks) == 15
    assert logliks[-1] > logliks[0]
    assert np.min(np.diff(logliks)) >= -ROUNDING * abs(logliks[-1])


@pytest.mark.parametrize("covariance_type", TYPES)
def test_an_empty_component_keeps_its_parameters_at_weight_zero(covariance_type):
    (world,) = [w for w in NORMAL_WORLDS if w.name == "empty"]
    parameters = start(world, covariance_type)
    weights, means, covariances, _ = naive.normal_em(world.X, ones(world), *parameters, covariance_type, 0.0, 3)
    assert weights[1] == 0
    assert_array_equal(means[1], world.means[1])
    if covariance_type != "tied":
        assert_array_equal(covariances[1], parameters[2][1])


@pytest.mark.parametrize("covariance_type", ["full", "diag", "spherical"])
def test_a_collapsed_component_ends_at_reg_covar(covariance_type):
    (world,) = [w for w in NORMAL_WORLDS if w.name == "collapsed"]
    _, means, covariances, _ = naive.normal_em(world.X, ones(world), *start(world, covariance_type), covariance_type,
                                               1e-6, 30)
    full = naive.expand_covariances(covariances, covariance_type, *means.shape)
    close(means[0], [3.0, 3.0])
    close(full[0], 1e-6 * np.eye(2), 1e-9)      # the neighbours in the cloud are many sds of 1e-3 away


@pytest.mark.parametrize(("moved", "base", "scale", "offset", "digits"), [
    ("tiny_scale", "overlapping", 1e-8, 0.0, ROUNDING),
    ("large_scale", "overlapping", 1e8, 0.0, ROUNDING),
    ("offset_1e8", "two_far", 1.0, 1e8, 2e-9),        # data and means of about 10 are multiples of 1.5e-8 there
])
@pytest.mark.parametrize("covariance_type", TYPES)
def test_em_of_shifted_and_scaled_data_is_shifted_and_scaled(moved, base, scale, offset, digits, covariance_type):
    worlds = {world.name: world for world in NORMAL_WORLDS}
    there, here = worlds[moved], worlds[base]
    w1, m1, c1, _ = naive.normal_em(there.X, ones(there), *start(there, covariance_type), covariance_type, 0.0, 5)
    w2, m2, c2, _ = naive.normal_em(here.X, ones(here), *start(here, covariance_type), covariance_type, 0.0, 5)
    close(w1, w2, digits)
    close((m1 - offset) / scale, m2, digits)
    close(c1 / scale**2, c2, digits)


def test_two_coins_by_hand():
    """Do and Batzoglou, What is the expectation maximization algorithm?, Nat. Biotechnol. 26 (2008), figure 1b."""
    X, trials = np.array([[5.0], [9.0], [8.0], [4.0], [7.0]]), np.full((5, 1), 10.0)
    coins = np.full(2, 0.5), np.array([[0.6], [0.5]])
    _, heads, tails, _, _ = naive.binomial_sums(X, trials, np.ones(5), *coins)
    assert_allclose(heads[:, 0], [21.3, 11.7], atol=0.05)       # one decimal in the figure
    assert_allclose(tails[:, 0], [8.6, 8.4], atol=0.05)
    _, probs, _ = naive.binomial_em(X, trials, np.ones(5), *coins, 1)
    assert_allclose(probs[:, 0], [0.71301224, 0.58133931], atol=5e-9)       # eight decimals


def test_a_coin_never_tossed_keeps_its_probability():
    X, trials = np.array([[1.0, 0.0], [2.0, 0.0]]), np.array([[3.0, 0.0], [3.0, 0.0]])
    _, probs, _ = naive.binomial_em(X, trials, np.ones(2), np.ones(1), np.array([[0.3, 0.7]]), 2)
    close(probs, [[0.5, 0.7]])


def test_certain_coins_stay_certain():
    (world,) = [w for w in COUNTS_WORLDS if w.name == "certain"]
    _, probs, _ = naive.binomial_em(world.X, world.trials, ones(world), world.weights, world.probs, 10)
    assert probs[0, 0] == 0
    assert probs[2, 0] == 1


# -------------------------------------------------------------------------------------------------------------- k-means


def test_nearest_by_hand():
    X = np.array([[0.0, 0.0], [3.0, 4.0], [0.5, 1.0], [2.0, 0.0]])      # the third is a tie
    centers = np.array([[0.0, 0.0], [1.0, 0.0], [50.0, 50.0]])
    distances, labels, counts, first, inertia = naive.nearest(X, np.array([1.0, 2.0, 3.0, 0.0]), centers,
                                                              np.array([1.0, 2.0]))
    assert_array_equal(distances, [0.0, 68.0, 4.25, 1.0])
    assert_array_equal(labels, [0, 1, 0, 1])
    assert_array_equal(counts, [4.0, 2.0, 0.0])
    assert_array_equal(first, [[1.5, 3.0], [4.0, 8.0], [0.0, 0.0]])
    assert inertia == 2 * 68.0 + 3 * 4.25


@pytest.mark.parametrize("world", named(NORMAL_WORLDS, only=("univariate_three", "correlated", "many")))
def test_moving_centers_to_the_means_of_their_points_never_increases_the_inertia(world):
    sample_weight, scale = some_weights(world), 1 / world.X.std(axis=0)
    _, _, counts, first, before = naive.nearest(world.X, sample_weight, world.means, scale)
    *_, after = naive.nearest(world.X, sample_weight, world.means + first / counts[:, None], scale)
    assert after < before


# -------------------------------------------------------------------------------------------------- the per-sample loop


@pytest.mark.parametrize("world", named(NORMAL_WORLDS, only=("univariate_one", "univariate_two", "univariate_three")))
def test_the_univariate_loop_is_one_em_iteration(world):
    sds = np.sqrt(world.covariances[:, 0, 0])
    weights, means, new_sds, q = loops.loop_em_step(world.X[:, 0].tolist(), world.weights.tolist(),
                                                    world.means[:, 0].tolist(), sds.tolist())
    truth = naive.normal_em(world.X, ones(world), *start(world, "full"), "full", 0.0, 1)
    *_, loglik, entropy = naive.normal_sums(world.X, ones(world), *start(world, "full"))
    close(weights, truth[0])
    close(means, truth[1][:, 0])
    close(np.square(new_sds), truth[2][:, 0, 0])
    close(q, loglik - entropy)


@pytest.mark.parametrize("world", named(NORMAL_WORLDS, without=("empty",)))       # the loop divides by its count of 0
@pytest.mark.seconds
def test_the_multivariate_loop_is_one_em_iteration(world):
    weights, means, covariances, q = loops.loop_em_step_multivariate(world.X, *start(world, "full"))
    truth = naive.normal_em(world.X, ones(world), *start(world, "full"), "full", 0.0, 1)
    *_, loglik, entropy = naive.normal_sums(world.X, ones(world), *start(world, "full"))
    close(weights, truth[0])
    close(means, truth[1])
    close(covariances, truth[2])
    close(q, loglik - entropy)


@pytest.mark.parametrize("world", [p for p in named(COUNTS_WORLDS) if p.values[0].X.shape[1] == 1])
def test_the_binomial_loop_is_one_em_iteration(world):
    weights, probs, q = loops.loop_em_step_binomial(world.X[:, 0].tolist(), world.trials[:, 0].tolist(),
                                                    world.weights.tolist(), world.probs[:, 0].tolist())
    truth = naive.binomial_em(world.X, world.trials, ones(world), world.weights, world.probs, 1)
    *_, loglik, entropy = naive.binomial_sums(world.X, world.trials, ones(world), world.weights, world.probs)
    close(weights, truth[0])
    close(probs, truth[1][:, 0])
    close(q, loglik - entropy)
