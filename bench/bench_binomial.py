"""Binomial mixtures at genome scale: one EM iteration on all rows and on the distinct ones, beside vectorised NumPy;
and whole fits of up to 1e8 rows, with their memory.

    python bench/bench_binomial.py [rows of the largest fit, default 100000000]

Answers are compared before anything is timed.
"""

import resource
import statistics
import sys
import time
from collections.abc import Callable
from functools import partial

import measure
import numpy as np
from scipy.special import gammaln, logsumexp

import fastem

N = 1_000_000
COINS = np.array([0.2, 0.5, 0.75])
WEIGHTS = np.array([0.5, 0.3, 0.2])
REPEATS = 7


def rows(n: int, trials: tuple[int, int], seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Allele counts: depths between the two numbers, uint8; drawn in blocks, so that n is all that is held."""
    rng = np.random.default_rng(seed)
    X, depths = np.empty(n, np.uint8), np.empty(n, np.uint8)
    for begin in range(0, n, N):
        part = slice(begin, min(n, begin + N))
        size = part.stop - begin
        depths[part] = rng.integers(trials[0], trials[1], size=size, endpoint=True)
        X[part] = rng.binomial(depths[part], COINS[rng.choice(3, size=size, p=WEIGHTS)])
    return X, depths


def start() -> fastem.BinomialParams:
    return fastem.BinomialParams(np.full(3, 1 / 3), COINS[:, None] + 0.05)


def numpy_iteration(X: np.ndarray, trials: np.ndarray) -> Callable[[], tuple[np.ndarray, np.ndarray, float]]:
    """A vectorised EM step with n x k arrays, as one writes it -> weights, probs, log likelihood before it."""
    x, n = X.astype(float)[:, None], trials.astype(float)[:, None]
    constant = gammaln(n + 1) - gammaln(x + 1) - gammaln(n - x + 1)
    weights, probs = start().weights, start().probs[:, 0]

    def step() -> tuple[np.ndarray, np.ndarray, float]:
        joint = constant + x * np.log(probs) + (n - x) * np.log1p(-probs) + np.log(weights)
        log_prob = logsumexp(joint, axis=1, keepdims=True)
        resp = np.exp(joint - log_prob)
        return resp.mean(axis=0), (resp * x).sum(axis=0) / (resp * n).sum(axis=0), float(log_prob.sum())

    return step


def iterations() -> None:
    for trials in ((50, 50), (20, 100)):
        X, depths = rows(N, trials)
        few = fastem.distinct_counts(X, depths)
        options = {"has_trials": True}
        with (
            fastem.open_rows(X, depths, **options) as whole,
            fastem.open_rows(few.successes, few.trials, few.sample_weight, **options) as distinct,
        ):
            step = numpy_iteration(X, depths)
            weights, probs, loglik = step()
            for some in (whole, distinct):
                stats = some.sweep(start())
                np.testing.assert_allclose(stats.loglik, loglik, rtol=1e-10)
                np.testing.assert_allclose(stats.maximize().probs[:, 0], probs, rtol=1e-9)
                np.testing.assert_allclose(stats.maximize().weights, weights, rtol=1e-9)
            at = start()
            calls = {
                "NumPy": (step, 1),
                "all rows": (partial(measure.iteration, whole, at), 10),
                "distinct": (partial(measure.iteration, distinct, at), 100),
                "distinct_counts": (partial(fastem.distinct_counts, X, depths), 3),
            }
            times = measure.medians({name: partial(mean_seconds, *call) for name, call in calls.items()}, REPEATS)
        told = "  ".join(f"{name} {1e3 * t:9.3f} ms ({times['NumPy'] / t:8.0f} x)" for name, t in times.items())
        print(f"n = {N:,}, trials {trials[0]}..{trials[1]}, k = 3, {len(few)} distinct: {told}", flush=True)


def mean_seconds(call: Callable[[], object], times: int) -> float:
    """Of a call after another one."""
    call()
    return measure.seconds(lambda: [call() for _ in range(times)]) / times


def whole_fits(most: int) -> None:
    for n in (1_000_000, 10_000_000, 100_000_000):
        if n > most:
            continue
        X, depths = rows(n, (20, 100))
        before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        taken = []
        for _ in range(3):
            mixture = fastem.BinomialMixture(3, tol=1e-8, max_iter=1000)
            taken.append(measure.seconds(lambda mixture=mixture, X=X, depths=depths: mixture.fit(X, trials=depths)))
        memory = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) / 1024
        np.testing.assert_allclose(np.sort(mixture.probs_[:, 0]), COINS, atol=0.01)
        print(
            f"whole fit, n = {n:,}, trials 20..100: {statistics.median(taken):.3f} s, {mixture.n_iter_} iterations to"
            f" tol = 1e-8; peak memory {memory:.0f} MB over the data's {(X.nbytes + depths.nbytes) / 2**20:.0f} MB",
            flush=True,
        )


def main() -> None:
    begin = time.perf_counter()
    iterations()
    whole_fits(int(sys.argv[1]) if len(sys.argv) > 1 else 100_000_000)
    print(f"{time.perf_counter() - begin:.0f} s in all")


if __name__ == "__main__":
    main()
