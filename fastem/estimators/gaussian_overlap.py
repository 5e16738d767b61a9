"""How well a fitted Gaussian mixture tells its components apart."""

from __future__ import annotations

import numpy as np

from fastem._errstate import own_methods
from fastem._typing import Array
from fastem.estimators.base import Mixture
from fastem.families.gaussian.separation import cut_points
from fastem.validation.settings import as_number, check_one_feature


@own_methods
class GaussianOverlap(Mixture):
    """Cut points between the components of a Gaussian mixture, and how often these are confused."""

    def cut_points(self, odds: float = 1.0) -> Array:
        """Return where to cut between neighbouring components of one feature: where both are equally probable.

        Neighbours are those in the order of their means.  Along the line the odds of the upper one against the lower,
        weights included, rise through `odds` in one place at the most: there is the cut, by a quadratic equation.  It
        lies between the two means unless one of the components wins at both.  Of unequal variances the wider component
        wins again far beyond the narrower one, and a third component may be more probable at the cut than both: both
        are what `predict` knows and one cut cannot tell.

        Parameters
        ----------
        odds : float, default=1
            How many times more probable the upper component is at the cut than the lower: 1 where both are equal; above
            1 the upper one has less of the line.

        Returns
        -------
        ndarray of shape (k - 1,)
            In the units of X, in the order of the means of the components; NaN where one of both wins everywhere, by
            these odds.

        Raises
        ------
        NotFittedError
            Before a fit.
        ValueError, TypeError
            For rows of several features, where the border is no point, and for odds that are no positive number.

        Examples
        --------
        >>> import numpy as np, fastem
        >>> weights, means, variances = np.array([0.7, 0.3]), np.array([[0.0], [4.0]]), np.array([1.0, 4.0])
        >>> mixture = fastem.GaussianMixture.from_params(fastem.GaussianParams(weights, means, variances, "spherical"))
        >>> mixture.cut_points().round(5)
        array([2.01614])
        >>> mixture.predict_proba([[2.01614]]).round(3)
        array([[0.5, 0.5]])
        """
        params = self.params_
        check_one_feature(params.n_features, "cut_points")
        odds = as_number(odds, "odds", 0.0, strictly=True)
        return cut_points(params.weights, params.means[:, 0], params.variances()[:, 0], odds)

    def overlap(self) -> Array:
        """Return how often components are confused: the probability that a row of one is more probable under another.

        The weights count, as in `predict`: element (i, j) is the probability that weight times density of component j
        is above that of component i, for a row that is drawn from i.  In one feature, and for equal covariances, where
        it is Phi(log(w_j / w_i) / delta - delta / 2) with Mahalanobis' distance delta, there are formulas; this is
        computed for all pairs by the same integral along a path in the complex plane, good to about 1e-6.

        Returns
        -------
        ndarray of shape (k, k)
            Probabilities, 0 on the diagonal and for components without weight.  Both directions added are the overlap
            of Maitra and Melnykov; a row's sum is a bound of the share of the component's rows that `predict` gives to
            others.

        Raises
        ------
        NotFittedError
            Before a fit.

        References
        ----------
        Maitra and Melnykov (2010), Simulating data to study performance of finite mixture modeling.
        Imhof (1961), Computing the distribution of quadratic forms in normal variables.
        Rice (1980), Distribution of quadratic forms in normal random variables: evaluation by numerical integration.

        Examples
        --------
        >>> import numpy as np, fastem
        >>> params = fastem.GaussianParams(np.array([0.5, 0.5]), np.array([[0.0], [2.0]]), np.ones(2), "spherical")
        >>> fastem.GaussianMixture.from_params(params).overlap().round(4)  # Phi(-1)
        array([[0.    , 0.1587],
               [0.1587, 0.    ]])
        """
        return np.asarray(self.params_.overlaps())
