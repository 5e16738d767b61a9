"""What tests of several kernels look at."""

import pytest

import fastem


@pytest.fixture
def calls(monkeypatch):
    """The number of iterations of each call of a kernel."""
    found, iterate = [], fastem.Rows.iterate

    def counted(*arguments):
        result = iterate(*arguments)
        found.append(len(result.trace))
        return result

    monkeypatch.setattr(fastem.Rows, "iterate", counted)
    return found
