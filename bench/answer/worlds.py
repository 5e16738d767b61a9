"""Data sets with a number of components each, to judge where fits end.

`best_known.json` has the best mean log likelihood that any of some 100 fits has reached on those of seed 0 (plain EM to
its maximum, reg_covar 1e-6).  Another seed draws other data sets of the same kinds, but for the real ones.
"""

from dataclasses import dataclass

import numpy as np
from sklearn import datasets


@dataclass(frozen=True)
class World:
    """Rows, the number of components and the covariance type that are fitted to them."""

    name: str
    X: np.ndarray
    k: int
    covariance_type: str = "full"
    truth: tuple[np.ndarray, np.ndarray, np.ndarray] | None = None  # weights, means, covariances


SHAPES = {  # group -> d, k, n, separation (and covariance type)
    "peers": [(8, 10, 20_000, 0)] * 10 + [(2, 5, 20_000, 0)] * 3 + [(4, 8, 20_000, 0)] * 4 + [(16, 16, 20_000, 0)] * 3,
    "separated": [
        (1, 2, 500, 6), (1, 4, 2000, 6), (2, 3, 300, 6), (2, 5, 1000, 8), (2, 10, 3000, 8), (2, 20, 10_000, 8),
        (3, 8, 3000, 6), (5, 10, 5000, 6), (5, 20, 10_000, 8), (8, 15, 8000, 6), (10, 10, 5000, 6), (20, 10, 10_000, 6),
    ],
    "touching": [
        (1, 2, 500, 2), (1, 3, 2000, 2.5), (2, 3, 1000, 2.5), (2, 5, 3000, 3), (2, 8, 10_000, 3), (3, 6, 5000, 2.5),
        (5, 5, 5000, 2.5), (5, 10, 20_000, 3), (8, 8, 10_000, 2.5), (12, 6, 10_000, 2.5),
    ],
    "overlapping": [
        (1, 2, 1000, 1), (1, 3, 5000, 1.2), (2, 3, 3000, 1.2), (2, 5, 10_000, 1.2), (3, 4, 10_000, 1.0),
        (5, 5, 10_000, 1.2), (8, 4, 20_000, 1.0),
    ],
    "weights": [  # of 1 : 100
        (1, 3, 5000, 5), (2, 3, 5000, 5), (2, 5, 10_000, 5), (2, 8, 20_000, 5), (2, 10, 20_000, 4), (3, 5, 10_000, 5),
        (3, 10, 20_000, 4), (5, 6, 20_000, 4), (5, 10, 20_000, 5), (8, 10, 30_000, 4), (10, 5, 20_000, 4),
        (4, 4, 10_000, 3),
    ],
    "scales": [  # of 1 : 10
        (1, 2, 1000, 3), (1, 4, 5000, 4), (2, 3, 2000, 4), (2, 5, 5000, 5), (2, 8, 10_000, 5), (3, 5, 5000, 4),
        (3, 8, 10_000, 4), (5, 5, 10_000, 4), (5, 10, 20_000, 4), (8, 6, 10_000, 3), (8, 10, 20_000, 4),
        (2, 12, 20_000, 6),
    ],
    "elongated": [  # variances along axes of 1 : 100 to 400
        (2, 2, 500, 4), (2, 3, 1000, 4), (2, 4, 2000, 5), (2, 6, 5000, 6), (2, 10, 10_000, 6), (3, 4, 3000, 4),
        (3, 8, 10_000, 5), (5, 5, 5000, 4), (5, 10, 20_000, 4), (8, 6, 10_000, 3), (8, 10, 20_000, 3),
        (2, 15, 20_000, 8),
    ],
    "heavy": [  # t distributions with 3 to 5 degrees of freedom
        (1, 3, 2000, 6), (2, 3, 2000, 6), (2, 6, 5000, 6), (3, 5, 5000, 5), (5, 5, 10_000, 5), (5, 8, 10_000, 5),
        (8, 6, 20_000, 4), (2, 4, 20_000, 4),
    ],
    "background": [  # 15 % of the rows are uniform, and there is a component for them
        (1, 3, 2000, 8), (2, 3, 1000, 8), (2, 5, 3000, 8), (2, 8, 10_000, 8), (3, 5, 5000, 8), (3, 8, 10_000, 7),
        (5, 5, 10_000, 6), (5, 8, 20_000, 6),
    ],
    "rings": [
        (2, 6, 2000, 0), (2, 8, 5000, 0), (2, 12, 10_000, 0), (2, 16, 10_000, 0), (3, 8, 5000, 0), (2, 20, 20_000, 0),
        (3, 12, 10_000, 0),
    ],
    "duplicates": [(1, 3, 1000, 4), (2, 3, 1000, 4), (2, 5, 3000, 4), (3, 4, 3000, 4), (2, 8, 10_000, 5)],
    "highdim": [
        (20, 5, 5000, 5), (30, 3, 5000, 5), (30, 8, 20_000, 6), (40, 4, 10_000, 6), (50, 2, 5000, 4),
        (50, 5, 20_000, 6),
    ],
    "many": [
        (2, 20, 10_000, 5), (2, 30, 20_000, 6), (2, 50, 30_000, 8), (3, 25, 15_000, 5), (5, 30, 20_000, 6),
        (5, 50, 40_000, 6), (8, 20, 20_000, 4), (1, 10, 20_000, 6),
    ],
    "large": [
        (2, 5, 200_000, 3), (2, 10, 200_000, 5), (5, 8, 200_000, 3), (8, 10, 200_000, 2.5), (3, 6, 200_000, 1.5),
        (8, 5, 200_000, 5),
    ],
    "types": [
        (2, 5, 3000, 3, "diag"), (5, 8, 5000, 3, "diag"), (20, 10, 5000, 4, "diag"), (50, 10, 5000, 5, "diag"),
        (2, 5, 3000, 3, "tied"), (5, 8, 5000, 3, "tied"), (10, 10, 10_000, 4, "tied"), (2, 5, 3000, 3, "spherical"),
        (5, 10, 5000, 3, "spherical"), (20, 20, 10_000, 4, "spherical"),
    ],
}  # fmt: skip
N_RANDOM = 26
REAL = (
    ("iris", 2, "full"), ("iris", 3, "full"), ("iris", 4, "tied"), ("wine", 3, "diag"), ("winepca5", 3, "full"),
    ("cancerpca5", 2, "full"), ("cancerpca5", 4, "full"), ("cancerpca10", 2, "full"), ("digitspca5", 10, "full"),
    ("digitspca10", 10, "full"), ("digitspca20", 10, "diag"), ("digitspca30", 10, "tied"), ("digitspca10", 5, "full"),
    ("skdiabetes", 3, "diag"),
)  # fmt: skip


def names(real: bool = True) -> list[str]:
    """All data sets, or those that are drawn."""
    found = [f"random-{i:02d}" for i in range(N_RANDOM)]
    found += [f"{group}-{i:02d}" for group, shapes in SHAPES.items() for i in range(len(shapes))]
    return found + [f"real-{i:02d}" for i in range(len(REAL))] * real


def n_rows(name: str) -> int:
    """The rows of a data set; of one that is random or real, about the most."""
    group, number = name.split("-")
    return SHAPES[group][int(number)][2] if group in SHAPES else 5000


def make(name: str, seed: int = 0) -> World:
    """Draw a data set; seed 0 is that of `best_known.json`."""
    group, number = name.split("-")
    i = int(number)
    if group == "real":
        source, k, kind = REAL[i]
        return World(name, np.ascontiguousarray(real(source), float), k, kind)
    rng = np.random.default_rng([sum(map(ord, group)), i] + [seed] * bool(seed))
    if group == "random":
        return random(name, rng)
    d, k, n, separation, *kind = SHAPES[group][i]
    if group == "peers":
        return peers(name, rng, d, k, n)
    if group == "rings":
        return rings(name, rng, d, k, n, i)
    return spread(name, rng, group, i, (d, k, n, separation), kind[0] if kind else "full")


def spread(name: str, rng: np.random.Generator, group: str, i: int, shape: tuple, kind: str) -> World:
    """Means at random, the nearest about `separation` standard deviations apart, and what the group is about."""
    d, k, n, separation = shape
    w = rng.dirichlet(np.full(k, 10.0))
    means, F = spread_means(rng, k, d, separation), factors(rng, k, d)
    if group == "weights":
        w = np.geomspace(1, 100, k)
        w = rng.permutation(w / w.sum())
    elif group == "scales":
        F = factors(rng, k, d, 2.0, (0.3, 3.0))
    elif group == "elongated":
        F = factors(rng, k, d, 100.0 if i % 2 else 400.0)
    elif kind == "diag":
        F = np.array([np.diag(np.exp(rng.uniform(-0.7, 0.7, d))) for _ in range(k)])
    elif kind == "tied":
        F = np.repeat(F[:1], k, 0)
    elif kind == "spherical":
        F = np.array([np.eye(d) * np.exp(rng.uniform(-0.5, 0.5)) for _ in range(k)])
    if group == "heavy":
        return heavy(name, rng, (w, means, F), n, i)
    if group == "background":
        return background(name, rng, (w, means, F), n)
    X, truth = draw(rng, n, means, F, w)
    if group == "duplicates":
        X = np.round(X * 2) / 2
    covariances = {"full": truth[2], "tied": truth[2][0], "diag": np.einsum("kii->ki", truth[2])}
    covariances["spherical"] = covariances["diag"][:, 0]
    return World(name, X, k, kind, (*truth[:2], covariances[kind]))


def random(name: str, rng: np.random.Generator) -> World:
    d, k = int(rng.integers(1, 21)), int(rng.integers(2, 21))
    n, separation = int(10 ** rng.uniform(3, 4.7)), float(rng.choice([1.0, 2.0, 4.0, 8.0]))
    n = max(n, 6 * k * (d * (d + 3) // 2 + 1))
    means, F = rng.normal(size=(k, d)) * separation, np.tril(rng.normal(size=(k, d, d))) / np.sqrt(d) + np.eye(d)
    w = rng.dirichlet(np.full(k, 5.0))
    X, (w, means, covariances) = draw(rng, n, means, F, w)
    units = 10 ** rng.uniform(-1, 2, d)
    return World(name, X * units, k, "full", (w, means * units, covariances * units * units[:, None]))


def peers(name: str, rng: np.random.Generator, d: int, k: int, n: int) -> World:
    means = rng.uniform(-4, 4, (k, d))
    F = np.tril(rng.standard_normal((k, d, d))) + 2 * np.eye(d)
    F /= np.linalg.norm(F, axis=2, keepdims=True)
    X, truth = draw(rng, n, means, F, np.full(k, 1 / k))
    return World(name, X, k, "full", truth)


def rings(name: str, rng: np.random.Generator, d: int, k: int, n: int, i: int) -> World:
    parts = []
    for r in range(3 if i % 2 else 2):
        a = rng.uniform(0, 2 * np.pi, n // 3)
        center = np.c_[np.cos(a), np.sin(a)] * (r + 1) * 3
        parts.append(center + rng.normal(size=center.shape) * 0.3)
    if i % 3 == 0:
        t = rng.uniform(0, 3 * np.pi, n // 3)
        parts.append(np.c_[t * np.cos(t), t * np.sin(t)] + rng.normal(size=(n // 3, 2)) * 0.3 + [15, 0])
    X = np.concatenate(parts)
    if d == 3:
        X = np.c_[X, np.sin(X[:, 0]) + rng.normal(size=len(X)) * 0.3]
    return World(name, X[rng.permutation(len(X))], k)


def heavy(name: str, rng: np.random.Generator, mixture: tuple, n: int, i: int) -> World:
    w, means, F = mixture
    z, freedom = rng.choice(len(w), n, p=w), 3 + i % 3
    noise = np.einsum("nij,nj->ni", F[z], rng.normal(size=(n, F.shape[1])))
    X = means[z] + noise / np.sqrt(rng.chisquare(freedom, (n, 1)) / freedom)
    return World(name, X, len(w), "full", (w, means, F @ F.transpose(0, 2, 1)))


def background(name: str, rng: np.random.Generator, mixture: tuple, n: int) -> World:
    w, means, F = mixture
    X, truth = draw(rng, n, means, F * 0.7, w)
    m, low, high = int(0.15 * n), X.min(0) - 2, X.max(0) + 2
    X[:m] = rng.uniform(low, high, (m, X.shape[1]))
    X = X[rng.permutation(n)]
    weights, middle = np.append(0.85 * truth[0], 0.15), np.vstack([truth[1], (low + high) / 2])
    return World(name, X, len(w) + 1, "full", (weights, middle, [*truth[2], np.diag((high - low) ** 2 / 12)]))


def factors(
    rng: np.random.Generator, k: int, d: int, ratio: float = 4.0, scale: tuple[float, float] = (1.0, 1.0)
) -> np.ndarray:
    """k factors of covariances: axes from 1 / sqrt(ratio) to sqrt(ratio), a random rotation, a scale."""
    found = np.empty((k, d, d))
    for i in range(k):
        rotation = np.linalg.qr(rng.normal(size=(d, d)))[0]
        axes = np.exp(rng.uniform(-0.5, 0.5, d) * np.log(ratio))
        found[i] = rotation * (axes * np.exp(rng.uniform(np.log(scale[0]), np.log(scale[1]))))
    return found


def draw(rng: np.random.Generator, n: int, means: np.ndarray, F: np.ndarray, w: np.ndarray) -> tuple:
    """Rows of a mixture, and what it is."""
    k, d = means.shape
    z = rng.choice(k, n, p=w)
    if n * d * d < 4e7:
        X = means[z] + np.einsum("nij,nj->ni", F[z], rng.normal(size=(n, d)))
    else:
        X = np.concatenate([means[j] + rng.normal(size=((z == j).sum(), d)) @ F[j].T for j in range(k)])
        X = X[rng.permutation(n)]
    return X, (w, means, F @ F.transpose(0, 2, 1))


def spread_means(rng: np.random.Generator, k: int, d: int, separation: float) -> np.ndarray:
    """Means whose typical nearest distance is the separation."""
    means = rng.normal(size=(k, d))
    if k > 1:
        distances = np.sqrt(((means[:, None] - means[None]) ** 2).sum(-1)) + np.eye(k) * 1e9
        means *= separation / np.median(distances.min(1))
    return means


def components(X: np.ndarray, q: int) -> np.ndarray:
    """The first principal components."""
    X = X - X.mean(0)
    return X @ np.linalg.svd(X, full_matrices=False)[2][:q].T


def real(source: str) -> np.ndarray:
    if source == "iris":
        return datasets.load_iris().data
    if source == "wine":
        return datasets.load_wine().data
    if source == "skdiabetes":
        return np.delete(datasets.load_diabetes(scaled=False).data, 1, 1)
    name, q = source.split("pca")
    X = getattr(datasets, {"wine": "load_wine", "cancer": "load_breast_cancer", "digits": "load_digits"}[name])().data
    return components(X if name == "digits" else (X - X.mean(0)) / X.std(0), int(q))
