"""Fits of float32 rows beside those of the same rows as float64; and how often the sums of float32 rows are float64.

    python bench/float32.py [first seed, default 10000] [number of worlds, default 5000]
    python bench/float32.py 0 0    whole fits alone

Worlds are those of float32_datasets.py in tests/support: d = 1..20, k = 1..4, condition 1 to 1e12, offsets to 1e7,
units from 1e-4 to 1e4, n to 5e4 and in every hundredth world to 1e6.  What must agree is said there.  The ordinary
worlds of the second figure are the random mixtures of bench/random_mixtures.py.
"""

import itertools
import sys
import time
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from unittest.mock import patch

import numpy as np
from measure import load
from random_mixtures import draw

import fastem
from fastem.families.gaussian.model import GaussianParams

worlds = load("float32_datasets", Path(__file__).parents[1] / "tests" / "support" / "float32_datasets.py")

ORDINARY = 200
LARGE = 100
"""One world in so many has up to a million rows."""
SHAPES = ((200_000, 2, 5), (100_000, 8, 10), (30_000, 32, 16), (8_000, 128, 4), (40_000, 128, 16), (8_000, 128, 16))
"""Rows, features and components of whole fits; in the last, components have fewer rows than parameters."""
ITERATIONS, TURNS = 30, 5


@contextmanager
def judgements() -> Iterator[list[bool]]:
    """Yield, for each sweep of float32 rows, whether its sums are float32."""
    judged: list[bool] = []

    def judge(params: GaussianParams, tables: tuple[np.ndarray, ...]) -> bool:
        judged.append(enough(params, tables))
        return judged[-1]

    enough = GaussianParams.float32_is_sufficient
    with patch.object(GaussianParams, "float32_is_sufficient", judge):
        yield judged


def fallbacks(count: int) -> tuple[int, int]:
    """-> sweeps whose sums were float32, and float64, of fits of `count` ordinary mixtures."""
    with judgements() as judged:
        for seed in range(count):
            X, k, _ = draw(np.random.default_rng(seed), 20_000)
            world = worlds.Float32World(X.astype(np.float32), k, {"covariance_type": "full", "reg_covar": "auto"})
            worlds.outcome(world, world.X)
    return sum(judged), len(judged) - sum(judged)


def rows_of(kind: str, n: int, d: int, k: int) -> np.ndarray:
    """Uniform rows, or k blobs."""
    rng = np.random.default_rng(0)
    if kind == "uniform":
        return rng.uniform(size=(n, d)).astype(np.float32)
    return (rng.normal(size=(n, d)) + rng.normal(size=(k, d))[rng.integers(k, size=n)]).astype(np.float32)


def seconds(X: np.ndarray, k: int) -> float:
    """Of CPU, of thirty iterations from random rows on one thread."""
    mixture = fastem.GaussianMixture(
        k, init_params="random_from_data", random_state=0, tol=1e-6, max_iter=ITERATIONS, n_threads=1
    )
    begin = time.process_time()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        mixture.fit(X)
    return time.process_time() - begin


def whole_fits() -> None:
    """How much faster fits of float32 rows are, in turns."""
    for (n, d, k), kind in itertools.product(SHAPES, ("uniform", "blobs")):
        X = rows_of(kind, n, d, k)
        with judgements() as judged:
            turns = np.array(
                [[seconds(X.astype(dtype), k) for dtype in (np.float32, np.float64)] for _ in range(TURNS)]
            )
        ratio = np.median(turns[:, 1] / turns[:, 0])
        print(
            f"{n} x {d}, k = {k}, {kind}: {ratio:.2f} times; {sum(judged)} of {len(judged)} sweeps in float32",
            flush=True,
        )


def main() -> None:
    first, count = (int(value) for value in (sys.argv[1:] + ["10000", "5000"][len(sys.argv) - 1 :]))
    wrong = {}
    for seed in range(first, first + count):
        world = worlds.float32_world(seed, 1e6 if seed % LARGE == 0 else 5e4)
        if names := worlds.disagreements(world):
            wrong[seed] = names
            print(seed, world.X.shape, world.k, world.settings, names, flush=True)
    print(f"{len(wrong)} of {count} worlds disagree (fastem {fastem.__version__})")
    if count:
        in_float32, in_float64 = fallbacks(ORDINARY)
        print(f"{ORDINARY} ordinary mixtures of 20,000 rows: {in_float32} sweeps in float32, {in_float64} in float64")
    whole_fits()


if __name__ == "__main__":
    main()
