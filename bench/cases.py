"""What is timed: the one list of cases and twins, the data and the equal starts of a case.  Fixed seeds."""

import os
from dataclasses import dataclass, replace

import numpy as np

import fastem


@dataclass(frozen=True)
class Case:
    """n points of d features, k components; family is "normal" (d = 1), a covariance type, "binomial" or "poisson"."""

    family: str
    n: int
    d: int
    k: int
    trials: int = 0
    dtype: str = "float64"
    threads: int | None = None  # None is one for each core

    @property
    def name(self) -> str:
        return f"{self.family}-n{self.n}-d{self.d}-k{self.k}"

    @property
    def shape(self) -> str:
        """Its name, whatever n is."""
        return f"{self.family}-d{self.d}-k{self.k}"

    @property
    def is_binomial(self) -> bool:
        return self.family == "binomial"

    @property
    def is_poisson(self) -> bool:
        return self.family == "poisson"

    @property
    def row_kind(self) -> str:
        return {"binomial": "counts with trials", "poisson": "counts"}.get(self.family, "real numbers")

    @property
    def covariance_type(self) -> str:
        return "full" if self.family == "normal" else self.family

    @property
    def bytes(self) -> int:
        """Of its rows, read once in an iteration."""
        return self.n * self.d * (2 if self.is_binomial else 1) * np.dtype(self.dtype).itemsize

    @property
    def multiply_adds(self) -> float:
        """Of an EM iteration per point and component, as few as its formulas need.

        Full covariances: residuals times a triangle and a triangle of their products.  Diagonal ones: a value and its
        square, in the density and in the sums.  A tied one: the row is whitened and its products are added once for all
        components.
        """
        triangle = self.d * (self.d + 1) / 2
        return {
            "normal": 4.0,
            "full": 2 * (triangle + self.d),
            "tied": 2 * (triangle / self.k + self.d),
            "diag": 4.0 * self.d,
        }.get(self.family, 2.0 * self.d)

    @property
    def loop_rows(self) -> int:
        """Rows for the per-sample Python loop, whose time per point does not depend on n: a fraction of a second."""
        return 20_000 if self.d == 1 else 2_048


@dataclass(frozen=True, eq=False)
class Problem:
    """Rows of a case and where every contestant starts."""

    case: Case
    X: np.ndarray  #              (n, d)
    trials: np.ndarray | None  #  (n, d) tosses, for a binomial mixture
    start: fastem.GaussianParams | fastem.BinomialParams | fastem.PoissonParams


QUICK = bool(os.environ.get("FASTEM_BENCH_QUICK"))
"""A tenth of the rows: see conftest.py."""


SLOWER = "FASTEM_BENCH_SLOWER"
"""A test of the gates: by so much more rows are swept than are told."""


def with_injected(case: Case) -> Case:
    return replace(case, n=int(case.n * (1 + float(os.environ.get(SLOWER, "0")))))


def sized(case: Case) -> Case:
    return replace(case, n=case.n // 10) if QUICK else case


NORMAL = sized(Case("normal", 1_000_000, 1, 3))
FULL_2 = sized(Case("full", 1_000_000, 2, 5))
FULL_8 = sized(Case("full", 500_000, 8, 10))
FULL_32 = sized(Case("full", 200_000, 32, 16))
DIAG_8 = sized(Case("diag", 500_000, 8, 10))
BINOMIAL = sized(Case("binomial", 1_000_000, 1, 3, trials=50))
POISSON = sized(Case("poisson", 1_000_000, 1, 3))

TWINS = ("cython", "numba")

CASES = (
    NORMAL,
    FULL_2,
    FULL_8,
    FULL_32,
    sized(Case("full", 50_000, 64, 32)),
    DIAG_8,
    sized(Case("diag", 200_000, 32, 64)),
    sized(Case("tied", 500_000, 8, 10)),
    sized(Case("tied", 50_000, 32, 64)),
    sized(Case("spherical", 500_000, 8, 10)),
    BINOMIAL,
    POISSON,
)

COLUMN_CASES = (sized(Case("binomial", 100_000, 20, 5, trials=50)),)
"""Counts in several columns, for which there is no per-sample loop."""
SINGLE_CASES = tuple(replace(case, dtype="float32") for case in (NORMAL, FULL_2, FULL_8, FULL_32, DIAG_8))
THREAD_CASES = tuple(replace(case, threads=2) for case in (NORMAL, FULL_2, FULL_8))


def make(case: Case) -> Problem:
    rng = np.random.default_rng(case.n + case.d)
    makers = {"counts with trials": binomial_problem, "counts": poisson_problem, "real numbers": normal_problem}
    return makers[case.row_kind](case, rng)


def normal_problem(case: Case, rng: np.random.Generator) -> Problem:
    """Overlapping components with correlated features; the start is half a standard deviation off the true means."""
    means = rng.uniform(-4.0, 4.0, (case.k, case.d))
    X = normal_rows(rng, case.n, means).astype(case.dtype, copy=False)
    start = means + 0.5 * rng.choice([-1.0, 1.0], means.shape)
    return Problem(case, X, None, normal_params(case, start))


def normal_rows(rng: np.random.Generator, n: int, means: np.ndarray) -> np.ndarray:
    """n rows in random order, as many of each component; x = mean + L z with L of unit-length rows, unit variances."""
    k, d = means.shape
    factors = np.tril(rng.standard_normal((k, d, d))) + 2 * np.eye(d)
    factors /= np.linalg.norm(factors, axis=2, keepdims=True)
    X = rng.standard_normal((n, d))
    for part, mean, factor in zip(np.array_split(X, k), means, factors, strict=True):
        part[:] = mean + part @ factor.T
    return rng.permutation(X)


def normal_params(case: Case, means: np.ndarray) -> fastem.GaussianParams:
    """Equal weights, unit variances."""
    k, d = means.shape
    covariances = {
        "full": np.tile(np.eye(d), (k, 1, 1)),
        "tied": np.eye(d),
        "diag": np.ones((k, d)),
        "spherical": np.ones(k),
    }[case.covariance_type]
    return fastem.GaussianParams(np.full(k, 1 / k), means, covariances, case.covariance_type)


def binomial_problem(case: Case, rng: np.random.Generator) -> Problem:
    """Evenly spaced coins, the same in all columns; the start is a little off."""
    probs = np.tile(np.linspace(0.2, 0.8, case.k)[:, np.newaxis], case.d)
    X = rng.binomial(case.trials, probs[rng.integers(case.k, size=case.n)]).astype(case.dtype)
    start = fastem.BinomialParams(np.full(case.k, 1 / case.k), probs + 0.05)
    return Problem(case, X, np.full(X.shape, float(case.trials)), start)


def poisson_problem(case: Case, rng: np.random.Generator) -> Problem:
    """Rates that grow by the same factor; the start is a little off."""
    rates = np.geomspace(2.0, 40.0, case.k)[:, np.newaxis] * np.linspace(1.0, 1.5, case.d)
    X = rng.poisson(rates[rng.integers(case.k, size=case.n)]).astype(case.dtype)
    return Problem(case, X, None, fastem.PoissonParams(np.full(case.k, 1 / case.k), 1.1 * rates))
