"""Rows that need not fit in memory: a mapped file, chunks, Parquet.  Each gives the bits of the fit in memory."""

import tempfile
from collections.abc import Iterator
from pathlib import Path

import numpy as np

import fastem

ROWS = 200_000
CHUNK = 30_000
CENTERS = np.array([[-4.0, 0.0], [0.0, 3.0], [4.0, -1.0]])


def draw(rng: np.random.Generator) -> np.ndarray:
    """Three clusters in the plane, (ROWS, 2)."""
    return CENTERS[rng.integers(3, size=ROWS)] + rng.standard_normal((ROWS, 2))


def mixture() -> fastem.GaussianMixture:
    return fastem.GaussianMixture(3, random_state=0, tol=1e-6)


def from_mapped_file(path: Path) -> fastem.GaussianMixture:
    """A .npy file is read where it is, and its pages are given back."""
    return mixture().fit(np.load(path, mmap_mode="r"))


def from_chunks(path: Path) -> fastem.GaussianMixture:
    """Anything that gives the rows, the same in each sweep: a function that returns an iterator."""

    def chunks() -> Iterator[np.ndarray]:
        X = np.load(path, mmap_mode="r")
        yield from (X[begin : begin + CHUNK] for begin in range(0, len(X), CHUNK))

    return mixture().fit(chunks=chunks)


def from_parquet(path: Path, X: np.ndarray) -> fastem.GaussianMixture | None:
    """Columns of a file, a folder of files or a data set; after the first pass the cache is read in their place."""
    try:
        import pyarrow
        from pyarrow import parquet
    except ImportError:
        return None
    parquet.write_table(pyarrow.table({"east": X[:, 0], "north": X[:, 1]}), path)
    rows = fastem.from_arrow(path, ["east", "north"], cache=path.with_suffix(".npy"))
    return mixture().fit(chunks=rows)


def same_bits(a: fastem.GaussianMixture, b: fastem.GaussianMixture) -> bool:
    return a.loglik_ == b.loglik_ and np.array_equal(a.means_, b.means_)


def verdict(memory: fastem.GaussianMixture, found: dict[str, fastem.GaussianMixture | None]) -> str:
    off = np.abs(memory.means_[memory.means_[:, 0].argsort()] - CENTERS).max()
    places = ", ".join(name for name, fitted in found.items() if fitted and same_bits(fitted, memory))
    return f"{places}: the fit of {ROWS:,} rows in memory, to the last bit; means at most {off:.1g} from the truth"


def main() -> tuple[str, list[Path]]:
    """-> the verdict, and no pictures."""
    X = draw(np.random.default_rng(0))
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "rows.npy"
        np.save(path, X)
        found = {
            "a mapped file": from_mapped_file(path),
            f"chunks of {CHUNK} rows": from_chunks(path),
            "Parquet": from_parquet(Path(folder) / "columns.parquet", X),
        }
    memory = mixture().fit(X)
    print(f"{ROWS} rows in memory: log likelihood {memory.loglik_:.6f}, {memory.n_sweeps_} sweeps")
    for name, fitted in found.items():
        if fitted is None:
            print(f"{name}: needs pyarrow")
            continue
        assert same_bits(fitted, memory)
        print(f"{name}: the same to the last bit")
    return verdict(memory, found), []


if __name__ == "__main__":
    main()
