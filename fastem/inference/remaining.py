"""What a fit has still to gain: half the Newton decrement, by the gradient of all rows and the information of some."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from fastem._typing import Array
from fastem.data.kmeans import START_ROWS, subsample
from fastem.data.row_source import RowSource
from fastem.data.rows import Rows
from fastem.families.fixed import FixedLike
from fastem.families.params import Chart, Params
from fastem.inference.standard_errors import Coordinates, Sums, information, weights_scores
from fastem.kernels.linear import inverse_cholesky, inverse_lower, norm, outer_sums, product, times, weighted_sum

WORK = 1 << 28
"""Products for the information, at the most: a tenth of a second."""
ROWS = 1 << 11
"""So many tell the information of few parameters, or ENOUGH_PER_PARAMETER of more."""
ENOUGH_PER_PARAMETER = 10
LEAST_PER_PARAMETER = 2
"""Fewer rows than that say nothing of it."""
RIDGE = 1e-4
"""The least share of the information of complete rows that scores of some rows can tell from none."""
NEGLIGIBLE = 1e-5
"""A row says nothing of components to which it belongs with no more than this probability."""
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
        size = min(len(self.rows), START_ROWS, WORK // p**2, max(ROWS, ENOUGH_PER_PARAMETER * p))
        if size < LEAST_PER_PARAMETER * p:
            return None
        if self.sample is None:
            self.sample = subsample(self.rows, size, np.random.default_rng(SEED))
        return self.sample


def remaining(rows: Rows, params: Params, reached: Params, at: Coordinates) -> Remaining:
    """Estimate what is left to gain, by the information of these rows."""
    sums = sums_of(rows, params, at)
    free = at.free & (sums.complete > 0)
    if not free.any():
        return Remaining(0.0, True)
    total = float(rows.sample_weight.sum())
    units = np.sqrt(sums.complete[free])
    slopes = units * displacement(params, reached, at)[free]  # the gradient in units in which complete rows tell 1
    for method in ("louis", "opg"):
        shares = information(sums, at, method)[np.ix_(free, free)] / units / units[:, np.newaxis]
        if method == "opg":
            shares.flat[:: len(shares) + 1] += RIDGE
        whitened = inverse_cholesky(shares)
        if whitened is not None:
            gain = norm(times(whitened[0], slopes)) ** 2 / (2 * total)
            if np.isfinite(gain):
                return Remaining(gain, method == "louis")
    return UNKNOWN


def sums_of(rows: Rows, params: Params, at: Coordinates) -> Sums:
    """Return the sums of `Sums.add`, of each row for the components to which it may belong: most have one or two."""
    found, columns, slopes = Sums.zero(len(at), squared=False), at.of_components(), weights_scores(at.weights)
    resp, w = rows.posterior(params, "resp").resp, rows.sample_weight
    may = resp > NEGLIGIBLE
    place = np.cumsum(may, axis=0) - 1
    scores: dict[int, Array] = {}
    for c in np.flatnonzero(params.all_weights).tolist():
        mine = np.flatnonzero(may[:, c])
        own, told = params.scores(c, *(array[mine] for array in rows.data))
        of_c = np.hstack([np.broadcast_to(slopes[c], (len(mine), len(slopes))), own])
        shares = w[mine] * resp[mine, c]
        found.complete[columns[c]] += np.append(np.full(len(slopes), shares.sum()), weighted_sum(shares, told))
        weighted = shares[:, np.newaxis] * of_c
        found.within[np.ix_(columns[c], columns[c])] += outer_sums(weighted, of_c)
        found.between[np.ix_(columns[c], columns[c])] += outer_sums(resp[mine, c, np.newaxis] * weighted, of_c)
        for b, of_b in scores.items():
            both = np.flatnonzero(may[:, b] & may[:, c])
            if not len(both):
                continue
            block = outer_sums(resp[both, b, np.newaxis] * weighted[place[both, c]], of_b[place[both, b]])
            found.between[np.ix_(columns[c], columns[b])] += block
            found.between[np.ix_(columns[b], columns[c])] += block.T
        scores[c] = of_c
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
