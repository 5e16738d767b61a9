"""Many threads that each fit with threads of their own, beside the same fits one after the other.

    python bench/oversubscription.py

Eight Python threads, each fitting with n_threads=2, against eight such fits in turn; the answers have the same bits.
Medians of interleaved repeats.
"""

import os
import statistics
import warnings
from concurrent.futures import ThreadPoolExecutor

import measure
import numpy as np
from cases import TWINS
from sklearn.base import clone

import fastem

THREADS, N_THREADS, REPEATS = 8, 2, 7
N, D, K = 300_000, 2, 5


def compare(mixture: fastem.GaussianMixture, X: np.ndarray) -> tuple[float, float]:
    """Seconds in turn and at once, when both have been seen to give the same bits."""
    alone = clone(mixture).fit(X).means_

    def fit(_: int) -> None:
        np.testing.assert_array_equal(clone(mixture).fit(X).means_, alone)

    def at_once() -> None:
        with ThreadPoolExecutor(THREADS) as pool:
            list(pool.map(fit, range(THREADS)))

    def in_turn() -> None:
        for index in range(THREADS):
            fit(index)

    times = [(measure.seconds(in_turn), measure.seconds(at_once)) for _ in range(REPEATS)]
    return statistics.median(a for a, _ in times), statistics.median(b for _, b in times)


def main() -> None:
    warnings.simplefilter("ignore")  # 20 iterations are not for convergence
    rng = np.random.default_rng(0)
    X = rng.normal(size=(N, D)) + rng.integers(0, K, (N, 1)) * 4.0
    for twin in TWINS:
        mixture = fastem.GaussianMixture(K, max_iter=20, tol=0.0, random_state=0, backend=twin, n_threads=N_THREADS)
        in_turn, at_once = compare(mixture, X)
        print(
            f"{twin}: {THREADS} fits in turn {in_turn:.2f} s, at once {at_once:.2f} s: {at_once / in_turn:.2f} x"
            f" ({os.cpu_count()} cores)"
        )


if __name__ == "__main__":
    main()
