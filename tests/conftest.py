"""Every test that touches a kernel runs on both twins."""

import pytest


@pytest.fixture(params=["cython", "numba"])
def twin(request):
    return request.param
