"""The site: `make docs`.  No network is needed to build it."""

import sys
from importlib.metadata import version as installed
from pathlib import Path

from sphinx.application import Sphinx

sys.path.insert(0, str(Path(__file__).parent))

import pages

HERE = Path(__file__).parent
project = "fastem"
author = "The fastem developers"
version = release = installed("fastem")

extensions = ["myst_parser", "sphinx.ext.autodoc", "sphinx.ext.mathjax", "numpydoc"]
exclude_patterns = ["_build", "pictures"]
html_theme = "furo"
html_title = "fastem"
smartquotes = False  # of {"full", "tied"}

myst_enable_extensions = ["dollarmath"]
myst_heading_anchors = 3

default_role = "code"  # a word in single backticks, in a docstring
autodoc_typehints = "none"  # docstrings tell types and shapes
autodoc_member_order = "bysource"
numpydoc_show_class_members = False  # autodoc shows them


def draw(app: Sphinx) -> None:
    """Pictures are what the examples of the pages save."""
    (HERE / "pictures").mkdir(exist_ok=True)
    for page in pages.PAGES:
        if "](pictures/" in page.read_text():
            pages.run(page, HERE / "pictures")


def of_scikit_learn(app: Sphinx, what: str, name: str, member: object, skip: bool, options: object) -> bool | None:
    """What the estimators inherit from there is told there."""
    return True if str(getattr(member, "__module__", "")).startswith("sklearn") else None


def setup(app: Sphinx) -> None:
    app.connect("builder-inited", draw)
    app.connect("autodoc-skip-member", of_scikit_learn)
