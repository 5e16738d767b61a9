"""What fuzzing found (test_fuzz.py), each as a plain case."""

import fractions

import numpy as np
import pandas as pd
import pytest

import fastem
from fastem import BinomialMixture, BinomialParams, BinomialPrior, GaussianMixture, GaussianParams, GaussianPrior
from fastem.families.gaussian.matrices import nearest_definite
from fastem.fitting.acceleration import Extrapolation

X = np.random.default_rng(0).normal(size=(20, 2))
EYES = np.tile(np.eye(2), (2, 1, 1))
LONG = 10**400
PARAMS = GaussianParams(np.full(2, 0.5), np.array([[0.0, 0.0], [1.0, 1.0]]), EYES)


class NoArray:
    """What another library may have in the place of an array."""

    def __array__(self, dtype=None, copy=None):
        raise TypeError("no array")


def refused(error, message, call):
    with pytest.raises(error, match=message):
        call()


# -------------------------------------------------------------------------------------------------------------- arrays


def test_what_is_masked_is_missing():
    masked = np.ma.masked_array(X, np.arange(40).reshape(20, 2) == 7)
    refused(ValueError, "X must be finite.* got nan at row 3, column 1", lambda: GaussianMixture(2).fit(masked))
    np.testing.assert_array_equal(GaussianMixture().fit(np.ma.masked_array(X)).means_, GaussianMixture().fit(X).means_)
    start = np.ma.masked_array([[0.3], [0.9]], [[False], [True]])
    found = BinomialMixture(2, probs_init=start, max_iter=0).fit([1, 5, 9], trials=10)
    assert found.probs_[0] == 0.3


@pytest.mark.parametrize("missing", [None, pd.NA, np.nan])
def test_a_missing_mean_is_found_whatever_it_is_called(missing):
    start = np.array([[0.0, 0.0], [missing, missing]], object)
    assert np.isfinite(GaussianMixture(2, means_init=start, random_state=0).fit(X).means_).all()


def test_numbers_that_no_float64_can_hold():
    refused(ValueError, "X is not an array: no array", lambda: GaussianMixture().fit(NoArray()))
    for value in ([[LONG, 1.0]], np.array([[LONG, 1.0]], object), [[fractions.Fraction(LONG), 1.0]]):
        refused(ValueError, "X .*too large", lambda value=value: GaussianMixture().fit(value))
    if np.finfo(np.longdouble).max > np.finfo(float).max:
        longer = np.array([[np.longdouble("1e4000")]])
        refused(ValueError, "X must be finite.* got inf at row 0", lambda: GaussianMixture().fit(longer))


def test_unsigned_counts_are_not_taken_for_negative_ones():
    rows = np.array([1, 2**64 - 1], np.uint64)
    refused(ValueError, r"X must not be above 2\^53, got .* at row 1", lambda: fastem.distinct_counts(rows, 9))


def test_another_kind_of_argument():
    refused(TypeError, "params must be parameters of a mixture", lambda: fastem.accumulate("params", X))
    refused(TypeError, "trials must be None for real numbers", lambda: fastem.open_rows(X, 3))
    refused(TypeError, "n_features must be an int", lambda: fastem.open_rows(X, n_features=[2, 3]))
    refused(TypeError, "has_trials must be True or False", lambda: fastem.open_rows(X, has_trials=X))
    refused(ValueError, "dtype must be None or float64", lambda: fastem.accumulate(PARAMS, X, dtype=X))
    rows = fastem.open_rows(X)
    refused(ValueError, "wanted must be one of 'log_prob'", lambda: rows.posterior(PARAMS, "density"))
    refused(ValueError, "'centers' should have the shape of", lambda: rows.nearest(np.zeros((2, 3)), np.ones(2)))
    refused(ValueError, "'scale' should have the shape of", lambda: rows.nearest(np.zeros((2, 2)), np.ones(3)))


def test_counts_of_other_columns_do_not_add():
    one, two = fastem.distinct_counts([1, 2], 3), fastem.distinct_counts([[1, 2]], 3)
    refused(ValueError, "'successes' should have the shape", lambda: one + two)
    refused(TypeError, "unsupported operand", lambda: one + 1)


# ------------------------------------------------------------------------------------------------------------- weights


@pytest.mark.parametrize("weight", [1e300, 1e-310])
def test_weights_of_which_sums_overflow_or_shares_underflow(weight):
    for sample_weight in (weight, np.full(20, weight)):
        refused(ValueError, "sample_weight must have a sum", lambda w=sample_weight: GaussianMixture().fit(X, None, w))
    refused(ValueError, "sample_weight must have a sum", lambda: fastem.distinct_counts([1, 2], 3, [weight, 0.0]))


@pytest.mark.parametrize("sample_weight", [1e30, np.full(20, 1e30)], ids=["one", "each"])
def test_weights_too_large_for_such_rows(sample_weight):
    mixture = GaussianMixture(random_state=0)
    refused(ValueError, "sample_weight.* is too large for rows", lambda: mixture.fit(1e139 * X, None, sample_weight))
    assert np.isfinite(mixture.fit(1e130 * X, None, sample_weight).covariances_).all()


@pytest.mark.filterwarnings("ignore:sample_weight has the sum")
def test_a_prior_does_not_drown_tiny_weights():
    X = np.arange(5)
    mixture = BinomialMixture(2, prior=BinomialPrior(concentration=2.0), random_state=0)
    mixture.fit(X, trials=5, sample_weight=np.full(5, 1e-30))
    assert mixture.empty_components_.size == 0
    assert mixture.lower_bound_ == pytest.approx(mixture.history_.loglik[-1] / 5e-30)


# ---------------------------------------------------------------------------------------------------------- parameters


def test_parameters_of_any_type_and_layout():
    records = np.zeros(2, [("a", "i1"), ("x", "f8", (2, 2))])
    records["x"] = EYES
    expected = fastem.accumulate(PARAMS, X).loglik
    for covariances in (EYES.tolist(), EYES.astype(np.float32), EYES.astype(">f8"), records["x"], EYES[::-1],
                        np.frombuffer(b"\0" + EYES.tobytes(), offset=1).reshape(2, 2, 2)):  # fmt: skip
        params = GaussianParams([0.5, 0.5], PARAMS.means.astype(">f8"), covariances)
        assert params.covariances.flags.aligned
        assert fastem.accumulate(params, X).loglik == expected
    assert BinomialParams([1.0], [[0.5]]).probs.dtype == float


def test_covariances_are_judged_whatever_their_units():
    units = np.diag([1e-100, 1e100])
    far = GaussianParams(np.ones(1), np.zeros((1, 2)), (units @ [[1.0, 0.9], [0.9, 1.0]] @ units)[np.newaxis])
    assert np.isfinite(fastem.accumulate(far, X * [1e-100, 1e100]).loglik)
    lopsided = GaussianParams(np.ones(1), np.zeros((1, 2)), 1e-12 * np.array([[[1.0, 0.5], [0.1, 1.0]]]))
    refused(ValueError, "'covariances' should be symmetric", lambda: fastem.accumulate(lopsided, X))


def test_means_out_of_reach_of_squares():
    far = GaussianParams(np.ones(1), np.array([[1e200, 0.0]]), EYES[:1])
    refused(ValueError, r"means must be below 1e\+140.* at row 0", lambda: fastem.accumulate(far, X))
    refused(ValueError, r"means must be below 1e\+140", lambda: GaussianMixture(means_init=far.means).fit(X))
    refused(ValueError, r"mean must be below 1e\+140", lambda: GaussianPrior(mean=[1e200], mean_precision=1.0))


def test_a_probability_does_not_round_away_what_was_seen():
    """One failure of weight 1e-14 among 1e26 successes: at 1.0 it would have no density, and EM would fall."""
    params = BinomialParams(np.ones(1), np.array([[0.75]]))
    first = fastem.accumulate(params, [1, 0], trials=1, sample_weight=[1e26, 1e-14])
    assert first.maximize().probs == 1 - 2.0**-53
    second = fastem.accumulate(first.maximize(), [1, 0], trials=1, sample_weight=[1e26, 1e-14])
    assert second.loglik > first.loglik
    assert fastem.accumulate(params, [1, 1], trials=1).maximize().probs == 1.0


# ------------------------------------------------------------------------------------------------------------ settings


@pytest.mark.parametrize(
    ("settings", "error", "message"),
    [
        ({"tol": LONG}, ValueError, "tol must be finite"),
        ({"warm_start": np.array([1, 2])}, TypeError, "warm_start must be True or False"),
        ({"reg_covar": np.array([1, 2])}, TypeError, "reg_covar must be a number"),
        ({"fixed": {"means": [[True], [True, False]]}}, ValueError, r"fixed\['means'\] must be a mask"),
    ],
)
def test_settings_that_are_arrays_or_too_long(settings, error, message):
    refused(error, message, lambda: GaussianMixture(2, **settings).fit(X))


def test_settings_of_the_building_blocks():
    stats = fastem.accumulate(PARAMS, X)
    refused(ValueError, "reg_covar must be finite and not negative", lambda: stats.maximize(reg_covar=-1.0))
    refused(ValueError, "'reg_covar' should have the shape", lambda: stats.maximize(reg_covar=np.ones(3)))
    refused(ValueError, "reg_covar must not be negative", lambda: stats.maximize(reg_covar=np.array([1.0, -1.0])))
    refused(TypeError, "fixed must be a tuple", lambda: stats.maximize(fixed="means"))
    for name, value, error in [("tol", None, TypeError), ("max_iter", 1.5, TypeError), ("stopping", [], TypeError),
                               ("acceleration", [], TypeError)]:  # fmt: skip
        refused(error, f"{name} must be", lambda settings={name: value}: fastem.em(None, None, PARAMS, **settings))
    refused(ValueError, "n_samples must be at most", lambda: GaussianMixture().fit(X).sample(LONG))
    refused(ValueError, "trials must be at most", lambda: BinomialMixture().fit([1], trials=2).sample(trials=LONG))


# ------------------------------------------------------------------------------------------------------------ extremes


@pytest.mark.filterwarnings("ignore::fastem.EmptyComponentWarning", "ignore::fastem.EqualComponentWarning")
@pytest.mark.parametrize("kind", ["full", "tied", "diag", "spherical"])
@pytest.mark.parametrize("scale", [1e-84, 1e139])
@pytest.mark.filterwarnings("ignore::fastem.CollapsedComponentWarning")
def test_fits_at_the_ends_of_the_range(kind, scale):
    for settings in ({"reg_covar": "auto"}, {"init_params": "random_from_data"}, {"acceleration": "anderson"}):
        mixture = GaussianMixture(3, covariance_type=kind, random_state=0, max_iter=5, tol=1e9, **settings)
        mixture.fit(np.vstack([scale * X, scale * X[:1] * np.ones((20, 1))]))
        assert np.isfinite(mixture.loglik_)
        mixture.params_.check()


@pytest.mark.parametrize("scale", [1e-320, 1e-160, 1e-101])
@pytest.mark.parametrize("kind", ["full", "tied", "diag", "spherical"])
def test_features_whose_variance_cannot_be_told_from_0_are_refused(kind, scale):
    """They would be one blob."""
    beside = np.column_stack([X, scale * X[:, 0]])
    for rows, settings in ((scale * X, {}), (scale * X, {"means_init": scale * X[:2]}), (beside, {})):
        if rows is beside and kind == "spherical":
            continue  # its variance is that of the other columns
        mixture = GaussianMixture(2, covariance_type=kind, reg_covar="auto", random_state=0, **settings)
        with pytest.raises(
            ValueError, match=r"X has values of magnitude .* in column [02]; .* below 1e-85 .* rescale the column"
        ):
            mixture.fit(rows)


def test_a_column_of_zeros_is_a_constant_as_any_other():
    mixture = GaussianMixture(2, reg_covar="auto", random_state=0, max_iter=500)
    rows = mixture.fit(np.column_stack([X, np.full(len(X), 5.0)])).predict(np.column_stack([X, np.full(len(X), 5.0)]))
    zeros = np.column_stack([X, np.zeros(len(X))])
    np.testing.assert_array_equal(mixture.fit(zeros).predict(zeros), rows)


def test_what_cancellation_leaves_of_a_covariance_is_made_definite():
    found = nearest_definite(np.array([[-1.0, 1e200], [1e200, -1.0]]), 1e-200)
    assert (np.linalg.eigvalsh(1e200 * found) > 0).all()


@pytest.mark.filterwarnings("ignore::fastem.ConvergenceWarning", "ignore::fastem.CollapsedComponentWarning")
@pytest.mark.parametrize("reg_covar", [0.0, 1e-6, "auto"])
@pytest.mark.seconds
def test_components_of_fewer_rows_than_features(reg_covar):
    """Their covariances are singular: most eigenvalues are rounding."""
    X = np.random.default_rng(0).normal(size=(300, 128))
    mixture = GaussianMixture(5, reg_covar=reg_covar, init_params="kmeans", max_iter=3, random_state=0).fit(X)
    assert np.isfinite(mixture.score_samples(X)).all()
    assert np.linalg.eigvalsh(mixture.covariances_).min() > 0


def test_a_way_that_is_no_number_is_not_gone():
    """Steps of which the squares are 0: Anderson's method divides by them."""
    at = GaussianParams(np.ones(1), np.zeros((1, 1)), np.ones((1, 1, 1)))
    extrapolation, stats = Extrapolation("anderson", at, ()), fastem.accumulate(at, [[0.0]])
    for step in (1e-170, 2e-170):
        reached = GaussianParams(np.ones(1), np.full((1, 1), step), np.ones((1, 1, 1)))
        assert extrapolation.after(at, stats.loglik, reached, np.ones(3)) == (reached, "plain")


def test_a_spherical_start_with_units_that_do_not_belong_together():
    rows = X * [1e63, 1e-100]
    mixture = GaussianMixture(covariance_type="spherical", reg_covar=0.0).fit(rows)
    assert mixture.covariances_[0] == pytest.approx(rows.var(axis=0).mean())


def test_attributes_of_float32_rows_that_float32_cannot_hold():
    mixture = GaussianMixture(covariance_type="diag", reg_covar=0.0).fit((1e-30 * X).astype(np.float32))
    assert mixture.precisions_.dtype == np.float64
    assert np.isfinite(mixture.precisions_).all()
    assert GaussianMixture().fit(X.astype(np.float32)).precisions_.dtype == np.float32


def test_scores_of_rows_far_out_are_finite():
    mixture = GaussianMixture().fit(X.astype(np.float32))
    assert np.isfinite(mixture.score(np.full((9, 2), 1e38, np.float32)))
    far = np.full((9, 2), 1e300)
    assert np.isfinite(mixture.score(far, sample_weight=np.full(9, 1e30)))
    narrow = GaussianParams(np.ones(1), np.zeros((1, 2)), np.full((1, 2), 1e-60), "diag")
    for n, weight in ((9, 1e20), (9_000, 1e20), (9_000, 6e4)):  # a row, a slot, two slots overflow
        rows, weights = np.full((n, 2), 1e130), np.full(n, weight)
        stats = fastem.accumulate(narrow, rows, sample_weight=weights)
        assert (stats.loglik, stats.rounding) == (-1e307, np.inf)


def test_standard_errors_that_overflow():
    mixture = GaussianMixture(reg_covar=0.0).fit(1e139 * X)
    refused(ValueError, "the values of X are too large", lambda: mixture.standard_errors(1e139 * X))


@pytest.mark.filterwarnings("ignore::fastem.EmptyComponentWarning")
def test_samples_are_drawn_where_weights_do_not_quite_sum_to_1():
    mixture = GaussianMixture(3, weights_init=[0.7, 0.3 + 1e-8, 0.0], fixed=("weights",), random_state=0, max_iter=0)
    mixture.fit(X)
    assert len(mixture.sample(5)[0]) == 5
