"""How often the number of components is found, and how long that takes, beside a loop over scikit-learn.

    python bench/bench_select.py            30 mixtures of a known number of components
    python bench/bench_select.py 60 7       as many as that, of another seed

Both choose from k = 1 to 10 by BIC: `fastem.select`, and scikit-learn's default fit of each k.  Times are of the
process.
"""

import sys
import time
import warnings
from collections.abc import Callable

import numpy as np
from sklearn.mixture import GaussianMixture as Theirs

import fastem

SIZES = range(1, 11)
ROWS = (1_000, 2_000, 3_000, 5_000)
SEPARATIONS = (3.0, 4.0, 5.0)
"""Standard deviations of the means, about, in those of a component."""


def draw(rng: np.random.Generator) -> tuple[np.ndarray, int]:
    """-> rows of 2 to 5 features, and of how many components they are, 2 to 7."""
    n, d, k = int(rng.choice(ROWS)), int(rng.integers(2, 6)), int(rng.integers(2, 8))
    means = rng.normal(size=(k, d)) * rng.choice(SEPARATIONS)
    factors = 0.4 * rng.normal(size=(k, d, d)) + np.eye(d)
    labels = rng.choice(k, n, p=rng.dirichlet(np.full(k, 8.0)))
    return means[labels] + np.einsum("nij,nj->ni", factors[labels], rng.normal(size=(n, d))), k


def by_fastem(X: np.ndarray) -> int:
    return int(fastem.select(X, SIZES).best.n_components)


def by_scikit_learn(X: np.ndarray) -> int:
    return SIZES[int(np.argmin([Theirs(k, random_state=0).fit(X).bic(X) for k in SIZES]))]


PROGRAMS: dict[str, Callable[[np.ndarray], int]] = {"fastem.select": by_fastem, "scikit-learn's loop": by_scikit_learn}


def main() -> None:
    count, seed = int(sys.argv[1]) if sys.argv[1:] else 30, int(sys.argv[2]) if sys.argv[2:] else 0
    warnings.simplefilter("ignore")
    rng = np.random.default_rng(seed)
    right, seconds = dict.fromkeys(PROGRAMS, 0), dict.fromkeys(PROGRAMS, 0.0)
    for _ in range(count):
        X, k = draw(rng)
        for name, choose in PROGRAMS.items():
            begin = time.process_time()
            right[name] += choose(X) == k
            seconds[name] += time.process_time() - begin
    for name in PROGRAMS:
        print(f"{name:20} right {right[name]:3} of {count}, {seconds[name]:6.1f} s")


if __name__ == "__main__":
    main()
