"""Lines that a benchmark wants to be read stand below the table of pytest-benchmark.  --quick: a tenth of the rows;
--alone: fastem is compared with others, but not timed beside them."""

import os
from collections.abc import Callable
from typing import Any

import pytest

LINES: pytest.StashKey[list[str]] = pytest.StashKey()


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--quick", action="store_true", help="a tenth of the rows, one turn: under two minutes")
    parser.addoption("--alone", action="store_true", help="others are not timed")


def pytest_configure(config: pytest.Config) -> None:
    """Before any case is made."""
    if config.getoption("--quick"):
        os.environ["FASTEM_BENCH_QUICK"] = "1"


def pytest_benchmark_update_machine_info(machine_info: dict[str, Any]) -> None:
    """What is kept says what a machine is, not whose; its instruction set is told with every benchmark."""
    del machine_info["node"]
    machine_info["cpu"].pop("flags", None)


def pytest_benchmark_update_commit_info(commit_info: dict[str, Any]) -> None:
    """Nor in which folder."""
    commit_info.pop("project", None)


@pytest.fixture
def tell(request: pytest.FixtureRequest) -> Callable[[str], None]:
    """Keep a line for the end of the run."""
    return request.config.stash.setdefault(LINES, []).append


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    for line in config.stash.get(LINES, []):
        terminalreporter.write_line(line)
