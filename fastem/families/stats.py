"""Sufficient statistics: values with a zero and a plus."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from dataclasses import dataclass, field, fields
from functools import reduce
from operator import add
from pathlib import Path
from typing import Any, Generic, Self, TypeVar

import numpy as np
from numpy.typing import NDArray

from fastem._storage import encode, write
from fastem._typing import Array, PathLike
from fastem.families.fixed import Fixed, FixedLike
from fastem.families.kept import kept
from fastem.families.params import Params, same
from fastem.families.weights import EMPTY, likeliest_weights
from fastem.validation.settings import as_path

P = TypeVar("P", bound=Params)
S = TypeVar("S", bound="Stats[Any]")
UNIT = 2.0**-53
"""What rounding changes a float64 by, relatively, at most."""
SINGLE_ROUNDING = 5e-6
"""The share of the weight of the rows, and of the log likelihood, by which the latter is off where tiles are summed in
float32.  It is not derived: on the datasets of the tests the largest is 1e-6."""
STATISTICS, STATISTICS_LAYOUT = "fastem statistics", 1
ADDITIONS = 170
"""How many additions a term of the log likelihood goes through: 128 of a lane's points, 8 lanes,
32 tiles of a slot; then fsum."""


@dataclass(frozen=True, eq=False)
class Stats(ABC, Generic[P]):
    """Sums over rows, taken at `params`.  Families add their own sums; every sum is additive.

    params are the parameters at which responsibilities were computed: moments are taken about their means, and
    loglik = q + entropy holds at them.  Statistics have a zero and a plus, and ``maximize`` leads to parameters again.
    """

    params: P
    counts: Array  #: (k,)   sum w r
    loglik: float  #:        sum w log p(x)
    entropy: float  #:       -sum w sum_k r log r
    row_counts: Array = field(kw_only=True)  #: (k,) counts without what a prior has added to them
    single: bool = field(default=False, kw_only=True)  #: are they, or parts of them, sums of float32 in each tile?

    @classmethod
    def zero(cls, params: P) -> Self:
        """Return the statistics of no rows."""
        none: Self = params.stats(np.zeros(params.sums_length))
        return none

    def __add__(self, other: Self) -> Self:
        if type(other) is not type(self):
            return NotImplemented
        if not same(self.params, other.params):
            raise ValueError("statistics taken at different parameters do not add: their origins differ")
        sums = {name: getattr(self, name) + getattr(other, name) for name in self.sum_names()}
        return type(self)(self.params, **sums, single=self.single or other.single)

    def placed(self, params: P, component: int) -> Self:
        """Return these sums, of one component, as those of a component of a mixture: others have no rows."""
        sums = {}
        for name, none in ((name, np.zeros_like(getattr(self.zero(params), name))) for name in self.sum_names()):
            own = getattr(self, name)
            if np.shape(own) != none.shape:  # else it is a sum over all components
                none[component] = own[0]
            sums[name] = own if np.shape(own) == none.shape else none
        return type(self)(params, **sums, single=self.single)

    def __mul__(self, factor: float) -> Self:
        """Return the statistics of rows with `factor` times the weight."""
        sums = {name: factor * getattr(self, name) for name in self.sum_names()}
        return type(self)(self.params, **sums, single=self.single)

    def save(self, path: PathLike) -> None:
        """Write these sums, and the parameters that they were taken at, to a file; `fastem.load_stats` reads it.

        There is no pickle in it: arrays and a header in NumPy's npz, written whole or not at all.  TypeError or
        ValueError for what is no path, OSError where it cannot be written; an old file then stays as it was.
        """
        target = Path(as_path(path, "path"))
        arrays: dict[str, np.ndarray] = {}
        write(target, STATISTICS, STATISTICS_LAYOUT, {"statistics": encode(self, arrays)}, arrays)

    def check(self) -> None:
        """Raise ValueError or TypeError where these are not the sums of a mixture."""
        self.params.check()
        none = type(self).zero(self.params)
        for name in self.sum_names():
            found, expected = np.asarray(getattr(self, name)), np.shape(getattr(none, name))
            if found.shape != expected or not np.isfinite(found).all():
                raise ValueError(f"{name} must be finite and of shape {expected}, got {found.shape}: {found}")

    def sum_names(self) -> list[str]:
        """Return the names of the fields that add, which are all but the parameters and their precision."""
        return [each.name for each in fields(self) if each.name not in ("params", "single")]

    @kept
    def total(self) -> float:
        """The total weight of the rows."""
        return math.fsum(self.row_counts.tolist())

    @property
    def all_counts(self) -> Array:
        """The weight (k,) of the rows of each component, and behind them that of a background, if there is one."""
        return self.row_counts

    @property
    def q(self) -> float:
        """The expected complete log likelihood at `params`: Q of Dempster, Laird and Rubin (1977)."""
        return self.loglik - self.entropy

    @kept
    def live(self) -> NDArray[np.bool_]:
        """Whether a component (k,) has any weight of the rows."""
        return self.row_counts > EMPTY * self.total

    @property
    def rounding(self) -> float:
        """An upper bound of the rounding error of loglik, but for the base measure, which is the same in every sweep.

        With that of the next iteration it bounds how far EM may fall (docs/numerics.md derives it for float64).
        """
        with np.errstate(over="ignore", invalid="ignore"):  # where rows are out of reach: infinite
            terms, whitening = self._rounded()
        sums = (ADDITIONS + 8 + 2 * self.params.n_features) * (terms + 2 * max(self.entropy, 0.0))
        found = float(UNIT * (sums + whitening + (len(self.counts) + 10) * self.total))
        if self.single:
            found += SINGLE_ROUNDING * (self.total + abs(self.loglik))
        return math.inf if math.isnan(found) else found

    @abstractmethod
    def maximize(self, *, fixed: FixedLike = ()) -> P:
        """Return the parameters that maximise Q: the M-step."""

    @abstractmethod
    def about(self, params: P) -> Self:
        """Return the same sums, as if they were taken about other parameters, so that they add to sums taken there."""

    @abstractmethod
    def gradient(self, reached: P, at: P, fixed: FixedLike = ()) -> Array:
        """Return the gradient of the log likelihood at the parameters of these sums, by ``to_vector(at, fixed)``.

        `reached` are the parameters after the M-step.
        """

    @abstractmethod
    def _rounded(self) -> tuple[float, float]:
        """Return two sums from which `rounding` bounds the error of the log likelihood.

        The first is sum w r of the absolute values of the terms of log(weight_k p_k(x)); the second, in units of
        rounding, what computing these terms, and the M-step that led to the parameters, may have changed the log
        likelihood by.
        """

    def mixing_weights(self, fixed: Fixed) -> Array:
        """Return (k,) the maximum likelihood mixing weights; 0 for an empty component.

        Free weights share what the fixed ones leave.
        """
        free = fixed.free("weights") if fixed else None
        return likeliest_weights(self.counts, EMPTY * self.total, self.params.weights, free)


def merge(*stats: S) -> S:
    """Return the statistics of all rows from those of parts of them: what one site does with the sums of others.

    Parameters
    ----------
    *stats : statistics of one family
        Taken at the same parameters, wherever that was.

    Returns
    -------
    Statistics of this family
        Their sum; added in this order, so that the same parts give the same bits.

    Raises
    ------
    ValueError, TypeError
        For no statistics, those of another family, at other parameters, or that are not finite; by number.

    Examples
    --------
    >>> import numpy as np, fastem
    >>> params = fastem.GaussianParams(np.array([1.0]), np.zeros((1, 1)), np.ones((1, 1, 1)))
    >>> fastem.merge(fastem.accumulate(params, [[1.0]]), fastem.accumulate(params, [[3.0]])).maximize().means
    array([[2.]])
    """
    if not stats:
        raise ValueError("merge needs statistics, got none")
    given: tuple[object, ...] = stats
    merged = type(stats[0]).__name__ if isinstance(given[0], Stats) else "statistics"
    for number, each in enumerate(given):
        if not isinstance(each, Stats) or type(each) is not type(stats[0]):
            raise TypeError(f"merge: {number} is {type(each).__name__}, where {merged} are merged")
        if not same(each.params, stats[0].params):
            raise ValueError(f"merge: statistics {number} were not taken at the parameters of statistics 0")
        if not all(np.isfinite(getattr(each, name)).all() for name in each.sum_names()):
            raise ValueError(f"merge: statistics {number} are not finite")
    return reduce(add, stats)
