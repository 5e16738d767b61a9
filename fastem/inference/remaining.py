"""What a fit has still to gain: half the Newton decrement, by the gradient of all rows and the information of some."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from fastem._typing import Array
from fastem.data.kmeans import START_ROWS, subsample
from fastem.data.row_source import RowSource
from fastem.data.rows import Rows
from fastem.families.fixed import FixedLike
from fastem.families.params import Chart, Params
from fastem.inference.standard_errors import Coordinates, weights_scores
from fastem.kernels.linear import dot, inverse_lower, product, scores_times, times, weighted_sum

NUMBERS = 1 << 22
"""Scores at the most, some tens of megabytes."""
ROWS = 1 << 11
"""So many tell the information of few parameters, or ENOUGH_PER_PARAMETER of more."""
ENOUGH_PER_PARAMETER = 4
LEAST_PER_PARAMETER = 2
"""Fewer rows than that say nothing of it."""
RIDGE = 1e-4
"""The least share of the information of complete rows that scores of some rows can tell from none."""
NEGLIGIBLE = 1e-5
"""A row says nothing of components to which it belongs with no more than this probability."""
MOST_STEPS = 50
"""Of conjugate gradients: where EM is not slow, ten of them tell the gain within some per cent."""
LAST_STEPS = 0.05
"""They end where the last two steps have added less than this share of the gain."""
ROUNDING = 1e-24
"""The share of the square of the gradient that is rounding: all of it has been explained."""
SEED = 0
"""Of the draw of these rows: the same whatever else a fit draws."""


class Remaining(NamedTuple):
    """What the log likelihood per unit of weight is estimated to have still to gain, and whether that is reliable.

    It is reliable where the rows say that the likelihood is concave.
    """

    gain: float
    is_reliable: bool


UNKNOWN = Remaining(np.inf, False)


class RemainingGain:
    """Estimates what fits of some rows have still to gain."""

    def __init__(self, rows: RowSource, fixed: FixedLike) -> None:
        self.rows, self.fixed = rows, fixed
        self.sample: Rows | None = None

    def __call__(self, params: Params, reached: Params) -> Remaining | None:
        """Estimate the gain from params, whose EM step leads to `reached`; None where it would take too long.

        At a maximum g^T I^-1 g / 2 is left, with the gradient g and the information I of the rows.  In coordinates in
        which the information of complete rows is diagonal, that diagonal times the EM step is g.
        """
        fixed = params.as_fixed(self.fixed)
        some_weights = 0 < fixed.mask("weights").sum() < fixed.k  # no coordinates are for these
        rows = self._rows_for(params.n_parameters + 1)  # the weights are as many coordinates as components
        if some_weights or rows is None:
            return None
        at = Coordinates(params, fixed)
        with np.errstate(all="ignore"):
            return remaining(rows, params, reached, at)

    def _rows_for(self, p: int) -> Rows | None:
        """Return the rows for the information on p parameters, drawn once."""
        size = min(len(self.rows), START_ROWS, NUMBERS // p, max(ROWS, ENOUGH_PER_PARAMETER * p))
        if size < LEAST_PER_PARAMETER * p:
            return None
        if self.sample is None:
            self.sample = subsample(self.rows, size, np.random.default_rng(SEED))
        return self.sample


def remaining(rows: Rows, params: Params, reached: Params, at: Coordinates) -> Remaining:
    """Estimate what is left to gain, by the information of these rows."""
    scores = Scores.of(rows, params, at)
    free = at.free & (scores.complete > 0)
    if not free.any():
        return Remaining(0.0, True)
    units = np.sqrt(scores.complete[free])
    slopes = units * displacement(params, reached, at)[free]  # the gradient in units in which complete rows tell 1
    total = float(rows.sample_weight.sum())
    for information, ridge, is_reliable in ((scores.louis, 0.0, True), (scores.opg, RIDGE, False)):
        gain = half_decrement(partial(shares, information, ridge, units, free), slopes)
        if gain is not None and np.isfinite(gain):
            return Remaining(gain / total, is_reliable)
    return UNKNOWN


def shares(
    information: Callable[[Array], Array], ridge: float, units: Array, free: NDArray[np.bool_], x: Array
) -> Array:
    """Return the information times x, in units in which that of complete rows is 1, with a ridge added."""
    whole = np.zeros(len(free))
    whole[free] = x / units
    return np.asarray(information(whole)[free] / units + ridge * x)


def half_decrement(times: Callable[[Array], Array], slopes: Array) -> float | None:
    """Return g^T A^-1 g / 2 of slopes g by conjugate gradients, which need A times a vector.

    None where A is seen not to be positive definite.  Each step adds what is positive, the first ones most of it.
    """
    rest, direction, added = slopes.copy(), slopes.copy(), [0.0]
    square = first = dot(slopes, slopes)
    for _ in range(min(len(slopes), MOST_STEPS)):
        if not square > ROUNDING * first:
            break
        image = times(direction)
        if not (curvature := dot(direction, image)) > 0:
            return None
        length = square / curvature
        added.append(length * square / 2)
        if sum(added[-2:]) < LAST_STEPS * sum(added):
            break
        rest = rest - length * image
        square, before = dot(rest, rest), square
        direction = rest + square / before * direction
    return sum(added)


@dataclass
class Scores:
    """Scores of rows for the components to which they may belong: most have one or two.

    The information of the rows is not made: only what it is times a vector.
    """

    n_rows: int
    roots: Array  #      (k,)    of the weights
    complete: Array  #   (p,)    the information of complete rows, a diagonal
    slopes: Array  #     (c, k)  of the log weight of each component that has any, the same for every row
    columns: NDArray[np.intp]  #  (c, q)  which coordinates are its own
    offsets: NDArray[np.int64]  # (c + 1,)  of its rows among these, some of which are there twice:
    rows: NDArray[np.int64]  #    (m,)
    resp: Array  #       (m,)
    shares: Array  #     (m,)    responsibilities times weights
    own: Array  #        (m, q)  slopes of the log density of the component

    @classmethod
    def of(cls, rows: Rows, params: Params, at: Coordinates) -> Scores:
        """Return the scores of some rows."""
        resp, w, k = rows.posterior(params, "resp").resp, rows.sample_weight, len(at.weights)
        live = np.flatnonzero(params.all_weights)
        by_component = np.ascontiguousarray(resp[:, live].T)
        places = np.flatnonzero(by_component > NEGLIGIBLE)
        offsets, mine = np.searchsorted(places, len(rows) * np.arange(len(live) + 1)), places % len(rows)
        its_resp = by_component.ravel()[places]
        columns = [each[k:] for each in at.of_components()]
        q = max(map(len, columns))
        found = cls(
            len(rows), np.sqrt(at.weights), np.zeros(len(at)), weights_scores(at.weights)[live],
            np.zeros((len(live), q), np.intp), offsets, mine, its_resp,
            w[mine] * its_resp, np.zeros((len(mine), q)),
        )  # fmt: skip
        for i, c in enumerate(live.tolist()):
            here = slice(offsets[i], offsets[i + 1])
            own, told = params.scores(c, *(array[mine[here]] for array in rows.data))
            found.complete[:k] += found.shares[here].sum()
            if len(columns[c]):  # those of a background are none
                found.complete[columns[c]] += weighted_sum(found.shares[here], told)
                found.columns[i], found.own[here] = columns[c], own
        return found

    def louis(self, x: Array) -> Array:
        """Return Louis's information times x: that of complete rows without what the responsibilities leave open."""
        return np.asarray(self.complete * x + self._times(x, about_means=True))

    def opg(self, x: Array) -> Array:
        """Return the sum of outer products of the rows' scores, times x."""
        found, k = self._times(x, about_means=False), len(self.roots)
        found[:k] += self.complete[0] * dot(self.roots, x[:k]) * self.roots  # see weights_scores
        return found

    def _times(self, x: Array, *, about_means: bool) -> Array:
        """Return the sum over rows of the mean of their slopes along x, or of what is above it, times their slopes."""
        k, found = len(self.roots), np.zeros(len(x))
        of_rows = self.own, self.rows, self.resp, self.shares, self.offsets
        along = x[self.columns], times(self.slopes, x[:k])
        own, totals = scores_times(*of_rows, *along, self.n_rows, about_means)
        found[:k] = weighted_sum(totals, self.slopes)
        np.add.at(found, self.columns, own)
        return found


def displacement(params: Params, reached: Params, at: Coordinates) -> Array:
    """Return how far `reached` is from params, in their coordinates."""
    weights = at.weights
    step = reached.all_weights - weights
    by_weights = np.divide(step, np.sqrt(weights), out=np.zeros_like(weights), where=weights > 0)
    return np.concatenate([by_weights, *(along(chart, params, reached) for chart in at.charts[1:])])


def along(chart: Chart, params: Params, reached: Params) -> Array:
    """Return how far the parameters of a chart have moved, in its coordinates; its jacobians are lower triangular."""
    step = np.empty(chart.inside.shape)
    step.flat[chart.places] = getattr(reached, chart.name) - getattr(params, chart.name)
    return np.asarray(product(inverse_lower(chart.jacobians), step[:, :, np.newaxis])).ravel()
