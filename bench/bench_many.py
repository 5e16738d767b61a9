"""Many small fits: fit_many beside a loop over our estimators and, of Gaussian mixtures, over scikit-learn's.

    python bench/bench_many.py [groups, default 100000]

Groups of 20 to 200 rows, two components.  The loops run on a sample of the groups, from the starts of fit_many and with
its rules, and on one thread where that is faster for so few rows; answers are compared before anything is timed.
"""

import sys
import warnings
from functools import partial
from typing import Any

import measure
import numpy as np

import fastem

SMALLEST, LARGEST = 20, 200
TRIALS = 30
SAMPLE = 200
"""Groups of the loops: a second of scikit-learn."""
REPEATS = 7
AS_EM = {"tol": 1e-3, "stopping": "loglik", "acceleration": None, "init_params": "blocks"}
"""The rules of the loops."""

LOOP_RTOL = 1e-10
"""Two orders of summation, over tens of iterations; seen: 4e-15."""
SKLEARN_RTOL = 1e-9
"""scikit-learn adds 10 eps to its counts; seen: 2e-14."""


def groups(m: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Values, successes of TRIALS, and offsets: two components in each group, from touching to far apart."""
    rng = np.random.default_rng(0)
    sizes = rng.integers(SMALLEST, LARGEST, m, endpoint=True)
    per_row = partial(np.repeat, repeats=sizes)
    second = rng.random(sizes.sum()) < per_row(rng.uniform(0.2, 0.8, m))
    values = per_row(rng.normal(0, 5, m)) + rng.standard_normal(len(second)) + second * per_row(rng.uniform(2, 6, m))
    probs = np.where(second, per_row(rng.uniform(0.5, 0.9, m)), per_row(rng.uniform(0.1, 0.4, m)))
    return values, rng.binomial(TRIALS, probs), np.cumsum([0, *sizes])


def normal_fit(x: np.ndarray, start: Any, **rules: Any) -> Any:
    return fastem.GaussianMixture(
        2, covariance_type="diag", weights_init=start.weights, means_init=start.means,
        precisions_init=start.precisions(), order_by="means", **rules,
    ).fit(x[:, np.newaxis])  # fmt: skip


def binomial_fit(x: np.ndarray, start: Any, **rules: Any) -> Any:
    mixture = fastem.BinomialMixture(2, weights_init=start.weights, probs_init=start.probs, order_by="probs", **rules)
    return mixture.fit(x, trials=TRIALS)


def default_sklearn_fit(x: np.ndarray) -> Any:
    """From its own start, k-means."""
    from sklearn.mixture import GaussianMixture

    return GaussianMixture(2, covariance_type="diag").fit(x[:, np.newaxis])


def each(fit: Any, parts: list[np.ndarray], *starts: list[Any], **options: Any) -> list[Any]:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # not every group converges
        return [fit(part, *start, **options) for part, *start in zip(parts, *starts, strict=True)]


def compare(found: np.ndarray, loop: list[Any], name: str, rtol: float) -> None:
    expected = np.array([np.sort(getattr(mixture, name)[:, 0]) for mixture in loop])
    np.testing.assert_allclose(found[: len(loop)], expected, rtol=rtol, atol=rtol)


def gaussian(values: np.ndarray, offsets: np.ndarray) -> None:
    parts = np.split(values, offsets[1 : SAMPLE + 1])[:SAMPLE]
    fits, at = (fastem.fit_many(values, offsets, 2, max_iter=most, **AS_EM) for most in (100, 0))
    starts = [at.params(g) for g in range(SAMPLE)]
    loops = {
        "our estimator": partial(each, normal_fit, parts, starts, n_threads=1),
        "scikit-learn, same starts": partial(each, measure.sklearn_fit, [x[:, np.newaxis] for x in parts], starts),
        "scikit-learn, its own starts": partial(each, default_sklearn_fit, parts),
    }
    compare(fits.means, loops["our estimator"](), "means_", LOOP_RTOL)
    compare(fits.means, loops["scikit-learn, same starts"](), "means_", SKLEARN_RTOL)
    twins = {
        twin: partial(fastem.fit_many, values, offsets, 2, max_iter=100, backend=twin, **AS_EM)
        for twin in measure.TWINS
    }
    compare_twins(fits, twins)
    tell("gaussian", fits, twins | loops)


def binomial(counts: np.ndarray, offsets: np.ndarray) -> None:
    parts = np.split(counts, offsets[1 : SAMPLE + 1])[:SAMPLE]
    options = {"family": "binomial", "trials": TRIALS, **AS_EM}
    fits, at = (fastem.fit_many(counts, offsets, 2, max_iter=most, **options) for most in (100, 0))
    starts = [at.params(g) for g in range(SAMPLE)]
    loop = partial(each, binomial_fit, parts, starts, n_threads=1)
    compare(fits.probs, loop(), "probs_", LOOP_RTOL)
    twins = {
        twin: partial(fastem.fit_many, counts, offsets, 2, max_iter=100, backend=twin, **options)
        for twin in measure.TWINS
    }
    compare_twins(fits, twins)
    tell("binomial", fits, twins | {"our estimator": loop})


def compare_twins(fits: Any, twins: dict[str, Any]) -> None:
    for call in twins.values():
        found = call()
        np.testing.assert_array_equal(found.n_iter, fits.n_iter)
        np.testing.assert_allclose(found.loglik, fits.loglik, rtol=LOOP_RTOL)


def tell(family: str, fits: Any, calls: dict[str, Any]) -> None:
    times = measure.medians({name: partial(measure.seconds, call) for name, call in calls.items()}, REPEATS)
    per_fit = {name: 1e6 * t / (len(fits) if name in measure.TWINS else SAMPLE) for name, t in times.items()}
    print(f"{family}: {len(fits):,} groups of {SMALLEST} to {LARGEST} rows, k = 2, {fits.n_iter.mean():.1f} iterations")
    for name, t in per_fit.items():
        ratios = ", ".join(f"{t / per_fit[twin]:6.0f} x {twin}" for twin in measure.TWINS)
        print(f"  {name:<29}{t:9.1f} us a fit   {ratios}", flush=True)


def main() -> None:
    values, counts, offsets = groups(int(sys.argv[1]) if len(sys.argv) > 1 else 100_000)
    gaussian(values, offsets)
    binomial(counts, offsets)


if __name__ == "__main__":
    main()
