"""Display Gaussian mixtures."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Self

import numpy as np
from numpy.typing import ArrayLike

from fastem._public import public
from fastem.data.open import posterior
from fastem.families.gaussian.model import GaussianParams
from fastem.kernels.linear import eigh
from fastem.plotting.style import (
    BAR_COLOR,
    COLORS,
    HEXAGONS,
    MANY,
    POINTS,
    SUM_COLOR,
    AxesLike,
    as_names,
    bin_edges,
    check_family,
    import_matplotlib,
    legend,
    panels,
    style,
)
from fastem.validation.arrays import as_matrix, as_sample_weight

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.lines import Line2D

    from fastem.estimators.gaussian_mixture import GaussianMixture

GRID = 1000
"""Number of points along a curve."""
PEAK = 65
"""Number of further points around the mean of each component."""
CEILING = 2.0
"""Height of the axis in heights of the tallest bar: a higher peak is cut off, so that the others do not look flat."""
RADII = (1.0, 2.0)
"""Radii of the ellipses, in standard deviations."""
MOST_FEATURES = 6
"""Limit of the number of features of which all pairs are plotted."""


@public
class GaussianMixtureDisplay:
    """Plot a Gaussian mixture with its rows.

    With one feature, it plots a histogram of the rows, the density of each component times its weight, and their sum.
    With two features, it plots the rows as points, in the colour of their most probable component, and ellipses at one
    and two standard deviations; above 5,000 rows a random sample of them, and above 100,000 rows hexagons with their
    counts.  With three to six features, it plots all pairs of features, and each feature alone.

    Parameters
    ----------
    params : GaussianParams
        The mixture.
    X : ndarray of shape (n, d)
        The rows.
    sample_weight : ndarray of shape (n,), default=None
        Weights of the rows, for histograms and hexagons.
    feature_names : sequence of d str, default=None
        Names on the axes. None is x0, x1, ...

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
        self,
        *,
        params: GaussianParams,
        X: np.ndarray,
        sample_weight: np.ndarray | None = None,
        feature_names: Sequence[str] | None = None,
    ) -> None:
        self.params, self.X, self.sample_weight = params, X, sample_weight
        self.feature_names = as_names(feature_names, params.n_features)

    @classmethod
    def from_estimator(
        cls,
        mixture: GaussianMixture,
        X: ArrayLike,
        *,
        sample_weight: ArrayLike | None = None,
        ax: AxesLike | None = None,
    ) -> Self:
        """Plot a fitted GaussianMixture with rows.

        Parameters
        ----------
        mixture : fitted GaussianMixture
        X : array-like of shape (n, d)
            The rows.
        sample_weight : array-like of shape (n,), default=None
            Weights of the rows.
        ax : matplotlib Axes, or d^2 of them for the pairs of d > 2 features, default=None
            Where to plot. None is a new figure.
        """
        check_family(mixture, "gaussian")
        params = mixture.params_
        rows = as_matrix(X, n_features=params.n_features, owner="GaussianMixture")
        weights = None if sample_weight is None else as_sample_weight(sample_weight, len(rows))
        names = getattr(mixture, "feature_names_in_", None)
        return cls(params=params, X=rows, sample_weight=weights, feature_names=names).plot(ax)

    def plot(self, ax: AxesLike | None = None) -> Self:
        """Plot as `from_estimator` does."""
        d = self.params.n_features
        if d <= 2:
            self.figure_, self.axes_ = panels(ax, 1, 1)
            self._line(self.axes_[0], 0) if d == 1 else self._plane(self.axes_[0], 0, 1)
            legend(self.axes_[0])
            return self
        if d > MOST_FEATURES:
            raise ValueError(
                f"a plot of all pairs takes at most {MOST_FEATURES} features, got {d}: fit a mixture of fewer features"
            )
        self.figure_, self.axes_ = panels(ax, d, d, width=2.4, height=2.2)
        for place, axes in enumerate(self.axes_):
            self._pair(axes, *divmod(place, d))
        handles, labels = self.axes_[0].get_legend_handles_labels()
        self.axes_[d - 1].legend(handles, labels, frameon=False, loc="upper right")
        return self

    def _pair(self, axes: Axes, row: int, column: int) -> None:
        """Plot a panel of the lower triangle; only panels at the left and the bottom have names of features."""
        if column > row:
            axes.set_axis_off()
            return
        self._line(axes, row) if row == column else self._plane(axes, column, row)
        axes.set_xlabel(self.feature_names[column] if row == self.params.n_features - 1 else "")
        if row != column:
            axes.set_ylabel(self.feature_names[row] if column == 0 else "")

    def _line(self, axes: Axes, feature: int) -> None:
        """Plot densities over a histogram of one feature."""
        x = self.X[:, feature]
        bars, _, _ = axes.hist(
            x,
            bin_edges(x).tolist(),
            weights=self.sample_weight,
            density=True,
            color=BAR_COLOR,
            edgecolor="white",
            linewidth=0.5,
        )
        params = marginal(self.params, [feature])
        density_lines(axes, density_grid(x, params), params)
        axes.set(xlabel=self.feature_names[feature], ylabel="density")
        axes.set_ylim(0, min(axes.get_ylim()[1], CEILING * np.max(bars)))

    def _plane(self, axes: Axes, across: int, up: int) -> None:
        """Plot ellipses among the rows, in two features."""
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

    def _points(self, axes: Axes, across: int, up: int) -> None:
        """Plot the rows, or a sample of them, in the colours of their components."""
        rows = self.X
        if len(rows) > POINTS:
            rows = rows[np.sort(np.random.default_rng(0).choice(len(rows), POINTS, replace=False))]
        colors = [COLORS[label % len(COLORS)] for label in posterior(self.params, rows).labels]
        size = 14 if len(rows) < POINTS / 5 else 4
        axes.scatter(rows[:, across], rows[:, up], s=size, c=colors, alpha=0.5, linewidths=0)


def marginal(params: GaussianParams, features: Sequence[int]) -> GaussianParams:
    """Return the marginal mixture of some of the features."""
    k, d = params.means.shape
    matrices = params.covariances if params.is_matrix else params.variances()[:, :, np.newaxis] * np.eye(d)
    matrices = np.broadcast_to(matrices, (k, d, d))[np.ix_(range(k), features, features)]
    return GaussianParams(params.weights, params.means[:, features], matrices)


def component_densities(params: GaussianParams, grid: np.ndarray) -> np.ndarray:
    """Return the densities (m, k) of components, times their weights, on a grid (m,)."""
    at = posterior(params, grid[:, np.newaxis])
    return at.resp * np.exp(at.log_prob)[:, np.newaxis]


def density_grid(x: np.ndarray, params: GaussianParams) -> np.ndarray:
    """Return points on the range of x and a little more, which lie close together around thin components."""
    margin = 0.06 * np.ptp(x)
    low, high = x.min() - margin, x.max() + margin
    around = params.means[:, 0] + np.sqrt(params.variances()[:, 0]) * np.linspace(-4, 4, PEAK)[:, np.newaxis]
    return np.union1d(np.linspace(low, high, GRID), around[(low < around) & (around < high)])


def density_lines(axes: Axes, grid: np.ndarray, params: GaussianParams) -> list[Line2D]:
    """Plot the density of each component, and behind them that of the mixture."""
    densities = component_densities(params, grid)
    lines = [
        axes.plot(grid, density, linewidth=1.8, label=f"component {c}", **style(c))[0]
        for c, density in enumerate(densities.T)
    ]
    mixture = densities.sum(axis=1)
    return [*lines, *axes.plot(grid, mixture, color=SUM_COLOR, linewidth=4, alpha=0.55, zorder=1.5, label="mixture")]


def ellipses(axes: Axes, params: GaussianParams) -> None:
    """Plot contours of each component of two features, but of those without rows."""
    patches = import_matplotlib("patches")
    for c in np.flatnonzero(params.weights > 0).tolist():
        values, vectors = eigh(params.covariances[c])
        angle = np.degrees(np.arctan2(vectors[1, 1], vectors[0, 1]))
        for radius in RADII:
            height, width = 2 * radius * np.sqrt(np.maximum(values, 0.0))
            label = f"component {c}" if radius == RADII[0] else None
            outline = patches.Ellipse(
                params.means[c], width, height, angle=angle, fill=False, linewidth=1.8, label=label, **style(c)
            )
            axes.add_patch(outline)
    axes.autoscale_view()
