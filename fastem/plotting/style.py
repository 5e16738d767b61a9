"""The colours, panels and bins that all displays share."""

from __future__ import annotations

import importlib
from collections.abc import Sequence
from types import ModuleType
from typing import TYPE_CHECKING, TypeAlias, TypedDict

import numpy as np

from fastem.estimators.base import Mixture
from fastem.estimators.registry import estimator_type

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure, SubFigure

AxesLike: TypeAlias = "Axes | Sequence[Axes] | np.ndarray"
"""Where a user wants a display drawn."""
COLORS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9")
"""Colours that people with any kind of colour vision distinguish: Okabe and Ito (2008), without yellow and black."""
LINES = ("-", "--", ":", "-.")
"""Styles of lines: when all colours are used, the next components repeat them with the next style."""
SUM_COLOR, BAR_COLOR = "#222222", "#E2E2E2"
POINTS = 5_000
"""Number of rows that are drawn as points; more would hide each other."""
MANY = 100_000
"""Number of rows above which they are counted in hexagons."""
HEXAGONS = 60
"""Number of hexagons from left to right."""
BINS = (25, 80)
"""Limits of the number of bins of a histogram; between them it is twice the cube root of n (Rice)."""


class LineStyle(TypedDict):
    """The keywords of Matplotlib for the line of a component."""

    color: str
    linestyle: str


def import_matplotlib(name: str) -> ModuleType:
    """Import a module of Matplotlib, or raise ImportError that says how to install it."""
    try:
        return importlib.import_module(f"matplotlib.{name}")
    except ImportError as error:
        raise ImportError("displays need matplotlib: pip install 'fastem[plot]'") from error


def check_family(mixture: object, family: str) -> None:
    """Raise TypeError unless this is an estimator of the family."""
    if not isinstance(mixture, Mixture) or mixture.family.name != family:
        raise TypeError(f"mixture must be a {estimator_type(family).__name__}, got {type(mixture).__name__}")


def panels(
    ax: AxesLike | None, rows: int, columns: int, *, width: float = 6.4, height: float = 4.2
) -> tuple[Figure | SubFigure, list[Axes]]:
    """Return a figure and its rows x columns panels in reading order: those of `ax`, or new ones for None."""
    if ax is not None:
        given: list[Axes] = list(np.ravel(np.asarray(ax, object)))
        if len(given) != rows * columns:
            raise ValueError(f"ax must have {rows * columns} panels, got {len(given)}")
        return given[0].figure, given
    size = (columns * width, rows * height)
    figure, axes = import_matplotlib("pyplot").subplots(
        rows, columns, figsize=size, squeeze=False, layout="constrained"
    )
    for panel in axes.flat:
        panel.spines[["top", "right"]].set_visible(False)
    return figure, list(axes.flat)


def style(component: int) -> LineStyle:
    """Return the colour and the style of the line of a component."""
    return {"color": COLORS[component % len(COLORS)], "linestyle": LINES[component // len(COLORS) % len(LINES)]}


def legend(axes: Axes) -> None:
    """Draw a legend without a frame."""
    axes.legend(frameon=False, fontsize="small")


def bin_edges(x: np.ndarray) -> np.ndarray:
    """Return the edges of the bins of a histogram of x."""
    return np.histogram_bin_edges(x, bins=int(np.clip(2 * len(x) ** (1 / 3), *BINS)))


def as_names(feature_names: Sequence[str] | None, d: int) -> list[str]:
    """Return the names of d features: x0, x1, ... for None."""
    return [f"x{i}" for i in range(d)] if feature_names is None else [str(name) for name in feature_names]
