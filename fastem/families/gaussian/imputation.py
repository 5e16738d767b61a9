"""What is missing in rows, by a Gaussian mixture: its mean given the values that are there, or a draw."""

from __future__ import annotations

from functools import lru_cache

import numpy as np

from fastem._typing import Array, RowKind
from fastem.data.base import chosen_backend
from fastem.data.missing import by_pattern
from fastem.data.rows import Rows
from fastem.families.gaussian.model import GaussianParams
from fastem.families.gaussian.regression import Regression, all_means, drawn_labels
from fastem.kernels.linear import weighted_sum

BLOCK_ROWS = 1 << 13
"""Rows that a thread fills at a time: what it has of them stays in cache.  Draws depend on it."""
MOST_PATTERNS = 64
"""Regressions that are kept from one block to the next: as many as most tables have, and little memory."""


def impute(
    params: GaussianParams, X: np.ndarray, rng: np.random.Generator | None, *, backend: str, n_threads: int | None
) -> np.ndarray:
    """Return a copy of X (n, d) in which no value is NaN: means or, with rng, draws; the same with any threads."""
    found = np.array(X, order="C")
    begins = range(0, len(found), BLOCK_ROWS)
    seeds = [None if rng is None else int(rng.integers(1 << 63)) for _ in begins]
    imputer = Imputer(params, backend)

    def fill(item: tuple[int, int | None]) -> None:
        begin, seed = item
        imputer.fill(found[begin : begin + BLOCK_ROWS], None if seed is None else np.random.default_rng(seed))

    with chosen_backend(None, backend, n_threads) as threads:
        threads.each(fill, list(zip(begins, seeds, strict=True)))
    return found


class Imputer:
    """Fills what is missing in blocks of rows, each on the thread that calls."""

    def __init__(self, params: GaussianParams, backend: str) -> None:
        self.params, self.backend = params, chosen_backend(None, backend, 1)
        self._regression = lru_cache(MOST_PATTERNS)(self._find_regression)

    def fill(self, X: np.ndarray, rng: np.random.Generator | None) -> None:
        """Fill what is NaN in rows, in place: with means or, with rng, draws."""
        for places, missing in by_pattern(np.isnan(X)):
            if missing.any():
                rows = X[places]
                rows[:, missing] = self._values(rows[:, ~missing], missing, rng)
                X[places] = rows

    def _values(self, given: np.ndarray, missing: np.ndarray, rng: np.random.Generator | None) -> Array:
        """Return the missing values (n, w) of rows of which the others (n, g) are given."""
        if missing.all():
            return self._of_nothing(len(given), rng)
        at, rows = self._regression(missing.tobytes()), Rows.of((given,), RowKind.REAL, self.backend, None)
        return at.expected(rows) if rng is None else at.drawn(rows, rng)

    def _of_nothing(self, n: int, rng: np.random.Generator | None) -> Array:
        """Return rows (n, d) of which no value is known."""
        params = self.params
        if rng is None:
            return np.broadcast_to(weighted_sum(params.all_weights, all_means(params)), (n, params.n_features))
        shares = np.broadcast_to(params.all_weights, (n, len(params.all_weights)))
        return params.sample(params.labels[drawn_labels(shares, rng)], rng)

    def _find_regression(self, pattern: bytes) -> Regression:
        """Return how the features that a pattern lacks depend on those that it has."""
        missing = np.frombuffer(pattern, np.bool_)
        return Regression.of(self.params, np.flatnonzero(~missing), np.flatnonzero(missing))
