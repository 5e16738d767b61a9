"""How many threads: argument, then environment, then the cores and the CPU quota of the process."""

import math
import os
import time
from concurrent.futures import ThreadPoolExecutor
from threading import Barrier

import numpy as np
import pytest

import fastem
from fastem.kernels import threads
from fastem.kernels.helpers import Helpers
from fastem.kernels.threads import granted, read_quota, thread_count, thread_rule
from fastem.kernels.twins import cython_twin


@pytest.fixture(autouse=True)
def bare(monkeypatch):
    """No variables, four cores, no quota."""
    for name in ("FASTEM_NUM_THREADS", "OMP_NUM_THREADS"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(threads, "usable_cores", lambda: 4)
    monkeypatch.setattr(threads, "cpu_quota", lambda: math.inf)


@pytest.mark.parametrize(
    ("environment", "expected"),
    [
        ({"FASTEM_NUM_THREADS": "3", "OMP_NUM_THREADS": "5"}, (3, "FASTEM_NUM_THREADS")),
        ({"FASTEM_NUM_THREADS": "", "OMP_NUM_THREADS": "5"}, (5, "OMP_NUM_THREADS")),
        ({"OMP_NUM_THREADS": " 6 , 2"}, (6, "OMP_NUM_THREADS")),
        ({"OMP_NUM_THREADS": "many"}, (4, "cores this process may use")),
        ({"OMP_NUM_THREADS": "0"}, (4, "cores this process may use")),
        ({}, (4, "cores this process may use")),
    ],
)
def test_our_variable_comes_before_openmps_before_the_cores(environment, expected, monkeypatch):
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    assert thread_rule(None) == expected
    assert thread_rule(7) == (7, "n_threads")


@pytest.mark.parametrize("value", ["abc", "0", "-1", "2.5", "4,2"])
def test_a_malformed_variable_of_ours_is_refused(value, monkeypatch):
    monkeypatch.setenv("FASTEM_NUM_THREADS", value)
    with pytest.raises(ValueError, match=f"FASTEM_NUM_THREADS must be a whole number of at least 1, got '{value}'"):
        thread_count(None)
    assert thread_count(2) == 2


@pytest.mark.parametrize(("quota", "expected"), [(0.1, 1), (1.0, 1), (1.5, 2), (3.01, 4), (4.0, 4), (9.0, 4)])
def test_the_quota_is_rounded_up_and_never_adds_cores(quota, expected, monkeypatch):
    monkeypatch.setattr(threads, "cpu_quota", lambda: quota)
    assert thread_count(None) == expected
    assert ("quota" in granted(4, quota).reason) == (quota < 4)


def test_the_affinity_of_this_process_is_what_counts(monkeypatch):
    monkeypatch.undo()
    monkeypatch.setattr("os.sched_getaffinity", lambda pid: {3, 5, 8}, raising=False)
    assert threads.usable_cores() == 3


# ------------------------------------------------------------------------------------------------- control groups


V1 = "cpu.cfs_quota_us", "cpu.cfs_period_us"


@pytest.fixture
def quota_of(tmp_path):
    """The quota of a process whose `cgroup` file reads `groups`, under a mount with these files."""

    def read(groups, files):
        for name, text in files.items():
            path = tmp_path / "mounted" / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text)
        (tmp_path / "groups").write_text(groups)
        return read_quota(tmp_path / "groups", tmp_path / "mounted")

    return read


def test_version_2_grants_the_least_of_a_group_and_those_above(quota_of):
    files = {"cpu.max": "max 100000\n", "a/cpu.max": "150000 100000\n", "a/b/cpu.max": "400000 100000\n"}
    assert quota_of("0::/a/b\n", files) == 1.5
    assert quota_of("0::/\n", files) == math.inf


def test_version_1_is_read_where_the_cpu_controller_is(quota_of):
    files = {f"cpu/job/{name}": text for name, text in zip(V1, ("250000\n", "100000\n"), strict=True)}
    files |= {f"cpu/{name}": text for name, text in zip(V1, ("-1\n", "100000\n"), strict=True)}
    assert quota_of("5:memory:/other\n3:cpuacct,cpu:/job\n0::/\n", files) == 2.5
    assert quota_of("5:memory:/job\n3:cpuset:/job\n", files) == math.inf


def test_in_a_container_the_topmost_group_is_its_own(quota_of):
    assert quota_of("0::/of/the/host\n", {"cpu.max": "50000 100000\n"}) == 0.5


@pytest.mark.parametrize("text", ["", "max\n", "100000 0\n", "-1 100000\n", "lots of it\n", "1 2 3\n", "\x00"])
def test_what_cannot_be_read_grants_all(text, quota_of, tmp_path):
    assert quota_of("0::/\n", {"cpu.max": text}) == math.inf
    assert quota_of("no group\n1:\n", {"cpu.max": "1 2\n"}) == math.inf
    assert read_quota(tmp_path / "nowhere", tmp_path) == math.inf


def test_the_quota_is_read_once(tmp_path, monkeypatch):
    monkeypatch.undo()
    reads = []
    monkeypatch.setattr(threads, "read_quota", lambda *paths: reads.append(paths) or 1.0)
    threads.cpu_quota.cache_clear()
    try:
        assert [threads.cpu_quota(), threads.cpu_quota()] == [1.0, 1.0]
    finally:
        threads.cpu_quota.cache_clear()
    assert reads == [(threads.GROUPS_OF_PROCESS, threads.GROUPS_MOUNTED)]


# ------------------------------------------------------------------------------------------------- where helpers run

ON_LINUX = pytest.mark.skipif(not hasattr(os, "sched_setaffinity"), reason="Linux alone lets threads choose cores")


def cores_of_helper(helpers, caller_core):
    found = []
    helpers.submit(caller_core, lambda: found.append(os.sched_getaffinity(0))).result()
    return found[0]


@ON_LINUX
def test_helpers_keep_off_the_core_of_their_caller_also_when_it_has_moved():
    mine = os.sched_getaffinity(0)
    helpers = Helpers(1)
    with helpers.pool:
        for core in [*mine, min(mine)]:
            assert cores_of_helper(helpers, core) == (mine - {core} or mine)
        for nowhere in (-1, 10**6):
            assert cores_of_helper(helpers, nowhere) == mine
    assert os.sched_getaffinity(0) == mine


@ON_LINUX
def test_many_helpers_have_all_cores():
    """Where they are more than the other cores they would crowd these, and leave the caller's to it alone."""
    mine = os.sched_getaffinity(0)
    helpers = Helpers(len(mine))
    with helpers.pool:
        assert cores_of_helper(helpers, min(mine)) == mine


@ON_LINUX
def test_a_sandbox_that_forbids_to_choose_cores_is_no_trouble(monkeypatch):
    def refuse(thread, cores):
        raise PermissionError(1, "Operation not permitted")

    monkeypatch.setattr(os, "sched_setaffinity", refuse)
    monkeypatch.setattr("fastem.kernels.backend.PARALLEL_WORK", 0)
    X = np.random.default_rng(0).normal(size=(10_000, 1))
    assert fastem.GaussianMixture(2, n_threads=2, random_state=0).fit(X).n_sweeps_ > 1


@ON_LINUX
def test_helpers_of_a_caller_with_one_core_share_it():
    only = min(os.sched_getaffinity(0))

    def alone():
        os.sched_setaffinity(0, {only})
        helpers = Helpers(1)
        with helpers.pool:
            return cores_of_helper(helpers, only)

    with ThreadPoolExecutor(1) as pool:
        assert pool.submit(alone).result() == {only}


@ON_LINUX
def test_the_core_of_the_caller_is_one_of_its_cores():
    assert cython_twin().core_of_caller() in os.sched_getaffinity(0)


@pytest.mark.numba
def test_threads_that_meet_a_numba_kernel_first_compile_it_once():
    jit = pytest.importorskip("fastem.kernels.numba.jit")
    compiled, together = [], Barrier(4)

    class Slow(jit.Kernel):
        def compile(self, dtype):
            compiled.append(dtype)
            time.sleep(0.05)
            self.dispatchers[dtype] = lambda *arguments: None
            return self.dispatchers[dtype]

    kernel = Slow(lambda X: None, False, lambda *arguments: 1)

    def call():
        together.wait()
        kernel(np.ones((1, 1)))

    with ThreadPoolExecutor(4) as pool:
        for future in [pool.submit(call) for _ in range(4)]:
            future.result()
    assert compiled == [np.dtype(np.float64)]
