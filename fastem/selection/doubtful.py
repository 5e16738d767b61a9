"""How much of a log likelihood is in doubt: what components about which there are complaints owe to being thin.

The likelihood of a normal mixture has no bound: a component that closes in on few rows, or on equal ones, raises it as
far as one likes.  So that of a fit with such components is compared as if they had the extent that their rows prove.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import Any

import numpy as np

from fastem._typing import Array
from fastem.data.kmeans import START_ROWS
from fastem.data.row_source import RowSource
from fastem.data.rows import Rows

NARROW = 0.5
"""Of the step of rounded rows, half of it to both sides: a standard deviation below that is of one value, or nearly."""

SAME_VALUE = 4 * float(np.finfo(np.float64).eps)
"""Of the largest value of a feature: values that differ by less are equal but for rounding."""

BLOCK = 1 << 18
"""Rows that are looked at together for values that were not seen before."""


def suspects(mixture: Any, step: Array) -> list[int]:
    """Components of which the likelihood may have no meaning: those about which there are complaints, and those that
    are narrower than rounded rows can tell.  None of counts: their likelihood has a bound."""
    narrow = mixture.params_.narrower_than(NARROW * step)
    if narrow is None:
        return []
    return sorted({*mixture.diagnose().spurious, *np.flatnonzero(narrow).tolist()})


def with_doubts(mixture: Any, opened: Callable[[], RowSource], step: Array) -> Any:
    """The mixture with `suspect_`, these components, and `doubtful_`, the part of `loglik_` that is in doubt."""
    mixture.suspect_, mixture.doubtful_ = suspects(mixture, step), 0.0
    if mixture.suspect_:
        proven = mixture.params_.with_proven_variances(mixture.counts_, mixture.suspect_, step)
        with opened() as rows:
            mixture.doubtful_ = max(0.0, float(mixture.loglik_ - rows.sweep(proven).loglik))
    return mixture


# ------------------------------------------------------------------------------------------------ a look at the rows


def rounding_step(X: np.ndarray) -> Array:
    """(d,) to how much each feature was rounded: the median, over its values, of the distance to the nearest other."""
    return np.array([typical_gap(np.unique(column.astype(np.float64))) for column in X.T])


def typical_gap(values: Array) -> float:
    """Of distinct values, in order.  Those that differ by their last digits alone are one."""
    gaps = np.diff(values)
    gaps = gaps[gaps > SAME_VALUE * np.abs(values).max()]
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


def in_blocks(rows: RowSource, few: Rows) -> Iterator[Array]:
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
