"""Rows of Dask collections: the bits of rows in memory for any number of workers, and what becomes of lost ones."""

import math
import os
import re
import signal
import subprocess
import sys
import threading
import time
from contextlib import ExitStack, contextmanager

import dask
import dask.array as da
import dask.dataframe as dd
import numpy as np
import pandas as pd
import pytest
from distributed import Client, KilledWorker, LocalCluster
from support.changing import Changing
from support.chunks import assert_same_bits, counts, cut, rows

import fastem
from fastem._typing import RowKind
from fastem.data import dask_partitions, dask_runner, dask_tasks
from fastem.data.slots import SLOT_ROWS

pytestmark = pytest.mark.process

N = 5 * SLOT_ROWS + 1234
SLOTS = (2 * SLOT_ROWS, SLOT_ROWS, 2 * SLOT_ROWS, 1234)
TO_ROUNDING = 1e-11
"""Relatively: sums are added in another order, and a few iterations carry that on."""


def started(n_workers, **options):
    options |= {"threads_per_worker": 1, "dashboard_address": ":0", "host": "127.0.0.1"}
    return LocalCluster(n_workers=n_workers, **options)


@pytest.fixture(params=["synchronous", "threads", "cluster"])
def place(request):
    """Where tasks run."""
    if request.param == "cluster":
        with request.getfixturevalue("client").as_current():
            yield request.param
    else:
        with dask.config.set(scheduler=request.param):
            yield request.param


@pytest.fixture(scope="module")
def client():
    """Two processes, for all tests that leave them alive; current only where a test says so."""
    with started(2) as two, Client(two, set_as_default=False) as client:
        yield client


def mixture(**settings):
    return fastem.GaussianMixture(3, **({"random_state": 0, "tol": 1e-5, "max_iter": 500} | settings))


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
    {"prior": fastem.GaussianPrior(mean=[0.0, 0.0], scale=np.eye(2)), "backend": "numba"},
], ids=["screened", "accelerated", "numba"])  # fmt: skip
def test_every_kind_of_fit_has_the_same_bits(settings):
    X = rows(N)
    assert_same_bits(mixture(**settings).fit(da.from_array(X, chunks=(SLOTS, 2))), mixture(**settings).fit(X))


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
    found = fastem.BinomialMixture(2).partial_fit(lazy, trials=da.from_array(trials, chunks=(SLOT_ROWS, 1)))
    np.testing.assert_array_equal(found.probs_, fastem.BinomialMixture(2).partial_fit(X, trials=trials).probs_)
    ten = fastem.BinomialMixture(2, n_trials=10).partial_fit(lazy)
    np.testing.assert_array_equal(ten.probs_, fastem.BinomialMixture(2, n_trials=10).partial_fit(X).probs_)


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


def test_other_columns_than_those_of_the_fit_are_refused():
    fitted = mixture().fit(rows(100))
    for method in (fitted.standard_errors, fitted.partial_fit):
        with pytest.raises(ValueError, match="X has 1 features, but GaussianMixture is expecting 2 features"):
            method(LAZY[:, :1])


# ----------------------------------------------------------------------------------------------------------- bad input


def spoilt(X, value, row=2 * SLOT_ROWS + 321):
    X = X.copy()
    X[row, 1] = value
    return da.from_array(X, chunks=(SLOT_ROWS, 2))


LAZY = da.from_array(rows(N), chunks=(SLOT_ROWS, 2))
WEIGHTS = da.ones(N, chunks=SLOT_ROWS)
BAD = {
    "nan": ((spoilt(rows(N), np.nan),), ValueError, "partition 2: X must be finite.* got nan at row 8513, column 1"),
    "large": ((spoilt(rows(N), 1e141),), ValueError, r"partition 2: X must be below .* at row 8513, column 1"),
    "text": ((da.from_array(np.full((9, 2), "a"), chunks=3),), TypeError, "partition 0, from row 0: X must hold real"),
    "flat": ((LAZY[:, 0],), ValueError, "X: Expected 2D array, got 1D"),
    "few": ((LAZY[:2],), ValueError, "Expected n_samples >= n_components"),
    "none": ((LAZY[:0],), ValueError, "X: found 0 rows"),
    "mixed": ((da.concatenate([LAZY[:5], LAZY[:5].astype(np.float32)]).map_blocks(
        lambda X, block_id: X.astype(np.float32) if block_id[0] else X, dtype=np.float64),), ValueError,
        "partition 1, from row 5: 2 columns read as float32.* before have 2 columns read as float64"),
    "weights": ((LAZY, None, -WEIGHTS), ValueError, "partition 0: sample_weight must not be negative.* at row 0"),
    "zeros": ((LAZY, None, 0 * WEIGHTS), ValueError, "sample_weight must hold a positive weight"),
    "short": ((LAZY, None, WEIGHTS[:9]), ValueError, "sample_weight must have one entry for each row of X, 21714"),
    "memory": ((LAZY, None, np.ones(N)), TypeError, "sample_weight must be a Dask collection where X is one, got nda"),
    "sums": ((LAZY * 1e100, None, WEIGHTS * 1e99), ValueError, "sample_weight, of sum .* is too large for rows"),
}  # fmt: skip


@pytest.mark.parametrize("name", BAD)
def test_bad_input_is_named_and_leaves_the_estimator(name, place):
    arguments, error, message = BAD[name]
    found = mixture().fit(rows(100))
    before = dict(vars(found))
    with pytest.raises(error, match=message):
        found.fit(*arguments)
    assert vars(found) == before


def test_what_parts_and_chunks_do_not_mean_is_refused():
    with pytest.raises(ValueError, match="warm_sweeps must be None with Dask"):
        mixture(warm_sweeps="auto").fit(LAZY)
    with pytest.raises(TypeError, match="chunks replace X"):
        mixture().fit(LAZY, chunks=[rows(9)])


# --------------------------------------------------------------------------------------------------------------- faults


def refuses(X, block_id=None):
    if block_id[0] == 2:
        raise OSError("the disk is gone")
    return X


def test_a_task_that_raises_is_named(place):
    found = mixture().fit(rows(100))
    before = dict(vars(found))
    with pytest.raises(OSError, match="the disk is gone") as caught:
        found.fit(LAZY.map_blocks(refuses, dtype=np.float64))
    assert caught.value.__notes__ == ["while working on partition 2"]
    assert vars(found) == before


@pytest.mark.parametrize(("late", "message"), [
    (lambda X: np.where(np.arange(len(X))[:, np.newaxis] == 5, np.nan, X), "partition 1: X must be finite.* row 4101"),
    (lambda X: X[:-1], "partition 1, from row 4096: 4095 rows; it had 4096 when it was first read"),
], ids=["nan", "rows"])  # fmt: skip
def test_blocks_that_change_are_noticed(late, message):
    with dask.config.set(scheduler="synchronous"), pytest.raises(ValueError, match=message):
        mixture().fit(LAZY.map_blocks(Changing(4, late), dtype=np.float64))


def at_sweep(number, call, monkeypatch):
    """Have something happen while this sweep is under way."""
    sweep, seen = dask_partitions.Partitions.sweep, []

    def watched(self, params):
        seen.append(params)
        if len(seen) == number:
            threading.Timer(0.02, call).start()
        return sweep(self, params)

    monkeypatch.setattr(dask_partitions.Partitions, "sweep", watched)


def slowly(X):
    """A tenth of a second for each block, so that a fault meets it at work."""
    threading.Event().wait(0.1)
    return X


@pytest.mark.filterwarnings("ignore")  # of Dask, about the worker
def test_a_worker_that_is_killed_does_not_show(monkeypatch):
    X = rows(N)
    memory = mixture().fit(X)
    with started(2) as two, Client(two) as client:
        first = next(iter(client.run(os.getpid).values()))
        at_sweep(3, lambda: os.kill(first, signal.SIGKILL), monkeypatch)
        assert_same_bits(mixture().fit(da.from_array(X, chunks=(SLOT_ROWS, 2)).map_blocks(slowly)), memory)
        client.wait_for_workers(2, timeout=60)
        assert first not in client.run(os.getpid).values()


@pytest.mark.filterwarnings("ignore")
def test_without_workers_a_fit_ends_and_its_checkpoint_goes_on(tmp_path, monkeypatch):
    """As long as a fit really waits, make torture does."""
    monkeypatch.setattr(dask_runner, "WORKERLESS_SECONDS", 2.0)
    kept = mixture(checkpoint=tmp_path / "fit.npz", checkpoint_every=0.0)
    with started(2) as two, Client(two):
        at_sweep(4, lambda: two.scale(0), monkeypatch)
        with pytest.raises(RuntimeError, match="for 2 s the cluster has had no running workers"):
            kept.fit(LAZY.map_blocks(slowly))
    assert not hasattr(kept, "weights_")
    assert_same_bits(kept.fit(LAZY), mixture().fit(rows(N)))


@contextmanager
def served(folder):
    """A scheduler in a process of its own, and two workers: the client that is current, and the scheduler."""
    address, null = folder / "scheduler.json", subprocess.DEVNULL
    options = {"stdout": null, "stderr": null, "env": os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)}}
    common = ["--scheduler-file", str(address), "--host", "127.0.0.1", "--no-dashboard"]
    module = [sys.executable, "-m"]
    command = [*module, "distributed.cli.dask_worker", *common, "--nthreads", "1", "--local-directory", str(folder)]
    with ExitStack() as stack:
        scheduler = subprocess.Popen([*module, "distributed.cli.dask_scheduler", *common, "--port", "0"], **options)
        stack.callback(end, scheduler)
        while not address.exists():
            assert scheduler.poll() is None
            time.sleep(0.05)
        for _ in range(2):
            stack.callback(end, subprocess.Popen([*command, "--no-nanny"], **options))
        client = stack.enter_context(Client(scheduler_file=str(address)))
        client.wait_for_workers(2, timeout=60)
        yield scheduler


def end(process):
    process.kill()
    process.wait()


@pytest.mark.filterwarnings("ignore")  # of Dask, about the scheduler
@pytest.mark.slow
@pytest.mark.parametrize("fault", [signal.SIGKILL, signal.SIGSTOP])
def test_without_a_scheduler_a_fit_ends_and_its_checkpoint_goes_on(fault, tmp_path, monkeypatch):
    monkeypatch.setattr(dask_runner, "WORKERLESS_SECONDS", 2.0)
    monkeypatch.setattr(dask_runner, "ANSWER_SECONDS", 1.0)
    kept = mixture(checkpoint=tmp_path / "fit.npz", checkpoint_every=0.0)
    before, lost = dict(vars(kept)), "for reason: scheduler-connection-lost|for 2 s .* had no scheduler that answers"
    with served(tmp_path) as scheduler:
        at_sweep(4, lambda: scheduler.send_signal(fault), monkeypatch)
        with pytest.raises(RuntimeError, match=f"({lost}); a fit with `checkpoint` goes on from its file"):
            kept.fit(LAZY.map_blocks(slowly))
        with pytest.raises(RuntimeError, match=lost):
            mixture().fit(LAZY)
    assert vars(kept) == before
    assert_same_bits(kept.fit(LAZY), mixture().fit(rows(N)))


def deadly(X, block_id=None):
    """The end of every worker that meets block 2."""
    if block_id[0] == 2:
        os._exit(1)
    return X


def greedy(X, block_id=None):
    """Block 2 takes more memory than a worker has."""
    if block_id[0] == 2:
        time.sleep(10.0 + np.ones(1 << 27).min())  # 1 GiB, until the nanny sees it
    return X


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("fault", [deadly, pytest.param(greedy, marks=pytest.mark.slow)])
def test_a_block_that_kills_its_workers_is_named(fault, monkeypatch):
    """One try, in the place of Dask's four."""
    found = mixture().fit(rows(100))
    before = dict(vars(found))
    with (
        dask.config.set({"distributed.scheduler.allowed-failures": 0}),
        started(1, memory_limit="800MB") as one,
        Client(one),
        pytest.raises(KilledWorker) as caught,
    ):
        found.fit(LAZY.map_blocks(fault, dtype=np.float64))
    (note,) = caught.value.__notes__
    assert re.fullmatch(r"while working on partition (\d or )*2( or \d)*", note)  # others may have been with the worker
    assert vars(found) == before


# --------------------------------------------------------------------------------------------------- checkpoint, resume


@pytest.mark.filterwarnings("ignore:The fit was cut short")
@pytest.mark.parametrize("source", ["dask", "chunks", "parquet"])
def test_a_fit_of_one_iteration_at_a_time_has_the_bits_of_one(source, tmp_path):
    X = rows(N)
    frame = pd.DataFrame(X, columns=["a", "b"])
    frame.to_parquet(tmp_path / "rows.parquet")
    data = {
        "dask": {"X": LAZY},
        "chunks": {"chunks": cut(5000, X)},
        "parquet": {"chunks": fastem.from_arrow(tmp_path / "rows.parquet", ["a", "b"])},
    }[source]
    settings = {"acceleration": "anderson", "tol": 1e-8}
    stopped, parts = mixture(**settings, checkpoint=tmp_path / "fit.npz", checkpoint_every=0.0, max_time=0.0), 1
    while stopped.fit(**data).cut_short_:
        parts += 1
    assert parts > 3
    assert_same_bits(stopped, mixture(**settings).fit(X))


def test_the_checkpoint_of_other_blocks_is_refused(tmp_path):
    """Their sums have other bits."""
    kept = mixture(checkpoint=tmp_path / "fit.npz")
    kept.fit(LAZY)
    with pytest.raises(ValueError, match="was written by another fit: data was"):
        kept.fit(LAZY.rechunk((1000, 2)))
