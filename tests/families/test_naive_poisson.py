"""The naive Poisson mixture against SciPy, closed forms and hand-computed values."""

import math

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from scipy import stats
from support import loops, naive
from support.datasets import EVENTS_WORLDS, two_rates, without_events

ROUNDING = 1e-12  # sums of about a thousand terms, each right to a few eps = 2.2e-16

worlds = pytest.mark.parametrize("world", EVENTS_WORLDS, ids=lambda world: world.name)


def close(actual, desired, digits=ROUNDING):
    """Equal to `digits` of the largest entry: entries near 0 carry the absolute error of the others."""
    assert_allclose(actual, desired, rtol=digits, atol=digits * np.max(np.abs(desired)))


def ones(world):
    return np.ones(len(world.X))


def some_weights(world):
    """Sample weights between 0 and 3, zeros among them."""
    return np.random.default_rng(31).choice([0.0, 0.5, 1.0, 3.0], size=len(world.X))


@worlds
def test_an_events_world_is_odd_in_length_and_possible_under_its_start(world):
    k, d = world.rates.shape
    assert len(world.X) % 2 == 1
    assert (world.X.shape[1], len(world.weights)) == (d, k)
    assert world.X.min() >= 0
    assert_array_equal(world.X, np.floor(world.X))
    assert world.rates.min() >= 0
    close(world.weights.sum(), 1.0)
    assert np.isfinite(naive.poisson_sums(world.X, ones(world), world.weights, world.rates)[2])


def test_the_worlds_have_columns_and_components_without_events():
    assert any(np.any(np.all(world.X == 0, axis=0)) for world in EVENTS_WORLDS)
    assert any(np.any(world.rates == 0) for world in EVENTS_WORLDS)
    assert all(np.any(world.X == 0) or world.rates.min() > 1 for world in EVENTS_WORLDS)
    assert {world.X.shape[1] for world in EVENTS_WORLDS} == {1, 2, 3}


@worlds
def test_poisson_density_is_scipys(world):
    scipys = np.array([stats.poisson.logpmf(world.X, rate).sum(axis=1) for rate in world.rates]).T
    ours = naive.poisson_log_density(world.X, world.rates)
    possible = np.isfinite(scipys)
    assert_array_equal(np.isfinite(ours), possible)
    # 1e6 log 1e6 = 1.4e7 of many_events cancels but for 8
    close(ours[possible], scipys[possible], 1e-11 if world.name != "many_events" else 1e-8)


def test_poisson_density_by_hand():
    density = np.exp(naive.poisson_log_density(np.array([[0.0], [1.0], [3.0]]), np.array([[0.0], [2.0]])))
    close(density, [[1, math.exp(-2)], [0, 2 * math.exp(-2)], [0, 8 / 6 * math.exp(-2)]])


@pytest.mark.parametrize("rate", [0.0, 0.01, 1.0, 30.0])
def test_poisson_probabilities_sum_to_one_and_have_the_rate_as_mean_and_variance(rate):
    x = np.arange(200.0)[:, None]  # 30 and thirty standard deviations
    density = np.exp(naive.poisson_log_density(x, np.array([[rate]])))[:, 0]
    close(density.sum(), 1.0)
    assert_allclose(density @ x[:, 0], rate, rtol=1e-11)
    assert_allclose(density @ (x[:, 0] - rate) ** 2, rate, rtol=1e-11)


@worlds
def test_events_add_up_and_the_log_likelihood_is_q_plus_entropy(world):
    w = some_weights(world)
    counts, events, loglik, entropy = naive.poisson_sums(world.X, w, world.weights, world.rates)
    close(counts.sum(), w.sum())
    close(events.sum(axis=0), w @ world.X)
    joint = naive.poisson_log_density(world.X, world.rates) + np.log(world.weights)
    _, resp = naive.posterior(naive.poisson_log_density(world.X, world.rates), world.weights)
    q = np.sum(w[:, None] * resp * np.where(resp > 0, joint, 0))
    assert_allclose(q + entropy, loglik, rtol=ROUNDING)


@worlds
def test_weight_w_is_the_row_repeated_w_times_and_weight_0_is_no_row(world):
    times = np.arange(len(world.X)) % 4
    weighted = naive.poisson_sums(world.X, times.astype(float), world.weights, world.rates)
    repeated = naive.poisson_sums(np.repeat(world.X, times, axis=0), np.ones(times.sum()), world.weights, world.rates)
    for one, other in zip(weighted, repeated, strict=True):
        close(one, other, 1e-11)


def test_em_of_one_component_is_the_mean_in_one_step():
    X, w = np.array([[0.0, 2.0], [4.0, 0.0], [1.0, 7.0]]), np.array([1.0, 2.0, 0.0])
    weights, rates, _ = naive.poisson_em(X, w, np.ones(1), np.array([[9.0, 9.0]]), 1)
    close(weights, [1.0])
    close(rates, [[8 / 3, 2 / 3]])


def test_one_em_iteration_by_hand():
    """Row 0 has densities exp(-1) and exp(-2), row 1 exp(-1) and 2 exp(-2)."""
    e, x = math.e, np.array([[0.0], [1.0]])
    first, second = e / (e + 1), e / (e + 2)  # shares of component 0
    weights, rates, (loglik,) = naive.poisson_em(x, np.ones(2), np.full(2, 0.5), np.array([[1.0], [2.0]]), 1)
    close(weights, [(first + second) / 2, 1 - (first + second) / 2])
    close(rates[:, 0], [second / (first + second), (1 - second) / (2 - first - second)])
    close(loglik, math.log((1 / e + 1 / e**2) / 2) + math.log((1 / e + 2 / e**2) / 2))


@worlds
def test_poisson_em_never_decreases_the_log_likelihood(world):
    *_, logliks = naive.poisson_em(world.X, some_weights(world), world.weights, world.rates, 15)
    assert logliks[-1] > logliks[0]
    # 1e6 log 1e6 = 1.4e7 for each row of many_events cancels
    size = abs(logliks[-1]) if world.name != "many_events" else 1.4e7 * len(world.X)
    assert np.min(np.diff(logliks)) >= -ROUNDING * size


@pytest.mark.seconds
def test_deaths_of_women_over_80():
    """Days by deaths of women over 80 in The Times (Hasselblad 1969); the estimates are those of Lange (1995), A
    quasi-Newton acceleration of the EM algorithm."""
    days = np.array([162, 267, 271, 185, 111, 61, 27, 8, 3, 1.0])
    start = np.array([0.3, 0.7]), np.array([[1.0], [2.5]])
    weights, rates, _ = naive.poisson_em(np.arange(10.0)[:, None], days, *start, 5000)
    assert_allclose(weights, [0.3599, 0.6401], atol=2e-4)
    assert_allclose(rates[:, 0], [1.2561, 2.6634], atol=2e-4)


def test_a_component_without_rows_keeps_its_rates():
    weights, rates, _ = naive.poisson_em(
        two_rates.X, ones(two_rates), np.array([0.0, 1.0]), np.array([[9.0], [2.0]]), 2
    )
    assert weights[0] == 0
    assert rates[0, 0] == 9.0
    close(rates[1], two_rates.X.mean(axis=0))


def test_a_component_without_events_stays_so():
    _, rates, _ = naive.poisson_em(
        without_events.X, ones(without_events), without_events.weights, without_events.rates, 9
    )
    assert rates[0, 0] == 0


@pytest.mark.parametrize("world", [w for w in EVENTS_WORLDS if w.X.shape[1] == 1], ids=lambda world: world.name)
def test_the_poisson_loop_is_one_em_iteration(world):
    start = world.weights.tolist(), world.rates[:, 0].tolist()
    weights, rates, q = loops.loop_em_step_poisson(world.X[:, 0].tolist(), *start)
    truth = naive.poisson_em(world.X, ones(world), world.weights, world.rates, 1)
    *_, loglik, entropy = naive.poisson_sums(world.X, ones(world), world.weights, world.rates)
    close(weights, truth[0])
    close(rates, truth[1][:, 0])
    close(q, loglik - entropy)
