"""Sweeps and seconds to the maximum: plain EM and every acceleration, from the same starts; scikit-learn beside them.

    python bench/bench_convergence.py [number of random mixtures, default 40]

1. Univariate problems: k evenly spaced components of variance 1, n = 20,000, starts at the (i + 1/2) / k quantiles with
   standard deviations sd / k; five draws of each, medians.  Sweeps until the log likelihood is within 1e-7 per row of
   the limit of plain EM run to tol = 1e-13.  And the sex ratio of Saxon families.
2. Random mixtures of d 1..10, k 2..10 and all covariance types, overlapping and separated, from default starts; within
   1e-8 per row.  Fits that end lower than plain EM are listed.
3. Seconds to the log likelihood at which scikit-learn stops with tol = 1e-9, from equal starts.
4. Fits of 1,000,000 and 400,000 rows with and without warm_sweeps.
"""

import math
import statistics
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import measure
import numpy as np
from bench_fit import five
from random_mixtures import draw

import fastem

METHODS = (None, "anderson", "squarem", "quasi-newton")
N = 20_000
MOST = 40_000
"""Iterations of a fit."""
DRAWS = 5
UNIVARIATE = ((2, 1.5), (3, 2.0), (5, 2.0), (5, 3.0), (8, 2.5), (3, 4.0))
COVARIANCE_TYPES = ("full", "tied", "diag", "spherical")
LOWER = 1e-9
"""Per row: what tol = 1e-13 leaves to gain."""


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


def compare(rows: Any, start: Any, slack: float, **extra: Any) -> tuple[float, list[Run]]:
    """The limit of plain EM, and a run of every method to `slack` below it."""
    limit = run(rows, start, math.inf, None, **extra).loglik
    return limit, [run(rows, start, limit - slack, method, **extra) for method in METHODS]


# ---------------------------------------------------------------------------------------------------------- problems


def evenly_spaced(k: int, distance: float, seed: int) -> tuple[np.ndarray, fastem.GaussianParams]:
    rng = np.random.default_rng(seed)
    X = (np.arange(k) * distance)[rng.integers(k, size=N)] + rng.normal(size=N)
    quantiles = np.quantile(X, (np.arange(k) + 0.5) / k)
    variances = np.full((k, 1), (X.std() / k) ** 2)
    return X[:, None], fastem.GaussianParams(np.full(k, 1 / k), quantiles[:, None], variances, "diag")


def random_mixture(seed: int) -> tuple[np.ndarray, fastem.GaussianParams, str]:
    rng = np.random.default_rng(seed)
    d, k, kind = int(rng.integers(1, 11)), int(rng.integers(2, 11)), COVARIANCE_TYPES[seed % 4]
    separation = float(rng.choice([1.0, 2.0, 4.0, 8.0]))
    means = rng.normal(size=(k, d)) * separation
    factors = np.tril(rng.normal(size=(k, d, d))) / np.sqrt(d) + np.eye(d)
    labels = rng.choice(k, N, p=rng.dirichlet(np.full(k, 5.0)))
    X = means[labels] + np.einsum("nij,nj->ni", factors[labels], rng.normal(size=(N, d)))
    settings = {"init_params": "kmeans", "max_iter": 0, "random_state": seed, "reg_covar": 0.0}
    start = fastem.GaussianMixture(k, covariance_type=kind, **settings).fit(X)
    return X, start.params_, f"{kind}, d = {d}, k = {k}, separation {separation:.0f}"


# ------------------------------------------------------------------------------------------------------------ tables


def heading(text: str) -> None:
    print(f"\n{text}\n{'':42s}" + "".join(f"{method or 'plain EM':>14s}" for method in METHODS), flush=True)


def line(name: str, sweeps: list[float]) -> None:
    print(f"{name:42s}" + "".join(f"{count:14.0f}" for count in sweeps), flush=True)


def univariate() -> None:
    heading(f"Sweeps to within 1e-7 per row of the limit of plain EM; medians of {DRAWS} draws")
    for k, distance in UNIVARIATE:
        found = []
        for seed in range(DRAWS):
            X, start = evenly_spaced(k, distance, seed)
            with fastem.open_rows(X, fitting=True) as rows:
                found.append([each.sweeps for each in compare(rows, start, 1e-7 * N, reg_covar=0.0)[1]])
        line(f"k = {k}, {distance} apart", [statistics.median(column) for column in zip(*found, strict=True)])


def saxony() -> None:
    """To log likelihood -12492.40623; the maximum is -12492.406222."""
    path = Path(__file__).parents[1] / "examples" / "data" / "saxony.csv"
    boys, girls, families = np.loadtxt(path, delimiter=",", skiprows=1).T
    start = fastem.BinomialParams(np.full(2, 0.5), np.array([[0.45], [0.6]]))
    with fastem.open_rows(boys, boys + girls, families, has_trials=True) as rows:
        line("Saxony, binomial, k = 2", [run(rows, start, -12492.40623, method).sweeps for method in METHODS])


def suite(size: int) -> None:
    heading("Random mixtures: sweeps to within 1e-8 per row of the limit of plain EM")
    found = []
    for seed in range(size):
        X, start, name = random_mixture(seed)
        with fastem.open_rows(X, fitting=True) as rows:
            limit, runs = compare(rows, start, 1e-8 * N, reg_covar=0.0)
        line(name, [each.sweeps for each in runs])
        for method, each in zip(METHODS, runs, strict=True):
            if each.loglik < limit - LOWER * N:
                print(f"    {method} ended {(limit - each.loglik) / N:.1e} per row lower")
        found.append(runs)
    for index, method in enumerate(METHODS[1:], start=1):
        tell(method, [(runs[0], runs[index]) for runs in found])


def tell(method: str, pairs: list[tuple[Run, Run]]) -> None:
    for what, least, most in (("over 300", 301, math.inf), ("30 to 300", 30, 300), ("under 30", 0, 29)):
        some = [(plain, fast) for plain, fast in pairs if least <= plain.sweeps <= most]
        sweeps = [plain.sweeps / fast.sweeps for plain, fast in some]
        seconds = [plain.seconds / fast.seconds for plain, fast in some]
        more = max(fast.sweeps - plain.sweeps for plain, fast in some)
        print(
            f"{method}: of {len(some)} that take plain EM {what} sweeps: median {statistics.median(sweeps):.1f} x fewer"
            f" sweeps, {statistics.median(seconds):.1f} x fewer seconds; at most {more:+.0f} sweeps"
        )


def beside_sklearn() -> None:
    """From equal starts, to where scikit-learn stops with tol = 1e-9."""
    print("\nSeconds to the log likelihood at which scikit-learn stops with tol = 1e-9")
    problems = [(f"k = {k}, {distance} apart", *evenly_spaced(k, distance, 0)) for k, distance in ((2, 1.5), (5, 3.0))]
    problems += [(name, X, start) for X, start, name in map(random_mixture, (0, 5, 14, 17, 21, 38))]
    for name, X, start in problems:
        begin = time.perf_counter()
        theirs = measure.sklearn_fit(X, start, reg_covar=0.0, tol=1e-9, max_iter=MOST)
        seconds = time.perf_counter() - begin
        target = theirs.score(X) * N - LOWER * N
        with fastem.open_rows(X, fitting=True) as rows:
            ours = [run(rows, start, target, method, reg_covar=0.0).seconds for method in (None, "quasi-newton")]
        print(
            f"{name:42s} scikit-learn {theirs.n_iter_:6d} iterations {seconds:8.3f} s"
            f"   plain EM {ours[0]:7.3f} s, {seconds / ours[0]:6.0f} x"
            f"   quasi-newton {ours[1]:7.3f} s, {seconds / ours[1]:6.0f} x",
            flush=True,
        )


def warm() -> None:
    """Sweeps over all rows and seconds, by plain EM from default starts."""
    print("\nFits of many rows with warm_sweeps='auto', beside those without")
    problems: list[tuple[str, Callable[[], np.ndarray], int]] = [
        ("n = 1e6, d = 2, k = 5, separated", lambda: five(10.0), 5),
        ("n = 1e6, d = 2, k = 5, overlapping", lambda: five(2.0), 5),
    ]
    for seed in range(8):
        X, k, separation = draw(np.random.default_rng(seed), n=400_000)
        problems.append((f"n = 4e5, d = {X.shape[1]}, k = {k}, separation {separation:.0f}", lambda X=X: X, k))
    for tol in (1e-3, 1e-5):
        ratios = []
        for name, rows, k in problems:
            X = rows()
            cold, auto = (fitted(X, k, tol, warm_sweeps) for warm_sweeps in (None, "auto"))
            ratios.append(cold[1] / auto[1])
            gain = (auto[0].loglik_ - cold[0].loglik_) / len(X)
            sweeps = f"{cold[0].n_sweeps_:4d} -> {auto[0].n_sweeps_:4d}"
            print(f"{name:42s} tol {tol:.0e}  sweeps {sweeps}  {ratios[-1]:5.1f} x faster  gain per row {gain:+.1e}")
        print(f"tol {tol:.0e}: median {statistics.median(ratios):.1f} x faster")


def fitted(X: np.ndarray, k: int, tol: float, warm_sweeps: str | None) -> tuple[fastem.GaussianMixture, float]:
    mixture = fastem.GaussianMixture(
        k, init_params="kmeans", random_state=0, tol=tol, max_iter=5_000, warm_sweeps=warm_sweeps
    )
    begin = time.perf_counter()
    mixture.fit(X)
    return mixture, time.perf_counter() - begin


def main() -> None:
    univariate()
    saxony()
    suite(int(sys.argv[1]) if len(sys.argv) > 1 else 40)
    beside_sklearn()
    warm()


if __name__ == "__main__":
    main()
