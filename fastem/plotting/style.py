"""The colours, panels and bins that all displays share."""

from __future__ import annotations

import importlib
from collections.abc import Sequence
from types import ModuleType
from typing import TYPE_CHECKING, Any, Generic, Literal, TypeAlias, TypedDict, TypeVar

import numpy as np

from fastem._printable import printable
from fastem.estimators.base import Mixture
from fastem.estimators.registry import estimator_type
from fastem.families.params import Params
from fastem.validation.missing import check_has_values

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure, SubFigure

P = TypeVar("P", bound=Params)
AxesLike: TypeAlias = "Axes | Sequence[Axes] | np.ndarray"
"""Where a user wants a display drawn."""
COLORS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9")
"""Colours that people with any kind of colour vision distinguish: Okabe and Ito (2008), without yellow and black."""
LINES = ("-", "--", ":", "-.")
"""Styles of lines: when all colours are used, the next components repeat them with the next style."""
SUM_COLOR, BAR_COLOR, NOTE_COLOR, BACKGROUND_COLOR = "#222222", "#E2E2E2", "#666666", "#888888"
WHOLE_PERCENT = 9.95, 99.0
"""Weights between these are told in whole per cent, others with more digits."""
MOST_INSIDE = 4
"""Entries of a legend inside a panel; more would cover what is drawn."""
LEGEND: dict[str, Any] = {
    "frameon": False, "fontsize": "small", "title_fontsize": "small", "alignment": "left",
}  # fmt: skip
"""How all legends look."""
LEGEND_ROWS = 18
"""Rows of a legend, before it gets another column."""
FEW = 30
"""Of fewer values none is far from all others."""
TAILS: tuple[tuple[float, Literal["higher", "lower"]], ...] = ((0.005, "higher"), (0.995, "lower"))
"""Quantiles of the middle 99 %, and which of the two nearest values each is: the one further inside."""
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
        raise ImportError("displays need matplotlib: pip install matplotlib") from error


def check_mixture(mixture: object) -> None:
    """Raise TypeError unless this is an estimator of any family."""
    if not isinstance(mixture, Mixture):
        raise TypeError(f"mixture must be a fitted mixture, such as a GaussianMixture, got {kind_of(mixture)}")


def check_family(mixture: object, family: str) -> None:
    """Raise TypeError unless this is an estimator of the family."""
    if not isinstance(mixture, Mixture) or mixture.family.name != family:
        raise TypeError(f"mixture must be a {estimator_type(family).__name__}, got {kind_of(mixture)}")


def kind_of(value: object) -> str:
    """Return the name of the type of a value for a message, with the package of one that is not fastem's own."""
    kind = type(value)
    package = kind.__module__.partition(".")[0]
    return kind.__name__ if package in ("builtins", "fastem") else f"{kind.__name__} of {package}"


def panels(
    ax: AxesLike | None, rows: int, columns: int, *, width: float = 6.4, height: float = 4.2
) -> tuple[Figure | SubFigure, list[Axes]]:
    """Return a figure and its rows x columns panels in reading order: those of `ax`, or new ones for None."""
    if ax is not None:
        given: list[Axes] = list(np.ravel(np.asarray(ax, object)))
        if others := [each for each in given if not isinstance(each, import_matplotlib("axes").Axes)]:
            raise TypeError(f"ax must be Axes of Matplotlib, got {kind_of(others[0])}")
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


def color_of(component: int) -> str:
    """Return the colour of a component, or of a background, whose number is below 0."""
    return BACKGROUND_COLOR if component < 0 else COLORS[component % len(COLORS)]


def style(component: int) -> LineStyle:
    """Return the colour and the style of the line of a component."""
    return {"color": color_of(component), "linestyle": LINES[max(component, 0) // len(COLORS) % len(LINES)]}


def component_label(component: int, weight: float) -> str:
    """Return the name of a component in a legend, with its weight: "component 0, 40 %"."""
    percent = 100 * weight
    least, most = WHOLE_PERCENT
    digits = f"{percent:.2g}" if percent < least else f"{percent:.0f}" if percent < most else f"{percent:.3g}"
    return f"{f'component {component}' if component >= 0 else 'background'}, {digits} %"


def legend(axes: Axes, title: str = "") -> None:
    """Draw a legend without a frame: beside the panel, where it is long and the layout makes room for it."""
    n = len(axes.get_legend_handles_labels()[1])
    beside = n > MOST_INSIDE and axes.figure.get_layout_engine() is not None
    place: dict[str, Any] = {"loc": "center left", "bbox_to_anchor": (1.0, 0.5)} if beside else {}
    axes.legend(title=title, ncols=-(-n // LEGEND_ROWS), **LEGEND, **place)


def note(axes: Axes, *sentences: str) -> None:
    """Write sentences in small grey letters above a panel, at its right; "" is none."""
    text = "; ".join(filter(None, sentences))
    if text:
        axes.set_title(text, loc="right", fontsize="small", color=NOTE_COLOR)


def shown_range(x: np.ndarray) -> tuple[float, float]:
    """Return the range of the values of x that an axis shows: all of them, but for those far from all others.

    Far is more than the range of the middle 99 % beyond that range: a normal distribution has none in a billion rows.
    """
    if len(x) >= FEW:
        low, high = (float(np.quantile(x, at, method=method)) for at, method in TAILS)
        if low < high:
            x = x[(2 * low - high <= x) & (x <= 2 * high - low)]
    return float(x.min()), float(x.max())


def values_of(X: np.ndarray, column: int) -> np.ndarray:
    """Return the values of a column that are not missing; ValueError where all are."""
    x: np.ndarray = X[~np.isnan(X[:, column]), column]
    check_has_values(len(x), column)
    return x


def lacking(n_lacking: int, n: int, where: str = "not drawn") -> str:
    """Say how many of n rows lack a value, and where that leaves them out; "" for none."""
    return f"{n_lacking:,} of {n:,} rows lack a value: {where}" if n_lacking else ""


def outside(n_outside: int, n: int) -> str:
    """Say how many of n rows are outside of what is shown; "" for none."""
    return f"{n_outside:,} of {n:,} rows outside" if n_outside else ""


def bin_edges(x: np.ndarray, finest: int = 0) -> np.ndarray:
    """Return the edges of the bins of a histogram of x: up to `finest` where the middle half lies close together."""
    x = x.astype(np.float64)  # float32 has too few numbers between values of a large offset
    count = int(np.clip(2 * len(x) ** (1 / 3), *BINS))
    if finest:
        low, high = np.quantile(x, (0.25, 0.75))
        width = 2 * (high - low) * len(x) ** (-1 / 3)
        count = max(count, min(finest, int(np.ptp(x) / width))) if width > 0 else count
    return np.histogram_bin_edges(x, bins=count)


def as_label(name: str) -> str:
    """Return a name as an axis shows it: a dollar sign begins no formula, and control characters are written out."""
    return printable(name).replace("$", r"\$")


def as_names(feature_names: Sequence[str] | None, d: int) -> list[str]:
    """Return the names of d features: x0, x1, ... for None."""
    return [f"x{i}" for i in range(d)] if feature_names is None else [str(name) for name in feature_names]


class MixturePicture(Generic[P]):
    """A display of a mixture with its rows says what it shows."""

    params: P
    X: np.ndarray

    def __repr__(self) -> str:
        n, d = self.X.shape
        return f"<{type(self).__name__}: {len(self.params.weights)} components, {n:,} rows, {d} features>"
