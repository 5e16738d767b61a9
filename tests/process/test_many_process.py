"""What fit_many does to the process: threads, forks, Ctrl-C, mapped files."""

import os
import signal
import subprocess
import sys
import threading
import time
from functools import partial

import numpy as np
import pytest
from support.groups import all_families, assert_equal_bits, offsets_of

from fastem import fit_many
from fastem.families.registry import NAMES
from fastem.kernels.backend import Backend

pytestmark = pytest.mark.process

SIZES = (64, 129, 200) * 40


@pytest.fixture
def shares(monkeypatch):
    """Small ones, a few at a time: so that few rows keep threads busy, in several turns."""
    monkeypatch.setattr("fastem.kernels.backend.SHARE_ROWS", 500)
    monkeypatch.setattr("fastem.kernels.backend.SHARES_AT_A_TIME", 2)


def fitted(twin, kind="gaussian", n_threads=2):
    rows, offsets, fit = all_families(sizes=SIZES)[kind]
    return fit(rows, offsets, backend=twin, n_threads=n_threads)


def fitted_columns(twin, n_threads=2):
    X = np.random.default_rng(0).standard_normal((sum(SIZES), 2))
    return fit_many(X, offsets_of(SIZES), 2, backend=twin, n_threads=n_threads)


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system does not fork")
@pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")
@pytest.mark.parametrize("fitted", [*(partial(fitted, kind=kind) for kind in NAMES), fitted_columns])
def test_a_child_that_is_forked_during_a_call_fits(fitted, twin, shares):
    here, stop = fitted(twin), threading.Event()

    def fit_on():
        while not stop.is_set():
            fitted(twin)

    fitting = threading.Thread(target=fit_on)
    fitting.start()
    try:
        child = os.fork()
        if child == 0:
            signal.alarm(60)  # ends it
            os._exit(0 if np.array_equal(fitted(twin).weights, here.weights) else 1)
        assert os.waitpid(child, 0)[1] == 0
    finally:
        stop.set()
        fitting.join()


@pytest.mark.parametrize("fitted", [fitted, fitted_columns])
def test_threads_fit_at_once_with_the_bits_of_one(fitted, twin, shares):
    alone, found = fitted(twin, n_threads=1), [None] * 4

    def run(i):
        found[i] = fitted(twin)

    threads = [threading.Thread(target=run, args=(i,)) for i in range(len(found))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for each in found:
        assert_equal_bits(alone, each)


def test_no_thread_outlives_a_call(shares):
    before = threading.active_count()
    fitted("cython", n_threads=4)
    assert threading.active_count() == before


@pytest.mark.parametrize(
    ("fit", "backend"),
    [(fitted, "cython"), (fitted_columns, "cython"), pytest.param(fitted_columns, "numba", marks=pytest.mark.numba)],
)
def test_an_interruption_leaves_no_thread_at_work(fit, backend, shares, monkeypatch):
    """The second turn of shares is interrupted: no kernel runs behind it, and what is raised is the interruption."""
    each, before, turns = Backend.each, threading.active_count(), []

    def interrupted(runner, call, items):
        turns.append(len(items))
        if len(turns) == 2:
            raise KeyboardInterrupt
        return each(runner, call, items)

    monkeypatch.setattr(Backend, "each", interrupted)
    with pytest.raises(KeyboardInterrupt):
        fit(backend)
    assert turns == [4, 4]
    assert threading.active_count() == before


LONG = """
import sys
import numpy as np
from fastem import fit_many

values = np.random.default_rng(0).normal(size=1 << 22)
fit = lambda offsets, n_iter: fit_many(values[: offsets[-1]], offsets, 2, tol=0.0, max_iter=n_iter, backend=sys.argv[1])
offsets = np.arange(0, len(values) + 1, 128)
fit(offsets[:1025], 1)  # compiles
print("ready", flush=True)
try:
    fit(offsets, 10_000)
    print("returned")
except KeyboardInterrupt:
    print("raised")
"""


@pytest.mark.skipif(os.name == "nt", reason="signals of POSIX")
def test_ctrl_c_ends_a_long_call(twin):
    """It takes minutes, and is not waited for."""
    with subprocess.Popen([sys.executable, "-c", LONG, twin], stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout.readline() == "ready\n"
        time.sleep(0.5)
        process.send_signal(signal.SIGINT)
        try:
            how = process.communicate(timeout=60)[0]
        finally:
            process.kill()
    assert (process.returncode, how) == (0, "raised\n")


def test_a_mapped_file_has_the_bits_of_memory(tmp_path, twin, shares):
    rows, offsets, fit = all_families(sizes=SIZES)["gaussian"]
    path = tmp_path / "values.npy"
    np.save(path, rows)
    mapped = np.load(path, mmap_mode="r")
    assert_equal_bits(fit(rows, offsets, backend=twin), fit(mapped, offsets, backend=twin))
    with path.open("r+b") as file:
        file.truncate(4096)
    with pytest.raises(ValueError, match=r"values\.npy has 4096 bytes, but had .* rows are lost"):
        fit_many(mapped, offsets, 2, backend=twin)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_a_mapped_file_of_columns_has_the_bits_of_memory(dtype, tmp_path, twin, shares):
    X, path = np.random.default_rng(0).standard_normal((sum(SIZES), 2)).astype(dtype), tmp_path / "values.npy"
    np.save(path, X)
    mapped = np.load(path, mmap_mode="r")
    fits = (fit_many(values, offsets_of(SIZES), 2, backend=twin) for values in (X, mapped))
    assert_equal_bits(*fits)
    with path.open("r+b") as file:
        file.truncate(4096)
    with pytest.raises(ValueError, match=r"values\.npy has 4096 bytes, but had .* rows are lost"):
        fit_many(mapped, offsets_of(SIZES), 2, backend=twin)
