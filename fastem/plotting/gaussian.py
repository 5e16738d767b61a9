"""Pictures of Gaussian mixtures."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Self

import numpy as np

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
    bin_edges,
    legend,
    needed,
    panels,
    style,
)
from fastem.validation.arrays import as_matrix, as_sample_weight
from fastem.validation.settings import check_n_pairs

GRID = 1000
PEAK = 65
"""Places along a curve, and of these around the mean of each component."""
CEILING = 2.0
"""Times the tallest bar: what is thinner than a bar is cut off there, and does not make all others flat."""
RADII = (1.0, 2.0)
"""Ellipses, in standard deviations."""
MOST_FEATURES = 6
"""In a picture of all pairs."""


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
        rows = as_matrix(X, n_features=params.n_features, owner="GaussianMixture")
        weights = None if sample_weight is None else as_sample_weight(sample_weight, len(rows))
        names = getattr(mixture, "feature_names_in_", None)
        return cls(params=params, X=rows, sample_weight=weights, feature_names=names).plot(ax)

    def plot(self, ax: Any = None) -> Self:
        d = self.params.n_features
        if d <= 2:
            self.figure_, self.axes_ = panels(ax, 1, 1)
            self._line(self.axes_[0], 0) if d == 1 else self._plane(self.axes_[0], 0, 1)
            legend(self.axes_[0])
            return self
        check_n_pairs(d, MOST_FEATURES)
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
