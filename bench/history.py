"""Throughput per commit: keeps what `make bench` has measured, and draws it.

    python bench/history.py add bench/output/bench.json    a line more in bench/history.jsonl
    python bench/history.py draw docs/history.png          a picture per kernel, a colour per processor

A line is a run: date, commit, processor, instruction set, threads, and the points per second of every case and twin.
Only points of one colour compare.
"""

import json
import math
import sys
from pathlib import Path

KEPT = Path(__file__).parent / "history.jsonl"


def summary(report: dict) -> dict:
    """Of a report of pytest-benchmark."""
    iterations = [each for each in report["benchmarks"] if each["name"].startswith("test_iteration")]
    first = iterations[0]["extra_info"]
    return {
        "date": report["datetime"][:10],
        "commit": report["commit_info"]["id"][:12],
        "processor": report["machine_info"]["cpu"].get("brand_raw", "unknown"),
        "instruction_set": first["instruction_set"],
        "threads": first["threads"],
        "points_per_second": {
            f"{each['group']} {each['extra_info']['twin']}": round(each["extra_info"]["points_per_second"])
            for each in iterations
            if "points_per_second" in each["extra_info"]
        },
    }


def add(path: str) -> None:
    line = summary(json.loads(Path(path).read_text()))
    with KEPT.open("a") as file:
        file.write(json.dumps(line) + "\n")
    print(f"{line['commit']}: {len(line['points_per_second'])} cases on {line['processor']}")


def draw(path: str) -> None:
    import matplotlib as mpl

    mpl.use("Agg")
    import matplotlib.pyplot as plt

    runs = [json.loads(line) for line in KEPT.read_text().splitlines()]
    cases = sorted({case for run in runs for case in run["points_per_second"]})
    processors = sorted({run["processor"] for run in runs})
    columns = 4
    figure, grid = plt.subplots(
        math.ceil(len(cases) / columns), columns, figsize=(14, 2.2 * math.ceil(len(cases) / columns)),
        constrained_layout=True, sharex=True,
    )
    for axis, case in zip(grid.flat, cases, strict=False):
        for processor in processors:
            of_processor = [
                (index, run["points_per_second"][case] / 1e6)
                for index, run in enumerate(runs)
                if run["processor"] == processor and case in run["points_per_second"]
            ]
            axis.plot(*zip(*of_processor, strict=True), "o-", label=processor) if of_processor else None
        axis.set_title(case, fontsize=8)
        axis.set_ylim(bottom=0)
        axis.set_xticks(range(len(runs)), [run["commit"][:7] for run in runs], rotation=90, fontsize=6)
        axis.grid(alpha=0.3)
    for axis in list(grid.flat)[len(cases) :]:
        axis.set_axis_off()
    figure.supylabel("million points per second")
    figure.legend(*grid.flat[0].get_legend_handles_labels(), loc="outside lower center", fontsize=8)
    figure.savefig(path, dpi=90)


if __name__ == "__main__":
    {"add": add, "draw": draw}[sys.argv[1]](sys.argv[2])
