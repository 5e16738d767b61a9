"""Components that collapse: seen, told, and treated as the policy says; and what tells a spurious maximum."""

import math

import numpy as np
import pytest

import fastem
from fastem.families.diagnosis import diagnosis
from fastem.fitting.collapse import inseparable

RNG = np.random.default_rng(0)
CLOUD = RNG.normal(size=(300, 2))
TIED = np.concatenate([CLOUD, np.full((20, 2), 7.0)])
"""A component that sits on the equal rows has no extent."""

START = {
    "weights_init": [0.9, 0.1], "means_init": [[0.0, 0.0], [7.0, 7.0]], "tol": 1e-6, "max_iter": 300, "random_state": 0
}  # fmt: skip
KINDS = {"full": np.tile(np.eye(2), (2, 1, 1)), "diag": np.ones((2, 2)), "spherical": np.ones(2)}

pytestmark = pytest.mark.filterwarnings(
    "ignore::fastem.CollapsedComponentWarning",
    "ignore::fastem.ConvergenceWarning",
    "ignore::fastem.EmptyComponentWarning",
    "ignore::fastem.EqualComponentWarning",
)


def fitted(policy, kind="full", X=TIED, **settings):
    settings = START | {"covariance_type": kind, "precisions_init": KINDS[kind]} | settings
    return fastem.GaussianMixture(2, on_collapse=policy, **settings).fit(X)


@pytest.mark.parametrize("reg_covar", [0.0, 1e-6, "auto"])
@pytest.mark.parametrize("kind", KINDS)
def test_a_component_on_equal_rows_is_seen_under_any_floor_and_in_any_units(kind, reg_covar):
    for units in (1.0, 1e-3, 1e5):
        if reg_covar == 1e-6 and units != 1.0:
            continue  # a number has the units of the rows squared
        (seen,) = fitted("floor", kind, TIED * units, reg_covar=reg_covar, **in_units(kind, units)).collapses_
        assert (seen.component, seen.action) == (1, "floor")
        assert seen.count == pytest.approx(20, abs=1e-6)
        assert seen.smallest_eigenvalue <= 1.01e-6 * units**2 * 10


@pytest.mark.parametrize("kind", KINDS)
def test_a_collapsed_component_is_warned_of_by_its_number(kind):
    """Components on equal rows, and on a single one, whatever order they have in the end."""
    alone = np.concatenate([CLOUD, [[50.0, 50.0]]])
    for rows, order, place in ((TIED, None, 1), (TIED, "weights", 0), (alone, None, 1)):
        start = START | {"means_init": [[0.0, 0.0], rows[-1]], "order_by": order}
        with pytest.warns(fastem.CollapsedComponentWarning, match=rf"components \[{place}\] collapsed onto few rows"):
            fitted("floor", kind, rows, **start)


@pytest.mark.filterwarnings("error::fastem.CollapsedComponentWarning")
def test_no_warning_of_components_that_have_an_extent_of_their_own_or_no_rows():
    flat = np.concatenate([CLOUD, CLOUD + 7.0]) * [1.0, 0.0] + [0.0, 3.0]
    fitted("floor", "full", flat)  # a feature of one value tells nothing apart
    fitted("floor", "full", np.concatenate([CLOUD, 7.0 + CLOUD[:50] * 1e-2]))
    assert len(fitted("drop").weights_) == 1
    far = fitted("floor", X=CLOUD, means_init=[[0.0, 0.0], [1e4, 1e4]])
    assert far.empty_components_.tolist() == [1]
    fastem.BayesianGaussianMixture(3, random_state=0).fit(TIED)
    assert fastem.select(TIED, [2]).best.collapses_


def in_units(kind, units):
    return {"means_init": np.array(START["means_init"]) * units, "precisions_init": KINDS[kind] / units**2}


@pytest.mark.parametrize("kind", KINDS)
def test_thin_is_not_collapsed_and_nor_are_rows_that_all_lie_in_a_plane(kind):
    thin = np.concatenate([CLOUD, 7.0 + CLOUD[:50] * 1e-2])
    assert fitted("raise", kind, thin).collapses_ == []
    flat = np.concatenate([CLOUD, CLOUD + 7.0]) * [1.0, 0.0] + [0.0, 3.0]
    assert fitted("raise", kind, flat).collapses_ == []
    line = CLOUD[:, :1] * [1.0, 2.0]
    assert fitted("raise", "full", np.concatenate([line, line * 2.0 + 3.0 * np.array([1.0, 2.0])])).collapses_ == []


def test_a_fit_on_a_line_that_is_not_an_axis_collapses_onto_it():
    """Two components, one on rows that lie on a line: of no extent across it, in no feature alone."""
    X = np.concatenate([CLOUD, 7.0 + CLOUD[:50, :1] * [1.0, 1.0]])
    (seen,) = fitted("floor", reg_covar=0.0, X=X).collapses_
    assert seen.component == 1
    assert seen.smallest_eigenvalue < 1e-12


def test_raise_names_the_component_and_leaves_the_estimator_as_it_was():
    mixture = fastem.GaussianMixture(2, on_collapse="raise", precisions_init=KINDS["full"], **START)
    with pytest.raises(
        fastem.CollapsedComponentError, match="component 1 collapsed at iteration 1: the total weight of its rows is 20"
    ):
        mixture.fit(TIED)
    assert not hasattr(mixture, "weights_")
    assert issubclass(fastem.CollapsedComponentError, ValueError)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("acceleration", [None, "anderson", "squarem", "quasi-newton"])
def test_drop_goes_on_without_it(kind, acceleration):
    mixture = fitted("drop", kind, acceleration=acceleration)
    alone = fastem.GaussianMixture(1, covariance_type=kind).fit(TIED)
    assert [(each.component, each.action) for each in mixture.collapses_] == [(1, "drop")]
    assert mixture.weights_.tolist() == [1.0]
    np.testing.assert_allclose(mixture.means_, alone.means_, rtol=1e-9)
    assert mixture.loglik_ == pytest.approx(alone.loglik_, rel=1e-9)
    assert mixture.history_.step[1] == "dropped"
    assert mixture.predict(TIED).max() == 0


def test_reseed_gives_it_another_chance_and_ends():
    """Two clouds and a start on two equal rows of one: reseeded, it finds its cloud; with the floor it stays there."""
    X = np.concatenate([CLOUD, CLOUD + np.array([8.0, 0.0]), [[8.0, 0.5], [8.0, 0.5]]])
    start = {"means_init": [[4.0, 0.0], [8.0, 0.5]], "precisions_init": KINDS["full"] * [[[1e-2]], [[1e8]]]}
    stuck, found = (fitted(policy, X=X, **start) for policy in ("floor", "reseed"))
    assert [(each.component, each.iteration, each.action) for each in found.collapses_] == [(1, 1, "reseed")]
    assert found.history_.step.count("reseeded") == 1
    assert stuck.weights_[1] == pytest.approx(2 / 602, rel=1e-3)
    assert np.sort(found.weights_)[0] > 0.4
    hopeless = fitted("reseed")
    actions = [each.action for each in hopeless.collapses_]
    assert actions.count("reseed") <= 4


def test_log_likelihood_falls_at_a_reseed_alone():
    history = fitted("reseed", reg_covar=0.0).history_
    falls = np.diff(history.loglik) < -1e-9 * np.abs(history.loglik[1:])
    assert set(np.array(history.step)[1:][falls]) <= {"reseeded"}


def test_a_count_model_drops_and_reseeds_components_without_rows():
    X = np.repeat([0, 10], 50)
    empty = {"probs_init": [0.0, 1.0, 0.0], "weights_init": [0.5, 0.5, 0.0], "random_state": 0}
    floor, drop, reseed = (
        fastem.BinomialMixture(3, on_collapse=policy, **empty).fit(X, trials=10)
        for policy in ("floor", "drop", "reseed")
    )
    assert [each.component for each in floor.collapses_] == [2]
    assert floor.collapses_[0].count < 1e-250
    assert math.isnan(floor.collapses_[0].smallest_eigenvalue)
    assert len(drop.weights_) == 2
    assert reseed.collapses_[0].action == "reseed"
    assert reseed.weights_[2] > 0


def test_components_are_numbered_as_the_fit_has_them():
    ordered = fitted("floor", order_by="weights")
    assert [each.component for each in ordered.collapses_] == [0]
    assert ordered.diagnose().spurious == [0]


@pytest.mark.parametrize("policy", ["reseed", "drop"])
def test_what_is_held_cannot_be_reseeded_or_dropped(policy):
    with pytest.raises(ValueError, match=f"on_collapse must be 'floor' or 'raise' where .* fixed, got '{policy}'"):
        fitted(policy, fixed=("means",))


@pytest.mark.parametrize("kind", [*KINDS, "tied"])
def test_two_halves_have_the_mean_and_covariance_of_the_whole(kind):
    """Where each component has its own covariance; a shared one stays what it is."""
    covariances = {"full": np.array([[[2.0, 1.0], [1.0, 3.0]]] * 2), "diag": np.array([[2.0, 3.0]] * 2)}
    covariances |= {"spherical": np.array([2.0, 3.0]), "tied": covariances["full"][0]}
    params = fastem.GaussianParams(np.array([1.0, 0.0]), np.array([[1.0, 2.0], [9.0, 9.0]]), covariances[kind], kind)
    halves = params.split(0, 1)
    assert halves.weights.tolist() == [0.5, 0.5]
    assert (halves.means[0] != halves.means[1]).any()
    np.testing.assert_allclose(halves.weights @ halves.means, params.means[0], rtol=1e-12)
    if kind == "tied":
        np.testing.assert_array_equal(halves.covariances, params.covariances)
    else:
        np.testing.assert_allclose(halves.pooled().covariances, params.pooled().covariances, rtol=1e-12)


def test_two_halves_of_a_coin_have_its_rate():
    halves = fastem.BinomialParams(np.array([0.8, 0.2, 0.0]), np.array([[0.3], [0.9], [0.1]])).split(0, 2)
    np.testing.assert_allclose(halves.weights, [0.4, 0.2, 0.4])
    assert halves.weights[[0, 2]] @ halves.probs[[0, 2], 0] == pytest.approx(0.8 * 0.3)


def test_extents_are_the_smallest_eigenvalues_in_units_of_the_floor():
    rng = np.random.default_rng(1)
    A = rng.normal(size=(3, 4, 4))
    matrices = A @ A.swapaxes(-1, -2) + 1e-5 * np.eye(4)
    matrices[1] = 1e-5 * np.eye(4) + np.ones((4, 4))
    params = fastem.GaussianParams(np.full(3, 1 / 3), rng.normal(size=(3, 4)), matrices)
    found = params.floor_ratios(1e-5)
    expected = np.linalg.eigvalsh(matrices)[:, 0] / 1e-5
    assert found[1] == pytest.approx(1.0, abs=1e-6)
    assert (found <= expected * (1 + 1e-6)).all()
    assert (found[[0, 2]] > 1.01).all()


@pytest.mark.parametrize("acceleration", [None, "anderson", "squarem", "quasi-newton"])
@pytest.mark.seconds
def test_collapses_and_diagnosis_tell_the_same_story(acceleration):
    """A variance at the resolution of the data is known to a factor itself: components on a line, in any direction."""
    for seed in range(12):
        rng = np.random.default_rng(seed)
        X = rng.normal(size=(60, 2))
        X[:20] = rng.normal(size=(20, 1)) * rng.normal(size=2) + 5.0
        start = {"weights_init": [0.5, 0.5], "means_init": X[[0, 59]], "precisions_init": KINDS["full"]}
        mixture = fastem.GaussianMixture(2, reg_covar=0.0, max_iter=80, tol=1e-9, acceleration=acceleration, **start)
        found = mixture.fit(X).diagnose()
        thin = np.flatnonzero(found.thinnest < 1e-12)
        assert [each.component for each in mixture.collapses_] == thin.tolist() != []
        assert all(found.complaints[c] == ("has no extent of its own in some direction",) for c in thin)


@pytest.mark.parametrize("kind", [*KINDS, "tied"])
@pytest.mark.parametrize("reg_covar", [0.0, 0.5])
def test_an_extrapolation_goes_no_lower_than_the_m_step(kind, reg_covar):
    """Covariances far below the floor come back at it, what is held and what is above it stays."""
    full = np.array([np.eye(2) * 1e-40, [[2.0, 1.0], [1.0, 3.0]]])
    covariances = {"full": full, "tied": full[0], "diag": full.diagonal(axis1=1, axis2=2), "spherical": full[:, 0, 0]}
    params = fastem.GaussianParams(np.array([0.5, 0.5]), np.array([[0.0, 0.0], [9.0, 9.0]]), covariances[kind], kind)
    reached = fastem.GaussianParams(params.weights, params.means, np.stack([np.eye(2)] * 2))
    found = params.above_floor(reached, reg_covar=reg_covar)
    matrices = found.covariances if found.is_matrix else found.variances()[:, :, None] * np.eye(2)
    floor = reg_covar + (4 * np.finfo(float).eps) ** 2 * 41.5  # of the mean square of a feature
    assert np.linalg.eigvalsh(matrices).min() == pytest.approx(floor, rel=1e-9)
    if kind != "tied":
        np.testing.assert_allclose(found.covariances[1], params.covariances[1], rtol=1e-14)
    held = params.above_floor(reached, fixed=("covariances",), reg_covar=reg_covar)
    np.testing.assert_array_equal(held.covariances, params.covariances)


@pytest.mark.parametrize("acceleration", ["anderson", "squarem", "quasi-newton"])
@pytest.mark.parametrize("reg_covar", [0.0, 1e-6])
@pytest.mark.seconds
def test_accelerated_fits_do_not_fall_where_a_component_collapses(acceleration, reg_covar):
    """Univariate, on equal rows beside others: the floor of its variance is no place to come down to from below."""
    for seed in range(4):
        rng = np.random.default_rng(seed)
        X = np.concatenate([rng.normal(size=(30, 1)), np.full((10, 1), 3.0), 3.0 + 1e-9 * rng.normal(size=(4, 1))])
        mixture = fastem.GaussianMixture(
            3, covariance_type="diag", reg_covar=reg_covar, acceleration=acceleration, tol=0.0, max_iter=200,
            weights_init=[0.4, 0.3, 0.3], means_init=[[0.0], [3.0], [-1.0]], precisions_init=np.ones((3, 1)),
        ).fit(X)  # fmt: skip
        assert mixture.ascent_.largest_fall <= 1e-2


# ------------------------------------------------------------------------------------------------- equal components


@pytest.mark.parametrize("kind", [*KINDS, "tied"])
def test_equal_components_are_warned_about_and_what_they_could_gain_is_unknown(kind):
    X = np.concatenate([CLOUD, CLOUD + 8.0])
    precisions = KINDS.get(kind, np.eye(2))
    start = {"weights_init": [0.4, 0.6], "means_init": [[4.0, 4.0]] * 2, "precisions_init": precisions * 0.05}
    mixture = fastem.GaussianMixture(2, covariance_type=kind, **start)
    with pytest.warns(fastem.EqualComponentWarning, match=r"components \[1\] equal others before them\. EM never"):
        mixture.fit(X)
    assert mixture.remaining_gain_ == np.inf
    assert mixture.summary_.endswith("its distance from the maximum is unknown")
    assert mixture.diagnose().complaints == ((), ("equals a component before it",))


@pytest.mark.seconds
def test_a_fit_of_many_features_on_diagonal_covariances_makes_no_matrix_of_them():
    """One would have 29 GB."""
    X = np.random.default_rng(0).normal(size=(3, 60_000))
    for kind in ("diag", "spherical"):
        settings = {"covariance_type": kind, "init_params": "kmeans", "random_state": 0, "max_iter": 1, "tol": 1e9}
        mixture = fastem.GaussianMixture(2, **settings).fit(X)
        assert np.isfinite(mixture.score(X))
        assert mixture.diagnose().weights.sum() == pytest.approx(1.0)


def test_equality_is_in_units_of_a_standard_deviation():
    """Of a large offset, two clouds apart are two; around 0 means that differ by rounding are one."""
    apart = fastem.GaussianMixture(2, random_state=0).fit(np.concatenate([CLOUD, CLOUD + 20.0]) + 1e8)
    assert apart.diagnose().spurious == []
    params = fastem.GaussianParams(np.array([0.5, 0.5]), np.array([[0.0], [1e-17]]), np.ones((2, 1, 1)))
    assert inseparable(params, np.array([True, True])).tolist() == [1]
    assert inseparable(params, np.array([True, False])).tolist() == []  # an empty one has a warning of its own
    coins = fastem.BinomialParams(np.array([0.5, 0.5]), np.array([[1e-9], [2e-9]]))
    assert inseparable(coins, np.array([True, True])).tolist() == []


# ---------------------------------------------------------------------------------------------------------- diagnosis


def test_diagnosis_of_a_sound_fit_has_no_complaints():
    mixture = fastem.GaussianMixture(2, random_state=0).fit(np.concatenate([CLOUD, CLOUD * 2 + 9.0]))
    found = mixture.diagnose()
    assert found.spurious == []
    np.testing.assert_allclose(np.sort(found.counts), [300, 300], atol=1e-3)
    assert (found.thinnest <= found.widest).all()
    assert len(str(found).splitlines()) == 3


def test_diagnosis_tells_few_rows_and_thin_ones():
    few = np.concatenate([CLOUD, [[50.0, 50.0], [50.0, 51.0], [51.0, 50.0]]])
    assert fitted("floor", X=few, means_init=[[0, 0], [50, 50]]).diagnose().complaints[1] == (
        "has no more rows than its 5 parameters",
    )
    thin = np.concatenate([CLOUD, 50.0 + CLOUD[:100] * [1.0, 1e-3]])
    found = fitted("floor", X=thin, means_init=[[0, 0], [50, 50]]).diagnose()
    assert found.complaints == ((), ("is thinner than 0.0001 of the pooled variance",))
    assert fitted("floor").diagnose().complaints[1] == ("has no extent of its own in some direction",)


def test_diagnosis_of_counts_tells_equal_and_empty_components():
    X = RNG.binomial(10, 0.5, size=200)
    equal = fastem.BinomialMixture(2, probs_init=[0.4, 0.4]).fit(X, trials=10).diagnose()
    assert equal.complaints == ((), ("equals a component before it",))
    assert np.isnan(equal.thinnest).all()
    empty = fastem.BinomialMixture(2, weights_init=[1.0, 0.0], probs_init=[0.4, 0.6]).fit(X, trials=10).diagnose()
    assert empty.complaints[1] == ("has lost its rows",)
    with pytest.raises(fastem.NotFittedError):
        fastem.BinomialMixture(2).diagnose()


def test_a_component_dropped_at_the_last_iteration_and_an_order():
    X = np.concatenate([CLOUD, np.full((5, 2), 50.0)])
    settings = {"random_state": 0, "on_collapse": "drop", "order_by": "means", "max_iter": 1}
    mixture = fastem.GaussianMixture(2, **settings).fit(X)
    assert [each.action for each in mixture.collapses_] == ["drop"]
    assert mixture.diagnose().spurious == []


@pytest.mark.parametrize("order_by", [None, "means", "weights"])
@pytest.mark.seconds
def test_diagnosis_names_the_component_that_is_collapsed_at_the_end(order_by):
    for seed in range(10):
        rng = np.random.default_rng(seed)
        X = np.concatenate([rng.normal(size=(60, 1)), np.full((40, 1), 3.0)])
        settings = {"on_collapse": "reseed", "init_params": "random", "tol": 1e-9, "max_iter": 400}
        mixture = fastem.GaussianMixture(2, random_state=seed, order_by=order_by, **settings).fit(X)
        accused = ["has no extent of its own in some direction" in each for each in mixture.diagnose().complaints]
        assert accused == (mixture.covariances_.ravel() <= 1.01e-6).tolist()


@pytest.mark.parametrize("size", [1e-300, 1e-200, 1e150, 1e300, np.inf])
def test_diagnosis_never_fails_and_says_what_it_cannot_know(size):
    covariances = np.array([np.eye(2), np.diag([size, 1.0])])
    params = fastem.GaussianParams(np.array([0.5, 0.5]), np.array([[0.0, 0.0], [9.0, 9.0]]), covariances)
    found = diagnosis(params, np.array([50.0, 50.0]), set())
    assert len(str(found).splitlines()) == 3 + sum(map(len, found.complaints))
    unknown = ["has an extent that is beyond what numbers can tell" in each for each in found.complaints]
    assert unknown == np.isnan(found.thinnest).tolist()
    assert unknown[1] == (size == np.inf)
