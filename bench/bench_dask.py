"""A sweep on a cluster beside one in memory: what Dask adds, and where it pays.

    python bench/bench_dask.py [millions of rows of two columns]

Blocks of 2^18 rows; a quarter as many rows of eight columns are taken as well (default 4).  LocalCluster has 1, 2 and 4
processes of one thread, memory 1 and 2 threads.  All must give the same sums, bit for bit, or nothing is timed; then
medians of sweeps are shown.  The cost of a task is that of a sweep over 64 blocks of 4,096 rows, which is little work.
"""

import statistics
import sys
import time
from collections.abc import Callable
from typing import Any

import dask.array as da
import numpy as np
from distributed import Client, LocalCluster

import fastem
from fastem.data.dask_partitions import open_partitions
from fastem.data.slots import SLOT_ROWS, slot_count

SWEEPS = 7
BLOCK_ROWS = 1 << 18
SMALL_BLOCKS = 64


def clusters(d: int, k: int) -> fastem.GaussianParams:
    means = np.repeat(3.0 * np.arange(k)[:, np.newaxis], d, axis=1)
    return fastem.GaussianParams.from_variances(means, np.ones(d), "full")


def draw(n: int, d: int, k: int) -> np.ndarray:
    rng = np.random.default_rng(0)
    return rng.standard_normal((n, d)) + 3.0 * rng.integers(k, size=(n, 1))


def median_seconds(call: Callable[[], Any]) -> float:
    times = []
    for _ in range(SWEEPS):
        begun = time.perf_counter()
        call()
        times.append(time.perf_counter() - begun)
    return statistics.median(times)


def in_memory(X: np.ndarray, params: fastem.GaussianParams, n_threads: int) -> tuple[float, Any]:
    with fastem.open_rows(X, fitting=True, n_threads=n_threads) as rows:
        found = rows.sweep(params)
        return median_seconds(lambda: rows.sweep(params)), found


def on_cluster(X: np.ndarray, params: fastem.GaussianParams, memory: Any) -> tuple[float, float]:
    """Seconds of a sweep, and of a task that has next to nothing to do."""
    few = X[: SMALL_BLOCKS * SLOT_ROWS]
    seconds = []
    for part, length in ((X, BLOCK_ROWS), (few, SLOT_ROWS)):
        blocks = open_partitions(da.from_array(part, chunks=(length, X.shape[1])), None, None)
        with blocks:
            found = blocks.sweep(params)
            if part is X:
                assert found.loglik == memory.loglik
                assert np.array_equal(found.second, memory.second)
            seconds.append(median_seconds(lambda blocks=blocks: blocks.sweep(params)))
    return seconds[0], seconds[1] / SMALL_BLOCKS


def compare(n: int, d: int, k: int) -> None:
    X, params = draw(n, d, k), clusters(d, k)
    moved = 8 * params.sums_length * slot_count(n)
    print(f"n = {n}, d = {d}, k = {k}: {-(-n // BLOCK_ROWS)} blocks; {moved / 1e6:.2f} MB of sums a sweep")
    one, memory = in_memory(X, params, 1)
    print(f"  memory, 1 thread:    {one:7.4f} s a sweep")
    print(f"  memory, 2 threads:   {in_memory(X, params, 2)[0]:7.4f} s", flush=True)
    for n_workers in (1, 2, 4):
        options = {"n_workers": n_workers, "threads_per_worker": 1, "dashboard_address": ":0", "memory_limit": None}
        with LocalCluster(**options) as cluster, Client(cluster):
            sweep, task = on_cluster(X, params, memory)
            print(
                f"  Dask, {n_workers} process(es):  {sweep:7.4f} s, {sweep / one:5.2f} of one thread in memory;"
                f" {1e3 * task:.2f} ms a task of {SLOT_ROWS} rows",
                flush=True,
            )


def main(millions: float) -> None:
    compare(int(millions * 1e6), 2, 5)
    compare(int(millions * 1e6 / 4), 8, 10)


if __name__ == "__main__":
    main(float(sys.argv[1]) if len(sys.argv) > 1 else 4.0)
