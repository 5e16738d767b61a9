"""How many rows a start needs: default fits from starts on a part of the rows, beside those from starts on all.

    python bench/start_rows.py [number of mixtures, default 40]

The random mixtures of bench/kmeans.py, with n = 200,000 rows.  The figures are the mean log likelihood per row at the
end of a fit less that of a start on all rows, and the median share of the seconds of the fit that the start took.
"""

import sys
import time
import warnings

import numpy as np
from random_mixtures import draw

import fastem
from fastem.data import kmeans
from fastem.families.gaussian import starts

N = 200_000
SIZES = (2_048, 4_096, 8_192, 16_384, 32_768, 65_536, N)
TIE = 1e-6
"""Log likelihoods per row closer than this are equal: the stop rule leaves more to gain."""


def fit(X: np.ndarray, k: int, seed: int, rows: int) -> tuple[float, float, float]:
    """-> log likelihood per row, seconds of the start, seconds of the fit with it."""
    kmeans.START_ROWS = rows
    with fastem.open_rows(X, fitting=True) as opened:
        begin = time.perf_counter()
        rng = np.random.default_rng(seed)
        starts.partition_start(opened, k, "full", method="kmeans", reg_covar=0.0, rng=rng)
        middle = time.perf_counter()
    found = fastem.GaussianMixture(k, init_params="kmeans", reg_covar=0.0, random_state=seed).fit(X)
    return found.loglik_ / N, middle - begin, time.perf_counter() - middle


def main() -> None:
    warnings.simplefilter("ignore")
    results = []
    for seed in range(int(sys.argv[1]) if len(sys.argv) > 1 else 40):
        X, k, separation = draw(np.random.default_rng(seed), N)
        results.append([fit(X, k, seed, rows) for rows in SIZES])
        gains = "".join(f" {loglik - results[-1][-1][0]:+.4f}" for loglik, _, _ in results[-1])
        print(f"d {X.shape[1]:2d}  k {k:2d}  separation {separation:.0f}  gains{gains}", flush=True)
    logliks, begins, wholes = np.moveaxis(np.array(results), 2, 0)
    for rows, loglik, begin, whole in zip(SIZES, logliks.T, begins.T, wholes.T, strict=True):
        gains = loglik - logliks[:, -1]
        print(
            f"{rows:6d} rows: mean gain {gains.mean():+.5f}, median {np.median(gains):+.6f},"
            f" better {(gains > TIE).sum()}, worse {(gains < -TIE).sum()},"
            f" start {np.median(begin / whole):.0%} of a fit of {np.median(whole):.2f} s"
        )


if __name__ == "__main__":
    main()
