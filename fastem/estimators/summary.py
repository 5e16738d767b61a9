"""A fitted mixture as a table that people read: how the fit ended, its criteria, and its components."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from shutil import get_terminal_size
from typing import Any

import numpy as np

from fastem._printable import printable
from fastem._public import public
from fastem._table import WIDTH, Table, Tabled, aligned, data_frame
from fastem._typing import Array
from fastem.data.base import BACKGROUND
from fastem.estimators.attributes import feature_names, total_weight
from fastem.estimators.state import MixtureState
from fastem.families.diagnosis import Diagnosis, diagnosis
from fastem.families.params import Params
from fastem.inference.standard_errors import StandardErrors
from fastem.validation.parameters import check_shape
from fastem.validation.settings import check_kind

DIGITS_OF_ERRORS, LARGE = 2, 1e7
"""Digits of standard errors, and the number above which numbers have exponents."""
FEW_FEATURES, SHORTEST_NAME = 4, 12
"""Features up to which a component has one line, and characters that a name of a feature has at least."""


@public
@dataclass(frozen=True, eq=False, repr=False)
class MixtureSummary(Tabled):
    """A fitted mixture for people to read; printed, it is a table of its components below how the fit ended."""

    lines: tuple[str, ...]  #: what the mixture is, how its fit ended, its criteria
    features: tuple[str, ...]  #: (d,) names
    weights: Array  #: (k,), and behind them that of a background, if there is one
    columns: Mapping[str, Array]  #: (k, d) by name: "mean" and "sd", "prob" or "rate"
    errors: Mapping[str, Array]  #: standard errors by name, of "weight" and of the first column (k, d); or none
    digits: int = 4  #: significant digits of the text
    notes: tuple[str, ...] = ()  #: sentences below the table: what `diagnose` finds in a component

    def to_frame(self) -> Any:
        """Return a data frame of pandas with a row for each component; ImportError where pandas is not installed.

        Its columns are weight, and each parameter of each feature ("mean x0"); "se" is before those of standard errors.
        A background is the last row, and its number -1.
        """
        found = {"weight": self.weights} | self._by_feature(self.columns)
        if self.errors:
            others = {name: values for name, values in self.errors.items() if name != "weight"}
            found |= {f"se {name}": each for name, each in self._by_feature(others).items()}
            found |= {"se weight": self.errors["weight"]}
        if not self._has_background:
            return data_frame(found)
        found = {name: np.append(each, [np.nan] * (len(self.weights) - len(each))) for name, each in found.items()}
        return data_frame(found, index=[*range(len(self.weights) - 1), BACKGROUND])

    @property
    def _has_background(self) -> bool:
        """Whether there is a weight more than components."""
        return len(self.weights) > len(next(iter(self.columns.values())))

    def _by_feature(self, columns: Mapping[str, Array]) -> dict[str, Array]:
        """Return the columns of single features."""
        return {
            f"{name} {feature}": values[:, place]
            for name, values in columns.items()
            for place, feature in enumerate(self.features)
        }

    def _cells(self, name: str, values: Array) -> np.ndarray:
        """Return the texts of values, with their standard errors where they are known."""
        as_texts = np.vectorize(number_as_text, otypes=[object])
        numbers = as_texts(values, self.digits)
        if name in self.errors:
            numbers = numbers + " ± " + as_texts(self.errors[name], DIGITS_OF_ERRORS)
        return np.asarray(numbers)

    def __str__(self) -> str:
        return str(self._table(get_terminal_size().columns))

    def _table(self, width: int = WIDTH) -> Table:
        """Return a line for each component, or for each of its features where lines would be too long."""
        wide = self._wide(width)
        if len(self.features) <= FEW_FEATURES and len(aligned(wide.headings, wide.rows).split("\n")[0]) <= width:
            return wide
        return self._long(width)

    def _wide(self, width: int) -> Table:
        """Return a table with a line for each component."""
        columns = {name: self._cells(name, values) for name, values in self.columns.items()}
        headings = ["component", "weight", *(f"{name} {each}" for name in columns for each in self.features)]
        weights, values = self._cells("weight", self.weights), np.hstack([*columns.values()])
        rows = [[str(c), weights[c], *row] for c, row in enumerate(values.tolist())]
        rows += [["noise", weight, *([""] * values.shape[1])] for weight in weights[len(rows) :]]
        return Table(headings, rows, self.lines, self.notes, width=width)

    def _long(self, width: int) -> Table:
        """Return a table with a line for each feature of each component; long names are shortened."""
        columns = {name: self._cells(name, values) for name, values in self.columns.items()}
        weights = self._cells("weight", self.weights)
        cells = np.stack([*columns.values()], axis=-1)
        shown = {"weight": weights, **columns}
        taken = len("component") + sum(2 + max(map(len, [name, *each.ravel()])) for name, each in shown.items())
        names = [shortened(name, max(SHORTEST_NAME, width - taken - 2)) for name in self.features]
        rows = [
            [*((str(c), weights[c]) if place == 0 else ("", "")), name, *cells[c, place]]
            for c in range(len(cells))
            for place, name in enumerate(names)
        ]
        rows += [["noise", weight, *([""] * (1 + len(columns)))] for weight in weights[len(cells) :]]
        headings = ["component", "weight", "feature", *columns]
        return Table(headings, rows, self.lines, self.notes, left=("feature",), width=width)


def number_as_text(number: float, digits: int) -> str:
    """Return a number with so many digits; one with more before its point has all of them, rather than an exponent."""
    is_whole = 10.0**digits - 0.5 <= abs(number) < LARGE
    return f"{number:.0f}" if is_whole else f"{number:.{digits}g}"


def shortened(name: str, most: int) -> str:
    """Return a name of at most so many characters that can be shown, with dots for its middle."""
    name, half = printable(name), (most - 2) // 2
    return name if len(name) <= most else f"{name[:half]}..{name[-half:]}"


def summary_of(mixture: MixtureState, errors: StandardErrors | None) -> MixtureSummary:
    """Return the summary of a fitted mixture, with standard errors if they are given."""
    params: Params = mixture.params_
    columns = params.described()
    names = feature_names(mixture)
    told = {} if errors is None else errors_of(errors, params)
    lines, weights, notes = lines_of(mixture, params), params.all_weights, complaints_of(mixture)
    return MixtureSummary(lines, tuple(map(str, names)), weights, columns, told, notes=notes)


def complaints_of(mixture: MixtureState) -> tuple[str, ...]:
    """Return a sentence for each fault that a diagnosis finds in a component of a fit.

    Where components are expected to be empty, these are no faults, and a prior keeps the others from any.
    """
    if mixture.family.may_be_empty or not hasattr(mixture, "counts_"):
        return ()
    return tuple(diagnosis_of(mixture).sentences)


def diagnosis_of(mixture: MixtureState) -> Diagnosis:
    """Return what tells a spurious maximum of a fitted mixture."""
    floored = {each.component for each in mixture.collapses_ if each.action == "floor"}
    return diagnosis(mixture.params_, mixture.counts_, floored)


def errors_of(errors: StandardErrors, params: Params) -> dict[str, Array]:
    """Return the standard errors that a table shows, by the names of its columns."""
    check_kind(errors, "errors", StandardErrors)
    location, found = params.parameter_names[1], dict[str, Array]()
    for name in (*params.weight_places, location):
        found[name] = errors.by_name.get(name, np.empty(0))
        check_shape(found[name], f"errors.{name}", getattr(params, name).shape)
    weights = np.hstack([found[name] for name in params.weight_places])
    return {"weight": weights, location.removesuffix("s"): found[location]}


def lines_of(mixture: MixtureState, params: Params) -> tuple[str, ...]:
    """Return what a mixture is and, where a fit has told, how it ended and what its criteria are."""
    kind = f", {mixture.covariance_type} covariances" if hasattr(mixture, "covariance_type") else ""
    rows = f"; {total_weight(mixture):,.10g} rows" if hasattr(mixture, "counts_") else ""
    k, noise = len(params.weights), " and a background" * params.has_background
    title = f"{type(mixture).__name__}: {k} component{'s' * (k > 1)}{noise}{kind}{rows}"
    if hasattr(mixture, "stats_"):
        return title, "fitted by partial_fit"
    if not hasattr(mixture, "summary_"):
        return (title,)
    return title, mixture.summary_, criteria_of(mixture)


def criteria_of(mixture: MixtureState) -> str:
    """Return a line of information criteria, of mixtures that have them, and the entropy."""
    names = {"BIC": "bic_", "AIC": "aic_", "ICL": "icl_", "entropy": "entropy_"}
    return ", ".join(f"{name} {getattr(mixture, each):.2f}" for name, each in names.items() if hasattr(mixture, each))


def html_of_fit(mixture: MixtureState) -> str:
    """Return the summary as HTML; "" before a fit, and where attributes or settings have been changed to others."""
    with suppress(ValueError, TypeError, AttributeError):
        return str(summary_of(mixture, None)._repr_html_())
    return ""
