"""The candidates of a selection in one table, and the choice of one of them."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from shutil import get_terminal_size
from typing import Any, Self

import numpy as np

from fastem._public import public
from fastem._table import WIDTH, Table, Tabled, aligned, data_frame
from fastem._typing import Array
from fastem.estimators.attributes import total_weight
from fastem.estimators.base import Mixture
from fastem.fitting.restarts import SCREENED_OUT
from fastem.fitting.result import Start

APART = 10.0
"""EM stops at a distance from the maximum: fits whose ends differ by less than this many tol may be at the same one."""

LEAST_COLUMNS, LEAST_WIDTH = 4, 40
"""Columns, and characters of a line, that a table has in terminals of any width: of the mark, k and the criterion."""

LONG = 1e7
"""Numbers above it are shown without a fraction: lines stay short, and the difference to the best keeps its own."""

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
@dataclass(frozen=True, eq=False, repr=False)
class Selection(Tabled):
    """The candidates in the order of their fits, and their mixtures.

    Printed, it is a table: the number of components k, the criterion and its difference to that of the best, which has
    a star, BIC and ICL, and the number of suspect components where there are any.  `to_frame` has all of `Candidate`.
    """

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
        return total_weight(self.mixtures[0])

    def to_frame(self) -> Any:
        """Return a data frame of pandas with a row for each candidate; ImportError where pandas is not installed.

        Its columns are the fields of `Candidate`, the difference of the criterion to that of the best, and whether the
        candidate is the best or passed over.
        """
        found = {field.name: [getattr(each, field.name) for each in self.candidates] for field in fields(Candidate)}
        order = range(len(self.candidates))
        found |= {"difference": (self.values - self.values[self.best_index]).tolist()}
        found |= {"best": [i == self.best_index for i in order], "passed_over": [i in self.passed_over for i in order]}
        return data_frame(found)

    def __str__(self) -> str:
        return str(self._table(get_terminal_size().columns))

    def _table(self, width: int = WIDTH) -> Table:
        """Return a line for each candidate; columns on the right are left out where lines would be too long."""
        columns = self._columns()
        while len(columns) > LEAST_COLUMNS and len(aligned_columns(columns).split("\n")[0]) > width:
            columns.popitem()
        rows = [*zip(*columns.values(), strict=True)]
        return Table([*columns], rows, notes=notes(self), left=("", "covariance"), width=max(width, LEAST_WIDTH))

    def _columns(self) -> dict[str, list[str]]:
        """Return the columns that are shown, by their headings: those that say what the candidates differ in."""
        columns = {
            "": marks(self),
            "k": [str(each.n_components) for each in self.candidates],
            "covariance": [each.covariance_type for each in self.candidates],
            self.criterion: [*map(format_cell, self.values)],
            "difference": [*map(format_cell, self.values - self.values[self.best_index])],
            "log likelihood": [format_cell(each.loglik) for each in self.candidates],
            "icl": [format_cell(each.icl) for each in self.candidates],
            "bic": [format_cell(each.bic) for each in self.candidates],
        }
        if len(set(columns["covariance"])) == 1:
            del columns["covariance"]
        return columns

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


def marks(selection: Selection) -> list[str]:
    """Return the mark of each candidate: of the best, of one that is passed over, of suspect components."""
    passed_over = dict.fromkeys(selection.passed_over, "-")
    first = passed_over | {selection.best_index: "*"}
    return [f"{first.get(i, ''):1}{'?' * (each.n_suspect > 0):1}" for i, each in enumerate(selection.candidates)]


def notes(selection: Selection) -> list[str]:
    """Return a sentence on each mark that the table has; the first has the number of rows as well."""
    criterion, found = selection.criterion, "".join(marks(selection))
    sentences = {
        "*": f"* best by {criterion}; n = {selection.total:.10g} in bic and icl",
        "?": "? has components on few or equal rows, or equal to others, which may mean nothing",
        "-": f"- passed over: twice what is doubtful of its log likelihood, and {VERY_STRONG:g}, raise its {criterion}",
    }
    return [sentence for mark, sentence in sentences.items() if mark in found]


def aligned_columns(columns: Mapping[str, Sequence[str]]) -> str:
    """Join columns of cells below their headings."""
    return aligned([*columns], [*zip(*columns.values(), strict=True)])


def format_cell(value: float) -> str:
    """Write a number of the table with two decimals, a long one with none."""
    return f"{value:.{2 if abs(value) < LONG else 0}f}"
