"""Sweeps to the maximum: plain EM, Anderson's method and SQUAREM, from the same starts.

    python bench/convergence.py [number of random mixtures, default 30]

First univariate problems with k evenly spaced components of variance 1 (n = 20,000; starts at the (i + 1/2) / k
quantiles with standard deviations sd / k) and the sex ratio of Saxon families; then random mixtures of d 1..10, k 2..10
and all covariance types, overlapping and separated, from default starts.  Sweeps are counted until the log likelihood
is within 1e-7 (univariate) or 1e-8 (random mixtures) per row of the limit of plain EM run to tol = 1e-13.
"""

import math
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

import fastem

METHODS = (None, "anderson", "squarem")
MOST = 20_000
"""Iterations of a fit."""
COVARIANCE_TYPES = ("full", "tied", "diag", "spherical")


@dataclass
class Run:
    """Sweeps and seconds until the target was reached (infinite if never), and where the fit ended."""

    sweeps: float
    seconds: float
    loglik: float


def run(rows: Any, start: Any, target: float, acceleration: str | None, tol: float = 1e-13, **extra: Any) -> Run:
    sweeps, reached, begin = 0, [math.inf, math.inf], time.perf_counter()

    def sweep(params: Any) -> Any:
        nonlocal sweeps, reached
        sweeps += 1
        stats = rows.sweep(params)
        if math.isinf(reached[0]) and stats.loglik >= target:
            reached = [sweeps, time.perf_counter() - begin]
        return stats

    def maximize(stats: Any) -> Any:
        return stats.maximize(**extra)

    fit = fastem.em(sweep, maximize, start, tol=tol, max_iter=MOST, acceleration=acceleration)
    return Run(reached[0], reached[1], fit.loglik)


def compare(name: str, rows: Any, start: Any, slack: float, **extra: Any) -> list[Run]:
    limit = run(rows, start, math.inf, None, **extra).loglik
    n = float(rows.sample_weight.sum())
    runs = [run(rows, start, limit - slack * n, method, **extra) for method in METHODS]
    gains = "  ".join(f"{(found.loglik - limit) / n:+.1e}" for found in runs[1:])
    counts = "  ".join(f"{found.sweeps:7.0f}" for found in runs)
    print(f"{name:42s} sweeps {counts}   end over plain EM's, per row  {gains}", flush=True)
    return runs


def evenly_spaced(k: int, distance: float) -> None:
    rng = np.random.default_rng(0)
    X = (np.arange(k) * distance)[rng.integers(k, size=20_000)] + rng.normal(size=20_000)
    quantiles = np.quantile(X, (np.arange(k) + 0.5) / k)
    start = fastem.NormalParams(np.full(k, 1 / k), quantiles[:, None], np.full((k, 1), (X.std() / k) ** 2), "diag")
    with fastem.open_rows(X[:, None], fitting=True) as rows:
        compare(f"univariate, k = {k}, {distance} apart", rows, start, 1e-7, reg_covar=0.0)


def saxony() -> None:
    path = Path(__file__).parents[1] / "examples" / "data" / "saxony.csv"
    boys, girls, families = np.loadtxt(path, delimiter=",", skiprows=1).T
    start = fastem.BinomialParams(np.full(2, 0.5), np.array([[0.45], [0.6]]))
    with fastem.open_rows(boys, boys + girls, families, has_trials=True) as rows:
        compare("Saxony, binomial, k = 2", rows, start, 8e-6 / families.sum())


def random_mixture(seed: int) -> list[Run]:
    rng = np.random.default_rng(seed)
    d, k, kind = int(rng.integers(1, 11)), int(rng.integers(2, 11)), COVARIANCE_TYPES[seed % 4]
    separation = float(rng.choice([1.0, 2.0, 4.0, 8.0]))
    means = rng.normal(size=(k, d)) * separation
    factors = np.tril(rng.normal(size=(k, d, d))) / np.sqrt(d) + np.eye(d)
    labels = rng.choice(k, 20_000, p=rng.dirichlet(np.full(k, 5.0)))
    X = means[labels] + np.einsum("nij,nj->ni", factors[labels], rng.normal(size=(20_000, d)))
    mixture = fastem.GaussianMixture(k, covariance_type=kind, max_iter=0, random_state=seed, reg_covar=0.0).fit(X)
    with fastem.open_rows(X, fitting=True) as rows:
        name = f"{kind}, d = {d}, k = {k}, separation {separation:.0f}"
        return compare(name, rows, mixture.params_, 1e-8, reg_covar=0.0)


def tell(found: list[list[Run]]) -> None:
    for index, method in enumerate(METHODS[1:], start=1):
        slow = [runs for runs in found if runs[0].sweeps > 300]
        fast = [runs for runs in found if runs[0].sweeps < 30]
        lower = sum(math.isinf(runs[index].sweeps) for runs in found)
        ratios = [runs[0].sweeps / runs[index].sweeps for runs in slow]
        seconds = [runs[0].seconds / runs[index].seconds for runs in slow if math.isfinite(runs[index].sweeps)]
        more = max((runs[index].sweeps - runs[0].sweeps for runs in fast), default=0)
        print(
            f"{method}: of {len(found)} mixtures {len(slow)} take plain EM over 300 sweeps:"
            f" median {np.median(ratios):.1f} x fewer sweeps, {np.median(seconds):.1f} x fewer seconds;"
            f" {len(fast)} take it under 30: at most {more:+.0f}; {lower} ended lower"
        )


def main() -> None:
    for k, distance in ((2, 1.5), (3, 2.0), (5, 2.0), (5, 3.0), (8, 2.5), (3, 4.0)):
        evenly_spaced(k, distance)
    saxony()
    tell([random_mixture(seed) for seed in range(int(sys.argv[1]) if len(sys.argv) > 1 else 30)])


if __name__ == "__main__":
    main()
