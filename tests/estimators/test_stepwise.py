"""Rows that come once: sums about another origin, sums that are mixed, and partial_fit near the fit of all rows."""

import pickle

import numpy as np
import pytest
from support.chunks import counts, rows

import fastem
from fastem.fitting.stepwise import step

KINDS = ("full", "tied", "diag", "spherical")


def params(kind="full", k=1, d=2, seed=0):
    means = np.random.default_rng(seed).normal(size=(k, d))
    return fastem.GaussianParams.from_variances(means, np.array([1.0, 2.0])[:d], kind)


def assert_close(found, expected, rtol=1e-12):  # two orders of summation
    for name in found.sum_names():
        values = getattr(expected, name)
        np.testing.assert_allclose(getattr(found, name), values, rtol=rtol, atol=rtol * np.abs(values).max())


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("d", [1, 2])
def test_sums_about_other_means_are_those_taken_there(kind, d):
    """Of one component, to which all rows belong wherever it is."""
    here, there = (params(kind, d=d, seed=seed) for seed in (0, 1))
    moved, expected = (fastem.accumulate(at, rows(d=d)) for at in (here, there))
    moved = moved.about(there)
    assert moved.params is there
    np.testing.assert_allclose(moved.first, expected.first, rtol=1e-11)
    np.testing.assert_allclose(moved.second, expected.second, rtol=1e-11, atol=1e-8)  # of 1e5; off the diagonal 0


@pytest.mark.parametrize("kind", KINDS)
def test_the_maximum_does_not_depend_on_the_origin(kind):
    stats = fastem.accumulate(params(kind, k=3), rows())
    found, expected = stats.about(params(kind, k=3, seed=5)).maximize(), stats.maximize()
    np.testing.assert_allclose(found.means, expected.means, rtol=1e-12)
    np.testing.assert_allclose(found.covariances, expected.covariances, rtol=1e-10, atol=1e-12)


def test_a_multiple_of_the_sums_is_a_multiple_of_the_weights():
    X, trials, w = counts(500)
    at = params(k=3)
    assert_close(fastem.accumulate(at, rows()) * 3, fastem.accumulate(at, rows(), sample_weight=3.0))
    at = fastem.BinomialParams(np.full(2, 0.5), np.array([[0.2], [0.7]]))
    found = fastem.accumulate(at, X, trials=trials, sample_weight=w)
    assert_close(found * 0.5, fastem.accumulate(at, X, trials=trials, sample_weight=w / 2))


def test_merged_sums_are_those_of_all_rows():
    X, at = rows(9000), params(k=3)
    parts = [fastem.accumulate(at, X[part::3]) for part in range(3)]
    assert_close(fastem.merge(*parts), fastem.accumulate(at, X))


def test_what_does_not_belong_together_is_not_merged():
    X, at = rows(100), params(k=3)
    stats = fastem.accumulate(at, X)
    with pytest.raises(ValueError, match="merge needs statistics, got none"):
        fastem.merge()
    with pytest.raises(ValueError, match="statistics 1 were not taken at the parameters of statistics 0"):
        fastem.merge(stats, fastem.accumulate(params(k=3, seed=1), X))
    with pytest.raises(ValueError, match="statistics 1 are not finite"):
        fastem.merge(stats, stats * np.nan)
    with pytest.raises(TypeError, match="merge: 1 is ndarray, where GaussianStats are merged"):
        fastem.merge(stats, X)


def test_a_step_keeps_the_weight_of_all_rows_and_prefers_the_new_ones():
    at, then = params(k=3), params(k=3, seed=1)
    seen, batch = fastem.accumulate(at, rows(9000)), fastem.accumulate(then, rows(1000, seed=1))
    mixed = step(seen, batch)
    assert mixed.total == pytest.approx(10_000, rel=1e-12)
    assert mixed.params is then
    rate = 0.1**0.7
    np.testing.assert_allclose(mixed.counts / 1e4, (1 - rate) * seen.counts / 9e3 + rate * batch.counts / 1e3)


@pytest.mark.parametrize("kind", KINDS)
def test_many_batches_come_near_the_fit_of_all_rows(kind):
    """Within a few of the standard errors of the fit: what forgetting leaves is their noise."""
    X = rows(60_000)
    whole = fastem.GaussianMixture(3, covariance_type=kind, random_state=0, order_by="means").fit(X)
    parts = fastem.GaussianMixture(3, covariance_type=kind, random_state=0, order_by="means")
    for begin in range(0, len(X), 1000):
        parts.partial_fit(X[begin : begin + 1000])
    errors = whole.standard_errors(X)
    assert (np.abs(parts.means_ - whole.means_) < 5 * errors.means).all()
    assert (np.abs(parts.weights_ - whole.weights_) < 5 * errors.weights).all()
    assert whole.score(X) - parts.score(X) < 1e-3
    assert parts.stats_.total == pytest.approx(60_000)
    np.testing.assert_array_equal(pickle.loads(pickle.dumps(parts)).stats_.first, parts.stats_.first)


def test_many_batches_of_counts_come_near_the_fit_of_all_rows():
    X, trials, w = counts(60_000, d=2)
    whole = fastem.BinomialMixture(2, order_by="probs").fit(X, trials=trials, sample_weight=w)
    parts = fastem.BinomialMixture(2, order_by="probs")
    for begin in range(0, len(X), 1000):
        part = slice(begin, begin + 1000)
        parts.partial_fit(X[part], trials=trials[part], sample_weight=w[part])
    errors = whole.standard_errors(X, trials=trials, sample_weight=w)
    assert (np.abs(parts.probs_ - whole.probs_) < 5 * errors.probs).all()
    assert (np.abs(parts.weights_ - whole.weights_) < 5 * errors.weights).all()


def test_the_first_batch_is_fitted():
    X = rows()
    found = fastem.GaussianMixture(3, random_state=0, tol=1e-10).partial_fit(X)
    fitted = fastem.GaussianMixture(3, random_state=0, tol=1e-10).fit(X).params_
    np.testing.assert_array_equal(found.means_, fastem.accumulate(fitted, X).maximize().means)
    assert not hasattr(found, "history_")


def test_a_prior_is_added_once():
    """It is so many rows' worth, however many batches come."""
    prior = fastem.GaussianPrior(mean=[9.0, 9.0], mean_precision=1000.0)
    X = rows(8000)
    parts = fastem.GaussianMixture(1, prior=prior)
    for begin in range(0, 8000, 1000):
        parts.partial_fit(X[begin : begin + 1000])
    np.testing.assert_allclose(parts.means_[0], (8000 * parts.stats_.maximize().means[0] + 9000) / 9000, rtol=1e-10)


def test_a_fit_begins_anew_and_leads_the_next_batches():
    X = rows()
    mixture = fastem.GaussianMixture(3, random_state=0).partial_fit(X).fit(X)
    assert not hasattr(mixture, "stats_")
    fitted = mixture.params_
    mixture.partial_fit(X[:500])
    np.testing.assert_array_equal(mixture.means_, fastem.accumulate(fitted, X[:500]).maximize().means)


@pytest.mark.parametrize(
    ("X", "message"),
    [
        (rows(10, d=3), "X has 3 features, but GaussianMixture is expecting 2 features"),
        (np.full((5, 2), np.nan), "X must be finite"),
        (rows(0), "0 sample"),
    ],
)
def test_a_batch_that_is_refused_leaves_all_as_it_was(X, message):
    mixture = fastem.GaussianMixture(3, random_state=0).partial_fit(rows())
    before = dict(vars(mixture))
    with pytest.raises(ValueError, match=message):
        mixture.partial_fit(X)
    assert vars(mixture) == before
    with pytest.raises(ValueError, match="n_components was 3 when this mixture was fitted, and is now 4"):
        mixture.set_params(n_components=4).partial_fit(rows())
    with pytest.raises(ValueError, match="Expected n_samples >= n_components"):
        fastem.GaussianMixture(3).partial_fit(rows(2))
