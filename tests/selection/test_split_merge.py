"""Splits and merges: what they keep, and which are chosen."""

import numpy as np
import pytest

import fastem
from fastem.families.gaussian.structures import COVARIANCE_TYPES
from fastem.search.search import with_one_more
from fastem.selection import split_merge
from fastem.selection.data import Data

RNG = np.random.default_rng(0)


def normal(kind, means=((0.0, 0.0), (1.0, 0.0), (9.0, 9.0)), weights=(0.2, 0.3, 0.5)):
    """Components of growing size."""
    k = len(means)
    matrices = np.array([np.array([[2.0, 0.5], [0.5, 1.0]]) * (1 + 0.1 * c) for c in range(k)])
    covariances = {
        "full": matrices, "tied": matrices[0], "diag": np.diagonal(matrices, axis1=1, axis2=2).copy(),
        "spherical": 1 + 0.1 * np.arange(k),
    }[kind]  # fmt: skip
    return fastem.GaussianParams(np.array(weights), np.array(means), covariances, kind)


def coins(*probs, weights=None):
    k = len(probs)
    return fastem.BinomialParams(np.full(k, 1 / k) if weights is None else np.array(weights), np.array(probs))


def moments(params):
    """Mean and covariance of the mixture; of counts the rates."""
    if isinstance(params, fastem.BinomialParams):
        return params.weights @ params.probs, np.zeros(1)
    k, d = params.means.shape
    covariances = {
        "full": lambda c: c, "tied": lambda c: np.stack([c] * k), "diag": lambda c: c[:, :, None] * np.eye(d),
        "spherical": lambda c: c[:, None, None] * np.eye(d),
    }[params.covariance_type](params.covariances)  # fmt: skip
    mean = params.weights @ params.means
    delta = params.means - mean
    return mean, np.einsum("k,kij->ij", params.weights, covariances + delta[:, :, None] * delta[:, None, :])


@pytest.mark.parametrize("kind", COVARIANCE_TYPES)
def test_a_merge_keeps_the_moments_that_its_type_can_hold(kind):
    params = normal(kind)
    found = params.merge(0, 2)
    found.check()
    assert found.weights.tolist() == [0.7, 0.3]
    (mean, covariance), (kept_mean, kept) = moments(params), moments(found)
    np.testing.assert_allclose(kept_mean, mean, rtol=1e-13)
    if kind == "full":
        np.testing.assert_allclose(kept, covariance, rtol=1e-13)
    elif kind == "diag":
        np.testing.assert_allclose(np.diag(kept), np.diag(covariance), rtol=1e-13)
    elif kind == "spherical":
        assert np.trace(kept) == pytest.approx(np.trace(covariance), rel=1e-13)
    else:
        np.testing.assert_array_equal(found.covariances, params.covariances)
    np.testing.assert_array_equal(found.means[1], params.means[1])


def test_a_merge_of_coins_keeps_their_rates():
    params = coins([0.1, 0.4], [0.3, 0.2], [0.9, 0.9], weights=(0.2, 0.3, 0.5))
    found = params.merge(1, 2)
    assert found.weights.tolist() == [0.2, 0.8]
    np.testing.assert_allclose(moments(found)[0], moments(params)[0], rtol=1e-14)


@pytest.mark.parametrize("kind", COVARIANCE_TYPES)
def test_the_closest_pair_is_merged(kind):
    found, *_ = split_merge.with_one_less(normal(kind))
    np.testing.assert_allclose(found.means, [[0.6, 0.0], [9.0, 9.0]])
    assert found.weights.tolist() == [0.5, 0.5]


def test_the_closest_coins_are_merged():
    found, *_ = split_merge.with_one_less(coins([0.1], [0.9], [0.5], [0.8]))
    np.testing.assert_allclose(found.probs, [[0.1], [0.85], [0.5]])


def test_close_is_told_in_standard_deviations_and_by_weight():
    """Not in distance: two thin components side by side are two, two wide ones are nearly one."""
    params = fastem.GaussianParams(np.full(4, 0.25), np.array([[0.0], [1.0], [50.0], [60.0]]),
                                 np.array([0.01, 0.01, 99.0, 99.0]).reshape(4, 1, 1))  # fmt: skip
    assert split_merge.with_one_less(params)[0].means.ravel().tolist() == [0.0, 1.0, 55.0]
    light = fastem.GaussianParams(np.array([0.499, 0.499, 0.001, 0.001]), np.array([[0.0], [2.0], [9.0], [14.0]]),
                                np.ones((4, 1, 1)))  # fmt: skip
    np.testing.assert_allclose(split_merge.with_one_less(light)[0].means.ravel(), [0.0, 2.0, 11.5])


def test_the_pair_that_loses_least_on_all_rows_goes_on():
    """The bound says that a few rows that lie apart are merged; two halves of one component lose nothing."""
    X = np.concatenate([RNG.normal(0.0, 3.0, 20_000), RNG.normal(4.0, 0.2, 1_000)])[:, np.newaxis]
    halves = fastem.GaussianParams(np.array([10, 10, 1]) / 21, np.array([[-2.4], [2.4], [4.0]]),
                                 np.array([3.3, 3.3, 0.04]).reshape(3, 1, 1))  # fmt: skip
    nearest, *others = split_merge.with_one_less(halves)
    assert len(others) == 2
    found = split_merge.neighbour(fastem.GaussianMixture(2), halves, Data(X))
    np.testing.assert_allclose(found.means[found.order("weights"), 0], [4.0, 0.0], atol=0.3)
    assert fastem.accumulate(found, X).loglik > fastem.accumulate(nearest, X).loglik + 50


@pytest.mark.parametrize("kind", ["full", "diag", "spherical"])
def test_what_a_merge_loses_in_closed_form(kind):
    """Two of variance 1 at -1 and 1 are one of variance 2."""
    ones = {"full": np.ones((2, 1, 1)), "diag": np.ones((2, 1)), "spherical": np.ones(2)}[kind]
    params = fastem.GaussianParams(np.array([0.5, 0.5]), np.array([[-1.0], [1.0]]), ones, kind)
    assert params.merge_loss(0, 1) == pytest.approx(np.log(2) / 2, rel=1e-14)


@pytest.mark.parametrize("params", [normal("full"), normal("diag"), normal("spherical"), coins([0.2], [0.3], [0.9])])
def test_a_merge_loses_no_more_likelihood_than_it_says(params):
    """Runnalls's bound, on many rows of the mixture itself; for counts a toss at a time."""
    n = 20_000
    labels = RNG.choice(3, n, p=params.weights)
    options = {} if isinstance(params, fastem.GaussianParams) else {"trials": 1}
    X = params.sample(labels, RNG, **options)
    both = params, params.merge(0, 1)
    before, after = (fastem.accumulate(each, X, **options).loglik / n for each in both)
    assert before - after <= params.merge_loss(0, 1) + 0.01  # of 20,000 rows


def test_an_empty_component_goes_first():
    params = normal("full", weights=(0.5, 0.0, 0.5))
    found, *_ = split_merge.with_one_less(params)
    np.testing.assert_array_equal(found.means, params.means[[0, 2]])


def test_coins_that_never_fail_are_merged():
    found, *_ = split_merge.with_one_less(coins([0.0, 1.0], [0.0, 1.0], [0.5, 0.5]))
    found.check()
    np.testing.assert_allclose(found.probs, [[0.0, 1.0], [0.5, 0.5]])
    for weights in RNG.dirichlet(np.ones(3), size=100):
        assert coins([1.0], [1.0], [1.0], weights=tuple(weights)).merge(0, 2).probs.max() == 1.0


@pytest.mark.parametrize("kind", COVARIANCE_TYPES)
def test_the_component_that_gains_most_is_split(kind):
    """Of three, the one that stands for two clusters."""
    X = np.concatenate([RNG.normal(at, 1.0, size=(300, 2)) for at in ((0, 0), (0, 30), (30, 0), (38, 0))])
    start = fastem.GaussianParams.from_variances(np.array([[0.0, 0.0], [0.0, 30.0], [34.0, 0.0]]), np.ones(2), kind)
    fit = fastem.em(lambda p: fastem.accumulate(p, X), lambda s: s.maximize(), start)
    family = fastem.GaussianMixture(4, covariance_type=kind).family
    with fastem.open_rows(X) as rows:
        found, *_ = with_one_more(rows, family, fit.params, np.random.default_rng(0))
    found.check()
    np.testing.assert_allclose(np.sort(found.means[:, 0]), [0, 0, 30, 38], atol=0.5)


def test_the_coin_that_stands_for_two_is_split():
    heads = np.concatenate([RNG.binomial(50, p, size=300) for p in (0.1, 0.7, 0.9)])
    start = coins([0.1], [0.8], weights=(1 / 3, 2 / 3))
    with fastem.open_rows(heads[:, np.newaxis], trials=50, has_trials=True) as rows:
        found, *_ = with_one_more(rows, fastem.BinomialMixture(3).family, start, np.random.default_rng(0))
    np.testing.assert_allclose(np.sort(found.probs.ravel()), [0.1, 0.7, 0.9], atol=0.05)


def test_the_halves_of_a_component_share_its_weight():
    found = normal("full").split(1)
    np.testing.assert_allclose(found.weights, [0.2, 0.15, 0.5, 0.15])
    np.testing.assert_allclose(moments(found)[1], moments(normal("full"))[1], rtol=1e-13)


def test_an_empty_component_is_not_split():
    """Nor one of too few rows; the heaviest is, where all are of so few."""
    family, params = fastem.GaussianMixture(4).family, normal("full", weights=(0.4, 0.0, 0.6))
    with fastem.open_rows(params.sample(np.array([0, 2, 2]), RNG)) as rows:
        found, *_ = with_one_more(rows, family, params, np.random.default_rng(0))
    assert len(found.weights) == 4
    assert found.weights[1] == 0
    assert found.weights[0] == pytest.approx(1 / 3)


def test_a_mixture_goes_on_from_others():
    X = np.concatenate([RNG.normal(at, size=(300, 1)) for at in (0.0, 8.0, 20.0)])
    data = Data(X)
    two = fastem.GaussianMixture(2, random_state=0).fit(X)
    three = split_merge.fit_neighbour(fastem.GaussianMixture(3, random_state=0), two.params_, data)
    np.testing.assert_allclose(np.sort(three.means_.ravel()), [0, 8, 20], atol=0.3)
    assert (three.warm_start, hasattr(three, "stats_"), len(three.starts_)) == (False, False, 1)
    back = split_merge.fit_neighbour(fastem.GaussianMixture(2), three.params_, data)
    assert back.loglik_ == pytest.approx(two.loglik_, abs=1.0)


@pytest.mark.parametrize("k", [1, 3])
def test_it_begins_at_the_split_or_the_merge(k):
    X = np.concatenate([RNG.normal(at, size=(300, 1)) for at in (0.0, 8.0, 20.0)])
    data = Data(X)
    two = fastem.GaussianMixture(2, random_state=0).fit(X)
    mixture = fastem.GaussianMixture(k, max_iter=0, random_state=0)
    start = split_merge.neighbour(mixture, two.params_, data)
    np.testing.assert_array_equal(split_merge.fit_neighbour(mixture, two.params_, data).means_, start.means)


@pytest.mark.parametrize("stopping", ["q", "aitken"])
def test_a_mixture_that_goes_on_knows_of_no_iteration_before(stopping):
    X = np.concatenate([RNG.normal(size=(150, 1)), RNG.normal(6.0, 1.0, size=(150, 1))])
    one = fastem.GaussianMixture(1).fit(X)
    two = fastem.GaussianMixture(2, stopping=stopping, random_state=0)
    assert split_merge.fit_neighbour(two, one.params_, Data(X)).n_iter_ > 1
