"""What the displays of mixtures of counts share: observed shares as bars, expected ones as lines."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

from fastem.plotting.style import BAR_COLOR, SUM_COLOR, component_label, style

if TYPE_CHECKING:
    from matplotlib.axes import Axes

MOST_BARS = 60
"""Limit of the largest count for which each count has a bar."""
EXACT_COUNTS = 1000
"""Largest count above which a normal distribution approximates that of counts: each bin has many counts then."""


def draw_shares(
    axes: Axes,
    edges: np.ndarray,
    values: np.ndarray,
    weights: np.ndarray,
    expected: np.ndarray,
    mixing_weights: np.ndarray,
) -> None:
    """Draw the shares of values (n,) in bins as bars, and expected shares (k, bins) as lines through their middles."""
    middles = (edges[1:] + edges[:-1]) / 2
    observed = np.histogram(values, edges, weights=weights)[0] / weights.sum()
    axes.bar(middles, observed, 0.96 * np.diff(edges), color=BAR_COLOR, label="observed")
    for c, shares in enumerate(expected):
        axes.plot(middles, shares, marker=".", linewidth=1.4, label=component_label(c, mixing_weights[c]), **style(c))
    axes.plot(middles, expected.sum(axis=0), color=SUM_COLOR, linewidth=4, alpha=0.55, zorder=1.5, label="mixture")
    axes.set_ylabel("share of rows")


def normal_shares(mean: float, variance: float, edges: np.ndarray) -> np.ndarray:
    """Return the shares (bins,) that a normal distribution expects between the edges."""
    scale = math.sqrt(max(2 * variance, np.finfo(float).tiny))
    return np.diff([(1 + math.erf((edge - mean) / scale)) / 2 for edge in edges])
