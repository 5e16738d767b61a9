"""A fitted mixture as a table that people read: how the fit ended, its criteria, and its components."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

import numpy as np

from fastem._public import public
from fastem._table import WIDTH, Table, Tabled, aligned, data_frame
from fastem._typing import Array
from fastem.estimators.state import MixtureState
from fastem.families.params import Params
from fastem.inference.standard_errors import StandardErrors
from fastem.validation.parameters import check_shape
from fastem.validation.settings import check_kind


@public
@dataclass(frozen=True, eq=False, repr=False)
class MixtureSummary(Tabled):
    """A fitted mixture for people to read; printed, it is a table of its components below how the fit ended."""

    lines: tuple[str, ...]  #: what the mixture is, how its fit ended, its criteria
    features: tuple[str, ...]  #: (d,) names
    weights: Array  #: (k,)
    columns: Mapping[str, Array]  #: (k, d) by name: "mean" and "sd", "prob" or "rate"
    errors: Mapping[str, Array]  #: standard errors by name, of "weight" (k,) and of the first column (k, d); or none

    def to_frame(self) -> Any:
        """Return a data frame of pandas with a row for each component; ImportError where pandas is not installed.

        Its columns are weight, and each parameter of each feature ("mean x0"); "se" is before those of standard errors.
        """
        found = {"weight": self.weights} | self._by_feature(self.columns)
        if self.errors:
            others = {name: values for name, values in self.errors.items() if name != "weight"}
            found |= {f"se {name}": each for name, each in self._by_feature(others).items()}
            found |= {"se weight": self.errors["weight"]}
        return data_frame(found)

    def _by_feature(self, columns: Mapping[str, Array]) -> dict[str, Array]:
        """Return the columns of single features."""
        return {
            f"{name} {feature}": values[:, place]
            for name, values in columns.items()
            for place, feature in enumerate(self.features)
        }

    def _cells(self, name: str, values: Array) -> np.ndarray:
        """Return the texts of values, with their standard errors where they are known."""
        if name not in self.errors:
            return np.asarray(np.vectorize("{:.4g}".format, otypes=[object])(values))
        return np.asarray(np.vectorize("{:.4g} ± {:.2g}".format, otypes=[object])(values, self.errors[name]))

    def _table(self) -> Table:
        wide = self._wide()
        if len(aligned(wide.headings, wide.rows).split("\n")[0]) <= WIDTH:
            return wide
        return self._long()

    def _wide(self) -> Table:
        """Return a table with a line for each component."""
        columns = {name: self._cells(name, values) for name, values in self.columns.items()}
        headings = ["component", "weight", *(f"{name} {each}" for name in columns for each in self.features)]
        parts = [self._cells("weight", self.weights)[:, np.newaxis], *columns.values()]
        rows = [[str(c), *row] for c, row in enumerate(np.hstack(parts).tolist())]
        return Table(headings, rows, self.lines)

    def _long(self) -> Table:
        """Return a table with a line for each feature of each component."""
        columns = {name: self._cells(name, values) for name, values in self.columns.items()}
        weights = self._cells("weight", self.weights)
        rows = [
            [
                *((str(c), weights[c]) if place == 0 else ("", "")),
                feature,
                *(cells[c, place] for cells in columns.values()),
            ]
            for c in range(len(weights))
            for place, feature in enumerate(self.features)
        ]
        return Table(["component", "weight", "feature", *columns], rows, self.lines, left=("feature",))


def summary_of(mixture: MixtureState, errors: StandardErrors | None) -> MixtureSummary:
    """Return the summary of a fitted mixture, with standard errors if they are given."""
    params: Params = mixture.params_
    columns = params.described()
    names = getattr(mixture, "feature_names_in_", [f"x{i}" for i in range(params.n_features)])
    told = {} if errors is None else errors_of(errors, params)
    return MixtureSummary(lines_of(mixture, params), tuple(map(str, names)), params.weights, columns, told)


def errors_of(errors: StandardErrors, params: Params) -> dict[str, Array]:
    """Return the standard errors that a table shows, by the names of its columns."""
    check_kind(errors, "errors", StandardErrors)
    found = {}
    for name in params.parameter_names[:2]:
        values = errors.by_name.get(name, np.empty(0))
        check_shape(values, f"errors.{name}", getattr(params, name).shape)
        found[name.removesuffix("s")] = values
    return found


def lines_of(mixture: MixtureState, params: Params) -> tuple[str, ...]:
    """Return what a mixture is and, where a fit has told, how it ended and what its criteria are."""
    kind = f", {mixture.covariance_type} covariances" if hasattr(mixture, "covariance_type") else ""
    rows = f"; {mixture.counts_.sum():,.10g} rows" if hasattr(mixture, "counts_") else ""
    k = len(params.weights)
    title = f"{type(mixture).__name__}: {k} component{'s' * (k > 1)}{kind}{rows}"
    if hasattr(mixture, "stats_"):
        return title, "fitted by partial_fit"
    if not hasattr(mixture, "loglik_"):
        return (title,)
    return title, mixture.summary_, f"BIC {mixture.bic_:.2f}, AIC {mixture.aic_:.2f}, ICL {mixture.icl_:.2f}"


def html_of_fit(mixture: MixtureState) -> str:
    """Return the summary as HTML; "" before a fit, and where attributes or settings have been changed to others."""
    with suppress(ValueError, TypeError, AttributeError):
        return str(summary_of(mixture, None)._repr_html_())
    return ""
