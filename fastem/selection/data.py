"""The rows of a selection: as a user passes them, and as arrays."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import numpy as np

from fastem._typing import ArrayLike, RowKind
from fastem.data.row_source import RowSource
from fastem.estimators.base import Mixture
from fastem.estimators.model import open_data, trials_of
from fastem.validation.arrays import as_count_matrix, as_counts, as_matrix, as_sample_weight, check_folds
from fastem.validation.settings import check_no_trials


@dataclass(frozen=True, eq=False)
class Data:
    """Rows as a fit takes them."""

    X: ArrayLike
    sample_weight: ArrayLike | None = None
    trials: ArrayLike | None = None  # of families with trials; None is the n_trials of the estimator


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


def as_data(estimator: Mixture, X: ArrayLike, trials: ArrayLike | None, sample_weight: ArrayLike | None = None) -> Data:
    """Join the arguments of a fit; ValueError for trials that the estimator does not take."""
    if estimator.family.row_kind is not RowKind.COUNTS_WITH_TRIALS:
        check_no_trials(trials, type(estimator).__name__)
    return Data(X, sample_weight, trials)


def as_arrays(estimator: Mixture, data: Data) -> Arrays:
    """Convert rows to arrays; ValueError or TypeError where they are no rows of the family of the estimator."""
    row_kind, trials = estimator.family.row_kind, None
    if row_kind is RowKind.COUNTS_WITH_TRIALS:
        X, trials = as_counts(data.X, trials_of(estimator, data.trials))
    else:
        X = as_count_matrix(data.X) if row_kind.is_counts else as_matrix(data.X, fitting=True)
    weights = data.sample_weight
    return Arrays(X, None if weights is None else as_sample_weight(weights, len(X)), trials)


def open_float64(mixture: Mixture, data: Data) -> RowSource:
    """Open rows as a fit does, with sums in float64."""
    return open_data(mixture, data.X, data.trials, data.sample_weight, dtype=np.float64)


def with_settings(estimator: Mixture, settings: Mapping[str, object]) -> Mixture:
    """Return a copy of an estimator that is not fitted, with some settings changed."""
    return type(estimator)(**{**estimator.get_params(deep=False), **settings})


def fit(mixture: Mixture, data: Data) -> Mixture:
    """Fit a mixture to the rows, and return it."""
    trials = {} if data.trials is None else {"trials": data.trials}
    fitted: Mixture = mixture.fit(X=data.X, sample_weight=data.sample_weight, **trials)
    return fitted
