"""Pictures of binomial mixtures."""

from __future__ import annotations

import math
from typing import Any, Self

import numpy as np

from fastem._public import public
from fastem.data.open import posterior
from fastem.families.binomial.model import BinomialParams
from fastem.plotting.gaussian import named
from fastem.plotting.style import BAR_COLOR, SUM_COLOR, bin_edges, legend, panels, style
from fastem.validation.arrays import as_counts, as_sample_weight, check_enough_rows

MOST_BARS = 60
"""With no more trials than this, the same in all rows, each number of successes has a bar."""
QUANTILES = 200
"""Of the trials, which stand for those of all rows."""
EXACT_TRIALS = 1000
"""Above that a bin has many counts, and a normal distribution in the place of the binomial does not show."""


@public
class BinomialMixtureDisplay:
    """A binomial mixture over its rows: what share of them has which rate of success, and what the components expect.

    A panel for each column.  Where all rows have the same trials, and few, each number of successes has a bar.

    Parameters
    ----------
    params : BinomialParams
        The mixture.
    X, trials : ndarrays of shape (n, d)
        Successes and trials.
    sample_weight : ndarray of shape (n,), default=None
        Weights of the rows.
    feature_names : sequence of d str, default=None
        None is x0, x1, ...

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
        sample_weight: Any = None,
        feature_names: Any = None,
    ) -> None:
        self.params, self.X, self.trials = params, X, trials
        self.sample_weight = np.ones(len(X)) if sample_weight is None else sample_weight
        self.feature_names = named(feature_names, params.n_features)

    @classmethod
    def from_estimator(
        cls, mixture: Any, X: Any, *, trials: Any = None, sample_weight: Any = None, ax: Any = None
    ) -> Self:
        """Draw a fitted BinomialMixture over rows X, trials and sample_weight, as for its fit.

        `ax` is where to draw: d matplotlib Axes, None a new figure.
        """
        params = mixture.params_
        tosses = mixture.n_trials if trials is None else trials
        X, tosses = as_counts(X, tosses, n_features=params.n_features, owner="BinomialMixture")
        weights = None if sample_weight is None else as_sample_weight(sample_weight, len(X))
        names = getattr(mixture, "feature_names_in_", None)
        return cls(params=params, X=X, trials=tosses, sample_weight=weights, feature_names=names).plot(ax)

    def plot(self, ax: Any = None) -> Self:
        self.figure_, self.axes_ = panels(ax, 1, self.params.n_features)
        for feature, axes in enumerate(self.axes_):
            self._column(axes, feature)
        legend(self.axes_[0])
        return self

    def _column(self, axes: Any, feature: int) -> None:
        """Shares of rows by rate; the lines go through the middle of the bars."""
        tossed = self.trials[:, feature] > 0
        check_enough_rows(int(tossed.sum()), 1)
        trials, weights = self.trials[tossed, feature].astype(float), self.sample_weight[tossed]
        rates = self.X[tossed, feature] / trials
        edges = rate_edges(rates, trials)
        found, middles = np.histogram(rates, edges, weights=weights)[0] / weights.sum(), (edges[1:] + edges[:-1]) / 2
        axes.bar(middles, found, 0.96 * np.diff(edges), color=BAR_COLOR, label="observed")
        expected = expected_shares(self.params, feature, trials, weights, edges)
        for c, shares in enumerate(expected):
            axes.plot(middles, shares, marker=".", linewidth=1.4, label=f"component {c}", **style(c))
        axes.plot(middles, expected.sum(axis=0), color=SUM_COLOR, linewidth=4, alpha=0.55, zorder=1.5, label="mixture")
        axes.set(xlabel=f"rate of success, {self.feature_names[feature]}", ylabel="share of rows")


def rate_edges(rates: np.ndarray, trials: np.ndarray) -> np.ndarray:
    """Of bins: one for each number of successes, or as many as a histogram has."""
    most = int(trials.max())
    if trials.min() == most and most <= MOST_BARS:
        return (np.arange(most + 2) - 0.5) / most
    return bin_edges(rates)


def expected_shares(
    params: BinomialParams, feature: int, trials: np.ndarray, weights: np.ndarray, edges: np.ndarray
) -> np.ndarray:
    """(k, bins) weighted shares of each component in each bin; quantiles of the trials stand for all of them."""
    order = np.argsort(trials)
    passed = np.cumsum(weights[order])
    levels = (np.arange(QUANTILES) + 0.5) / QUANTILES * passed[-1]
    chosen, counts = np.unique(trials[order][np.searchsorted(passed, levels)], return_counts=True)
    one = BinomialParams(params.weights, params.probs[:, [feature]])
    shares = [count * shares_at(one, int(each), edges) for each, count in zip(chosen, counts, strict=True)]
    return np.asarray(np.sum(shares, axis=0) / QUANTILES)


def shares_at(params: BinomialParams, trials: int, edges: np.ndarray) -> np.ndarray:
    """(k, bins) for rows of so many trials."""
    if trials > EXACT_TRIALS:
        pairs = zip(params.weights, params.probs[:, 0], strict=True)
        return np.array([normal_shares(*pair, trials, edges) for pair in pairs])
    successes = np.arange(trials + 1.0)
    at = posterior(params, successes[:, np.newaxis], trials=trials)
    masses = (at.resp * np.exp(at.log_prob)[:, np.newaxis]).T
    return np.array([np.histogram(successes / trials, edges, weights=mass)[0] for mass in masses])


def normal_shares(weight: float, prob: float, trials: int, edges: np.ndarray) -> np.ndarray:
    """Of one component, by a normal distribution; it has nothing below 0 or above 1."""
    scale = math.sqrt(max(2 * prob * (1 - prob) / trials, np.finfo(float).tiny))
    below = np.array([(1 + math.erf((edge - prob) / scale)) / 2 for edge in edges])
    below[edges <= 0], below[edges >= 1] = 0.0, 1.0
    return weight * np.diff(below)
