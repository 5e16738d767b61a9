"""Rows that need not fit in memory: seconds of a sweep beside rows in memory, and memory.

    python bench/bench_chunks.py [rows of one column, in millions] [folder]

A tenth as many rows of eight columns are taken as well (default 200: files of 1.6 and 1.28 GB), in files that are
deleted behind it.  Files are in the page cache.  All ways to read them must give the same sums, bit for bit, or nothing
is timed; then they are swept in turns, for a busy minute to fall on all alike, and medians are shown.  Memory is taken
in a process for each: the most that was resident, pages of the file included, over that before the rows were opened.
"""

import importlib
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

import fastem

SWEEPS = 5
CHUNK = 1_000_000
WAYS = ("memory", "mapped", "chunks", "parquet", "cached")


def draw(path: Path, n: int, d: int, k: int) -> None:
    """k clusters, three standard deviations apart, written block by block."""
    rng = np.random.default_rng(0)
    X = np.lib.format.open_memmap(path, "w+", np.float64, (n, d))
    for begin in range(0, n, CHUNK):
        part = X[begin : begin + CHUNK]
        part[...] = rng.standard_normal(part.shape) + 3.0 * rng.integers(k, size=(len(part), 1))
    X.flush()


def to_parquet(path: Path) -> None:
    import pyarrow
    from pyarrow import parquet

    X = np.load(path, mmap_mode="r")
    names = [f"x{i}" for i in range(X.shape[1])]
    schema = pyarrow.schema([(name, pyarrow.float64()) for name in names])
    with parquet.ParquetWriter(path.with_suffix(".parquet"), schema) as out:
        for begin in range(0, len(X), CHUNK):
            out.write_table(pyarrow.table(dict(zip(names, X[begin : begin + CHUNK].T.copy(), strict=True))))


def opened(way: str, path: Path) -> AbstractContextManager[Any]:
    """Rows to be swept."""
    if way in ("memory", "mapped"):
        return fastem.open_rows(np.load(path, mmap_mode="r" if way == "mapped" else None), fitting=True)
    if way == "chunks":

        def chunks() -> Iterator[np.ndarray]:
            X = np.load(path, mmap_mode="r")
            yield from (X[begin : begin + CHUNK] for begin in range(0, len(X), CHUNK))

        return fastem.open_chunks(chunks, fitting=True)
    columns = [f"x{i}" for i in range(np.load(path, mmap_mode="r").shape[1])]
    cache = path.with_suffix(".cache.npy") if way == "cached" else None
    return fastem.open_chunks(fastem.from_arrow(path.with_suffix(".parquet"), columns, cache=cache), fitting=True)


def most_resident() -> float:
    """MB."""
    line = next(line for line in Path("/proc/self/status").read_text().splitlines() if line.startswith("VmHWM"))
    return int(line.split()[1]) / 1000


def seconds(call: Callable[[], Any]) -> float:
    begin = time.perf_counter()
    call()
    return time.perf_counter() - begin


def scan(path: Path) -> int:
    """What Arrow takes to hand over all columns, and nothing else."""
    from pyarrow import dataset

    return sum(len(batch) for batch in dataset.dataset(path.with_suffix(".parquet")).to_batches(batch_size=1 << 17))


def clusters(k: int, path: Path) -> fastem.GaussianParams:
    d = np.load(path, mmap_mode="r").shape[1]
    means = np.repeat(3.0 * np.arange(k)[:, np.newaxis], d, axis=1)
    return fastem.GaussianParams.from_variances(means, np.ones(d), "full")


def in_turns(path: Path, k: int) -> dict[str, float]:
    """way -> seconds of a sweep; of Arrow's scan where it is alone."""
    params = clusters(k, path)
    with ExitStack() as stack:
        rows = {way: stack.enter_context(opened(way, path)) for way in WAYS}
        sums = {way: each.sweep(params) for way, each in rows.items()}
        for each in sums.values():
            assert each.loglik == sums["memory"].loglik
            assert np.array_equal(each.second, sums["memory"].second)
        calls = {way: partial(each.sweep, params) for way, each in rows.items()} | {"scan": partial(scan, path)}
        turns = [{way: seconds(call) for way, call in calls.items()} for _ in range(SWEEPS)]
    return {way: statistics.median(turn[way] for turn in turns) for way in calls}


def memory_taken(way: str, path: Path, k: int) -> float:
    """MB, of this process."""
    params = clusters(k, path)
    fastem.accumulate(params, np.zeros((1, params.n_features)))
    importlib.import_module("pyarrow.dataset")
    before = most_resident()
    with opened(way, path) as rows:
        rows.sweep(params)
    return most_resident() - before


def in_process(way: str, path: Path, k: int) -> float:
    command = [sys.executable, __file__, "--memory", way, str(path), str(k)]
    return float(subprocess.run(command, capture_output=True, text=True, check=True).stdout)


def compare(path: Path, n: int, d: int, k: int) -> None:
    draw(path, n, d, k)
    to_parquet(path)
    times = in_turns(path, k)
    print(f"n = {n}, d = {d}, k = {k}: {8e-9 * n * d:.2f} GB; all sums have the same bits")
    for way in WAYS:
        print(
            f"  {way:8} {times[way]:6.3f} s a sweep, {n / times[way] / 1e6:5.1f} million rows/s,"
            f" {times['memory'] / times[way]:4.2f} of the speed in memory, {in_process(way, path, k):5.0f} MB"
        )
    print(f"  Arrow's own scan of the columns: {n / times['scan'] / 1e6:5.1f} million rows/s", flush=True)


def main(millions: float, folder: str | None) -> None:
    for share, d, k in ((1.0, 1, 3), (0.1, 8, 10)):
        with tempfile.TemporaryDirectory(dir=folder) as place:
            compare(Path(place) / "rows.npy", int(share * millions * 1e6), d, k)


if __name__ == "__main__":
    if sys.argv[1:2] == ["--memory"]:
        print(memory_taken(sys.argv[2], Path(sys.argv[3]), int(sys.argv[4])))
    else:
        main(float(sys.argv[1]) if len(sys.argv) > 1 else 200.0, sys.argv[2] if len(sys.argv) > 2 else None)
