"""Where fits end: the share that reaches the best known maximum, and how long it takes, beside scikit-learn.

    python bench/bench_answer.py                  the data sets of bench/answer, whose best known maxima are kept there
    python bench/bench_answer.py --seed 7         others of the same kinds; the best of all fits here is the best known
    python bench/bench_answer.py --peers          d = 8, k = 10, of the seeds of the table of other packages
    python bench/bench_answer.py --large          50,000 x 15, k = 20, beside the best of 20 fits from k-means
    python bench/bench_answer.py --cost           seconds of a whole fit beside scikit-learn's
    python bench/bench_answer.py --published      data sets of mclust's publications; it must be there

--quick leaves out what has over 10,000 rows, --ten adds scikit-learn with n_init=10, --mclust adds R's package of that
name; names choose data sets.  A fit by default is judged where its stop rule leaves it, and after it has gone on to its
maximum.  Times are of the process, on one thread.
"""

import argparse
import json
import subprocess
import tempfile
import time
import warnings
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import NamedTuple

import numpy as np
from answer import worlds
from sklearn.mixture import GaussianMixture as Theirs
from threadpoolctl import threadpool_limits

import fastem
from fastem.families.diagnosis import is_suspect

FOLDER = Path(__file__).parent / "answer"
QUICK_ROWS = 10_000
SHARES = (1e-3, 1e-4)
"""Distances from the best known mean log likelihood within which a fit has reached it."""
MAXIMUM = {"max_iter": 2000, "tol": 1e-7, "stopping": "aitken", "acceleration": "quasi-newton"}
"""Settings with which a fit goes on to its maximum."""
TEN = "scikit-learn, n_init=10"
MCLUST_FIT = str(Path(__file__).parent / "peers" / "mclust_fit.R")
MCLUST = {"full": ("V", "VVV"), "tied": ("E", "EEE"), "diag": ("V", "VVI"), "spherical": ("V", "VII")}
"""Its names of our covariance types, of one feature and of several."""
DATA = Path(__file__).parent.parent / "examples" / "data"
PUBLISHED = (
    ("old_faithful", 1.0, "tied", 3, -1126.326),
    ("galaxies", 1e-3, "full", 3, -203.179),
    ("acidity", 1.0, "tied", 2, -185.949),
    ("diabetes", 1.0, "full", 3, -2303.496),
)
"""Data, what its numbers are multiplied by, covariance type, k, and the log likelihood that is published of mclust."""
LEAST_TOLD = 1e-6
"""A mean log likelihood that is left to gain, below which nobody asks how well it was told."""
LARGE = 50_000, 15, 20
"""n, d, k"""
COSTS = ((2, 5, 2000), (8, 10, 2000), (2, 5, 20_000), (8, 10, 20_000), (2, 5, 1_000_000), (8, 10, 1_000_000))
"""d, k, n"""


def seconds(call: Callable[[], object], turns: int = 1) -> tuple[float, object]:
    """-> the least of some turns, and what the last returned."""
    found = []
    for _ in range(turns):
        begin = time.process_time()
        result = call()
        found.append(time.process_time() - begin)
    return min(found), result


class Maximum(NamedTuple):
    """A mean log likelihood, and whether it is of a mixture with a component that a search would refuse."""

    loglik: float
    suspect: bool = False


def gone_on(X: np.ndarray, start: fastem.GaussianParams) -> Maximum:
    """The maximum that EM leads to from here."""
    with fastem.open_rows(X, fitting=True) as rows:
        fit = fastem.em(rows.sweep, lambda stats: stats.maximize(reg_covar=1e-6), start, **MAXIMUM)
    loglik = max(fit.loglik / len(X), fastem.accumulate(start, X).loglik / len(X))
    return Maximum(loglik, bool(is_suspect(fit.params, fit.params.weights * len(X), fit.params.collapsed(1e-6)).any()))


def params_of(mixture: Theirs | fastem.GaussianMixture) -> fastem.GaussianParams:
    arrays = mixture.weights_, mixture.means_, mixture.covariances_
    return fastem.GaussianParams(*arrays, mixture.covariance_type)


def mclust(world: worlds.World) -> tuple[float, fastem.GaussianParams | None]:
    """-> seconds as it counts them, and what it finds; None where it gives up."""
    n, d = world.X.shape
    model = MCLUST[world.covariance_type][d > 1]
    with tempfile.TemporaryDirectory() as folder:
        world.X.tofile(Path(folder) / "rows")
        told = subprocess.run(
            ["Rscript", MCLUST_FIT, model, *map(str, (n, d, world.k)), folder],
            check=True,
            capture_output=True,
            text=True,
        )
        answer, took = Path(folder) / "answer", float(told.stdout)
        if not answer.exists():
            return took, None
        weights, means, covariances = np.split(np.fromfile(answer), [world.k, world.k * (1 + d)])
    covariances = covariances.reshape(world.k, d, d)
    of_type = {
        "full": covariances,
        "tied": covariances[0],
        "diag": np.einsum("kii->ki", covariances),
        "spherical": covariances[:, 0, 0],
    }
    arrays = weights, means.reshape(world.k, d), of_type[world.covariance_type]
    return took, fastem.GaussianParams(*arrays, world.covariance_type)


class End(NamedTuple):
    """Where a fit ended: mean log likelihoods, as its stop rule leaves it and at its maximum; -inf where it gave up."""

    stopped: float
    maximum: Maximum
    seconds: float
    converged: bool = False  # as it says itself
    remaining_gain: float = np.nan  # that it tells; NaN of other programs


def fits_of(world: worlds.World, seed: int, others: Iterable[str]) -> dict[str, End]:
    """-> where each program ends."""
    settings = {"covariance_type": world.covariance_type, "random_state": seed}
    mixtures = {
        "fastem": fastem.GaussianMixture(world.k, n_threads=1, **settings),
        "fastem, k-means": fastem.GaussianMixture(world.k, n_threads=1, init_params="kmeans", **settings),
        "scikit-learn": Theirs(world.k, **settings),
        TEN: Theirs(world.k, n_init=10, **settings),
    }
    found = {}
    for name in ("fastem", "fastem, k-means", "scikit-learn", *others):
        if name == "mclust":
            took, params = mclust(world)
            if params is None:
                found[name] = End(-np.inf, Maximum(-np.inf), took)
                continue
            told = False, np.nan
        else:
            took, mixture = seconds(lambda: mixtures[name].fit(world.X))  # noqa: B023 - called at once
            params, told = params_of(mixture), (mixture.converged_, getattr(mixture, "remaining_gain_", np.nan))
        stopped = fastem.accumulate(params, world.X).loglik / len(world.X)
        found[name] = End(stopped, gone_on(world.X, params), took, *told)
    return found


def best_of(world: worlds.World, seed: int, known: float | None, found: dict[str, End]) -> Maximum:
    """The best known: what is kept or, of a new data set, the best of these fits and of more."""
    candidates = [end.maximum for end in found.values()]
    if known is not None:
        return Maximum(known)
    if world.truth is not None:
        candidates.append(gone_on(world.X, fastem.GaussianParams(*world.truth, world.covariance_type)))
    for more in range(2):
        settings = {"covariance_type": world.covariance_type, "random_state": 1000 + seed + more}
        candidates.append(gone_on(world.X, fastem.GaussianMixture(world.k, **settings).fit(world.X).params_))
    return max(candidates)


def judge(names: list[str], seed: int, others: list[str]) -> None:
    """A line for each data set, and the shares that reach the best known maximum."""
    known = json.loads((FOLDER / "best_known.json").read_text()) if seed == 0 else {}
    ends: dict[str, list[End]] = {}
    best: list[Maximum] = []
    for name in names:
        world = worlds.make(name, seed)
        found = fits_of(world, seed + 1, others)
        best.append(best_of(world, seed, known.get(name), found))
        for program, end in found.items():
            ends.setdefault(program, []).append(end)
        gaps = {each: end.maximum.loglik - best[-1].loglik for each, end in found.items()}
        line = "  ".join(f"{each} {gaps[each]:+.5f} {end.seconds:.3f} s" for each, end in found.items())
        suspect = "  (suspect)" * best[-1].suspect
        print(f"{name:15s} n {len(world.X):6d} d {world.X.shape[1]:2d} k {world.k:2d}  {line}{suspect}", flush=True)
    for program, its in ends.items():
        print_shares(program, its, best)


def print_shares(program: str, ends: list[End], best_known: list[Maximum]) -> None:
    """Of the best known maximum, and of what fits say of their own."""
    best, suspect = np.array(best_known).T
    told = [(end.stopped, end.maximum.loglik, end.seconds, end.converged, end.remaining_gain) for end in ends]
    stopped, maximum, took, converged, remaining = np.array(told).T
    shares = [f"{np.mean(best - reached < within):.1%}" for reached in (stopped, maximum) for within in SHARES]
    print(
        f"{program:25s} {len(ends)} data sets; as it stops within 1e-3 {shares[0]}, 1e-4 {shares[1]}; at its"
        f" maximum {shares[2]}, {shares[3]}; {took.sum():.1f} s"
    )
    sound = suspect == 0
    if not sound.all():
        print(
            f"    of {sound.sum()} whose best known has no component that is thin or on hardly any rows:"
            f" {np.mean((best - maximum)[sound] < SHARES[1]):.1%} within 1e-4 at their maximum"
        )
    if not converged.any():
        return
    gained, said = maximum - stopped, converged == 1
    print(f"    {said.sum()} say that they have converged: {np.mean(gained[said] < SHARES[0]):.1%} gain less than 1e-3")
    known = np.isfinite(remaining)
    if known.any():
        much = known & (np.maximum(gained, remaining) > LEAST_TOLD)
        near = (remaining[much] < 3 * gained[much]) & (gained[much] < 3 * remaining[much])
        print(
            f"    remaining_gain_ is told in {known.sum()}; it is within a factor of 3 in {near.sum()} of {much.sum()}"
            f" where it or the truth is over {LEAST_TOLD}"
        )


def peers() -> None:
    judge([f"peers-{i:02d}" for i in range(8)], 0, [TEN])


def large(seed: int) -> None:
    """A fit by default beside the best of many from k-means, each at its maximum."""
    n, d, k = LARGE
    for each in range(seed, seed + 3):
        rng = np.random.default_rng(each)
        X = worlds.draw(rng, n, worlds.spread_means(rng, k, d, 3.0), worlds.factors(rng, k, d), np.full(k, 1 / k))[0]
        begin = time.process_time()
        found = fastem.GaussianMixture(k, random_state=each, n_threads=1).fit(X)
        took = time.process_time() - begin
        one_start = {"init_params": "kmeans", "n_threads": 1} | MAXIMUM
        begin = time.process_time()
        ends = [fastem.GaussianMixture(k, random_state=start, **one_start).fit(X).loglik_ / n for start in range(20)]
        print(
            f"seed {each}: {found.loglik_ / n:.4f} in {took:.2f} s; of {len(ends)} from k-means the best"
            f" {max(ends):.4f}, the median {np.median(ends):.4f}, in {time.process_time() - begin:.1f} s",
            flush=True,
        )


def published() -> None:
    """Fits with nothing set but k and the covariance type, beside mclust's."""
    for name, unit, covariance_type, k, told in PUBLISHED:
        X = unit * rows_of(name)
        fits = [
            fastem.GaussianMixture(k, covariance_type=covariance_type, random_state=seed).fit(X) for seed in range(8)
        ]
        logliks = [fastem.accumulate(fit.params_, X).loglik for fit in fits]
        params = mclust(worlds.World(name, X, k, covariance_type))[1]
        theirs = "none" if params is None else f"{fastem.accumulate(params, X).loglik:.3f}"
        print(
            f"{name:12s} {covariance_type} k {k}: fastem {min(logliks):.3f} to {max(logliks):.3f} in {len(fits)} seeds,"
            f" mclust {theirs}, published {told:.3f}"
        )


def rows_of(name: str) -> np.ndarray:
    """Rows (n, d) of a file of ours, or of a data set of mclust, of which columns of words are left out."""
    if (path := DATA / f"{name}.csv").exists():
        return np.loadtxt(path, delimiter=",", skiprows=1, ndmin=2)
    call = f"data({name}, package = 'mclust'); found <- data.frame({name}); found <- found[sapply(found, is.numeric)]"
    write = "write.table(found, row.names = FALSE, col.names = FALSE)"
    told = subprocess.run(["Rscript", "-e", f"{call}; {write}"], check=True, capture_output=True, text=True)
    return np.loadtxt(told.stdout.splitlines(), ndmin=2)


def cost() -> None:
    """Whole fits by default, of components that touch, and of separate ones."""
    for separation in (2.0, 8.0):
        for d, k, n in COSTS:
            times = np.zeros(3)
            for seed in range(3):
                rng = np.random.default_rng(seed)
                means, F = worlds.spread_means(rng, k, d, separation), worlds.factors(rng, k, d)
                X = worlds.draw(rng, n, means, F, np.full(k, 1 / k))[0]
                ours = {"random_state": seed, "n_threads": 1}
                turns = 1 if n > 100_000 else 3
                times += [
                    seconds(lambda: Theirs(k, random_state=seed).fit(X), turns)[0],  # noqa: B023 - called at once
                    seconds(lambda: fastem.GaussianMixture(k, **ours).fit(X), turns)[0],  # noqa: B023
                    seconds(lambda: fastem.GaussianMixture(k, init_params="kmeans", **ours).fit(X), turns)[0],  # noqa: B023
                ]
            theirs, searched, quick = times / 3
            print(
                f"separation {separation:.0f} d {d} k {k:2d} n {n:7d}: scikit-learn {theirs:.3f} s, fastem"
                f" {searched:.3f} s ({theirs / searched:.1f} x), k-means {quick:.3f} s ({theirs / quick:.1f} x)",
                flush=True,
            )


def main() -> None:
    warnings.simplefilter("ignore")
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("names", nargs="*", help="data sets, or groups of them")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--ten", action="store_const", const=TEN)
    parser.add_argument("--mclust", action="store_const", const="mclust")
    parser.add_argument("--peers", action="store_true")
    parser.add_argument("--large", action="store_true")
    parser.add_argument("--cost", action="store_true")
    parser.add_argument("--published", action="store_true")
    given = parser.parse_args()
    threadpool_limits(1)
    if given.large:
        return large(given.seed)
    for chosen, run in ((given.cost, cost), (given.peers, peers), (given.published, published)):
        if chosen:
            return run()
    wanted = tuple(given.names) or ("",)
    names = [name for name in worlds.names(real=given.seed == 0) if name.startswith(wanted)]
    if given.quick:
        names = [name for name in names if worlds.n_rows(name) <= QUICK_ROWS]
    judge(names, given.seed, list(filter(None, (given.ten, given.mclust))))


if __name__ == "__main__":
    main()
