"""All examples in a minute, then the speed of one EM iteration beside a Python loop and scikit-learn."""

import sys
from collections.abc import Callable
from pathlib import Path

import federated
import galaxies
import heights
import old_faithful
import out_of_core
import pictures
import saxony
import three_coins
import three_gaussians

sys.path.insert(0, str(Path(__file__).parents[1] / "bench"))

import cases
import measure

REPEATS = 3

HEADINGS: dict[str, Callable[[], list[Path] | None]] = {
    "Three Gaussians from a random start": three_gaussians.main,
    "Heights of men and women": lambda: heights.show_fit(heights.fit(heights.draw())),
    "Two coins of unknown bias": three_coins.main,
    "Old Faithful": old_faithful.main,
    "Galaxies": galaxies.main,
    "Families of Saxony": saxony.main,
    "Rows in files": out_of_core.main,
    "Rows that stay where they are": federated.main,
}


def heading(text: str) -> None:
    print(f"\n{text}\n{'-' * len(text)}")


def speed(case: cases.Case) -> None:
    problem = cases.make(case)
    for twin in measure.TWINS:
        if why := measure.why_missing(twin):
            print(f"{twin} is skipped: {why}")
        else:
            measure.check(problem, twin)
    times = measure.side_by_side(problem, REPEATS)
    print(f"n = {case.n}, d = {case.d}, k = {case.k}")
    for name, nanoseconds in times.items():
        title = f"fastem, {name}" if name in measure.TWINS else name
        print(f"  {title:15s} {nanoseconds:10.2f} ns  {nanoseconds / times['cython']:8.1f} x fastem")


def main() -> None:
    written: list[Path] = []
    for text, run in HEADINGS.items():
        heading(text)
        written += run() or []
    heading("One EM iteration: nanoseconds per point and component, medians; answers were compared first")
    for case in (cases.NORMAL, cases.FULL_8):
        speed(case)
    heading("Files")
    pictures.tell(written, "")


if __name__ == "__main__":
    main()
