"""What a fitted Gaussian mixture tells of some of its features."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from fastem._errstate import own_methods
from fastem._typing import ArrayLike
from fastem.data.missing import framed_like
from fastem.data.one_pass import described_by
from fastem.estimators.attributes import feature_names
from fastem.estimators.base import Mixture
from fastem.estimators.sklearn_compat import same_features
from fastem.families.gaussian.imputation import impute
from fastem.families.gaussian.model import GaussianParams
from fastem.families.gaussian.regression import check_marginals, conditional, marginal
from fastem.validation.arrays import as_matrix
from fastem.validation.parameters import as_float64, as_means
from fastem.validation.settings import as_features, as_generator, check_bool

KEPT = ("random_state", "backend", "n_threads", "missing")
"""Settings that a mixture of some features takes over: those that are not about a fit of all of them."""


@own_methods
class GaussianFeatures(Mixture):
    """Mixtures of some features of a Gaussian mixture."""

    def marginal(self, features: Sequence[int | str] | int | str) -> Self:
        """Return the fitted mixture of some of the features, whatever the others are.

        Parameters
        ----------
        features : sequence of int or str
            Numbers or names of the features, in the order that they will have; also a single one.

        Returns
        -------
        GaussianMixture
            A fitted mixture with the same components, weights and covariance_type.  It has the attributes of parameters
            and none of those that tell how a fit went; random_state, backend and n_threads are those of this one.

        Raises
        ------
        NotFittedError
            Before a fit.
        ValueError, TypeError
            For features that there are not, for one that is named twice, and for a background (`noise`)
            of which some features have no density.

        Examples
        --------
        >>> import numpy as np, fastem
        >>> params = fastem.GaussianParams(
        ...     np.array([0.5, 0.5]), np.array([[0.0, 0.0], [2.0, 3.0]]), np.array([[1.0, 0.8], [0.8, 2.0]]), "tied"
        ... )
        >>> second = fastem.GaussianMixture.from_params(params).marginal(1)
        >>> second.means_.ravel(), second.covariances_
        (array([0., 3.]), array([[2.]]))
        """
        params, names = self._params_for("marginal"), feature_names(self)
        places = as_features(features, "features", names)
        return self._of_features(marginal(params, np.array(places)), places)

    def conditional(self, features: Sequence[int | str] | int | str, values: ArrayLike) -> Self:
        """Return the fitted mixture of the other features of rows in which some features have given values.

        Its weights are the probabilities of the components, given these values; its means the regressions of the
        components on them.  So `weights_` times `means_`, summed, is the regression of the mixture, which is no line,
        and `score_samples` the log density of what else a row may have.

        Parameters
        ----------
        features : sequence of int or str
            Numbers or names of the features that are given; also a single one.  At least one has to be left.
        values : array-like of shape (g,)
            Their values, in this order; also a number for a single one.

        Returns
        -------
        GaussianMixture
            A fitted mixture of the other features, in their order, with the same covariance_type: the covariances that
            are left do not depend on the values.  It has the attributes of parameters and none of those that tell how
            a fit went; random_state, backend and n_threads are those of this one.

        Raises
        ------
        NotFittedError
            Before a fit.
        ValueError, TypeError
            For features that there are not, or that are all; for values that are not finite or not as many; for a
            background (`noise`) of which some features have no density.

        References
        ----------
        Sung (2004), Gaussian mixture regression and classification.

        Examples
        --------
        >>> import numpy as np, fastem
        >>> params = fastem.GaussianParams(
        ...     np.array([0.5, 0.5]), np.array([[0.0, 0.0], [2.0, 3.0]]), np.array([[1.0, 0.8], [0.8, 2.0]]), "tied"
        ... )
        >>> second = fastem.GaussianMixture.from_params(params).conditional(0, 1.0)
        >>> second.weights_, second.means_.ravel(), second.covariances_  # 0 + 0.8 (1 - 0), 3 + 0.8 (1 - 2)
        (array([0.5, 0.5]), array([0.8, 2.2]), array([[1.36]]))
        """
        params, names = self._params_for("conditional"), feature_names(self)
        given = as_features(features, "features", names, most=len(names) - 1)
        numbers = as_means(np.atleast_1d(as_float64(values, "values")), "values", (len(given),))
        found = conditional(params, np.array(given), numbers)
        return self._of_features(found, [place for place in range(len(names)) if place not in given])

    def impute(self, X: ArrayLike, *, draw: bool = False) -> Any:
        """Return the rows with the values that are missing: their means given the others, or draws.

        The mean is that of the mixture: of the regressions of all components, by their probabilities given the values
        that are there.  It is the best guess of each value, and has less spread than values that were never missing;
        draws have their spread, so that variances and correlations of many rows stay right.

        Parameters
        ----------
        X : array-like of shape (n, d)
            Rows with NaN, None or null where a value is missing: an array, a data frame of pandas or Polars, or a table
            of Arrow.  A row without any value gets the mean of the mixture.
        draw : bool, default=False
            Draw each row from what it may be, given its values: a component, and the rest from that; by `random_state`,
            with an int the same in each call.

        Returns
        -------
        ndarray of shape (n, d), or a frame or table as X is
            With the names of X, and the values that are there; float32 for float32 arrays, else float64.

        Raises
        ------
        NotFittedError
            Before a fit.
        ValueError, TypeError
            On rows that are infinite, or of other columns than those of the fit.

        References
        ----------
        Ghahramani and Jordan (1994), Supervised learning from incomplete data via an EM approach.

        Examples
        --------
        >>> import numpy as np, fastem
        >>> means, covariance = np.array([[0.0, 3.0]]), np.array([[[1.0, 0.8], [0.8, 2.0]]])
        >>> mixture = fastem.GaussianMixture.from_params(fastem.GaussianParams(np.ones(1), means, covariance))
        >>> mixture.impute([[1.0, np.nan], [np.nan, np.nan], [1.0, 7.0]])
        array([[1. , 3.8],
               [0. , 3. ],
               [1. , 7. ]])
        """
        params = self._params_for("impute")
        same_features(self, described_by(X))
        check_bool(draw, "draw")
        array = as_matrix(X, n_features=params.n_features, owner=type(self).__name__, missing=True)
        rng = as_generator(self.random_state) if draw else None
        return framed_like(X, impute(params, array, rng, backend=self.backend, n_threads=self.n_threads))

    def _params_for(self, use: str) -> GaussianParams:
        """Return the parameters, if densities of some of their features are known."""
        params: GaussianParams = self.params_
        check_marginals(params, use)
        return params

    def _of_features(self, params: Any, places: list[int]) -> Self:
        """Return a fitted mixture of these parameters, which are those of some of the features."""
        found = type(self).from_params(params, **{name: getattr(self, name) for name in KEPT})
        names: NDArray[np.object_] | None = getattr(self, "feature_names_in_", None)
        if names is not None:
            found.feature_names_in_ = names[places]
        return found
