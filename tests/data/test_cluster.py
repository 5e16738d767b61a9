"""Rows of Dask collections: the bits of rows in memory for any number of workers."""

import math

import dask
import dask.array as da
import dask.dataframe as dd
import numpy as np
import pandas as pd
import pytest
from distributed import Client
from support.chunks import assert_same_bits, counts, rows
from support.clusters import LAZY, N, mixture, started

import fastem
from fastem._typing import RowKind
from fastem.data import dask_partitions, dask_tasks
from fastem.data.slots import SLOT_ROWS

pytestmark = [pytest.mark.process, pytest.mark.slow]
SLOTS = (2 * SLOT_ROWS, SLOT_ROWS, 2 * SLOT_ROWS, 1234)
TO_ROUNDING = 1e-11
"""Relatively: sums are added in another order, and a few iterations carry that on."""


# ---------------------------------------------------------------------------------------------------------------- bits


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("weighted", [False, True])
def test_blocks_cut_at_slots_have_the_bits_of_rows_in_memory(place, dtype, weighted):
    X, w = rows(N, dtype=dtype), np.random.default_rng(1).random(N) if weighted else None
    lazy = da.from_array(X, chunks=(SLOTS, 1))
    lazy_w = da.from_array(w, chunks=1000) if weighted else None
    found = mixture().fit(lazy, sample_weight=lazy_w)
    assert_same_bits(found, mixture().fit(X, sample_weight=w))
    assert found.means_.dtype == dtype


@pytest.mark.parametrize("settings", [
    {"n_init": 5, "init_params": "random"},
    {"reg_covar": "auto", "acceleration": "quasi-newton", "tol": 1e-8, "covariance_type": "diag"},
    pytest.param(
        {"prior": fastem.GaussianPrior(mean=[0.0, 0.0], scale=np.eye(2)), "backend": "numba"}, marks=pytest.mark.numba
    ),
], ids=["screened", "accelerated", "numba"])  # fmt: skip
def test_every_kind_of_fit_has_the_same_bits(settings):
    X = rows(N)
    assert_same_bits(mixture(**settings).fit(da.from_array(X, chunks=(SLOTS, 2))), mixture(**settings).fit(X))


@pytest.mark.parametrize("kind", ["diag", "spherical"])
def test_float32_rows_far_from_the_middle_of_the_means_have_the_kernels_of_memory(kind):
    """Which of them that is, workers find by themselves."""
    means = 4.0 * np.random.default_rng(0).normal(size=(8, 20))
    params = fastem.GaussianParams(np.full(8, 1 / 8), means, np.ones((8, 20) if kind == "diag" else 8), kind)
    X = np.random.default_rng(1).normal(size=(N, 20)) + means[np.arange(N) % 8]
    X = X.astype(np.float32)
    with fastem.open_rows(X) as rows_, fastem.open_rows(da.from_array(X, chunks=(SLOTS, 20))) as lazy:
        found, expected = lazy.sweep(params), rows_.sweep(params)
    assert params.middle is not None
    assert expected.single == (kind == "diag")
    np.testing.assert_array_equal(found.second, expected.second)
    assert found.loglik == expected.loglik


@pytest.mark.parametrize("n_workers", [1, 4])
def test_the_number_of_workers_does_not_show(n_workers):
    X = rows(N)
    with started(n_workers) as some, Client(some):
        assert_same_bits(mixture().fit(da.from_array(X, chunks=(SLOTS, 2))), mixture().fit(X))


def test_sums_that_are_folded_by_the_blocks_have_the_same_bits_anywhere(client, monkeypatch):
    """And the log likelihood of one sweep those of memory: it is the exact sum of the slots, rounded once."""
    X = rows(40 * SLOT_ROWS)
    lazy = da.from_array(X, chunks=(SLOT_ROWS, 2))
    start = mixture(max_iter=5).fit(X[:5000]).params_
    monkeypatch.setattr(dask_partitions, "SLOT_SUMS_BYTES", 0)
    here, memory = mixture().fit(lazy), mixture().fit(X)
    with client.as_current():
        assert_same_bits(mixture().fit(lazy), here)
    np.testing.assert_allclose(here.means_, memory.means_, rtol=TO_ROUNDING, atol=TO_ROUNDING)
    blocks = dask_partitions.open_partitions(lazy, None, None)
    assert blocks.sweep(start).loglik == fastem.accumulate(start, X).loglik


@pytest.mark.parametrize("chunks", [1000, 7001, N])
def test_blocks_that_cut_slots_are_right_to_rounding(chunks):
    X = rows(N)
    found, memory = mixture().fit(da.from_array(X, chunks=(chunks, 2))), mixture().fit(X)
    assert found.n_iter_ == memory.n_iter_
    np.testing.assert_allclose(found.means_, memory.means_, rtol=TO_ROUNDING, atol=TO_ROUNDING)
    np.testing.assert_allclose(found.loglik_, memory.loglik_, rtol=TO_ROUNDING)


def test_a_data_frame_of_unknown_lengths_is_fitted_by_its_columns(place):
    """One partition is empty."""
    frame = pd.DataFrame(rows(N), columns=["east", "north"]).assign(weight=1.5, other=np.arange(N))
    lazy = dd.from_map(lambda a, b: frame[a:b], [0, SLOT_ROWS, SLOT_ROWS], [SLOT_ROWS, SLOT_ROWS, N], meta=frame[:0])
    found = mixture().fit(lazy[["east", "north"]], sample_weight=lazy["weight"])
    memory = mixture().fit(frame[["east", "north"]], sample_weight=frame["weight"])
    assert_same_bits(found, memory)
    assert found.feature_names_in_.tolist() == ["east", "north"]
    labels = found.predict(lazy[["east", "north"]])
    np.testing.assert_array_equal(labels.compute(), memory.predict(frame[["east", "north"]]))
    assert found.score(lazy[["east", "north"]]) == pytest.approx(memory.score(frame[["east", "north"]]), rel=1e-12)


@pytest.mark.parametrize("d", [1, 2])
@pytest.mark.parametrize("weighted", [False, True])
def test_counts_are_collapsed_by_the_blocks(place, d, weighted):
    X, trials, w = counts(N, d)
    lazy, lazy_trials = da.from_array(X, chunks=(SLOTS, 1)), da.from_array(trials, chunks=(SLOTS, d))
    weights = {"sample_weight": da.from_array(w, chunks=(SLOTS,))} if weighted else {}
    found = fastem.BinomialMixture(2, random_state=0).fit(lazy, trials=lazy_trials, **weights)
    memory = fastem.BinomialMixture(2, random_state=0).fit(X, trials=trials, sample_weight=w if weighted else None)
    if weighted:  # weights of equal rows are added by block
        np.testing.assert_allclose(found.probs_, memory.probs_, rtol=TO_ROUNDING)
    else:
        assert_same_bits(found, memory)
    resp = found.predict_proba(lazy, trials=lazy_trials)
    np.testing.assert_array_equal(resp.compute(), found.predict_proba(X, trials=trials))


@pytest.mark.parametrize("most", [20, 1 << 40])
def test_counts_of_many_kinds_are_swept_as_they_are(most):
    rng = np.random.default_rng(0)
    X = rng.binomial(most, rng.choice([0.2, 0.7], size=140_000))
    lazy, model = da.from_array(X, chunks=4 * SLOT_ROWS), fastem.BinomialMixture(2, n_trials=most, random_state=0)
    blocks = dask_partitions.open_partitions(lazy, most, None, row_kind=RowKind.COUNTS_WITH_TRIALS)
    assert (blocks.collapsed() is blocks) == (most > 20)
    assert_same_bits(model.fit(lazy), fastem.BinomialMixture(2, n_trials=most, random_state=0).fit(X))


def test_the_few_numbers_of_a_sum_are_exact():
    values = np.random.default_rng(0).normal(size=1000) * 10.0 ** np.random.default_rng(1).integers(-30, 30, 1000)
    halves = dask_tasks.exact(values[:300].tolist()) + dask_tasks.exact(values[300:].tolist())
    assert len(halves) < 20
    assert math.fsum(halves) == math.fsum(values)
    assert (
        math.fsum(dask_tasks.exact([1.0, 2.0**-54]) + dask_tasks.exact([2.0**-53])) == 1.0 + 2.0**-52
    )  # no tie, together
    assert dask_tasks.exact([]) == []
    assert dask_tasks.exact([-math.inf, 1.0]) == [-math.inf]
    assert dask_tasks.exact([-1e308, -1e308]) == [dask_tasks.LOWEST_LOGLIK]


# --------------------------------------------------------------------------------------------------------- predictions


def test_predictions_are_lazy_and_those_of_memory(place):
    X = rows(N)
    X[:, 1] += 5
    lazy, found = da.from_array(X, chunks=(7000, 1)), mixture().fit(X)
    for name in ("predict", "predict_proba", "score_samples"):
        told, memory = getattr(found, name)(lazy), getattr(found, name)(X)
        assert isinstance(told, da.Array)
        assert (told.shape, told.dtype) == (memory.shape, memory.dtype)
        np.testing.assert_array_equal(told.compute(), memory)
    w = np.random.default_rng(1).random(N)
    for weights in (None, w):
        lazy_weights = None if weights is None else da.from_array(weights, chunks=999)
        assert found.score(lazy, sample_weight=lazy_weights) == pytest.approx(found.score(X, None, weights), rel=1e-12)
        assert found.bic(lazy, lazy_weights) == pytest.approx(found.bic(X, weights), rel=1e-12)


def test_predictions_name_the_block_of_a_bad_value():
    X = rows(N)
    found = mixture().fit(X)
    X[SLOT_ROWS + 17, 1] = np.inf
    with pytest.raises(ValueError, match=r"partition 1: X must be finite.* got inf, in the partition at row 17"):
        found.predict(da.from_array(X, chunks=(SLOT_ROWS, 2))).compute()


# ------------------------------------------------------------------------------------- partial fits and standard errors


@pytest.fixture
def only_where_they_are(monkeypatch):
    """No Dask array becomes one in memory."""

    def refuse(self, *arguments, **options):
        raise AssertionError("rows were fetched")

    monkeypatch.setattr(da.Array, "__array__", refuse)


@pytest.mark.parametrize("weighted", [False, True])
def test_a_partial_fit_sweeps_the_blocks_where_they_are(place, weighted, only_where_they_are):
    X, w = rows(N), np.random.default_rng(1).random(N) if weighted else None
    found, memory = mixture(), mixture()
    for begin, end in ((0, 2 * SLOT_ROWS), (2 * SLOT_ROWS, N)):
        weights = None if w is None else w[begin:end]
        lazy = da.from_array(X[begin:end], chunks=(SLOT_ROWS, 1))
        found.partial_fit(lazy, sample_weight=None if w is None else da.from_array(weights, chunks=1000))
        memory.partial_fit(X[begin:end], sample_weight=weights)
    np.testing.assert_array_equal(found.stats_.second, memory.stats_.second)
    np.testing.assert_array_equal(found.means_, memory.means_)


def test_a_partial_fit_of_counts_sweeps_the_blocks(only_where_they_are):
    X, trials, _ = counts(N, 1)
    lazy = da.from_array(X, chunks=(SLOT_ROWS, 1))
    coins, lazy_trials = fastem.BinomialMixture(2, random_state=0), da.from_array(trials, chunks=(SLOT_ROWS, 1))
    expected = fastem.BinomialMixture(2, random_state=0).partial_fit(X, trials=trials)
    np.testing.assert_array_equal(coins.partial_fit(lazy, trials=lazy_trials).probs_, expected.probs_)
    ten = fastem.BinomialMixture(2, n_trials=10, random_state=0)
    expected = fastem.BinomialMixture(2, n_trials=10, random_state=0).partial_fit(X)
    np.testing.assert_array_equal(ten.partial_fit(lazy).probs_, expected.probs_)


@pytest.mark.parametrize("method", ["louis", "opg"])
@pytest.mark.parametrize("kind", ["full", "diag"])
def test_standard_errors_are_sums_of_the_blocks(place, method, kind, only_where_they_are):
    X, w = rows(N), np.random.default_rng(1).random(N)
    fitted = mixture(covariance_type=kind).fit(X)
    lazy, lazy_w = da.from_array(X, chunks=(SLOTS, 1)), da.from_array(w, chunks=1000)
    for weights, lazy_weights in ((None, None), (w, lazy_w)):
        found = fitted.standard_errors(lazy, sample_weight=lazy_weights, method=method)
        memory = fitted.standard_errors(X, sample_weight=weights, method=method)
        covariance = memory.parameters_covariance
        np.testing.assert_allclose(found.means, memory.means, rtol=1e-9)  # of sums, through an inverse
        np.testing.assert_allclose(found.parameters_covariance, covariance, atol=1e-9 * np.abs(covariance).max())


@pytest.mark.parametrize("most", [20, 1 << 40])
def test_standard_errors_of_counts_are_sums_of_the_blocks(most, only_where_they_are):
    rng = np.random.default_rng(0)
    X = rng.binomial(most, rng.choice([0.2, 0.7], size=N))
    fitted = fastem.BinomialMixture(2, n_trials=most, random_state=0).fit(X)
    found, memory = fitted.standard_errors(da.from_array(X, chunks=SLOT_ROWS)), fitted.standard_errors(X)
    np.testing.assert_allclose(found.probs, memory.probs, rtol=1e-9)


def test_standard_errors_of_any_run_have_the_same_bits(client):
    """Over a tree of three floors."""
    X = rows(17 * 17 * 30)
    fitted, lazy = mixture().fit(X), da.from_array(X, chunks=(30, 2))
    with dask.config.set(scheduler="synchronous"):
        here = fitted.standard_errors(lazy).parameters_covariance
    with client.as_current():
        np.testing.assert_array_equal(fitted.standard_errors(lazy).parameters_covariance, here)


def test_fits_with_labels_have_the_same_bits_anywhere(client):
    X = rows(N)
    labels = np.where(np.arange(N) % 5 == 0, (X[:, 0] > X[:, 0].mean()).astype(int), -1)
    lazy = da.from_array(X, chunks=(SLOTS, 2))
    with dask.config.set(scheduler="synchronous"):
        here = mixture(order_by=None).fit(lazy, labels=labels)
    with client.as_current():
        assert_same_bits(mixture(order_by=None).fit(lazy, labels=labels), here)


def test_other_columns_than_those_of_the_fit_are_refused():
    fitted = mixture().fit(rows(100))
    for method in (fitted.standard_errors, fitted.partial_fit):
        with pytest.raises(ValueError, match="X has 1 features, but GaussianMixture is expecting 2 features"):
            method(LAZY[:, :1])
