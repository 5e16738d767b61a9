"""Where default fits end: fastem beside scikit-learn, on random mixtures, each with its own default start.

    python bench/starts.py [number of mixtures, default 60]

Overlapping and separated components, d = 1..20, k = 2..20, features of scale 1e-3..1e3, n = 1e3..1e5.  The figure is
the mean log likelihood per row at the end of a fit; higher is better.
"""

import sys
import time
import warnings
from dataclasses import dataclass

import numpy as np
from sklearn.mixture import GaussianMixture as Reference

import fastem

TIE = 1e-6
"""Log likelihoods per row closer than this are equal: the default stop rule leaves more to gain."""


@dataclass(frozen=True)
class Outcome:
    n: int
    d: int
    k: int
    separation: float
    ours: float
    theirs: float
    seconds: float
    their_seconds: float

    @property
    def gain(self) -> float:
        return self.ours - self.theirs


def draw(rng: np.random.Generator, n: int | None = None) -> tuple[np.ndarray, int, float]:
    """A random mixture -> rows (n of them, or 1e3 to 1e5), k, separation of its means in standard deviations."""
    d, k = int(rng.integers(1, 21)), int(rng.integers(2, 21))
    n = n or int(10 ** rng.uniform(3, 5))
    separation = float(rng.choice([1.0, 2.0, 4.0, 8.0]))
    means = rng.normal(size=(k, d)) * separation
    factors = np.tril(rng.normal(size=(k, d, d))) / np.sqrt(d) + np.eye(d)
    labels = rng.choice(k, n, p=rng.dirichlet(np.full(k, 5.0)))
    rows = means[labels] + np.einsum("nij,nj->ni", factors[labels], rng.normal(size=(n, d)))
    return rows * 10 ** rng.uniform(-3, 3, d), k, separation


def fitted(mixture: object, X: np.ndarray) -> tuple[float, float]:
    """-> log likelihood per row, seconds."""
    begin = time.perf_counter()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        mixture.fit(X)
    return mixture.score(X), time.perf_counter() - begin


def compare(seed: int) -> Outcome:
    X, k, separation = draw(np.random.default_rng(seed))
    ours, seconds = fitted(fastem.GaussianMixture(k, reg_covar=0.0, random_state=seed), X)
    theirs, their_seconds = fitted(Reference(k, reg_covar=0.0, random_state=seed), X)
    return Outcome(*X.shape, k, separation, ours, theirs, seconds, their_seconds)


def tell(outcomes: list[Outcome]) -> None:
    gains = np.array([outcome.gain for outcome in outcomes])
    wins, losses = int((gains > TIE).sum()), int((gains < -TIE).sum())
    speed = np.median([outcome.their_seconds / outcome.seconds for outcome in outcomes])
    print(f"{len(outcomes)} mixtures: mean gain {gains.mean():+.5f} per row, median {np.median(gains):+.6f}")
    print(f"better {wins}, equal {len(gains) - wins - losses}, worse {losses}; median ratio of seconds {speed:.1f}")


def main() -> None:
    outcomes = []
    for seed in range(int(sys.argv[1]) if len(sys.argv) > 1 else 60):
        outcome = compare(seed)
        outcomes.append(outcome)
        print(
            f"n {outcome.n:6d}  d {outcome.d:2d}  k {outcome.k:2d}  separation {outcome.separation:.0f}"
            f"  gain {outcome.gain:+.5f}  ratio of seconds {outcome.their_seconds / outcome.seconds:6.1f}",
            flush=True,
        )
    tell(outcomes)


if __name__ == "__main__":
    main()
