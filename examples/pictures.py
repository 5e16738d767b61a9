"""What the pictures of the examples share: panels, and where files go.  Needs matplotlib."""

import os
from collections.abc import Sequence
from pathlib import Path

import matplotlib as mpl

mpl.use("Agg")

import matplotlib.pyplot as plt
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from fastem.plotting.style import COLORS

OUTPUT = Path(__file__).parent / "output"

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
