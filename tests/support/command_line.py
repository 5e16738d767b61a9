"""Rows and commands of the tests of the command line."""

import numpy as np

RNG = np.random.default_rng(0)
X = np.concatenate([RNG.normal(size=(150, 2)), RNG.normal(size=(50, 2)) + 8.0])
TOSSES = RNG.integers(20, 60, size=200)
HEADS = RNG.binomial(TOSSES, RNG.choice([0.1, 0.6], size=200))
WEIGHTS = RNG.integers(1, 4, size=200)
COLUMNS = {"east": X[:, 0], "north": X[:, 1], "w": WEIGHTS, "heads": HEADS, "tosses": TOSSES}
POINTS = ["--columns", "east,north"]
COINS = ["--family", "binomial", "--columns", "heads", "--trials", "tosses"]


def as_csv(columns):
    rows = zip(*(np.asarray(values).tolist() for values in columns.values()), strict=True)
    return "\n".join([",".join(columns), *(",".join(map(repr, row)) for row in rows)]) + "\n"


def said(ran, *arguments):
    """Standard output of a command that has nothing to say beside it."""
    code, out, err = ran(*arguments)
    assert (code, err) == (0, [])
    return out
