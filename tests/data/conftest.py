"""Fixtures of the tests of this folder."""

import dask
import pytest
from distributed import Client
from support.clusters import started


@pytest.fixture(params=["synchronous", "threads", "cluster"])
def place(request):
    """Where tasks run."""
    if request.param == "cluster":
        with request.getfixturevalue("client").as_current():
            yield request.param
    else:
        with dask.config.set(scheduler=request.param):
            yield request.param


@pytest.fixture(scope="module")
def client():
    """Two processes, for all tests that leave them alive; current only where a test says so."""
    with started(2) as two, Client(two, set_as_default=False) as client:
        yield client
