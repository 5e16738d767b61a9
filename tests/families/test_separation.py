"""Cut points between Gaussian components, and how often these are confused."""

import math

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from scipy import stats
from scipy.optimize import brentq

import fastem
from fastem.families.gaussian.separation import confusion, cut_points

KINDS = ("full", "tied", "diag", "spherical")


def random_params(seed, k=3, d=3, kind="full"):
    rng = np.random.default_rng(seed)
    A = rng.normal(size=(k, d, d))
    matrices, variances = A @ A.mT / d + 0.2 * np.eye(d), rng.uniform(0.3, 3.0, (k, d))
    covariances = {"full": matrices, "tied": matrices[0], "diag": variances, "spherical": variances[:, 0].copy()}[kind]
    return fastem.GaussianParams(rng.dirichlet(np.full(k, 2.0)), 1.5 * rng.normal(size=(k, d)), covariances, kind)


def line(weights, means, sds):
    variances = np.square(np.array(sds, dtype=float))
    return fastem.GaussianMixture.from_params(
        fastem.GaussianParams(np.array(weights), np.array(means, dtype=float)[:, np.newaxis], variances, "spherical")
    )


# ----------------------------------------------------------------------------------------------------------- cut points


def test_the_cut_of_the_report():
    assert_allclose(line([0.7, 0.3], [0, 4], [1, 2]).cut_points(), 2.01614, atol=5e-6)


def test_both_neighbours_are_equally_probable_at_a_cut_and_the_upper_one_wins_behind_it():
    for seed in range(30):
        rng = np.random.default_rng(seed)
        mixture = line(rng.dirichlet([2, 2]), rng.permutation([0.0, 3.0]), rng.uniform(0.5, 2, 2))
        (cut,) = mixture.cut_points()
        upper = int(mixture.means_.argmax())
        assert_allclose(mixture.predict_proba([[cut]]), 0.5, atol=1e-12)
        assert_array_equal(mixture.predict([[cut - 1e-6], [cut + 1e-6]]), [1 - upper, upper])


def test_equal_variances_have_the_cut_of_linear_discriminant_analysis_even_behind_a_mean():
    """The middle, and v log(w_i / w_j) / (m_j - m_i)."""
    assert_allclose(line([0.99, 0.01], [0, 2], [1, 1]).cut_points(), 1 + math.log(99) / 2, rtol=1e-14)


def test_odds_are_those_of_the_upper_component():
    mixture = line([0.6, 0.4], [0, 3], [1, 1.5])
    lower, upper = mixture.predict_proba(mixture.cut_points(odds=9.0)[:, np.newaxis])[0]
    assert_allclose(upper / lower, 9.0, rtol=1e-12)


def test_neighbours_are_those_in_the_order_of_the_means():
    found = line([0.3, 0.4, 0.3], [5, 0, 10], [1, 1, 1]).cut_points()
    first, second = line([4 / 7, 3 / 7], [0, 5], [1, 1]), line([0.5, 0.5], [5, 10], [1, 1])
    assert_allclose(found, [*first.cut_points(), *second.cut_points()], rtol=1e-14)


@pytest.mark.parametrize(
    ("weights", "means", "sds"),
    [
        ([0.99, 0.01], [0, 0.1], [1, 1.0 - 1e-3]),  # the lower one wins everywhere
        ([0.5, 0.5], [1, 1], [2, 2]),  # equal
        ([0.0, 1.0], [0, 1], [1, 1]),  # without weight
    ],
)
def test_there_is_no_cut_where_one_of_both_wins_everywhere(weights, means, sds):
    assert np.isnan(line(weights, means, sds).cut_points()).all()


def test_one_component_has_no_cut():
    assert line([1.0], [0], [1]).cut_points().shape == (0,)


@pytest.mark.parametrize("scale", [1e-80, 1.0, 1e80])
@pytest.mark.parametrize("offset", [0.0, 1e6])
def test_a_cut_moves_with_the_rows(scale, offset):
    weights, means, variances = np.array([0.7, 0.3]), np.array([0.0, 4.0]), np.array([1.0, 4.0])
    found = cut_points(weights, scale * (means + offset), scale**2 * variances, 1.0)
    assert_allclose(found / scale - offset, 2.01613895, atol=1e-8)


def test_the_cut_is_found_where_a_search_finds_it():
    mixture = line([0.2, 0.8], [0, 5], [1.5, 0.7])
    right = brentq(lambda x: mixture.predict_proba([[x]])[0, 1] - 0.5, 0, 5, xtol=1e-13)
    assert_allclose(mixture.cut_points(), right, rtol=1e-12)


@pytest.mark.parametrize("odds", [0.0, -1.0, math.nan, math.inf])
def test_odds_are_positive(odds):
    with pytest.raises(ValueError, match="odds"):
        line([0.5, 0.5], [0, 1], [1, 1]).cut_points(odds)


def test_several_features_have_no_cut_points():
    mixture = fastem.GaussianMixture.from_params(random_params(0))
    with pytest.raises(ValueError, match=r"cut_points is for rows of one feature, but these have 3"):
        mixture.cut_points()


# -------------------------------------------------------------------------------------------------------------- overlap


@pytest.mark.parametrize("kind", ["tied", "spherical"])
@pytest.mark.parametrize("d", [1, 2, 5])
def test_equal_covariances_have_the_closed_form(kind, d):
    params = random_params(d, d=d, kind=kind)
    if kind == "spherical":
        params = fastem.GaussianParams(params.weights, params.means, np.full(3, 0.7), kind)
    covariance = params.covariances if kind == "tied" else 0.7 * np.eye(d)
    found = fastem.GaussianMixture.from_params(params).overlap()
    for i, j in [(0, 1), (2, 0), (1, 2)]:
        delta = params.means[j] - params.means[i]
        distance = math.sqrt(delta @ np.linalg.solve(covariance, delta))
        odds = math.log(params.weights[j] / params.weights[i])
        assert_allclose(found[i, j], stats.norm.cdf(odds / distance - distance / 2), atol=1e-9)


def test_one_feature_has_that_of_the_roots_of_its_quadratic():
    for seed in range(20):
        params = random_params(seed, k=2, d=1)
        found = fastem.GaussianMixture.from_params(params).overlap()[0, 1]
        (m, n), (v, u), odds = (
            params.means[:, 0],
            params.covariances[:, 0, 0],
            math.log(params.weights[1] / params.weights[0]),
        )
        square, slope = 0.5 / v - 0.5 / u, n / u - m / v
        level = 0.5 * (m * m / v - n * n / u + math.log(v / u)) + odds
        roots = np.sort(np.roots([square, slope, level]))
        if np.iscomplex(roots).any():
            right = float(level + square * m * m + slope * m > 0)
        else:
            inside = np.diff(stats.norm.cdf(roots, m, math.sqrt(v)))[0]
            right = inside if square < 0 else 1 - inside
        assert_allclose(found, right, atol=1e-6)


@pytest.mark.parametrize("kind", KINDS)
def test_it_is_the_share_of_drawn_rows_that_are_more_probable_under_the_other(kind):
    """Of 200,000 rows a share is known to 0.0011 at the worst; four of them are allowed."""
    params, n = random_params(3, kind=kind), 200_000
    mixture = fastem.GaussianMixture.from_params(params)
    found = mixture.overlap()
    for i in range(3):
        logs = mixture.log_prob_components(params.sample(np.full(n, i), np.random.default_rng(i)))
        assert_allclose(found[i], (logs > logs[:, [i]]).mean(axis=0), atol=0.0045)


def test_it_does_not_depend_on_units_rotations_or_the_order_of_components():
    params, rng = random_params(5), np.random.default_rng(1)
    A, shift = rng.normal(size=(3, 3)) * [1.0, 1e6, 1e-6], rng.normal(size=3)
    moved = fastem.GaussianParams(params.weights, params.means @ A + shift, A.T @ params.covariances @ A)
    found = params.overlaps()
    assert_allclose(moved.overlaps(), found, atol=1e-8)
    order = np.array([2, 0, 1])
    assert_allclose(params.select(order).overlaps(), found[np.ix_(order, order)], atol=1e-12)


@pytest.mark.parametrize(
    ("ratios", "shifts"),
    [
        ([1.0005, 0.9], [0.3, 3.0]),  # paths of two bends would rise
        ([1.00005, 0.99], [0.3, 3.0]),
        ([1e6, 1e-6], [0.1, 0.2]),
        ([1e-8, 0.5], [1.0, 2.0]),
        ([1.0, 1.0], [0.0, 0.0]),
    ],
)
def test_covariances_that_are_nearly_equal_or_far_from_it(ratios, shifts):
    """Against 200,000 draws of the coordinates; ties are halves."""
    z, ratios, shifts = np.random.default_rng(0).normal(size=(200_000, 2)), np.array(ratios), np.array(shifts)
    logs = 0.5 * np.log(ratios).sum() + 0.5 * (z**2 - ratios * (z - shifts) ** 2).sum(axis=1)
    assert_allclose(confusion(ratios, shifts, 0.0), 0.5 * ((logs > 0).mean() + (logs >= 0).mean()), atol=0.0045)


def test_a_component_without_weight_has_no_rows_to_confuse():
    params = random_params(0)
    empty = fastem.GaussianParams(np.array([0.5, 0.5, 0.0]), params.means, params.covariances)
    found = empty.overlaps()
    assert_array_equal(found[2], 0.0)
    assert_array_equal(found[:, 2], 0.0)


def test_a_diagnosis_says_which_components_are_confused():
    X = np.random.default_rng(0).normal(size=(500, 1)) + np.where(np.arange(500) < 250, 0.0, 1.5)[:, np.newaxis]
    mixture = fastem.GaussianMixture(2, random_state=0, order_by="means").fit(X)
    found = mixture.diagnose()
    assert_allclose(found.overlap, mixture.overlap(), rtol=0)
    c = int(found.overlap.max(axis=1).argmax())
    share = found.overlap[c, 1 - c]
    assert f"component {c} is confused: {share:.0%} of its rows are more probable under component {1 - c}" in str(found)
    assert found.spurious == []


def test_counts_have_no_overlap():
    mixture = fastem.PoissonMixture(2, random_state=0).fit([0, 1, 2, 20, 22, 25])
    assert np.isnan(mixture.diagnose().overlap).all()
    assert "confused" not in str(mixture.diagnose()).split("\n", 1)[1]
