"""Named small data sets, each with a plausible start: near the truth, not at it.  Fixed seeds, odd numbers of rows."""
from dataclasses import dataclass, replace

import numpy as np


@dataclass(frozen=True)
class World:
    name: str
    X: np.ndarray               # (n, d)
    weights: np.ndarray         # (k,)
    means: np.ndarray           # (k, d)
    covariances: np.ndarray     # (k, d, d)


@dataclass(frozen=True)
class CountsWorld:
    name: str
    X: np.ndarray               # (n, m)  successes, whole numbers in float64
    trials: np.ndarray          # (n, m)
    weights: np.ndarray         # (k,)
    probs: np.ndarray           # (k, m)


@dataclass(frozen=True)
class EventsWorld:
    name: str
    X: np.ndarray               # (n, d)  counts without a limit, whole numbers in float64
    weights: np.ndarray         # (k,)
    rates: np.ndarray           # (k, d)


# ---------------------------------------------------------------------------------------------------- how they are made


def normal_rows(rng, n, weights, means, covariances):
    """n draws from a normal mixture: x = mean + L z with L L^T = covariance."""
    labels = rng.choice(len(weights), size=n, p=weights)
    z = rng.standard_normal((n, means.shape[1]))
    return means[labels] + np.einsum("nij,nj->ni", np.linalg.cholesky(covariances)[labels], z)


def normal_world(name, seed, n, weights, means, covariances) -> World:
    """Draws of the given mixture; the start is a third of an sd off, 1.4 times as broad, weights half way to equal."""
    rng = np.random.default_rng(seed)
    weights, means, covariances = np.array(weights), np.array(means, dtype=float), np.array(covariances, dtype=float)
    X = normal_rows(rng, n, weights, means, covariances)
    sds = np.sqrt(np.diagonal(covariances, axis1=1, axis2=2))
    start = means + sds / 3 * rng.choice([-1.0, 1.0], size=means.shape)
    return World(name, X, (weights + 1 / len(weights)) / 2, start, 1.4 * covariances)


def random_covariances(rng, k, d):
    """A A^T / d + I / 4: correlated, eigenvalues between 1/4 and about 4."""
    A = rng.standard_normal((k, d, d))
    return A @ A.transpose(0, 2, 1) / d + np.eye(d) / 4


def shifted(world: World, name, offset) -> World:
    return replace(world, name=name, X=world.X + offset, means=world.means + offset)


def scaled(world: World, name, scale) -> World:
    return replace(world, name=name, X=world.X * scale, means=world.means * scale,
                   covariances=world.covariances * scale**2)


def counts_world(name, seed, trials, weights, probs) -> CountsWorld:
    """Draws of the given mixture; the start pulls every p a fifth of its way to 1/2, weights half way to equal."""
    rng = np.random.default_rng(seed)
    weights, probs = np.array(weights), np.array(probs)
    labels = rng.choice(len(weights), size=len(trials), p=weights)
    X = rng.binomial(trials, probs[labels]).astype(float)
    return CountsWorld(name, X, trials.astype(float), (weights + 1 / len(weights)) / 2, 0.8 * probs + 0.1)


def events_world(name, seed, n, weights, rates) -> EventsWorld:
    """Draws of the given mixture; the start pulls every rate a fifth of its way to the mean of its column, weights half
    way to equal."""
    rng = np.random.default_rng(seed)
    weights, rates = np.array(weights), np.array(rates, dtype=float)
    X = rng.poisson(rates[rng.choice(len(weights), size=n, p=weights)]).astype(float)
    return EventsWorld(name, X, (weights + 1 / len(weights)) / 2, 0.8 * rates + 0.2 * (weights @ rates))


# ----------------------------------------------------------------------------------------------------------- univariate


def univariate(name, seed, n, weights, means, sds) -> World:
    return normal_world(name, seed, n, weights, np.array(means)[:, None], np.array(sds)[:, None, None] ** 2)


univariate_one = univariate("univariate_one", 1, 501, [1.0], [2.0], [3.0])
univariate_two = univariate("univariate_two", 2, 1003, [0.3, 0.7], [-2.0, 1.5], [1.0, 0.5])
univariate_three = univariate("univariate_three", 3, 1501, [0.2, 0.5, 0.3], [-3.0, 0.0, 2.0], [0.7, 1.0, 2.0])


# --------------------------------------------------------------------------------------------------------- multivariate

two_far = normal_world("two_far", 4, 777, [0.4, 0.6], [[-10.0, 5.0], [10.0, -5.0]],
                       [[[1.0, 0.3], [0.3, 1.0]], [[2.0, -0.5], [-0.5, 0.5]]])

overlapping = normal_world("overlapping", 5, 1001, [0.5, 0.3, 0.2], [[0.0, 0.0], [1.5, 1.0], [-1.0, 2.0]],
                           [[[1.0, 0.2], [0.2, 0.5]], [[0.6, -0.3], [-0.3, 0.8]], [[0.4, 0.0], [0.0, 1.5]]])

one_component = normal_world("one_component", 6, 555, [1.0], [[1.0, -2.0, 0.5]],
                             [[[1.0, 0.4, 0.1], [0.4, 2.0, -0.3], [0.1, -0.3, 0.5]]])


def make_correlated() -> World:
    """Five features, three components, each correlated in its own way."""
    rng = np.random.default_rng(7)
    return normal_world("correlated", 8, 1201, [0.5, 0.25, 0.25], 1.5 * rng.standard_normal((3, 5)),
                        random_covariances(rng, 3, 5))


def make_wide() -> World:
    """Nine features: two blocks of four and one over."""
    rng = np.random.default_rng(9)
    return normal_world("wide", 10, 901, [0.35, 0.65], rng.standard_normal((2, 9)), random_covariances(rng, 2, 9))


def make_many() -> World:
    """Twelve components on a 4 x 3 grid, neighbours touching."""
    rng = np.random.default_rng(11)
    grid = np.array([[3.0 * i, 3.0 * j] for i in range(4) for j in range(3)])
    return normal_world("many", 12, 1499, np.full(12, 1 / 12), grid, random_covariances(rng, 12, 2))


def make_collapsed() -> World:
    """151 equal points with a component of their own, and a broad cloud: the first variance goes to 0."""
    rng = np.random.default_rng(13)
    cloud = 2.0 * rng.standard_normal((600, 2))
    X = rng.permutation(np.vstack([cloud, np.tile([3.0, 3.0], (151, 1))]))
    return World("collapsed", X, np.array([0.3, 0.7]), np.array([[2.9, 3.1], [0.5, -0.5]]),
                 np.array([0.05 * np.eye(2), 5.0 * np.eye(2)]))


def make_empty() -> World:
    """Two components of two_far and, between them in order, one a thousand sds away from all points."""
    weights = np.array([0.4, 0.2, 0.4])
    means = np.insert(two_far.means, 1, [1500.0, -800.0], axis=0)
    covariances = np.insert(two_far.covariances, 1, np.eye(2), axis=0)
    return World("empty", two_far.X, weights, means, covariances)


correlated = make_correlated()
wide = make_wide()
many = make_many()
collapsed = make_collapsed()
empty = make_empty()
offset_1e8 = shifted(two_far, "offset_1e8", 1e8)
tiny_scale = scaled(overlapping, "tiny_scale", 1e-8)
large_scale = scaled(overlapping, "large_scale", 1e8)

NORMAL_WORLDS = [univariate_one, univariate_two, univariate_three, two_far, overlapping, one_component, correlated,
                 wide, many, offset_1e8, tiny_scale, large_scale, collapsed, empty]


# --------------------------------------------------------------------------------------------------------------- counts


def varying_trials(seed, n, m, most):
    """Numbers of trials between 0 and `most`."""
    return np.random.default_rng(seed).integers(0, most, size=(n, m), endpoint=True)


two_coins = counts_world("two_coins", 20, np.full((501, 1), 10), [0.4, 0.6], [[0.3], [0.8]])
three_coins = counts_world("three_coins", 21, varying_trials(22, 1203, 1, 40), [0.2, 0.5, 0.3], [[0.1], [0.5], [0.8]])
three_questions = counts_world("three_questions", 23, varying_trials(24, 905, 3, 12), [0.45, 0.55],
                               [[0.2, 0.7, 0.5], [0.6, 0.3, 0.9]])
# a coin that never and one that always shows heads, known as such: exact zeros among the densities
certain = replace(counts_world("certain", 25, varying_trials(26, 707, 1, 9), [0.3, 0.4, 0.3], [[0.0], [0.5], [1.0]]),
                  probs=np.array([[0.0], [0.4], [1.0]]))

COUNTS_WORLDS = [two_coins, three_coins, three_questions, certain]


# --------------------------------------------------------------------------------------------------------------- events

one_rate = events_world("one_rate", 30, 501, [1.0], [[3.5]])
two_rates = events_world("two_rates", 31, 1003, [0.4, 0.6], [[1.0], [7.0]])
three_rates = events_world("three_rates", 32, 1203, [0.2, 0.5, 0.3], [[0.3], [5.0], [40.0]])
three_columns = events_world("three_columns", 33, 905, [0.45, 0.55], [[2.0, 0.5, 30.0], [5.0, 4.0, 12.0]])
# the second column never has an event, in both components: rates of exactly 0
silent_column = events_world("silent_column", 34, 707, [0.35, 0.65], [[2.0, 0.0, 9.0], [8.0, 0.0, 3.0]])
# a component that has no event at all, known as such
without_events = replace(events_world("without_events", 35, 707, [0.3, 0.7], [[0.0], [2.5]]),
                         rates=np.array([[0.0], [2.0]]))
many_events = events_world("many_events", 36, 501, [0.5, 0.5], [[1e6, 3.0], [1.002e6, 4.0]])

EVENTS_WORLDS = [one_rate, two_rates, three_rates, three_columns, silent_column, without_events, many_events]
