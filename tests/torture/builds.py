"""Copies of the package, each compiled in its own way and tested there: the tree at hand stays as it is."""

import os
import shutil
import subprocess
import sys
from collections.abc import Collection, Mapping
from pathlib import Path

ROOT = Path(__file__).parents[2]
BUILDS = ROOT / "build" / "torture"
COPIED = ("fastem", "tests", "examples", "setup.py", "pyproject.toml", "README.md", "LICENSE")
COMPILED = ("*.so", "__pycache__")
TRANSLATED = "build/cython"
"""The C of sources that are not edited, with its times: these are not translated again."""

ONE_SET = ("fastem._processor", "fastem._kernels", "fastem._single", "fastem._linear", "fastem._many")
PYTEST = ("-m", "pytest", "-q", "-x", "-s", "-p", "no:cacheprovider")
"""No capture: a process that a sanitizer ends tells nothing that was captured."""

SMALL = os.environ.get("TORTURE") == "small"

BUILD = """
import os
import sys
os.environ["FASTEM_BUILD"] = "all"  # the baseline among them
import setup as package
from Cython.Build import cythonize
from setuptools import setup

package.OPTIMISE[:] = ["-O1", "-g1", "-Wno-psabi"]  # lines in reports, and half the time to compile
chosen = [each for each in package.extensions() if not sys.argv[1:] or each.name in sys.argv[1:]]
modules = cythonize(chosen, **package.CYTHONIZE)
setup(ext_modules=modules, script_args=["-q", "build_ext", "--inplace", "--parallel", "2"])
"""

Edits = Mapping[str, Collection[tuple[str, str]]]


def copy(name: str, edits: Edits) -> Path:
    """A fresh copy of the sources; edits are file -> (what stands there, what comes in its place)."""
    tree = BUILDS / name
    shutil.rmtree(tree, ignore_errors=True)
    tree.mkdir(parents=True)
    for each in COPIED:
        if (ROOT / each).is_dir():
            shutil.copytree(ROOT / each, tree / each, ignore=shutil.ignore_patterns(*COMPILED))
        else:
            shutil.copy(ROOT / each, tree / each)
    if (ROOT / TRANSLATED).exists():
        shutil.copytree(ROOT / TRANSLATED, tree / TRANSLATED)
    for file, replacements in edits.items():
        edit(tree / file, replacements)
    return tree


def edit(path: Path, replacements: Collection[tuple[str, str]]) -> None:
    text = path.read_text()
    for old, new in replacements:
        if old not in text:
            sys.exit(f"{path.name} has no {old!r} any more: bring the edit up to date")
        text = text.replace(old, new)
    path.write_text(text)


def build(name: str, edits: Edits, flags: str = "", modules: Collection[str] = ()) -> Path:
    """A copy with its kernels compiled: these modules, or all."""
    tree = copy(name, edits)
    environment = {**os.environ, "CFLAGS": flags, "LDFLAGS": flags}
    subprocess.run([sys.executable, "-c", BUILD, *modules], cwd=tree, env=environment, check=True)
    return tree


def run(tree: Path, *arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    """Python in the copy, whose fastem it imports."""
    return subprocess.run(
        [sys.executable, *arguments], cwd=tree, env={**os.environ, **environment}, capture_output=True, text=True
    )


def pytest(tree: Path, *arguments: str, **environment: str) -> None:
    """The tests in the copy; what fails ends the script."""
    subprocess.run([sys.executable, *PYTEST, *arguments], cwd=tree, env={**os.environ, **environment}, check=True)


def expect(message: str, found: subprocess.CompletedProcess[str]) -> None:
    """A fault that was put in on purpose has been reported."""
    if found.returncode == 0 or message not in found.stdout + found.stderr:
        sys.exit(f"no {message!r} where one was put in:\n{found.stdout}{found.stderr}")
    sys.stdout.write(f"{message}: seen where it was put in\n")
