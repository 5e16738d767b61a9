"""How the time of a sweep depends on the number of features and of components: a table and a picture.

    python bench/shapes.py [docs/shapes.png]

One thread, float64, full and diagonal covariances; the least of some sweeps, per point and component.  The first two
pictures are per multiply-add, so that a kernel at the machine's limit is a level line.
"""

import sys

import matplotlib as mpl
import measure
import numpy as np
from cases import Case, make

from fastem.data.open import open_rows

mpl.use("Agg")
import matplotlib.pyplot as plt
from matplotlib.ticker import FuncFormatter, LogLocator

FEATURES = (1, 2, 3, 4, 5, 6, 7, 8, 9, 12, 16, 20, 24, 32, 48, 64, 96, 100, 128)
COMPONENTS = (1, 2, 3, 4, 8, 16, 32, 64, 100, 128, 256)
FEW = (2, 8, 64)
"""Numbers of components, or of features, that are drawn."""

MULTIPLY_ADDS = 40_000_000
"""Of a sweep that is timed: some 10 ms."""
REPEATS = 7


def nanoseconds(family: str, d: int, k: int) -> float:
    """Per point and component."""
    shape = Case(family if d > 1 else "normal", 1, d, k)
    n = max(512, int(MULTIPLY_ADDS / ((shape.multiply_adds + 20) * k)))
    problem = make(Case(shape.family, n, d, k))
    with open_rows(problem.X, n_threads=1) as rows:
        tables = problem.start
        rows.sweep(tables)
        return 1e9 / (n * k) * min(measure.seconds(lambda: rows.sweep(tables)) for _ in range(REPEATS))


def table(family: str, rows: tuple[int, ...], columns: tuple[int, ...]) -> np.ndarray:
    """ns (len(rows), len(columns)) over features x components."""
    found = np.array([[nanoseconds(family, d, k) for k in columns] for d in rows])
    print(f"{family}: ns per point and component; features down, components across")
    print("       " + "".join(f"{k:8d}" for k in columns))
    for d, line in zip(rows, found, strict=True):
        print(f"{d:6d} " + "".join(f"{value:8.2f}" for value in line), flush=True)
    return found


def draw(path: str) -> None:
    figure, axes = plt.subplots(1, 3, figsize=(13, 4), constrained_layout=True)
    for family, axis in zip(("full", "diag"), axes[:2], strict=True):
        cost = np.array([Case(family, 1, d, 1).multiply_adds for d in FEATURES])
        for k, line in zip(FEW, table(family, FEATURES, FEW).T, strict=True):
            axis.loglog(FEATURES, line / cost, "o-", label=f"k = {k}")
        axis.set(title=family, xlabel="features d", ylabel="ns per multiply-add")
        axis.set_xticks(FEATURES, [str(d) if d in (1, 2, 4, 8, 16, 32, 64, 128) else "" for d in FEATURES], minor=False)
    for d, line in zip(FEW, table("full", FEW, COMPONENTS), strict=True):
        axes[2].loglog(COMPONENTS, line / line.min(), "o-", label=f"d = {d}")
    axes[2].set(title="full", xlabel="components k", ylabel="ns per point and component, over the least")
    axes[2].set_xticks(COMPONENTS, [str(k) if k in (1, 2, 4, 8, 16, 32, 64, 128, 256) else "" for k in COMPONENTS])
    for axis in axes:
        axis.minorticks_off()
        axis.yaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
        axis.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
        axis.grid(alpha=0.3)
        axis.legend()
    figure.savefig(path, dpi=110)


if __name__ == "__main__":
    draw(sys.argv[1] if len(sys.argv) > 1 else "docs/shapes.png")
