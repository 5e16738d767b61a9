"""Lines that a benchmark wants to be read stand below the table of pytest-benchmark."""

from collections.abc import Callable

import pytest

LINES: pytest.StashKey[list[str]] = pytest.StashKey()


@pytest.fixture
def tell(request: pytest.FixtureRequest) -> Callable[[str], None]:
    """Keep a line for the end of the run."""
    return request.config.stash.setdefault(LINES, []).append


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    for line in config.stash.get(LINES, []):
        terminalreporter.write_line(line)
