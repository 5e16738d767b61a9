"""What an estimator can do whose rows are one array, X: all but those of counts with trials."""

from __future__ import annotations

from typing import Self

import numpy as np

from fastem._errstate import own_methods
from fastem._typing import ArrayLike, PathLike
from fastem.data.base import BY_COMPONENT
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
            Rows of the kind that the estimator names, n >= k.  Also the result of `from_arrow`, whose columns name the
            features as those of a data frame do; or a Dask array or data frame: a task for each of its blocks, on the
            `Client` that is current or in this process; on a cluster they stay with the workers for the fit.
        y : ignored
        sample_weight : array-like of shape (n,), default=None
            Non-negative; a weight of w counts as w equal rows.
        chunks : sequence, iterable or callable, default=None
            Instead of X: an object that gives the rows in chunks, the same in every sweep; see `open_chunks`.  A
            chunk is X or a tuple (X, sample_weight).  The fit has the bits of that of all rows in memory.  A start
            takes a pass over the chunks; `warm_sweeps` must be None.

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
        """Fit the mixture, and return the most probable component of each row.

        Parameters
        ----------
        X : array-like of shape (n, d), of counts also (n,)
            Rows, as for fit.
        y : ignored
        sample_weight : array-like of shape (n,), default=None
            Their weights, as for fit.

        Returns
        -------
        ndarray of int64, shape (n,)
            Numbers of components, as predict returns them.

        Raises
        ------
        ValueError, TypeError
            On unusable data or settings; the estimator stays as it was.
        """
        return self.fit(X, y, sample_weight).predict(X)

    def predict(self, X: ArrayLike | None = None, *, chunks: Chunkable | None = None) -> np.ndarray:
        """Return the most probable component of each row.

        Parameters
        ----------
        X : array-like of shape (n, d), of counts also (n,)
            Rows of the kind that fit takes, those of the fit or others.  A Dask array or data frame gives a Dask
            array, which is computed when it is needed.
        chunks : sequence, iterable or callable, default=None
            Instead of X, as for fit; they are read once, so that a generator will do.

        Returns
        -------
        ndarray of int64, shape (n,)
            Numbers of components, from 0 to k - 1; -1 of the rows of a background (`noise`).

        Raises
        ------
        NotFittedError
            Before a fit.
        ValueError, TypeError
            On unusable rows, with the place: not finite, no counts, or of other columns than those of the fit.
        """
        return self._posterior(X, None, "labels", chunks=chunks)

    def predict_proba(self, X: ArrayLike | None = None, *, chunks: Chunkable | None = None) -> np.ndarray:
        """Return the probability of each component for each row: its responsibility for the row.

        Parameters
        ----------
        X : array-like of shape (n, d), of counts also (n,)
            Rows of the kind that fit takes, those of the fit or others.  A Dask array or data frame gives a Dask
            array, which is computed when it is needed.
        chunks : sequence, iterable or callable, default=None
            Instead of X, as for fit; they are read once, so that a generator will do.

        Returns
        -------
        ndarray of float, shape (n, k), with a background (n, k + 1)
            Probabilities, in the order of the components, and that of a background behind them; each row adds up to 1.
            float32 for float32 rows, else float64.

        Raises
        ------
        NotFittedError
            Before a fit.
        ValueError, TypeError
            On unusable rows, with the place: not finite, no counts, or of other columns than those of the fit.
        """
        return self._posterior(X, None, "resp", chunks=chunks)

    def score_samples(self, X: ArrayLike | None = None, *, chunks: Chunkable | None = None) -> np.ndarray:
        """Return the logarithm of the density of each row or, of counts, of its probability.

        Parameters
        ----------
        X : array-like of shape (n, d), of counts also (n,)
            Rows of the kind that fit takes, those of the fit or others.  A Dask array or data frame gives a Dask
            array, which is computed when it is needed.
        chunks : sequence, iterable or callable, default=None
            Instead of X, as for fit; they are read once, so that a generator will do.

        Returns
        -------
        ndarray of float, shape (n,)
            Natural logarithms, at least -6.9e299.  A density is per unit of each feature: it changes with the units of
            X.  float32 for float32 rows, else float64.

        Raises
        ------
        NotFittedError
            Before a fit.
        ValueError, TypeError
            On unusable rows, with the place: not finite, no counts, or of other columns than those of the fit.
        """
        return self._posterior(X, None, "log_prob", chunks=chunks)

    def log_prob_components(self, X: ArrayLike | None = None, *, chunks: Chunkable | None = None) -> np.ndarray:
        """Return the logarithm of weight times density of each component for each row.

        The logarithm of a row's sum of exponentials is its `score_samples`.  Less that, they are the logarithms of
        `predict_proba`: of far components, too, for which that is a limit of the numbers (2^-900).

        Parameters
        ----------
        X : array-like of shape (n, d), of counts also (n,)
            Rows of the kind that fit takes, those of the fit or others.  A Dask array or data frame gives a Dask
            array, which is computed when it is needed.
        chunks : sequence, iterable or callable, default=None
            Instead of X, as for fit; they are read once, so that a generator will do.

        Returns
        -------
        ndarray of float, shape (n, k), with a background (n, k + 1)
            Natural logarithms, in the order of the components, and that of a background behind them; -inf of components
            of weight 0.  Those of a BayesianGaussianMixture are expectations, as its `score_samples`.  float32 for
            float32 rows, else float64.

        Raises
        ------
        NotFittedError
            Before a fit.
        ValueError, TypeError
            On unusable rows, with the place: not finite, no counts, or of other columns than those of the fit.

        Examples
        --------
        >>> import fastem
        >>> mixture = fastem.GaussianMixture(2, order_by="means").fit([[0.0], [2.0], [20.0], [22.0]])
        >>> mixture.log_prob_components([[1.0]]).round(1)  # log 0.5 - log(2 pi) / 2 - distance^2 / 2
        array([[  -1.6, -201.6]])
        """
        return self._posterior(X, None, BY_COMPONENT, chunks=chunks)

    def predict_to(self, path: PathLike, X: ArrayLike | None = None, *, chunks: Chunkable | None = None) -> int:
        """Write what is predicted of each row to a file: some rows at a time, so that memory does not grow with them.

        Parameters
        ----------
        path : path
            A .csv or .parquet file (which needs pyarrow).  One that is there is replaced when the new one is complete.
        X : array-like of shape (n, d)
            Rows as for predict.  Partitions of a Dask collection are computed one after the other.
        chunks : sequence, iterable or callable, default=None
            Instead of X, as for predict.

        Returns
        -------
        n : int
            The number of rows.  For each, in their order, the file has component (the most probable one, -1 for a
            background), probability (that of this component) and log_density.

        Raises
        ------
        NotFittedError
            Before a fit.
        ValueError, TypeError
            On unusable rows, and for another suffix; there is no new file then.
        OSError
            Where the file cannot be written; one that is there stays as it was.

        Examples
        --------
        >>> import fastem, pathlib, tempfile
        >>> path = pathlib.Path(tempfile.mkdtemp()) / "labels.csv"
        >>> fastem.GaussianMixture(1).fit([[1.0], [3.0]]).predict_to(path, [[2.0], [2.0], [9.0]])
        3
        >>> path.read_text().splitlines()[0]
        'component,probability,log_density'
        """
        return self._predict_to(path, X, None, chunks)

    def score(
        self,
        X: ArrayLike | None = None,
        y: object = None,
        sample_weight: ArrayLike | None = None,
        *,
        chunks: Chunkable | None = None,
    ) -> float:
        """Return the mean of `score_samples` over the rows: the higher, the better the mixture fits them.

        Parameters
        ----------
        X : array-like of shape (n, d), of counts also (n,)
            Rows of the kind that fit takes, those of the fit or others.
        y : ignored
        sample_weight : array-like of shape (n,), default=None
            Non-negative; a weight of w counts as w equal rows.  None is 1 for each row.
        chunks : sequence, iterable or callable, default=None
            Instead of X, as for fit; they are read once, so that a generator will do.

        Returns
        -------
        float
            The weighted mean, a natural logarithm per row.

        Raises
        ------
        NotFittedError
            Before a fit.
        ValueError, TypeError
            On unusable rows, with the place: not finite, no counts, or of other columns than those of the fit.
        """
        return self._mean_log_prob(X, None, sample_weight, chunks)

    def sample(self, n_samples: int = 1) -> tuple[np.ndarray, np.ndarray]:
        """Draw rows from the fitted mixture.

        Parameters
        ----------
        n_samples : int, default=1
            Number of rows, at least 1.  They are drawn from `random_state`: with an int, each call returns the same.

        Returns
        -------
        X : ndarray of shape (n_samples, d)
            The rows, component by component; float64, of counts int64.
        labels : ndarray of int64, shape (n_samples,)
            The component of each row; -1 of a background.

        Raises
        ------
        NotFittedError
            Before a fit.
        ValueError, TypeError
            If n_samples is no positive int.
        """
        rng = as_generator(self.random_state)
        labels = self._draw_labels(n_samples, rng)
        return self.params_.sample(labels, rng), labels
