"""The kernels against naive, on both twins and every instruction set: sums, posteriors, nearest, laws of the sums."""

import sys

import numpy as np
import pytest
from support import datasets, naive
from support.sweeps import KINDS, binomial_params, normal_params, reduce_second_moments, sweep

from fastem.data.open import open_rows
from fastem.data.slots import SLOT_ROWS
from fastem.families.gaussian.model import GaussianParams
from fastem.kernels.backend import Backend
from fastem.kernels.twins import INSTRUCTION_SETS, cython_twin, instruction_set
from fastem.validation.arrays import as_sample_weight

# Sums of n terms, each good to a few units in the last place, against sums in another order.
RTOL = 1e-11

NORMAL_CASES = [(world, kind) for world in datasets.NORMAL_WORLDS for kind in KINDS]
NAMES = [f"{world.name}-{kind}" for world, kind in NORMAL_CASES]


def full_covariances(params):
    k, d = params.means.shape
    return naive.expand_covariances(params.covariances, params.covariance_type, k, d)


def close(found, expected, scale=None):
    """Relative to the largest entry: an entry near 0 is a difference of large ones."""
    scale = np.abs(expected).max() if scale is None else scale
    np.testing.assert_allclose(found, expected, rtol=RTOL, atol=RTOL * scale)


def weights_for(n):
    return np.random.default_rng(5).gamma(1.0, size=n)


# ---------------------------------------------------------------------------------------------------- against naive


@pytest.mark.parametrize("weighted", [False, True], ids=["unit", "weighted"])
@pytest.mark.parametrize(("world", "kind"), NORMAL_CASES, ids=NAMES)
def test_normal_sums_agree_with_naive(world, kind, weighted, twin):
    params, n = normal_params(world, kind), len(world.X)
    w = weights_for(n) if weighted else None
    stats = sweep(params, world.X, twin, w)
    counts, first, second, loglik, entropy = naive.normal_sums(
        world.X, np.ones(n) if w is None else w, params.weights, params.means, full_covariances(params)
    )
    second = reduce_second_moments(second, kind)
    # the residuals of a component have the size of its distance to the rows it answers for
    residual = np.sqrt(np.abs(second).max()) * np.sqrt(counts.sum())
    close(stats.counts, counts)
    close(stats.first, first, residual)
    close(stats.second, second)
    close(stats.loglik, loglik)
    close(stats.entropy, entropy, n)


@pytest.mark.parametrize("weighted", [False, True], ids=["unit", "weighted"])
@pytest.mark.parametrize("world", datasets.COUNTS_WORLDS, ids=lambda world: world.name)
def test_binomial_sums_agree_with_naive(world, weighted, twin):
    params, n = binomial_params(world), len(world.X)
    w = weights_for(n) if weighted else None
    stats = sweep(params, world.X, twin, w, trials=world.trials)
    expected = naive.binomial_sums(world.X, world.trials, np.ones(n) if w is None else w, params.weights, params.probs)
    found = (stats.counts, stats.successes, stats.failures, stats.loglik, stats.entropy)
    for a, b in zip(found, expected, strict=True):
        close(a, b, max(n, np.abs(b).max()))


@pytest.mark.parametrize(("world", "kind"), NORMAL_CASES, ids=NAMES)
def test_normal_posterior_agrees_with_naive(world, kind, twin):
    params = normal_params(world, kind)
    with open_rows(world.X, backend=twin) as rows:
        found, alone = rows.posterior(params, "log_prob", "resp", "labels"), rows.posterior(params, "labels")
    log_prob, resp = naive.posterior(
        naive.normal_log_density(world.X, params.means, full_covariances(params)), params.weights
    )
    close(found.log_prob, log_prob)
    np.testing.assert_allclose(found.resp, resp, rtol=1e-9, atol=1e-12)
    np.testing.assert_allclose(found.resp.sum(axis=1), 1.0, rtol=1e-14)
    assert (resp[np.arange(len(resp)), found.labels] >= resp.max(axis=1) - 1e-12).all()
    np.testing.assert_array_equal(alone.labels, found.labels)


@pytest.mark.parametrize("world", datasets.COUNTS_WORLDS, ids=lambda world: world.name)
def test_binomial_posterior_agrees_with_naive(world, twin):
    params = binomial_params(world)
    with open_rows(world.X, world.trials, has_trials=True, backend=twin) as rows:
        found, alone = rows.posterior(params, "log_prob", "resp", "labels"), rows.posterior(params, "labels")
    log_prob, resp = naive.posterior(naive.binomial_log_density(world.X, world.trials, params.probs), params.weights)
    close(found.log_prob, log_prob)
    np.testing.assert_allclose(found.resp, resp, rtol=1e-9, atol=1e-12)
    assert (resp[np.arange(len(resp)), found.labels] >= resp.max(axis=1) - 1e-12).all()
    np.testing.assert_array_equal(alone.labels, found.labels)


@pytest.mark.parametrize("world", datasets.NORMAL_WORLDS, ids=lambda world: world.name)
def test_nearest_agrees_with_naive(world, twin):
    w, scale = weights_for(len(world.X)), 1 / world.X.std(axis=0)
    with open_rows(world.X, sample_weight=w, backend=twin) as rows:
        distances, labels, counts, first, inertia = rows.nearest(world.means, scale)
    expected = naive.nearest(world.X, w, world.means, scale)
    close(distances, expected[0])
    assert (labels == expected[1]).mean() > 0.999  # a tie to rounding may go either way
    if (labels == expected[1]).all():
        close(counts, expected[2])
        close(first, expected[3], np.abs(world.X - world.X.mean(axis=0)).sum())
    close(inertia, expected[4])


def test_log_densities_are_exact_to_rounding_over_the_whole_range(twin):
    """Our exp2 and log2: log p of one standard normal, from the mode to far beyond where its density underflows."""
    x = np.concatenate([np.linspace(0, 60, 20001), np.logspace(-300, 140, 4001)])[:, np.newaxis]
    params = GaussianParams(np.array([0.25, 0.75]), np.zeros((2, 1)), np.array([1.0, 4.0]), "spherical")
    with open_rows(x, backend=twin) as rows:
        found = rows.posterior(params, "log_prob").log_prob
    log_density = naive.normal_log_density(x, params.means, full_covariances(params))
    np.testing.assert_allclose(found, naive.posterior(log_density, params.weights)[0], rtol=4e-15, atol=4e-15)


# ---------------------------------------------------------------------------------------------------- laws of the sums


def assert_same_sums(a, b, rtol=RTOL):
    for name in ("counts", "first", "second", "loglik", "entropy"):
        x, y = getattr(a, name), getattr(b, name)
        np.testing.assert_allclose(x, y, rtol=rtol, atol=rtol * np.abs(y).max(), err_msg=name)


LAW_CASES = [
    (world, kind)
    for world in (datasets.univariate_three, datasets.overlapping, datasets.correlated, datasets.wide)
    for kind in ("full", "diag")
]
law = pytest.mark.parametrize(("world", "kind"), LAW_CASES, ids=[f"{w.name}-{k}" for w, k in LAW_CASES])


@law
def test_any_split_of_the_rows_sums_to_the_whole(world, kind, twin):
    params = normal_params(world, kind)
    whole = sweep(params, world.X, twin)
    for cuts in ([1], [128], [130, 131], [7, 300, 400]):
        parts = [sweep(params, part, twin) for part in np.split(world.X, cuts)]
        assert_same_sums(sum(parts[1:], start=parts[0]), whole)


@law
def test_a_weight_counts_as_that_many_equal_rows(world, kind, twin):
    params = normal_params(world, kind)
    times = np.random.default_rng(3).integers(0, 4, len(world.X))
    weighted = sweep(params, world.X, twin, times.astype(float))
    assert_same_sums(weighted, sweep(params, np.repeat(world.X, times, axis=0), twin))


@law
def test_weight_zero_is_no_row(world, kind, twin):
    params = normal_params(world, kind)
    w = weights_for(len(world.X))
    w[::3] = 0.0
    assert_same_sums(sweep(params, world.X, twin, w), sweep(params, world.X[w > 0], twin, w[w > 0]))


@law
def test_permuted_components_permute_the_sums(world, kind, twin):
    params = normal_params(world, kind)
    order = np.roll(np.arange(len(params.weights)), 1)
    permuted = GaussianParams(params.weights[order], params.means[order], params.covariances[order], kind)
    a, b = sweep(params, world.X, twin), sweep(permuted, world.X, twin)
    np.testing.assert_allclose(a.counts[order], b.counts, rtol=RTOL)
    np.testing.assert_allclose(a.loglik, b.loglik, rtol=RTOL)


def unaligned(X):
    records = np.zeros(len(X), [("a", "i1"), ("x", "f8", X.shape[1:])])
    records["x"] = X
    return records["x"]


@pytest.mark.parametrize("layout", ["F", "strided", "readonly", "reversed", "record"])
@law
def test_memory_layout_does_not_matter(world, kind, layout, twin):
    params, X = normal_params(world, kind), world.X
    other = {
        "F": lambda: np.asfortranarray(X),
        "strided": lambda: np.repeat(np.repeat(X, 2, axis=0), 3, axis=1)[::2, ::3],
        "readonly": lambda: np.frombuffer(X.tobytes()).reshape(X.shape),
        "reversed": lambda: X[::-1].copy()[::-1],
        "record": lambda: unaligned(X),
    }[layout]()
    np.testing.assert_array_equal(other, X)
    assert_same_sums(sweep(params, other, twin), sweep(params, X, twin), rtol=0)


# ---------------------------------------------------------------------------------------------------------- float32

# Responsibilities and sums of a tile in float32 (6e-8 for each operation), added in float64: seen, at most 1e-6.
SINGLE_RTOL = 5e-6


def as_in_float64(found, expected, n, rtol):
    size = np.sqrt(np.abs(expected.second).max() * n)
    np.testing.assert_allclose(found.counts, expected.counts, atol=rtol * n)
    np.testing.assert_allclose(found.first, expected.first, atol=rtol * size)
    np.testing.assert_allclose(found.second, expected.second, atol=rtol * np.abs(expected.second).max())
    np.testing.assert_allclose(found.loglik, expected.loglik, atol=rtol * (n + abs(expected.loglik)))
    np.testing.assert_allclose(found.entropy, expected.entropy, atol=rtol * n)


@pytest.mark.parametrize(("world", "kind"), NORMAL_CASES, ids=NAMES)
def test_float32_rows_are_summed_as_if_in_float64(world, kind, twin):
    params, X = normal_params(world, kind), world.X.astype(np.float32)
    expected = sweep(params, X.astype(np.float64), twin)
    as_in_float64(sweep(params, X, twin), expected, len(X), SINGLE_RTOL)
    assert_same_sums(sweep(params, X, twin, dtype=np.float64), expected, rtol=1e-14)
    w = weights_for(len(X))
    assert_same_sums(sweep(params, X, twin, w), sweep(params, X.astype(np.float64), twin, w), rtol=1e-14)


@pytest.mark.parametrize("d", range(1, 14))
def test_float32_rows_of_any_number_of_features(d, twin):
    rng = np.random.default_rng(d)
    X = (rng.normal(size=(SLOT_ROWS + 77, d)) * 3).astype(np.float32)
    A = rng.normal(size=(5, d, d))
    params = GaussianParams(rng.dirichlet(np.ones(5)), rng.normal(size=(5, d)), A @ A.transpose(0, 2, 1) + np.eye(d))
    as_in_float64(sweep(params, X, twin), sweep(params, X, twin, dtype=np.float64), len(X), SINGLE_RTOL)


@pytest.mark.parametrize("kind", ["full", "diag"])
def test_float32_rows_of_far_components_are_summed_in_float64(kind, twin):
    """In float32, rows and means of 1e-4 about 0 would drown in the distance of the other component."""
    rng = np.random.default_rng(0)
    X = np.r_[1e-4 * rng.normal(size=(500, 2)), 1e4 + rng.normal(size=(500, 2))].astype(np.float32)
    covariances = np.array([1e-8 * np.eye(2), np.eye(2)])
    params = GaussianParams(np.full(2, 0.5), np.array([[0.0, 0.0], [1e4, 1e4]]), covariances)
    if kind == "diag":
        params = GaussianParams(params.weights, params.means, np.diagonal(covariances, axis1=1, axis2=2).copy(), "diag")
    assert_same_sums(sweep(params, X, twin), sweep(params, X.astype(np.float64), twin), rtol=1e-14)


def test_float32_rows_meet_parameters_that_are_no_float32(twin):
    X = np.random.default_rng(0).normal(size=(50, 2)).astype(np.float32)
    for sd in (1e-60, 1.0, 1e60):
        params = GaussianParams(np.full(2, 0.5), np.array([[1e100, 0.0], [1.0, 2.0]]), np.full((2, 2), sd**2), "diag")
        assert_same_sums(sweep(params, X, twin), sweep(params, X.astype(np.float64), twin), rtol=1e-14)


def test_one_step_of_float32_rows_ends_at_their_mean(twin):
    """A mean is no float32; what its rounding moves is moved back."""
    X = (1e4 + np.random.default_rng(0).normal(size=(999, 3))).astype(np.float32)
    params = GaussianParams(np.ones(1), X[:1] + np.pi, np.eye(3)[np.newaxis])
    once = sweep(params, X, twin).maximize(reg_covar=0.0)
    np.testing.assert_allclose(once.means[0], X.mean(axis=0, dtype=np.float64), rtol=0, atol=1e-6)
    np.testing.assert_allclose(once.covariances[0], np.cov(X.T.astype(np.float64), bias=True), atol=1e-5)


def test_an_empty_component_of_float32_rows_has_no_part(twin):
    X = np.random.default_rng(0).normal(size=(500, 2)).astype(np.float32)
    params = GaussianParams(np.full(2, 0.5), np.array([[0.0, 0.0], [90.0, 90.0]]), np.ones((2, 2)), "diag")
    stats = sweep(params, X, twin)
    assert stats.live.tolist() == [True, False]
    assert stats.counts[0] == pytest.approx(500, rel=1e-6)


@pytest.mark.numba
@pytest.mark.numba_again  # with threads, from d = 7 on
@pytest.mark.parametrize("d", range(1, 14))
def test_cython_and_numba_agree(d):
    """Many slots, none of them full at the end, all kinds."""
    rng = np.random.default_rng(d)
    X, w = rng.normal(size=(2 * SLOT_ROWS + 77, d)) * 3, rng.random(2 * SLOT_ROWS + 77)
    A = rng.normal(size=(5, d, d))
    params = GaussianParams(rng.dirichlet(np.ones(5)), rng.normal(size=(5, d)), A @ A.transpose(0, 2, 1) + np.eye(d))
    a, b = sweep(params, X, "cython", w), sweep(params, X, "numba", w)
    assert_same_sums(a, b, rtol=1e-10)


# ------------------------------------------------------------------------------------------------ instruction sets


@pytest.mark.parametrize("isa", INSTRUCTION_SETS)
def test_the_environment_chooses_the_instruction_set(isa, monkeypatch):
    monkeypatch.setenv("FASTEM_ISA", isa)
    try:
        kernels = cython_twin()
    except ValueError:
        pytest.skip(f"this processor or this build has no {isa}")
    assert kernels.__name__ == "fastem._kernels" + ("" if isa == "baseline" else f"_{isa}")


def test_a_source_tree_without_kernels_says_what_to_do(monkeypatch):
    monkeypatch.setitem(sys.modules, "fastem._processor", None)  # an import finds nothing
    with pytest.raises(ImportError, match=r"kernels in .* are not compiled.* start Python in another folder"):
        instruction_set(None)


def test_an_unknown_instruction_set_is_refused(monkeypatch):
    monkeypatch.setenv("FASTEM_ISA", "mmx")
    with pytest.raises(ValueError, match="FASTEM_ISA='mmx' is none of avx512, avx2, baseline"):
        Backend()


# ---------------------------------------------------------------------------------------------------- extremes


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("d", [1, 3])
def test_points_far_out_have_finite_responsibilities(kind, d, twin):
    means = np.array([[-1.0] * d, [5.0] * d])
    covariances = naive.reduce_covariances(np.tile(np.eye(d), (2, 1, 1)), np.full(2, 0.5), kind)
    params = GaussianParams(np.array([0.5, 0.5]), means, covariances, kind)
    X = np.array([[x] * d for x in (-1e200, -1e8, -1e3, 1e3, 1e8, 1e200)])
    with open_rows(X, backend=twin) as rows:
        found = rows.posterior(params, "log_prob", "resp", "labels")
    assert np.isfinite(found.log_prob).all()
    np.testing.assert_allclose(found.resp.sum(axis=1), 1.0, rtol=1e-14)
    assert found.labels[1:5].tolist() == [0, 0, 1, 1]  # the nearest component wins, where float64 can tell


def test_many_components_far_apart(twin):
    """k = 300: beyond the product of totals; every point belongs to one component."""
    means = np.arange(300.0)[:, np.newaxis] * 1e3
    params = GaussianParams(np.full(300, 1 / 300), means, np.ones(300), "spherical")
    X = np.repeat(means, 3, axis=0)
    stats = sweep(params, X, twin)
    np.testing.assert_allclose(stats.counts, 3.0, rtol=1e-12)
    assert stats.loglik == pytest.approx(900 * (-0.5 * np.log(2 * np.pi) - np.log(300)), rel=1e-13)


def test_unwanted_outputs_stay_empty():
    with open_rows(np.zeros((5, 1))) as rows:
        found = rows.posterior(GaussianParams(np.ones(1), np.zeros((1, 1)), np.ones(1), "spherical"), "labels")
    assert (len(found.log_prob), len(found.resp), len(found.labels)) == (0, 0, 5)


def test_sample_weight_none_takes_no_memory():
    assert as_sample_weight(None, 10**9).strides == (0,)
