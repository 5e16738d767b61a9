"""How far below their maximum the fits of fit_many end: groups that hold few carriers, or components that touch.

    python bench/many_gaps.py [groups of a world, default 400] [seed, default that of the clock]

Rows are drawn anew from the seed.  The maximum of a group is the best of EM to its end from the truth, from the fit and
from blocks of equal weight; one at which a component is a spike on a few rows is none.  A world's line has the share of
groups that end over 1 below, the share that end so and say that they have converged, and the microseconds of a fit.
"""

import sys
import time
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

import fastem

ROWS = 500
TRIALS = 30
BELOW = 1.0
"""Of a log likelihood, a total: what a test of the likelihood ratio would notice."""
ITERATIONS = 20_000
SPIKE = 1e-3
"""Standard deviations of the rows; of a component that has so little, or nearly no rows, the likelihood has no end."""
FEWEST = 3.0
"""Rows of a component."""


class World(NamedTuple):
    """The rows of many groups, a group in a row, with what they were drawn from."""

    values: np.ndarray
    family: dict[str, Any]
    truth: dict[str, np.ndarray]


def second_of(rng: np.random.Generator, m: int, share: float) -> np.ndarray:
    return rng.random((m, ROWS)) < share


def gaussian(share: float, distance: float, spread: float = 1.0) -> Callable[[np.random.Generator, int], World]:
    """Return a world of N(0, 1) with a share of N(distance, spread^2)."""

    def draw(rng: np.random.Generator, m: int) -> World:
        second = second_of(rng, m, share)
        values = np.where(
            second, distance + spread * rng.standard_normal(second.shape), rng.standard_normal(second.shape)
        )
        truth = {"weights_init": [1 - share, share], "means_init": [0, distance], "variances_init": [1, spread**2]}
        return World(values, {"family": "gaussian"}, truth)

    return draw


def binomial(share: float, low: float, high: float) -> Callable[[np.random.Generator, int], World]:
    """Return a world of rates `low` with a share of rates `high`."""

    def draw(rng: np.random.Generator, m: int) -> World:
        values = rng.binomial(TRIALS, np.where(second_of(rng, m, share), high, low))
        truth = {"weights_init": [1 - share, share], "probs_init": [low, high]}
        return World(values, {"family": "binomial", "trials": TRIALS}, truth)

    return draw


def poisson(share: float, low: float, high: float) -> Callable[[np.random.Generator, int], World]:
    """Return a world of rates `low` with a share of rates `high`."""

    def draw(rng: np.random.Generator, m: int) -> World:
        values = rng.poisson(np.where(second_of(rng, m, share), high, low))
        return World(values, {"family": "poisson"}, {"weights_init": [1 - share, share], "rates_init": [low, high]})

    return draw


WORLDS = {
    "Gaussian, 2 % at 3": gaussian(0.02, 3), "Gaussian, 2 % at 4": gaussian(0.02, 4),
    "Gaussian, 2 % at 6": gaussian(0.02, 6),
    "Gaussian, 2 % at 4, narrow": gaussian(0.02, 4, 0.3), "Gaussian, 10 % at 3": gaussian(0.1, 3),
    "Gaussian, 40 % at 2": gaussian(0.4, 2), "Gaussian, 40 % at 4": gaussian(0.4, 4),
    "Gaussian, 30 % at 0, three times as wide": gaussian(0.3, 0, 3),
    "Gaussian, 5 % at 0, five times as wide": gaussian(0.05, 0, 5),
    "binomial, 2 % of 0.5 in 0.01": binomial(0.02, 0.01, 0.5),
    "binomial, 2 % of 0.2 in 0.01": binomial(0.02, 0.01, 0.2),
    "binomial, 2 % of 0.8 in 0.3": binomial(0.02, 0.3, 0.8), "binomial, 40 % of 0.4 in 0.3": binomial(0.4, 0.3, 0.4),
    "Poisson, 2 % of 10 in 1": poisson(0.02, 1, 10), "Poisson, 2 % of 40 in 20": poisson(0.02, 20, 40),
    "Poisson, 40 % of 9 in 6": poisson(0.4, 6, 9),
}  # fmt: skip


def plausible(fits: Any, values: np.ndarray) -> np.ndarray:
    """Return whether no component is a spike."""
    found = np.asarray((fits.weights * ROWS).min(axis=1) >= FEWEST)
    if hasattr(fits, "variances"):
        found &= np.sqrt(fits.variances.min(axis=1)) > SPIKE * values.std(axis=1)
    return found


def highest(world: World, fits: Any) -> np.ndarray:
    """Return the log likelihood of the maximum of each group."""
    to_the_end = {"tol": 1e-9, "max_iter": ITERATIONS, **world.family}
    fitted = {f"{name}_init": getattr(fits, name) for name in ("weights", *fits.parameter_names)}
    truth = {name: np.asarray(value, float) for name, value in world.truth.items()}
    k = len(truth["weights_init"])
    best = np.full(len(fits), -np.inf)
    for start in (truth, fitted, {}):
        ended = fastem.fit_many(world.values, n_components=k, **start, **to_the_end)
        fine = plausible(ended, world.values)
        best = np.where(fine & (ended.loglik > best), ended.loglik, best)
    return best


def main() -> None:
    m = int(sys.argv[1]) if len(sys.argv) > 1 else 400
    seed = int(sys.argv[2]) if len(sys.argv) > 2 else time.time_ns()
    print(f"{m} groups of {ROWS} rows, seed {seed}")
    print(
        "| world | over 1 below its maximum | and converged | converged | iterations | us of CPU |",
        "|---|---|---|---|---|---|",
        sep="\n",
    )
    for name, draw in WORLDS.items():
        world = draw(np.random.default_rng([seed, *name.encode()]), m)
        begin = time.process_time()
        fits = fastem.fit_many(world.values, n_components=2, **world.family)
        seconds = time.process_time() - begin
        low = fits.loglik < highest(world, fits) - BELOW
        cells = (low, low & fits.converged, fits.converged)
        shares = " | ".join(f"{100 * cell.mean():.1f} %" for cell in cells)
        print(f"| {name} | {shares} | {fits.n_iter.mean():.1f} | {1e6 * seconds / m:.1f} |", flush=True)


if __name__ == "__main__":
    main()
