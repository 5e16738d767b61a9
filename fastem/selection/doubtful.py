"""The part of a log likelihood that is in doubt, since components are thinner than their rows prove.

The likelihood of a normal mixture has no bound: a component that closes in on few rows, or on equal rows, raises it as
far as one likes.  So a fit with such components is compared with others as if these components had the variances that
their rows prove.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator

import numpy as np

from fastem._typing import Array
from fastem.data.kmeans import START_ROWS
from fastem.data.row_source import RowSource
from fastem.data.rows import Rows
from fastem.estimators.base import Mixture
from fastem.families.params import Params
from fastem.selection.data import Arrays

NARROW = 0.5
"""Standard deviations below this many rounding steps are suspect: such a component covers about one rounded value."""

SAME_VALUE = 4 * float(np.finfo(np.float64).eps)
"""Values of a feature that differ by less, relative to the largest of them, are equal but for rounding."""

BLOCK = 1 << 18
"""Number of rows that are read at once to count distinct rows."""


def suspects(mixture: Mixture, step: Array) -> list[int]:
    """Return the components whose likelihood may have no meaning.

    They are those that `diagnose` has complaints about, and those that are narrower than rounded rows can show; `step`
    (d,) says how far each feature was rounded.  Mixtures of counts have none: their likelihood has a bound.
    """
    params: Params = mixture.params_
    narrow = params.narrower_than(NARROW * step)
    if narrow is None:
        return []
    return sorted({*mixture.diagnose().spurious, *np.flatnonzero(narrow).tolist()})


def add_doubts(mixture: Mixture, open_rows: Callable[[], RowSource], step: Array) -> None:
    """Set `suspect_`, the suspect components, and `doubtful_`, the part of `loglik_` that is in doubt."""
    mixture.suspect_, mixture.doubtful_ = suspects(mixture, step), 0.0
    if mixture.suspect_:
        proven = mixture.params_.with_proven_variances(mixture.counts_, mixture.suspect_, step)
        with open_rows() as rows:
            mixture.doubtful_ = max(0.0, float(mixture.loglik_ - rows.sweep(proven).loglik))


# ---------------------------------------------------------------------------------------- rounded values, distinct rows


def rounding_step(X: np.ndarray) -> Array:
    """Return (d,) the step to which each feature was rounded.

    It is the median, over the values of the feature, of the distance to the nearest other value.
    """
    columns = (column[~np.isnan(column)] for column in X.astype(np.float64, copy=False).T)
    return np.array([typical_gap(distinct(column)) for column in columns])


def typical_gap(values: Array) -> float:
    """Return the median distance to the nearest other value, of distinct values in ascending order.

    Values that differ in their last digits only count as one; 0 if there is only one value.
    """
    gaps = np.diff(values)
    gaps = gaps[gaps > SAME_VALUE * np.abs(values).max()]
    if not len(gaps):
        return 0.0
    return median(np.minimum(np.append(gaps, np.inf), np.insert(gaps, 0, np.inf)))


def median(values: Array) -> float:
    """Return the median; that of NumPy loads its masked arrays, which takes as long as a small fit."""
    middle = (len(values) - 1) // 2, len(values) // 2
    return float(np.sort(values)[[*middle]].mean())


def n_distinct(blocks: Iterable[Array], most: int) -> int:
    """Count the distinct rows of some blocks, up to `most`; no further block is read then."""
    found: Array | None = None
    for block in blocks:
        found = distinct(block if found is None else np.concatenate([found, block]))
        if len(found) >= most:
            return most
    return 0 if found is None else len(found)


def distinct(rows: Array) -> Array:
    """Return the distinct rows, or numbers, in order: counted, since NumPy loads its masked arrays otherwise."""
    return np.asarray(np.unique(rows, axis=0 if rows.ndim > 1 else None, return_counts=True)[0], np.float64)


def blocks_of_rows(rows: RowSource, sample: Rows) -> Iterator[Array]:
    """Yield a sample of the rows, which may be enough, and then all rows in blocks; rows of weight 0 are left out."""
    yield with_weight(sample.data, sample.sample_weight)
    for begin in range(0, len(rows) if len(rows) > len(sample) else 0, BLOCK):
        block = rows.take(np.arange(begin, min(len(rows), begin + BLOCK)))
        yield with_weight(block.data, block.sample_weight)


def blocks_of_arrays(arrays: Arrays) -> Iterator[Array]:
    """Yield all rows in blocks; rows of weight 0 are left out."""
    for begin in range(0, len(arrays.X), START_ROWS):
        block = arrays.take(slice(begin, begin + START_ROWS))
        yield with_weight(block.columns, np.ones(len(block.X)) if block.sample_weight is None else block.sample_weight)


def with_weight(columns: Iterable[np.ndarray], weights: np.ndarray) -> Array:
    """Return X, and trials if there are any, side by side as one array, without the rows of weight 0."""
    return np.column_stack([*columns]).astype(np.float64)[weights > 0]
