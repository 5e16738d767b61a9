"""A sweep of rows of which a tenth of the values is missing, compared with one of complete rows, on one thread.

    python bench/bench_missing.py [python of an environment with tgmm]

Answers are compared with the naive sums before anything is timed; times are medians of interleaved repeats.  tgmm (0.4)
takes part where the Python of an environment that has it is given: bench/peers/packages.py is not for gaps.
"""

import subprocess
import sys
import tempfile
from functools import partial
from pathlib import Path

import measure
import numpy as np
from cases import QUICK, TWINS

import fastem

N = 100_000 if QUICK else 1_000_000
CHECKED = 2_000
"""Rows of the comparison with naive."""
MANY_PATTERNS = 20_000
"""Rows of 64 features, of which nearly every one has a pattern of its own."""
REPEATS = 7
SHARE = 0.1
TGMM = Path(__file__).parent / "peers" / "tgmm_missing.py"


def problem(n: int, d: int, k: int, kind: str) -> tuple[fastem.GaussianParams, np.ndarray, np.ndarray]:
    """Parameters, complete rows, and the same with gaps."""
    rng = np.random.default_rng(0)
    means = 2 * rng.standard_normal((k, d))
    covariances = np.ones((k, d)) if kind == "diag" else np.stack([np.eye(d) + 0.1] * k)
    X = means[rng.integers(k, size=n)] + rng.standard_normal((n, d))
    return fastem.GaussianParams(np.full(k, 1 / k), means, covariances, kind), X, with_gaps(X, rng)


def with_gaps(X: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    return np.where(rng.random(X.shape) < SHARE, np.nan, X)


def check(params: fastem.GaussianParams, gaps: np.ndarray, twin: str) -> None:
    some = gaps[:CHECKED]
    full = measure.naive.expand_covariances(params.covariances, params.covariance_type, *params.means.shape)
    expected = measure.naive.normal_sums_missing(some, np.ones(len(some)), params.weights, params.means, full)
    stats = fastem.accumulate(params, some, missing="marginalize", backend=twin)
    np.testing.assert_allclose(stats.counts, expected[0], rtol=1e-9)
    np.testing.assert_allclose(stats.first, expected[1], rtol=1e-9, atol=1e-6)
    np.testing.assert_allclose([stats.loglik, stats.entropy], expected[3:], rtol=1e-9)


def compare(n: int, d: int, k: int, kind: str, twin: str) -> None:
    params, X, gaps = problem(n, d, k, kind)
    check(params, gaps, twin)
    options = {"backend": twin, "n_threads": 1, "missing": "marginalize"}
    with fastem.open_rows(X, **options) as complete, fastem.open_rows(gaps, **options) as lacking:
        sweeps = {"complete": partial(complete.sweep, params), "missing": partial(lacking.sweep, params)}
        times = measure.medians({name: partial(measure.seconds, call) for name, call in sweeps.items()}, REPEATS)
    told = ", ".join(f"{name} {1e9 * t / n:.0f} ns a row" for name, t in times.items())
    ratio = times["missing"] / times["complete"]
    print(f"{twin}, {kind}, n = {n:,}, d = {d}, k = {k}: {told}; ratio {ratio:.2f}", flush=True)


def compare_with_tgmm(python: str, n: int = 20_000, d: int = 8, k: int = 10) -> None:
    """Time iterations of tgmm, by the difference of two fits, and sweeps of fastem, from one start."""
    params, _, gaps = problem(n, d, k, "full")
    with tempfile.TemporaryDirectory() as folder:
        np.savez(Path(folder) / "problem.npz", X=gaps, means=params.means)
        found = subprocess.run([python, TGMM, folder], capture_output=True, text=True, check=False)
        if found.returncode:
            print(f"tgmm takes no part: {found.stderr.strip().splitlines()[-1]}")
            return
        with np.load(Path(folder) / "answer.npz") as answer:
            theirs_at = fastem.GaussianParams(answer["weights"], answer["means"], answer["covariances"])
            log_prob = fastem.posterior(theirs_at, gaps, missing="marginalize").log_prob
            np.testing.assert_allclose(log_prob, answer["log_prob"], rtol=1e-6, atol=1e-6)
    with fastem.open_rows(gaps, missing="marginalize") as rows:
        own = measure.medians({"fastem": partial(measure.seconds, lambda: rows.sweep(params).maximize())}, REPEATS)
    theirs = float(found.stdout.split()[-1])
    told = f"fastem {own['fastem']:.4f} s, tgmm {theirs:.4f} s"
    print(f"an iteration, full, n = {n:,}, d = {d}, k = {k}: {told}; {theirs / own['fastem']:.0f} times")


def main() -> None:
    for twin in TWINS:
        if measure.why_missing(twin):
            continue
        for kind in ("diag", "full"):
            compare(N, 8, 10, kind, twin)
        compare(MANY_PATTERNS // 10 if twin == "numba" else MANY_PATTERNS, 64, 2, "full", twin)
    if len(sys.argv) > 1:
        compare_with_tgmm(sys.argv[1])


if __name__ == "__main__":
    main()
