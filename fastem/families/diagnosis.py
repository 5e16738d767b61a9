"""What tells a spurious maximum."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from fastem._public import public
from fastem._typing import Array
from fastem.families.params import Params
from fastem.families.weights import EMPTY

THIN = 1e-4
"""A component with less than this share of the pooled variance in some direction may be a spurious maximum."""


@public
@dataclass(frozen=True, eq=False)
class Diagnosis:
    """What tells a spurious maximum: components on few rows, on equal rows, or much thinner than the others.

    ``str`` makes a table of it.
    """

    weights: Array  #:   (k,)
    counts: Array  #:    (k,) weight of the rows of each component
    thinnest: Array  #: (k,) its smallest variance in any direction, over the pooled one there; NaN for counts
    widest: Array  #:   (k,) and its largest
    complaints: tuple[tuple[str, ...], ...]  #: for each component

    @property
    def spurious(self) -> list[int]:
        """The components about which there are complaints."""
        return [component for component, each in enumerate(self.complaints) if each]

    def __str__(self) -> str:
        lines = ["component  weight     rows       thinnest   widest"]
        table = zip(self.weights, self.counts, self.thinnest, self.widest, self.complaints, strict=True)
        for component, (*numbers, complaints) in enumerate(table):
            told = " ".join(f"{number:<10.4g}" for number in numbers)
            lines.append(f"{component:9d}  {told}{'; '.join(complaints)}")
        return "\n".join(line.rstrip() for line in lines)


def diagnosis(params: Params, counts: Array, collapsed: set[int]) -> Diagnosis:
    """Judge fitted parameters by the weights (k,) of the rows and by which components have no extent of their own."""
    k = len(counts)
    with np.errstate(all="ignore"):
        ratios, equal = params.relative_variances(), params.equal_to_earlier()
    thinnest, widest = np.full((2, k), np.nan) if ratios is None else ratios
    needed, empty = params.n_own_parameters, ~(counts > EMPTY * counts.sum())
    gone = np.isin(np.arange(k), list(collapsed)) & ~empty
    tests = {
        "has lost its rows": empty,
        "has no extent of its own in some direction": gone,
        f"has no more rows than its {needed} parameters": (counts <= needed) & ~empty & ~gone,
        f"is thinner than {THIN:g} of the pooled variance": (thinnest < THIN) & ~gone,
        "equals a component before it": equal,
        "has an extent that is beyond what numbers can tell": np.isnan(thinnest) & (ratios is not None),
    }
    complaints = tuple(tuple(sentence for sentence, where in tests.items() if where[c]) for c in range(k))
    return Diagnosis(params.weights, counts, thinnest, widest, complaints)


def is_suspect(params: Params, counts: Array, collapsed: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Return (k,) which components may be of a spurious maximum, so that a search does not go there for their sake.

    They have no extent of their own, are thin, or are on hardly more rows than it takes to have an extent: at most
    twice as many, or as many as they have parameters.
    """
    few = min(params.n_own_parameters, 2 * (params.n_features + 1))
    with np.errstate(all="ignore"):
        ratios = params.relative_variances()
    thin = np.zeros(len(counts), np.bool_) if ratios is None else ~(ratios[0] >= THIN)
    return np.asarray(thin | collapsed | (counts <= few))
