"""Many small fits against `em` and naive, on every twin and instruction set; starts; laws of groups; extremes."""

import math
from functools import partial
from itertools import pairwise

import numpy as np
import pytest
from support import datasets, naive
from support.groups import (
    AS_EM,
    RTOL,
    SIZES,
    all_families,
    assert_close,
    assert_equal_bits,
    count_groups,
    family,
    normal_groups,
    offsets_of,
)

import fastem
from fastem.data.slots import LOWEST_LOGLIK
from fastem.estimators.fit_many import fit_many
from fastem.estimators.many_fits import FitStatus
from fastem.families.binomial.model import SMALLEST_PROB, BinomialParams, BinomialStats
from fastem.families.counts import LOG_ZERO
from fastem.families.gaussian.matrices import RESOLUTION, SMALLEST_VARIANCE
from fastem.families.gaussian.model import GaussianParams, GaussianStats
from fastem.families.weights import EMPTY
from fastem.inference.aitken import ROUNDING
from fastem.kernels import backend as backend_module
from fastem.validation.arrays import COUNT_TYPES, LARGEST_COUNT, LARGEST_MAGNITUDE, LARGEST_SUM
from fastem.validation.groups import as_column, as_count_columns

ITERATIONS = 12  # some groups converge before, some do not


def weights_for(n):
    w = np.random.default_rng(5).gamma(1.0, size=n)
    w[1::5] = 0.0
    return w


# ------------------------------------------------------------------------------------------- against em, group by group


def em_of(params, X, maximize, **options):
    """`em` on one group, components in order."""
    rules = {"tol": 1e-4, "max_iter": ITERATIONS}
    fit = fastem.em(lambda params: fastem.accumulate(params, X, **options), maximize, params, **rules)
    return fit, fit.params.order("means" if isinstance(params, GaussianParams) else "probs")


@pytest.mark.parametrize("weighted", [False, True], ids=["unit", "weighted"])
def test_a_normal_fit_is_that_of_em(weighted, twin):
    x, offsets = normal_groups()
    w = weights_for(len(x)) if weighted else np.ones(len(x))
    groups = list(pairwise(offsets))
    quartiles = np.array([np.quantile(x[a:b], [0.25, 0.75]) for a, b in groups])
    spreads = np.array([np.full(2, x[a:b].var()) for a, b in groups])
    fits = fit_many(x, offsets, 2, sample_weight=w, means_init=quartiles, variances_init=spreads,
                    weights_init=[0.3, 0.7], reg_covar=1e-3, tol=1e-4, max_iter=ITERATIONS, backend=twin,
                    **AS_EM)  # fmt: skip
    assert fits.fitted.all()
    assert not fits.converged.all()
    for g, (a, b) in enumerate(groups):
        start = GaussianParams(np.array([0.3, 0.7]), quartiles[g][:, np.newaxis], spreads[g][:, np.newaxis], "diag")
        maximize = partial(GaussianStats.maximize, reg_covar=1e-3)
        fit, order = em_of(start, x[a:b, np.newaxis], maximize, sample_weight=w[a:b])
        assert (fits.n_iter[g], fits.converged[g]) == (fit.n_iter, fit.converged)
        np.testing.assert_allclose(fits.loglik[g], fit.loglik, rtol=RTOL)
        np.testing.assert_allclose(fits.weights[g], fit.params.weights[order], rtol=RTOL)
        np.testing.assert_allclose(fits.means[g], fit.params.means[order, 0], rtol=RTOL)
        np.testing.assert_allclose(fits.variances[g], fit.params.covariances[order, 0], rtol=RTOL)


@pytest.mark.parametrize("weighted", [False, True], ids=["unit", "weighted"])
def test_a_binomial_fit_is_that_of_em(weighted, twin):
    x, trials, offsets = count_groups()
    trials[-1], x[-1] = 1000, 400  # beyond the table of factorials
    w = weights_for(len(x)) if weighted else np.ones(len(x))
    fits = fit_many(x, offsets, 2, family="binomial", trials=trials, sample_weight=w, probs_init=[0.2, 0.7],
                    weights_init=[0.3, 0.7], tol=1e-4, max_iter=ITERATIONS, backend=twin, **AS_EM)  # fmt: skip
    assert fits.fitted.all()
    for g, (a, b) in enumerate(pairwise(offsets)):
        start = BinomialParams(np.array([0.3, 0.7]), np.array([[0.2], [0.7]]))
        options = {"trials": trials[a:b], "sample_weight": w[a:b]}
        fit, order = em_of(start, x[a:b], BinomialStats.maximize, **options)
        assert (fits.n_iter[g], fits.converged[g]) == (fit.n_iter, fit.converged)
        np.testing.assert_allclose(fits.loglik[g], fit.loglik, rtol=RTOL)
        np.testing.assert_allclose(fits.weights[g], fit.params.weights[order], rtol=RTOL)
        np.testing.assert_allclose(fits.probs[g], fit.params.probs[order, 0], rtol=RTOL, atol=1e-300)


@pytest.mark.parametrize(
    "world", [w for w in datasets.NORMAL_WORLDS if w.X.shape[1] == 1], ids=lambda world: world.name
)
def test_a_normal_fit_is_naive_em(world, twin):
    variances = world.covariances[:, 0, 0]
    fits = fit_many(world.X[:, 0], [0, len(world.X)], len(world.weights), weights_init=world.weights, tol=0, max_iter=9,
                    means_init=world.means[:, 0], variances_init=variances, reg_covar=0.01, backend=twin,
                    **AS_EM)  # fmt: skip
    weights, means, covariances, _ = naive.normal_em(
        world.X, np.ones(len(world.X)), world.weights, world.means, world.covariances, "full", 0.01, 9
    )
    order = np.argsort(means[:, 0])
    np.testing.assert_allclose(fits.weights[0], weights[order], rtol=RTOL)
    np.testing.assert_allclose(fits.means[0], means[order, 0], rtol=RTOL)
    np.testing.assert_allclose(fits.variances[0], covariances[order, 0, 0], rtol=RTOL)
    log_prob, _ = naive.posterior(naive.normal_log_density(world.X, means, covariances), weights)
    np.testing.assert_allclose(fits.loglik[0], log_prob.sum(), rtol=RTOL)


@pytest.mark.parametrize(
    "world", [w for w in datasets.COUNTS_WORLDS if w.X.shape[1] == 1], ids=lambda world: world.name
)
def test_a_binomial_fit_is_naive_em(world, twin):
    n, k = len(world.X), len(world.weights)
    rules = {"weights_init": world.weights, "probs_init": world.probs[:, 0], "tol": 0, "max_iter": 9}
    rows = {"family": "binomial", "trials": world.trials[:, 0], "backend": twin, **AS_EM}
    fits, ones = fit_many(world.X[:, 0], [0, n], k, **rows, **rules), np.ones(n)
    weights, probs, _ = naive.binomial_em(world.X, world.trials, ones, world.weights, world.probs, 9)
    np.testing.assert_allclose(fits.weights[0], weights, rtol=RTOL)
    # a density of 0 counts as 2^-900 of the largest
    np.testing.assert_allclose(fits.probs[0], probs[:, 0], rtol=RTOL, atol=EMPTY)
    loglik = naive.binomial_sums(world.X, world.trials, ones, weights, probs)[3]
    np.testing.assert_allclose(fits.loglik[0], loglik, rtol=RTOL)


@pytest.mark.filterwarnings("ignore::fastem.CollapsedComponentWarning")
def test_a_fit_is_that_of_the_estimator_from_the_same_start(twin):
    x, offsets = normal_groups()
    starts = fit_many(x, offsets, 2, max_iter=0, backend=twin)
    given = {f"{name}_init": getattr(starts, name) for name in ("weights", "means", "variances")}
    fits = fit_many(x, offsets, 2, tol=1e-3, backend=twin, **given, **AS_EM)
    for g, (a, b) in enumerate(pairwise(offsets)):
        mixture = fastem.GaussianMixture(
            2, weights_init=starts.weights[g], means_init=starts.means[g][:, np.newaxis], order_by="means",
            precisions_init=1 / starts.variances[g][:, np.newaxis], covariance_type="diag", backend=twin,
        ).fit(x[a:b, np.newaxis])  # fmt: skip
        assert fits.n_iter[g] == mixture.n_iter_
        np.testing.assert_allclose(fits.means[g], mixture.means_[:, 0], rtol=RTOL)
        np.testing.assert_allclose(fits.variances[g], mixture.covariances_[:, 0], rtol=RTOL)
        np.testing.assert_allclose([fits.aic[g], fits.bic[g]], [mixture.aic_, mixture.bic_], rtol=RTOL)


def test_one_component_has_a_closed_form(twin):
    x, offsets = normal_groups()
    fits = fit_many(x, offsets, backend=twin, reg_covar=0.0)
    parts = np.split(x, offsets[1:-1])
    variances = np.array([part.var() for part in parts])
    np.testing.assert_allclose(fits.means[:, 0], [part.mean() for part in parts], rtol=RTOL)
    np.testing.assert_allclose(fits.variances[:, 0], variances, rtol=RTOL)
    expected = -0.5 * np.diff(offsets) * (np.log(2 * np.pi * variances) + 1)
    np.testing.assert_allclose(fits.loglik, expected, rtol=RTOL)
    np.testing.assert_allclose(fits.bic, 2 * np.log(np.diff(offsets)) - 2 * expected, rtol=RTOL)
    counts, trials, offsets = count_groups()
    found = fit_many(counts, offsets, family="binomial", trials=trials, backend=twin).probs[:, 0]
    expected = np.add.reduceat(counts, offsets[:-1]) / np.add.reduceat(trials, offsets[:-1])
    np.testing.assert_allclose(found, expected, rtol=RTOL)


@pytest.mark.parametrize("trials", [255, 256, 257, 600])
def test_binomial_coefficients_are_exact_about_the_end_of_the_table(trials, twin):
    """One row: its coefficient is a difference of numbers near 3000, each good to a unit in the last place."""
    half = trials // 2
    expected = math.log(math.comb(trials, half)) + half * math.log(half / trials)
    expected += (trials - half) * math.log1p(-half / trials)
    found = fit_many([half], [0, 1], family="binomial", trials=trials, backend=twin).loglik
    np.testing.assert_allclose(found, expected, rtol=1e-11)


def test_kernels_have_the_constants_of_the_families():
    """That of the Cython twin cannot be read; what both do with them, the tests of extremes tell."""
    from fastem.kernels.numba import constants, many_binomial, many_em, many_group, many_normal

    assert (constants.EMPTY, constants.NO_CHANGE) == (EMPTY, ROUNDING)
    assert many_em.LOWEST_LOGLIK == LOWEST_LOGLIK
    assert (many_normal.RESOLUTION, many_normal.SMALLEST_VARIANCE) == (RESOLUTION, SMALLEST_VARIANCE)
    assert LARGEST_MAGNITUDE[np.dtype(np.float64)] == many_normal.LARGEST
    assert (many_normal.LARGEST_SUM, many_binomial.LARGEST_COUNT) == (LARGEST_SUM, LARGEST_COUNT)
    assert (many_binomial.LOG_ZERO, many_binomial.SMALLEST_PROB) == (LOG_ZERO, SMALLEST_PROB)
    assert [getattr(many_group, status.name) for status in FitStatus] == list(FitStatus)


# --------------------------------------------------------------------------------------------------------------- starts


@pytest.mark.parametrize("k", [1, 2, 3])
def test_a_start_is_blocks_of_equal_weight(k, twin):
    x, offsets = normal_groups()
    w = 0.1 + weights_for(len(x))
    start = fit_many(x, offsets, k, sample_weight=w, max_iter=0, reg_covar=0.5, backend=twin, **AS_EM)
    for g, (a, b) in enumerate(pairwise(offsets)):
        means, within = naive.equal_blocks(x[a:b], w[a:b], k)
        np.testing.assert_allclose(start.means[g], means, rtol=1e-12)
        np.testing.assert_allclose(start.variances[g], within + 0.5, rtol=1e-12)
    assert (start.weights == 1 / k).all()
    assert (start.n_iter == 0).all()
    assert (start.status == FitStatus.MAX_ITER).all()


def test_a_binomial_start_is_blocks_of_equal_trials(twin):
    x, trials, offsets = count_groups(sizes=(40, 400))
    start = fit_many(x, offsets, 2, family="binomial", trials=trials, max_iter=0, backend=twin, **AS_EM)
    for g, (a, b) in enumerate(pairwise(offsets)):
        rates = (x[a:b] + 0.5) / (trials[a:b] + 1.0)
        np.testing.assert_allclose(start.probs[g], naive.equal_blocks(rates, trials[a:b], 2)[0], rtol=1e-12)


def test_a_start_parts_means_that_tie(twin):
    values = np.array([0.0] * 90 + [1.0] * 6 + [4.0] * 4)
    start = fit_many(values, [0, 100], 3, max_iter=0, backend=twin, **AS_EM)
    blocks = np.array([0.0, 0.0, (6 * 1.0 + 4 * 4.0) / (100 / 3)])
    np.testing.assert_allclose(start.means[0], 0.5 * blocks + 0.5 * 4.0 * np.array([1, 3, 5]) / 6, rtol=1e-12)
    equal = fit_many(
        [5, 5, 5, 0, 0], [0, 3, 5], 2, family="binomial", trials=[9, 9, 9, 0, 0], max_iter=0, backend=twin, **AS_EM
    )
    rates = np.array([[5.5 / 10], [0.5]])
    np.testing.assert_allclose(equal.probs, 0.5 * rates + 0.5 * np.array([0.25, 0.75]), rtol=1e-12)


@pytest.mark.parametrize("seed", range(20))
def test_means_that_rounding_parts_are_tied(seed):
    """The third block begins at the ones, but for rounding: it can leave 1e-17 of their weight to the second."""
    w = np.random.default_rng(seed).random(30)
    values = np.repeat([0.0, 1.0], [60, 30])
    means = fit_many(values, [0, 90], 3, sample_weight=np.tile(w, 3), max_iter=0, **AS_EM).means
    assert np.diff(means).min() > 0.1


def test_what_is_not_given_is_found(twin):
    x, offsets = normal_groups()
    start = fit_many(x, offsets, 2, max_iter=0, backend=twin, **AS_EM)
    part = fit_many(
        x, offsets, 2, means_init=[np.nan, 1e3], variances_init=[7.0, np.nan], max_iter=0, backend=twin, **AS_EM
    )
    np.testing.assert_array_equal(part.means[:, 0], start.means[:, 0])
    np.testing.assert_array_equal(part.variances[:, 1], start.variances[:, 1])
    assert (part.means[:, 1] == 1e3).all()
    assert (part.variances[:, 0] == 7.0).all()
    assert (part.weights == 0.5).all()


# ------------------------------------------------------------------------------------------------------- laws of groups


@family
def test_permuted_groups_permute_the_fits(family, twin):
    rows, offsets, fit = all_families()[family]
    order = np.random.default_rng(1).permutation(len(offsets) - 1)
    parts = np.split(rows, offsets[1:-1])
    permuted = fit(np.concatenate([parts[g] for g in order]), offsets_of([len(parts[g]) for g in order]), backend=twin)
    assert_equal_bits(fit(rows, offsets, backend=twin), permuted, order)


@family
def test_two_calls_give_the_bits_of_one(family, twin):
    rows, offsets, fit = all_families()[family]
    whole = fit(rows, offsets, backend=twin)
    assert_equal_bits(whole, fit(rows[: offsets[4]], offsets[:5], backend=twin), slice(4))
    assert_equal_bits(whole, fit(rows[offsets[4] :], offsets[4:] - offsets[4], backend=twin), slice(4, None))


@family
def test_same_bits_for_any_number_of_threads(family, twin, monkeypatch):
    rows, offsets, fit = all_families(sizes=SIZES * 5)[family]
    one = fit(rows, offsets, n_threads=1, backend=twin)
    monkeypatch.setattr(backend_module, "SHARE_ROWS", 100)
    assert len(backend_module.share_edges(offsets)) > 10
    for n_threads in (1, 2, 7):
        assert_equal_bits(one, fit(rows, offsets, n_threads=n_threads, backend=twin))


@family
def test_a_weight_counts_as_that_many_equal_rows(family, twin):
    rows, offsets, fit = all_families()[family]
    times = np.random.default_rng(3).integers(1, 4, len(rows))
    weighted = fit(rows, offsets, sample_weight=times, backend=twin)
    sizes = np.add.reduceat(times, offsets[:-1])
    assert_close(weighted, fit(np.repeat(rows, times, axis=0), offsets_of(sizes), backend=twin))


@family
def test_weight_zero_is_no_row(family, twin):
    rows, offsets, fit = all_families()[family]
    w = weights_for(len(rows))
    sizes = np.add.reduceat(w > 0, offsets[:-1], dtype=int)
    unread = np.where((w > 0)[:, np.newaxis] if rows.ndim == 2 else w > 0, rows, np.nan)
    few = fit(rows[w > 0], offsets_of(sizes), sample_weight=w[w > 0], backend=twin)
    assert_equal_bits(fit(unread, offsets, sample_weight=w, backend=twin), few)


@pytest.mark.parametrize(("scale", "shift"), [(1e8, 0.0), (1e-8, 0.0), (1.0, 1e8), (-3.0, 5.0)])
def test_affine_equivariance(scale, shift, twin):
    x, offsets = normal_groups(sizes=SIZES[4:])
    options = {"reg_covar": "auto", "tol": 1e-5, "backend": twin}
    a, b = fit_many(x, offsets, 2, **options), fit_many(scale * x + shift, offsets, 2, **options)
    # at an offset of 1e8 the values themselves are rounded to 1e-8 of a standard deviation
    rtol, turn = (1e-6 if shift == 1e8 else 1e-9), slice(None, None, -1 if scale < 0 else 1)
    np.testing.assert_array_equal(a.n_iter, b.n_iter)
    np.testing.assert_allclose(b.weights[:, turn], a.weights, rtol=rtol)
    np.testing.assert_allclose((b.means[:, turn] - shift) / scale, a.means, rtol=rtol, atol=rtol)
    np.testing.assert_allclose(b.variances[:, turn] / scale**2, a.variances, rtol=rtol)
    shifted = a.loglik - np.diff(offsets) * np.log(abs(scale))
    np.testing.assert_allclose(b.loglik, shifted, rtol=rtol, atol=1e-5 if shift == 1e8 else 0)


def test_what_auto_adds_is_that_of_the_estimator(twin):
    values = np.array([0.0, 0.0, 0.0, 1.0, 1.0, 1.0, 7.0, 7.0])
    fits = fit_many(values, [0, 6, 8], 2, reg_covar="auto", means_init=[[0.0, 1.0], [7.0, 7.0]], tol=0, backend=twin)
    np.testing.assert_allclose(fits.variances, [[0.25e-6] * 2, [1e-6] * 2], rtol=1e-12)


@family
def test_types_and_strides_do_not_matter(family, twin):
    rows, offsets, fit = all_families()[family]
    rows = np.round(rows)
    expected = fit(rows.astype(np.float64), offsets, backend=twin)
    for dtype in (np.float32, np.int32, np.int16, *((np.uint8, np.uint16, np.uint64) if family != "gaussian" else ())):
        assert_equal_bits(expected, fit(rows.astype(dtype), offsets.astype(np.int32), backend=twin))
    strided = np.repeat(rows, 2, axis=0)[::2]
    strided.flags.writeable = False
    assert_equal_bits(expected, fit(strided, offsets.tolist(), backend=twin))
    assert_equal_bits(expected, fit(rows[::-1].copy()[::-1], offsets, backend=twin))


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_values_are_not_copied(dtype):
    values = np.arange(20, dtype=dtype)[::2]
    assert np.shares_memory(as_column(values, "values"), values)


@pytest.mark.parametrize("dtype", COUNT_TYPES.values())
def test_counts_are_not_copied(dtype):
    values = np.arange(10, dtype=dtype)
    found, trials = as_count_columns(values, 9)
    assert np.shares_memory(found, values)
    assert (found.dtype, trials.dtype) == (dtype, dtype)
    assert trials.strides == (0,)


# ------------------------------------------------------------------------------------------------------------- extremes


def test_trials_keep_their_digits():
    """2^24 + 1 is none in float32."""
    for trials in (2**24 + 1, float(2**24 + 1), np.array([2**24 + 1])):
        assert as_count_columns(np.ones(1, np.float32), trials)[1] == 2**24 + 1


def test_a_component_out_of_reach_keeps_its_parameters(twin):
    x, offsets = normal_groups()
    options = {"means_init": [0.0, 1e6], "variances_init": [100.0, 0.5], "backend": twin}
    fits = fit_many(x, offsets, 2, **options)
    assert (fits.weights == [1.0, 0.0]).all()
    assert (fits.means[:, 1] == 1e6).all()
    assert (fits.variances[:, 1] == 0.5).all()
    assert np.isfinite(fits.loglik).all()
    from_afar = fit_many(x, offsets, 1, means_init=[1e15], backend=twin)
    np.testing.assert_allclose(from_afar.means, fit_many(x, offsets, 1, backend=twin).means, rtol=1e-10)


def test_a_component_without_tosses_keeps_its_prob(twin):
    fits = fit_many([0, 0, 0], [0, 3], 2, family="binomial", trials=[0, 0, 0], probs_init=[0.3, 0.6], backend=twin)
    np.testing.assert_array_equal(fits.probs, [[0.3, 0.6]])
    assert fits.loglik == 0.0


def test_what_was_seen_gets_no_prob_of_zero(twin):
    """One failure in 2^53 tosses: 1 - 2^-54 would round to 1."""
    many = 2**53
    fits = fit_many([many, many, many - 1], [0, 3], family="binomial", trials=many, backend=twin)
    assert fits.probs == 1 - 2.0**-53
    assert np.isfinite(fits.loglik).all()


def test_collapsed_components_stay_densities(twin):
    """Variances of tied rows are held at the resolution of the data, as those of the estimators."""
    values = np.array([1e8, 1e8, 1e8, 1e8 + 1, 1e8 + 1, 1e8 + 1])
    fits = fit_many(values, [0, 6], 2, reg_covar=0.0, backend=twin)
    params = fastem.em(
        lambda params: fastem.accumulate(params, values[:, np.newaxis]), lambda stats: stats.maximize(reg_covar=0.0),
        fit_many(values, [0, 6], 2, reg_covar=0.0, max_iter=0, backend=twin).params(0),
    ).params  # fmt: skip
    np.testing.assert_allclose(fits.variances[0], params.covariances[:, 0], rtol=1e-12)
    np.testing.assert_allclose(fits.variances[0], (4 * np.finfo(float).eps * 1e8) ** 2, rtol=1e-6)


@pytest.mark.parametrize("offset", [0.0, 1e140, -1e140])
def test_constant_groups_are_fitted(offset, twin):
    fits = fit_many(np.full(50, offset), np.arange(11) * 5, 3, backend=twin)
    assert fits.converged.all()
    np.testing.assert_allclose(fits.means, offset, rtol=1e-15)
    np.testing.assert_allclose(fits.weights.sum(axis=1), 1.0, rtol=1e-15)
