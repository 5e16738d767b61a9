"""The truth is true: naive.py against closed forms, hand-computed values and independent sources."""
import math

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from scipy import stats
from support import naive
from support.datasets import COUNTS_WORLDS, NORMAL_WORLDS, CountsWorld, World

TYPES = ["full", "tied", "diag", "spherical"]
ROUNDING = 1e-12        # sums of about a thousand terms, each right to a few eps = 2.2e-16


def close(actual, desired, digits=ROUNDING):
    """Equal to `digits` of the largest entry: entries near 0 carry the absolute error of the others."""
    assert_allclose(actual, desired, rtol=digits, atol=digits * np.max(np.abs(desired)))


def named(worlds, *, without=(), only=None):
    return [pytest.param(w, id=w.name) for w in worlds if w.name not in without and (only is None or w.name in only)]


def ones(world):
    return np.ones(len(world.X))


def some_weights(world):
    """Sample weights between 0 and 3, zeros among them."""
    rng = np.random.default_rng(31)
    return rng.choice([0.0, 0.5, 1.0, 3.0], size=len(world.X))


def resp_of(world: World):
    return naive.posterior(naive.normal_log_density(world.X, world.means, world.covariances), world.weights)[1]


def resp_of_counts(world: CountsWorld):
    return naive.posterior(naive.binomial_log_density(world.X, world.trials, world.probs), world.weights)[1]


def start(world: World, covariance_type):
    """weights, means, covariances shaped by type."""
    covariances = naive.reduce_covariances(world.covariances, world.weights, covariance_type)
    return world.weights, world.means, covariances


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
    weights, means, new_sds, q = naive.loop_em_step(world.X[:, 0].tolist(), world.weights.tolist(),
                                                    world.means[:, 0].tolist(), sds.tolist())
    truth = naive.normal_em(world.X, ones(world), *start(world, "full"), "full", 0.0, 1)
    *_, loglik, entropy = naive.normal_sums(world.X, ones(world), *start(world, "full"))
    close(weights, truth[0])
    close(means, truth[1][:, 0])
    close(np.square(new_sds), truth[2][:, 0, 0])
    close(q, loglik - entropy)


@pytest.mark.parametrize("world", named(NORMAL_WORLDS, without=("empty",)))       # the loop divides by its count of 0
def test_the_multivariate_loop_is_one_em_iteration(world):
    weights, means, covariances, q = naive.loop_em_step_multivariate(world.X, *start(world, "full"))
    truth = naive.normal_em(world.X, ones(world), *start(world, "full"), "full", 0.0, 1)
    *_, loglik, entropy = naive.normal_sums(world.X, ones(world), *start(world, "full"))
    close(weights, truth[0])
    close(means, truth[1])
    close(covariances, truth[2])
    close(q, loglik - entropy)


@pytest.mark.parametrize("world", [p for p in named(COUNTS_WORLDS) if p.values[0].X.shape[1] == 1])
def test_the_binomial_loop_is_one_em_iteration(world):
    weights, probs, q = naive.loop_em_step_binomial(world.X[:, 0].tolist(), world.trials[:, 0].tolist(),
                                                    world.weights.tolist(), world.probs[:, 0].tolist())
    truth = naive.binomial_em(world.X, world.trials, ones(world), world.weights, world.probs, 1)
    *_, loglik, entropy = naive.binomial_sums(world.X, world.trials, ones(world), world.weights, world.probs)
    close(weights, truth[0])
    close(probs, truth[1][:, 0])
    close(q, loglik - entropy)
