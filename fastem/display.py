"""Pictures of fitted mixtures, in the manner of scikit-learn's displays.  Matplotlib is loaded when one is drawn."""

from __future__ import annotations

import importlib
import math
from collections.abc import Sequence
from typing import Any, Self

import numpy as np

from fastem import checks, inputs
from fastem._public import public
from fastem.binomial import BinomialParams
from fastem.fit import History
from fastem.gaussian import GaussianParams
from fastem.linear import eigh
from fastem.sweep import posterior

COLORS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9")
"""Told apart with any kind of colour vision: Okabe and Ito (2008), without their yellow and black."""
LINES = ("-", "--", ":", "-.")
"""Components beyond the colours have the next style of line."""
SUM_COLOR, BAR_COLOR = "#222222", "#E2E2E2"

POINTS = 5_000
"""Rows drawn as points: more hide each other."""
MANY = 100_000
"""Above so many rows they are counted in hexagons, of which so many lie across:"""
HEXAGONS = 60
BINS = (25, 80)
"""Of a histogram, at the least and at the most; between them twice the cube root of n (Rice)."""
GRID = 1000
PEAK = 65
"""Places along a curve, and of these around the mean of each component."""
CEILING = 2.0
"""Times the tallest bar: what is thinner than a bar is cut off there, and does not make all others flat."""
RADII = (1.0, 2.0)
"""Ellipses, in standard deviations."""
MOST_FEATURES = 6
"""In a picture of all pairs."""
MOST_BARS = 60
"""With no more trials than this, the same in all rows, each number of successes has a bar."""
QUANTILES = 200
"""Of the trials, which stand for those of all rows."""
EXACT_TRIALS = 1000
"""Above that a bin has many counts, and a normal distribution in the place of the binomial does not show."""
STEP_MARKS = {"accelerated": ("o", COLORS[2]), "rejected": ("x", COLORS[1]), "reseeded": ("^", COLORS[3]),
              "dropped": ("s", COLORS[4])}  # fmt: skip
QUANTITIES = {"loglik": "log likelihood", "q": "Q", "entropy": "entropy"}


def needed(name: str) -> Any:
    """A module of Matplotlib."""
    try:
        return importlib.import_module(name)
    except ImportError as error:
        raise ImportError("displays need matplotlib: pip install 'fastem[plot]'") from error


def panels(ax: Any, rows: int, columns: int, *, width: float = 6.4, height: float = 4.2) -> tuple[Any, list[Any]]:
    """The figure and its rows x columns panels in reading order: new ones, or those of `ax`."""
    if ax is not None:
        given = list(np.ravel(np.asarray(ax, object)))
        checks.enough_panels(len(given), rows * columns)
        return given[0].figure, given
    size = (columns * width, rows * height)
    figure, found = needed("matplotlib.pyplot").subplots(
        rows, columns, figsize=size, squeeze=False, layout="constrained"
    )
    for each in found.flat:
        each.spines[["top", "right"]].set_visible(False)
    return figure, list(found.flat)


def style(component: int) -> dict[str, Any]:
    """Colour and line of a component."""
    return {"color": COLORS[component % len(COLORS)], "linestyle": LINES[component // len(COLORS) % len(LINES)]}


def legend(axes: Any) -> None:
    axes.legend(frameon=False, fontsize="small")


def bin_edges(x: np.ndarray) -> np.ndarray:
    return np.histogram_bin_edges(x, bins=int(np.clip(2 * len(x) ** (1 / 3), *BINS)))


# --------------------------------------------------------------------------------------------------- Gaussian mixtures


@public
class GaussianMixtureDisplay:
    """A Gaussian mixture over its rows: densities over a histogram, ellipses among points, or all pairs of features.

    One feature: the density of each component times its weight, and their sum, over a histogram.  Two: rows, coloured
    by their most probable component, and ellipses at one and two standard deviations; some of the rows where there are
    many, hexagons where there are very many.  More: all pairs of features, and each feature alone.

    Parameters
    ----------
    params : GaussianParams
        The mixture.
    X : ndarray of shape (n, d)
        Rows.
    sample_weight : ndarray of shape (n,), default=None
        Their weights, for histograms and hexagons.
    feature_names : sequence of d str, default=None
        None is x0, x1, ...

    Attributes
    ----------
    figure_ : matplotlib Figure
    axes_ : list of matplotlib Axes, in reading order

    Examples
    --------
    >>> import numpy as np, fastem
    >>> X = np.random.default_rng(0).normal(size=(200, 2))
    >>> mixture = fastem.GaussianMixture(2, random_state=0).fit(X)
    >>> display = fastem.GaussianMixtureDisplay.from_estimator(mixture, X)  # doctest: +SKIP
    """

    def __init__(
        self, *, params: GaussianParams, X: np.ndarray, sample_weight: Any = None, feature_names: Any = None
    ) -> None:
        self.params, self.X, self.sample_weight = params, X, sample_weight
        self.feature_names = named(feature_names, params.n_features)

    @classmethod
    def from_estimator(cls, mixture: Any, X: Any, *, sample_weight: Any = None, ax: Any = None) -> Self:
        """Draw a fitted GaussianMixture over rows X (n, d), weighted by sample_weight (n,).

        `ax` is where to draw: as many matplotlib Axes as there are panels (1, or d^2 of all pairs), None a new figure.
        """
        params = mixture.params_
        rows = inputs.matrix(X, n_features=params.n_features, owner="GaussianMixture")
        weights = None if sample_weight is None else inputs.sample_weights(sample_weight, len(rows))
        names = getattr(mixture, "feature_names_in_", None)
        return cls(params=params, X=rows, sample_weight=weights, feature_names=names).plot(ax)

    def plot(self, ax: Any = None) -> Self:
        d = self.params.n_features
        if d <= 2:
            self.figure_, self.axes_ = panels(ax, 1, 1)
            self._line(self.axes_[0], 0) if d == 1 else self._plane(self.axes_[0], 0, 1)
            legend(self.axes_[0])
            return self
        checks.few_features(d, MOST_FEATURES)
        self.figure_, self.axes_ = panels(ax, d, d, width=2.4, height=2.2)
        for place, axes in enumerate(self.axes_):
            self._pair(axes, *divmod(place, d))
        handles, labels = self.axes_[0].get_legend_handles_labels()
        self.axes_[d - 1].legend(handles, labels, frameon=False, loc="upper right")
        return self

    def _pair(self, axes: Any, row: int, column: int) -> None:
        """A panel of the lower triangle; names of features stand at the rim."""
        if column > row:
            axes.set_axis_off()
            return
        self._line(axes, row) if row == column else self._plane(axes, column, row)
        axes.set_xlabel(self.feature_names[column] if row == self.params.n_features - 1 else "")
        if row != column:
            axes.set_ylabel(self.feature_names[row] if column == 0 else "")

    def _line(self, axes: Any, feature: int) -> None:
        x = self.X[:, feature]
        edges = bin_edges(x)
        style = {"color": BAR_COLOR, "edgecolor": "white", "linewidth": 0.5}
        bars = axes.hist(x, edges, weights=self.sample_weight, density=True, **style)[0]
        params = marginal(self.params, [feature])
        density_lines(axes, density_grid(x, params), params)
        axes.set(xlabel=self.feature_names[feature], ylabel="density")
        axes.set_ylim(0, min(axes.get_ylim()[1], CEILING * bars.max()))

    def _plane(self, axes: Any, across: int, up: int) -> None:
        x, y = self.X[:, across], self.X[:, up]
        if len(self.X) > MANY:
            axes.hexbin(
                x, y, C=self.sample_weight, reduce_C_function=np.sum, gridsize=HEXAGONS, bins="log", mincnt=1,
                cmap="Greys", linewidths=0.1,
            )  # fmt: skip
        else:
            self._points(axes, across, up)
        ellipses(axes, marginal(self.params, [across, up]))
        axes.set(xlabel=self.feature_names[across], ylabel=self.feature_names[up])

    def _points(self, axes: Any, across: int, up: int) -> None:
        rows = self.X
        if len(rows) > POINTS:
            rows = rows[np.sort(np.random.default_rng(0).choice(len(rows), POINTS, replace=False))]
        colors = [COLORS[label % len(COLORS)] for label in posterior(self.params, rows).labels]
        size = 14 if len(rows) < POINTS / 5 else 4
        axes.scatter(rows[:, across], rows[:, up], s=size, c=colors, alpha=0.5, linewidths=0)


def named(feature_names: Any, d: int) -> list[str]:
    return [f"x{i}" for i in range(d)] if feature_names is None else [str(name) for name in feature_names]


def marginal(params: GaussianParams, features: Sequence[int]) -> GaussianParams:
    """The mixture of some features."""
    k, d = params.means.shape
    matrices = params.covariances if params.is_matrix else params.diagonals()[:, :, np.newaxis] * np.eye(d)
    matrices = np.broadcast_to(matrices, (k, d, d))[np.ix_(range(k), features, features)]
    return GaussianParams(params.weights, params.means[:, features], matrices)


def component_densities(params: GaussianParams, grid: np.ndarray) -> np.ndarray:
    """Weighted densities of the components on a grid (m,) -> (m, k); their sum is that of the mixture."""
    at = posterior(params, grid[:, np.newaxis])
    return at.resp * np.exp(at.log_prob)[:, np.newaxis]


def density_grid(x: np.ndarray, params: GaussianParams) -> np.ndarray:
    """The range of x and a little more; close together where a component is thin."""
    margin = 0.06 * np.ptp(x)
    low, high = x.min() - margin, x.max() + margin
    around = params.means[:, 0] + np.sqrt(params.diagonals()[:, 0]) * np.linspace(-4, 4, PEAK)[:, np.newaxis]
    return np.union1d(np.linspace(low, high, GRID), around[(low < around) & (around < high)])


def density_lines(axes: Any, grid: np.ndarray, params: GaussianParams) -> list[Any]:
    """A line for each component, and the mixture's."""
    densities = component_densities(params, grid)
    lines = [
        axes.plot(grid, density, linewidth=1.8, label=f"component {c}", **style(c))[0]
        for c, density in enumerate(densities.T)
    ]
    behind = {"color": SUM_COLOR, "linewidth": 4, "alpha": 0.55, "zorder": 1.5}
    return [*lines, *axes.plot(grid, densities.sum(axis=1), label="mixture", **behind)]


def ellipses(axes: Any, params: GaussianParams) -> None:
    """Contours of each component of two features; a component without rows has none."""
    patches = needed("matplotlib.patches")
    for c in np.flatnonzero(params.weights > 0).tolist():
        values, vectors = eigh(params.covariances[c])
        angle = np.degrees(np.arctan2(vectors[1, 1], vectors[0, 1]))
        for radius in RADII:
            height, width = 2 * radius * np.sqrt(np.maximum(values, 0.0))
            label = f"component {c}" if radius == RADII[0] else None
            outline = {"fill": False, "linewidth": 1.8, "label": label, **style(c)}
            axes.add_patch(patches.Ellipse(params.means[c], width, height, angle=angle, **outline))
    axes.autoscale_view()


# --------------------------------------------------------------------------------------------------- binomial mixtures


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
        X, tosses = inputs.counts(X, tosses, n_features=params.n_features, owner="BinomialMixture")
        weights = None if sample_weight is None else inputs.sample_weights(sample_weight, len(X))
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
        inputs.enough_rows(int(tossed.sum()), 1)
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


# --------------------------------------------------------------------------------------------------------- convergence


@public
class ConvergenceDisplay:
    """How a fit went: log likelihood, Q and entropy at each sweep, with what was no plain EM step marked.

    A rejected extrapolation costs a sweep that has no value: there is a gap before its mark.

    Parameters
    ----------
    history : History
        Of `mixture.history_` or `em`.

    Attributes
    ----------
    figure_ : matplotlib Figure
    axes_ : list of matplotlib Axes, one for each quantity

    Examples
    --------
    >>> import fastem
    >>> mixture = fastem.GaussianMixture(2, random_state=0).fit([[1.0], [2.0], [3.0], [11.0], [12.0], [13.0]])
    >>> display = fastem.ConvergenceDisplay.from_estimator(mixture)  # doctest: +SKIP
    """

    def __init__(self, *, history: History) -> None:
        self.history = history

    @classmethod
    def from_estimator(
        cls,
        mixture: Any,
        *,
        quantities: Sequence[str] = tuple(QUANTITIES),
        label: str | None = None,
        ax: Any = None,
    ) -> Self:
        """Draw the last fit of a mixture: of "loglik", "q" and "entropy" those that are asked for.

        `label` names it in a legend; `ax` is where to draw: a matplotlib Axes for each quantity, None a new figure.
        """
        mixture.params_  # noqa: B018 - raises before a fit
        return cls(history=mixture.history_).plot(ax, quantities=quantities, label=label)

    def plot(self, ax: Any = None, *, quantities: Sequence[str] = tuple(QUANTITIES), label: str | None = None) -> Self:
        wanted = [checks.choice(each, "quantities", QUANTITIES) for each in checks.listed(quantities, "quantities")]
        self.figure_, self.axes_ = panels(ax, len(wanted), 1, height=4.2 if len(wanted) == 1 else 2.2)
        for name, axes in zip(wanted, self.axes_, strict=True):
            self._trace(axes, name, label)
        self.axes_[-1].set_xlabel("sweep")
        if self.axes_[0].get_legend_handles_labels()[1]:
            legend(self.axes_[0])
        return self

    def _trace(self, axes: Any, name: str, label: str | None) -> None:
        values = getattr(self.history, name)
        steps = np.array(self.history.step, object)
        sweeps = np.arange(1, len(values) + 1) + np.cumsum(steps == "rejected")
        axes.plot(sweeps, values, linewidth=1.4, marker="" if len(values) > 1 else ".", label=label)
        known = axes.get_legend_handles_labels()[1]
        for step, (marker, color) in STEP_MARKS.items():
            where = steps == step
            if where.any():
                name_once = step if step not in known else None
                axes.scatter(sweeps[where], values[where], s=22, marker=marker, color=color, label=name_once, zorder=3)
        axes.set_ylabel(QUANTITIES[name])
        axes.xaxis.get_major_locator().set_params(integer=True)
