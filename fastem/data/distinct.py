"""Equal rows of counts as one with their weight.

The sums of a mixture stay the same, and where counts are small few rows are distinct, however many there are.
"""

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
"""Whether it pays is judged by so many evenly spread rows, or by one in so many if that is more."""
MOST_DISTINCT = 0.5
"""The largest share of distinct rows: with more, an iteration on them costs nearly what one on all rows does."""


@public
@dataclass(frozen=True, eq=False)
class DistinctCounts:
    """Distinct rows of successes and trials, sorted, and their weights: a value with a plus.

    successes (m, d), trials (m, d), sample_weight (m,), all float64.  Counts without trials have trials (m, 0).
    """

    successes: Array
    trials: Array
    sample_weight: Array

    def __len__(self) -> int:
        return len(self.sample_weight)

    def __add__(self, other: DistinctCounts) -> DistinctCounts:
        """Return the distinct rows of both."""
        if type(other) is not type(self):
            return NotImplemented
        check_shape(other.successes[:1], "successes", self.successes[:1].shape)
        joined = [np.concatenate(pair) for pair in zip(self._arrays, other._arrays, strict=True)]
        found = of_chunk(*joined, most=len(joined[2]))
        assert found is not None
        return found

    @property
    def _arrays(self) -> tuple[Array, Array, Array]:
        """The successes, the trials and the weights, in the order of the fields."""
        return self.successes, self.trials, self.sample_weight


def distinct_rows(
    X: np.ndarray, trials: np.ndarray, sample_weight: Array, backend: Backend, most: float = 1.0
) -> DistinctCounts | None:
    """Return the distinct rows; None if they are more than a share `most` of all, by a sample, or of CHUNK_ROWS."""
    arrays, n = (X, trials, sample_weight), len(X)
    step = tested_step(n)
    if most < 1 and step > 1 and not pays(sample_of(arrays, slice(None, None, step), 1.0), n, most):
        return None
    chunks = [slice(begin, begin + CHUNK_ROWS) for begin in range(0, n, CHUNK_ROWS)]
    found = backend.each(partial(sample_of, arrays, most=most), chunks)
    known = [counts for counts in found if counts is not None]
    return reduce(DistinctCounts.__add__, known) if len(known) == len(found) else None


def tested_step(n: int) -> int:
    """Return the step of the rows that are collapsed first, as a test."""
    return min(n // TESTED_ROWS, TESTED_SHARE)


def pays(sample: DistinctCounts | None, n: int, most: float) -> bool:
    """Return whether at most a share `most` of all n rows is distinct, by the sample of every tested_step(n)."""
    assert sample is not None
    tested = -(-n // tested_step(n))
    equals = tested - len(sample)  # of s rows, s^2 / 2 N if N are equally likely, or more
    return tested**2 <= 2 * equals * most * n


def sample_of(arrays: tuple[np.ndarray, ...], rows: slice, most: float) -> DistinctCounts | None:
    """Return the distinct ones among some rows; None if they are more than a share `most` of these."""
    X, trials, weights = (array[rows] for array in arrays)
    return of_chunk(X, trials, weights, most=int(most * len(X)))


def of_chunk(X: np.ndarray, trials: np.ndarray, sample_weight: Array, *, most: int) -> DistinctCounts | None:
    """Return the distinct rows of a chunk, sorted; None if there are over `most`."""
    found = distinct_keys(X, trials, sample_weight, most)
    if found is None:
        return None
    keys, weights = found
    order = np.lexsort(keys.T[::-1])
    d = X.shape[1]
    return DistinctCounts(keys[order, :d].astype(np.float64), keys[order, d:].astype(np.float64), weights[order])
