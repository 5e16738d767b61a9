"""The rows of a selection: as a user passes them, and as arrays."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from fastem._typing import ArrayLike, RowKind
from fastem.data.chunk_source import Chunkable
from fastem.data.one_pass import as_chunks
from fastem.data.row_source import RowSource
from fastem.estimators.base import Mixture
from fastem.estimators.model import open_data, trials_of
from fastem.validation.arrays import as_count_matrix, as_counts, as_matrix, as_sample_weight, check_folds
from fastem.validation.settings import check_no_trials


@dataclass(frozen=True, eq=False)
class Data:
    """Rows as a fit takes them."""

    X: ArrayLike | None
    sample_weight: ArrayLike | None = None
    trials: ArrayLike | None = None  # of families with trials; None is the n_trials of the estimator
    chunks: Chunkable | None = None  # in the place of X

    @property
    def is_read(self) -> bool:
        """Whether the rows are read again and again, rather than in memory or on Dask."""
        return as_chunks(self.X, self.chunks)[1] is not None


@dataclass(frozen=True, eq=False)
class Arrays(Data):
    """Rows as arrays, each with one entry per row."""

    X: np.ndarray
    sample_weight: np.ndarray | None = None
    trials: np.ndarray | None = None

    @property
    def columns(self) -> list[np.ndarray]:
        """Return X and, if the family has them, trials."""
        return [self.X] if self.trials is None else [self.X, self.trials]

    @property
    def total_weight(self) -> float:
        """Return the sum of the weights."""
        return float(len(self.X) if self.sample_weight is None else self.sample_weight.sum())

    def take(self, rows: np.ndarray | slice) -> Arrays:
        """Return some of the rows."""
        weights, trials = self.sample_weight, self.trials
        return Arrays(
            self.X[rows], None if weights is None else weights[rows], None if trials is None else trials[rows]
        )

    def split_folds(self, folds: int) -> Iterator[tuple[Arrays, Arrays]]:
        """Yield the rows to fit and the rows to hold out, for each fold; the folds are always the same random ones."""
        n = len(self.X)
        check_folds(n, folds)
        fold = np.random.default_rng(0).permutation(n) % folds
        for i in range(folds):
            yield self.take(fold != i), self.take(fold == i)


def as_data(
    estimator: Mixture,
    X: ArrayLike | None,
    trials: ArrayLike | None,
    sample_weight: ArrayLike | None = None,
    chunks: Chunkable | None = None,
) -> Data:
    """Join the arguments of a fit; ValueError for trials that the estimator does not take."""
    if estimator.family.row_kind is not RowKind.COUNTS_WITH_TRIALS:
        check_no_trials(trials, type(estimator).__name__)
    return Data(X, sample_weight, trials, chunks)


def as_arrays(estimator: Mixture, data: Data) -> Arrays:
    """Convert rows to arrays; ValueError or TypeError where they are no rows of the family of the estimator."""
    if data.is_read:
        return read_arrays(estimator, data)
    row_kind, trials, missing = estimator.family.row_kind, None, estimator.missing == "marginalize"
    if row_kind is RowKind.COUNTS_WITH_TRIALS:
        X, trials = as_counts(data.X, trials_of(estimator, data.trials), missing=missing)
    elif row_kind.is_counts:
        X = as_count_matrix(data.X, missing=missing)
    else:
        X = as_matrix(data.X, fitting=True, missing=missing)
    weights = data.sample_weight
    return Arrays(X, None if weights is None else as_sample_weight(weights, len(X)), trials)


def read_arrays(estimator: Mixture, data: Data) -> Arrays:
    """Read all rows of chunks to memory; weights that are all 1 are none."""
    with open_rows_of(estimator, data) as rows:
        found = rows.take(np.arange(len(rows)))
    weights = None if (found.sample_weight == 1.0).all() else found.sample_weight
    return Arrays(found.data[0], weights, *found.data[1:])


def open_rows_of(mixture: Mixture, data: Data, **options: Any) -> RowSource:
    """Open rows as a fit does."""
    return open_data(mixture, data.X, data.trials, data.sample_weight, chunks=data.chunks, **options)


def open_float64(mixture: Mixture, data: Data) -> RowSource:
    """Open rows as a fit does, with sums in float64."""
    return open_rows_of(mixture, data, dtype=np.float64)


def with_settings(estimator: Mixture, settings: Mapping[str, object]) -> Mixture:
    """Return a copy of an estimator that is not fitted, with some settings changed."""
    return type(estimator)(**{**estimator.get_params(deep=False), **settings})


def fit(mixture: Mixture, data: Data) -> Mixture:
    """Fit a mixture to the rows, and return it."""
    trials = {} if data.trials is None else {"trials": data.trials}
    fitted: Mixture = mixture.fit(X=data.X, sample_weight=data.sample_weight, chunks=data.chunks, **trials)
    return fitted
