"""Display Poisson mixtures."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Self

import numpy as np
from numpy.typing import ArrayLike

from fastem._public import public
from fastem.data.open import posterior
from fastem.families.poisson.model import PoissonParams
from fastem.plotting.counts import EXACT_COUNTS, MOST_BARS, draw_shares, normal_shares
from fastem.plotting.style import (
    AxesLike,
    MixturePicture,
    as_label,
    as_names,
    bin_edges,
    check_family,
    lacking,
    legend,
    note,
    outside,
    panels,
    shown_range,
    values_of,
)
from fastem.validation.arrays import as_count_matrix, as_sample_weight

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from fastem.estimators.poisson_mixture import PoissonMixture


@public
class PoissonMixtureDisplay(MixturePicture[PoissonParams]):
    """Plot the shares of rows by their counts, and the shares that a Poisson mixture expects.

    Each column has a panel.  If no count is above 60, each count has a bar.  Counts far from all others are not
    shown, nor are rows that lack one; the panel says how many.

    Parameters
    ----------
    params : PoissonParams
        The mixture.
    X : ndarray of shape (n, d)
        Counts.
    sample_weight : ndarray of shape (n,), default=None
        Weights of the rows.
    feature_names : sequence of d str, default=None
        Names on the axes. None is x0, x1, ...

    Attributes
    ----------
    figure_ : matplotlib Figure
    axes_ : list of d matplotlib Axes

    Examples
    --------
    >>> import fastem
    >>> calls = fastem.PoissonMixture(2).fit([0, 1, 1, 8, 9])
    >>> display = fastem.PoissonMixtureDisplay.from_estimator(calls, [0, 1, 1, 8, 9])  # doctest: +SKIP
    """

    def __init__(
        self,
        *,
        params: PoissonParams,
        X: np.ndarray,
        sample_weight: np.ndarray | None = None,
        feature_names: Sequence[str] | None = None,
    ) -> None:
        self.params, self.X = params, X
        self.sample_weight = np.ones(len(X)) if sample_weight is None else sample_weight
        self.feature_names = as_names(feature_names, params.n_features)

    @classmethod
    def from_estimator(
        cls,
        mixture: PoissonMixture,
        X: ArrayLike,
        *,
        sample_weight: ArrayLike | None = None,
        ax: AxesLike | None = None,
    ) -> Self:
        """Plot a fitted PoissonMixture with rows.

        Parameters
        ----------
        mixture : fitted PoissonMixture
        X : array-like of shape (n,) or (n, d)
            Counts of the rows.
        sample_weight : array-like of shape (n,), default=None
            Weights of the rows.
        ax : d matplotlib Axes, default=None
            Where to plot. None is a new figure.
        """
        check_family(mixture, "poisson")
        params = mixture.params_
        missing = mixture.missing == "marginalize"
        counts = as_count_matrix(X, n_features=params.n_features, owner="PoissonMixture", missing=missing)
        weights = None if sample_weight is None else as_sample_weight(sample_weight, len(counts))
        names = getattr(mixture, "feature_names_in_", None)
        return cls(params=params, X=counts, sample_weight=weights, feature_names=names).plot(ax)

    def plot(self, ax: AxesLike | None = None) -> Self:
        """Plot as `from_estimator` does."""
        self.figure_, self.axes_ = panels(ax, 1, self.params.n_features)
        for feature, axes in enumerate(self.axes_):
            self._column(axes, feature)
        legend(self.axes_[-1])
        return self

    def _column(self, axes: Axes, feature: int) -> None:
        """Plot the observed shares as bars, and the expected ones as lines; counts far from all others are left out."""
        counts, params = values_of(self.X, feature).astype(float), self.params
        weights, n = self.sample_weight[~np.isnan(self.X[:, feature])], len(self.X)
        low, high = shown_range(counts)
        inside = (low <= counts) & (counts <= high)
        edges = count_edges(counts[inside])
        marginal = PoissonParams(params.weights, params.rates[:, [feature]])
        draw_shares(axes, edges, counts, weights, expected_shares(marginal, edges), params.weights)
        axes.set_xlabel(as_label(self.feature_names[feature]))
        note(axes, lacking(n - len(counts), n), outside(int((~inside).sum()), n))


def count_edges(counts: np.ndarray) -> np.ndarray:
    """Return the edges of bins: one bin for each count, or as many as a histogram has, between whole numbers."""
    most = counts.max()
    if most <= MOST_BARS:
        return np.arange(most + 2) - 0.5
    return np.unique(np.floor(bin_edges(np.append(counts, most + 1)))) - 0.5


def expected_shares(params: PoissonParams, edges: np.ndarray) -> np.ndarray:
    """Return the shares (k, bins) of rows that each component, times its weight, expects in bins of one column."""
    if edges[-1] > EXACT_COUNTS:
        pairs = zip(params.weights, params.rates[:, 0], strict=True)
        return np.array([weight * normal_shares(rate, rate, edges) for weight, rate in pairs])
    counts = np.arange(edges[0] + 0.5, edges[-1])
    at = posterior(params, counts[:, np.newaxis])
    masses = (at.resp * np.exp(at.log_prob)[:, np.newaxis]).T
    return np.array([np.histogram(counts, edges, weights=mass)[0] for mass in masses])
