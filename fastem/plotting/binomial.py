"""Display binomial mixtures."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Self

import numpy as np
from numpy.typing import ArrayLike

from fastem._public import public
from fastem.data.open import posterior
from fastem.families.binomial.model import BinomialParams
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
    panels,
)
from fastem.validation.arrays import as_counts, as_sample_weight
from fastem.validation.missing import check_has_values

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from fastem.estimators.binomial_mixture import BinomialMixture

QUANTILES = 200
"""Number of quantiles of the trials that stand for the trials of all rows."""


@public
class BinomialMixtureDisplay(MixturePicture[BinomialParams]):
    """Plot the shares of rows by their rates of success, and the shares that a binomial mixture expects.

    Each column has a panel.  If all rows have the same number of trials, up to 60, each number of successes has a bar.
    A row without trials has no rate; the panel says how many there are.

    Parameters
    ----------
    params : BinomialParams
        The mixture.
    X, trials : ndarrays of shape (n, d)
        Successes and trials.
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
    >>> coins = fastem.BinomialMixture(2, n_trials=10).fit([1, 2, 2, 8, 9])
    >>> display = fastem.BinomialMixtureDisplay.from_estimator(coins, [1, 2, 2, 8, 9])  # doctest: +SKIP
    """

    def __init__(
        self,
        *,
        params: BinomialParams,
        X: np.ndarray,
        trials: np.ndarray,
        sample_weight: np.ndarray | None = None,
        feature_names: Sequence[str] | None = None,
    ) -> None:
        self.params, self.X, self.trials = params, X, trials
        self.sample_weight = np.ones(len(X)) if sample_weight is None else sample_weight
        self.feature_names = as_names(feature_names, params.n_features)

    @classmethod
    def from_estimator(
        cls,
        mixture: BinomialMixture,
        X: ArrayLike,
        *,
        trials: ArrayLike | None = None,
        sample_weight: ArrayLike | None = None,
        ax: AxesLike | None = None,
    ) -> Self:
        """Plot a fitted BinomialMixture with rows.

        Parameters
        ----------
        mixture : fitted BinomialMixture
        X : array-like of shape (n, d)
            Successes of the rows.
        trials : array-like, as for the fit, default=None
            Trials of the rows. None is the `n_trials` of the mixture.
        sample_weight : array-like of shape (n,), default=None
            Weights of the rows.
        ax : d matplotlib Axes, default=None
            Where to plot. None is a new figure.
        """
        check_family(mixture, "binomial")
        params = mixture.params_
        trials = mixture.n_trials if trials is None else trials
        successes, n_trials = as_counts(
            X, trials, n_features=params.n_features, owner="BinomialMixture", missing=mixture.missing == "marginalize"
        )
        weights = None if sample_weight is None else as_sample_weight(sample_weight, len(successes))
        names = getattr(mixture, "feature_names_in_", None)
        return cls(params=params, X=successes, trials=n_trials, sample_weight=weights, feature_names=names).plot(ax)

    def plot(self, ax: AxesLike | None = None) -> Self:
        """Plot as `from_estimator` does."""
        self.figure_, self.axes_ = panels(ax, 1, self.params.n_features)
        for feature, axes in enumerate(self.axes_):
            self._column(axes, feature)
        legend(self.axes_[-1])
        return self

    def _column(self, axes: Axes, feature: int) -> None:
        """Plot the observed shares as bars, and the expected ones as lines through the middles of the bars."""
        rows = self.trials[:, feature] > 0
        check_has_values(int(rows.sum()), feature)
        trials, weights = self.trials[rows, feature].astype(float), self.sample_weight[rows]
        rates = self.X[rows, feature] / trials
        edges = rate_edges(rates, trials)
        expected = expected_shares(self.params, feature, trials, weights, edges)
        draw_shares(axes, edges, rates, weights, expected, self.params.weights)
        note(axes, lacking(int((~rows).sum()), len(rows)))
        axes.set_xlabel(f"rate of success, {as_label(self.feature_names[feature])}")


def rate_edges(rates: np.ndarray, trials: np.ndarray) -> np.ndarray:
    """Return the edges of bins: one bin for each number of successes, or as many as a histogram has."""
    most = int(trials.max())
    if trials.min() == most and most <= MOST_BARS:
        return (np.arange(most + 2) - 0.5) / most
    return bin_edges(rates)


def expected_shares(
    params: BinomialParams, feature: int, trials: np.ndarray, weights: np.ndarray, edges: np.ndarray
) -> np.ndarray:
    """Return the share (k, bins) of rows that each component, times its weight, expects in each bin.

    Quantiles of the trials stand for the trials of all rows.
    """
    order = np.argsort(trials)
    cumulated = np.cumsum(weights[order])
    levels = (np.arange(QUANTILES) + 0.5) / QUANTILES * cumulated[-1]
    quantiles, counts = np.unique(trials[order][np.searchsorted(cumulated, levels)], return_counts=True)
    marginal = BinomialParams(params.weights, params.probs[:, [feature]])
    shares = [count * shares_at(marginal, int(n), edges) for n, count in zip(quantiles, counts, strict=True)]
    return np.asarray(np.sum(shares, axis=0) / QUANTILES)


def shares_at(params: BinomialParams, trials: int, edges: np.ndarray) -> np.ndarray:
    """Return the expected shares (k, bins) of rows that all have this number of trials."""
    if trials > EXACT_COUNTS:
        pairs = zip(params.weights, params.probs[:, 0], strict=True)
        open_edges = np.where(edges <= 0, -np.inf, np.where(edges >= 1, np.inf, edges))  # no tails beyond 0 and 1
        return np.array([weight * normal_shares(p, p * (1 - p) / trials, open_edges) for weight, p in pairs])
    successes = np.arange(trials + 1.0)
    at = posterior(params, successes[:, np.newaxis], trials=trials)
    masses = (at.resp * np.exp(at.log_prob)[:, np.newaxis]).T
    return np.array([np.histogram(successes / trials, edges, weights=mass)[0] for mass in masses])
