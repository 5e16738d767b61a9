"""Lines that a benchmark wants to be read stand below the table of pytest-benchmark.  --quick: a tenth of the rows."""

import os
from collections.abc import Callable

import pytest

LINES: pytest.StashKey[list[str]] = pytest.StashKey()


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--quick", action="store_true", help="a tenth of the rows, one turn: under two minutes")


def pytest_configure(config: pytest.Config) -> None:
    """Before any case is made."""
    if config.getoption("--quick"):
        os.environ["FASTEM_BENCH_QUICK"] = "1"


@pytest.fixture
def tell(request: pytest.FixtureRequest) -> Callable[[str], None]:
    """Keep a line for the end of the run."""
    return request.config.stash.setdefault(LINES, []).append


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    for line in config.stash.get(LINES, []):
        terminalreporter.write_line(line)
