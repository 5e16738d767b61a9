"""Rows of Dask collections: what becomes of bad input, of lost workers and schedulers, and of checkpoints."""

import os
import re
import signal
import subprocess
import sys
import threading
import time
from contextlib import ExitStack, contextmanager
from types import SimpleNamespace

import dask
import dask.array as da
import numpy as np
import pandas as pd
import pytest
from distributed import Client, KilledWorker
from distributed.comm import CommClosedError
from support.changing import Changing
from support.chunks import assert_same_bits, cut, rows
from support.clusters import LAZY, N, at_sweep, dismiss, mixture, started

import fastem
from fastem.data import dask_runner
from fastem.data.slots import SLOT_ROWS

pytestmark = [pytest.mark.process, pytest.mark.slow]


# ----------------------------------------------------------------------------------------------------------- bad input


def spoilt(X, value, row=2 * SLOT_ROWS + 321):
    X = X.copy()
    X[row, 1] = value
    return da.from_array(X, chunks=(SLOT_ROWS, 2))


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
def test_blocks_that_change_are_noticed(late, message, swept_in_python):
    with dask.config.set(scheduler="synchronous"), pytest.raises(ValueError, match=message):
        mixture().fit(LAZY.map_blocks(Changing(4, late), dtype=np.float64))


def slowly(X):
    """A tenth of a second for each block, so that a fault meets it at work."""
    threading.Event().wait(0.1)
    return X


@pytest.mark.filterwarnings("ignore")  # of Dask, about the worker
def test_a_worker_that_is_killed_does_not_show(swept_in_python):
    X = rows(N)
    memory = mixture().fit(X)
    with started(2) as two, Client(two) as client:
        first = next(iter(client.run(os.getpid).values()))
        with at_sweep(3, lambda: os.kill(first, signal.SIGKILL)):
            assert_same_bits(mixture().fit(da.from_array(X, chunks=(SLOT_ROWS, 2)).map_blocks(slowly)), memory)
        client.wait_for_workers(2, timeout=60)
        assert first not in client.run(os.getpid).values()


@pytest.mark.filterwarnings("ignore")
def test_without_workers_a_fit_ends_and_its_checkpoint_goes_on(tmp_path, monkeypatch, swept_in_python):
    """As long as a fit really waits, make torture does."""
    monkeypatch.setattr(dask_runner, "WORKERLESS_SECONDS", 2.0)
    kept = mixture(checkpoint=tmp_path / "fit.npz", checkpoint_every=0.0)
    with started(2) as two, Client(two) as client:
        lost = pytest.raises(RuntimeError, match="for 2 s the cluster has had no running workers")
        with at_sweep(4, lambda: dismiss(two, client)), lost:
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
@pytest.mark.parametrize("fault", [signal.SIGKILL, signal.SIGSTOP])
def test_without_a_scheduler_a_fit_ends_and_its_checkpoint_goes_on(fault, tmp_path, monkeypatch, swept_in_python):
    monkeypatch.setattr(dask_runner, "WORKERLESS_SECONDS", 2.0)
    monkeypatch.setattr(dask_runner, "ANSWER_SECONDS", 1.0)
    kept = mixture(checkpoint=tmp_path / "fit.npz", checkpoint_every=0.0)
    before, lost = dict(vars(kept)), "for reason: scheduler-connection-lost|for 2 s .* had no scheduler that answers"
    with served(tmp_path) as scheduler:
        told = pytest.raises(RuntimeError, match=f"({lost}); a fit with `checkpoint` goes on from its file")
        with at_sweep(4, lambda: scheduler.send_signal(fault)), told:
            kept.fit(LAZY.map_blocks(slowly))
        with pytest.raises(RuntimeError, match=lost):
            mixture().fit(LAZY)
    assert vars(kept) == before
    assert_same_bits(kept.fit(LAZY), mixture().fit(rows(N)))


def test_a_scheduler_that_is_lost_while_it_is_asked_for_results_is_told():
    class Client:
        def compute(self, tasks):
            return [SimpleNamespace(status="pending")]

        def gather(self, futures):
            raise CommClosedError("Stream is closed")

        def cancel(self, futures):
            raise OSError("there is no scheduler")

    runner = dask_runner.Runner()
    runner.client = Client()
    with pytest.raises(RuntimeError, match="for reason: scheduler-connection-lost; a fit with `checkpoint` goes on"):
        runner.all([None])


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
@pytest.mark.parametrize("fault", [deadly, greedy])
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
