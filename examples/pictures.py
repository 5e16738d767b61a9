"""What the pictures of the examples share: panels, where files go, an animation.  Needs matplotlib."""

import os
from collections.abc import Sequence
from pathlib import Path

import matplotlib as mpl
import numpy as np

mpl.use("Agg")

import matplotlib.pyplot as plt
from matplotlib.animation import PillowWriter
from matplotlib.axes import Axes
from matplotlib.figure import Figure

import fastem
from fastem.display import BAR_COLOR, COLORS, component_densities, density_grid, density_lines

OUTPUT = Path(__file__).parent / "output"

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
    bars = axes.hist(x, bins=bins, density=True, color=BAR_COLOR, edgecolor="white", linewidth=0.5)[2]
    grid = density_grid(x, path[-1])
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
