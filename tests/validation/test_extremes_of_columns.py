"""The least and the largest element of arrays that lie in memory in any way."""

import numpy as np
import pytest

from fastem.validation.extremes import BLOCK, SHORT, extremes

VIEWS = {
    "C order": np.ascontiguousarray,
    "Fortran order": np.asfortranarray,
    "every second row": lambda X: np.repeat(X, 2, axis=0)[::2],
    "every second column": lambda X: np.repeat(X, 2, axis=1)[:, ::2],
    "some columns": lambda X: np.pad(X, ((0, 0), (1, 2)), constant_values=99)[:, 1:-2],
    "rows in reverse": lambda X: np.ascontiguousarray(X[::-1])[::-1],
    "one row for all": lambda X: np.broadcast_to(X[-1], X.shape),
}
SHAPES = [(1, 1), (7, 2), (BLOCK // 2 + 1, 2), (BLOCK, SHORT), (3, BLOCK + 1)]


@pytest.mark.parametrize("view", VIEWS)
@pytest.mark.parametrize("shape", SHAPES, ids=str)
@pytest.mark.parametrize("dtype", [np.float64, np.float32, np.int32])
def test_extremes_are_those_of_all_elements(view, shape, dtype):
    values = np.random.default_rng(1).integers(-50, 50, shape).astype(dtype)
    values[-1, -1], values[-1, 0] = -60, 60
    X = VIEWS[view](values)
    assert extremes(X) == (X.min(), X.max())


@pytest.mark.parametrize("view", [name for name in VIEWS if name != "one row for all"])
@pytest.mark.parametrize("row", [0, BLOCK // 2, -1])
def test_a_value_that_is_missing(view, row):
    values = np.random.default_rng(1).normal(size=(BLOCK // 2 + 1, 2))
    values[row, 1] = np.nan
    X = VIEWS[view](values)
    assert np.isnan(extremes(X)).all()
    assert extremes(X, missing=True) == (np.nanmin(values), np.nanmax(values))
