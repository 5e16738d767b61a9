"""Does `select` find the number of components where some candidate has a suspect one?  Three rules on the same fits.

    python bench/select_doubts.py [number of worlds, default 120] [first seed, default 10000]

"raw" takes the lowest BIC; "veto" passes over every candidate with a suspect component, as fastem 0.1 did; "assured" is
`Selection.assured`, by which `select` chooses.  A choice is right if its number of components is the true one (of
outliers each may have one of its own) and its groups are the true ones (adjusted Rand index above 0.9).
"""

import sys
import warnings
from collections import Counter
from dataclasses import dataclass

import numpy as np
from sklearn.metrics import adjusted_rand_score

import fastem
from fastem.selection.select import THOROUGH

KINDS = ("plain", "outliers", "atom", "flat", "rounded", "high d", "few rows", "ordinal", "seen twice", "many rows")
SIZES = range(1, 7)
FOUND = 0.9
"""Adjusted Rand index from which groups count as found."""


@dataclass(frozen=True)
class World:
    kind: str
    X: np.ndarray
    labels: np.ndarray  # -1: an outlier
    k: int
    covariance_type: str


def covariance(rng: np.random.Generator, d: int, kind: str) -> np.ndarray:
    if kind in ("full", "tied"):
        A = rng.normal(size=(d, d)) / np.sqrt(d)
        return A @ A.T + 0.3 * np.eye(d)
    return np.diag(rng.uniform(0.3, 2, d)) if kind == "diag" else np.eye(d) * rng.uniform(0.5, 1.5)


Rows = tuple[np.ndarray, np.ndarray]
"""And the labels of their groups."""


def groups(rng: np.random.Generator, n: int, d: int, k: int, separation: float, kind: str) -> Rows:
    """Rows of k groups whose means are apart, and their labels."""
    while True:
        means = rng.normal(size=(k, d)) * separation
        distances = np.linalg.norm(means[:, np.newaxis] - means, axis=-1) + 99 * np.eye(k)
        if distances.min() > max(3.5, 0.6 * separation):
            break
    covariances = [covariance(rng, d, kind) for _ in range(1 if kind == "tied" else k)] * (k if kind == "tied" else 1)
    labels = np.arange(n) % k
    return np.array([rng.multivariate_normal(means[c], covariances[c]) for c in labels]), labels


def draw(seed: int) -> World:
    rng, kind = np.random.default_rng(seed), KINDS[seed % len(KINDS)]
    d, k, n = int(rng.integers(1, 4)), int(rng.integers(1, 5)), int(rng.integers(60, 601))
    covariance_type = str(rng.choice(["full", "tied", "diag", "spherical"]))
    separation = float(rng.choice([5, 8]))
    if kind == "ordinal":
        levels, n = np.arange(1.0, rng.integers(5, 9)), int(rng.choice([200, 400, 2000]))
        shares = np.exp(-0.5 * ((levels - rng.uniform(2, levels[-1] - 1)) / rng.uniform(0.8, 2)) ** 2)
        X = rng.choice(levels, (n, min(d, 2)), p=shares / shares.sum())
        return World(kind, X, np.zeros(n, int), 1, covariance_type)
    if kind == "many rows":
        n = int(rng.integers(1500, 4000))
    elif kind == "few rows":
        n, k = int(rng.integers(20, 61)), min(k, 3)
    elif kind == "high d":
        d, covariance_type, separation = int(rng.integers(8, 25)), "full", float(rng.choice([3, 6, 30]))
        n = int(rng.uniform(2, 12) * d) * k
    elif kind == "flat":
        d = max(d, 2)
    X, labels = groups(rng, n, d, k, separation, covariance_type)
    if kind == "outliers":
        far = rng.normal(size=(int(rng.integers(1, 4)), d)) * 10 ** rng.uniform(1.7, 4)
        X, labels = np.r_[X, far], np.r_[labels, np.full(len(far), -1)]
    elif kind in ("atom", "flat"):  # a group on one point, or with one value of a feature
        m = int(rng.choice([0.1, 0.5, 3]) * n) + 10
        more = np.zeros((m, d)) if kind == "atom" else rng.normal(size=(m, d)) * (np.arange(d) > 0)
        X, labels, k = np.r_[X, more + rng.normal(size=d) * separation], np.r_[labels, np.full(m, k)], k + 1
        covariance_type = "diag" if covariance_type == "diag" else "full"
    elif kind == "rounded":
        step = float(rng.choice([0.01, 0.1, 0.5, 1.0]))
        X = np.round(X / step) * step
    elif kind == "seen twice":
        twice = rng.choice(n, int(rng.integers(2, 12)))
        X, labels = np.r_[X, X[twice], X[twice[:3]]], np.r_[labels, labels[twice], labels[twice[:3]]]
    return World(kind, X, labels, k, covariance_type)


def is_right(world: World, mixture: fastem.GaussianMixture) -> bool:
    inside = world.labels >= 0
    if not world.k <= mixture.n_components <= world.k + (~inside).sum():
        return False
    if world.k == 1:
        return True
    return adjusted_rand_score(world.labels[inside], mixture.predict(world.X[inside])) > FOUND


def rules(selection: fastem.Selection) -> dict[str, int]:
    suspect = np.array([each.n_suspect > 0 for each in selection.candidates])
    vetoed = np.where(suspect & ~suspect.all(), np.inf, selection.values)
    return {"raw": int(selection.values.argmin()), "veto": int(vetoed.argmin()), "assured": selection.best_index}


def main() -> None:
    warnings.simplefilter("ignore")
    count, first = (int(value) for value in (*sys.argv[1:], *("120", "10000")[len(sys.argv) - 1 :]))
    right: Counter[tuple[str, str]] = Counter()
    tried: Counter[str] = Counter()
    for seed in range(first, first + count):
        world = draw(seed)
        settings = {**THOROUGH, "covariance_type": world.covariance_type, "reg_covar": "auto", "random_state": 0}
        selection = fastem.select(world.X, SIZES, estimator=fastem.GaussianMixture(**settings))
        tried[world.kind] += 1
        for rule, index in rules(selection).items():
            right[world.kind, rule] += is_right(world, selection.mixtures[index])
    print(f"{'kind':12}{'worlds':>8}{'raw':>8}{'veto':>8}{'assured':>8}")
    for kind in KINDS:
        print(f"{kind:12}{tried[kind]:8}" + "".join(f"{right[kind, rule]:8}" for rule in ("raw", "veto", "assured")))
    sums = [sum(right[kind, rule] for kind in KINDS) for rule in ("raw", "veto", "assured")]
    print(f"{'all':12}{count:8}" + "".join(f"{value:8}" for value in sums))


if __name__ == "__main__":
    main()
