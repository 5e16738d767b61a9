"""Rows that need not fit in memory: seconds of a sweep beside rows in memory, and memory.

    python bench/bench_chunks.py [rows of one column, in millions] [folder]

A tenth as many rows of eight columns are taken as well (default 200: files of 1.6 and 1.28 GB), in files that are
deleted behind it.  Each way to read them runs in a process of its own, on a file that is in the page cache; all must
give the same sums, bit for bit, or nothing is shown.  Memory is the most that the process had resident, pages of the
file included, over what it had before it opened the rows.
"""

import json
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
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


def measure(way: str, path: Path, k: int) -> dict[str, Any]:
    """In a process of its own."""
    if way == "scan":
        return {"seconds": statistics.median(seconds(lambda: scan(path)) for _ in range(SWEEPS))}
    d = np.load(path, mmap_mode="r").shape[1]
    means = np.repeat(3.0 * np.arange(k)[:, np.newaxis], d, axis=1)
    params = fastem.NormalParams.from_variances(means, np.ones(d), "full")
    fastem.accumulate(params, np.zeros((1, d)))
    if way in ("parquet", "cached"):
        from pyarrow import dataset  # noqa: F401 - a matter of the interpreter, as NumPy is
    before = most_resident()
    begin = time.perf_counter()
    with opened(way, path) as rows:
        opening = time.perf_counter() - begin
        stats = rows.sweep(params)
        times = [seconds(lambda: rows.sweep(params)) for _ in range(SWEEPS)]
    return {
        "opening": opening,
        "seconds": statistics.median(times),
        "memory": most_resident() - before,
        "answer": [stats.loglik.hex(), stats.first.sum().hex(), stats.second.sum().hex()],
    }


def in_process(way: str, path: Path, k: int) -> dict[str, Any]:
    command = [sys.executable, __file__, "--one", way, str(path), str(k)]
    return json.loads(subprocess.run(command, capture_output=True, text=True, check=True).stdout)


def compare(path: Path, n: int, d: int, k: int) -> None:
    draw(path, n, d, k)
    to_parquet(path)
    found = {way: in_process(way, path, k) for way in WAYS}
    assert all(each["answer"] == found["memory"]["answer"] for each in found.values())
    print(f"n = {n}, d = {d}, k = {k}: {8e-9 * n * d:.2f} GB; all sums have the same bits")
    for way, each in found.items():
        share, rate = found["memory"]["seconds"] / each["seconds"], n / each["seconds"] / 1e6
        print(
            f"  {way:8} opening {each['opening']:6.2f} s, sweep {each['seconds']:6.3f} s ({rate:5.1f} million rows/s,"
            f" {share:4.2f} of the speed in memory), {each['memory']:6.0f} MB"
        )
    print(f"  Arrow's own scan of the columns: {n / in_process('scan', path, k)['seconds'] / 1e6:5.1f} million rows/s")


def main(millions: float, folder: str | None) -> None:
    for share, d, k in ((1.0, 1, 3), (0.1, 8, 10)):
        with tempfile.TemporaryDirectory(dir=folder) as place:
            compare(Path(place) / "rows.npy", int(share * millions * 1e6), d, k)


if __name__ == "__main__":
    if sys.argv[1:2] == ["--one"]:
        print(json.dumps(measure(sys.argv[2], Path(sys.argv[3]), int(sys.argv[4]))))
    else:
        main(float(sys.argv[1]) if len(sys.argv) > 1 else 200.0, sys.argv[2] if len(sys.argv) > 2 else None)
