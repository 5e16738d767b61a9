"""What the pages and README.md say: their examples run, and the API page leaves nothing out."""

import ast
import re
import sys
from pathlib import Path

import pytest

import fastem

sys.path.insert(0, str(Path(__file__).parents[2] / "docs"))

import pages

DOCS = Path(pages.__file__).parent
EXECUTED = [page for page in pages.PAGES if list(pages.EXAMPLES.parse(page))]
FENCE = re.compile(r"^ *```(\S+)", re.MULTILINE)
NO_EXAMPLES = {"{include}", "{toctree}", "{eval-rst}"}
OTHER_PACKAGES = {"r"}
"""Languages that only the pages "Coming from ..." have, for code of other packages, which is not run."""


@pytest.mark.process
@pytest.mark.slow
@pytest.mark.parametrize("page", EXECUTED, ids=lambda page: page.stem)
def test_examples_run_and_print_what_they_say(page, tmp_path):
    pages.run(page, tmp_path)


@pytest.mark.parametrize("page", pages.PAGES, ids=lambda page: page.stem)
def test_every_fence_is_run(page):
    """One in a language that nothing runs would be an example that nobody has tried."""
    others = OTHER_PACKAGES if page.stem.startswith("from_") else set()
    assert set(FENCE.findall(page.read_text())) <= {"python", "shell"} | NO_EXAMPLES | others


def test_nothing_is_said_to_be_on_an_index():
    """Until it is there, a message names the package that it misses, and a page installs from the clone."""
    texts = [*pages.PAGES, *Path(fastem.__file__).parent.rglob("*.py")]
    assert not [path.name for path in texts if re.search(r"pip install '?fastem", path.read_text())]


def test_pictures_are_those_that_examples_save():
    text = {page: page.read_text() for page in pages.PAGES}
    shown = {(page, name) for page in text for name in re.findall(r"\]\(pictures/(.*?)\)", text[page])}
    drawn = {(page, name) for page in text for name in re.findall(r'savefig\("(.*?)"\)', text[page])}
    animated = {(page, name) for page in text for name in re.findall(r'\.save\("(.*?\.gif)"\)', text[page])}
    assert drawn <= shown <= drawn | animated
    assert shown


def test_api_page_has_every_public_name():
    """One that is missing wants a line in docs/api.md."""
    found = re.findall(r"^\.\. auto\w+:: (\w+)$", (DOCS / "api.md").read_text(), re.MULTILINE)
    assert sorted(found) == sorted(fastem.__all__)


@pytest.mark.parametrize("value", ["BinomialParams", "BinomialStats"])
def test_families_page_has_every_member_of_a_family(value):
    tree = ast.parse((Path(fastem.__file__).parent / "families" / "binomial" / "model.py").read_text())
    (body,) = (node.body for node in tree.body if isinstance(node, ast.ClassDef) and node.name == value)
    methods = {node.name for node in body if isinstance(node, ast.FunctionDef)}
    settings = {target.id for node in body if isinstance(node, ast.Assign) for target in node.targets}
    told = set(re.findall(r"\w+", (DOCS / "families.md").read_text()))
    assert (methods | settings) - {"__post_init__", "_sds"} <= told
