"""Statistics are values: a zero, a plus, an M-step; EM by them equals naive EM, never falls, keeps its fixed points."""

import math

import numpy as np
import pytest
from support import datasets, naive
from support.asserts import assert_no_fall_but_rounding
from support.sweeps import KINDS, binomial_params, normal_params, sweep

from fastem import BinomialParams, GaussianParams
from fastem.data.slots import fold
from fastem.families.counts import log_factorial
from fastem.families.params import same

HEALTHY = [w for w in datasets.NORMAL_WORLDS if w.name not in ("collapsed", "empty")]
kinds = pytest.mark.parametrize("kind", KINDS)
healthy = pytest.mark.parametrize("world", HEALTHY, ids=lambda world: world.name)
counted = pytest.mark.parametrize("world", datasets.COUNTS_WORLDS, ids=lambda world: world.name)


def em_steps(params, n_iter, step):
    for _ in range(n_iter):
        stats = step(params)
        yield stats
        params = stats.maximize(**({} if params.row_kind.is_counts else {"reg_covar": 0.0}))


# ---------------------------------------------------------------------------------------------------------- addition


def test_zero_is_neutral():
    stats = sweep(normal_params(datasets.overlapping, "full"), datasets.overlapping.X, "cython")
    zero = type(stats).zero(stats.params)
    for total in (zero + stats, stats + zero, sum([stats], start=zero)):
        for name in ("counts", "first", "second", "loglik", "entropy"):
            np.testing.assert_array_equal(getattr(total, name), getattr(stats, name))


def test_zero_is_neutral_for_counts():
    world = datasets.COUNTS_WORLDS[0]
    stats = sweep(binomial_params(world), world.X, "cython", trials=world.trials)
    np.testing.assert_array_equal((type(stats).zero(stats.params) + stats).successes, stats.successes)


def test_statistics_of_different_origin_do_not_add():
    params = normal_params(datasets.overlapping, "full")
    stats = sweep(params, datasets.overlapping.X, "cython")
    with pytest.raises(ValueError, match="different parameters do not add"):
        stats + sweep(stats.maximize(), datasets.overlapping.X, "cython")


def test_equal_parameters_are_the_same_origin():
    a, b = normal_params(datasets.overlapping, "full"), normal_params(datasets.overlapping, "full")
    assert same(a, b)
    assert not same(a, normal_params(datasets.overlapping, "diag"))
    assert not same(a, binomial_params(datasets.COUNTS_WORLDS[0]))


@pytest.mark.parametrize("length", [2, 3, 5, 40])
def test_fold_is_a_left_fold(length):
    sums = np.random.default_rng(0).normal(size=(100, length)) * 10.0 ** np.arange(100)[:, np.newaxis]
    total = np.zeros(length)
    for row in sums:
        total = total + row
    np.testing.assert_array_equal(fold(sums), total)


# ----------------------------------------------------------------------------------------------------------- the M-step


@kinds
@healthy
def test_em_equals_naive_em(world, kind, twin):
    params = normal_params(world, kind)
    reg = 1e-6 if world.name not in ("tiny_scale",) else 0.0
    for _ in range(5):
        params = sweep(params, world.X, twin).maximize(reg_covar=reg)
    start = normal_params(world, kind)
    ones = np.ones(len(world.X))
    expected = naive.normal_em(world.X, ones, start.weights, start.means, start.covariances, kind, reg, 5)
    # the data of offset_1e8 hold 8 digits of a residual
    rtol = 1e-7 if world.name == "offset_1e8" else 1e-9
    for found, truth in zip((params.weights, params.means, params.covariances), expected[:3], strict=True):
        np.testing.assert_allclose(found, truth, rtol=rtol, atol=rtol * np.abs(truth).max())


@counted
def test_binomial_em_equals_naive_em(world, twin):
    params = binomial_params(world)
    for _ in range(5):
        params = sweep(params, world.X, twin, trials=world.trials).maximize()
    start = binomial_params(world)
    expected = naive.binomial_em(world.X, world.trials, np.ones(len(world.X)), start.weights, start.probs, 5)
    np.testing.assert_allclose(params.weights, expected[0], rtol=1e-9)
    np.testing.assert_allclose(params.probs, expected[1], rtol=1e-9, atol=1e-15)


@kinds
@pytest.mark.parametrize("world", datasets.NORMAL_WORLDS, ids=lambda world: world.name)
@pytest.mark.seconds
def test_loglik_never_falls_but_by_rounding(world, kind, twin):
    assert_no_fall_but_rounding(em_steps(normal_params(world, kind), 60, lambda p: sweep(p, world.X, twin)))


@kinds
@healthy
@pytest.mark.seconds
def test_loglik_is_q_plus_entropy_and_its_rounding_small(world, kind, twin):
    for stats in em_steps(normal_params(world, kind), 40, lambda p: sweep(p, world.X, twin)):
        assert stats.rounding <= 1e-12 * abs(stats.loglik)
        assert stats.loglik == pytest.approx(stats.q + stats.entropy, rel=1e-10)
        assert stats.entropy >= -1e-9


@counted
def test_binomial_loglik_never_falls(world, twin):
    trace = list(em_steps(binomial_params(world), 60, lambda p: sweep(p, world.X, twin, trials=world.trials)))
    assert_no_fall_but_rounding(trace)
    assert all(stats.rounding <= 1e-12 * abs(stats.loglik) for stats in trace)


@kinds
def test_a_maximum_is_a_fixed_point(kind):
    world = datasets.two_far
    params = normal_params(world, kind)
    for _ in range(300):
        params = sweep(params, world.X, "cython").maximize(reg_covar=0.0)
    again = sweep(params, world.X, "cython").maximize(reg_covar=0.0)
    np.testing.assert_allclose(again.means, params.means, rtol=1e-12)
    np.testing.assert_allclose(again.covariances, params.covariances, rtol=1e-11, atol=1e-13)


@kinds
def test_univariate_kernel_equals_the_multivariate_in_one_dimension(kind, twin):
    """A second column that carries no information: its variance stays, its mean stays."""
    world = datasets.univariate_two
    one = normal_params(world, "diag")
    flat = GaussianParams(
        one.weights, np.c_[one.means, np.zeros(2)], np.c_[one.covariances, np.full(2, 1 / (2 * np.pi))], "diag"
    )
    a = sweep(one, world.X, twin)
    b = sweep(flat, np.c_[world.X, np.zeros(len(world.X))], twin)
    np.testing.assert_allclose(a.counts, b.counts, rtol=1e-12)
    np.testing.assert_allclose(a.second[:, 0], b.second[:, 0], rtol=1e-12)
    assert a.loglik == pytest.approx(b.loglik, rel=1e-12)


@pytest.mark.parametrize(("scale", "offset"), [(1e-8, 0.0), (1e8, 0.0), (1.0, 1e8), (-2.5, 30.0)])
@pytest.mark.parametrize("kind", ["full", "diag"])
def test_affine_equivariance(kind, scale, offset, twin):
    """A fit of scaled and shifted data is the scaled and shifted fit, to the rounding of the data themselves."""
    world, params = datasets.overlapping, normal_params(datasets.overlapping, kind)
    X = world.X * scale + offset
    moved = GaussianParams(params.weights, params.means * scale + offset, params.covariances * scale**2, kind)
    for _ in range(10):
        params = sweep(params, world.X, twin).maximize(reg_covar=0.0)
        moved = sweep(moved, X, twin).maximize(reg_covar=0.0)
    rtol = 1e-6 if offset == 1e8 else 1e-10
    np.testing.assert_allclose(moved.weights, params.weights, rtol=rtol)
    np.testing.assert_allclose((moved.means - offset) / scale, params.means, rtol=rtol, atol=rtol)
    np.testing.assert_allclose(moved.covariances / scale**2, params.covariances, rtol=rtol, atol=rtol)


@pytest.mark.parametrize(("dtype", "rtol"), [(np.float64, 1e-12), (None, 1e-6)])  # arithmetic in float64, in float32
def test_float32_data_at_an_offset(dtype, rtol, twin):
    rng = np.random.default_rng(0)
    X = np.concatenate([rng.normal(size=2000), rng.normal(size=2000) + 6])[:, np.newaxis]
    start = GaussianParams(np.full(2, 0.5), np.array([[1e4], [1e4 + 6]]), np.ones(2), "spherical")
    shifted = (X + 1e4).astype(np.float32)
    exact = shifted.astype(np.float64) - 1e4
    a = sweep(start, shifted, twin, dtype=dtype).maximize(reg_covar=0.0)
    b = sweep(GaussianParams(start.weights, start.means - 1e4, start.covariances, "spherical"), exact, twin)
    np.testing.assert_allclose(a.covariances, b.maximize(reg_covar=0.0).covariances, rtol=rtol)


# ------------------------------------------------------------------------------------------------- fixed and degenerate


@pytest.mark.parametrize("group", ["weights", "means", "covariances"])
@kinds
def test_a_fixed_group_keeps_its_bits(group, kind):
    params = normal_params(datasets.overlapping, kind)
    new = sweep(params, datasets.overlapping.X, "cython").maximize(fixed=(group,))
    for name in ("weights", "means", "covariances"):
        assert np.array_equal(getattr(new, name), getattr(params, name)) == (name == group)


def test_with_fixed_means_covariances_are_taken_about_them():
    world = datasets.overlapping
    params = normal_params(world, "full")
    stats = sweep(params, world.X, "cython")
    new = stats.maximize(fixed=("means",), reg_covar=0.0)
    np.testing.assert_allclose(new.covariances, stats.second / stats.counts[:, None, None], rtol=1e-13)
    assert sweep(new, world.X, "cython").loglik > stats.loglik


@pytest.mark.parametrize("group", ["weights", "probs"])
def test_a_fixed_group_keeps_its_bits_for_counts(group):
    world = datasets.COUNTS_WORLDS[0]
    params = binomial_params(world)
    new = sweep(params, world.X, "cython", trials=world.trials).maximize(fixed=(group,))
    for name in ("weights", "probs"):
        assert np.array_equal(getattr(new, name), getattr(params, name)) == (name == group)


@kinds
def test_an_empty_component_keeps_its_parameters_at_weight_zero(kind, twin):
    world = next(w for w in datasets.NORMAL_WORLDS if w.name == "empty")
    params = normal_params(world, kind)
    dead = int(np.argmin(sweep(params, world.X, twin).counts))
    new = params
    for _ in range(3):
        new = sweep(new, world.X, twin).maximize()
    assert new.weights[dead] == 0.0
    np.testing.assert_array_equal(new.means[dead], params.means[dead])
    if kind != "tied":
        np.testing.assert_array_equal(new.covariances[dead], params.covariances[dead])
    assert np.isfinite(sweep(new, world.X, twin).loglik)


@kinds
@pytest.mark.parametrize("d", [1, 3])
def test_a_variance_that_becomes_zero_does_not_stop_the_fit(kind, d, twin):
    """One component sits on equal points, reg_covar = 0: its variance meets the resolution of the data, not 0."""
    rng = np.random.default_rng(0)
    X = np.concatenate([np.full((40, d), 7.0), rng.normal(size=(200, d))])
    k = 2
    start = naive.reduce_covariances(np.tile(np.eye(d), (k, 1, 1)) * 0.01, np.full(k, 0.5), kind)
    params = GaussianParams(np.full(k, 0.5), np.array([[7.0] * d, [0.0] * d]), start, kind)
    for _ in range(30):
        stats = sweep(params, X, twin)
        params = stats.maximize(reg_covar=0.0)
        assert np.isfinite(stats.loglik)
    assert all(np.isfinite(values).all() for values in (params.weights, params.means, params.covariances))
    assert (params.precisions_cholesky()[..., range(d), range(d)] if params.is_matrix else params.covariances).min() > 0


def test_all_rows_equal_and_zero():
    params = GaussianParams(np.full(2, 0.5), np.array([[0.0, 0.0], [1.0, 1.0]]), np.tile(np.eye(2), (2, 1, 1)))
    for _ in range(5):
        params = sweep(params, np.zeros((10, 2)), "cython").maximize(reg_covar=0.0)
    assert np.isfinite(params.covariances).all()
    np.linalg.cholesky(params.covariances)


def test_rows_without_tosses_tell_nothing():
    params = BinomialParams(np.array([0.5, 0.5]), np.array([[0.2], [0.7]]))
    stats = sweep(params, np.zeros((4, 1)), "cython", trials=np.zeros((4, 1)))
    new = stats.maximize()
    np.testing.assert_array_equal(new.probs, params.probs)
    assert stats.loglik == pytest.approx(0.0, abs=1e-15)


# ----------------------------------------------------------------------------------------------------------- constants


def test_log_factorial_is_exact_to_rounding():
    n = np.concatenate([np.arange(2000), 10.0 ** np.arange(4, 10), [2**31 - 1]])
    np.testing.assert_allclose(log_factorial(n), [math.lgamma(x + 1) for x in n], rtol=5e-16, atol=1e-15)


@kinds
def test_number_of_free_parameters(kind):
    k, d = 3, 4
    params = GaussianParams.from_variances(np.zeros((k, d)), np.ones(d), kind)
    covariances = {"full": 30, "tied": 10, "diag": 12, "spherical": 3}[kind]
    assert params.n_parameters == covariances + 12 + 2


@kinds
def test_precisions_are_inverse_covariances(kind):
    params = normal_params(datasets.correlated, kind)
    k, d = params.means.shape
    covariances = naive.expand_covariances(params.covariances, kind, k, d)
    precisions = naive.expand_covariances(params.precisions(), kind, k, d)
    np.testing.assert_allclose(covariances @ precisions, np.tile(np.eye(d), (k, 1, 1)), atol=1e-12)
    factors = naive.expand_covariances(params.precisions_cholesky(), kind, k, d)
    np.testing.assert_allclose(factors @ np.swapaxes(factors, 1, 2), precisions, rtol=1e-10, atol=1e-12)


def test_a_component_of_probability_zero_is_out_of_reach(twin):
    """One success in a thousand tosses: impossible under p = 0, and only unlikely under p = 0.999."""
    params = BinomialParams(np.array([0.5, 0.5]), np.array([[0.0], [0.999]]))
    stats = sweep(params, np.array([[1.0], [0.0]]), twin, trials=np.full((2, 1), 1000.0))
    np.testing.assert_allclose(stats.counts, [1.0, 1.0], rtol=1e-12)
    assert stats.loglik == pytest.approx(
        2 * math.log(0.5) + math.log(1000 * 0.999) + 999 * math.log1p(-0.999), rel=1e-12
    )
