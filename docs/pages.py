"""The examples of the pages are run: by the tests, and where the site is built, for the pictures that they save."""

import contextlib
import os
import shutil
import subprocess
import sys
from pathlib import Path

import matplotlib as mpl
from sybil import Example, Sybil
from sybil.parsers.markdown import CodeBlockParser, PythonCodeBlockParser

mpl.use("Agg")

import matplotlib.pyplot as plt

ROOT = Path(__file__).parents[1]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]


def commands(example: Example) -> None:
    """Lines of a shell that are fastem's; what installs or builds it has been run when this is."""
    paths = os.pathsep.join([str(Path(sys.executable).parent), os.environ.get("PATH", "")])
    for line in example.parsed.splitlines():
        if line.startswith("fastem "):
            subprocess.run(line, shell=True, check=True, capture_output=True, env=os.environ | {"PATH": paths})


EXAMPLES = Sybil([PythonCodeBlockParser(), CodeBlockParser("shell", commands)])


def run(page: Path, folder: Path) -> None:
    """All examples of a page, one after the other, in a folder that has the data of the repository and nothing else."""
    shutil.copytree(ROOT / "examples" / "data", folder / "examples" / "data", dirs_exist_ok=True)
    with contextlib.chdir(folder):
        for example in EXAMPLES.parse(page):
            example.evaluate()
    plt.close("all")
