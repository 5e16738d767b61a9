"""What a fit does to the process: imports, memory, threads, forks."""

import gc
import multiprocessing
import os
import shutil
import signal
import threading
import warnings
from pathlib import Path

import numpy as np
import pytest
from support.processes import python

import fastem
from fastem.kernels import numba_launch

pytestmark = pytest.mark.process

ON_FORK = pytest.mark.skipif(not hasattr(os, "fork"), reason="this system does not fork")
HANG = 60.0
"""Seconds after which a child that takes less than one is taken to hang."""
CHILDREN = 3
"""Forked at three moments of the fit."""


def test_import_is_light():
    code = "import sys, fastem; print([m for m in ('numba', 'sklearn', 'scipy', 'numpy') if m in sys.modules])"
    assert python(code).strip() == "[]"


def test_building_blocks_load_neither_numba_nor_scikit_learn():
    code = """
import sys, numpy as np, fastem
params = fastem.GaussianParams(np.ones(1), np.zeros((1, 1)), np.ones(1), "spherical")
fastem.em(lambda p: fastem.accumulate(p, [[0.0], [1.0]]), lambda stats: stats.maximize(), params)
print([m for m in ('numba', 'sklearn', 'scipy') if m in sys.modules])"""
    assert python(code).strip() == "[]"


def test_without_scikit_learn():
    """A small base stands in; fits, parameters, errors and warnings are the same."""
    code = """
import sys, warnings
sys.modules["sklearn"] = None
import numpy as np, fastem
mixture = fastem.GaussianMixture(2, tol=1e-5)
assert repr(mixture) == "GaussianMixture(n_components=2, tol=1e-05)"
assert mixture.get_params()["tol"] == 1e-5
assert mixture.set_params(tol=1e-4).tol == 1e-4
try:
    mixture.set_params(tool=1)
except ValueError as error:
    assert "Invalid parameter 'tool'" in str(error)
try:
    mixture.predict([[0.0]])
except fastem.NotFittedError as error:
    assert "is not fitted yet" in str(error)
X = [[0.0], [1.0], [5.0], [6.0]]
assert sorted(mixture.fit(X).predict(X).tolist()) == [0, 0, 1, 1]
assert mixture.n_features_in_ == 1
with warnings.catch_warnings(record=True) as caught:
    warnings.simplefilter("always")
    fastem.GaussianMixture(2, max_iter=1, tol=0.0).fit(X)
assert caught[0].category is fastem.ConvergenceWarning
print([m for m in sys.modules if m.startswith(("sklearn.", "scipy", "numba"))])"""
    assert python(code).strip() == "[]"


@ON_FORK
@pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")
def test_a_forked_child_fits(twin, monkeypatch):
    monkeypatch.setattr("fastem.kernels.backend.PARALLEL_WORK", 0)
    X = np.random.default_rng(0).normal(size=(40_000, 2))
    here = fastem.GaussianMixture(2, random_state=0, backend=twin, n_threads=2).fit(X)

    def child(queue):
        queue.put(fastem.GaussianMixture(2, random_state=0, backend=twin, n_threads=2).fit(X).means_)

    context = multiprocessing.get_context("fork")
    queue = context.Queue()
    process = context.Process(target=child, args=(queue,))
    process.start()
    try:
        np.testing.assert_array_equal(queue.get(timeout=60), here.means_)
    finally:
        process.join(10)
        process.kill()
    assert process.exitcode == 0


@ON_FORK
@pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")
@pytest.mark.parametrize("n_threads", [2, 8])
def test_a_child_that_is_forked_during_a_fit_fits(n_threads, twin, monkeypatch):
    """Its parent's threads and locks are as they were at the fork, for ever: nothing of ours may wait for them."""
    monkeypatch.setattr("fastem.kernels.backend.PARALLEL_WORK", 0)
    X = np.random.default_rng(0).normal(size=(40_000, 2))

    def fitted():
        return fastem.GaussianMixture(2, random_state=0, backend=twin, n_threads=n_threads).fit(X).means_

    here, stop = fitted(), threading.Event()

    def fit_on():
        while not stop.is_set():
            fitted()

    fitting = threading.Thread(target=fit_on)
    fitting.start()
    context = multiprocessing.get_context("fork")
    queue = context.Queue()
    children = [context.Process(target=lambda: queue.put(fitted())) for _ in range(CHILDREN)]
    try:
        for child in children:
            child.start()
        for _ in children:
            np.testing.assert_array_equal(queue.get(timeout=HANG), here)
    finally:
        stop.set()
        fitting.join()
        for child in children:
            child.join(HANG)
            child.kill()
    assert [child.exitcode for child in children] == [0] * CHILDREN


@ON_FORK
def test_a_forked_child_does_not_inherit_a_pool(monkeypatch):
    monkeypatch.setattr("fastem.kernels.backend.PARALLEL_WORK", 0)
    X = np.random.default_rng(0).normal(size=(40_000, 2))
    params = fastem.GaussianParams(np.ones(1), np.zeros((1, 2)), np.ones((1, 2)), "diag")
    with fastem.open_rows(X, n_threads=2) as rows:
        here, parents = rows.sweep(params).counts, rows.backend._helpers
        child = os.fork()
        if child == 0:
            signal.alarm(int(HANG))  # ends it
            same = np.array_equal(rows.sweep(params).counts, here)
            os._exit(0 if same and rows.backend._helpers is not parents else 1)
        assert os.waitpid(child, 0)[1] == 0


@pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")
@pytest.mark.parametrize("workers", ["loky", "threading"])
def test_workers_of_joblib_fit_with_the_bits_of_one(workers, twin):
    joblib = pytest.importorskip("joblib")
    X = np.random.default_rng(0).normal(size=(40_000, 2))
    mixture = fastem.GaussianMixture(2, random_state=0, backend=twin, n_threads=2)
    alone = mixture.fit(X).means_
    found = joblib.Parallel(n_jobs=2, backend=workers)(joblib.delayed(mixture.fit)(X) for _ in range(4))
    for each in found:
        np.testing.assert_array_equal(each.means_, alone)


def test_threads_fit_at_once_with_the_bits_of_one(twin, monkeypatch):
    monkeypatch.setattr("fastem.kernels.backend.PARALLEL_WORK", 0)
    X = np.random.default_rng(0).normal(size=(40_000, 2))
    alone = fastem.GaussianMixture(2, random_state=0, backend=twin, n_threads=2).fit(X).means_
    found = [None] * 8

    def run(i):
        found[i] = fastem.GaussianMixture(2, random_state=0, backend=twin, n_threads=2).fit(X).means_

    threads = [threading.Thread(target=run, args=(i,)) for i in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for means in found:
        np.testing.assert_array_equal(means, alone)


@pytest.mark.parametrize("error", [KeyboardInterrupt, fastem.IdentifiabilityWarning])
def test_no_thread_outlives_a_fit_that_ends_before_its_first_sweep(error, monkeypatch):
    """While equal rows of counts are found, and behind that: two trials do not tell three coins apart."""
    monkeypatch.setattr("fastem.data.distinct.CHUNK_ROWS", 1000)
    before, begun = threading.active_count(), []

    def interrupted(found, other):
        begun.append(threading.active_count())
        raise KeyboardInterrupt

    if error is KeyboardInterrupt:
        monkeypatch.setattr("fastem.data.distinct.DistinctCounts.__add__", interrupted)
    with warnings.catch_warnings(action="error"), pytest.raises(error):
        fastem.BinomialMixture(3, n_threads=2).fit(np.arange(5000) % 3, trials=2)
    assert begun in ([], [before + 1])
    assert threading.active_count() == before


def test_threads_of_rows_that_were_not_closed_end_with_them(monkeypatch):
    monkeypatch.setattr("fastem.kernels.backend.PARALLEL_WORK", 0)
    before, params = set(threading.enumerate()), fastem.GaussianParams(np.ones(1), np.zeros((1, 1)), np.ones((1, 1, 1)))
    rows = fastem.open_rows(np.zeros((20_000, 1)), n_threads=2)
    rows.sweep(params)
    (helper,) = set(threading.enumerate()) - before
    del rows
    gc.collect()
    helper.join(HANG)
    assert not helper.is_alive()


def test_no_thread_outlives_a_fit(monkeypatch):
    monkeypatch.setattr("fastem.kernels.backend.PARALLEL_WORK", 0)
    before = threading.active_count()
    fastem.GaussianMixture(2, n_threads=4).fit(np.random.default_rng(0).normal(size=(40_000, 2)))
    assert threading.active_count() == before


@pytest.fixture
def nowhere_to_cache(tmp_path):
    """The environment of a process with a copy of the package where Numba finds no directory it can write.

    Permissions do not hold the superuser back, so files stand where directories would be made.
    """
    package = Path(fastem.__file__).parent
    copy = shutil.copytree(package, tmp_path / "fastem", ignore=shutil.ignore_patterns("__pycache__"))
    (copy / "kernels" / "numba" / "__pycache__").touch()
    path = {"PYTHONPATH": str(tmp_path), "PYTHONSAFEPATH": "1"}  # the copy, and not the tree the tests run in
    return path | {"HOME": os.devnull, "XDG_CACHE_HOME": os.devnull, "NUMBA_CACHE_DIR": ""}


@pytest.mark.numba
def test_numba_kernels_compile_where_no_cache_can_be_written(nowhere_to_cache):
    code = """
import numba, numpy as np, fastem
from fastem.kernels import numba as kernels
try:
    numba.njit(cache=True)(kernels.accumulate_normal.function)
except RuntimeError as error:
    print(error)
params = fastem.GaussianParams(np.ones(1), np.zeros((1, 1)), np.ones(1), "spherical")
print(fastem.__file__, fastem.accumulate(params, [[0.0], [1.0]], backend="numba").counts)"""
    refusal, fitted = python(code, **nowhere_to_cache).splitlines()
    assert "no locator available" in refusal  # else this test is about nothing
    assert fitted == f"{nowhere_to_cache['PYTHONPATH']}/fastem/__init__.py [2.]"


@pytest.mark.numba
def test_the_number_of_threads_of_numba_is_the_callers_again(monkeypatch):
    """After every call, also one that fails."""
    numba = pytest.importorskip("numba")
    monkeypatch.setattr("fastem.kernels.backend.PARALLEL_WORK", 0)
    X, before = np.random.default_rng(0).normal(size=(20_000, 1)), numba.get_num_threads()
    numba.set_num_threads(1)
    try:
        fitted = fastem.GaussianMixture(2, backend="numba", n_threads=2, random_state=0).fit(X)
        assert numba.get_num_threads() == 1
        fitted.predict(X)
        fastem.fit_many(X.ravel(), np.arange(0, 20_001, 10), 1, backend="numba", n_threads=2)
        assert numba.get_num_threads() == 1
        with pytest.raises(ZeroDivisionError):
            numba_launch.run_numba(lambda: [numba.get_num_threads(), 1 / 0], 2, [])
        assert numba.get_num_threads() == 1
    finally:
        numba.set_num_threads(before)
