"""Small fits beside scikit-learn's, and beside the same fits where Python drives each iteration.

    python bench/bench_small.py [seed, default 0] [share of the groups of fit_many, default 0.02]

Rows are drawn anew from the seed.  Fits from equal starts take 40 iterations in both packages, and their parameters are
compared before anything is timed; default fits may end at different maxima, so the mean log likelihoods stand in the
table.  Times are medians of turns, one after the other.  The second table has what a start by k-means asks of the rows
that it looks at.  The third has quasi-Newton fits to their maximum, which are the default of counts and what `select`
asks for, and fits with a prior.  The last has the groups of fit_many; a loop over scikit-learn fits a sample of them,
and the table says how often its criterion is lower by over 1.
"""

import statistics
import sys
import time
import warnings
from collections.abc import Callable, Iterable, Iterator
from functools import partial
from unittest.mock import patch

import measure
import numpy as np
from sklearn.mixture import GaussianMixture as Theirs

import fastem
from fastem.data.open import open_rows

SHAPES = (
    (272, 2, 2), (1000, 2, 2), (1000, 8, 5), (2000, 1, 2), (2000, 2, 5), (5000, 2, 5), (20_000, 2, 5), (20_000, 8, 5),
)  # fmt: skip
START_ROWS, START_SHAPES = 8192, ((1, 3), (2, 5), (2, 50), (8, 10), (30, 10), (30, 50))
ITERATIONS = 40
RTOL = 1e-6
"""scikit-learn adds 10 eps to its counts, and has another order of sums; seen after 40 iterations: 1e-9."""
TURNS = 7
LEAST_SECONDS = 0.05
"""Of one turn: a fit of a millisecond is repeated."""
MOST_FITS = 2000
LOOP_GROUPS = 12
"""Of a loop over scikit-learn: a second."""


HEADINGS = (
    "| n | d | k | 40 iterations, fastem ms | scikit-learn ms | times | default fit, fastem ms | scikit-learn ms"
    " | times | mean log likelihood | scikit-learn |"
)


def rows(n: int, d: int, k: int, rng: np.random.Generator) -> np.ndarray:
    """Return rows of k components, some of which overlap."""
    means = rng.normal(0, 2.5, (k, d))
    return means[rng.integers(k, size=n)] + rng.standard_normal((n, d)) @ rng.normal(0, 0.7, (d, d))


def seconds(calls: list[Callable[[], object]]) -> list[float]:
    """Return the median seconds of each call, timed in turns."""
    repeats = []
    for call in calls:
        begin = time.perf_counter()
        call()
        repeats.append(int(np.clip(LEAST_SECONDS / (time.perf_counter() - begin), 1, MOST_FITS)))
    found: list[list[float]] = [[] for _ in calls]
    for _ in range(TURNS):
        for call, count, times in zip(calls, repeats, found, strict=True):
            time.sleep(measure.REST)
            begin = time.perf_counter()
            for _ in range(count):
                call()
            times.append((time.perf_counter() - begin) / count)
    return [statistics.median(times) for times in found]


def check_equal(ours: fastem.GaussianMixture, theirs: Theirs) -> None:
    """Raise AssertionError where two fits have not reached the same parameters."""
    assert ours.n_iter_ == theirs.n_iter_ == ITERATIONS
    for name in ("weights_", "means_", "covariances_"):
        np.testing.assert_allclose(getattr(ours, name), getattr(theirs, name), rtol=RTOL, atol=RTOL)


def from_equal_starts(X: np.ndarray, k: int) -> list[float]:
    """Time 40 iterations from the same weights, means and precisions."""
    d = X.shape[1]
    start = {"weights_init": np.full(k, 1 / k), "means_init": X[:k], "precisions_init": np.array([np.eye(d)] * k)}
    settings = {"n_components": k, "max_iter": ITERATIONS, "tol": 0.0, **start}
    check_equal(fastem.GaussianMixture(**settings).fit(X), Theirs(**settings).fit(X))
    return seconds([lambda: fastem.GaussianMixture(**settings).fit(X), lambda: Theirs(**settings).fit(X)])


def by_default(X: np.ndarray, k: int) -> tuple[list[float], list[float]]:
    """Time default fits; their mean log likelihoods come with the times."""
    ours, theirs = fastem.GaussianMixture(k, random_state=0), Theirs(k, random_state=0)
    times = seconds([lambda: ours.fit(X), lambda: theirs.fit(X)])
    return times, [ours.score(X), theirs.score(X)]


def iteration(X: np.ndarray, k: int) -> tuple[float, float, float]:
    """Return the seconds of an iteration in one compiled call, of one that Python drives, and of the kernel alone."""
    settings = {"n_components": k, "tol": 0.0, "random_state": 0}
    short, long = (fastem.GaussianMixture(**settings, max_iter=most) for most in (100, 4100))

    def one() -> float:
        few, many = seconds([lambda: short.fit(X), lambda: long.fit(X)])
        return (many - few) / (long.max_iter - short.max_iter)

    compiled = one()
    with patch("fastem.data.base.PARALLEL_WORK", 0):
        driven = one()
    params = short.params_
    tables, sums = params.tables(), np.empty((1, params.sums_length))
    with open_rows(X, fitting=True) as opened:
        kernel = getattr(opened.backend.kernels, params.kernel.accumulate)
        (alone,) = seconds([lambda: kernel(X, opened.sample_weight, 4096, *tables, sums)])
    return compiled, driven, alone


Fit = Callable[[], fastem.GaussianMixture | fastem.BinomialMixture | fastem.PoissonMixture]


def accelerated(rng: np.random.Generator) -> Iterator[tuple[str, int, int, int, Fit]]:
    """Yield fits that Python drove until quasi-Newton steps and priors were compiled: a name, n, d, k and the fit."""
    to_maximum = {"acceleration": "quasi-newton", "stopping": "aitken", "tol": 1e-6, "max_iter": 1000}
    for kind, n, d, k in (("full", 272, 2, 2), ("full", 2000, 2, 5), ("diag", 2000, 8, 5), ("full", 8192, 2, 10)):
        mixture = fastem.GaussianMixture(k, covariance_type=kind, random_state=0, **to_maximum)
        yield f"{kind}, quasi-Newton", n, d, k, partial(mixture.fit, rows(n, d, k, rng))
    prior = fastem.GaussianPrior(concentration=2.0, scale=np.eye(2))
    mixture = fastem.GaussianMixture(5, prior=prior, tol=1e-6, max_iter=1000, random_state=0)
    yield "full, prior", 2000, 2, 5, partial(mixture.fit, rows(2000, 2, 5, rng))
    for n, d, k in ((1000, 1, 3), (2000, 8, 5)):
        X = rng.binomial(20, rng.uniform(0.1, 0.9, (k, d))[rng.integers(k, size=n)])
        yield "binomial", n, d, k, partial(fastem.BinomialMixture(k, n_trials=20, random_state=0).fit, X)
    for n, d, k in ((1000, 1, 2), (8192, 2, 5)):
        X = rng.poisson(rng.uniform(1.0, 15.0, (k, d))[rng.integers(k, size=n)])
        yield "Poisson", n, d, k, partial(fastem.PoissonMixture(k, random_state=0).fit, X)


def beside_python(rng: np.random.Generator) -> None:
    """Print the table of fits in one compiled call, and where Python drives each iteration."""
    headings = "| fit | n | d | k | iterations | compiled ms | Python drives, ms | times |"
    print("", headings, "|---" * headings.count(" |") + "|", sep="\n")
    for name, n, d, k, fit in accelerated(rng):

        def driven(fit: Fit = fit) -> object:
            with patch("fastem.data.base.PARALLEL_WORK", 0):
                return fit()

        n_iter = fit().n_iter_
        compiled, in_python = (1e3 * found for found in seconds([fit, driven]))
        cells = name, f"{n:,}", d, k, n_iter, f"{compiled:.2f}", f"{in_python:.2f}", f"{in_python / compiled:.1f}"
        print(f"| {' | '.join(map(str, cells))} |", flush=True)


def grouped(rng: np.random.Generator, share: float) -> Iterator[tuple[str, np.ndarray, dict[str, object]]]:
    """Yield a name, the rows of groups (m, l) or (m, l, d), and how fit_many fits them."""
    m = int(1e5 * share)
    means = rng.normal(0, 3, (m, 3, 2))
    values = means[np.arange(m)[:, np.newaxis], rng.integers(3, size=(m, 200))]
    yield "200 rows, d = 2, k = 1..5", values + rng.standard_normal(values.shape), {"n_components": range(1, 6)}
    m = int(16_569 * share)
    counts = rng.binomial(30, np.where(rng.random((m, 3000)) < 0.05, 0.5, 0.02))
    yield "3,000 counts, k = 1, 2", counts, {"n_components": (1, 2), "family": "binomial", "trials": 30}
    values = rng.standard_normal((20_000, 200)) + 3 * (rng.random((20_000, 200)) < 0.3)
    yield "200 values, k = 2", values, {"n_components": (2,)}


def many_groups(rng: np.random.Generator, share: float) -> None:
    """Print the table of fit_many."""
    headings = (
        "| groups of | groups | seconds | seconds of CPU | ms a group | scikit-learn, ms a group | times"
        " | its criterion is lower |"
    )
    print("", headings, "|---" * headings.count(" |") + "|", sep="\n")
    for name, values, options in grouped(rng, share):
        begin, cpu = time.perf_counter(), time.process_time()
        fits = fastem.fit_many(values, **options)
        taken, cpu = time.perf_counter() - begin, time.process_time() - cpu
        cells = [name, f"{len(fits):,}", f"{taken:.2f}", f"{cpu:.2f}", f"{1e3 * taken / len(fits):.3f}"]
        if "family" not in options:
            begin = time.perf_counter()
            lower = [their_criterion(X, options["n_components"]) for X in values[:LOOP_GROUPS]]
            theirs = (time.perf_counter() - begin) / LOOP_GROUPS
            share_lower = np.mean(lower < fits.bic[:LOOP_GROUPS] - 1)
            cells += [f"{1e3 * theirs:.1f}", f"{theirs * len(fits) / taken:.0f}", f"{100 * share_lower:.0f} %"]
        print(f"| {' | '.join([*cells, '-', '-', '-'][:8])} |", flush=True)


def their_criterion(X: np.ndarray, sizes: Iterable[int]) -> float:
    """Return the lowest BIC of scikit-learn's default fits."""
    X = X.reshape(len(X), -1)
    return min(Theirs(k, random_state=0).fit(X).bic(X) for k in sizes)


def nearest_centers(rng: np.random.Generator) -> None:
    """Print what k-means asks of rows for a start, beside an EM sweep of the same rows."""
    print("\n| n | d | k | nearest centers, us | a sweep, us |\n|---|---|---|---|---|")
    for d, k in START_SHAPES:
        X, scale = rows(START_ROWS, d, k, rng), np.ones(d)
        with fastem.open_rows(X, n_threads=1) as few:
            params = fastem.GaussianParams.from_variances(X[:k], scale, "full")
            expected = np.square(X[:, np.newaxis] - X[:k]).sum(axis=2).min(axis=1)
            np.testing.assert_allclose(few.nearest(X[:k], scale)[0], expected, rtol=1e-9, atol=1e-9)
            found = seconds([partial(few.nearest, X[:k], scale), partial(few.sweep, params)])
        print(f"| {START_ROWS:,} | {d} | {k} | {1e6 * found[0]:.0f} | {1e6 * found[1]:.0f} |", flush=True)


def main() -> None:
    """Print the tables."""
    warnings.simplefilter("ignore")
    rng = np.random.default_rng(int(sys.argv[1]) if len(sys.argv) > 1 else 0)
    X = rows(272, 2, 2, rng)
    compiled, driven, alone = (1e6 * found for found in iteration(X, 2))
    print(
        f"An iteration at n = 272, d = 2, k = 2: {compiled:.1f} us in one compiled call, {driven:.1f} us where Python\n"
        f"drives it; the kernel of its sweep takes {alone:.1f} us.\n"
    )
    print(HEADINGS, "|---" * HEADINGS.count(" |") + "|", sep="\n")
    for n, d, k in SHAPES:
        X = rows(n, d, k, rng)
        given = [1e3 * found for found in from_equal_starts(X, k)]
        default, scores = by_default(X, k)
        milliseconds = [1e3 * found for found in default]
        cells = [
            f"{n:,}", f"{d}", f"{k}", *(f"{each:.2f}" for each in given), f"{given[1] / given[0]:.1f}",
            *(f"{each:.2f}" for each in milliseconds), f"{default[1] / default[0]:.1f}",
            *(f"{each:.4f}" for each in scores),
        ]  # fmt: skip
        print(f"| {' | '.join(cells)} |", flush=True)
    nearest_centers(rng)
    beside_python(rng)
    many_groups(rng, float(sys.argv[2]) if len(sys.argv) > 2 else 0.02)


if __name__ == "__main__":
    main()
