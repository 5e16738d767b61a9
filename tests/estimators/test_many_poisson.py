"""Many small Poisson fits against `em` and naive, on every twin; starts, statuses, labels, extremes."""

import math
from itertools import pairwise

import numpy as np
import pytest
from support import datasets, naive
from support.groups import AS_EM, RTOL, assert_equal_bits, event_groups, offsets_of

import fastem
from fastem import FitStatus, PoissonParams, PoissonStats, fit_many

ITERATIONS = 12  # some groups converge before, some do not
SINGLE_COLUMNS = [world for world in datasets.EVENTS_WORLDS if world.X.shape[1] == 1]


def poisson(values, offsets, k=1, **options):
    return fit_many(values, offsets, k, family="poisson", **options)


def weights_for(n):
    w = np.random.default_rng(5).gamma(1.0, size=n)
    w[1::5] = 0.0
    return w


# ------------------------------------------------------------------------------------------- against em, group by group


@pytest.mark.parametrize("weighted", [False, True], ids=["unit", "weighted"])
def test_a_fit_is_that_of_em(weighted, twin):
    x, offsets = event_groups()
    x[-1] = 1000  # beyond the table of factorials
    w = weights_for(len(x)) if weighted else np.ones(len(x))
    fits = poisson(x, offsets, 2, sample_weight=w, rates_init=[3.0, 9.0], weights_init=[0.3, 0.7], tol=1e-4,
                   max_iter=ITERATIONS, backend=twin, **AS_EM)  # fmt: skip
    assert fits.fitted.all()
    for g, (a, b) in enumerate(pairwise(offsets)):
        start = PoissonParams(np.array([0.3, 0.7]), np.array([[3.0], [9.0]]))
        fit = fastem.em(lambda params, rows=slice(a, b): fastem.accumulate(params, x[rows], sample_weight=w[rows]),
                        PoissonStats.maximize, start, tol=1e-4, max_iter=ITERATIONS)  # fmt: skip
        order = fit.params.order("rates")
        assert (fits.n_iter[g], fits.converged[g]) == (fit.n_iter, fit.converged)
        np.testing.assert_allclose(fits.loglik[g], fit.loglik, rtol=RTOL, atol=1e-15 * (b - a))  # 0, of zeros alone
        np.testing.assert_allclose(fits.weights[g], fit.params.weights[order], rtol=10 * RTOL)
        np.testing.assert_allclose(fits.rates[g], fit.params.rates[order, 0], rtol=10 * RTOL, atol=1e-300)


@pytest.mark.parametrize("world", SINGLE_COLUMNS, ids=lambda world: world.name)
def test_a_fit_is_naive_em(world, twin):
    n, k = len(world.X), len(world.weights)
    fits = poisson(world.X[:, 0], [0, n], k, weights_init=world.weights, rates_init=world.rates[:, 0], tol=0,
                   max_iter=9, backend=twin, **AS_EM)  # fmt: skip
    weights, rates, _ = naive.poisson_em(world.X, np.ones(n), world.weights, world.rates, 9)
    np.testing.assert_allclose(fits.weights[0], weights, rtol=RTOL)
    np.testing.assert_allclose(fits.rates[0], rates[:, 0], rtol=RTOL, atol=1e-250)  # a density of 0 counts as 2^-900
    loglik = naive.poisson_sums(world.X, np.ones(n), weights, rates)[2]
    np.testing.assert_allclose(fits.loglik[0], loglik, rtol=RTOL)


@pytest.mark.filterwarnings("ignore::fastem.EqualComponentWarning")
def test_a_fit_is_that_of_the_estimator_from_the_same_start(twin):
    x, offsets = event_groups()
    starts, fits = (poisson(x, offsets, 2, backend=twin, tol=1e-6, max_iter=n, **AS_EM) for n in (0, 1000))
    for g, (a, b) in enumerate(pairwise(offsets)):
        mixture = fastem.PoissonMixture(
            2, weights_init=starts.weights[g], rates_init=starts.rates[g], order_by="rates", acceleration=None,
            stopping="loglik", tol=1e-6, max_iter=1000, backend=twin,
        ).fit(x[a:b])  # fmt: skip
        assert fits.n_iter[g] == mixture.n_iter_
        np.testing.assert_allclose(fits.rates[g], mixture.rates_[:, 0], rtol=1e-11)
        np.testing.assert_allclose([fits.aic[g], fits.bic[g]], [mixture.aic_, mixture.bic_], rtol=1e-11)


def test_one_component_has_a_closed_form(twin):
    x, offsets = event_groups()
    fits = poisson(x, offsets, backend=twin)
    sizes = np.diff(offsets)
    means = np.add.reduceat(x, offsets[:-1]) / sizes
    np.testing.assert_allclose(fits.rates[:, 0], means, rtol=RTOL)
    factorials = np.add.reduceat([math.lgamma(v + 1) for v in x], offsets[:-1])
    expected = sizes * (naive.xlogy(means, means) - means) - factorials
    np.testing.assert_allclose(fits.loglik, expected, rtol=RTOL)
    np.testing.assert_allclose(fits.bic, np.log(sizes) - 2 * expected, rtol=RTOL)


@pytest.mark.parametrize("count", [0, 1, 255, 256, 257, 600])
def test_factorials_are_exact_about_the_end_of_the_table(count, twin):
    """One row: its log probability is a difference of numbers near 3000, each good to a unit in the last place."""
    expected = naive.xlogy(count, count) - count - math.lgamma(count + 1)
    found = poisson([count], [0, 1], backend=twin).loglik
    np.testing.assert_allclose(found, expected, rtol=1e-11, atol=1e-15)


# --------------------------------------------------------------------------------------------------------------- starts


@pytest.mark.parametrize("k", [1, 2, 3])
def test_a_start_is_blocks_of_equal_weight_of_counts_that_are_never_0(k, twin):
    offsets = np.array([0, 60, 460])
    x = np.random.default_rng(0).poisson(1000, size=460) * (np.arange(460) % 7 > 0)
    w = 0.1 + weights_for(len(x))
    start = poisson(x, offsets, k, sample_weight=w, max_iter=0, backend=twin, **AS_EM)
    for g, (a, b) in enumerate(pairwise(offsets)):
        np.testing.assert_allclose(start.rates[g], naive.equal_blocks(x[a:b] + 0.5, w[a:b], k)[0], rtol=1e-12)
    assert (start.weights == 1 / k).all()
    assert (start.status == FitStatus.MAX_ITER).all()


def test_a_start_parts_rates_that_tie(twin):
    equal = poisson([5, 5, 5, 0, 0], [0, 3, 5], 2, max_iter=0, backend=twin, **AS_EM)
    rates = np.array([[5.5], [0.5]])
    np.testing.assert_allclose(equal.rates, 0.5 * rates + 0.5 * 2 * rates * np.array([0.25, 0.75]), rtol=1e-12)


def test_what_is_not_given_is_found(twin):
    x, offsets = event_groups()
    start = poisson(x, offsets, 2, max_iter=0, backend=twin, **AS_EM)
    part = poisson(x, offsets, 2, rates_init=[np.nan, 1e3], max_iter=0, backend=twin, **AS_EM)
    np.testing.assert_array_equal(part.rates[:, 0], start.rates[:, 0])
    assert (part.rates[:, 1] == 1e3).all()


# ------------------------------------------------------------------------------------------------------------- statuses

GOOD = [0.0, 1.0, 9.0, 10.0, 12.0]
BAD = {
    FitStatus.NO_ROWS: [[]],
    FitStatus.FEW_ROWS: [[1.0]],
    FitStatus.NOT_FINITE: [[1.0, np.nan], [np.inf, 1.0], [1.0, -np.inf]],
    FitStatus.NOT_COUNTS: [[1.0, -1.0], [0.5, 1.0], [2.0**53 + 2, 2.0]],
}


def test_what_is_wrong_with_counts_is_a_status(twin):
    bad = [(status, part) for status, parts in BAD.items() for part in parts]
    parts = [GOOD, *(each for _, part in bad for each in (part, GOOD))]
    fits = poisson(np.concatenate(parts), offsets_of([len(part) for part in parts]), 2, backend=twin)
    good = poisson(GOOD, [0, 5], 2, backend=twin)
    np.testing.assert_array_equal(fits.status[1::2], [status for status, _ in bad])
    assert_equal_bits(fits, good, slice(None, 1))
    for name in ("rates", "weights", "loglik"):
        values = getattr(fits, name)
        assert np.isnan(values[1::2]).all()
        np.testing.assert_array_equal(values[::2], np.broadcast_to(values[0], values[::2].shape))
    assert not fits.fitted[1::2].any()


def test_no_groups_and_groups_without_weight(twin):
    fits = poisson([], [0], 3, backend=twin)
    assert (len(fits), fits.rates.shape, len(fits.labels([]))) == (0, (0, 3), 0)
    fits = poisson([1, 2, 3], [0, 2, 3], sample_weight=[0, 0, 1], backend=twin)
    assert list(fits.status) == [FitStatus.NO_ROWS, FitStatus.CONVERGED]


@pytest.mark.parametrize("k", [2, 3])
def test_no_rate_of_a_start_is_above_the_largest_count(k, twin):
    poisson([2**53] * 3, [0, 3], k, max_iter=0, backend=twin).params(0).check()


DOOR = [
    ({"trials": 3}, TypeError, "trials must be left out for family='poisson'"),
    ({"means_init": [1.0]}, TypeError, "means_init must be left out"),
    ({"rates_init": [-1.0]}, ValueError, "rates_init must be between 0 and"),
    ({"rates_init": [np.inf]}, ValueError, "rates_init must be between 0 and"),
    ({"rates_init": [1.0, 2.0]}, ValueError, "rates_init must have shape"),
    ({"values": ["a", "b", "c"]}, TypeError, "values must hold real numbers"),
    ({"values": [[[1.0]], [[2.0]]]}, ValueError, "values must have one dimension"),
]


@pytest.mark.parametrize(("change", "error", "message"), DOOR, ids=[str(change) for change, _, _ in DOOR])
def test_what_is_wrong_with_a_call_is_an_error(change, error, message):
    with pytest.raises(error, match=message):
        fit_many(**({"values": [1.0, 2.0, 3.0], "offsets": [0, 3], "family": "poisson"} | change))


# --------------------------------------------------------------------------------------------------------------- labels


def test_labels_are_those_of_the_posterior(twin):
    x, offsets = event_groups()
    fits = poisson(x, offsets, 2, backend=twin)
    for g, (a, b) in enumerate(pairwise(offsets)):
        log_prob, resp, labels = fastem.posterior(fits.params(g), x[a:b])
        clear = np.abs(resp[:, 0] - 0.5) > 1e-12
        np.testing.assert_array_equal(fits.labels(x)[a:b][clear], labels[clear])
        np.testing.assert_allclose(log_prob.sum(), fits.loglik[g], rtol=RTOL)


def test_rows_without_a_fit_and_values_that_are_no_counts_have_no_label():
    fits = poisson([0, 1, 90, 80, -1], [0, 4, 5], 2)
    assert list(fits.labels([0, 90, np.nan, 0.5, 0])) == [0, 1, -1, -1, -1]
    assert list(fits.labels([-1, 2.0**54, np.inf, 80, 0])) == [-1, -1, -1, 1, -1]


def test_components_are_in_the_order_of_their_rates(twin):
    x, offsets = event_groups()
    fits = poisson(x, offsets, 2, rates_init=[20.0, 1.0], backend=twin)
    assert (np.diff(fits.rates, axis=1) >= 0).all()


# ------------------------------------------------------------------------------------------------------------- extremes


def test_a_component_out_of_reach_keeps_its_rate(twin):
    fits = poisson([1, 2, 3], [0, 3], 2, rates_init=[2.0, 1e6], backend=twin)
    np.testing.assert_array_equal(fits.weights, [[1.0, 0.0]])
    np.testing.assert_array_equal(fits.rates, [[2.0, 1e6]])


def test_groups_without_events(twin):
    fits = poisson(np.zeros(6), [0, 3, 6], 2, backend=twin)
    assert fits.converged.all()
    np.testing.assert_allclose(fits.weights.sum(axis=1), 1.0, rtol=1e-15)
    assert (fits.rates == 0).all()
    np.testing.assert_allclose(fits.loglik, 0.0, atol=1e-15)


@pytest.mark.parametrize("count", [2**31, 2**53])
def test_the_largest_counts(count, twin):
    fits = poisson([count, count, count - 1], [0, 3], 2, backend=twin)
    assert fits.fitted.all()
    assert np.isfinite(fits.loglik).all()
    assert fits.params(0).check() is None
    assert (fits.weights * fits.rates).sum() == pytest.approx(count - 1 / 3, rel=1e-14)


def test_kernels_have_the_constants_of_the_families():
    from fastem.families.counts import LOG_ZERO
    from fastem.kernels.numba import many_poisson
    from fastem.validation.arrays import LARGEST_COUNT

    assert (many_poisson.LOG_ZERO, many_poisson.LARGEST_COUNT) == (LOG_ZERO, LARGEST_COUNT)
