"""A warning points at the line that called fastem, whatever lies between it and the function that warns."""

import inspect
import warnings
from types import FunctionType

import numpy as np
import pytest

import fastem

X = np.random.default_rng(0).normal(size=(40, 1))


def mixture():
    return fastem.GaussianMixture(2, init_params="kmeans", max_iter=1, tol=0.0, random_state=0)


CALLS = {
    "fit": lambda: mixture().fit(X),
    "fit_predict": lambda: mixture().fit_predict(X),
    "fit of chunks": lambda: mixture().fit(chunks=[X, X]),
    "select": lambda: fastem.select(X, [1, 2], estimator=mixture()),
    "select with too many components": lambda: fastem.select([[0.0], [0.0], [1.0], [1.0]], [1, 2, 3]),
    "bootstrap_test": lambda: fastem.bootstrap_test(X, 1, estimator=mixture(), n_bootstrap=1),
    "a binomial fit": lambda: fastem.BinomialMixture(2, n_trials=1).fit([[0], [1], [1]]),
    "an old name": lambda: fastem.NormalParams,
}


@pytest.mark.parametrize("name", CALLS)
def test_warnings_point_at_the_line_that_called(name):
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        CALLS[name]()
    line = inspect.getsourcelines(CALLS[name])[1]
    assert caught
    assert {(each.filename, each.lineno) for each in caught} == {(__file__, line)}


def test_an_old_name_warns_where_it_is_imported():
    with pytest.warns(FutureWarning) as caught:
        from fastem import NormalParams  # noqa: F401
    assert caught[0].filename == __file__


def test_warnings_are_shown_once_a_line():
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("default")
        for _ in range(3):
            mixture().fit(X)
    assert len(caught) == 1


def test_warnings_can_be_filtered_by_the_module_that_calls():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        warnings.filterwarnings("ignore", module=__name__)
        mixture().fit(X)


def test_code_without_a_module_is_warned_too():
    without_name = FunctionType(CALLS["a binomial fit"].__code__, {"fastem": fastem})  # as exec(code, {}) makes them
    with pytest.warns(fastem.IdentifiabilityWarning):
        without_name()
