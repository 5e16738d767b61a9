"""Splits and merges of Poisson components, and which of them are equal."""

import math

import numpy as np
import pytest

import fastem
from fastem import PoissonParams
from fastem.families.diagnosis import diagnosis
from fastem.fitting.collapse import inseparable
from fastem.search.search import with_one_more
from fastem.selection import split_merge

RNG = np.random.default_rng(0)


def poisson(*rates, weights=None):
    k = len(rates)
    return PoissonParams(np.full(k, 1 / k) if weights is None else np.array(weights), np.array(rates, dtype=float))


def test_halves_have_the_rates_of_the_whole():
    params = poisson([3.0, 0.0], [90.0, 1.0], [10.0, 0.1], weights=[0.8, 0.2, 0.0])
    halves = params.split(0, 2)
    halves.check()
    np.testing.assert_allclose(halves.weights, [0.4, 0.2, 0.4])
    np.testing.assert_allclose(halves.weights[[0, 2]] @ halves.rates[[0, 2]], 0.8 * params.rates[0], rtol=1e-14)
    assert halves.rates[0, 0] != halves.rates[2, 0]
    longer = params.split(0)
    assert longer.weights.tolist() == [0.4, 0.2, 0.0, 0.4]


def test_a_merge_keeps_the_rates_of_the_whole():
    params = poisson([1.0, 4.0], [3.0, 2.0], [9.0, 9.0], weights=(0.2, 0.3, 0.5))
    found = params.merge(1, 2)
    assert found.weights.tolist() == [0.2, 0.8]
    np.testing.assert_allclose(found.weights @ found.rates, params.weights @ params.rates, rtol=1e-14)


def test_what_a_merge_loses_in_closed_form():
    """E log p_k - E log p of one Poisson distribution of the mean rate: (1 log 1 + 3 log 3) / 2 - 2 log 2."""
    expected = 1.5 * math.log(3) - 2 * math.log(2)
    assert poisson([1.0], [3.0]).merge_loss(0, 1) == pytest.approx(expected, rel=1e-13)
    assert poisson([0.0], [0.0]).merge_loss(0, 1) == 0


@pytest.mark.parametrize("params", [poisson([2.0], [3.0], [9.0]), poisson([1.0, 5.0], [4.0, 2.0], [0.0, 9.0])])
def test_a_merge_loses_no_more_likelihood_than_it_says(params):
    """Runnalls's bound, on many rows of the mixture itself."""
    n, rng = 20_000, np.random.default_rng(0)
    X = params.sample(rng.choice(3, n, p=params.weights), rng)
    before, after = (fastem.accumulate(each, X).loglik / n for each in (params, params.merge(0, 1)))
    assert before - after <= params.merge_loss(0, 1) + 0.01  # of 20,000 rows


def test_the_closest_are_merged_and_the_one_that_stands_for_two_is_split():
    found, *_ = split_merge.with_one_less(poisson([1.0], [90.0], [30.0], [85.0]))
    np.testing.assert_allclose(found.rates, [[1.0], [87.5], [30.0]])
    X = np.concatenate([RNG.poisson(rate, size=300) for rate in (2.0, 30.0, 60.0)])
    with fastem.open_rows(X[:, np.newaxis], row_kind="counts") as rows:
        start = poisson([2.0], [45.0], weights=(1 / 3, 2 / 3))
        found, *_ = with_one_more(rows, fastem.PoissonMixture(3).family, start, np.random.default_rng(0))
    np.testing.assert_allclose(np.sort(found.rates.ravel()), [2.0, 30.0, 60.0], rtol=0.1)


def test_equal_components_are_equal_in_units_of_a_standard_deviation():
    assert inseparable(poisson([4.0], [4.0 + 1e-8]), np.array([True, True])).tolist() == [1]
    assert inseparable(poisson([1e-9], [2e-9]), np.array([True, True])).tolist() == []
    assert inseparable(poisson([0.0], [0.0]), np.array([True, True])).tolist() == [1]
    found = diagnosis(poisson([4.0], [4.0]), np.array([50.0, 50.0]), set())
    assert found.complaints == ((), ("equals a component before it",))
    assert np.isnan(found.thinnest).all()
