"""Every test that touches a kernel runs on both twins; those of the kernels themselves, on every instruction set."""

import numpy as np
import pytest
from hypothesis import HealthCheck, settings

from fastem.kernels.twins import INSTRUCTION_SETS, cython_twin, instruction_set

SLOW_IS_FINE = {"deadline": None, "database": None, "suppress_health_check": list(HealthCheck)}
settings.register_profile("house", max_examples=50, derandomize=True, **SLOW_IS_FINE)
settings.register_profile("torture", max_examples=3_000, **SLOW_IS_FINE)
settings.register_profile("long", max_examples=20_000, **SLOW_IS_FINE)
settings.register_profile("torture-small", max_examples=150, derandomize=True, **SLOW_IS_FINE)
settings.load_profile("house")

collect_ignore_glob = ["conftest.py", "*/conftest.py"]  # of doctests: all have one name

NUMBA = pytest.param("numba", marks=pytest.mark.numba)
TWINS = ("cython", NUMBA)
BEST_SET = instruction_set(None)
OTHER_SETS = [isa for isa in INSTRUCTION_SETS if isa != BEST_SET]
EVERY_TWIN = (
    f"cython-{BEST_SET}",
    *(pytest.param(f"cython-{isa}", marks=pytest.mark.other_set) for isa in OTHER_SETS),
    NUMBA,
)
ON_EVERY_TWIN = (
    "test_accuracy", "test_bits", "test_groups", "test_kernels", "test_many", "test_many_poisson", "test_natural",
    "test_poisson_kernels", "test_statistics", "test_tied",
)  # fmt: skip
"""Elsewhere the compiled sums are not what is on trial."""
STATES = pytest.StashKey[dict]()
FIRST_ON_NUMBA = ("test_kernels",)
"""Here the sums and posteriors of the first families are on trial on the Numba twin, with one compilation of each, for
float64 rows and one thread; `make test-numba` runs that twin elsewhere, with all compilations."""


def pytest_generate_tests(metafunc):
    if "twin" in metafunc.fixturenames:
        every = metafunc.module.__name__ in ON_EVERY_TWIN
        metafunc.parametrize("twin", EVERY_TWIN if every else TWINS, indirect=True)


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config, log):
    """Run the tests of a file in one process, and all of the Numba twin in one, so that no kernel is compiled twice.

    Groups by mark, as of pytest-xdist 3.8, are none under pytest 9.2, which keeps the names of tests elsewhere.
    """
    from xdist.scheduler import LoadScopeScheduling

    class ByFile(LoadScopeScheduling):
        def _split_scope(self, nodeid):
            file, _, name = nodeid.partition("::")
            return "numba" if "numba" in name else file

    return ByFile(config, log)


def pytest_collection_modifyitems(items):
    for item in items:
        on_numba = item.get_closest_marker("numba") is not None
        assert on_numba <= ("numba" in item.name), f"{item.nodeid} runs on Numba: its name has to say so"
        if on_numba and item.get_closest_marker("row_type"):
            item.add_marker(pytest.mark.slow)
        if on_numba and (item.path.stem not in FIRST_ON_NUMBA or "float32" in item.name):
            item.add_marker(pytest.mark.numba_again)


def pytest_collection_finish(session):
    """Note the states of generators that tests of a module share, before any test has drawn from them."""
    for module in {item.module for item in session.items if isinstance(item, pytest.Function)}:
        shared = [value for value in vars(module).values() if isinstance(value, np.random.Generator)]
        session.stash.setdefault(STATES, {})[module] = [(rng, rng.bit_generator.state) for rng in shared]


@pytest.fixture(autouse=True)
def same_numbers(request):
    """A test draws the same numbers whichever tests ran before it."""
    for rng, state in request.session.stash[STATES].get(getattr(request.node, "module", None), ()):
        rng.bit_generator.state = state


@pytest.fixture
def swept_in_python(monkeypatch):
    """Fits of few rows too are driven sweep by sweep, not in one compiled call."""
    monkeypatch.setattr("fastem.data.base.PARALLEL_WORK", 0)


@pytest.fixture
def twin(request, monkeypatch):
    name, _, isa = request.param.partition("-")
    if isa:
        monkeypatch.setenv("FASTEM_ISA", isa)
        try:
            cython_twin()
        except ValueError as error:
            pytest.skip(str(error))
    return name
