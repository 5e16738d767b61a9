"""What counts as Any, and that the package is within its limit."""

import ast

import pytest
from house import any_share

TREES = {
    "base": ast.parse("from typing import Any\nRows = dict[str, Any]\nText: TypeAlias = 'list[Any]'\nName = str"),
    "above": ast.parse("from base import Name, Rows as Table\nPair = tuple[Table, Name] | None\nfrom base import Text"),
}


def test_aliases_of_any_are_any_wherever_they_are_imported():
    assert any_share.names_of_any(TREES) == {"base": {"Any", "Rows", "Text"}, "above": {"Any", "Table", "Pair", "Text"}}


@pytest.mark.parametrize(
    ("annotation", "names"),
    [("typing.Any", {"typing", "Any"}), ("'list[Any] | None'", {"list", "Any"}), ("Literal['r b']", {"Literal"})],
)
def test_names_of_an_annotation(annotation, names):
    assert {*any_share.names_in(ast.parse(annotation, mode="eval"))} == names


def test_annotations_are_those_of_parameters_results_and_assignments():
    tree = ast.parse("def f(self, a: A, *b: B, c: C = 1, **d: D) -> E: ...\nclass G:\n    x: F = 0")
    assert {ast.unparse(found) for found in any_share.annotations(tree)} == set("ABCDEF")


@pytest.mark.seconds
def test_the_package_is_within_its_limit():
    assert any_share.main() == 0
