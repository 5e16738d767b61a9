"""Random mixtures of Gaussians, overlapping and separated.

d = 1..20, k = 2..20, features of scale 1e-3..1e3, n = 1e3..1e5.
"""

import numpy as np


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
