"""Strategies for Hypothesis: values x how they are dressed x what is wrong with them.

A strategy of values gives plain float64 arrays; `dressed` presents one as users do, without changing it; a fault
spoils one.  So every value is tried in every dress, and every fault in every value.
"""

import fractions

import numpy as np
import pandas as pd
import pytest
from hypothesis import strategies as st

from fastem.kernels.twins import INSTRUCTION_SETS, instruction_set

MAGNITUDES = (1.0, 1e-320, 1e-300, 1e-160, 1e-30, 1e-8, 1e8, 1e30, 1e139)
"""Of rows that a fit takes: from subnormal numbers to the largest whose squares are finite."""
OFFSETS = (0.0, 1.0, -1e8, 1e16)
SEEDS = st.integers(0, 2**32 - 1)


def usable(isa):
    try:
        return instruction_set(isa) == isa
    except ValueError:
        return False


ENGINES = {
    "cython": st.sampled_from([("cython", isa) for isa in INSTRUCTION_SETS if usable(isa)]),
    "numba": st.just(("numba", None)),
}
engines = pytest.mark.parametrize(
    "engines",
    [pytest.param(ENGINES["cython"], id="cython"), pytest.param(ENGINES["numba"], id="numba", marks=pytest.mark.numba)],
)


# -------------------------------------------------------------------------------------------------------------- values


def spread(rng, n, d):
    return rng.normal(size=(n, d)) + 4.0 * rng.integers(0, 3, size=(n, 1))


KINDS = {
    "spread": lambda X, rng: X,
    "constant": lambda X, rng: np.tile(X[:1], (len(X), 1)),
    "a constant column": lambda X, rng: np.where(np.arange(X.shape[1]) == 0, X[0, 0], X),
    "duplicated": lambda X, rng: X[rng.integers(0, 1 + len(X) // 5, len(X))],
    "collinear": lambda X, rng: np.tile(X[:, :1], (1, X.shape[1])),
    "whole": lambda X, rng: np.round(X),
    "an outlier": lambda X, rng: np.where(np.arange(len(X))[:, np.newaxis] == 0, 1e6 * X, X),
    "mixed units": lambda X, rng: X * 10.0 ** rng.integers(-100, 100, X.shape[1]),
    "zeros": lambda X, rng: np.zeros_like(X),
}


@st.composite
def matrices(draw, d=None, most=40):
    """(n, d) finite rows of every kind and magnitude."""
    rng = np.random.default_rng(draw(SEEDS))
    n, d = draw(st.integers(1, most)), draw(st.integers(1, 5)) if d is None else d
    X = KINDS[draw(st.sampled_from(list(KINDS)))](spread(rng, n, d), rng)
    return (X + draw(st.sampled_from(OFFSETS))) * draw(st.sampled_from(MAGNITUDES if abs(X).max() < 1e9 else (1.0,)))


@st.composite
def weights_of(draw, n):
    """None, or (n,) weights: equal, of many magnitudes, many of them 0."""
    rng = np.random.default_rng(draw(SEEDS))
    weights = {
        "none": None,
        "ones": np.ones(n),
        "random": rng.random(n),
        "holes": rng.random(n) * (rng.random(n) < 0.5),
        "magnitudes": 10.0 ** rng.integers(-30, 30, n),
        "tiny": np.full(n, 1e-30),
        "subnormal": rng.random(n) * 1e-310,
        "huge": np.full(n, 1e30),
        "too huge": np.full(n, 1e300),
        "zeros": np.zeros(n),
    }
    return weights[draw(st.sampled_from(list(weights)))]


@st.composite
def counts_of(draw, d=None, most=40):
    """Successes (n, d) and trials, a number or of a shape that belongs to them."""
    rng = np.random.default_rng(draw(SEEDS))
    n, d = draw(st.integers(1, most)), draw(st.integers(1, 3)) if d is None else d
    largest = draw(st.sampled_from([0, 1, 2, 10, 255, 256, 1000, 65535, 2**31, 2**53]))
    trials = {
        "one": np.array(float(largest)),
        "rows": rng.integers(0, largest, (n, 1), endpoint=True).astype(float),
        "columns": rng.integers(0, largest, (1, d), endpoint=True).astype(float),
        "places": rng.integers(0, largest, (n, d), endpoint=True).astype(float),
    }[draw(st.sampled_from(["one", "rows", "columns", "places"]))]
    rates = draw(st.sampled_from([0.0, 1e-9, 0.3, 1.0])) + np.zeros((n, d))
    rates = np.where(rng.random((n, d)) < 0.5, rates, rng.random((n, d)))
    return np.floor(rates * trials), trials


# --------------------------------------------------------------------------------------------------------------- dress


def unaligned(X):
    records = np.zeros(X.shape, [("a", "i1"), ("x", X.dtype)])
    records["x"] = X
    return records["x"]


def strided(X):
    return np.repeat(X, 2, axis=0)[::2]


def as_fraction(x):
    return fractions.Fraction(float(x)) if np.isfinite(float(x)) else float(x)


def frozen(X):
    X = X.copy()
    X.flags.writeable = False
    return X


DRESSES = {
    "plain": lambda X: X,
    "Fortran": np.asfortranarray,
    "strided": strided,
    "backwards": lambda X: X[::-1].copy()[::-1],
    "mirrored": lambda X: np.ascontiguousarray(X.T[::-1])[::-1].T,
    "frozen": frozen,
    "unaligned": unaligned,
    "other byte order": lambda X: X.astype(X.dtype.newbyteorder(">")),
    "list": lambda X: X.tolist(),
    "tuple of arrays": tuple,
    "objects": lambda X: X.astype(object),
    "fractions": lambda X: np.frompyfunc(as_fraction, 1, 1)(X) if X.size else X,
    "longdouble": lambda X: X.astype(np.longdouble),
    "masked": np.ma.masked_array,
    "frame": lambda X: pd.DataFrame(X) if X.ndim == 2 else pd.Series(X) if X.ndim == 1 else X,
    "nullable frame": lambda X: pd.DataFrame(X).astype("Float64") if X.ndim == 2 else X,
    "polars": lambda X: X if X.ndim != 2 else __import__("polars").DataFrame(X),
    "one row repeated": lambda X: np.broadcast_to(X[:1], X.shape) if (X[:1] == X).all() else X,
}
dresses = st.sampled_from(list(DRESSES))
REAL_TYPES = [np.dtype(code) for code in "efdg?bBhHiIlLqQ"]


def cast(X, dtype):
    """X in that type, if it can say the same; else X."""
    with np.errstate(all="ignore"):
        found = X.astype(dtype)
        return found if np.array_equal(found.astype(X.dtype), X) else X


@st.composite
def dressed(draw, X, types=REAL_TYPES):
    """The same values in any type that holds them and any layout."""
    if X is None:
        return None
    X = cast(X, draw(st.sampled_from(types)))
    return DRESSES[draw(dresses)](X) if X.ndim else draw(st.sampled_from([X, X.item(), X[()], as_fraction(X)]))


@st.composite
def singles(draw, values):
    """As float32, where finite there: other arithmetic."""
    X = draw(values)
    return X.astype(np.float32) if np.abs(X).max() < 1e17 and draw(st.booleans()) else X


# -------------------------------------------------------------------------------------------------------------- faults


def with_value(value, dtype):
    def spoil(X, at):
        spoilt = np.array(X, dtype)
        spoilt[at] = value
        return spoilt

    return spoil


FAULTS = {
    "nan": with_value(np.nan, np.float64),
    "inf": with_value(np.inf, np.float64),
    "-inf in float32": lambda X, at: with_value(-np.inf, np.float32)(np.sign(X), at),
    "beyond float64": with_value(np.longdouble("1e4000"), np.longdouble),
    "a long int": with_value(10**400, object),
    "text among numbers": with_value("a", object),
    "none": with_value(None, object),
    "missing": with_value(pd.NA, object),
    "a list inside": with_value([1.0], object),
    "masked": lambda X, at: np.ma.masked_array(X, np.arange(X.size).reshape(X.shape) == 0),
    "complex": lambda X, at: X + 1j,
    "text": lambda X, at: np.full(X.shape, "1.0"),
    "bytes": lambda X, at: np.full(X.shape, b"1.0"),
    "dates": lambda X, at: np.zeros(X.shape, "M8[s]"),
    "spans": lambda X, at: np.zeros(X.shape, "m8[s]"),
    "records": lambda X, at: np.zeros(X.shape, [("a", float), ("b", int)]),
    "no rows": lambda X, at: X[:0],
    "another rank": lambda X, at: X[np.newaxis, np.newaxis],
    "ragged": lambda X, at: [[1.0, 2.0], [3.0]],
    "nothing": lambda X, at: [],
    "a word": lambda X, at: "rows",
    "a dict": lambda X, at: {"a": 1},
    "a set": lambda X, at: {1.0, 2.0},
    "a function": lambda X, at: len,
    "a frame of text": lambda X, at: pd.DataFrame({"a": ["x"] * len(X)}),
}


@st.composite
def spoilt(draw, X):
    """X with something wrong that no argument of numbers allows."""
    at = tuple(draw(st.integers(0, length - 1)) for length in X.shape)
    return FAULTS[draw(st.sampled_from(list(FAULTS)))](X, at)


# ------------------------------------------------------------------------------------------------------------ settings

NONSENSE = st.sampled_from(
    [None, "", "nonsense", b"full", -1, -1.5, 0, 1.5, True, np.nan, np.inf, -np.inf, 10**400, 1j, (), [], {},
     [[1], [2, 3]], np.array([1, 2]), np.array([]), np.array("full"), np.array([[np.nan]]), np.float64("nan"),
     object, len, fractions.Fraction(1, 3), np.ma.masked, pd.NA, pd.NaT, {"means": [True]}, {"weights": [[1], [2, 3]]},
     ("means", 3)]
)  # fmt: skip
"""Values of any type, most of which most settings refuse."""
