"""A background: sums and EM are those of the naive loop with one density more, which is the same everywhere."""

import math

import numpy as np
import pytest
from support import datasets, naive, naive_background
from support.asserts import assert_no_fall_but_rounding
from support.sweeps import KINDS, normal_params, reduce_second_moments, sweep

from fastem.data.open import open_rows
from fastem.families.fixed import Fixed
from fastem.families.gaussian.background import box
from fastem.families.gaussian.background.family import BackgroundFamily
from fastem.families.gaussian.background.model import BackgroundParams, BackgroundStats
from fastem.families.gaussian.prior import GaussianPrior

WORLDS = [datasets.univariate_two, datasets.correlated, datasets.overlapping]
worlds = pytest.mark.parametrize("world", WORLDS, ids=lambda world: world.name)
kinds = pytest.mark.parametrize("kind", KINDS)
SHARE = 0.2


def rows_of(world):
    """Its rows, with a fifth of them moved to anywhere; and weights 0 to 2."""
    rng = np.random.default_rng(5)
    X = world.X.copy()
    X[::5] = rng.uniform(2 * X.min(axis=0), 2 * X.max(axis=0), X[::5].shape)
    return X, rng.integers(0, 3, len(X)).astype(float)


def background(world, kind, noise=True, share=SHARE):
    point, X = normal_params(world, kind), rows_of(world)[0]
    edges = np.vstack([X.min(axis=0), np.diag(np.ptp(X, axis=0))])
    values = {"noise_weight": np.asarray(share), "noise_box": edges, "noise": noise}
    return BackgroundParams((1 - share) * point.weights, point.means, point.covariances, kind, **values)


def naive_log_density(params, X):
    full = naive.expand_covariances(params.covariances, params.covariance_type, *params.means.shape)
    return naive_background.background_log_density(X, params.means, full, params.log_density)


@worlds
@kinds
def test_sums_are_naive(world, kind, twin):
    (X, w), params = rows_of(world), background(world, kind)
    log_prob, resp = naive.posterior(naive_log_density(params, X), params.all_weights)
    stats = sweep(params, X, twin, w)
    assert stats.loglik == pytest.approx(naive.weighted_total(w, log_prob), rel=1e-12)
    assert stats.entropy == pytest.approx(naive.entropy_of(w, resp), rel=1e-11)
    np.testing.assert_allclose(stats.all_counts, w @ resp, rtol=1e-11)
    assert stats.total == pytest.approx(w.sum(), rel=1e-14)
    offsets = X[:, np.newaxis] - params.means
    shares = (w[:, np.newaxis] * resp)[:, :-1]
    np.testing.assert_allclose(stats.first, np.einsum("nk,nkd->kd", shares, offsets), rtol=1e-9, atol=1e-9)
    second = np.einsum("nk,nkd,nke->kde", shares, offsets, offsets)
    second = reduce_second_moments(second, params.covariance_type)
    np.testing.assert_allclose(stats.second, second, rtol=1e-9, atol=1e-9)


@worlds
@kinds
def test_em_is_the_naive_loop_and_never_falls(world, kind, twin):
    (X, w), start, reg_covar = rows_of(world), background(world, kind), 1e-3
    known = start.means.copy(), start.covariances.copy(), kind, reg_covar, start.log_density
    weights, means, covariances, logliks = naive_background.background_em(X, w, start.all_weights, *known, 12)
    params, trace = start, []
    for _ in range(12):
        trace.append(sweep(params, X, twin, w))
        params = trace[-1].maximize(reg_covar=reg_covar)
    np.testing.assert_allclose([stats.loglik for stats in trace], logliks, rtol=1e-11)
    np.testing.assert_allclose(params.all_weights, weights, rtol=1e-8)
    np.testing.assert_allclose(params.means, means, rtol=1e-8, atol=1e-8)
    np.testing.assert_allclose(params.covariances, covariances, rtol=1e-8, atol=1e-8)
    assert params.all_weights.sum() == pytest.approx(1.0, abs=1e-15)


def test_the_log_likelihood_never_falls_but_for_rounding():
    X, w = rows_of(datasets.overlapping)
    params, trace = background(datasets.overlapping, "full"), []
    for _ in range(100):
        trace.append(sweep(params, X, "cython", w))
        params = trace[-1].maximize(reg_covar=0.0)
    assert_no_fall_but_rounding(trace)


@kinds
def test_a_density_of_nothing_is_no_background(kind):
    world = datasets.correlated
    plain, params = normal_params(world, kind), background(world, kind, noise=1e-300)
    ours, theirs = (sweep(each, world.X, "cython") for each in (params, plain))
    assert ours.loglik == pytest.approx(theirs.loglik + theirs.total * math.log(1 - SHARE), rel=1e-13)
    assert ours.noise_count < 1e-200
    for name in ("counts", "first", "second"):
        np.testing.assert_allclose(getattr(ours, name), getattr(theirs, name), rtol=1e-12, atol=1e-12)
    reached, expected = ours.maximize(), theirs.maximize()
    np.testing.assert_allclose(reached.weights, expected.weights, rtol=1e-12)
    np.testing.assert_allclose(reached.covariances, expected.covariances, rtol=1e-11, atol=1e-12)


def test_one_weight_has_a_closed_form():
    """Of rows that are surely of the component or the background, the weights are their shares; so are the moments."""
    X = np.concatenate([np.linspace(-1, 1, 30), [1e5, -2e5, 3e5]])[:, np.newaxis]
    edges = np.array([[-2e5], [5e5]])
    start = BackgroundParams(
        np.array([0.5]), np.zeros((1, 1)), np.ones((1, 1, 1)), noise_weight=np.asarray(0.5), noise_box=edges
    )
    params = sweep(start, X, "cython").maximize(reg_covar=0.0)
    near = X[:30] - 0.0
    resp = naive.posterior(naive_log_density(start, X), start.all_weights)[1][:30, 0]
    assert resp.min() > 1 - 1e-5
    assert float(params.noise_weight) == pytest.approx(3 / 33, abs=1e-5)
    assert params.means[0, 0] == pytest.approx(near.mean(), abs=1e-5)
    assert params.covariances[0, 0, 0] == pytest.approx(near.var(), rel=1e-4)


@kinds
def test_rows_that_are_out_of_reach_are_the_backgrounds(kind, twin):
    world, params = datasets.correlated, background(datasets.correlated, kind)
    X = np.vstack([world.X, np.full((1, world.X.shape[1]), 1e130)])
    with open_rows(X, backend=twin) as rows:
        found = rows.posterior(params, "log_prob", "resp", "labels")
    assert found.labels[-1] == -1
    assert found.log_prob[-1] == pytest.approx(math.log(SHARE) + params.log_density, rel=1e-13)
    np.testing.assert_allclose(found.resp[-1], [*np.zeros(len(params.weights)), 1.0], atol=1e-200)
    assert sweep(params, X, twin).noise_count == pytest.approx(sweep(params, world.X, twin).noise_count + 1)


@kinds
def test_float32_rows_have_the_sums_of_float64(kind):
    (X, _), params = rows_of(datasets.correlated), background(datasets.correlated, kind)
    X = X.astype(np.float32)
    assert params.float32_is_sufficient(params.tables())
    single, double = sweep(params, X, "cython"), sweep(params, X, "cython", dtype=np.float64)
    assert single.single
    assert not double.single
    assert single.loglik == pytest.approx(double.loglik, rel=1e-5)
    np.testing.assert_allclose(single.all_counts, double.all_counts, rtol=1e-4)
    np.testing.assert_allclose(single.second, double.second, rtol=1e-3, atol=1e-2)
    rounded = params.rounded_to_float32()
    assert (rounded.noise_box == rounded.noise_box.astype(np.float32)).all()
    assert rounded.log_density == pytest.approx(params.log_density, abs=1e-5)


@kinds
def test_statistics_add_and_a_weight_is_a_number_of_rows(kind):
    (X, w), params = rows_of(datasets.correlated), background(datasets.correlated, kind)
    whole = sweep(params, X, "cython", w)
    parts = [sweep(params, X[part], "cython", w[part]) for part in (slice(0, 70), slice(70, None))]
    repeated = sweep(params, np.repeat(X, w.astype(int), axis=0), "cython")
    zero = BackgroundStats.zero(params)
    for total in (parts[0] + parts[1], repeated, whole + zero, whole * 2 * 0.5):
        for name in ("counts", "noise_count", "first", "second", "loglik", "entropy"):
            np.testing.assert_allclose(getattr(total, name), getattr(whole, name), rtol=1e-11, atol=1e-10)


@kinds
@pytest.mark.parametrize("fixed", [(), ("weights",), ("means",), "some"], ids=str)
def test_vectors_are_parameters_and_gradients_are_slopes(kind, fixed):
    (X, w), params = rows_of(datasets.overlapping), background(datasets.overlapping, kind)
    k = len(params.weights)
    if fixed == "some":
        fixed = {"weights": np.arange(k) == 1, "means": np.arange(k) == 0}
    fixed = params.as_fixed(fixed)
    x = params.to_vector(params, fixed)
    assert (
        len(x)
        == params.n_coordinates(fixed)
        == params.n_free(fixed) + (1 if params.free_weights(fixed).sum() > 0 else 0)
    )
    back = params.from_vector(x, fixed)
    for name in ("weights", "noise_weight", "means", "covariances"):
        np.testing.assert_allclose(getattr(back, name), getattr(params, name), rtol=1e-12, err_msg=name)
    stats = sweep(params, X, "cython", w)
    found, step = stats.gradient(stats.maximize(fixed=fixed, reg_covar=0.0), params, fixed), 1e-5
    slopes = [
        (
            sweep(params.from_vector(x + e, fixed), X, "cython", w).loglik
            - sweep(params.from_vector(x - e, fixed), X, "cython", w).loglik
        )
        / (2 * step)
        for e in step * np.eye(len(x))
    ]
    np.testing.assert_allclose(found, slopes, rtol=1e-5, atol=1e-4)


def test_fixed_weights_leave_the_background_what_they_do_not_take():
    (X, w), params = rows_of(datasets.overlapping), background(datasets.overlapping, "full")
    stats, k = sweep(params, X, "cython", w), len(params.weights)
    every = stats.maximize(fixed=("weights",))
    np.testing.assert_array_equal(every.weights, params.weights)
    assert float(every.noise_weight) == pytest.approx(SHARE, abs=1e-15)
    one = stats.maximize(fixed=Fixed(k, {"weights": np.arange(k) == 0}))
    assert one.weights[0] == params.weights[0]
    assert one.all_weights.sum() == pytest.approx(1.0, abs=1e-15)
    np.testing.assert_allclose(one.all_weights[1:] / one.all_weights[1], stats.all_counts[1:] / stats.counts[1])


def test_its_weight_is_one_parameter_more():
    world = datasets.correlated
    for kind in KINDS:
        assert background(world, kind).n_parameters == normal_params(world, kind).n_parameters + 1


def test_without_a_component_the_others_and_the_background_keep_their_proportions():
    params = background(datasets.overlapping, "full")
    rest = params.without(0)
    np.testing.assert_allclose(rest.all_weights, params.all_weights[1:] / params.all_weights[1:].sum(), rtol=1e-15)


def test_components_are_pooled_and_compared_without_the_background():
    for kind in KINDS:
        params, plain = background(datasets.overlapping, kind), normal_params(datasets.overlapping, kind)
        np.testing.assert_allclose(params.pooled().covariances, plain.pooled().covariances, rtol=1e-12)
        np.testing.assert_allclose(params.relative_variances(), plain.relative_variances(), rtol=1e-12)


def test_draws_of_the_background_fill_its_box():
    angle = math.pi / 6
    axes = np.array([[math.cos(angle), math.sin(angle)], [-math.sin(angle), math.cos(angle)]])
    edges = np.vstack([[10.0, 20.0], np.array([[4.0], [1.0]]) * axes])
    params = BackgroundParams(
        np.array([0.5]), np.zeros((1, 2)), np.eye(2)[np.newaxis], noise_weight=np.asarray(0.5), noise_box=edges
    )
    labels = np.repeat([0, -1], 5_000)
    inside = (params.sample(labels, np.random.default_rng(0))[labels < 0] - edges[0]) @ axes.T
    assert (inside >= 0).all()
    assert (inside <= [4.0, 1.0]).all()
    # the mean and the variance of 5,000 uniform numbers, to four standard errors
    np.testing.assert_allclose(inside.mean(axis=0) / [4.0, 1.0], 0.5, atol=0.017)
    np.testing.assert_allclose(inside.var(axis=0) / [16.0, 1.0], 1 / 12, atol=0.005)


def test_a_prior_counts_for_the_components_alone():
    """Dirichlet with concentrations c, ..., c, 1: c - 1 rows more for each component, and an integral of 1."""
    X, w = rows_of(datasets.univariate_two)
    params, prior = background(datasets.univariate_two, "full"), GaussianPrior(concentration=3.0)
    stats, added = sweep(params, X, "cython", w), prior.stats(params)
    assert (added.noise_count, added.counts.tolist()) == (0.0, [2.0, 2.0])
    reached = (stats + added).maximize()
    np.testing.assert_allclose(reached.all_weights, np.append(stats.counts + 2, stats.noise_count) / (stats.total + 4))
    a, b = params.weights
    assert added.loglik == pytest.approx(math.log(math.gamma(7) / math.gamma(3) ** 2 * a**2 * b**2))


# ------------------------------------------------------------------------------------------------------------- the box


def box_of(X, w=None):
    return box.box_of(open_rows(X, sample_weight=w, fitting=True))


def naive_log_volume(X):
    """The smaller one of the boxes along the features and along the principal axes of the covariance."""
    turned = (X - X.mean(axis=0)) @ np.linalg.eigh(np.cov(X.T))[1] if X.shape[1] > 1 else X
    return min(np.log(np.ptp(Z, axis=0)).sum() for Z in (X, turned))


@pytest.mark.parametrize("d", [1, 2, 5])
@pytest.mark.parametrize("correlated", [False, True])
def test_the_box_is_the_smaller_of_two(d, correlated):
    rng = np.random.default_rng(d)
    X = rng.uniform(size=(500, d)) * 10.0 ** rng.integers(-3, 4, d) + 1e4
    if correlated:
        X = X @ rng.normal(size=(d, d))
    found = box_of(X)
    assert box.log_volume(found) == pytest.approx(naive_log_volume(X), abs=1e-6)  # axes are good to 1e-9
    edges = found[1:]
    np.testing.assert_allclose(edges @ edges.T, np.diag((edges**2).sum(axis=1)), atol=1e-9 * (edges**2).max())
    inside = np.linalg.solve(edges.T, (X - found[0]).T)
    assert inside.min() > -1e-7
    assert inside.max() < 1 + 1e-7


def test_a_rotated_box_is_found():
    rng = np.random.default_rng(0)
    X = rng.uniform(size=(2_000, 2)) * [10.0, 1.0] @ np.array([[0.6, 0.8], [-0.8, 0.6]])
    assert box.log_volume(box_of(X)) == pytest.approx(math.log(10), abs=0.05)
    assert np.abs(box_of(X)[1:]).min() > 0.1


def test_rows_of_weight_0_are_absent_from_the_box():
    rng = np.random.default_rng(0)
    X, w = rng.normal(size=(100, 2)), np.ones(100)
    far = np.vstack([X, [[1e6, 1e6]]])
    np.testing.assert_allclose(box_of(far, np.append(w, 0.0)), box_of(X, w), rtol=1e-9, atol=1e-9)


def test_features_that_depend_on_each_other_have_a_box_along_them():
    x = np.random.default_rng(0).normal(size=200)
    np.testing.assert_allclose(box_of(np.column_stack([x, 2 * x]))[1:], np.diag([np.ptp(x), 2 * np.ptp(x)]))


def test_volumes_beyond_what_numbers_hold_have_a_logarithm():
    edges = np.vstack([np.zeros(300), 1e-200 * np.eye(300)])
    assert box.log_volume(edges) == pytest.approx(300 * math.log(1e-200))


def test_a_box_without_volume_is_refused_where_its_density_is_asked_for():
    X = np.column_stack([np.arange(9.0), np.ones(9)])
    rows, rng = open_rows(X, fitting=True), np.random.default_rng(0)
    family = BackgroundFamily("full", 1e-3).for_rows(rows, rng)
    with pytest.raises(ValueError, match="all rows have the same value in column 1"):
        family.start(rows, 2, method="kmeans", rng=rng)
    given = BackgroundFamily("full", 1e-3, noise=0.5).for_rows(rows, rng).start(rows, 2, method="kmeans", rng=rng)
    assert given.log_density == math.log(0.5)


def test_projections_of_a_box_cover_what_it_covers():
    edges = np.vstack([[1.0, 2.0, 3.0], np.diag([2.0, 3.0, 4.0]) @ np.linalg.qr(np.arange(9.0).reshape(3, 3) - 7)[0]])
    corners = edges[0] + np.stack(np.meshgrid([0, 1], [0, 1], [0, 1]), axis=-1).reshape(-1, 3) @ edges[1:]
    found = box.projected(edges, [2, 0])
    np.testing.assert_allclose(found[0], corners[:, [2, 0]].min(axis=0))
    np.testing.assert_allclose(found[1:], np.diag(np.ptp(corners[:, [2, 0]], axis=0)))
