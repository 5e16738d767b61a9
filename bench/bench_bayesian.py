"""BayesianGaussianMixture beside scikit-learn's: whole fits of rdt's case, and iterations of many rows.

    python bench/bench_bayesian.py [seed, default 0]

Before anything is timed, both run some iterations from equal starts, and posteriors and bounds are compared.  The first
line is a column of 100,000 rows as rdt's ClusterBasedNormalizer fits it: k = 10, a Dirichlet process with a
concentration of 0.001, one start; each package from its own start.  The others are one iteration, from fits of two
lengths.  Times are medians of turns, one after the other.
"""

import statistics
import sys
import time
import warnings

import numpy as np
from sklearn.mixture import BayesianGaussianMixture as Theirs

from fastem import BayesianGaussianMixture

RDT = {"n_components": 10, "weight_concentration_prior": 0.001, "n_init": 1, "random_state": 0}
CASES = ((100_000, 1), (1_000_000, 1), (500_000, 8))
K, SHORT, LONG, TURNS = 10, 1, 4, 3
RTOL = 1e-8


class FromThatStart(Theirs):
    """Theirs, begun where ours begins."""

    def _initialize_parameters(self, X, random_state, xp=None):
        for name in ("weight_concentration_", "mean_precision_", "means_", "degrees_of_freedom_", "covariances_"):
            setattr(self, name, getattr(self.started, name))
        self.precisions_cholesky_ = self.started.precisions_cholesky_


def rows(n: int, d: int, rng: np.random.Generator) -> np.ndarray:
    """Return rows of five components, one of them skewed."""
    centers = rng.normal(0, 4, (5, d))
    X = centers[rng.integers(5, size=n)] + rng.standard_normal((n, d)) * rng.uniform(0.5, 1.5, d)
    X[: n // 5] += rng.gamma(2.0, 1.0, (n // 5, d))
    return X


def check_equal(X: np.ndarray) -> None:
    """Raise AssertionError where both lead to other posteriors from the same start."""
    settings = RDT | {"max_iter": SHORT + 1, "tol": 0.0}
    ours, theirs = BayesianGaussianMixture(**settings).fit(X), FromThatStart(**settings)
    theirs.started = BayesianGaussianMixture(**settings | {"max_iter": 0}).fit(X)
    theirs.fit(X)
    for name in ("weights_", "means_", "covariances_", "lower_bound_"):
        np.testing.assert_allclose(getattr(ours, name), getattr(theirs, name), rtol=RTOL, atol=RTOL, err_msg=name)


def seconds(kind: type, X: np.ndarray, **settings: float) -> tuple[float, BayesianGaussianMixture | Theirs]:
    """Time a fit, and return it."""
    begin = time.perf_counter()
    fitted = kind(**RDT | settings).fit(X)
    return time.perf_counter() - begin, fitted


def whole(X: np.ndarray) -> str:
    """Return the line of whole fits."""
    turns = [(seconds(BayesianGaussianMixture, X), seconds(Theirs, X)) for _ in range(TURNS)]
    ours, theirs = (statistics.median(each[i][0] for each in turns) for i in range(2))
    found = turns[0][0][1], turns[0][1][1]
    ends = " | ".join(f"{each.n_iter_} | {each.lower_bound_ / len(X):.5f}" for each in found)
    return f"| {len(X)} | {X.shape[1]} | whole fit | {ours:.3f} s | {theirs:.1f} s | {theirs / ours:.0f} | {ends} |"


def iteration(X: np.ndarray) -> str:
    """Return the line of one iteration."""

    def one(kind: type) -> float:
        few, many = (seconds(kind, X, max_iter=most, tol=0.0)[0] for most in (SHORT, LONG))
        return (many - few) / (LONG - SHORT)

    def ours() -> float:  # as many iterations as take a measurable time
        few, many = (seconds(BayesianGaussianMixture, X, max_iter=most, tol=0.0)[0] for most in (10, 60))
        return (many - few) / 50

    turns = [(ours(), one(Theirs)) for _ in range(TURNS)]
    mine, theirs = (statistics.median(each[i] for each in turns) for i in range(2))
    times = f"{mine * 1e3:.2f} ms | {theirs * 1e3:.0f} ms | {theirs / mine:.0f}"
    return f"| {len(X)} | {X.shape[1]} | iteration | {times} | | | | |"


def main() -> None:
    warnings.simplefilter("ignore")
    rng = np.random.default_rng(int(sys.argv[1]) if len(sys.argv) > 1 else 0)
    print("| n | d | | fastem | scikit-learn | times | iterations | bound per row | iterations | bound per row |")
    print("|---|---|---|---|---|---|---|---|---|---|")
    for n, d in CASES:
        X = rows(n, d, rng)
        check_equal(X)
        if n == CASES[0][0]:
            print(whole(X), flush=True)
        print(iteration(X), flush=True)


if __name__ == "__main__":
    main()
