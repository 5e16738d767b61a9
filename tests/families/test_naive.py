"""The truth is true: densities, posterior and sums of naive.py against closed forms and independent sources."""

import math

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from scipy import stats
from support import naive
from support.datasets import COUNTS_WORLDS, NORMAL_WORLDS, CountsWorld, World
from support.worlds import close, named, ones, some_weights


def resp_of(world: World):
    return naive.posterior(naive.normal_log_density(world.X, world.means, world.covariances), world.weights)[1]


def resp_of_counts(world: CountsWorld):
    return naive.posterior(naive.binomial_log_density(world.X, world.trials, world.probs), world.weights)[1]


# ----------------------------------------------------------------------------------------------------------- the worlds


@pytest.mark.parametrize("world", named(NORMAL_WORLDS))
def test_a_normal_world_is_odd_in_length_and_starts_from_a_valid_mixture(world):
    k, d = world.means.shape
    assert len(world.X) % 2 == 1
    assert 500 <= len(world.X) <= 1501
    assert world.X.shape[1] == d
    assert world.weights.shape == (k,)
    assert world.covariances.shape == (k, d, d)
    assert np.all(np.isfinite(world.X))
    assert np.all(np.linalg.eigvalsh(world.covariances) > 0)
    close(world.weights.sum(), 1.0)


@pytest.mark.parametrize("world", named(COUNTS_WORLDS))
def test_a_counts_world_is_odd_in_length_and_possible_under_its_start(world):
    assert len(world.X) % 2 == 1
    assert world.X.shape == world.trials.shape
    assert world.X.min() >= 0
    assert np.min(world.trials - world.X) >= 0
    assert world.probs.min() >= 0
    assert world.probs.max() <= 1
    close(world.weights.sum(), 1.0)
    assert np.isfinite(naive.binomial_sums(world.X, world.trials, ones(world), world.weights, world.probs)[3])


def test_worlds_have_names_of_their_own():
    names = [world.name for world in NORMAL_WORLDS + COUNTS_WORLDS]
    assert len(set(names)) == len(names)


def test_the_empty_component_is_a_thousand_sds_from_every_point():
    (world,) = [w for w in NORMAL_WORLDS if w.name == "empty"]
    assert np.all(np.linalg.norm(world.X - world.means[1], axis=1) > 1000)      # its covariance is the identity
    assert np.all(resp_of(world)[:, 1] == 0)


def test_certain_coins_and_empty_trials_occur():
    assert any(np.any(world.probs == 0) and np.any(world.probs == 1) for world in COUNTS_WORLDS)
    assert any(np.any(world.trials == 0) for world in COUNTS_WORLDS)
    assert {world.X.shape[1] for world in COUNTS_WORLDS} == {1, 3}


# ------------------------------------------------------------------------------------------------------------ densities


@pytest.mark.parametrize("world", named(NORMAL_WORLDS))
def test_normal_density_is_scipys(world):
    scipys = [stats.multivariate_normal.logpdf(world.X, mean, covariance)
              for mean, covariance in zip(world.means, world.covariances, strict=True)]
    ours = naive.normal_log_density(world.X, world.means, world.covariances)
    assert_allclose(ours, np.transpose(scipys), rtol=1e-11, atol=1e-11)     # eigenvalues or LU: condition * eps


def test_normal_density_by_hand():
    two = naive.normal_log_density(np.array([[3.0]]), np.array([[1.0], [3.0]]), np.array([[[4.0]], [[1.0]]]))
    # -(log 2 pi + log 4 + (3 - 1)^2 / 4) / 2 and -log(2 pi) / 2
    close(two, [[-2.112085713764618, -0.9189385332046727]])
    # det [[2, 1], [1, 2]] = 3, its inverse [[2, -1], [-1, 2]] / 3, so (1, 0) is 2 / 3 off
    plane = naive.normal_log_density(np.array([[1.0, 0.0]]), np.zeros((1, 2)), np.array([[[2.0, 1.0], [1.0, 2.0]]]))
    close(plane, [[-math.log(2 * math.pi) - math.log(3) / 2 - 1 / 3]])


@pytest.mark.parametrize("world", named(NORMAL_WORLDS, only=("univariate_one", "univariate_two", "univariate_three")))
def test_a_mixture_density_integrates_to_one(world):
    step = 0.02     # a Riemann sum of a smooth density converges faster than any power of step / sd
    grid = np.arange(-50, 50, step)[:, None]
    log_prob, _ = naive.posterior(naive.normal_log_density(grid, world.means, world.covariances), world.weights)
    close(np.exp(log_prob).sum() * step, 1.0)


@pytest.mark.parametrize("world", named(COUNTS_WORLDS))
def test_binomial_density_is_scipys(world):
    scipys = np.array([stats.binom.logpmf(world.X, world.trials, p).sum(axis=1) for p in world.probs]).T
    ours = naive.binomial_log_density(world.X, world.trials, world.probs)
    assert_allclose(ours, scipys, rtol=1e-11, atol=1e-11)       # lgamma here, betaln there: log 40! = 110 cancels


def test_binomial_density_by_hand():
    X, trials = np.array([[2.0], [0.0], [3.0]]), np.array([[3.0], [0.0], [3.0]])
    density = np.exp(naive.binomial_log_density(X, trials, np.array([[0.5], [0.0], [1.0]])))
    close(density, [[3 / 8, 0, 0], [1, 1, 1], [1 / 8, 0, 1]])


@pytest.mark.parametrize("n", [0, 1, 7, 40])
def test_binomial_probabilities_of_0_to_n_sum_to_one(n):
    X = np.arange(n + 1.0)[:, None]
    density = np.exp(naive.binomial_log_density(X, np.full_like(X, n), np.array([[0.0], [0.1], [0.5], [0.9], [1.0]])))
    close(density.sum(axis=0), np.ones(5))


# ------------------------------------------------------------------------------------------------------------ posterior


@pytest.mark.parametrize("world", named(NORMAL_WORLDS))
def test_responsibilities_sum_to_one(world):
    resp = resp_of(world)
    assert np.all(resp >= 0)
    close(resp.sum(axis=1), np.ones(len(world.X)))


def test_posterior_by_hand():
    log_prob, resp = naive.posterior(np.log([[0.2, 0.6], [0.5, 0.1]]), np.array([0.75, 0.25]))
    close(np.exp(log_prob), [0.3, 0.4])
    close(resp, [[0.5, 0.5], [0.9375, 0.0625]])


def test_a_component_of_weight_zero_gets_nothing():
    log_prob, resp = naive.posterior(np.array([[-1.0, 500.0]]), np.array([1.0, 0.0]))
    assert_array_equal(log_prob, [-1.0])
    assert_array_equal(resp, [[1.0, 0.0]])


def test_a_point_so_far_out_that_every_density_underflows_belongs_to_the_nearest():
    log_density = naive.normal_log_density(np.array([[1e6]]), np.array([[0.0], [1.0]]), np.ones((2, 1, 1)))
    log_prob, resp = naive.posterior(log_density, np.array([0.9, 0.1]))
    assert np.isfinite(log_prob[0])
    assert np.all(np.exp(log_density) == 0)
    assert_array_equal(resp, [[0.0, 1.0]])


def test_a_point_impossible_under_every_component_is_shared_equally_at_log_density_minus_infinity():
    log_density = naive.binomial_log_density(np.array([[1.0]]), np.array([[2.0]]), np.array([[0.0], [1.0]]))
    log_prob, resp = naive.posterior(log_density, np.array([0.9, 0.1]))
    assert_array_equal(log_prob, [-np.inf])
    assert_array_equal(resp, [[0.5, 0.5]])


# ----------------------------------------------------------------------------------------------------------------- sums


@pytest.mark.parametrize("world", named(NORMAL_WORLDS, without=("empty",)))
def test_the_m_step_follows_from_the_sums(world):
    sample_weight = some_weights(world)
    counts, first, second, _, _ = naive.normal_sums(world.X, sample_weight, world.weights, world.means,
                                                    world.covariances)
    weights, means, covariances = naive.normal_m_step(world.X, sample_weight, resp_of(world), "full", 0.0)
    delta = first / counts[:, None]
    close(counts / sample_weight.sum(), weights)
    close(world.means + delta, means)
    # at offset 1e8 a mean is a multiple of 1.5e-8: the second moments know it to its square, the M-step likewise
    close(second / counts[:, None, None] - delta[:, :, None] * delta[:, None, :], covariances)


@pytest.mark.parametrize("world", named(NORMAL_WORLDS))
def test_log_likelihood_is_q_plus_entropy(world):
    sample_weight = some_weights(world)
    _, _, _, loglik, entropy = naive.normal_sums(world.X, sample_weight, world.weights, world.means, world.covariances)
    joint = np.log(world.weights) + naive.normal_log_density(world.X, world.means, world.covariances)
    close(np.sum(sample_weight[:, None] * resp_of(world) * joint) + entropy, loglik)


def test_entropy_of_k_equal_components_is_n_log_k():
    X, k = np.random.default_rng(32).standard_normal((501, 2)), 7
    equal = np.full(k, 1 / k), np.zeros((k, 2)), np.array([np.eye(2)] * k)
    *_, entropy = naive.normal_sums(X, np.ones(501), *equal)
    close(entropy, 501 * math.log(k))


def test_entropy_of_far_components_is_zero():
    X = np.array([[-1e3], [1e3]])
    *_, entropy = naive.normal_sums(X, np.ones(2), np.full(2, 0.5), X, np.ones((2, 1, 1)))
    assert entropy == 0


@pytest.mark.parametrize("world", named(NORMAL_WORLDS, only=("univariate_three", "overlapping", "correlated")))
def test_weight_w_is_the_row_repeated_w_times_and_weight_0_is_no_row(world):
    times = np.arange(len(world.X)) % 4
    parameters = world.weights, world.means, world.covariances
    weighted = naive.normal_sums(world.X, times.astype(float), *parameters)
    repeated = naive.normal_sums(np.repeat(world.X, times, axis=0), np.ones(times.sum()), *parameters)
    for one, other in zip(weighted, repeated, strict=True):
        close(one, other)


@pytest.mark.parametrize("world", named(NORMAL_WORLDS, only=("univariate_three", "overlapping", "many")))
def test_permuting_components_permutes_the_sums(world):
    swap = np.roll(np.arange(len(world.weights)), 1)
    parameters = world.weights, world.means, world.covariances
    plain = naive.normal_sums(world.X, ones(world), *parameters)
    permuted = naive.normal_sums(world.X, ones(world), *(a[swap] for a in parameters))
    for one, other in zip(permuted[:3], plain[:3], strict=True):
        close(one, other[swap])
    close(permuted[3:], plain[3:])


@pytest.mark.parametrize("world", named(COUNTS_WORLDS))
def test_successes_and_failures_add_up_to_all_tosses(world):
    sample_weight = some_weights(world)
    counts, successes, failures, loglik, entropy = naive.binomial_sums(world.X, world.trials, sample_weight,
                                                                       world.weights, world.probs)
    close(counts.sum(), sample_weight.sum())
    close(successes.sum(axis=0), sample_weight @ world.X)
    close((successes + failures).sum(axis=0), sample_weight @ world.trials)
    joint = naive.binomial_log_density(world.X, world.trials, world.probs) + np.log(world.weights)
    resp = resp_of_counts(world)
    q = np.sum(sample_weight[:, None] * resp * np.where(resp > 0, joint, 0))
    close(q + entropy, loglik)
