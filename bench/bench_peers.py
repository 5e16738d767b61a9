"""Peers side by side: an EM iteration from equal starts, and seconds to an equal log likelihood from own starts.

    make bench-peers                          measures, and writes tables and picture into docs/benchmarks.md
    python bench/bench_peers.py PACKAGE ...   prints what these take

1. Iterations: nothing is regularised, parameters after a few iterations are compared with ours, and the time is the
   difference of a long and a short run over that of the iterations made.
2. Fits: the best known log likelihood is that at the end of EM from beside the truth.  Iteration limits are doubled,
   with every tolerance at 0, until the parameters that come back are within SLACK per row of it, judged by
   tests/support/naive.py; the seconds are those of that run.
"""

import math
import statistics
import sys
import time
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import replace
from functools import partial
from itertools import count

import cpuinfo
import measure
import numpy as np
import peers_page
from bench_fit import five, five_means
from cases import BINOMIAL, FULL_2, FULL_8, FULL_32, NORMAL, Case, Problem, make, normal_params
from peer import COMMANDS, AbsentError, Peer, flat, started

import fastem

SHORT = 2
LONG, LONG_SECONDS = (7, 100), 0.2
"""The long run makes as many iterations as take so long, between these two."""
REPEATS = 3
RTOL = {"flexmix": 1e-2, "mixtools": 5e-2, "Spark": 1e-3}
"""Of parameters after SHORT iterations, of the largest element.  flexmix tells weights that are an iteration ahead of
the rest, and corrects covariances for bias; mixtools takes variances about the means of the iteration before.
Spark adds 2e-16 to every density, which shows in eight dimensions."""
DEFAULT_RTOL = 1e-6

FIT_ROWS = 20_000
SLACK = 1e-3
"""Per row: the default tol of scikit-learn."""
STANDSTILL = 1e-7
"""Per row: where twice the iterations gain less, the run has ended at another maximum."""
SEEDS = 8
ENOUGH = 3.0
"""Seconds: a run that took longer is the last of its peer on these rows."""


# ---------------------------------------------------------------------------------------------------------- iterations

TENTH = 10
"""Of the rows of `make bench`: some peers take minutes for all."""
ITERATIONS = {
    "d = 1, k = 3": NORMAL,
    "d = 2, k = 5": FULL_2,
    "d = 8, k = 10": FULL_8,
    "d = 32, k = 16": FULL_32,
    "binomial, k = 3": BINOMIAL,
}


def iterations(case: Case, names: list[str]) -> dict[str, dict]:
    """Nanoseconds per point, component and iteration of those that take part; why the others do not."""
    problem, samplers, absent, versions = make(replace(case, n=case.n // TENTH)), {}, {}, {}
    with ExitStack() as stack:
        for name in names:
            try:
                peer = stack.enter_context(started(name, problem))
                samplers[name], versions[name] = checked(name, peer, problem), peer.version
            except AbsentError as reason:
                absent[name] = str(reason)
        return {"took": measure.medians(samplers, REPEATS), "absent": absent, "versions": versions}


def checked(name: str, peer: Peer, problem: Problem) -> measure.Sampler:
    """Has the peer's answer compared with ours; -> tells its time of an iteration."""
    short = peer.ask("given", SHORT)
    try:
        measure.compare([short.parameters], [flat(our_answer(problem))], RTOL.get(name, DEFAULT_RTOL))
    except AssertionError as error:
        raise AbsentError(f"another answer than ours: {' '.join(str(error).split())}") from None
    more = peer.ask("given", LONG[0])
    each = (more.seconds - short.seconds) / (LONG[0] - SHORT)
    long = int(np.clip(LONG_SECONDS / max(each, 1e-9), *LONG))
    sample = partial(of_an_iteration, peer, long, 1e9 / (problem.case.n * problem.case.k))
    sample()  # one that fails here takes no part
    return sample


def our_answer(problem: Problem) -> fastem.GaussianParams | fastem.BinomialParams:
    terms = {} if problem.case.is_binomial else {"reg_covar": 0.0}
    with measure.opened(problem, "cython") as rows:
        return fastem.em(
            rows.sweep, lambda stats: stats.maximize(**terms), problem.start, tol=0.0, max_iter=SHORT
        ).params


def of_an_iteration(peer: Peer, most: int, scale: float) -> float:
    short, long = peer.ask("given", SHORT), peer.ask("given", most)
    return scale * (long.seconds - short.seconds) / (long.iterations - short.iterations)


# ---------------------------------------------------------------------------------------------------------------- fits


def five_normals(distance: float) -> Problem:
    """Of bench_fit.py, beside the truth."""
    case = Case("full", FIT_ROWS, 2, 5)
    return Problem(case, five(distance, FIT_ROWS), None, normal_params(case, five_means(distance)))


FITS: dict[str, Callable[[], Problem]] = {
    "univariate, k = 3": lambda: make(replace(NORMAL, n=FIT_ROWS)),
    "d = 2, k = 5, separated": lambda: five_normals(10.0),
    "d = 2, k = 5, overlapping": lambda: five_normals(2.0),
    "d = 8, k = 10": lambda: make(replace(FULL_8, n=FIT_ROWS)),
    "binomial, k = 3": lambda: make(replace(BINOMIAL, n=FIT_ROWS)),
}


def loglik(problem: Problem, parameters: np.ndarray) -> float:
    """Per row, of parameters one behind the other; of a component that has collapsed to fewer dimensions, -inf."""
    k, d = problem.case.k, problem.case.d
    weights, means, covariances = np.split(parameters, [k, k + k * d])
    covariances = covariances.reshape(-1, d, d)
    if problem.case.is_binomial:
        density = measure.naive.binomial_log_density(problem.X, problem.trials, means.reshape(k, d))
    elif np.linalg.eigvalsh(covariances).min() > 0:
        density = measure.naive.normal_log_density(problem.X, means.reshape(k, d), covariances)
    else:
        return -math.inf
    return float(measure.naive.posterior(density, weights)[0].mean())


def best_known(problem: Problem) -> float:
    """Log likelihood per row at the end of EM from beside the truth."""
    with measure.opened(problem, "cython") as rows:
        fit = fastem.em(rows.sweep, lambda stats: stats.maximize(), problem.start, tol=1e-10, max_iter=10_000)
    return loglik(problem, flat(fit.params))


def reach(peer: Peer, problem: Problem, target: float, seed: int) -> tuple[float, float]:
    """-> seconds of the first run to the target (infinite if there is none), log likelihood per row of the last."""
    before = -math.inf
    for doublings in count():
        run = peer.ask("own", 2**doublings, seed)
        found = loglik(problem, run.parameters)
        if found >= target:
            return run.seconds, found
        if run.seconds > ENOUGH or not found - before >= STANDSTILL:
            return math.inf, found
        before = found


def fits(problem: Problem, names: list[str]) -> dict[str, dict]:
    """What those that take part needed with every seed; why the others do not."""
    best, took, absent = best_known(problem), {}, {}
    for name in names:
        try:
            with started(name, problem) as peer:
                peer.ask("own", 1, 0)  # whatever a first run has to load
                runs = [reach(peer, problem, best - SLACK, seed) for seed in range(SEEDS)]
        except AbsentError as reason:
            absent[name] = str(reason)
            continue
        seconds, ends = zip(*runs, strict=True)
        reached = list(filter(math.isfinite, seconds))
        took[name] = {
            "seconds": statistics.median(reached) if reached else None,
            "reached": len(reached),
            "short_of_best": best - max(ends),
        }
    return {"took": took, "absent": absent}


# ---------------------------------------------------------------------------------------------------------------- main


def told(title: str, column: dict[str, dict]) -> dict[str, dict]:
    for name, found in column["took"].items():
        print(f"{title:28s} {name:14s} {found}", flush=True)
    for name, reason in column["absent"].items():
        print(f"{title:28s} {name:14s} takes no part: {reason}", flush=True)
    return column


def machine() -> str:
    config = fastem.show_config()
    brand = cpuinfo.get_cpu_info().get("brand_raw", "unknown processor")
    return f"{brand}, {config.instruction_set}, {config.threads.n_threads} threads"


def main() -> None:
    names = sys.argv[1:] or list(COMMANDS)
    begin = time.perf_counter()
    found = {
        "date": time.strftime("%Y-%m-%d"),
        "machine": machine(),
        "seeds": SEEDS,
        "iterations": {title: told(title, iterations(case, names)) for title, case in ITERATIONS.items()},
        "fits": {title: told(title, fits(problem(), names)) for title, problem in FITS.items()},
    }
    print(f"{time.perf_counter() - begin:.0f} s in all")
    if len(sys.argv) == 1:
        peers_page.keep(found)
        peers_page.write()


if __name__ == "__main__":
    main()
