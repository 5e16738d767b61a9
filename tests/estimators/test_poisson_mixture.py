"""PoissonMixture as its users meet it: attributes, predictions, draws, order; odd input, all of it refused by name."""

import copy
import pickle
import re

import numpy as np
import pandas as pd
import pytest
from scipy import stats
from sklearn.base import clone
from support import datasets

import fastem
from fastem import PoissonMixture, PoissonPrior

X = datasets.three_columns.X
CALLS = datasets.two_rates.X[:, 0].astype(int)
FITTED = PoissonMixture(2, order_by="rates", random_state=0).fit(X)


# ---------------------------------------------------------------------------------------------- attributes, predictions


def test_criteria_are_those_of_the_log_likelihood():
    log_prob = FITTED.score_samples(X)
    assert FITTED.loglik_ == pytest.approx(log_prob.sum(), rel=1e-12)
    assert FITTED.score(X) == pytest.approx(log_prob.mean(), rel=1e-12)
    assert FITTED.n_parameters_ == 7
    assert FITTED.aic_ == pytest.approx(14 - 2 * log_prob.sum(), rel=1e-12)
    assert FITTED.bic(X) == pytest.approx(7 * np.log(len(X)) - 2 * log_prob.sum(), rel=1e-12)
    w = np.random.default_rng(0).gamma(1.0, size=len(X))
    assert FITTED.score(X, sample_weight=w) == pytest.approx(np.average(log_prob, weights=w), rel=1e-12)


def test_densities_are_scipys():
    logs = stats.poisson.logpmf(X[:, np.newaxis], FITTED.rates_).sum(axis=2) + np.log(FITTED.weights_)
    expected = np.logaddexp.reduce(logs, axis=1)
    np.testing.assert_allclose(FITTED.score_samples(X), expected, rtol=1e-12)
    np.testing.assert_allclose(FITTED.predict_proba(X), np.exp(logs - expected[:, np.newaxis]), rtol=1e-9, atol=1e-14)
    np.testing.assert_array_equal(FITTED.predict(X), logs.argmax(axis=1))
    np.testing.assert_array_equal(clone(FITTED).fit_predict(X), FITTED.predict(X))


def test_draws_have_the_moments_of_the_mixture():
    mixture = clone(FITTED).set_params(random_state=0).fit(X)
    rows, labels = mixture.sample(200_000)
    assert (rows.shape, labels.shape) == ((200_000, 3), (200_000,))
    assert (np.diff(labels) >= 0).all()
    for c in range(2):
        mine = rows[labels == c]
        np.testing.assert_allclose(mine.mean(axis=0), mixture.rates_[c], rtol=0.02)
        np.testing.assert_allclose(mine.var(axis=0), mixture.rates_[c], rtol=0.03)
    assert mixture.predict(rows[:5]).shape == (5,)
    again = clone(mixture).fit(X).sample(10)[0]
    np.testing.assert_array_equal(again, clone(mixture).fit(X).sample(10)[0])


def test_draws_of_the_largest_rates_are_counts():
    mixture = PoissonMixture(1).fit([2**53, 2**53 - 8])
    assert mixture.sample(3)[0].min() > 2**52


@pytest.mark.parametrize("order_by", ["weights", "rates"])
def test_components_are_in_the_order_that_is_asked_for(order_by):
    mixture = PoissonMixture(3, order_by=order_by, random_state=0).fit(datasets.three_rates.X)
    values = getattr(mixture, order_by + "_")
    assert (np.diff(values if order_by == "weights" else values[:, 0]) >= 0).all()


def test_parameters_that_are_assigned_are_those_of_the_next_prediction():
    mixture = copy.deepcopy(FITTED)
    mixture.rates_ = mixture.rates_[::-1]
    expected = fastem.posterior(fastem.PoissonParams(mixture.weights_, FITTED.rates_[::-1]), X)
    np.testing.assert_array_equal(mixture.predict_proba(X), expected.resp)
    mixture.rates_ = [[1.0, 2.0, -3.0]] * 2
    with pytest.raises(ValueError, match="rates must be between 0"):
        mixture.predict(X)


def test_copies_and_pickles_tell_the_same():
    for other in (copy.copy(FITTED), copy.deepcopy(FITTED), pickle.loads(pickle.dumps(FITTED))):
        np.testing.assert_array_equal(other.predict_proba(X), FITTED.predict_proba(X))
    assert repr(PoissonMixture(3, tol=1e-9)) == "PoissonMixture(n_components=3, tol=1e-09)"


def test_a_warm_start_goes_on_and_equal_seeds_are_equal():
    mixture = PoissonMixture(2, warm_start=True).fit(CALLS)
    assert mixture.fit(CALLS).n_iter_ <= 3
    one, two = (PoissonMixture(3, n_init=4, init_params="random", random_state=5).fit(X) for _ in range(2))
    np.testing.assert_array_equal(one.rates_, two.rates_)
    assert len(one.starts_) == 4


def test_weights_count_as_rows_and_their_scale_does_not_matter():
    w = np.random.default_rng(0).integers(0, 4, size=len(CALLS))
    options = {"tol": 1e-12, "order_by": "rates"}
    weighted = PoissonMixture(2, **options).fit(CALLS, sample_weight=w)
    repeated = PoissonMixture(2, **options).fit(np.repeat(CALLS, w))
    np.testing.assert_allclose(weighted.rates_, repeated.rates_, rtol=1e-7)
    assert weighted.loglik_ == pytest.approx(repeated.loglik_, rel=1e-12)


def test_a_subclass_that_overrides_what_is_public_is_fitted_as_it_says():
    class Halved(PoissonMixture):
        def fit(self, X, y=None, **rest):
            return super().fit(np.asarray(X) // 2, y, **rest)

    seed = {"random_state": 0}
    np.testing.assert_array_equal(Halved(2, **seed).fit(CALLS).rates_, PoissonMixture(2, **seed).fit(CALLS // 2).rates_)

    class Hooked(PoissonMixture):
        def _m_step(self, *args):
            raise AssertionError("is not called")

    with pytest.raises(TypeError, match=r"Hooked overrides _m_step, which .* no effect"):
        Hooked(2).fit(CALLS)


# ------------------------------------------------------------------------------------------------------- odd but right


@pytest.mark.parametrize("method", ["auto", "quantiles", "kmeans", "random"])
@pytest.mark.filterwarnings("ignore::fastem.EqualComponentWarning", "ignore::fastem.EmptyComponentWarning")
@pytest.mark.parametrize(
    "rows", [np.zeros(9), np.full(9, 7), np.full((9, 2), [0, 5]), [3, 4], [0, 2**53], [2**53] * 3], ids=range(6)
)
def test_equal_rows_zeros_and_the_largest_counts_are_fitted(rows, method):
    mixture = PoissonMixture(2, random_state=0, init_params=method).fit(rows)
    assert np.isfinite([mixture.loglik_, mixture.entropy_, mixture.bic_, mixture.lower_bound_]).all()
    assert np.isfinite(mixture.rates_).all()
    assert np.isfinite(mixture.predict_proba(rows)).all()
    assert mixture.weights_ @ mixture.rates_ == pytest.approx(np.reshape(rows, (len(rows), -1)).mean(axis=0), rel=1e-6)
    assert str(mixture.diagnose())
    mixture.params_.check()


@pytest.mark.filterwarnings("ignore::fastem.EmptyComponentWarning")
@pytest.mark.parametrize("acceleration", [None, "anderson", "squarem", "quasi-newton"])
def test_a_rate_that_begins_at_0_takes_no_row_that_has_an_event(acceleration):
    rows = np.array([0] * 30 + [5] * 10 + [9] * 10)
    mixture = PoissonMixture(2, rates_init=[0.0, 3.0], acceleration=acceleration).fit(rows)
    assert mixture.rates_[0, 0] < 1e-200
    assert mixture.weights_[0] == pytest.approx(0.6, abs=0.01)
    assert mixture.rates_[1, 0] == pytest.approx(7.0, abs=0.1)
    impossible = PoissonMixture(1, rates_init=[0.0]).fit(rows)
    assert impossible.rates_[0, 0] == pytest.approx(rows.mean(), rel=1e-12)


@pytest.mark.filterwarnings("ignore::fastem.EqualComponentWarning", "ignore::fastem.EmptyComponentWarning")
def test_a_prior_with_a_shape_only_is_counted_events():
    mixture = PoissonMixture(2, prior=PoissonPrior(shape=2.0), random_state=0).fit(np.zeros(20, int))
    assert (mixture.rates_ > 0).all()
    assert np.isfinite(mixture.log_posterior_)


def test_fixed_rates_stay_and_weights_are_found():
    mixture = PoissonMixture(2, rates_init=[1.0, 7.0], fixed=("rates",)).fit(CALLS)
    np.testing.assert_array_equal(mixture.rates_.ravel(), [1.0, 7.0])
    assert mixture.n_parameters_ == 1


def test_rows_of_weight_0_are_absent():
    w = np.r_[np.ones(len(CALLS)), np.zeros(50)]
    more = np.r_[CALLS, np.full(50, 10**6)]
    np.testing.assert_allclose(PoissonMixture(2).fit(more, sample_weight=w).rates_, PoissonMixture(2).fit(CALLS).rates_,
                               rtol=1e-9)  # fmt: skip


# ------------------------------------------------------------------------------------------------------- odd and wrong

ROWS = [
    ([1, 2, -1], ValueError, "Negative values .* X .* -1 at row 2"),
    ([1, 2, 0.5], ValueError, "X must .*whole.* 0.5 at row 2"),
    ([1, 2, np.nan], ValueError, "X must be finite.* nan at row 2"),
    ([1, 2, np.inf], ValueError, "X must be finite.* inf at row 2"),
    ([[1, 2], [3, -4]], ValueError, r"row 1, column 1"),
    (["one", "two"], (ValueError, TypeError), "X"),
    ([1, 2, 2.0**53 + 2], ValueError, r"X must not be above 2\^53.* at row 2"),
    (np.array([1, 2**64 - 1], np.uint64), ValueError, r"X must not be above 2\^53.* at row 1"),
    ([1, 2 + 3j], (ValueError, TypeError), "X|omplex"),
    ([], ValueError, "X"),
    (np.empty((0, 2)), ValueError, "X"),
    (np.empty((5, 0)), ValueError, "X"),
    (3, ValueError, "X"),
    (None, (ValueError, TypeError), "X"),
    (np.ones((2, 2, 2)), ValueError, "X"),
    ([[1, 2], [3]], (ValueError, TypeError), "X"),
    ([1], ValueError, "X.*n_components|n_components"),
    (pd.DataFrame({"a": [1, 2], "b": ["x", "y"]}), (ValueError, TypeError), "X"),
    (np.array([1, None], object), (ValueError, TypeError), "X"),
    ({"a": 1}, (ValueError, TypeError), "X"),
]


@pytest.mark.parametrize(("rows", "error", "message"), ROWS, ids=[repr(rows)[:40] for rows, _, _ in ROWS])
def test_rows_that_are_no_counts_are_refused(rows, error, message):
    mixture = PoissonMixture(2)
    for call in (mixture.fit, mixture.partial_fit, mixture.fit_predict):
        with pytest.raises(error, match=message):
            call(rows)
    assert not hasattr(mixture, "rates_")
    if "row" in message:
        with pytest.raises(error, match=message):
            PoissonMixture(1).fit(np.ones((3, np.shape(rows)[1])) if np.ndim(rows) == 2 else CALLS).predict(rows)


SETTINGS = [
    ({"rates_init": [1.0, -2.0]}, ValueError, r"rates must be between 0 and 2\^53.* -2.0 at row 1"),
    ({"rates_init": [1.0, 2.0**54]}, ValueError, r"rates must be between 0 and 2\^53"),
    ({"rates_init": [1.0, np.inf]}, ValueError, "rates"),
    ({"rates_init": [1.0]}, ValueError, "rates"),
    ({"rates_init": [[1.0, 2.0], [1.0, 2.0]]}, ValueError, "rates"),
    ({"rates_init": "low"}, (ValueError, TypeError), "rates must hold real numbers"),
    ({"weights_init": [0.5, 0.6]}, ValueError, "weights"),
    ({"weights_init": [1.0]}, ValueError, "weights"),
    ({"fixed": ("means",)}, ValueError, "fixed"),
    ({"fixed": {"rates": [True]}}, ValueError, "fixed"),
    ({"init_params": "k-means++"}, ValueError, "init_params must be one of 'auto', 'quantiles', 'kmeans', 'random'"),
    ({"prior": fastem.BinomialPrior()}, TypeError, "prior must be None or a PoissonPrior"),
    ({"order_by": "means"}, ValueError, "order_by must be None or one of|order_by must be one of"),
    ({"n_components": 0}, ValueError, "n_components"),
    ({"stopping": "never"}, ValueError, "stopping"),
    ({"tol": -1.0}, ValueError, "tol"),
    ({"acceleration": "newton"}, ValueError, "acceleration"),
]


@pytest.mark.parametrize(("settings", "error", "message"), SETTINGS, ids=[str(settings) for settings, _, _ in SETTINGS])
def test_settings_that_are_none_are_refused(settings, error, message):
    with pytest.raises(error, match=message):
        PoissonMixture(**({"n_components": 2} | settings)).fit(CALLS)


WEIGHTS = [
    (np.zeros(len(CALLS)), "sample_weight"),
    (-np.ones(len(CALLS)), "sample_weight must not be negative"),
    (np.full(len(CALLS), np.nan), "sample_weight must be finite"),
    ([1.0], "sample_weight must have shape"),
    (np.full(len(CALLS), 1e300), "sample_weight must have a sum"),
]


@pytest.mark.parametrize(("weights", "message"), WEIGHTS, ids=range(len(WEIGHTS)))
def test_weights_that_are_none_are_refused(weights, message):
    with pytest.raises(ValueError, match=message):
        PoissonMixture(2).fit(CALLS, sample_weight=weights)


def test_predictions_of_other_columns_and_before_a_fit_are_refused():
    with pytest.raises(ValueError, match="X has 1 features, but PoissonMixture is expecting 3"):
        FITTED.predict(CALLS[:, np.newaxis])
    with pytest.raises(fastem.NotFittedError, match="not fitted yet"):
        PoissonMixture().predict(CALLS)
    with pytest.raises(TypeError, match="trials"):
        PoissonMixture().fit(CALLS, trials=9)
    with pytest.raises(ValueError, match="n_samples"):
        FITTED.sample(0)


def test_the_messages_of_a_fit_name_its_rows_as_counts():
    with pytest.raises(ValueError, match=re.escape("row 1")):
        FITTED.predict_proba([[1, 2, 3], [1, 2, -3]])
