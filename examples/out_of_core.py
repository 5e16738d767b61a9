"""Data that need not fit into memory: how a package of your own uses fastem as its backend.

Statistics of chunks, taken at the same parameters, add to those of the whole; `fastem.em` takes anything that makes
statistics of parameters.  Here a sweep reads a memory-mapped .npy file chunk by chunk.
"""

import tempfile
from functools import reduce
from operator import add
from pathlib import Path

import numpy as np

import fastem

ROWS = 200_000
CHUNK = 1 << 15


def sweep_file(path: Path, params: fastem.NormalParams) -> fastem.NormalStats:
    """The statistics of all rows of a file, which is read a chunk at a time."""
    X = np.load(path, mmap_mode="r")
    chunks = (X[begin : begin + CHUNK] for begin in range(0, len(X), CHUNK))
    return reduce(add, (fastem.accumulate(params, chunk) for chunk in chunks))


def fit_file(path: Path, start: fastem.NormalParams) -> fastem.Fit:
    return fastem.em(lambda params: sweep_file(path, params), lambda stats: stats.maximize(), start, tol=1e-6)


def fit_memory(X: np.ndarray, start: fastem.NormalParams) -> fastem.GaussianMixture:
    mixture = fastem.GaussianMixture(
        len(start.weights),
        tol=1e-6,
        weights_init=start.weights,
        means_init=start.means,
        precisions_init=start.precisions(),
    )
    return mixture.fit(X)


def draw(rng: np.random.Generator) -> np.ndarray:
    """Three clusters in the plane, (ROWS, 2)."""
    centers = np.array([[-4.0, 0.0], [0.0, 3.0], [4.0, -1.0]])
    return centers[rng.integers(3, size=ROWS)] + rng.standard_normal((ROWS, 2))


def largest_difference(found: fastem.Fit, mixture: fastem.GaussianMixture) -> float:
    params = found.params
    pairs = [
        (params.weights, mixture.weights_),
        (params.means, mixture.means_),
        (params.covariances, mixture.covariances_),
    ]
    return max(float(np.abs(a - b).max()) for a, b in pairs)


def main() -> None:
    X = draw(np.random.default_rng(0))
    start = fastem.NormalParams(np.full(3, 1 / 3), X[:3].copy(), np.tile(np.eye(2), (3, 1, 1)))
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "rows.npy"
        np.save(path, X)
        found = fit_file(path, start)
    mixture = fit_memory(X, start)
    difference = largest_difference(found, mixture)
    print(f"{-(-ROWS // CHUNK)} chunks of a file: log likelihood {found.loglik:.6f}, {found.n_iter} iterations")
    print(f"all rows in memory:   log likelihood {mixture.loglik_:.6f}, {mixture.n_iter_} iterations")
    print(f"largest difference of a parameter: {difference:.1e}")
    assert difference < 1e-10


if __name__ == "__main__":
    main()
