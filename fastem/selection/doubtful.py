"""How much of a log likelihood is in doubt: what components about which there are complaints owe to being thin.

The likelihood of a normal mixture has no bound: a component that closes in on few rows, or on equal ones, raises it as
far as one likes.  So that of a fit with such components is compared as if they had the extent that their rows prove.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace
from typing import Any

import numpy as np

from fastem._typing import Array
from fastem.data.kmeans import START_ROWS
from fastem.data.rows import AnyRows, Rows
from fastem.families.gaussian.components import pooled
from fastem.families.gaussian.covariance import RESOLUTION
from fastem.families.gaussian.model import GaussianParams
from fastem.kernels.linear import eigh, inverse_lower, product

NARROW = 0.5
"""Of the step of rounded rows, half of it to both sides: a standard deviation below that is of one value, or nearly."""

RESOLVED = 1.0
"""Of the step: what such rows prove.  Components of that width on all values of a bell are wider than the bell, and
never better; one that is alone among empty values is told from others all the same."""

BLOCK = 1 << 18
"""Rows that are looked at together for values that were not seen before."""


def suspects(mixture: Any, step: Array) -> list[int]:
    """Components of which the likelihood may have no meaning: those about which there are complaints, and those that
    are narrower than rounded rows can tell.  None of counts: their likelihood has a bound."""
    params = mixture.params_
    if not isinstance(params, GaussianParams):
        return []
    narrow = (params.diagonals() < (NARROW * step) ** 2).any(axis=1) & (params.weights > 0)
    return sorted({*mixture.diagnose().spurious, *np.flatnonzero(narrow).tolist()})


def with_doubts(mixture: Any, opened: Callable[[], AnyRows], step: Array) -> Any:
    """The mixture with `suspect_`, these components, and `doubtful_`, the part of `loglik_` that is in doubt."""
    mixture.suspect_, mixture.doubtful_ = suspects(mixture, step), 0.0
    if mixture.suspect_:
        proven = with_proven_extents(mixture.params_, mixture.counts_, mixture.suspect_, step)
        with opened() as rows:
            mixture.doubtful_ = max(0.0, float(mixture.loglik_ - rows.sweep(proven).loglik))
    return mixture


def with_proven_extents(params: GaussianParams, counts: Array, suspect: list[int], step: Array) -> GaussianParams:
    """With the precision of each suspect component as its rows prove it, a mean of its own and that of all rows.

    The inverse of the covariance of m rows is too large, on the average by m / (m - d - 2) (that of a Wishart
    distribution is): the share (m - d - 2) / m of it is proven.  The rest is as if nothing was known but all rows.
    Fewer rows prove a place, and no extent; thousands prove nearly all, be it as thin as it may.
    """
    least, whole = (RESOLVED * step) ** 2, of_all(params)
    covariances = params.covariances.astype(np.float64)
    if params.covariance_type == "tied":
        covariances = blended(covariances, proven_share(params, counts.sum()), whole, least)
    else:
        for c in suspect:
            covariances[c] = blended(covariances[c], proven_share(params, counts[c]), whole, least)
    return replace(params, covariances=covariances)


def of_all(params: GaussianParams) -> Any:
    """The covariance of all rows, in the shape of that of a component."""
    if params.covariance_type == "tied":
        params = GaussianParams(params.weights, params.means, np.stack([params.covariances] * len(params.weights)))
    return pooled(params).covariances[0]


def proven_share(params: GaussianParams, count: float) -> float:
    """1 - used / m: where the mean inverse of the scatter of m rows is 1 / (m - used) of the precision."""
    k, d = params.means.shape
    used = {"full": d + 2.0, "tied": k + d + 1.0, "diag": 3.0, "spherical": 1.0 + 2.0 / d}[params.covariance_type]
    return 1.0 - used / count if count > used else 0.0


def blended(own: Any, share: float, whole: Any, least: Array) -> Any:
    """The covariance of which the precision is `share` that of `own` (and `least`), the rest that of `whole`."""
    if np.ndim(own) < 2:
        return 1 / (share / (own + (least if np.ndim(own) else least.max())) + (1 - share) / whole)
    A = GaussianParams(np.ones(1), np.zeros((1, len(own))), whole[np.newaxis]).inverse_cholesky()[0]
    values, vectors = eigh(product(product(A, own + np.diag(least)), A.T))
    half = product(inverse_lower(A), vectors / np.sqrt(share / np.maximum(values, RESOLUTION) + 1 - share))
    return product(half, half.T)


# ------------------------------------------------------------------------------------------------ a look at the rows


def rounding_step(X: np.ndarray) -> Array:
    """(d,) to how much each feature was rounded: the median, over its values, of the distance to the nearest other."""
    return np.array([typical_gap(np.unique(column.astype(np.float64))) for column in X.T])


def typical_gap(values: Array) -> float:
    """Of distinct values, in order.  Those that differ by their last digits alone are one."""
    gaps = np.diff(values)
    gaps = gaps[gaps > RESOLUTION * np.abs(values).max()]
    if not len(gaps):
        return 0.0
    return float(np.median(np.minimum(np.append(gaps, np.inf), np.insert(gaps, 0, np.inf))))


def n_distinct(blocks: Iterable[Array], most: int) -> int:
    """How many distinct rows are in these blocks; after `most` of them no more are looked for."""
    seen: Array | None = None
    for block in blocks:
        seen = np.unique(block if seen is None else np.concatenate([seen, block]), axis=0)
        if len(seen) >= most:
            return most
    return 0 if seen is None else len(seen)


def in_blocks(rows: AnyRows, few: Rows) -> Iterator[Array]:
    """A few rows first, which may be enough, then all."""
    yield weighted(*few.data, few.sample_weight)
    for begin in range(0, len(rows) if len(rows) > len(few) else 0, BLOCK):
        some = rows.take(np.arange(begin, min(len(rows), begin + BLOCK)))
        yield weighted(*some.data, some.sample_weight)


def blocks_of(arrays: dict[str, Any]) -> Iterator[Array]:
    """The same of X, trials and sample_weight."""
    weights, data = arrays["sample_weight"], [arrays[name] for name in ("X", "trials") if name in arrays]
    for begin in range(0, len(data[0]), START_ROWS):
        block = slice(begin, begin + START_ROWS)
        some = [array[block] for array in data]
        yield weighted(*some, np.ones(len(some[0])) if weights is None else weights[block])


def weighted(*arrays: np.ndarray) -> Array:
    """Rows, one array beside the other, that have a weight in the last of them."""
    *data, weights = arrays
    return np.column_stack(data).astype(np.float64)[weights > 0]
