"""The compiled fits of many groups called: of numbers, and of rows of several columns."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from fastem._typing import Array
from fastem.estimators.many_fits import ManyFits
from fastem.kernels.backend import Backend

KINDS = {"full": 0, "tied": 0, "diag": 1, "spherical": 1, "binomial": 2, "poisson": 3}
"""The kinds of rows of the kernel."""
STRUCTURES = {"tied": 1, "spherical": 2}
"""The structures of covariances of the kernel; 0 where each component has its own."""

Report = Callable[[int, int], None]
"""Is called with the number of groups that are done, of how many."""
Rules = tuple[float, int, int, int, int]


class GroupedRows(NamedTuple):
    """The rows of all groups, one group behind the other."""

    rows: tuple[np.ndarray, ...]  # each (n,) or (n, d)
    sample_weight: Array  # (n,)
    offsets: np.ndarray  # (m + 1,)

    def __len__(self) -> int:
        return len(self.offsets) - 1


class ColumnModel(NamedTuple):
    """What the components of rows of several columns are."""

    family: str
    covariance_type: str

    @property
    def name(self) -> str:
        return self.covariance_type if self.family == "gaussian" else self.family

    def shapes(self, m: int, k: int, d: int) -> list[tuple[int, ...]]:
        """Return the shapes of weights, location and, of Gaussian mixtures, covariances."""
        spreads = {"full": (m, k, d, d), "tied": (m, d, d), "diag": (m, k, d), "spherical": (m, k)}
        return [(m, k), (m, k, d), *([spreads[self.name]] if self.name in spreads else [])]


def fit_numbers(
    runner: Backend,
    kind: type[ManyFits],
    params: dict[str, Array],
    data: GroupedRows,
    rules: Rules,
    settings: tuple[float | Array, ...],
    report: Report,
) -> dict[str, np.ndarray]:
    """Fit groups of numbers from what is given of their parameters, and return the arrays of the results."""
    found = results(len(data))
    columns = [array[:, np.newaxis] for array in data.rows]
    out = [*params.values(), *found.values()]
    runner.fit_groups(kind.kernel, [*columns, data.sample_weight], data.offsets, [*rules, *settings], out, report)
    return in_order(params, kind.parameter_names[0], tuple(params)) | found


def fit_columns(
    runner: Backend,
    kind: type[ManyFits],
    model: ColumnModel,
    data: GroupedRows,
    k: int,
    rules: Rules,
    added: tuple[float, float],
    report: Report,
) -> dict[str, np.ndarray]:
    """Fit groups of rows of several columns, and return the arrays of the results."""
    m, d, found = len(data), data.rows[0].shape[1], results(len(data))
    shapes = model.shapes(m, k, d)
    sizes = [math.prod(shape[1:]) for shape in shapes]
    values = np.empty((m, sum(sizes)))
    settings = [KINDS[model.name], STRUCTURES.get(model.name, 0), *rules[:2], *added]
    rows = [data.rows[0], data.rows[-1], data.sample_weight]
    runner.fit_groups("fit_groups", rows, data.offsets, settings, [values, *found.values(), k], report)
    found["loglik"] += group_sums(data, kind.base_measure(data.rows))
    arrays = np.split(values, np.cumsum(sizes)[:-1], axis=1)
    names = ("weights", *kind.parameter_names)
    params = {
        name: np.ascontiguousarray(array).reshape(shape)
        for name, array, shape in zip(names, arrays, shapes, strict=True)
    }
    own = names[:2] if model.name == "tied" else names
    return in_order(params, names[1], own) | found


def results(m: int) -> dict[str, np.ndarray]:
    """Return arrays for what is found of each group, besides its parameters."""
    return {"loglik": np.full(m, np.nan), "n_iter": np.zeros(m, np.int32), "status": np.empty(m, np.int8)}


def group_sums(data: GroupedRows, terms: Array) -> Array:
    """Return the weighted sums (m,) of terms (n,) over the rows of each group."""
    group = np.repeat(np.arange(len(data)), np.diff(data.offsets))
    with np.errstate(invalid="ignore"):
        return np.asarray(np.bincount(group, data.sample_weight * terms, len(data)), np.float64)


def in_order(params: dict[str, Array], name: str, own: tuple[str, ...]) -> dict[str, Array]:
    """Return the parameters, by name, with the components of each group in ascending order of one of them.

    own: the parameters of which each component has its own; by the first column, where there are several.
    """
    first = params[name] if params[name].ndim == 2 else params[name][:, :, 0]
    order = np.argsort(first, axis=1, kind="stable")

    def ordered(array: Array) -> Array:
        index = order.reshape(order.shape + (1,) * (array.ndim - 2))
        return np.take_along_axis(array, index, axis=1)

    return {each: ordered(array) if each in own else array for each, array in params.items()}
