"""Fixtures of the tests of this folder."""

import pytest
from support.drop_in import FRAMES


@pytest.fixture(params=FRAMES)
def library(request):
    return request.param


@pytest.fixture
def make(library):
    return FRAMES[library]
