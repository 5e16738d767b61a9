"""The box about the rows in which a background is uniform."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial

import numpy as np
from numpy.typing import NDArray

from fastem._typing import Array
from fastem.data.row_source import RowSource
from fastem.data.rows import Rows
from fastem.families.gaussian.matrices import RESOLUTION
from fastem.families.gaussian.moments import moments_of
from fastem.kernels.linear import eigh, product
from fastem.kernels.mapped import in_use

BLOCK_BYTES = 1 << 22
"""Coordinates of so many bytes are computed at a time, so that no copy of all rows is made."""


@dataclass(frozen=True)
class Ranges:
    """The least and the largest value of some coordinates of rows, but for NaN: a value with a plus."""

    low: Array  #  (m,)
    high: Array  # (m,)

    def __add__(self, other: Ranges) -> Ranges:
        return Ranges(np.fmin(self.low, other.low), np.fmax(self.high, other.high))

    @property
    def lengths(self) -> Array:
        """Return how long (m,) the ranges are."""
        return self.high - self.low


def ranges_of(rows: Rows, center: Array, axes: Array) -> Ranges:
    """Return the ranges of the rows that have weight, from the center, along the features and along axes (d, m)."""
    d, m = axes.shape
    found = Ranges(np.full(d + m, np.inf), np.full(d + m, -np.inf))
    for block in rows.slices(max(1, BLOCK_BYTES // (8 * (d + m)))):
        with in_use(*block.data):
            offsets = block.data[0][block.sample_weight > 0] - center
        if len(offsets):
            turned = np.hstack([offsets, product(offsets, axes)])
            found += Ranges(np.fmin.reduce(turned, axis=0), np.fmax.reduce(turned, axis=0))
    return found


def box_of(rows: RowSource, *, along_features: bool = False) -> Array:
    """Return the smaller of two boxes (d + 1, d) about the rows: along the features, or along the principal axes.

    It is a corner, and the edges from there, which are perpendicular.  It is the hypervolume of Fraley and Raftery
    (1998).  Rows of which values are missing have one along the features alone.
    """
    d = rows.n_features
    if along_features:
        found = rows.summed(partial(ranges_of, center=np.zeros(d), axes=np.empty((d, 0))))
        return np.vstack([found.low, np.diag(found.lengths)])
    moments = moments_of(rows)[0]
    center = moments.means[0]
    axes = eigh(moments.covariances[0])[1] if d > 1 else np.empty((1, 0))
    found = rows.summed(partial(ranges_of, center=center, axes=axes))
    low, lengths = found.low, found.lengths
    with np.errstate(divide="ignore"):
        logs = np.log(lengths)
    if d > 1 and is_extended(found, center) and logs[d:].sum() < logs[:d].sum():
        return np.vstack([center + product(axes, low[d:, np.newaxis])[:, 0], axes.T * lengths[d:, np.newaxis]])
    return np.vstack([center + low[:d], np.diag(lengths[:d])])


def is_extended(found: Ranges, center: Array) -> bool:
    """Return whether the rows extend along each of the last d axes by more than rounding."""
    d = len(center)
    size = np.max(np.abs([found.low[:d], found.high[:d], center]))
    return bool((found.lengths[d:] > d * RESOLUTION * size).all())


def log_volume(box: Array) -> float:
    """Return the logarithm of the volume of a box; minus infinity of one without extent in some direction."""
    edges = box[1:]
    sizes = np.abs(edges).max(axis=1)
    with np.errstate(divide="ignore", invalid="ignore"):  # squares of edges may underflow, their ratios do not
        logs = np.log(sizes) + 0.5 * np.log(((edges / sizes[:, np.newaxis]) ** 2).sum(axis=1))
    return float(np.where(sizes > 0, logs, -np.inf).sum())


def projected(box: Array, features: NDArray[np.intp]) -> Array:
    """Return the box (m + 1, m), along m of the features, about what a box covers there."""
    corner, edges = box[0, features], box[1:, features]
    low, high = np.minimum(edges, 0.0).sum(axis=0), np.maximum(edges, 0.0).sum(axis=0)
    return np.vstack([corner + low, np.diag(high - low)])
