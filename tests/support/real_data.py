"""Data sets of examples/data."""

import warnings
from pathlib import Path

import numpy as np

DATA = Path(__file__).parents[2] / "examples" / "data"
KINDS = ("full", "tied", "diag", "spherical")


def read(name):
    return np.loadtxt(DATA / name, delimiter=",", skiprows=1, ndmin=2)


def clouds(d=2, n=300, seed=0):
    rng = np.random.default_rng(seed)
    return np.concatenate([rng.normal(size=(n, d)) + 4 * center for center in range(3)])


def quietly(function, *arguments, **named):
    """Without the warning that a fit was cut short, which the caller asked for."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", category=UserWarning, message="Best performing initialization")
        return function(*arguments, **named)
