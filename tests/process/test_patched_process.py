"""When scikit-learn comes to know fastem's classes, and scripts that are run with them in its place."""

import subprocess
import sys

import pytest
from support.processes import python

pytestmark = pytest.mark.process

KNOWN = """
import {first}
import {second}
import fastem, sklearn.mixture
from sklearn.mixture._base import BaseMixture
assert isinstance(fastem.GaussianMixture(), sklearn.mixture.GaussianMixture)
assert isinstance(fastem.BayesianGaussianMixture(), sklearn.mixture.BayesianGaussianMixture)
assert isinstance(fastem.BayesianGaussianMixture(), BaseMixture)
"""
GAUSSIAN, BAYESIAN = "fastem.estimators.gaussian_mixture", "fastem.estimators.bayesian_mixture"
ORDERS = [("sklearn.mixture", BAYESIAN), (GAUSSIAN, "sklearn.mixture"), (BAYESIAN, "sklearn.mixture")]


@pytest.mark.parametrize(("first", "second"), ORDERS)
def test_classes_are_known_in_whatever_order_modules_are_loaded(first, second):
    python(KNOWN.format(first=first, second=second))


def test_scikit_learns_mixtures_are_not_loaded_for_that():
    python("""
import fastem, sys
fastem.GaussianMixture, fastem.BayesianGaussianMixture
assert "sklearn.base" in sys.modules
assert "sklearn.mixture" not in sys.modules""")


def test_the_module_keeps_its_loader_and_the_hook_goes():
    python("""
import fastem, sys
before = list(sys.meta_path)
fastem.BayesianGaussianMixture
assert len(sys.meta_path) == len(before) + 1
import importlib.util, inspect
assert importlib.util.find_spec("sklearn.mixture") is not None  # who asks loads nothing
import sklearn.mixture, sklearn.base
assert sys.meta_path == before
assert type(sklearn.mixture.__loader__) is type(sklearn.base.__loader__)
assert sklearn.mixture.__spec__.loader is sklearn.mixture.__loader__
assert "Mixture modeling" in inspect.getsource(sklearn.mixture)
assert isinstance(fastem.GaussianMixture(), sklearn.mixture.GaussianMixture)""")


def test_a_patch_before_scikit_learns_mixtures_are_loaded():
    python("""
import fastem
with fastem.patch_sklearn():
    from sklearn.mixture import GaussianMixture
    assert GaussianMixture is fastem.GaussianMixture
    from sklearn.mixture._bayesian_mixture import BayesianGaussianMixture
    assert BayesianGaussianMixture is fastem.BayesianGaussianMixture
from sklearn.mixture import GaussianMixture
assert GaussianMixture is not fastem.GaussianMixture""")


SCRIPT = """
import sys
from sklearn.mixture import GaussianMixture
import beside
assert __name__ == "__main__"
print(GaussianMixture.__module__, beside.VALUE, sys.argv[1:])
"""


def run(folder, *arguments):
    return subprocess.run(
        [sys.executable, "-m", "fastem.patched", *arguments], capture_output=True, text=True, timeout=300,
        cwd=folder,
    )  # fmt: skip


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "scripts").mkdir()
    (tmp_path / "scripts" / "beside.py").write_text("VALUE = 7")
    (tmp_path / "scripts" / "script.py").write_text(SCRIPT)
    return tmp_path


def test_a_script_runs_with_its_arguments_and_the_modules_beside_it(folder):
    found = run(folder, "scripts/script.py", "-m", "--fast")
    assert found.stderr == ""
    assert found.stdout == "fastem 7 ['-m', '--fast']\n"


def test_a_module_runs_with_its_arguments(folder):
    found = run(folder / "scripts", "-m", "script", "one")
    assert found.stderr == ""
    assert found.stdout == "fastem 7 ['one']\n"


@pytest.mark.parametrize("arguments", [[], ["-m"], ["--help"]])
def test_without_a_script_it_says_how_it_is_called(folder, arguments):
    found = run(folder, *arguments)
    assert found.returncode == 1
    assert found.stderr == "usage: python -m fastem.patched (script.py | -m module) [args...]\n"


def test_the_exit_status_is_the_scripts(folder):
    (folder / "fails.py").write_text("raise SystemExit(3)")
    assert run(folder, "fails.py").returncode == 3
