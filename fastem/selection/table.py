"""The candidates of a selection in one table, and which of them is chosen."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import astuple, dataclass, fields
from typing import Any, Self

import numpy as np

from fastem._public import public
from fastem.fitting.restarts import SCREENED_OUT
from fastem.fitting.result import Start

APART = 10.0
"""EM stops some tol from the maximum: ends that are closer than so many tol may be one."""

VERY_STRONG = 10.0
"""A difference of BIC that is very strong evidence (Kass and Raftery 1995)."""


@public
@dataclass(frozen=True)
class Candidate:
    """A fitted mixture in a line of the table; of the criteria, the lower the better."""

    n_components: int
    covariance_type: str  #: "" where the family has none
    loglik: float
    n_parameters: int
    aic: float
    bic: float
    icl: float
    cv: float  #: -2 log likelihood of rows that were held out; NaN where that is not asked for
    entropy: float
    n_sweeps: int
    n_optima: int  #: that its starts have led to, as far as they can be told apart
    n_suspect: int  #: components that `diagnose` has complaints about
    doubtful: float  #: part of loglik that these owe to being thinner than their rows prove
    stop_reason: str

    @classmethod
    def of(cls, mixture: Any) -> Self:
        ends = [start.mean_loglik for start in mixture.starts_ if not is_screened_out(start)]
        return cls(
            mixture.n_components,
            getattr(mixture, "covariance_type", ""),
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
    """The candidates in the order they were fitted in, and their mixtures.  ``str`` makes a table of it."""

    criterion: str
    candidates: tuple[Candidate, ...]
    mixtures: tuple[Any, ...]

    @property
    def values(self) -> np.ndarray:
        """The criterion of each candidate."""
        return np.array([getattr(each, self.criterion) for each in self.candidates])

    @property
    def assured(self) -> np.ndarray:
        """The criterion of each candidate, as far as it is beyond doubt; the least is chosen.

        A component on few rows, or on equal ones, raises the likelihood as far as one likes by being thin, whether it
        means anything or not.  What it means is its place and its rows, and these it keeps: only as thin as the rows
        prove it to be is it taken to be (see `doubtful` of Candidate), and then the evidence must be very strong.  So a
        group of thousands of equal rows stays a group, an outlier is a component that hides no others, and nine rows
        that lie in a plane by chance are none.  Where there are no complaints this is the criterion itself; so is "cv",
        which is made of what is beyond doubt.
        """
        if self.criterion == "cv":
            return self.values
        doubts = np.array([each.doubtful for each in self.candidates])
        return np.asarray(self.values + 2 * doubts + VERY_STRONG * (doubts > 0))

    @property
    def best_index(self) -> int:
        """The least criterion, as far as it is beyond doubt: see `assured`."""
        return int(self.assured.argmin())

    @property
    def best(self) -> Any:
        """The fitted mixture that is chosen."""
        return self.mixtures[self.best_index]

    @property
    def passed_over(self) -> list[int]:
        """Candidates with a criterion below that of the best by very strong evidence (10), the least first."""
        gaps = self.values[self.best_index] - self.values
        return [i for i in np.argsort(self.values, kind="stable").tolist() if gaps[i] > VERY_STRONG]

    @property
    def total(self) -> float:
        """Weight of the rows: the n of BIC and ICL."""
        return float(self.mixtures[0].counts_.sum())

    def __str__(self) -> str:
        names = [field.name for field in fields(Candidate)]
        shown = [i for i, name in enumerate(names) if name not in self._left_out()]
        rows = [[told(astuple(each)[i]) for i in shown] for each in self.candidates]
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

    def _left_out(self) -> set[str]:
        """Columns that say nothing."""
        said = {
            "covariance_type": any(each.covariance_type for each in self.candidates),
            "cv": self.criterion == "cv",
            "doubtful": any(each.doubtful for each in self.candidates),
        }
        return {name for name, is_said in said.items() if not is_said}

    def doubts(self) -> str:
        """A sentence on the candidate that is passed over by most; "" if there is none."""
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
    return f"n_components={candidate.n_components} {candidate.covariance_type}".rstrip()


def is_screened_out(start: Start) -> bool:
    return start.stop_reason.startswith(SCREENED_OUT)


def told(value: Any) -> str:
    return f"{value:.2f}" if isinstance(value, float) else str(value)


def aligned(headings: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Columns of text, each as wide as it must be, flush right."""
    widths = [max(map(len, column)) for column in zip(headings, *rows, strict=True)]
    lines = ("  ".join(cell.rjust(width) for cell, width in zip(row, widths, strict=True)) for row in (headings, *rows))
    return "\n".join(line.rstrip() for line in lines)
