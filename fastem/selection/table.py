"""The candidates of a selection in one table, and the choice of one of them."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import astuple, dataclass, fields
from typing import Self

import numpy as np

from fastem._public import public
from fastem._typing import Array
from fastem.estimators.base import Mixture
from fastem.fitting.restarts import SCREENED_OUT
from fastem.fitting.result import Start

APART = 10.0
"""EM stops at a distance from the maximum: fits whose ends differ by less than this many tol may be at the same one."""

VERY_STRONG = 10.0
"""A difference of BIC that is very strong evidence (Kass and Raftery 1995)."""


@public
@dataclass(frozen=True)
class Candidate:
    """A fitted mixture as a line of the table; lower values of the criteria are better."""

    n_components: int
    covariance_type: str  #: "" if the family has none
    loglik: float
    n_parameters: int
    aic: float
    bic: float
    icl: float
    cv: float  #: -2 log likelihood of rows that were held out; NaN unless the criterion is "cv"
    entropy: float
    n_sweeps: int
    n_optima: int  #: number of different maxima that its starts led to, as far as they can be distinguished
    n_suspect: int  #: number of components that `diagnose` has complaints about
    doubtful: float  #: part of loglik that components owe to being thinner than their rows prove
    stop_reason: str

    @classmethod
    def of(cls, mixture: Mixture) -> Self:
        """Make the line of a fitted mixture."""
        ends = [start.mean_loglik for start in mixture.starts_ if not is_screened_out(start)]
        return cls(
            mixture.n_components,
            covariance_type_of(mixture),
            mixture.loglik_,
            mixture.n_parameters_,
            mixture.aic_,
            mixture.bic_,
            mixture.icl_,
            getattr(mixture, "held_out_", math.nan),
            mixture.entropy_,
            mixture.n_sweeps_,
            1 + int((np.diff(np.sort(ends)) > APART * mixture.tol).sum()),
            len(mixture.diagnose().spurious),
            getattr(mixture, "doubtful_", 0.0),
            mixture.stop_reason_,
        )


@public
@dataclass(frozen=True, eq=False)
class Selection:
    """The candidates in the order of their fits, and their mixtures; ``str`` returns a table."""

    criterion: str
    candidates: tuple[Candidate, ...]
    mixtures: tuple[Mixture, ...]

    @property
    def values(self) -> Array:
        """Return the criterion of each candidate."""
        return np.array([getattr(each, self.criterion) for each in self.candidates])

    @property
    def assured(self) -> Array:
        """Return the criterion of each candidate, as far as it is beyond doubt; the candidate with the least is chosen.

        A component on few rows, or on equal rows, raises the likelihood as far as one likes by being thin, whether it
        means anything or not.  It keeps its place and its rows, but it counts as thin only as far as its rows prove
        (see `doubtful` of Candidate), and then the evidence must be very strong.  So a group of thousands of equal rows
        stays a group, an outlier is a component that hides no others, and nine rows that lie in a plane by chance are
        no component.  Without complaints this is the criterion itself; so is "cv", which leaves out what is in doubt.
        """
        if self.criterion == "cv":
            return self.values
        doubts = np.array([each.doubtful for each in self.candidates])
        return np.asarray(self.values + 2 * doubts + VERY_STRONG * (doubts > 0))

    @property
    def best_index(self) -> int:
        """Return the index of the candidate whose criterion is least, as far as it is beyond doubt: see `assured`."""
        return int(self.assured.argmin())

    @property
    def best(self) -> Mixture:
        """Return the fitted mixture that is chosen."""
        return self.mixtures[self.best_index]

    @property
    def passed_over(self) -> list[int]:
        """Return the candidates whose criterion is lower than that of the best by more than 10, the least first.

        A difference of 10 is very strong evidence.
        """
        gaps = self.values[self.best_index] - self.values
        return [i for i in np.argsort(self.values, kind="stable").tolist() if gaps[i] > VERY_STRONG]

    @property
    def total(self) -> float:
        """Return the total weight of the rows: the n of BIC and ICL."""
        return float(self.mixtures[0].counts_.sum())

    def __str__(self) -> str:
        names = [field.name for field in fields(Candidate)]
        shown = [i for i, name in enumerate(names) if name not in self._empty_columns()]
        rows = [[format_cell(astuple(candidate)[i]) for i in shown] for candidate in self.candidates]
        marks = ["" for _ in rows]
        for i in self.passed_over:
            marks[i] = "-"
        marks[self.best_index] = "*"
        table = aligned(["", *(names[i] for i in shown)], [[mark, *row] for mark, row in zip(marks, rows, strict=True)])
        notes = [f"n = {self.total:.10g} in bic and icl"]
        if "-" in marks:
            notes.append(
                f"- passed over: twice what is doubtful of loglik, and {VERY_STRONG:g}, are added to {self.criterion}"
            )
        return "\n".join([table, *notes])

    def _empty_columns(self) -> set[str]:
        """Return the names of the columns that have no values."""
        has_values = {
            "covariance_type": any(candidate.covariance_type for candidate in self.candidates),
            "cv": self.criterion == "cv",
            "doubtful": any(candidate.doubtful for candidate in self.candidates),
        }
        return {name for name, has in has_values.items() if not has}

    def doubts(self) -> str:
        """Return a sentence on the candidate with the lowest criterion that is passed over; "" if there is none."""
        if not self.passed_over:
            return ""
        first, *others = self.passed_over
        worst, best, mixture = self.candidates[first], self.candidates[self.best_index], self.mixtures[first]
        gap = self.values[self.best_index] - self.values[first]
        rows = ", ".join(f"{c} ({mixture.counts_[c]:.4g} rows)" for c in mixture.suspect_)
        also = f"; {len(others)} more are passed over, see the table" if others else ""
        return (
            f"{name_of(worst)} is passed over for {name_of(best)}, though its {self.criterion} is lower by {gap:.4g}: "
            f"{2 * worst.doubtful:.4g} of it come from components that are thinner than their rows prove, {rows}{also}"
        )


def name_of(candidate: Candidate) -> str:
    """Return the settings of a candidate as text."""
    return f"n_components={candidate.n_components} {candidate.covariance_type}".rstrip()


def covariance_type_of(mixture: Mixture) -> str:
    """Return the covariance type of an estimator; "" if it has none."""
    return str(getattr(mixture, "covariance_type", ""))


def is_screened_out(start: Start) -> bool:
    """Return whether a start was given up after a short run on a part of the rows."""
    return start.stop_reason.startswith(SCREENED_OUT)


def format_cell(value: float | str) -> str:
    """Write a value of the table: numbers with a fraction get two decimals."""
    return f"{value:.2f}" if isinstance(value, float) else str(value)


def aligned(headings: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Join cells to lines with columns of equal width, aligned on the right."""
    widths = [max(map(len, column)) for column in zip(headings, *rows, strict=True)]
    lines = ("  ".join(cell.rjust(width) for cell, width in zip(row, widths, strict=True)) for row in (headings, *rows))
    return "\n".join(line.rstrip() for line in lines)
