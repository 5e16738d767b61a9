"""What a panel of two features is made of: points or hexagons for the rows, and how sure their components are."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from fastem.data.open import posterior
from fastem.families.params import Params
from fastem.plotting.style import color_of

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.cm import ScalarMappable

POINTS = 5_000
"""Number of rows that are drawn as points; more would hide each other."""
MANY = 100_000
"""Number of rows above which they are counted in hexagons."""
HEXAGONS = 60
"""Number of hexagons from left to right."""
SHADES = (0.5, 0.6, 0.7, 0.8, 0.9, 0.95, 0.99)
"""Probabilities between which the shade of a place changes."""
PIXELS = 200
"""Places across and up at which the probability is computed."""


def drawn_as_points(n: int) -> str:
    """Say how many of n rows are drawn as points; "" where all of them are, or are counted."""
    return f"{POINTS:,} of {n:,} rows drawn" if POINTS < n <= MANY else ""


def points(axes: Axes, X: np.ndarray, params: Params, across: int, up: int) -> None:
    """Draw rows, or a sample of them, in two of their features, in the colours of their components.

    Matplotlib leaves out those that lack one of the two.
    """
    if len(X) > POINTS:
        X = X[np.sort(np.random.default_rng(0).choice(len(X), POINTS, replace=False))]
    colors = [color_of(label) for label in posterior(params, X, missing="marginalize").labels]
    size = 14 if len(X) < POINTS / 5 else 4
    axes.scatter(X[:, across], X[:, up], s=size, c=colors, alpha=0.5, linewidths=0)


def hexagons(axes: Axes, x: np.ndarray, y: np.ndarray, weights: np.ndarray | None) -> ScalarMappable:
    """Draw hexagons with the weight of the rows in each, on a logarithmic scale of grey."""
    return axes.hexbin(
        x,
        y,
        C=weights,
        reduce_C_function=np.sum,
        gridsize=HEXAGONS,
        bins="log",
        mincnt=1,
        cmap="Greys",
        linewidths=0.5,
        edgecolors="face",
    )


def shade(axes: Axes, params: Params) -> ScalarMappable:
    """Shade a panel by the probability of the most probable component of each place: dark where that is unsure."""
    limits = axes.get_xlim(), axes.get_ylim()
    across, up = (np.linspace(*limit, PIXELS) for limit in limits)
    places = np.stack(np.meshgrid(across, up), axis=-1)
    surest = posterior(params, places.reshape(-1, 2)).resp.max(axis=1).reshape(PIXELS, PIXELS)
    shades = axes.contourf(across, up, surest, levels=SHADES, cmap="Greys_r", alpha=0.6, extend="min", zorder=0)
    axes.set(xlim=limits[0], ylim=limits[1])
    return shades
