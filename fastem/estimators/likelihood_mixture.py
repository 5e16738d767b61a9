"""What an estimator can do whose fit is a maximum of a likelihood, and whose rows are one array."""

from __future__ import annotations

import math
from typing import Self

from fastem._errstate import own_methods
from fastem._typing import ArrayLike
from fastem.data.chunk_source import Chunkable
from fastem.estimators.model import fit_batch, fit_data, improve_data
from fastem.estimators.one_array import OneArrayMixture
from fastem.inference.standard_errors import StandardErrors


@own_methods
class LikelihoodMixture(OneArrayMixture):
    """A mixture of rows that are one array, whose parameters are values."""

    def fit(
        self,
        X: ArrayLike | None = None,
        y: object = None,
        sample_weight: ArrayLike | None = None,
        *,
        chunks: Chunkable | None = None,
        labels: ArrayLike | None = None,
        labels_init: ArrayLike | None = None,
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
        labels : array-like of shape (n,), default=None
            Components of the rows whose component is known: numbers from 0 to k - 1, and -1 elsewhere, where rows
            may also be of a background (`noise`).  Known rows stay in theirs, whatever the parameters: the log
            likelihood has log(weight times density) of that component for them.  Components have the numbers of the
            labels, so that `order_by` must be None; `init_params` finds only those of which no row is known.
            Predictions, scores and `standard_errors` know no labels.  X in memory is copied; blocks of Dask stay where
            they are, and bits depend on where they are cut.
        labels_init : array-like of shape (n,) or (n, k), default=None
            Where the fit begins: at the M-step on these components of the rows, which have no other part in the fit.
            Numbers as in labels (rows of -1 are left out); also responsibilities, each row of sum 1.

        Returns
        -------
        self

        Raises
        ------
        ValueError, TypeError
            On unusable data or settings; the estimator stays as it was.

        References
        ----------
        McLachlan and Peel (2000), Finite mixture models, section 2.19.

        Examples
        --------
        >>> import fastem
        >>> rows, labels = [[0.0], [1.0], [2.0], [6.0], [7.0], [8.0]], [1, -1, -1, 0, -1, -1]
        >>> mixture = fastem.GaussianMixture(2, random_state=0).fit(rows, labels=labels)
        >>> mixture.means_.ravel().round(2)
        array([7., 1.])
        """
        return self._become(
            fit_data(self, X, None, sample_weight, chunks=chunks, labels=labels, labels_init=labels_init)
        )

    def improve(
        self,
        X: ArrayLike | None = None,
        y: object = None,
        sample_weight: ArrayLike | None = None,
        *,
        chunks: Chunkable | None = None,
    ) -> Self:
        """Look for a better maximum of the fitted mixture, by splits and merges of its components.

        What init_params="auto" does in a fit, from the parameters that there are: a component is split and two others
        are merged, or one is removed, on at most 8,192 rows, and small ones are added on at most 65,536; EM on all rows
        goes on from there, and from the parameters as they are, and the better of the two is kept.  The result is no
        worse on the rows that are passed.

        Parameters
        ----------
        X : array-like of shape (n, d), of counts also (n,)
            The rows of the fit, as for fit.
        y : ignored
        sample_weight : array-like of shape (n,), default=None
            Their weights.
        chunks : sequence, iterable or callable, default=None
            As for fit.

        Returns
        -------
        self

        Raises
        ------
        NotFittedError
            Before a fit.
        ValueError, TypeError
            On unusable data or settings, with a checkpoint, and where anything is fixed; the estimator stays as it was.

        References
        ----------
        Ueda, Nakano, Ghahramani and Hinton (2000), SMEM algorithm for mixture models.
        """
        return self._become(improve_data(self, X, None, sample_weight, chunks=chunks))

    def partial_fit(self, X: ArrayLike, y: object = None, sample_weight: ArrayLike | None = None) -> Self:
        """Go on with rows that come once: one sweep over them, and an M-step on what is known of all rows so far.

        Stepwise EM: the sums of the rows before, which were taken at older parameters, lose weight in favour of these.
        So the result comes near that of `fit` on all rows and depends on their order; where all of them can be read
        again, `fit(chunks=...)` is exact.  The first call fits its rows (from one start), which should be some hundreds
        for each component and in no order; after `fit`, the first call begins at its parameters.  Components keep the
        numbers of the first call.

        Parameters
        ----------
        X : array-like of shape (n, d)
            Rows as for fit; of the first call at least k.  Also a Dask array or data frame, swept block by block.
        y : ignored
        sample_weight : array-like of shape (n,), default=None
            Non-negative; a weight of w counts as w equal rows.

        Returns
        -------
        self
            With the fitted parameters, and `stats_`: what is remembered of all rows, as statistics of the family.  What
            else `fit` tells (`loglik_`, `history_`, ...) is not updated.

        Raises
        ------
        ValueError, TypeError
            On unusable data or settings; the estimator stays as it was.

        References
        ----------
        Cappe and Moulines (2009), On-line expectation-maximization algorithm for latent data models.

        Examples
        --------
        >>> import numpy as np, fastem
        >>> rng, mixture = np.random.default_rng(0), fastem.GaussianMixture(2, random_state=0, order_by="means")
        >>> for _ in range(20):
        ...     mixture = mixture.partial_fit(rng.normal(size=(500, 1)) + rng.choice([0.0, 9.0], size=(500, 1)))
        >>> mixture.means_.round(1).ravel() + 0.0, mixture.stats_.total
        (array([0., 9.]), 10000.0)
        """
        return self._become(fit_batch(self, X, None, sample_weight))

    def aic(
        self, X: ArrayLike | None = None, sample_weight: ArrayLike | None = None, *, chunks: Chunkable | None = None
    ) -> float:
        """Return the Akaike information criterion of the mixture on these rows.

        Parameters
        ----------
        X : array-like of shape (n, d), of counts also (n,)
            Rows of the kind that fit takes, those of the fit or others.
        sample_weight : array-like of shape (n,), default=None
            Non-negative; a weight of w counts as w equal rows.  None is 1 for each row.
        chunks : sequence, iterable or callable, default=None
            Instead of X, as for fit; they are read once, so that a generator will do.

        Returns
        -------
        float
            2 parameters - 2 log likelihood.  The lower the better; compare mixtures on the same
            rows only.

        Raises
        ------
        NotFittedError
            Before a fit.
        ValueError, TypeError
            On unusable rows, with the place: not finite, no counts, or of other columns than those of the fit.
        """
        return self._criterion(self._score(X, None, sample_weight, chunks), lambda total: 2.0)

    def bic(
        self, X: ArrayLike | None = None, sample_weight: ArrayLike | None = None, *, chunks: Chunkable | None = None
    ) -> float:
        """Return the Bayesian information criterion of the mixture on these rows.

        Parameters
        ----------
        X : array-like of shape (n, d), of counts also (n,)
            Rows of the kind that fit takes, those of the fit or others.
        sample_weight : array-like of shape (n,), default=None
            Non-negative; a weight of w counts as w equal rows.  None is 1 for each row.
        chunks : sequence, iterable or callable, default=None
            Instead of X, as for fit; they are read once, so that a generator will do.

        Returns
        -------
        float
            log(n) parameters - 2 log likelihood, where n is the total weight of the rows.  The lower the
            better; compare mixtures on the same rows only.

        Raises
        ------
        NotFittedError
            Before a fit.
        ValueError, TypeError
            On unusable rows, with the place: not finite, no counts, or of other columns than those of the fit.
        """
        return self._criterion(self._score(X, None, sample_weight, chunks), math.log)

    def standard_errors(
        self,
        X: ArrayLike | None = None,
        *,
        sample_weight: ArrayLike | None = None,
        method: str = "louis",
        chunks: Chunkable | None = None,
    ) -> StandardErrors:
        """Return standard errors of the fitted parameters, from the information that the rows hold.

        They are those of a maximum of the likelihood: fit with a small tol (`stopping="gradient"` with an
        `acceleration` gets there) and, where variances have a floor, a small reg_covar; and pass the rows of the fit.

        Parameters
        ----------
        X : array-like of shape (n, d)
            The rows of the fit.  Also a Dask array or data frame: a task for each block, with sums that add up.
        sample_weight : array-like of shape (n,), default=None
            Their weights; a weight of w counts as w equal rows.
        method : {"louis", "opg", "sandwich"}, default="louis"
            With s_ik the slopes of log(weights_k p_k(x_i)) by the parameters, and s_i their mean over the
            responsibilities, the slopes of log p(x_i): "louis" is the observed information, minus the second
            derivatives of the log likelihood,

                sum_i w_i (E[-d2 log complete | x_i] - sum_k r_ik (s_ik - s_i)(s_ik - s_i)^T),

            "opg" the outer product of the gradients, sum_i w_i s_i s_i^T.  Both estimate the expected information
            where the model is right; "louis" is the less noisy.  For both a weight of w is w rows, so that errors
            shrink as weights grow.  "sandwich" is the inverse of the first, sum_i w_i^2 s_i s_i^T, and that inverse
            again: the errors of weights that are not numbers of rows (sampling weights), whatever their scale, and of
            a model that is only nearly right.  With p parameters each takes n p^2 + p^3 operations and the memory of a
            few p x p matrices.  Where values are missing, p(x_i) is the density of those that are there.
        chunks : sequence, iterable or callable, default=None
            Instead of X, as for fit.

        Returns
        -------
        StandardErrors
            weights (k,), noise_weight of a background, and the other parameters, shaped as they are, and
            parameters_covariance.  What is `fixed` has
            standard error 0; what is on the boundary, and parameters of an empty component, NaN.

        Raises
        ------
        NotFittedError
            Before a fit.
        ValueError, TypeError
            On unusable data or settings; where the rows do not identify the parameters (two equal components, say), or
            these are not at a maximum.

        References
        ----------
        Louis (1982), Finding the observed information matrix when using the EM algorithm.
        McLachlan and Peel (2000), Finite mixture models, section 2.15.
        Boldea and Magnus (2009), Maximum likelihood estimation of the multivariate normal mixture model.
        White (1982), Maximum likelihood estimation of misspecified models.

        Examples
        --------
        >>> import numpy as np, fastem
        >>> X = np.array([[1.0], [2.0], [3.0], [11.0], [12.0], [13.0]])
        >>> errors = fastem.GaussianMixture(2, random_state=0).fit(X).standard_errors(X)
        >>> errors.means.round(2).ravel()  # sqrt(2 / 3) / sqrt(3)
        array([0.47, 0.47])
        >>> errors.weights.round(2)  # sqrt(1/2 * 1/2 / 6)
        array([0.2, 0.2])
        """
        return self._standard_errors(X, None, sample_weight, method, chunks)
