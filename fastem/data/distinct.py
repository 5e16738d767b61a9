"""Equal rows of counts as one row with their weight: the sums of a mixture do not see the difference, and there are few
distinct counts where trials are few, however many rows there are."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial, reduce

import numpy as np

from fastem._public import public
from fastem._typing import Array
from fastem.kernels.backend import Backend, distinct_keys
from fastem.validation.parameters import check_shape

CHUNK_ROWS = 1 << 22
"""Rows that are collapsed at a time.  Sums of weights are those of chunks, in order: the bits depend on no threads."""
TESTED_ROWS, TESTED_SHARE = 1 << 16, 64
"""So many evenly spread rows, or one in so many if that is more, tell whether it pays."""
MOST_DISTINCT = 0.5
"""Of the rows: where more are distinct, an iteration on them costs what one on all rows does, nearly."""


@public
@dataclass(frozen=True, eq=False)
class DistinctCounts:
    """Distinct rows of successes and trials, sorted, and their weights: a value with a plus.

    successes (m, d), trials (m, d), sample_weight (m,), all float64.
    """

    successes: Array
    trials: Array
    sample_weight: Array

    def __len__(self) -> int:
        return len(self.sample_weight)

    def __add__(self, other: DistinctCounts) -> DistinctCounts:
        """Those of all rows of the two."""
        if type(other) is not type(self):
            return NotImplemented
        check_shape(other.successes[:1], "successes", self.successes[:1].shape)
        joined = [np.concatenate(pair) for pair in zip(self._arrays, other._arrays, strict=True)]
        found = of_chunk(*joined, most=len(joined[2]))
        assert found is not None
        return found

    @property
    def _arrays(self) -> tuple[Array, Array, Array]:
        return self.successes, self.trials, self.sample_weight


def distinct_rows(
    X: np.ndarray, trials: np.ndarray, sample_weight: Array, backend: Backend, most: float = 1.0
) -> DistinctCounts | None:
    """The distinct rows; None if more than a share `most` of all, by the look of some, or of CHUNK_ROWS of them are."""
    arrays, n = (X, trials, sample_weight), len(X)
    step = tested_step(n)
    if most < 1 and step > 1 and not pays(sample_of(arrays, slice(None, None, step), 1.0), n, most):
        return None
    chunks = [slice(begin, begin + CHUNK_ROWS) for begin in range(0, n, CHUNK_ROWS)]
    found = backend.each(partial(sample_of, arrays, most=most), chunks)
    return None if any(part is None for part in found) else reduce(DistinctCounts.__add__, found)


def tested_step(n: int) -> int:
    """Every so many rows are looked at before all are."""
    return min(n // TESTED_ROWS, TESTED_SHARE)


def pays(some: DistinctCounts | None, n: int, most: float) -> bool:
    """Are there at most a share `most` of distinct rows among all n, by those of every tested_step(n)?"""
    assert some is not None
    tested = -(-n // tested_step(n))
    equals = tested - len(some)  # of s rows, s^2 / 2 N if N are equally likely, or more
    return tested**2 <= 2 * equals * most * n


def sample_of(arrays: tuple[np.ndarray, ...], rows: slice, most: float) -> DistinctCounts | None:
    X, trials, weights = (array[rows] for array in arrays)
    return of_chunk(X, trials, weights, most=int(most * len(X)))


def of_chunk(X: np.ndarray, trials: np.ndarray, sample_weight: Array, *, most: int) -> DistinctCounts | None:
    """The distinct rows of a chunk, sorted; None if there are over `most`."""
    found = distinct_keys(X, trials, sample_weight, most)
    if found is None:
        return None
    keys, weights = found
    order = np.lexsort(keys.T[::-1])
    d = X.shape[1]
    return DistinctCounts(keys[order, :d].astype(np.float64), keys[order, d:].astype(np.float64), weights[order])
