"""Rows whose component is known, and fits that begin at labels."""

import math

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from scipy import stats

import fastem
from fastem.data.dask_partitions import open_partitions
from fastem.data.slots import SLOT_ROWS

KINDS = ("full", "tied", "diag", "spherical")
RNG = np.random.default_rng(0)
TWO = np.r_[RNG.normal(0, 1, 300), RNG.normal(1.5, 1, 300)][:, np.newaxis]
SOME = np.full(600, -1)
SOME[:60], SOME[300:360] = 0, 1
CLOUDS = np.concatenate([RNG.normal(size=(120, 3)) + center for center in ([0, 0, 0], [3, 0, 0], [0, 3, 0])])
THREE = np.repeat(np.arange(3), 120)
TO_THE_MAXIMUM = {"tol": 1e-12, "max_iter": 5000, "stopping": "loglik", "reg_covar": 0.0, "random_state": 0}


def hidden(labels, share, seed=0):
    """Labels of which a share is known."""
    return np.where(np.random.default_rng(seed).random(len(labels)) < share, labels, -1)


def naive_em(densities, m_step, labels, weights, iterations=3000):
    """EM in which known rows keep responsibilities of 1: densities(parameters) -> (n, k) logarithms."""
    k, known = len(weights), labels >= 0
    resp = np.full((len(labels), k), 1 / k)
    resp[known] = np.eye(k)[labels[known]]
    for _ in range(iterations):
        weights, parameters = resp.mean(axis=0), m_step(resp)
        logs = np.log(weights) + densities(parameters)
        total = np.logaddexp.reduce(logs, axis=1)
        resp = np.exp(logs - total[:, np.newaxis])
        resp[known] = np.eye(k)[labels[known]]
    loglik = total[~known].sum() + logs[known, labels[known]].sum()
    return weights, parameters, loglik


def test_the_means_of_the_report():
    """60 rows of each of two components are known, as in the report: an EM in plain NumPy."""

    def m_step(resp):
        means = resp.T @ TWO[:, 0] / resp.sum(axis=0)
        return means, (resp * (TWO - means) ** 2).sum(axis=0) / resp.sum(axis=0)

    weights, (means, variances), loglik = naive_em(
        lambda p: stats.norm(p[0], np.sqrt(p[1])).logpdf(TWO), m_step, SOME, np.full(2, 0.5)
    )
    assert_allclose(means, [-0.049, 1.530], atol=5e-4)
    found = fastem.GaussianMixture(2, **TO_THE_MAXIMUM).fit(TWO, labels=SOME)
    assert_allclose(found.weights_, weights, rtol=1e-5)
    assert_allclose(found.means_.ravel(), means, atol=1e-5)
    assert_allclose(found.covariances_.ravel(), variances, rtol=1e-5)
    assert_allclose(found.loglik_, loglik, rtol=1e-11)
    by_default = fastem.GaussianMixture(2, random_state=0).fit(TWO, labels=SOME)
    assert_allclose(by_default.means_.ravel(), means, atol=2e-3)
    assert by_default.ascent_.holds


def test_known_counts_are_those_of_a_plain_em():
    rng = np.random.default_rng(1)
    events = rng.poisson(np.repeat([2.0, 4.0], 200))
    labels = hidden(np.repeat([0, 1], 200), 0.2)
    weights, rates, loglik = naive_em(
        lambda rates: stats.poisson(rates).logpmf(events[:, np.newaxis]),
        lambda resp: resp.T @ events / resp.sum(axis=0),
        labels,
        np.full(2, 0.5),
    )
    found = fastem.PoissonMixture(2, tol=1e-12, stopping="loglik", random_state=0).fit(events, labels=labels)
    assert_allclose(found.rates_.ravel(), rates, rtol=1e-5)
    assert_allclose(found.loglik_, loglik, rtol=1e-10)
    heads = rng.binomial(10, np.repeat([0.3, 0.5], 200))
    weights, probs, loglik = naive_em(
        lambda probs: stats.binom(10, probs).logpmf(heads[:, np.newaxis]),
        lambda resp: resp.T @ heads / resp.sum(axis=0) / 10,
        labels,
        np.full(2, 0.5),
    )
    coins = fastem.BinomialMixture(2, n_trials=10, tol=1e-12, stopping="loglik", random_state=0)
    coins.fit(heads, labels=labels)
    assert_allclose(coins.probs_.ravel(), probs, rtol=1e-5)
    assert_allclose(coins.weights_, weights, rtol=1e-4)
    assert_allclose(coins.loglik_, loglik, rtol=1e-10)


@pytest.mark.parametrize("kind", KINDS)
def test_the_log_likelihood_of_a_known_row_is_that_of_its_component(kind):
    labels = hidden(THREE, 0.3)
    mixture = fastem.GaussianMixture(3, covariance_type=kind, random_state=0).fit(CLOUDS, labels=labels)
    known = labels >= 0
    logs = mixture.log_prob_components(CLOUDS)
    right = np.logaddexp.reduce(logs[~known], axis=1).sum() + logs[known, labels[known]].sum()
    assert_allclose(mixture.loglik_, right, rtol=1e-12)
    assert_allclose(mixture.counts_.sum(), len(CLOUDS), rtol=1e-12)


@pytest.mark.parametrize("kind", KINDS)
def test_where_all_are_known_the_fit_is_the_m_step(kind):
    found = fastem.GaussianMixture(3, covariance_type=kind, random_state=0).fit(CLOUDS, labels=THREE)
    begun = fastem.GaussianMixture(3, covariance_type=kind, random_state=0, max_iter=0)
    begun.fit(CLOUDS, labels_init=THREE)
    for name in ("weights_", "means_", "covariances_"):
        assert_allclose(getattr(found, name), getattr(begun, name), rtol=1e-9, atol=1e-12)
    assert found.entropy_ == 0.0


def test_where_none_is_known_the_fit_is_the_one_without_labels():
    start = {"means_init": CLOUDS[[0, 150, 300]], "precisions_init": np.ones(3), "covariance_type": "spherical"}
    mixture = fastem.GaussianMixture(3, **TO_THE_MAXIMUM, **start)
    without = mixture.fit(CLOUDS).means_
    assert_allclose(mixture.fit(CLOUDS, labels=np.full(len(CLOUDS), -1)).means_, without, rtol=1e-6)


def test_components_have_the_numbers_of_the_labels():
    labels, order = hidden(THREE, 0.1), np.array([2, 0, 1])
    renamed = np.where(labels < 0, -1, order[labels])
    found = fastem.GaussianMixture(3, **TO_THE_MAXIMUM).fit(CLOUDS, labels=labels)
    other = fastem.GaussianMixture(3, **TO_THE_MAXIMUM).fit(CLOUDS, labels=renamed)
    assert_allclose(other.means_[order], found.means_, atol=1e-5)


def test_a_component_of_which_no_row_is_known_is_found():
    """And those that are known have the numbers of their labels, by a start and by the search."""
    labels = np.where(THREE == 1, hidden(THREE, 0.05), -1)
    labels[labels == 1] = 0  # the last in the order that the search has
    for init_params in ("auto", "kmeans"):
        found = fastem.GaussianMixture(3, init_params=init_params, random_state=0).fit(CLOUDS, labels=labels)
        assert_allclose(found.means_[0], [3, 0, 0], atol=0.5)
        assert sorted(found.means_[1:, 1].round().tolist()) == [0.0, 3.0]


def test_one_known_row_of_each_component_is_enough():
    labels = np.full(len(CLOUDS), -1)
    labels[[5, 125, 245]] = [1, 2, 0]
    found = fastem.GaussianMixture(3, random_state=0).fit(CLOUDS, labels=labels)
    assert_allclose(found.means_, [[0, 3, 0], [0, 0, 0], [3, 0, 0]], atol=0.5)


def test_labels_part_what_no_cluster_shows():
    """Two components of equal means, of which one is wider: known rows tell which is which."""
    rng = np.random.default_rng(2)
    rows = np.concatenate([rng.normal(0, 1, (400, 1)), rng.normal(0, 4, (400, 1))])
    for first in (0, 1):
        labels = hidden(np.where(np.arange(800) < 400, first, 1 - first), 0.25)
        found = fastem.GaussianMixture(2, random_state=0).fit(rows, labels=labels)
        assert_allclose(np.sqrt(found.covariances_[[first, 1 - first], 0, 0]), [1, 4], rtol=0.1)


def test_a_weight_is_so_many_equal_rows():
    labels, weights = hidden(THREE, 0.3), np.random.default_rng(3).integers(0, 3, len(CLOUDS))
    start = {"means_init": CLOUDS[[0, 150, 300]], "precisions_init": np.tile(np.eye(3), (3, 1, 1))}
    mixture = fastem.GaussianMixture(3, **TO_THE_MAXIMUM, **start)
    weighted = mixture.fit(CLOUDS, sample_weight=weights, labels=labels).means_
    repeated = mixture.fit(np.repeat(CLOUDS, weights, axis=0), labels=np.repeat(labels, weights)).means_
    assert_allclose(weighted, repeated, rtol=1e-6)


def test_threads_and_chunks_give_the_same_bits():
    labels = hidden(THREE, 0.3)
    settings = {"n_components": 3, "random_state": 0}
    found = fastem.GaussianMixture(**settings, n_threads=1).fit(CLOUDS, labels=labels)
    threads = fastem.GaussianMixture(**settings, n_threads=3).fit(CLOUDS, labels=labels)
    chunks = fastem.GaussianMixture(**settings).fit(chunks=np.array_split(CLOUDS, 7), labels=labels)
    for other in (threads, chunks):
        assert_array_equal(other.means_, found.means_)
        assert other.loglik_ == found.loglik_
    counts = np.random.default_rng(1).poisson(np.where(THREE == 0, 2.0, 9.0))
    memory = fastem.PoissonMixture(3, random_state=0).fit(counts, labels=labels)
    in_chunks = fastem.PoissonMixture(3, random_state=0).fit(chunks=[counts[:100], counts[100:]], labels=labels)
    assert_allclose(in_chunks.rates_, memory.rates_, rtol=1e-12)


def test_float32_rows_lead_to_the_same_fit():
    labels = hidden(THREE, 0.3)
    found = fastem.GaussianMixture(3, random_state=0).fit(CLOUDS.astype(np.float32), labels=labels)
    right = fastem.GaussianMixture(3, random_state=0).fit(CLOUDS, labels=labels)
    assert_allclose(found.means_, right.means_, atol=1e-4)


@pytest.mark.parametrize("acceleration", [None, "squarem", "anderson", "quasi-newton"])
def test_plain_and_accelerated_fits_end_at_one_maximum_and_never_fall(acceleration):
    found = fastem.GaussianMixture(2, acceleration=acceleration, **TO_THE_MAXIMUM).fit(TWO, labels=SOME)
    right = fastem.GaussianMixture(2, **TO_THE_MAXIMUM).fit(TWO, labels=SOME)
    assert found.ascent_.holds
    assert_allclose(found.loglik_, right.loglik_, rtol=1e-9)


def test_a_fit_goes_on_with_labels():
    mixture = fastem.GaussianMixture(2, random_state=0, warm_start=True, max_iter=1, tol=0.0)
    with pytest.warns(fastem.ConvergenceWarning):
        first = mixture.fit(TWO, labels=SOME).loglik_
    with pytest.warns(fastem.ConvergenceWarning):
        assert mixture.fit(TWO, labels=SOME).loglik_ > first


# ---------------------------------------------------------------------------------------------------------- labels_init


@pytest.mark.parametrize("kind", KINDS)
def test_a_fit_begins_at_the_m_step_on_labels(kind):
    begun = fastem.GaussianMixture(3, covariance_type=kind, max_iter=0, reg_covar=1e-3, random_state=0)
    begun.fit(CLOUDS, labels_init=THREE)
    parts = [CLOUDS[c == THREE] for c in range(3)]
    assert_allclose(begun.weights_, np.full(3, 1 / 3), rtol=1e-14)
    assert_allclose(begun.means_, [part.mean(axis=0) for part in parts], rtol=1e-12, atol=1e-14)
    matrices = np.array([np.cov(part.T, bias=True) for part in parts])
    variances = np.diagonal(matrices, axis1=1, axis2=2) + 1e-3
    right = {
        "full": matrices + 1e-3 * np.eye(3),
        "tied": matrices.mean(axis=0) + 1e-3 * np.eye(3),
        "diag": variances,
        "spherical": variances.mean(axis=1),
    }
    assert_allclose(begun.covariances_, right[kind], rtol=1e-11, atol=1e-13)


def test_responsibilities_of_0_and_1_are_labels_and_others_are_weights():
    mixture = fastem.GaussianMixture(3, max_iter=0, random_state=0)
    hard = mixture.fit(CLOUDS, labels_init=THREE).params_
    assert_allclose(mixture.fit(CLOUDS, labels_init=np.eye(3)[THREE]).params_.covariances, hard.covariances, rtol=1e-12)
    resp = np.random.default_rng(0).dirichlet(np.ones(3), len(CLOUDS))
    found = mixture.fit(CLOUDS, labels_init=resp)
    assert_allclose(found.weights_, resp.mean(axis=0), rtol=1e-13)
    assert_allclose(found.means_, resp.T @ CLOUDS / resp.sum(axis=0)[:, np.newaxis], rtol=1e-10, atol=1e-13)


def test_rows_without_a_label_are_left_out_of_the_start():
    labels = hidden(THREE, 0.5)
    begun = fastem.GaussianMixture(3, max_iter=0, random_state=0).fit(CLOUDS, labels_init=labels)
    assert_allclose(begun.means_[1], CLOUDS[labels == 1].mean(axis=0), rtol=1e-12)


def test_counts_begin_at_labels_too():
    counts = np.array([0, 1, 2, 7, 8, 9])
    begun = fastem.PoissonMixture(2, max_iter=0).fit(counts, labels_init=[1, 1, 1, 0, 0, 0])
    assert_allclose(begun.rates_.ravel(), [8.0, 1.0])
    coins = fastem.BinomialMixture(2, n_trials=10, max_iter=0).fit(counts, labels_init=[1, 1, 1, 0, 0, 0])
    assert_allclose(coins.probs_.ravel(), [0.8, 0.1])
    in_chunks = fastem.PoissonMixture(2, max_iter=0).fit(
        chunks=[counts[:2], counts[2:]], labels_init=[1, 1, 1, 0, 0, 0]
    )
    assert_array_equal(in_chunks.rates_, begun.rates_)


def test_the_fit_goes_on_from_the_start_to_the_maximum():
    found = fastem.GaussianMixture(3, **TO_THE_MAXIMUM).fit(CLOUDS, labels_init=THREE)
    again = fastem.GaussianMixture(3, **TO_THE_MAXIMUM).fit(CLOUDS)
    assert math.isclose(found.loglik_, again.loglik_, rel_tol=1e-9)
    assert_array_equal(found.predict([[0, 0, 0], [3, 0, 0], [0, 3, 0]]), [0, 1, 2])


# ------------------------------------------------------------------------------------------------------------- mistakes


def labels_but_for_row_7(value):
    return np.where(np.arange(len(CLOUDS)) == 7, value, -1)


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        ({"labels": [0, 1]}, r"labels must have shape \(360,\), one number for each row of X, got \(2,\)"),
        ({"labels": labels_but_for_row_7(3)}, "labels must be numbers of components from 0 to 2, .* got 3 at row 7"),
        ({"labels": labels_but_for_row_7(-2)}, "labels must be numbers of components .* got -2 at row 7"),
        ({"labels": labels_but_for_row_7(0.5)}, "labels must hold whole numbers, got 0.5 at row 7"),
        ({"labels": labels_but_for_row_7(np.nan)}, "labels must be finite, .* got nan at row 7"),
        (
            {"labels_init": np.full((360, 3), 0.3)},
            "labels_init must be .* sum to 1 in each row, got the sum 0.9 at row 0",
        ),
        ({"labels_init": np.full((360, 2), 0.5)}, r"labels_init must have shape \(360,\), .* or \(360, 3\)"),
        ({"labels_init": np.tile([2.0, -1, 0], (360, 1))}, r"labels_init must be .* in \[0, 1\], got 2.0 at row 0"),
        ({"labels_init": np.zeros(360, int)}, "labels_init must give rows with weight .*, but 1 has none"),
    ],
)
def test_labels_that_are_none_are_named_with_their_row(arguments, sentence):
    mixture = fastem.GaussianMixture(3, random_state=0)
    with pytest.raises(ValueError, match=sentence):
        mixture.fit(CLOUDS, **arguments)
    assert not hasattr(mixture, "weights_")


@pytest.mark.parametrize("settings", [{"order_by": "means"}, {"on_collapse": "drop"}, {"warm_sweeps": "auto"}])
def test_settings_that_renumber_components_are_refused(settings):
    with pytest.raises(ValueError, match=next(iter(settings))):
        fastem.GaussianMixture(3, **settings).fit(CLOUDS, labels=THREE)


# ---------------------------------------------------------------------------------------------------------------- Dask


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("labels", [hidden(THREE, 0.3), THREE, np.where(THREE == 1, 1, -1)], ids=["some", "all", "one"])
@pytest.mark.parametrize("kind", KINDS)
def test_partitions_lead_to_the_fit_of_rows_in_memory(kind, labels, weighted):
    da = pytest.importorskip("dask.array")
    weights = 3 * np.random.default_rng(1).random(len(CLOUDS)) if weighted else None
    lazy_weights = da.from_array(weights, chunks=100) if weighted else None
    mixture = fastem.GaussianMixture(3, covariance_type=kind, random_state=0)
    memory = mixture.fit(CLOUDS, sample_weight=weights, labels=labels)
    expected = memory.means_, memory.loglik_
    lazy = mixture.fit(da.from_array(CLOUDS, chunks=(100, 3)), sample_weight=lazy_weights, labels=labels)
    assert_allclose(lazy.means_, expected[0], rtol=1e-9, atol=1e-12)
    assert lazy.loglik_ == pytest.approx(expected[1], rel=1e-12)
    begun = mixture.set_params(max_iter=0).fit(CLOUDS, labels_init=THREE).means_
    assert_allclose(mixture.fit(da.from_array(CLOUDS, chunks=(100, 3)), labels_init=THREE).means_, begun, rtol=1e-12)


def test_partitions_of_counts_and_of_rows_with_gaps_take_labels():
    da = pytest.importorskip("dask.array")
    labels, rng = hidden(THREE, 0.3), np.random.default_rng(1)
    heads = rng.binomial(10, np.array([0.2, 0.5, 0.9])[THREE])[:, np.newaxis]
    for mixture, rows in (
        (fastem.PoissonMixture(3, random_state=0), heads),
        (fastem.BinomialMixture(3, n_trials=10, random_state=0), heads),
        (fastem.GaussianMixture(3, missing="marginalize", random_state=0), np.where(CLOUDS > 3.5, np.nan, CLOUDS)),
    ):
        expected = mixture.fit(rows, labels=labels).loglik_
        lazy = mixture.fit(da.from_array(rows, chunks=(70, rows.shape[1])), labels=labels)
        assert lazy.loglik_ == pytest.approx(expected, rel=1e-12)


def test_where_the_rows_of_each_label_fill_slots_of_partitions_bits_are_those_of_memory():
    da = pytest.importorskip("dask.array")
    labels = np.tile(np.repeat([-1, 0, 1], SLOT_ROWS), 2)
    rows = np.random.default_rng(0).normal(size=(len(labels), 2)) + 2.0 * np.maximum(labels, 0)[:, np.newaxis]
    mixture = fastem.GaussianMixture(2, random_state=0)
    memory = mixture.fit(rows, labels=labels).means_
    assert_array_equal(mixture.fit(da.from_array(rows, chunks=(3 * SLOT_ROWS, 2)), labels=labels).means_, memory)


def test_rows_are_chosen_of_rows_that_were_chosen():
    da = pytest.importorskip("dask.array")
    lazy = open_partitions(da.from_array(CLOUDS, chunks=(100, 3)), None, None)
    some, fewer = np.arange(360) % 3 != 1, np.arange(240) % 7 == 2
    found = lazy.where(some).where(fewer)
    right = CLOUDS[some][fewer]
    assert_array_equal(found.take(np.arange(len(found))).data[0], right)
    assert_array_equal(found.take(np.array([7, 2])).data[0], right[[7, 2]])
    assert_array_equal(found.first_weighted(9), np.arange(9))
    assert len(found) == len(right)


def test_labels_of_another_length_or_range_are_refused_of_partitions_too():
    lazy = pytest.importorskip("dask.array").from_array(CLOUDS, chunks=(100, 3))
    with pytest.raises(ValueError, match=r"labels must have shape \(360,\)"):
        fastem.GaussianMixture(3).fit(lazy, labels=[0, 1])
    with pytest.raises(ValueError, match="labels must be numbers of components from 0 to 2"):
        fastem.GaussianMixture(3).fit(lazy, labels=THREE + 1)
