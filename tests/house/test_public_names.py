"""The public names: where they live, what they were called, and the examples of their docstrings."""

import ast
import doctest
import importlib
import pickle
from pathlib import Path

import pytest

import fastem

CLASSES = [name for name in fastem.__all__ if isinstance(getattr(fastem, name), type)]


@pytest.mark.parametrize("name", CLASSES)
def test_a_public_class_says_that_it_is_of_fastem(name):
    """Pickles, reprs and tracebacks then do not depend on the layout of the package."""
    kind = getattr(fastem, name)
    assert kind.__module__ == "fastem" or not kind.__module__.startswith("fastem")
    assert pickle.loads(pickle.dumps(kind)) is kind


@pytest.mark.parametrize("name", [name for name in CLASSES if getattr(fastem, name).__module__ == "fastem"])
def test_examples_of_public_classes(name):
    """pytest collects doctests by module, and these classes do not name the one that they are written in."""
    runner = doctest.DocTestRunner()
    for example in doctest.DocTestFinder().find(getattr(fastem, name), name, module=False):
        runner.run(example)
    assert not runner.failures


def test_type_checkers_know_every_public_name():
    names = set()
    for node in ast.parse(Path(fastem.__file__).with_suffix(".pyi").read_text()).body:
        if isinstance(node, ast.ImportFrom):
            star = node.names[0].name == "*"
            names |= set(importlib.import_module(node.module).__all__ if star else (each.asname for each in node.names))
    assert names == set(fastem.__all__)


def test_every_public_name_is_in_the_table():
    assert {"__version__", *fastem.__all__} == set(dir(fastem))
    assert all(hasattr(fastem, name) for name in fastem.__all__)


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("NormalParams", "GaussianParams"),
        ("NormalStats", "GaussianStats"),
        ("NormalPrior", "GaussianPrior"),
        ("ManyNormalFits", "ManyGaussianFits"),
        ("collapse", "distinct_counts"),
    ],
)
def test_old_names_still_work_and_warn(old, new):
    with pytest.warns(FutureWarning, match=f"fastem.{old} is called fastem.{new} now"):
        assert getattr(fastem, old) is getattr(fastem, new)


def test_an_unknown_name_is_an_attribute_error():
    with pytest.raises(AttributeError, match="module 'fastem' has no attribute 'mixtures'"):
        importlib.import_module("fastem").mixtures  # noqa: B018


def test_a_misspelt_name_gets_a_suggestion():
    """Python looks for one where the error says whose attribute is missing."""
    with pytest.raises(AttributeError) as caught:
        fastem.GaussianMixtur  # noqa: B018
    assert (caught.value.name, caught.value.obj) == ("GaussianMixtur", fastem)
    assert "GaussianMixture" in dir(fastem)
