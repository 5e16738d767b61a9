"""What the examples find, in a line each; fastem's speed compared with scikit-learn's; and a page with all pictures."""

import argparse
import io
import os
import sys
from contextlib import redirect_stdout
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path

import page
import speed

import fastem
from fastem._table import Table

EXAMPLES = {
    "Three Gaussians": "three_gaussians",
    "Heights": "heights",
    "Two coins": "three_coins",
    "Old Faithful": "old_faithful",
    "Galaxies": "galaxies",
    "Families of Saxony": "saxony",
    "Rows in files": "out_of_core",
    "Rows at three sites": "federated",
}
"""Title -> the script, whose main() returns its verdict and the pictures that it wrote."""
NEEDED = {"scikit-learn": "sklearn", "matplotlib": "matplotlib"}
"""What is installed -> what is imported."""


def arguments(given: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--verbose", action="store_true", help="print all numbers of the examples")
    parser.add_argument("--numba", action="store_true", help="time the Numba backend too, which first compiles")
    options = parser.parse_args(given)
    needed = NEEDED | ({"numba": "numba"} if options.numba else {})
    if missing := " ".join(package for package, module in needed.items() if find_spec(module) is None):
        parser.error(f"not installed: {missing}; {Path(sys.executable).name} -m pip install {missing}")
    return options


def run(title: str, verbose: bool) -> page.Story:
    """Run an example and say what it found; its title is seen first, since it takes a while.

    A script is imported when its turn comes, so that nobody waits for scikit-learn and Matplotlib in silence.
    """
    print(f"{title}:", end="\n" if verbose else " ", flush=True)
    with redirect_stdout(sys.stdout if verbose else io.StringIO()):
        verdict, pictures = import_module(EXAMPLES[title]).main()
    files = f" -> {', '.join(map(os.path.relpath, pictures))}" if pictures else ""
    print(verdict + files, end="\n\n" if verbose else "\n", flush=True)
    return page.Story(title, verdict, pictures)


def write(stories: list[page.Story], table: Table) -> Path:
    """Write the page, into the folder of its pictures."""
    from pictures import destination  # and Matplotlib with it: see run

    target = destination("index.html")
    target.write_text(page.html("fastem: what the examples find", stories, table), encoding="utf-8")
    return target


def main(given: list[str] | None = None) -> None:
    options = arguments(given)
    print(f"fastem {fastem.__version__}: fitting {len(EXAMPLES)} data sets and drawing pictures\n", flush=True)
    stories = [run(title, options.verbose) for title in EXAMPLES]
    print(f"\nTiming {len(speed.CASES)} fits, compared with scikit-learn: about 5 seconds", flush=True)
    table = speed.table(options.numba)
    written = write(stories, table)
    print(f"{table}\n\nAll of this on a page; to open it: python3 -m webbrowser {written.as_uri()}")
    print(os.path.relpath(written))


if __name__ == "__main__":
    main()
