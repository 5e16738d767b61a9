"""Pictures shared by the examples: densities over a histogram, ellipses, traces, an animation.  Needs matplotlib."""

import os
from collections.abc import Sequence
from pathlib import Path

import matplotlib as mpl
import numpy as np

mpl.use("Agg")

import matplotlib.pyplot as plt
from matplotlib.animation import PillowWriter
from matplotlib.axes import Axes
from matplotlib.container import BarContainer
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Ellipse

import fastem

OUTPUT = Path(__file__).parent / "output"

COLORS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9")
"""Told apart with any kind of colour vision: Okabe and Ito (2008)."""
SUM_COLOR = "#222222"
BAR_COLOR = "#E2E2E2"

FRAMES = 48
"""Frames of an animation, before the last one is held."""
HELD = 8
"""The last frame is shown so many times more."""

mpl.rcParams.update(
    {
        "axes.spines.top": False,
        "axes.spines.right": False,
        "axes.prop_cycle": mpl.cycler(color=COLORS),
        "axes.titlesize": 12,
        "font.size": 11,
        "figure.dpi": 100,
        "legend.frameon": False,
    }
)


def canvas(columns: int = 1, rows: int = 1, *, width: float = 6.4, height: float = 4.2) -> tuple[Figure, list[Axes]]:
    """A figure of columns x rows panels, and the panels in reading order."""
    figure, axes = plt.subplots(rows, columns, figsize=(width, height), squeeze=False, layout="constrained")
    return figure, list(axes.flat)


def save(figure: Figure, name: str) -> Path:
    path = destination(name)
    figure.savefig(path, dpi=150)
    plt.close(figure)
    return path


def destination(name: str) -> Path:
    """Where a file of this name is written."""
    OUTPUT.mkdir(exist_ok=True)
    return OUTPUT / name


def tell(paths: Sequence[Path], verb: str = "wrote ") -> None:
    """Say what was written, as seen from the current folder."""
    for path in paths:
        print(f"{verb}{os.path.relpath(path)}")


# ---------------------------------------------------------------------------------------------------------- densities


def params_of(mixture: fastem.GaussianMixture) -> fastem.NormalParams:
    """Parameters of a fit of full covariances; components in the order of their first mean, and so of the colours."""
    order = np.argsort(mixture.means_[:, 0])
    return fastem.NormalParams(mixture.weights_[order], mixture.means_[order], mixture.covariances_[order])


def component_densities(params: fastem.NormalParams, grid: np.ndarray) -> np.ndarray:
    """Weighted densities of the components on a grid (m,) -> (m, k); their sum is that of the mixture."""
    at = fastem.posterior(params, grid[:, np.newaxis])
    return at.resp * np.exp(at.log_prob)[:, np.newaxis]


def histogram(axes: Axes, x: np.ndarray, bins: int) -> BarContainer:
    return axes.hist(x, bins=bins, density=True, color=BAR_COLOR, edgecolor="white", linewidth=0.5)[2]


def density_grid(x: np.ndarray) -> np.ndarray:
    """1000 points over the range of x and a little more."""
    margin = 0.06 * np.ptp(x)
    return np.linspace(x.min() - margin, x.max() + margin, 1000)


def density_lines(axes: Axes, grid: np.ndarray, params: fastem.NormalParams) -> list[Line2D]:
    """A line for each component, in the colours' order, and the mixture's."""
    densities = component_densities(params, grid)
    lines = [
        axes.plot(grid, density, color=color, linewidth=1.8, label=f"component {c + 1}")[0]
        for c, (density, color) in enumerate(zip(densities.T, COLORS, strict=False))
    ]
    style = {"color": SUM_COLOR, "linewidth": 4, "alpha": 0.55, "zorder": 1.5}
    total = axes.plot(grid, densities.sum(axis=1), label="mixture", **style)
    return [*lines, *total]


def density_over_histogram(axes: Axes, x: np.ndarray, params: fastem.NormalParams, *, bins: int = 40) -> None:
    histogram(axes, x, bins)
    density_lines(axes, density_grid(x), params)
    axes.set_ylabel("density")


# ------------------------------------------------------------------------------------------------------ points, traces


def points(axes: Axes, X: np.ndarray, params: fastem.NormalParams) -> None:
    """Rows of two features, coloured by their most probable component."""
    labels = fastem.posterior(params, X).labels
    axes.scatter(*X.T, s=16, c=[COLORS[label] for label in labels], alpha=0.65, linewidths=0)


def ellipses(axes: Axes, params: fastem.NormalParams, radii: Sequence[float] = (1.0, 2.0)) -> None:
    """Contours of each component of two features, at these many standard deviations."""
    for mean, covariance, color in zip(params.means, params.covariances, COLORS, strict=False):
        values, vectors = np.linalg.eigh(covariance)
        angle = np.degrees(np.arctan2(vectors[1, 1], vectors[0, 1]))
        for radius in radii:
            height, width = 2 * radius * np.sqrt(values)
            axes.add_patch(Ellipse(mean, width, height, angle=angle, fill=False, edgecolor=color, linewidth=1.8))


def trace(axes: Axes, logliks: np.ndarray, label: str | None = None) -> None:
    """Log likelihood by iteration."""
    axes.plot(np.arange(1, len(logliks) + 1), logliks, marker="o", markersize=3.5, label=label)
    axes.set_xlabel("iteration")
    axes.set_ylabel("log likelihood")


# ---------------------------------------------------------------------------------------------------------- animation


def frame_numbers(n: int) -> list[int]:
    """At most FRAMES of n, even on a logarithmic scale: EM moves far first; the last one is held."""
    chosen = np.unique(np.geomspace(1, n, FRAMES).round().astype(int)) - 1
    return chosen.tolist() + [n - 1] * HELD


def freeze(figure: Figure) -> None:
    """Lay the panels out now and not again in each frame."""
    figure.canvas.draw()
    figure.set_layout_engine("none")


def density_gif(name: str, x: np.ndarray, path: Sequence[fastem.NormalParams], *, bins: int = 80) -> Path:
    """The densities at each iteration over the histogram of x, as an animation."""
    figure, (axes,) = canvas()
    bars = histogram(axes, x, bins)
    grid = density_grid(x)
    lines = density_lines(axes, grid, path[0])
    axes.set(xlabel="x", ylabel="density", ylim=(0, 1.5 * max(bar.get_height() for bar in bars)))
    axes.legend(loc="upper right")
    title = axes.set_title("iteration 0")
    freeze(figure)

    target, writer = destination(name), PillowWriter(fps=8)
    with writer.saving(figure, target, dpi=100):
        for iteration in frame_numbers(len(path)):
            densities = component_densities(path[iteration], grid)
            for line, density in zip(lines, [*densities.T, densities.sum(axis=1)], strict=True):
                line.set_ydata(density)
            title.set_text(f"iteration {iteration} of {len(path) - 1}")
            writer.grab_frame()
    plt.close(figure)
    return target
