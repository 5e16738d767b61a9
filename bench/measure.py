"""How an EM iteration is timed: fastem, the per-sample Python loop and scikit-learn, from equal starts.

Answers are compared before anything is timed.  Times are medians of interleaved repeats, so that a busy minute of the
machine falls on every contestant alike.
"""

import importlib.util
import statistics
import time
import warnings
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from functools import cache
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
from cases import TWINS, Case, Problem

import fastem
from fastem.data.open import open_rows
from fastem.data.rows import Rows

HAS_SKLEARN = importlib.util.find_spec("sklearn") is not None

FASTEM_ITERATIONS = 5
"""Iterations of fastem timed in one go: one takes milliseconds."""
SKLEARN_ITERATIONS = 2
"""scikit-learn is timed by the difference of two fits; so many iterations apart."""

SINGLE_RTOL = 1e-5
"""Rows rounded to float32, and sums of a tile in float32; seen: 1e-6."""

REST = 0.2
"""Seconds: the threads of BLAS and OpenMP spin for a while after their work, on the cores of whoever is next."""

MATMUL_SIZE, MATMUL_REPEATS = 1200, 8
"""Of the matrices of a product; and how often it is made, for the best of these."""

LOOP_RTOL = 1e-8
"""Two orders of summation and two forms of the same density; seen: 1e-12."""
SKLEARN_RTOL = 1e-6
"""As above, after several iterations, and scikit-learn adds 10 eps to its counts; seen: 1e-9."""


def load(name: str, path: Path) -> ModuleType:
    """A module by its file."""
    spec = importlib.util.spec_from_file_location(name, path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


SUPPORT = Path(__file__).parents[1] / "tests" / "support"
naive, loops = load("naive", SUPPORT / "naive.py"), load("loops", SUPPORT / "loops.py")


# ------------------------------------------------------------------------------------------------------- contestants


@contextmanager
def opened(problem: Problem, twin: str) -> Iterator[Rows]:
    """The rows as a fit holds them: checked once, threads alive."""
    case = problem.case
    options: dict[str, Any] = {"row_kind": case.row_kind, "fitting": case.row_kind == "real numbers"}
    with open_rows(problem.X, problem.trials, backend=twin, n_threads=case.threads, **options) as rows:
        yield rows


def why_missing(twin: str) -> str:
    """Why a twin cannot take part; empty if it can."""
    try:
        open_rows([[0.0]], backend=twin)
    except ImportError as error:
        return str(error)
    return ""


def iteration(rows: Rows, params: Any) -> Any:
    """One EM iteration of fastem: sweep and M-step -> params."""
    return rows.sweep(params).maximize()


def loop_iteration(problem: Problem) -> Callable[[], tuple[Any, ...]]:
    """One EM iteration of the per-sample Python loop on the rows of `problem` -> parameters, q."""
    start, values, weights = problem.start, problem.X.ravel().tolist(), problem.start.weights.tolist()
    if problem.case.is_binomial:
        tosses, probs = problem.trials.ravel().tolist(), start.probs.ravel().tolist()
        return lambda: loops.loop_em_step_binomial(values, tosses, weights, probs)
    if problem.case.is_poisson:
        return lambda: loops.loop_em_step_poisson(values, weights, start.rates.ravel().tolist())
    if problem.case.d == 1:
        means, sds = start.means.ravel().tolist(), np.sqrt(start.covariances.ravel()).tolist()
        return lambda: loops.loop_em_step(values, weights, means, sds)
    rows, means = list(problem.X), list(start.means)
    covariances = list(naive.expand_covariances(start.covariances, start.covariance_type, *start.means.shape))
    return lambda: loops.loop_em_step_multivariate(rows, weights, means, covariances)


def loop_part(problem: Problem) -> Problem:
    """The first rows, as many as the loop takes in a fraction of a second."""
    n = problem.case.loop_rows
    return replace(problem, X=problem.X[:n], trials=None if problem.trials is None else problem.trials[:n])


def sklearn_fit(X: np.ndarray, start: fastem.GaussianParams, **settings: Any) -> Any:
    """A fit of scikit-learn's from this start."""
    from sklearn.exceptions import ConvergenceWarning
    from sklearn.mixture import GaussianMixture

    mixture = GaussianMixture(
        len(start.weights),
        covariance_type=start.covariance_type,
        init_params="random_from_data",
        weights_init=start.weights,
        means_init=start.means,
        precisions_init=start.precisions(),
        random_state=0,
        **settings,
    )
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        return mixture.fit(X)


def sklearn_iterations(problem: Problem, iterations: int) -> Any:
    """Exactly so many, from the start of the problem."""
    return sklearn_fit(problem.X, problem.start, tol=0.0, max_iter=iterations)


def sklearn_takes_part(case: Case) -> bool:
    return HAS_SKLEARN and case.row_kind == "real numbers"


# ------------------------------------------------------------------------------------------------- answers come first


def check(problem: Problem, twin: str) -> None:
    """AssertionError unless fastem answers as the Python loop and, where it takes part, as scikit-learn."""
    check_against_loop(problem, twin)
    if sklearn_takes_part(problem.case):
        check_against_sklearn(problem, twin)


def check_against_loop(problem: Problem, twin: str) -> None:
    """Parameters after one iteration, and Q before it, on the rows of the loop."""
    part = loop_part(problem)
    with opened(part, twin) as rows:
        stats = rows.sweep(part.start)
    *expected, q = loop_answer(problem)
    np.testing.assert_allclose(stats.q, q, rtol=LOOP_RTOL)
    if problem.case.row_kind != "real numbers":
        params = stats.maximize()
        compare([getattr(params, name) for name in params.parameter_names], expected, LOOP_RTOL)
    else:
        params = stats.maximize(reg_covar=0.0)
        expected[2] = loop_covariances(expected, part)
        compare([params.weights, params.means, params.covariances], expected, LOOP_RTOL)


def loop_covariances(expected: list[Any], problem: Problem) -> np.ndarray:
    """The loop's standard deviations or full covariances as the covariances of the type of the problem."""
    weights, spread = np.asarray(expected[0]), np.asarray(expected[2])
    if problem.case.d == 1:
        return (spread**2).reshape(problem.start.covariances.shape)
    return naive.reduce_covariances(spread, weights, problem.start.covariance_type)


def check_against_float64(single: Problem, double: Problem) -> None:
    """Statistics of the same rows in the two precisions."""
    with opened(single, "cython") as rows, opened(double, "cython") as wide:
        found, expected = rows.sweep(single.start), wide.sweep(double.start)
    np.testing.assert_allclose(found.loglik, expected.loglik, rtol=SINGLE_RTOL)
    compare([found.counts, found.second], [expected.counts, expected.second], SINGLE_RTOL)


def check_against_sklearn(problem: Problem, twin: str) -> None:
    """Parameters after a few iterations and the log likelihood before the last M-step."""
    theirs = sklearn_answer(problem)
    with opened(problem, twin) as rows:
        ours = fastem.em(
            rows.sweep, lambda stats: stats.maximize(), problem.start, tol=0.0, max_iter=1 + SKLEARN_ITERATIONS
        )
    np.testing.assert_allclose(ours.history.loglik[-1] / problem.case.n, theirs.lower_bound_, rtol=SKLEARN_RTOL)
    compare(
        [ours.params.weights, ours.params.means, ours.params.covariances],
        [theirs.weights_, theirs.means_, theirs.covariances_],
        SKLEARN_RTOL,
    )


@cache
def loop_answer(problem: Problem) -> tuple[Any, ...]:
    """The same for both twins."""
    return loop_iteration(loop_part(problem))()


@cache
def sklearn_answer(problem: Problem) -> Any:
    """The same for both twins."""
    return sklearn_iterations(problem, 1 + SKLEARN_ITERATIONS)


def compare(found: list[Any], expected: list[Any], tolerance: float) -> None:
    """Equal arrays, up to tolerance times the largest element."""
    for a, b in zip(found, expected, strict=True):
        target = np.asarray(b).reshape(np.shape(a))
        np.testing.assert_allclose(a, target, rtol=tolerance, atol=tolerance * np.abs(target).max())


# ------------------------------------------------------------------------------------------------------------- timing

Sampler = Callable[[], float]
"""Runs a contestant once and tells its time: of an iteration, in nanoseconds per point per component."""
Clock = Callable[[], float]
"""Seconds since some moment: time.perf_counter, or time.process_time for those of CPU."""


def seconds(call: Callable[[], object], clock: Clock = time.perf_counter) -> float:
    begin = clock()
    call()
    return clock() - begin


def fastem_sampler(rows: Rows, problem: Problem) -> Sampler:
    """After an iteration that brings the rows back to the caches: those of a running fit."""
    scale = 1e9 / (problem.case.n * problem.case.k * FASTEM_ITERATIONS)

    def sample() -> float:
        iteration(rows, problem.start)
        return scale * seconds(lambda: [iteration(rows, problem.start) for _ in range(FASTEM_ITERATIONS)])

    return sample


def loop_sampler(problem: Problem) -> Sampler:
    scale, step = 1e9 / (problem.case.loop_rows * problem.case.k), loop_iteration(loop_part(problem))
    return lambda: scale * seconds(step)


def matmul_sampler(size: int = MATMUL_SIZE, dtype: str = "float64", clock: Clock = time.perf_counter) -> Sampler:
    """Nanoseconds of a multiply-add in NumPy's product of two square matrices, on as many threads as it takes: the
    limit of the machine."""
    A = np.random.default_rng(0).random((size, size)).astype(dtype)
    return lambda: 1e9 / size**3 * seconds(lambda: A @ A, clock)


def best_of(sampler: Sampler, repeats: int) -> Sampler:
    return lambda: min(sampler() for _ in range(repeats))


def sklearn_sampler(problem: Problem) -> Sampler:
    """The difference of two fits, so that only iterations count."""
    scale = 1e9 / (problem.case.n * problem.case.k * SKLEARN_ITERATIONS)
    return lambda: (
        scale
        * (
            seconds(lambda: sklearn_iterations(problem, 1 + SKLEARN_ITERATIONS))
            - seconds(lambda: sklearn_iterations(problem, 1))
        )
    )


def side_by_side(problem: Problem, repeats: int) -> dict[str, float]:
    """Nanoseconds per point per component of all that can take part: "naive loop", "scikit-learn" and the twins; and
    nanoseconds of a multiply-add, "matmul"."""
    samplers = {"naive loop": loop_sampler(problem), "matmul": best_of(matmul_sampler(), MATMUL_REPEATS)}
    if sklearn_takes_part(problem.case):
        samplers["scikit-learn"] = sklearn_sampler(problem)
    with ExitStack() as stack:
        for twin in TWINS:
            if not why_missing(twin):
                samplers[twin] = fastem_sampler(stack.enter_context(opened(problem, twin)), problem)
        return medians(samplers, repeats)


def medians(samplers: Mapping[str, Sampler], repeats: int) -> dict[str, float]:
    """Median of each contestant; all take their turn in every repeat, on a machine at rest."""

    def rested(sampler: Sampler) -> float:
        time.sleep(REST)
        return sampler()

    taken = [{name: rested(sampler) for name, sampler in samplers.items()} for _ in range(repeats)]
    return {name: statistics.median(times[name] for times in taken) for name in samplers}
