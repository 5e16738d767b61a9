"""Display Gaussian mixtures."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Self

import numpy as np
from numpy.typing import ArrayLike

from fastem._public import public
from fastem.data.base import BACKGROUND
from fastem.data.open import posterior
from fastem.families.gaussian.model import GaussianParams
from fastem.families.gaussian.regression import marginal
from fastem.families.gaussian.separation import cut_points
from fastem.kernels.linear import eigh, product
from fastem.plotting.planes import MANY, drawn_as_points, hexagons, points, shade
from fastem.plotting.style import (
    BAR_COLOR,
    LEGEND,
    NOTE_COLOR,
    SUM_COLOR,
    AxesLike,
    MixturePicture,
    as_label,
    as_names,
    bin_edges,
    check_family,
    color_of,
    component_label,
    import_matplotlib,
    lacking,
    legend,
    note,
    outside,
    panels,
    shown_range,
    style,
    values_of,
)
from fastem.validation.arrays import as_matrix, as_sample_weight
from fastem.validation.settings import as_places, check_bool

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.cm import ScalarMappable
    from matplotlib.lines import Line2D

    from fastem.estimators.gaussian_mixture import GaussianMixture

GRID = 1000
"""Number of points along a curve."""
PEAK = 65
"""Number of further points around the mean of each component."""
REACH = 9.0
"""Standard deviations from a mean beyond which a density is 0 in what follows."""
MARGIN = 0.06
"""Share of the range of the rows by which an axis is longer."""
FINEST = 240
"""Limit of the number of bins of a histogram."""
CEILING = 2.0
"""Height of the axis in heights of the tallest bar: a higher peak is cut off, so that the others do not look flat."""
RADII = (1.0, 2.0)
"""Radii of the ellipses, in standard deviations."""
NAMED_CUTS = 2
"""So many cut points have their numbers in the legend."""
OF_ELLIPSES = "ellipses at 1 and 2\nstandard deviations"
"""What the legend says of them."""
ROWS_OF_A_PANEL = 9
"""Entries of a legend that are, with its title, as high as a panel of pairs."""
LEAST_ROWS = 0.5
"""Rows of a component below which a posterior has left it empty: it is then where the prior puts it."""
MOST_FEATURES = 6
"""Limit of the number of features of which all pairs are plotted."""


@public
class GaussianMixtureDisplay(MixturePicture[GaussianParams]):
    """Plot a Gaussian mixture with its rows.

    With one feature, it plots a histogram of the rows, the density of each component times its weight, their sum, and
    the cut points between neighbouring components.
    With two features, it plots the rows as points, in the colour of their most probable component, and ellipses at one
    and two standard deviations; above 5,000 rows a random sample of them, and above 100,000 rows hexagons with their
    counts.  With three to six features, it plots all pairs of features, and each feature alone.

    Of more than six features it plots those six that separate the components best: each tells, by itself, most about
    the component of a row.  The measure is their mutual information (Battiti 1994).  The picture says so, and it says
    how many rows are drawn, and how many are too far from all others to be shown.  A long legend stands beside the
    panel; in a figure of your own it needs ``layout="constrained"`` for that.  A panel shows the rows that have its
    features, in the colours of what they have; the picture says how many lack one.

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
    features : sequence of int or str, default=None
        The features that are plotted, at most six: their numbers or names. None is all, or the six that separate best.
    uncertainty : bool, default=False
        With two features, shade each place by the probability of its most probable component: dark where that is
        unsure.

    Attributes
    ----------
    figure_ : matplotlib Figure
    axes_ : list of matplotlib Axes, in reading order

    References
    ----------
    Battiti (1994), Using mutual information for selecting features in supervised neural net learning.

    Examples
    --------
    >>> import numpy as np, fastem
    >>> X = np.random.default_rng(0).normal(size=(200, 2))
    >>> mixture = fastem.GaussianMixture(2, random_state=0).fit(X)
    >>> display = fastem.GaussianMixtureDisplay.from_estimator(mixture, X, uncertainty=True)  # doctest: +SKIP
    """

    def __init__(
        self,
        *,
        params: GaussianParams,
        X: np.ndarray,
        sample_weight: np.ndarray | None = None,
        feature_names: Sequence[str] | None = None,
        features: Sequence[int | str] | None = None,
        uncertainty: bool = False,
    ) -> None:
        self.params, self.X, self.sample_weight = params, X, sample_weight
        self.feature_names = as_names(feature_names, params.n_features)
        self.features_are_chosen = features is None and params.n_features > MOST_FEATURES
        self.features = drawn_features(features, self.feature_names, params)
        self.components = np.flatnonzero(params.weights > 0).tolist()
        check_uncertainty(uncertainty, len(self.features))
        self.uncertainty = uncertainty

    @classmethod
    def from_estimator(
        cls,
        mixture: GaussianMixture,
        X: ArrayLike,
        *,
        sample_weight: ArrayLike | None = None,
        features: Sequence[int | str] | None = None,
        uncertainty: bool = False,
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
        features : sequence of int or str, default=None
            The features that are plotted, at most six: their numbers or names. None is all, or the six that separate
            the components best.
        uncertainty : bool, default=False
            With two features, shade each place by the probability of its most probable component.
        ax : matplotlib Axes, or m^2 of them for the pairs of m > 2 features, default=None
            Where to plot. None is a new figure.
        """
        check_family(mixture, "gaussian")
        params = mixture.params_
        missing = mixture.missing == "marginalize"
        rows = as_matrix(X, n_features=params.n_features, owner="GaussianMixture", missing=missing)
        weights = None if sample_weight is None else as_sample_weight(sample_weight, len(rows))
        names = getattr(mixture, "feature_names_in_", None)
        display = cls(
            params=params,
            X=rows,
            sample_weight=weights,
            feature_names=names,
            features=features,
            uncertainty=uncertainty,
        )
        if mixture.family.may_be_empty and hasattr(mixture, "counts_"):
            display.components = np.flatnonzero(mixture.counts_ >= LEAST_ROWS).tolist()
        return display.plot(ax)

    def plot(self, ax: AxesLike | None = None) -> Self:
        """Plot as `from_estimator` does."""
        m = len(self.features)
        self.ranges = {feature: shown_range(values_of(self.X, feature)) for feature in self.features}
        if m > 2:
            self.figure_, self.axes_ = panels(ax, m, m, width=2.4, height=2.2)
            self._pairs()
            return self
        self.figure_, self.axes_ = panels(ax, 1, 1)
        (axes,) = self.axes_
        scale = self._line(axes, *self.features) if m == 1 else self._plane(axes, *self.features)
        if self.params.n_features == 1:
            cut_lines(axes, self.params)
        legend(axes, OF_ELLIPSES if m == 2 else "")
        note(axes, *self._notes())
        if scale is not None and ax is None:  # other figures have their own layout, an animation has it already
            label = "largest probability of a component" if self.uncertainty else "rows"
            bar = self.figure_.colorbar(scale, ax=axes, label=label, location="bottom", format="%g", shrink=0.8)
            bar.ax.tick_params(labelsize="small")
        return self

    def _notes(self) -> list[str]:
        """Say what is not in the picture."""
        n, d = self.X.shape
        chosen = f"{len(self.features)} of {d} features: those that separate best" if self.features_are_chosen else ""
        drawn = drawn_as_points(n) if len(self.features) > 1 else ""
        empty = len(self.params.weights) - len(self.components)
        hidden = f"{empty} empty component{'s' * (empty > 1)} not drawn" if empty else ""
        gaps, out = (int(rows(*self.features).sum()) for rows in (self._lacking, self._outside))
        left_out = lacking(gaps, n, "not drawn" if len(self.features) <= 2 else "not in all panels")
        return [chosen, drawn, hidden, left_out, outside(out, n)]

    def _lacking(self, *features: int) -> np.ndarray:
        """Return which rows (n,) lack a value of these features."""
        return np.asarray(np.isnan(self.X[:, features]).any(axis=1))

    def _outside(self, *features: int) -> np.ndarray:
        """Return which rows (n,) have a value that the axes of these features do not show."""
        low, high = np.transpose([self.ranges[feature] for feature in features])
        values = self.X[:, features]
        return np.asarray(((values < low) | (values > high)).any(axis=1))

    def _pairs(self) -> None:
        """Plot the lower triangle; above it, where no panels are, stand the legend and the notes."""
        m = len(self.features)
        for place, axes in enumerate(self.axes_):
            self._pair(axes, *divmod(place, m))
        handles, labels = self.axes_[0].get_legend_handles_labels()
        columns = -(-len(labels) // ROWS_OF_A_PANEL)
        corner, below = self.axes_[m - 1], self.axes_[m * (m - 1) - 1]
        entries = corner.legend(handles, labels, title=OF_ELLIPSES, loc="upper right", ncols=columns, **LEGEND)
        entries.set_in_layout(False)  # there is room on its left
        notes = "\n".join(filter(None, self._notes()))
        below.text(1, 0, notes, ha="right", va="bottom", fontsize="small", color=NOTE_COLOR, in_layout=False)

    def _pair(self, axes: Axes, row: int, column: int) -> None:
        """Plot a panel of the lower triangle; only panels at the left and the bottom have names of features."""
        if column > row:
            axes.set_axis_off()
            return
        across, up = self.features[column], self.features[row]
        if row == column:
            self._line(axes, across)
            axes.set(ylabel="", yticks=[])  # densities, each on a scale of its own
        else:
            self._plane(axes, across, up)
            axes.set_ylabel(as_label(self.feature_names[up]) if column == 0 else "")
        axes.set_xlabel(as_label(self.feature_names[across]) if row == len(self.features) - 1 else "")

    def _line(self, axes: Axes, feature: int) -> None:
        """Plot densities over a histogram of one feature, whose bars are shares of all rows that have it."""
        present = ~self._lacking(feature)
        shown = present & ~self._outside(feature)
        every = np.broadcast_to(1.0, len(self.X)) if self.sample_weight is None else self.sample_weight
        x = self.X[shown, feature]
        edges = bin_edges(x, FINEST)
        bars = np.histogram(x, edges, weights=every[shown])[0] / (every[present].sum() * np.diff(edges))
        axes.stairs(bars, edges, fill=True, color=BAR_COLOR)
        params = marginal(self.params, np.array([feature]))
        density_lines(axes, density_grid(x, params), params, self.components)
        axes.set(xlabel=as_label(self.feature_names[feature]), ylabel="density")
        axes.set_ylim(0, min(axes.get_ylim()[1], CEILING * np.max(bars)))

    def _plane(self, axes: Axes, across: int, up: int) -> ScalarMappable | None:
        """Plot ellipses among the rows, in two features; return what has a scale of greys, if anything has."""
        far, pair, scale = self._outside(across, up), marginal(self.params, np.array([across, up])), None
        if len(self.X) > MANY:
            shown = ~(far | self._lacking(across, up))
            weights = None if self.sample_weight is None else self.sample_weight[shown]
            scale = hexagons(axes, self.X[shown, across], self.X[shown, up], weights)
        else:
            points(axes, self.X, self.params, across, up)
        ellipses(axes, pair, self.components)
        for weight in pair.all_weights[len(pair.weights) :]:
            axes.plot([], [], "o", markersize=3, color=color_of(BACKGROUND), label=component_label(BACKGROUND, weight))
        if far.any():
            axes.set(xlim=with_margin(*self.ranges[across]), ylim=with_margin(*self.ranges[up]))
        axes.set(xlabel=as_label(self.feature_names[across]), ylabel=as_label(self.feature_names[up]))
        return shade(axes, pair) if self.uncertainty else scale


def with_margin(low: float, high: float) -> tuple[float, float]:
    """Return a range that is a little longer at both ends."""
    return low - MARGIN * (high - low), high + MARGIN * (high - low)


def drawn_features(features: Sequence[int | str] | None, names: Sequence[str], params: GaussianParams) -> list[int]:
    """Return the features that are asked for; for None all of them, or those that separate best."""
    if features is not None:
        return as_places(features, "features", names, MOST_FEATURES)
    if len(names) <= MOST_FEATURES:
        return list(range(len(names)))
    return most_separating(params, MOST_FEATURES)


def check_uncertainty(uncertainty: bool, n_drawn: int) -> None:
    """Raise an error where a picture of so many features cannot be shaded."""
    check_bool(uncertainty, "uncertainty")
    if uncertainty and n_drawn != 2:
        raise ValueError(f"uncertainty must be False but for two features, got {n_drawn}: pass features=[...]")


def most_separating(params: GaussianParams, count: int) -> list[int]:
    """Return the features, in their order, each of which tells most about the component of a row."""
    found = [information_of(marginal(params, np.array([feature]))) for feature in range(params.n_features)]
    return sorted(np.argsort(found)[::-1][:count].tolist())


def information_of(params: GaussianParams) -> float:
    """Return the mutual information of a feature and the component, by the trapezoidal rule."""
    means, sds = params.means[:, 0], np.sqrt(params.variances()[:, 0])
    grid = np.unique(means + sds * np.linspace(-REACH, REACH, 4 * PEAK)[:, np.newaxis])
    densities = component_densities(params, grid)
    independent = params.all_weights * densities.sum(axis=1, keepdims=True)
    ratios = np.divide(densities, independent, out=np.ones_like(densities), where=densities > 0)
    return float(np.trapezoid((densities * np.log(ratios)).sum(axis=1), grid))


def component_densities(params: GaussianParams, grid: np.ndarray) -> np.ndarray:
    """Return the densities of components (m, k), and of a background, times their weights, on a grid (m,)."""
    at = posterior(params, grid[:, np.newaxis])
    return at.resp * np.exp(at.log_prob)[:, np.newaxis]


def density_grid(x: np.ndarray, params: GaussianParams) -> np.ndarray:
    """Return points on the range of x and a little more, which lie close together around thin components."""
    low, high = with_margin(x.min(), x.max())
    around = params.means[:, 0] + np.sqrt(params.variances()[:, 0]) * np.linspace(-4, 4, PEAK)[:, np.newaxis]
    return np.union1d(np.linspace(low, high, GRID), around[(low < around) & (around < high)])


def density_lines(axes: Axes, grid: np.ndarray, params: GaussianParams, components: Sequence[int]) -> list[Line2D]:
    """Plot the density of these components, and behind them that of the mixture."""
    densities, weights = component_densities(params, grid), params.all_weights
    shown = [*components, *range(len(params.weights), len(weights))]
    lines = [
        axes.plot(grid, densities[:, c], linewidth=1.8, label=component_label(label, weights[c]), **style(label))[0]
        for c, label in zip(shown, params.labels[shown].tolist(), strict=True)
    ]
    mixture = densities.sum(axis=1)
    return [*lines, *axes.plot(grid, mixture, color=SUM_COLOR, linewidth=4, alpha=0.55, zorder=1.5, label="mixture")]


def cut_lines(axes: Axes, params: GaussianParams) -> None:
    """Plot a line at each cut point that the axis shows, and name them in the legend."""
    cuts = cut_points(params.weights, params.means[:, 0], params.variances()[:, 0], 1.0)
    low, high = axes.get_xlim()
    shown = cuts[(low < cuts) & (cuts < high)].tolist()
    label = "cut at " + ", ".join(f"{cut:.4g}" for cut in shown) if len(shown) <= NAMED_CUTS else "cut points"
    for number, cut in enumerate(shown):
        axes.axvline(cut, color=NOTE_COLOR, linewidth=1, linestyle=":", label=None if number else label)


def ellipses(axes: Axes, params: GaussianParams, components: Sequence[int]) -> None:
    """Plot contours of these components of two features."""
    patches, factors = import_matplotlib("patches"), params.structure.cholesky_of_components()
    for c in components:
        values, vectors = eigh(product(factors[c], factors[c].T))
        angle = np.degrees(np.arctan2(vectors[1, 1], vectors[0, 1]))
        for radius in RADII:
            height, width = 2 * radius * np.sqrt(np.maximum(values, 0.0))
            label = component_label(c, params.weights[c]) if radius == RADII[0] else None
            outline = patches.Ellipse(
                params.means[c], width, height, angle=angle, fill=False, linewidth=1.8, label=label, **style(c)
            )
            axes.add_patch(outline)
    axes.autoscale_view()
