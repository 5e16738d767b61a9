"""Throughput per commit, from the runs in bench/history, which pytest-benchmark keeps and compares.

    make bench-keep                           measures the commit at hand and keeps it there
    python bench/history.py past COMMIT ...   does so for earlier ones, with the benchmarks of today
    python bench/history.py draw              docs/history.png: a picture per kernel, a colour per processor

Only points of one colour compare.
"""

import json
import math
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).parents[1]
KEPT = ROOT / "bench" / "history"
PICTURE = ROOT / "docs" / "history.png"
COLUMNS = 4
COLOURS = ("#0072B2", "#E69F00", "#009E73", "#CC79A7", "#D55E00")
"""Of Okabe and Ito (2008), told apart by the colour-blind."""


def past(commits: list[str]) -> None:
    for commit in commits:
        with tempfile.TemporaryDirectory() as place:
            tree = Path(place) / "fastem"
            subprocess.run(["git", "clone", "--quiet", ROOT, tree], check=True)
            subprocess.run(["git", "checkout", "--quiet", commit], cwd=tree, check=True)
            benchmarks_of_today(tree)
            subprocess.run(["make", f"RUN={sys.executable}", "kernels", "keep"], cwd=tree, check=True)
            shutil.copytree(tree / "bench" / "history", KEPT, dirs_exist_ok=True)


def benchmarks_of_today(tree: Path) -> None:
    """Without the history: runs of the past have number 1, and the last one kept stays the one to compare with."""
    shutil.rmtree(tree / "bench")
    shutil.copytree(ROOT / "bench", tree / "bench", ignore=shutil.ignore_patterns("output", "history", "__pycache__"))
    support = tree / "tests" / "support"
    support.mkdir(parents=True, exist_ok=True)
    shutil.copy(ROOT / "tests" / "support" / "naive.py", support)
    shutil.copy(ROOT / "Makefile", tree)


def runs() -> list[dict]:
    """By the time of their commit."""
    found = [json.loads(path.read_text()) for path in KEPT.rglob("*.json")]
    return sorted(found, key=lambda run: (run["commit_info"]["time"], run["datetime"]))


def throughput(run: dict) -> dict[str, float]:
    """Case -> million points per second, of the fastest round: what else a machine does only adds to the others."""
    return {each["group"]: 1e-6 * each["extra_info"]["n"] / each["stats"]["min"] for each in run["benchmarks"]}


def processor(run: dict) -> str:
    return run["machine_info"]["cpu"].get("brand_raw", "unknown")


def draw() -> None:
    import matplotlib as mpl

    mpl.use("Agg")
    import matplotlib.pyplot as plt

    kept = runs()
    cases = list(dict.fromkeys(case for run in kept for case in throughput(run)))
    height = math.ceil(len(cases) / COLUMNS)
    figure, grid = plt.subplots(
        height, COLUMNS, figsize=(14, 2.4 * height), constrained_layout=True, sharex=True, squeeze=False
    )
    labels = [run["commit_info"]["id"][:7] for run in kept]
    for axis, case in zip(grid.flat, cases, strict=False):
        for name, colour in zip(dict.fromkeys(map(processor, kept)), COLOURS, strict=False):
            points = [throughput(run).get(case, math.nan) if processor(run) == name else math.nan for run in kept]
            axis.plot(range(len(kept)), points, "o-", color=colour, label=name)
        axis.set_title(case, fontsize=9)
        axis.set_ylim(0, 1.1 * axis.get_ylim()[1])
        axis.set_xticks(range(len(kept)), labels, rotation=90, fontsize=7)
        axis.grid(alpha=0.3)
    for axis in grid.flat[len(cases) :]:
        axis.set_axis_off()
    figure.supylabel("million points per second")
    figure.legend(*grid.flat[0].get_legend_handles_labels(), loc="outside lower center", fontsize=8)
    figure.savefig(PICTURE, dpi=90)


if __name__ == "__main__":
    past(sys.argv[2:]) if sys.argv[1] == "past" else draw()
