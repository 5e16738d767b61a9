"""What an estimator can do whose rows are one array, X: all but those of counts with trials."""

from __future__ import annotations

from typing import Self

import numpy as np

from fastem._errstate import own_methods
from fastem._typing import ArrayLike
from fastem.data.chunk_source import Chunkable
from fastem.estimators.base import Mixture
from fastem.estimators.model import fit_data
from fastem.validation.settings import as_generator


@own_methods
class OneArrayMixture(Mixture):
    """A mixture of rows that are one array, with the methods of scikit-learn's mixtures."""

    def fit(
        self,
        X: ArrayLike | None = None,
        y: object = None,
        sample_weight: ArrayLike | None = None,
        *,
        chunks: Chunkable | None = None,
    ) -> Self:
        """Fit the mixture.

        Parameters
        ----------
        X : array-like of shape (n, d)
            Rows of the kind that the estimator names, n >= k.  Also a Dask array or data frame: a task for each of its
            blocks, on the `Client` that is current or in this process; on a cluster they stay with the workers for the
            fit.
        y : ignored
        sample_weight : array-like of shape (n,), default=None
            Non-negative; a weight of w counts as w equal rows.
        chunks : sequence, iterable or callable, default=None
            In the place of X: what gives the rows in chunks, in every sweep the same; `open_chunks` tells more.  A
            chunk is X or a tuple (X, sample_weight).  The fit has the bits of that of all rows in memory.  A start
            takes a pass over the chunks; `warm_sweeps` must be None.  Predict chunk by chunk.

        Returns
        -------
        self

        Raises
        ------
        ValueError, TypeError
            On unusable data or settings; the estimator stays as it was.
        """
        return self._become(fit_data(self, X, None, sample_weight, chunks=chunks))

    def fit_predict(self, X: ArrayLike, y: object = None, sample_weight: ArrayLike | None = None) -> np.ndarray:
        """Fit, and return the most probable component of each row: (n,) ints.  Arguments and errors as for fit."""
        return self.fit(X, y, sample_weight).predict(X)

    def predict(self, X: ArrayLike) -> np.ndarray:
        """Return the most probable component of each row of X (n, d): (n,) ints in 0 .. k - 1."""
        return self._posterior(X, None, "labels")

    def predict_proba(self, X: ArrayLike) -> np.ndarray:
        """Return the responsibilities of the components for each row of X (n, d): (n, k), rows sum to 1."""
        return self._posterior(X, None, "resp")

    def score_samples(self, X: ArrayLike) -> np.ndarray:
        """Return the log density, of counts the log probability, of each row of X (n, d): (n,), natural logarithm.

        It is at least -6.9e299, however far out a row is.
        """
        return self._posterior(X, None, "log_prob")

    def score(self, X: ArrayLike, y: object = None, sample_weight: ArrayLike | None = None) -> float:
        """Return the mean log density over the rows of X (n, d), weighted by sample_weight (n,)."""
        return self._mean_log_prob(X, None, sample_weight)

    def sample(self, n_samples: int = 1) -> tuple[np.ndarray, np.ndarray]:
        """Draw rows from the fitted mixture: X (n_samples, d) and the component (n_samples,) of each, in order."""
        rng = as_generator(self.random_state)
        labels = self._draw_labels(n_samples, rng)
        return self.params_.sample(labels, rng), labels
