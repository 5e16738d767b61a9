"""Standard errors: the information that rows hold on the parameters of a fit.

Coordinates are the natural ones of each family, scaled (see `Chart`): in them the expected information of complete rows
is diagonal, does not depend on the parameters and has no units; the delta method leads to the parameters.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, fields
from functools import partial
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from fastem._public import public
from fastem._table import Table, Tabled, data_frame
from fastem._typing import Array
from fastem.data.rows import Rows
from fastem.data.slots import SLOT_ROWS
from fastem.families.fixed import Fixed, FixedLike
from fastem.families.params import Chart, Params
from fastem.kernels.backend import Backend
from fastem.kernels.linear import eigh, inverse_cholesky, outer_sums, product, weighted_sum
from fastem.validation.parameters import (
    check_all_or_none_fixed,
    check_identified,
    check_information,
    check_standard_errors,
)
from fastem.validation.settings import check_choice

METHODS = ("louis", "opg", "sandwich")

COLUMNS = 192
"""Of sums of squares that are added at a time: long enough that to hand them out costs nothing."""

BLOCK_BYTES = 1 << 25
"""Scores of so many bytes are held at a time, whatever n is."""

SMALLEST_SHARE = 1e-10
"""Of the information of complete rows: EM would take 1e10 iterations where less is left, and rounding is near."""


@public
@dataclass(frozen=True, eq=False, kw_only=True, repr=False)
class StandardErrors(Tabled):
    """Standard errors of the parameters of a mixture, shaped as they are: symmetric matrices of them for matrices.

    Each is an attribute with the name of the parameter: weights (k,), noise_weight where there is a background, and
    those that the family has, such as means (k, d) and covariances of a Gaussian mixture.  A parameter that is held
    fixed has 0; one on the boundary of its range (a weight of 0, and the component behind it; a probability of 0 or 1)
    has none: NaN.

    parameters_covariance (p, p) is the covariance of all parameters in the order of `names`: the weights (rows sum to 0
    over them); then the others, component by component; covariances by their variances or by their lower triangle,
    row by row.  Printed, it is a table with a line for each of them.
    """

    by_name: Mapping[str, Array]  #:  of each parameter, the weights first
    parameters_covariance: Array  #:  (p, p)
    names: tuple[str, ...]  #:  (p,) of the parameters one by one, such as "means[0, 1]"
    estimates: Array  #:  (p,) the fitted values

    def __getattr__(self, name: str) -> Array:
        """Return the standard errors of a parameter."""
        found: Mapping[str, Array] = self.__dict__.get("by_name", {})
        if name in found:
            return found[name]
        raise AttributeError(f"{type(self).__name__} has no {name!r}, only {', '.join(found)}, parameters_covariance")

    def to_frame(self) -> Any:
        """Return a data frame of pandas with the estimate and the standard error of each parameter, by its name.

        ImportError where pandas is not installed.
        """
        return data_frame(self._columns(), index=list(self.names))

    def _columns(self) -> dict[str, Array]:
        """Return the estimates and their standard errors."""
        return {"estimate": self.estimates, "standard error": np.sqrt(self.parameters_covariance.diagonal())}

    def _table(self) -> Table:
        columns = self._columns()
        pairs = zip(*columns.values(), strict=True)
        rows = [[name, *(f"{value:.6g}" for value in pair)] for name, pair in zip(self.names, pairs, strict=True)]
        return Table(["parameter", *columns], rows, left=("parameter",))


class Coordinates:
    """Coordinates of all parameters, in the order of `parameters_covariance`: those of the weights, then by chart."""

    def __init__(self, params: Params, fixed: Fixed) -> None:
        self.weights = params.all_weights / params.all_weights.sum()
        self.k, self.weight_places = len(params.weights), params.weight_places
        self.charts = (weights_chart(self.weights), *params.charts())
        sizes = [chart.inside.size for chart in self.charts]
        self.begins = np.cumsum([0, *sizes[:-1]])
        known = np.concatenate([self._known(chart, fixed).ravel() for chart in self.charts])
        interior = np.concatenate([self._interior(chart).ravel() for chart in self.charts])
        self.free, self.unknown = interior & ~known, ~interior & ~known

    def _interior(self, chart: Chart) -> NDArray[np.bool_]:
        """Return which coordinates are off the boundary; an empty component says nothing of what is its own."""
        return chart.inside if len(chart.inside) == 1 else chart.inside & (self.weights[: self.k] > 0)[:, np.newaxis]

    def _known(self, chart: Chart, fixed: Fixed) -> NDArray[np.bool_]:
        """Return which coordinates are fixed; what components share is fixed where it is for one of them."""
        known = fixed.mask(chart.name)
        if chart.name == "weights":
            check_all_or_none_fixed(known, "weights")
        rows = known[:, np.newaxis] if len(chart.inside) > 1 else np.array([[known.any()]])
        return np.broadcast_to(rows, chart.inside.shape)

    def __len__(self) -> int:
        return len(self.free)

    def _blocks(self, chart: Chart, begin: int) -> np.ndarray:
        """Return the positions (k, m) of the coordinates of a chart; (1, m) where all components share them."""
        return np.arange(begin, begin + chart.inside.size).reshape(chart.inside.shape)

    def of_components(self) -> list[np.ndarray]:
        """Return the positions (q,) of the coordinates that each component's density, and its weight, depend on.

        That of a background, behind the others, depends on none.
        """
        weights, *parts = (self._blocks(chart, begin) for chart, begin in zip(self.charts, self.begins, strict=True))
        shared = [np.broadcast_to(part, (self.k, part.shape[1])) for part in (weights, *parts)]
        return [*np.hstack(shared), *(weights[0] for _ in self.weights[self.k :])]

    def jacobian(self) -> Array:
        """Return the derivatives (p, p) of the parameters by the coordinates."""
        found = np.zeros((len(self), len(self)))
        for chart, begin in zip(self.charts, self.begins, strict=True):
            for block, values in zip(self._blocks(chart, begin), chart.jacobians, strict=True):
                found[np.ix_(block, block)] = values
        return found

    @property
    def places(self) -> dict[str, NDArray[np.intp]]:
        """Return which of all values each parameter is, by its name and shaped as it is."""
        others = zip(self.charts[1:], self.begins[1:], strict=True)
        return self.weight_places | {chart.name: begin + chart.places for chart, begin in others}

    def shaped(self, values: Array) -> dict[str, Array]:
        """Return one value (p,) for each parameter by its name, shaped as the parameter is."""
        return {name: values[places] for name, places in self.places.items()}

    def positions(self) -> list[tuple[str, tuple[int, ...]]]:
        """Return the name and the index of each parameter; of a symmetric matrix those of its lower triangle."""
        found = (
            (name, dict(zip(places.ravel().tolist(), np.ndindex(places.shape), strict=True)))
            for name, places in self.places.items()  # of equal places the later one, which is below the diagonal, stays
        )
        return [(name, index_of[place]) for name, index_of in found for place in sorted(index_of)]


def weights_chart(weights: Array) -> Chart:
    """Return the chart of log weights times sqrt(weights), whose sum is 1: so along sqrt(weights) nothing changes."""
    root = np.sqrt(weights)
    jacobian = np.diag(root) - np.outer(weights, root)
    return Chart("weights", jacobian[np.newaxis], np.arange(len(weights)), weights[np.newaxis] > 0)


class Summed(Protocol):
    """Rows, wherever they are, that sum what a function makes of them."""

    def summed(self, call: Callable[[Rows], Sums]) -> Sums:
        """Return the sum of what `call` makes of the rows in each of the places where they are."""


def standard_errors(rows: Summed, params: Params, *, fixed: FixedLike = (), method: str = "louis") -> StandardErrors:
    """Return standard errors at `params`, which maximise the likelihood of the rows in all that is not fixed."""
    check_choice(method, "method", METHODS)
    at = Coordinates(params, params.as_fixed(fixed))
    with np.errstate(over="ignore", invalid="ignore"):  # of rows that are far out: told by the next line
        sums = rows.summed(partial(sums_of, params=params, at=at, squared=method == "sandwich"))
        observed = information(sums, at, method)
    check_information(sums.complete, observed)
    free = np.ix_(at.free, at.free)
    root = inverse_root(sums.complete[at.free], observed[free])
    half = product(at.jacobian()[:, at.free], root)
    check_standard_errors(half)
    middle = product(half, product(product(root.T, sums.squared[free]), root)) if method == "sandwich" else half
    covariance = product(middle, half.T)
    covariance[at.unknown] = covariance[:, at.unknown] = np.nan
    positions = at.positions()
    return StandardErrors(
        by_name=at.shaped(np.sqrt(covariance.diagonal())),
        parameters_covariance=covariance,
        names=tuple(f"{name}[{', '.join(map(str, index))}]" if index else name for name, index in positions),
        estimates=np.array([getattr(params, name)[index] for name, index in positions], np.float64),
    )


def inverse_root(complete: Array, observed: Array) -> Array:
    """Return R with R R^T = observed^-1; complete (p,) is what to measure its eigenvalues against."""
    units = np.sqrt(np.where(complete > 0, complete, 1.0))[:, np.newaxis]
    shares = observed / units / units.T
    whitened = inverse_cholesky(shares)
    with np.errstate(over="ignore"):
        trace = np.inf if whitened is None else (whitened[0] ** 2).sum()  # of the inverse: no share is below 1 / trace
    if whitened is not None and SMALLEST_SHARE * trace < 1:
        return np.asarray(whitened[0].T / units)
    values, vectors = eigh(shares)
    check_identified(values, SMALLEST_SHARE)
    return np.asarray(vectors / np.sqrt(values) / units)


def information(sums: Sums, at: Coordinates, method: str) -> Array:
    """Return the information (p, p) of the rows."""
    if method != "opg":
        return np.asarray(np.diag(sums.complete) - sums.within + sums.between)
    root, k, observed = np.sqrt(at.weights), len(at.weights), sums.between.copy()
    observed[:k, :k] += sums.complete[0] * np.outer(root, root)  # see weights_scores
    return observed


def sums_of(rows: Rows, params: Params, at: Coordinates, squared: bool) -> Sums:
    """Return sums over the rows, those of squared weights if `squared`: they take a third of the time."""
    found, columns, slopes = Sums.zero(len(at), squared), at.of_components(), weights_scores(at.weights)
    for block in rows.slices(max(1, min(SLOT_ROWS, BLOCK_BYTES // (8 * len(at))))):
        found.add(block, params, columns, slopes)
    return found


def weights_scores(weights: Array) -> Array:
    """Return the slopes (k, k) of each component's log weight, in its row, by the coordinates of weights_chart.

    None has a slope along sqrt(weights), where nothing changes.  A complete row is taken to tell 1 of it all the same:
    so its information is the identity, as on every other chart, and no matrix is singular for that direction alone.
    """
    root = np.sqrt(weights)
    return np.diag(np.divide(1.0, root, out=np.zeros_like(root), where=root > 0)) - root


@dataclass
class Sums:
    """Sums over rows, with s_ik the slopes of component k's log density and weight, and s_i = sum_k r_ik s_ik."""

    complete: Array  #  (p,)    sum w r (-d2 log complete), a diagonal
    within: Array  #    (p, p)  sum w r s_ik s_ik^T
    between: Array  #   (p, p)  sum w s_i s_i^T
    squared: Array  #   (p, p)  sum w^2 s_i s_i^T, or (0, 0)

    @classmethod
    def zero(cls, p: int, squared: bool) -> Sums:
        """Return the sums of no rows for p coordinates, with or without those of squared weights."""
        return cls(np.zeros(p), np.zeros((p, p)), np.zeros((p, p)), np.zeros((p, p) if squared else (0, 0)))

    def __add__(self, other: Sums) -> Sums:
        return Sums(*(getattr(self, each.name) + getattr(other, each.name) for each in fields(self)))

    def add(self, rows: Rows, params: Params, columns: list[np.ndarray], slopes: Array) -> None:
        """Add the sums of some rows; columns are the coordinates (q,) of the scores of each component."""
        resp, w = rows.posterior(params, "resp").resp, rows.sample_weight[:, np.newaxis]
        mean = np.zeros((len(rows), len(self.complete)))
        for c in np.flatnonzero(params.all_weights).tolist():
            scores, told = params.scores(c, *rows.data)
            scores = np.hstack([np.broadcast_to(slopes[c], (len(rows), len(slopes))), scores])
            weighted = resp[:, c, np.newaxis] * scores
            mean[:, columns[c]] += weighted
            self.within[np.ix_(columns[c], columns[c])] += squares(w * weighted, scores, rows.backend)
            shares = w[:, 0] * resp[:, c]
            if rows.has_missing:
                own = columns[c][len(slopes) :]
                self.within[np.ix_(own, own)] += params.missing_information(c, shares, *rows.data)
            self.complete[columns[c]] += np.append(np.full(len(slopes), shares.sum()), weighted_sum(shares, told))
        self.between += squares(w * mean, mean, rows.backend)
        if self.squared.size:
            self.squared += squares(w * mean, w * mean, rows.backend)


def squares(weighted: Array, scores: Array, backend: Backend) -> Array:
    """Return sum over rows of weighted^T scores, which is symmetric, as a matrix (p, p).

    Some columns are computed at a time, down to the diagonal.  Threads share them.
    """
    p = scores.shape[1]
    found = np.empty((p, p))

    def fill(begin: int) -> None:
        end = min(p, begin + COLUMNS)
        found[:end, begin:end] = outer_sums(weighted[:, :end], scores[:, begin:end])
        found[begin:end, :begin] = found[:begin, begin:end].T

    backend.each(fill, range(0, p, COLUMNS))
    return found
