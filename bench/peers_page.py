"""The tables of `make bench-peers` in docs/benchmarks.md, between two marks, and their picture.

python bench/peers_page.py    writes them again, from the last run
"""

import json
from pathlib import Path

import matplotlib as mpl

mpl.use("Agg")
import matplotlib.pyplot as plt
import numpy as np

HERE = Path(__file__).parent
KEPT = HERE / "output" / "peers.json"
DOCS = HERE.parent / "docs"
PAGE, PICTURE = DOCS / "benchmarks.md", DOCS / "peers.png"
BEGIN, END = "<!-- make bench-peers writes from here -->", "<!-- to here -->"

COLOURS = ("#000000", "#0072B2", "#E69F00", "#009E73", "#CC79A7", "#56B4E9", "#D55E00", "#F0E442")
"""Of Okabe and Ito (2008), told apart by the colour-blind."""
BAR = 0.1


def keep(found: dict) -> None:
    KEPT.parent.mkdir(exist_ok=True)
    KEPT.write_text(json.dumps(found, indent=1))


def write() -> None:
    found = json.loads(KEPT.read_text())
    before, rest = PAGE.read_text().split(BEGIN)
    after = rest.split(END)[1]
    PAGE.write_text(before + BEGIN + "\n\n" + text(found) + "\n" + END + after)
    draw(found)


# ---------------------------------------------------------------------------------------------------------------- text


def text(found: dict) -> str:
    return "\n".join(
        [
            f"{found['date']}, {found['machine']}. An EM iteration from equal starts, ns per point and component; in",
            "brackets times that of fastem:",
            "",
            table(found["iterations"], iteration),
            "Seconds from each one's own start to within 1e-3 per row of the best log likelihood known, and how many",
            f"of {found['seeds']} seeds reached it:",
            "",
            table(found["fits"], fit),
            f"Versions: {versions(found)}.",
            "",
            "Who takes no part, and why:",
            "",
            *absences(found),
            "",
            "![Peers side by side](peers.png)",
            "",
        ]
    )


def versions(found: dict) -> str:
    told = {name: version for column in found["iterations"].values() for name, version in column["versions"].items()}
    return ", ".join(f"{name} {version}" for name, version in told.items())


def table(columns: dict, cell) -> str:
    """A line for every peer that takes part somewhere, a column for every data set."""
    lines = [["", *columns], ["---"] * (1 + len(columns))]
    lines += [[name, *(cell(column["took"], name) for column in columns.values())] for name in peers(columns)]
    return "".join(f"| {' | '.join(line)} |\n" for line in lines)


def peers(columns: dict) -> list[str]:
    return list(dict.fromkeys(name for column in columns.values() for name in column["took"]))


def iteration(took: dict, name: str) -> str:
    if name not in took:
        return "-"
    return brief(took[name]) + (f" ({brief(took[name] / took['fastem'])})" if name != "fastem" else "")


def brief(value: float) -> str:
    return f"{value:,.0f}" if value >= 100 else f"{value:.2g}"


def fit(took: dict, name: str) -> str:
    if name not in took:
        return "-"
    seconds, reached, short = (took[name][part] for part in ("seconds", "reached", "short_of_best"))
    return f"{seconds:.2g} s, {reached}" if reached else f"never: {short:.2g} short"


def absences(found: dict) -> list[str]:
    """A line for every reason of a peer."""
    where: dict[tuple[str, str], list[str]] = {}
    for part in ("iterations", "fits"):
        for title, column in found[part].items():
            for name, reason in column["absent"].items():
                where.setdefault((name, reason), []).append(title)
    return [
        f"- {name} ({'; '.join(dict.fromkeys(titles))}): {reason.rstrip('.')}."
        for (name, reason), titles in where.items()
    ]


# ------------------------------------------------------------------------------------------------------------- picture


def draw(found: dict) -> None:
    figure, axes = plt.subplots(2, 1, figsize=(11, 8.5), constrained_layout=True)
    names = list(dict.fromkeys(peers(found["iterations"]) + peers(found["fits"])))
    bars(axes[0], found["iterations"], names, lambda took: took)
    axes[0].set(title="One EM iteration, equal starts", ylabel="ns per point and component")
    bars(axes[1], found["fits"], names, lambda took: took["seconds"])
    axes[1].set(title="Own start, to within 1e-3 per row of the best log likelihood", ylabel="seconds")
    figure.legend(*axes[0].get_legend_handles_labels(), loc="outside lower center", ncols=len(names))
    figure.savefig(PICTURE, dpi=90)
    plt.close(figure)


def bars(axis, columns: dict, names: list[str], height) -> None:
    """A group for every data set; a peer that takes no part, or never arrives, has no bar."""
    for place, (name, colour) in enumerate(zip(names, COLOURS, strict=False)):
        heights = [height(column["took"][name]) if name in column["took"] else None for column in columns.values()]
        at = np.arange(len(columns)) + BAR * (place - (len(names) - 1) / 2)
        axis.bar(at, [np.nan if value is None else value for value in heights], BAR, color=colour, label=name)
    axis.set_yscale("log")
    axis.set_ylim(bottom=axis.get_ylim()[0] / 3)  # a bar for the least, too
    axis.set_xticks(range(len(columns)), list(columns))
    axis.grid(axis="y", alpha=0.3)
    axis.set_axisbelow(True)


if __name__ == "__main__":
    write()
