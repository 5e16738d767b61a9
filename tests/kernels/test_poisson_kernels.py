"""The Poisson kernels against naive and 60 digits, on both twins and every instruction set; bits, laws, extremes."""

from functools import cache

import mpmath as mp
import numpy as np
import pytest
from support import datasets, exact, naive
from support.exact import LOG_PROB, RESP, SMALLEST_SHARE, SUMS, UNIT, row_units, shares_off
from support.sweeps import poisson_params, sweep

from fastem import PoissonParams
from fastem.data.open import open_rows
from fastem.data.slots import SLOT_ROWS
from fastem.kernels.twins import built_sets, processor_sets

RTOL = 1e-12  # sums of a thousand terms, each good to a few units in the last place, compared with another order
BETWEEN = 1e-14  # of the size of a sum, between twins and instruction sets: other order, other contractions
THREADS = (1, 2, 3, 8)
ROWS = 9 * SLOT_ROWS + 11
TYPES = [np.float64, *(pytest.param(t, marks=pytest.mark.row_type) for t in (np.float32, np.uint8, np.int64))]

worlds = pytest.mark.parametrize("world", datasets.EVENTS_WORLDS, ids=lambda world: world.name)
NAMES = ("counts", "events", "exposure", "loglik", "entropy")


def close(found, expected, scale=None, rtol=RTOL):
    """Relative to the largest entry, or to the terms that cancel in it."""
    scale = np.abs(expected).max() if scale is None else scale
    np.testing.assert_allclose(found, expected, rtol=rtol, atol=rtol * scale)


def size_of_terms(world):
    """The largest of the logarithms that a log density is a sum of."""
    terms = np.abs(naive.xlogy(world.X[:, None], world.rates)) + world.rates
    return float(terms[np.isfinite(terms)].max() + 1)


def weights_for(n):
    return np.random.default_rng(5).gamma(1.0, size=n)


# -------------------------------------------------------------------------------------------------------- against naive


@pytest.mark.parametrize("weighted", [False, True], ids=["unit", "weighted"])
@worlds
def test_sums_agree_with_naive(world, weighted, twin):
    params, n = poisson_params(world), len(world.X)
    w = weights_for(n) if weighted else np.ones(n)
    stats = sweep(params, world.X, twin, w if weighted else None)
    counts, events, loglik, entropy = naive.poisson_sums(world.X, w, params.weights, params.rates)
    # a rounding of the logarithms, which many_events has of 1e7, moves each responsibility by as much
    terms = size_of_terms(world)
    close(stats.counts, counts, max(n, terms))
    close(stats.exposure, counts, max(n, terms))
    close(stats.events, events, max(np.abs(events).max(), terms * world.X.max()))
    close(stats.loglik, loglik, n * terms)
    close(stats.entropy, entropy, n * terms)
    assert stats.total == pytest.approx(w.sum(), rel=1e-14)


@worlds
def test_posterior_agrees_with_naive(world, twin):
    params = poisson_params(world)
    with open_rows(world.X, row_kind="counts", backend=twin) as rows:
        found = rows.posterior(params, "log_prob", "resp", "labels")
    log_prob, resp = naive.posterior(naive.poisson_log_density(world.X, params.rates), params.weights)
    close(found.log_prob, log_prob, size_of_terms(world))
    close(found.resp, resp, size_of_terms(world))
    np.testing.assert_allclose(found.resp.sum(axis=1), 1.0, rtol=1e-14)
    assert (resp[np.arange(len(resp)), found.labels] >= resp.max(axis=1) - 1e-12 * size_of_terms(world)).all()


# ----------------------------------------------------------------------------------------------------- laws of the sums


def assert_same_sums(a, b, rtol=RTOL):
    for name in NAMES:
        x, y = getattr(a, name), getattr(b, name)
        np.testing.assert_allclose(x, y, rtol=rtol, atol=rtol * max(1.0, np.abs(y).max()), err_msg=name)


LAW_WORLDS = [datasets.three_rates, datasets.three_columns, datasets.silent_column, datasets.without_events]
law = pytest.mark.parametrize("world", LAW_WORLDS, ids=lambda world: world.name)


@law
def test_any_split_of_the_rows_sums_to_the_whole(world, twin):
    params = poisson_params(world)
    whole = sweep(params, world.X, twin)
    for cuts in ([1], [128], [130, 131], [7, 300, 400]):
        parts = [sweep(params, part, twin) for part in np.split(world.X, cuts)]
        assert_same_sums(sum(parts[1:], start=parts[0]), whole)


@law
def test_a_weight_counts_as_that_many_equal_rows_and_zero_as_none(world, twin):
    params = poisson_params(world)
    times = np.random.default_rng(3).integers(0, 4, len(world.X))
    weighted = sweep(params, world.X, twin, times.astype(float))
    assert_same_sums(weighted, sweep(params, np.repeat(world.X, times, axis=0), twin))
    w = weights_for(len(world.X)) * (np.arange(len(world.X)) % 3 > 0)
    assert_same_sums(sweep(params, world.X, twin, w), sweep(params, world.X[w > 0], twin, w[w > 0]))


@law
def test_permuted_components_and_columns_permute_the_sums(world, twin):
    params = poisson_params(world)
    k, d = params.rates.shape
    order, columns = np.roll(np.arange(k), 1), np.arange(d)[::-1]
    plain, permuted = sweep(params, world.X, twin), sweep(params.select(order), world.X, twin)
    close(permuted.counts, plain.counts[order])
    close(permuted.events, plain.events[order])
    turned = sweep(PoissonParams(params.weights, params.rates[:, columns]), world.X[:, columns], twin)
    close(turned.events, plain.events[:, columns])
    close([turned.loglik, permuted.loglik], [plain.loglik] * 2)


@pytest.mark.parametrize("d", range(1, 14))
def test_sums_of_any_number_of_columns(d, twin):
    rng = np.random.default_rng(d)
    n = SLOT_ROWS + 77
    params = PoissonParams(rng.dirichlet(np.ones(5)), rng.gamma(2.0, 2.0, size=(5, d)))
    X, w = rng.poisson(params.rates[rng.integers(5, size=n)]).astype(float), weights_for(n)
    stats = sweep(params, X, twin, w)
    counts, events, loglik, entropy = naive.poisson_sums(X, w, params.weights, params.rates)
    for found, expected in zip((stats.counts, stats.events, stats.loglik), (counts, events, loglik), strict=True):
        close(found, expected, max(n, np.abs(expected).max()))
    close(stats.entropy, entropy, n)


@pytest.mark.parametrize("layout", ["F", "strided", "readonly", "reversed"])
@law
def test_memory_layout_does_not_matter(world, layout, twin):
    params, X = poisson_params(world), world.X
    other = {
        "F": lambda: np.asfortranarray(X),
        "strided": lambda: np.repeat(np.repeat(X, 2, axis=0), 3, axis=1)[::2, ::3],
        "readonly": lambda: np.frombuffer(X.tobytes()).reshape(X.shape),
        "reversed": lambda: X[::-1].copy()[::-1],
    }[layout]()
    assert_same_sums(sweep(params, other, twin), sweep(params, X, twin), rtol=0)


@pytest.mark.parametrize("dtype", TYPES[1:])
@pytest.mark.parametrize("world", [datasets.three_columns, datasets.silent_column], ids=lambda world: world.name)
def test_other_types_have_the_sums_and_posteriors_of_floats(world, dtype, twin):
    params, X = poisson_params(world), world.X.astype(dtype)
    assert_same_sums(sweep(params, X, twin), sweep(params, world.X, twin), rtol=0)
    found = []
    for each in (X, world.X):
        with open_rows(each, row_kind="counts", backend=twin) as rows:
            found.append(rows.posterior(params, "log_prob", "resp"))
    np.testing.assert_array_equal(found[0].resp, found[1].resp)
    np.testing.assert_array_equal(found[0].log_prob, found[1].log_prob)


# ----------------------------------------------------------------------------------------------------------------- bits


@pytest.mark.parametrize("dtype", TYPES)
@pytest.mark.parametrize("d", [1, 2, 9])
@pytest.mark.seconds
def test_same_bits_for_any_number_of_threads(d, dtype, twin, monkeypatch):
    monkeypatch.setattr("fastem.kernels.backend.PARALLEL_WORK", 0)
    rng = np.random.default_rng(d)
    params = PoissonParams(np.array([0.4, 0.6]), rng.gamma(2.0, 2.0, size=(2, d)))
    X, w = rng.poisson(4.0, size=(ROWS, d)).astype(dtype), rng.random(ROWS)
    for weights in (None, w):
        sums, told = [], []
        for n_threads in THREADS:
            with open_rows(X, None, weights, row_kind="counts", backend=twin, n_threads=n_threads) as rows:
                stats = rows.sweep(params)
                sums.append([np.asarray(getattr(stats, name)).tobytes() for name in NAMES])
                posterior = rows.posterior(params, "log_prob", "resp", "labels")
                told.append([each.tobytes() for each in posterior])
        assert all(each == sums[0] for each in sums)
        assert all(each == told[0] for each in told)


@pytest.mark.numba
@worlds
def test_sums_of_numba_and_all_instruction_sets_agree(world, monkeypatch):
    found = []
    for isa in set(processor_sets()) & set(built_sets()):
        monkeypatch.setenv("FASTEM_ISA", isa)
        found.append(sweep(poisson_params(world), world.X, "cython"))
    found.append(sweep(poisson_params(world), world.X, "numba"))
    n, terms = len(world.X), size_of_terms(world)
    sizes = {"counts": n + terms, "exposure": n + terms, "loglik": n * terms, "entropy": n * terms}
    sizes["events"] = found[0].events.max() + terms * world.X.max()
    for stats in found[1:]:
        for name in NAMES:
            difference = np.abs(getattr(stats, name) - getattr(found[0], name)).max()
            assert difference <= BETWEEN * sizes[name], name


# ------------------------------------------------------------------------------------------------------------- accuracy

CASES = {
    "few": ([0.4, 0.6], [[0.5], [3.0]]),
    "near_0": ([0.4, 0.6], [[1e-12], [1e-9]]),
    "1e-300": ([0.4, 0.6], [[1e-300], [0.5]]),
    "a_million": ([0.4, 0.6], [[1e6], [1.001e6]]),
    "2^53": ([0.4, 0.6], [[2.0**53], [2.0**52]]),
    "nearly_equal": ([0.4, 0.6], [[30.0], [30.0 + 1e-10]]),
    "weight_1e-300": ([1e-300, 1.0], [[3.0], [70.0]]),
    "many_columns": ([0.4, 0.6], [[3.0, 1e-6, 500.0], [4.0, 10.0, 500.0]]),
}


@cache
def case(name):
    """Parameters, counts of each component's draws and the smallest ones, the truth and its units."""
    params = PoissonParams(*(np.array(each) for each in CASES[name]))
    rng, d = np.random.default_rng(0), params.n_features
    # NumPy draws from rates up to 9.2e18; what is drawn stays below 2^53
    X = np.minimum(rng.poisson(params.rates[np.arange(40) % 2]), 2**53).astype(float)
    X[:2] = np.array([0, 1])[:, np.newaxis]
    densities, factorials, sizes = exact.poisson_densities(X, params.rates)
    log_prob, resp = exact.posterior(densities, params.weights)
    unit = UNIT * (sizes + np.abs(np.log(params.weights)) + d)
    return params, X, log_prob, resp, unit, UNIT * factorials


cases = pytest.mark.parametrize("name", CASES)


@cases
def test_log_probabilities_and_responsibilities(name, twin):
    params, X, log_prob, resp, unit, factorials = case(name)
    with open_rows(X, row_kind="counts", backend=twin) as rows:
        found = rows.posterior(params, "log_prob", "resp")
    assert (exact.errors(found.log_prob, log_prob) <= LOG_PROB * (row_units(resp, unit) + factorials)).all()
    allowed = RESP * shares_off(resp, unit) + UNIT * RESP * resp.astype(float) + SMALLEST_SHARE
    assert (exact.errors(found.resp, resp) <= allowed).all()


@cases
def test_m_step_and_log_likelihood(name, twin):
    params, X, log_prob, resp, unit, factorials = case(name)
    stats = sweep(params, X, twin)
    counts, off = resp.sum(axis=0), shares_off(resp, unit)
    rates = (resp.T @ exact.exactly(X)) / counts[:, np.newaxis]
    moved = (off.T @ X) / (resp.T.astype(float) @ X) + (off.sum(axis=0) / counts.astype(float))[:, np.newaxis]
    allowed = (RESP * moved + SUMS * UNIT) * rates.astype(float) + SMALLEST_SHARE
    assert (exact.errors(stats.maximize().rates, rates) <= allowed)[stats.live].all()
    # the factorials are no part of `rounding`: they are the same in every sweep
    assert float(abs(mp.mpf(stats.loglik) - sum(log_prob))) <= stats.rounding + LOG_PROB * factorials.sum()


# ------------------------------------------------------------------------------------------------------------- extremes


def test_a_component_of_rate_zero_is_out_of_reach_of_a_count(twin):
    params = PoissonParams(np.array([0.5, 0.5]), np.array([[0.0], [3.0]]))
    with open_rows([[0.0], [1.0], [2.0**53]], row_kind="counts", backend=twin) as rows:
        found = rows.posterior(params, "log_prob", "resp", "labels")
    np.testing.assert_allclose(found.resp[0], [1 / (1 + np.exp(-3)), 1 / (1 + np.exp(3))], rtol=1e-14)
    np.testing.assert_array_equal(found.labels, [0, 1, 1])
    np.testing.assert_array_equal(found.resp[1:, 1], 1.0)
    assert np.isfinite(found.log_prob).all()


def test_a_count_that_is_impossible_under_every_component_is_shared(twin):
    params = PoissonParams(np.array([0.5, 0.5]), np.zeros((2, 1)))
    with open_rows([[0.0], [1.0]], row_kind="counts", backend=twin) as rows:
        found = rows.posterior(params, "log_prob", "resp")
    assert found.log_prob[0] == 0
    assert -np.inf < found.log_prob[1] < -1e280
    np.testing.assert_array_equal(found.resp, 0.5)


@pytest.mark.parametrize("rate", [1e-300, 1e-10, 1.0, 1e10, 2.0**53])
def test_the_largest_counts_and_rates_have_finite_sums(rate, twin):
    params = PoissonParams(np.array([0.25, 0.75]), np.array([[rate], [2.0]]))
    X = np.array([0, 1, 255, 256, 2**31, 2**53])[:, np.newaxis]
    stats = sweep(params, X, twin)
    assert all(np.isfinite(getattr(stats, name)).all() for name in NAMES)
    found = stats.maximize()
    found.check()
    assert found.weights @ found.rates == pytest.approx(X.mean(), rel=1e-14)


def test_many_components_far_apart(twin):
    rates = (50.0 * np.arange(1, 101)[:, np.newaxis]) ** 2
    params = PoissonParams(np.full(100, 0.01), rates)
    stats = sweep(params, np.repeat(rates, 3, axis=0), twin)
    np.testing.assert_allclose(stats.counts, 3.0, rtol=1e-9)
