"""What all pictures share: colours, panels, bins."""

from __future__ import annotations

import importlib
from typing import Any

import numpy as np

from fastem.validation.settings import check_n_panels

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
        check_n_panels(len(given), rows * columns)
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
