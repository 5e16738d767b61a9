"""What tells a spurious maximum."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fastem._public import public
from fastem._table import Table, Tabled, data_frame
from fastem._typing import Array
from fastem.families.kept import kept
from fastem.families.params import Params
from fastem.families.weights import EMPTY

THIN = 1e-4
"""A component with less than this share of the pooled variance in some direction may be a spurious maximum."""
CONFUSED = 0.1
"""The share of a component's rows that are taken for one other's, above which a diagnosis says so."""


@public
@dataclass(frozen=True, eq=False, repr=False)
class Diagnosis(Tabled):
    """What tells a spurious maximum: components on few rows, on equal rows, or much thinner than the others.

    Printed, it is a table; a component with complaints is marked.
    """

    weights: Array  #:   (k,)
    counts: Array  #:    (k,) weight of the rows of each component
    thinnest: Array  #: (k,) its smallest variance in any direction, over the pooled one there; NaN for counts
    widest: Array  #:   (k,) and its largest
    complaints: tuple[tuple[str, ...], ...]  #: for each component
    params: Params = field(kw_only=True)  #: the parameters that are judged

    @kept
    def overlap(self) -> Array:
        """Return (k, k) how probably a row of one component is taken for another's; NaN for counts."""
        found = self.params.overlaps()
        return np.full((len(self.weights), len(self.weights)), np.nan) if found is None else found

    @property
    def spurious(self) -> list[int]:
        """The components about which there are complaints."""
        return [component for component, each in enumerate(self.complaints) if each]

    @property
    def sentences(self) -> list[str]:
        """The complaints, each with its component."""
        return [f"component {c} {complaint}" for c, each in enumerate(self.complaints) for complaint in each]

    def to_frame(self) -> Any:
        """Return a data frame of pandas with a row for each component; ImportError where pandas is not installed.

        Its columns are weight, rows (their weight), thinnest, widest, confused (the largest of its row
        of `overlap`) and complaints, joined to one text.
        """
        complaints = ["; ".join(each) for each in self.complaints]
        return data_frame({**self._columns(), "complaints": complaints})

    def _columns(self) -> dict[str, Array]:
        """Return the numbers of the components by the headings of the table."""
        columns = {"weight": self.weights, "rows": self.counts, "thinnest": self.thinnest, "widest": self.widest}
        return columns | {"confused": self.overlap.max(axis=1)}

    def _confusions(self) -> list[str]:
        """Return a sentence for each component that is often taken for another one, which is no complaint."""
        others = self.overlap.argmax(axis=1).tolist()
        return [
            f"component {c} is confused: {share:.0%} of its rows are more probable under component {others[c]}"
            for c, share in enumerate(self.overlap.max(axis=1).tolist())
            if share > CONFUSED
        ]

    def _table(self) -> Table:
        rows = zip(*self._columns().values(), strict=True)
        cells = [[str(c), *(f"{number:.4g}" for number in row)] for c, row in enumerate(rows)]
        marked = [["!" if each else "", *row] for each, row in zip(self.complaints, cells, strict=True)]
        return Table(["", "component", *self._columns()], marked, notes=[*self.sentences, *self._confusions()])


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
    return Diagnosis(params.weights, counts, thinnest, widest, complaints, params=params)


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
