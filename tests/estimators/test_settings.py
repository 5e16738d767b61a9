"""Settings are declared once: defaults, checks, documentation and what a checkpoint compares follow from there."""

import inspect
from dataclasses import fields

import pytest

import fastem
from fastem.estimators.registry import estimator_type
from fastem.families.registry import NAMES
from fastem.fitting.settings import FitSettings, unaltering

ESTIMATORS = [estimator_type(name) for name in NAMES]
each = pytest.mark.parametrize("kind", ESTIMATORS, ids=lambda kind: kind.__name__)


@each
def test_every_setting_is_a_parameter_an_attribute_and_documented(kind):
    names = {field.name for field in fields(kind)}
    assert names == set(kind().get_params()) == set(inspect.signature(kind).parameters)
    assert all(f"\n    {name} : " in kind.__doc__ for name in names)
    assert "{settings}" not in kind.__doc__


@each
def test_every_setting_of_a_fit_is_one_of_every_estimator(kind):
    assert {field.name for field in fields(FitSettings)} <= {field.name for field in fields(kind)}


@each
def test_every_setting_says_what_it_may_be(kind):
    """No setting takes an object of a class that nobody has heard of."""
    rows = [[1.0], [2.0], [4.0], [8.0]] if kind is fastem.GaussianMixture else [1, 2, 4, 8]
    options = {"trials": 9} if kind is fastem.BinomialMixture else {}
    for field in fields(kind):
        with pytest.raises((ValueError, TypeError), match=field.name.removesuffix("s_init")):
            kind(**{field.name: object()}).fit(rows, **options)


@each
def test_settings_that_do_not_alter_a_fit_are_those_of_its_course(kind):
    assert unaltering(kind) == {
        "callback", "checkpoint", "checkpoint_every", "max_time", "n_threads", "on_interrupt", "random_state",
        "verbose", "verbose_interval",
    }  # fmt: skip


def test_only_the_number_of_components_is_positional():
    parameters = inspect.signature(fastem.GaussianMixture).parameters.values()
    assert [p.name for p in parameters if p.kind is p.POSITIONAL_OR_KEYWORD] == ["n_components"]
