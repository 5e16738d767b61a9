"""What the splits and merges of `select` win: final log likelihoods and seconds, beside those of ordinary starts alone.

    python bench/split_merge.py

A dozen mixtures, candidates k = 1 to 10: eight of bench/random_mixtures.py with n = 3,000 and 20,000, one of
eight components in a row, three of counts.  The figure is the log likelihood per row of a candidate less that with five
starts; higher is better.  Two starts, with splits and merges, are the default.
"""

import time
import warnings
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from random_mixtures import draw

import fastem
from fastem.selection.select import THOROUGH

SIZES = range(1, 11)
SAME = 1e-5
"""Log likelihoods per row closer than this are one maximum: the stop rule leaves 1e-6 to gain."""
WAYS: dict[str, dict[str, Any]] = {
    "5 starts": {"n_init": 5, "split_merge": False},
    "8 starts": {"n_init": 8, "split_merge": False},
    "5 starts, splits and merges": {"n_init": 5, "split_merge": True},
    "2 starts, splits and merges": {"n_init": 2, "split_merge": True},
    "1 start, splits and merges": {"n_init": 1, "split_merge": True},
}


@dataclass(frozen=True)
class Outcome:
    logliks: np.ndarray  # per row, of each candidate
    suspect: int  # candidates with components that `diagnose` has complaints about
    seconds: float


def mixtures() -> Iterator[tuple[str, type, dict[str, Any]]]:
    """Name, estimator and rows."""
    for seed in range(8):
        X, k, separation = draw(np.random.default_rng(seed), (3_000, 20_000)[seed % 2])
        yield f"n = {len(X)}, d = {X.shape[1]}, k = {k}, {separation:g} sd", fastem.GaussianMixture, {"X": X}
    rng = np.random.default_rng(0)
    X = 3.0 * rng.integers(8, size=(20_000, 1)) + rng.standard_normal((20_000, 1))
    yield "n = 20000, d = 1, k = 8, 3 sd, in a row", fastem.GaussianMixture, {"X": X}
    for d, k in ((1, 4), (3, 6), (5, 8)):
        probs = rng.uniform(0.05, 0.95, (k, d))
        X = rng.binomial(30, probs[rng.integers(k, size=5_000)])
        yield f"counts, n = 5000, d = {d}, k = {k}", fastem.BinomialMixture, {"X": X, "trials": 30}


def outcome(kind: type, data: dict[str, Any], n_init: int, split_merge: bool) -> Outcome:
    estimator = kind(random_state=0, **(THOROUGH | {"n_init": n_init}))
    begin = time.perf_counter()
    found = fastem.select(n_components=SIZES, estimator=estimator, split_merge=split_merge, **data)
    seconds = time.perf_counter() - begin
    logliks = np.array([each.loglik for each in found.candidates]) / len(data["X"])
    return Outcome(logliks, sum(each.n_suspect > 0 for each in found.candidates), seconds)


def row(found: list[Outcome], least: list[Outcome]) -> str:
    """Cells of a way to fit: candidates higher and lower, the mean difference, suspect ones, seconds."""
    gains = np.concatenate([each.logliks - first.logliks for each, first in zip(found, least, strict=True)])
    higher, lower = int((gains > SAME).sum()), int((gains < -SAME).sum())
    suspect, seconds = sum(each.suspect for each in found), sum(each.seconds for each in found)
    return f"{higher} | {lower} | {gains.mean():+.4f} | {suspect} | {seconds:.1f}"


def main() -> None:
    warnings.simplefilter("ignore")
    found: dict[str, list[Outcome]] = {way: [] for way in WAYS}
    for name, kind, data in mixtures():
        for way, settings in WAYS.items():
            found[way].append(outcome(kind, data, **settings))
        gains = [found[way][-1].logliks.mean() - found["5 starts"][-1].logliks.mean() for way in WAYS]
        print(f"{name}: " + ", ".join(f"{gain:+.4f}" for gain in gains), flush=True)
    print("\n| | higher | lower | mean difference | suspect | seconds |\n|---|---|---|---|---|---|")
    for way, outcomes in found.items():
        print(f"| {way} | {row(outcomes, found['5 starts'])} |")


if __name__ == "__main__":
    main()
