"""What help() says: every public method of an estimator, and the settings that matter first."""

import inspect
import re

import pytest

import fastem
from fastem.estimators.documentation import TRIALS, documented_like

ESTIMATORS = [fastem.GaussianMixture, fastem.BayesianGaussianMixture, fastem.BinomialMixture, fastem.PoissonMixture]
ENTRY = re.compile(r"^\**(\w+) : ", re.MULTILINE)


def public_methods(kind):
    found = {name: getattr(kind, name) for name in dir(kind) if not name.startswith("_")}
    return {name for name, each in found.items() if callable(each) and each.__module__.startswith("fastem.")}


METHODS = [(kind, name) for kind in ESTIMATORS for name in sorted(public_methods(kind)) if name != "keep_params"]


def section(text, title):
    """The lines of one section of a docstring."""
    return re.split(r"\n\n\w+\n-+\n", text.partition(f"\n\n{title}\n{'-' * len(title)}\n")[2])[0]


@pytest.mark.parametrize(("kind", "name"), METHODS, ids=[f"{kind.__name__}.{name}" for kind, name in METHODS])
def test_a_public_method_has_all_parameters_and_errors(kind, name):
    method = getattr(kind, name)
    text = inspect.getdoc(method)
    arguments = [each for each in inspect.signature(method).parameters if each != "self"]
    assert ENTRY.findall(section(text, "Parameters")) == arguments
    assert section(text, "Raises")
    assert section(text, "Returns") or name == "save"


@pytest.mark.parametrize("kind", ESTIMATORS)
def test_the_settings_that_matter_come_first(kind):
    named = re.search(r"Most fits need only (.*), which come first\.", kind.__doc__)[1]
    first = re.split(", | and ", named)
    entries = ENTRY.findall(section(inspect.getdoc(kind), "Parameters"))
    assert entries[: len(first)] == first
    assert set(entries) == set(kind().get_params())


def test_trials_are_documented_behind_the_rows_and_examples_are_ones_own():
    def predict(X):
        """Predict.

        Parameters
        ----------
        X : array-like
            Rows,
            many.
        y : ignored
        w : float

        Examples
        --------
        >>> theirs
        """

    @documented_like(predict)
    def predict_of_trials(X, trials):
        """Say it again.

        Examples
        --------
        >>> ours
        """

    assert predict_of_trials.__doc__ == "\n".join(
        ["Predict.", "", "Parameters", "----------", "X : array-like", "    Rows,", "    many.", "y : ignored", TRIALS,
         "w : float", "", "Examples", "--------", ">>> ours"]
    )  # fmt: skip
