"""Counts of any type and shape; equal rows as one; what can be identified."""

from dataclasses import replace

import numpy as np
import pytest
from support import datasets
from support.sweeps import binomial_params

import fastem
from fastem import BinomialMixture
from fastem._typing import RowKind
from fastem.data import dask_partitions
from fastem.data.distinct import TESTED_ROWS, distinct_rows
from fastem.kernels.backend import Backend
from fastem.validation.arrays import as_counts

INTEGERS = (np.uint8, np.uint16, np.int32, np.int64)


def some_counts(n=5_000, m=1, most=12, seed=0):
    rng = np.random.default_rng(seed)
    trials = rng.integers(0, most, size=(n, m), endpoint=True)
    return rng.binomial(trials, rng.choice([0.2, 0.7], size=(n, 1))), trials


# --------------------------------------------------------------------------------------------------------------- types


@pytest.mark.parametrize("dtype", [np.uint8, *(pytest.param(t, marks=pytest.mark.row_type) for t in INTEGERS[1:])])
@pytest.mark.parametrize("world", datasets.COUNTS_WORLDS, ids=lambda world: world.name)
def test_integers_have_the_sums_and_posteriors_of_floats(world, dtype, twin):
    params = binomial_params(world)
    whole = [fastem.accumulate(params, a.X, trials=a.trials, backend=twin) for a in (world, as_type(world, dtype))]
    for name in ("counts", "successes", "failures", "loglik", "entropy"):
        np.testing.assert_array_equal(getattr(whole[0], name), getattr(whole[1], name), err_msg=name)
    tell = [fastem.posterior(params, a.X, trials=a.trials, backend=twin) for a in (world, as_type(world, dtype))]
    np.testing.assert_array_equal(tell[0].resp, tell[1].resp)


def as_type(world, dtype):
    return replace(world, X=world.X.astype(dtype), trials=world.trials.astype(dtype))


@pytest.mark.parametrize("dtype", INTEGERS)
def test_integers_are_read_where_they_are(dtype):
    X, trials = (a.astype(dtype) for a in some_counts())
    found = as_counts(X, trials)
    assert np.shares_memory(found[0], X)
    assert np.shares_memory(found[1], trials)
    assert as_counts(X, 12)[1].strides == (0, 0)


CONVERTED = [(np.int8, np.int32), (np.uint32, np.int64), (np.uint64, np.int64), (bool, np.uint8)]


@pytest.mark.parametrize(("few", "many"), CONVERTED)
def test_other_integers_are_converted_to_the_next(few, many):
    X, trials = np.array([[0], [1]], few), np.array([[1], [1]], few)
    assert [a.dtype for a in as_counts(X, trials)] == [many, many]


def test_types_that_differ_meet_in_one_that_holds_both():
    X = np.array([3, 200], np.uint8)
    assert [a.dtype for a in as_counts(X, 1000)] == [np.dtype(np.int64)] * 2
    assert [a.dtype for a in as_counts(X, np.array([300, 255], np.uint16))] == [np.dtype(np.uint16)] * 2
    assert [a.dtype for a in as_counts(X, 255.0)] == [np.dtype(np.uint8)] * 2
    assert [a.dtype for a in as_counts(X.astype(np.float32), 1000)] == [np.dtype(np.float32)] * 2
    assert [a.dtype for a in as_counts(X.astype(np.float32), 2**25 + 1)] == [np.dtype(np.float64)] * 2


def test_counts_to_two_to_the_31():
    X = np.array([2**31, 2**30, 2**29], np.int64)
    mixture = BinomialMixture(1).fit(X, trials=2**31)
    assert mixture.probs_[0, 0] == pytest.approx(7 / 12, rel=1e-15)


def test_attributes_of_integers_are_float64():
    X, trials = (a.astype(np.uint8) for a in some_counts())
    mixture = BinomialMixture(2).fit(X, trials=trials)
    assert {a.dtype for a in (mixture.probs_, mixture.predict_proba(X, trials=trials))} == {np.dtype(np.float64)}


# --------------------------------------------------------------------------------------------------------- columns


@pytest.mark.filterwarnings(r"ignore:components .* equal others:fastem.EqualComponentWarning")
def test_trials_of_columns_are_those_of_every_row():
    X, _ = some_counts(m=3, most=1)
    by_column = BinomialMixture(2, random_state=0).fit(X, trials=[4, 5, 6])
    in_full = BinomialMixture(2, random_state=0).fit(X, trials=np.tile([4, 5, 6], (len(X), 1)))
    np.testing.assert_array_equal(by_column.probs_, in_full.probs_)


def test_no_trials_are_no_information():
    """A column that was not observed for a row does not enter its responsibilities."""
    params = fastem.BinomialParams(np.array([0.3, 0.7]), np.array([[0.2, 0.9], [0.6, 0.1]]))
    both = fastem.posterior(params, [[3, 0]], trials=[[5, 0]])
    alone = fastem.posterior(fastem.BinomialParams(params.weights, params.probs[:, :1]), [3], trials=5)
    np.testing.assert_allclose(both.resp, alone.resp, rtol=1e-14)
    np.testing.assert_allclose(both.log_prob, alone.log_prob, rtol=1e-14)


# ------------------------------------------------------------------------------------------------------------ collapse


def naive_distinct(X, trials, weights):
    rows, inverse = np.unique(np.hstack([X, trials]), axis=0, return_inverse=True)
    return rows[:, : X.shape[1]], rows[:, X.shape[1] :], np.bincount(inverse.ravel(), weights)


@pytest.mark.parametrize("m", [1, 3])
@pytest.mark.parametrize("dtype", [*INTEGERS, np.float32, np.float64])
def test_distinct_rows_are_numpys(m, dtype):
    X, trials = (a.astype(dtype) for a in some_counts(m=m, most=4))
    weights = np.random.default_rng(1).gamma(1.0, size=len(X))
    found = fastem.distinct_counts(X, trials, weights)
    expected = naive_distinct(X, trials, weights)
    np.testing.assert_array_equal(found.successes, expected[0])
    np.testing.assert_array_equal(found.trials, expected[1])
    np.testing.assert_allclose(found.sample_weight, expected[2], rtol=1e-13)


def test_distinct_rows_of_chunks_add_up():
    X, trials = some_counts()
    whole = fastem.distinct_counts(X, trials)
    pieces = [fastem.distinct_counts(X[a:b], trials[a:b]) for a, b in ((0, 7), (7, 1_000), (1_000, 5_000))]
    total = pieces[2] + pieces[0] + pieces[1]
    for name in ("successes", "trials", "sample_weight"):
        np.testing.assert_array_equal(getattr(total, name), getattr(whole, name))


def test_large_counts_and_columns_that_change_places_do_not_collide():
    rng = np.random.default_rng(0)
    X = rng.integers(0, 2**31, size=(4_000, 2))
    X = np.vstack([X, X[:, ::-1]])
    assert len(fastem.distinct_counts(X, 2**31)) == len(np.unique(X, axis=0))


def test_same_bits_for_any_number_of_threads(monkeypatch):
    monkeypatch.setattr("fastem.data.distinct.CHUNK_ROWS", 1_000)
    X, trials = some_counts()
    weights = np.random.default_rng(1).gamma(1.0, size=len(X))
    one, three = (fastem.distinct_counts(X, trials, weights, n_threads=n) for n in (1, 3))
    np.testing.assert_array_equal(one.sample_weight, three.sample_weight)


def test_rows_that_are_all_distinct_are_left_as_they_are():
    X = np.random.default_rng(0).integers(0, 10**6, size=(20_000, 1))
    with fastem.open_rows(X, 10**6, has_trials=True) as rows:
        assert rows.collapsed() is rows
        assert distinct_rows(*rows.data, rows.sample_weight, Backend(), 0.5) is None


def test_a_fifth_of_distinct_rows_is_few_enough():
    """Of the rows that are tested five in six are distinct: it is their equals that tell how many there are."""
    X = np.random.default_rng(0).integers(0, 200_000, size=(1_000_000, 1))
    with fastem.open_rows(X, 200_000, has_trials=True) as rows:
        assert len(rows.collapsed()) == len(np.unique(X))


def test_a_late_surprise_is_noticed():
    """Few distinct rows among those that are tested, many among the others."""
    X = np.zeros((200_000, 1), np.int64)
    X[np.arange(200_000) % 3 != 0, 0] = np.arange(133_333)
    assert len(X) // TESTED_ROWS == 3
    with fastem.open_rows(X, 10**6, has_trials=True) as rows:
        assert rows.collapsed() is rows


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("init_params", ["quantiles", "kmeans", "random"])
@pytest.mark.parametrize("m", [1, 2])
def test_a_fit_is_that_of_all_rows(m, init_params, weighted, monkeypatch):
    X, trials = some_counts(m=m, most=9)
    weights = np.random.default_rng(1).gamma(1.0, size=len(X)) if weighted else None
    options = {"init_params": init_params, "random_state": 0, "tol": 1e-9, "max_iter": 1_000}
    few = BinomialMixture(2, **options).fit(X, trials=trials, sample_weight=weights)
    monkeypatch.setattr(fastem.Rows, "collapsed", lambda rows, most=0.5: rows if most < 1 else collapsed(rows, most))
    whole = BinomialMixture(2, **options).fit(X, trials=trials, sample_weight=weights)
    assert few.n_iter_ == whole.n_iter_
    np.testing.assert_allclose(few.probs_, whole.probs_, rtol=1e-9)
    assert few.loglik_ == pytest.approx(whole.loglik_, rel=1e-12)
    assert few.bic_ == pytest.approx(few.bic(X, trials=trials, sample_weight=weights), rel=1e-10)


collapsed = fastem.Rows.collapsed


@pytest.mark.filterwarnings("ignore::fastem.EqualComponentWarning")  # two of three may end equal: rounding decides
def test_fewer_distinct_rows_than_components_are_enough():
    with pytest.warns(fastem.IdentifiabilityWarning):
        BinomialMixture(3).fit([0, 1, 0, 1], trials=1)


# ---------------------------------------------------------------------------------------------------- identifiability


def test_a_mixture_that_cannot_be_identified_is_told():
    """Blischke (1964): k binomials take 2 k - 1 trials."""
    X, trials = some_counts(most=4)
    with pytest.warns(fastem.IdentifiabilityWarning, match="3 components need at least 2 k - 1 = 5 trials .* than 4"):
        BinomialMixture(3).fit(X, trials=trials)
    BinomialMixture(2).fit(X, trials=trials)  # silent: warnings are errors here
    BinomialMixture(1).fit(X, trials=trials)


# -------------------------------------------------------------------------------------------- counts without trials


def opened_counts(X, weights, where):
    """Rows of counts without trials: in memory, in chunks, in partitions."""
    if where == "memory":
        return fastem.open_rows(X, None, weights, row_kind="counts")
    if where == "chunks":
        cuts = [slice(begin, begin + 700) for begin in range(0, len(X), 700)]
        return fastem.open_chunks([(X[cut], weights[cut]) for cut in cuts], row_kind="counts")
    da = pytest.importorskip("dask.array")
    lazy = [da.from_array(array, chunks=700) for array in (X, weights)]
    return dask_partitions.open_partitions(lazy[0], None, lazy[1], row_kind=RowKind.COUNTS)


@pytest.mark.parametrize("where", ["memory", "chunks", "dask"])
def test_equal_rows_of_counts_without_trials_are_collapsed(where):
    rng = np.random.default_rng(0)
    X, weights = rng.poisson(3.0, size=(5_000, 2)), rng.gamma(1.0, size=5_000)
    expected, places = np.unique(X, axis=0, return_inverse=True)
    with opened_counts(X, weights, where) as rows:
        distinct = rows.collapsed()
    (found,) = distinct.data
    np.testing.assert_array_equal(found, expected)
    np.testing.assert_allclose(distinct.sample_weight, np.bincount(places.ravel(), weights), rtol=1e-13)


@pytest.mark.parametrize("bad", [-1, 0.5, np.nan])
def test_counts_without_trials_are_whole_numbers(bad):
    with pytest.raises(ValueError, match=r"X|Negative"):
        fastem.open_rows([0, 1, bad], row_kind="counts")
    with pytest.raises(TypeError, match="trials must be None for counts"):
        fastem.open_rows([0, 1], 3, row_kind="counts")


def test_the_kind_of_rows_is_one_that_exists():
    with pytest.raises(ValueError, match="row_kind must be one of 'real numbers', 'counts'"):
        fastem.open_rows([0, 1], row_kind="durations")
