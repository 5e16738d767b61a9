"""Nearest centers: k-means, for the starts."""
import numpy as np
from numba import int64, prange

from fastem.kernels.numba.jit import (
    kernel,
    labels_out,
    matrix,
    pointwise,
    reals_out,
    rows,
    sums_out,
    tiles_scratch,
    vector,
    weights,
)
from fastem.kernels.numba.tile import edge, load_columns, load_weights
from fastem.kernels.numba.vectors import TILE, borrowed


@pointwise
def nearest_center(x, centers, scale, square, smallest, label):
    """Smallest scaled squared distance, and which center is there; ties go to the first."""
    for i in range(TILE):
        smallest[i] = np.inf
        label[i] = 0
    for c in range(centers.shape[0]):
        for i in range(TILE):
            square[i] = 0.0
        for j in range(centers.shape[1]):
            for i in range(TILE):
                z = (x[j, i] - centers[c, j]) * scale[j]
                square[i] += z * z
        for i in range(TILE):
            label[i] = c if square[i] < smallest[i] else label[i]
            smallest[i] = min(smallest[i], square[i])


@pointwise
def add_nearest(x, weight, centers, smallest, label, count, sums):
    k, d = centers.shape
    for i in range(count):
        c = int(label[i])
        sums[c] += weight[i]
        for j in range(d):
            sums[k + c * d + j] += weight[i] * (x[j, i] - centers[c, j])
        sums[k + k * d] += weight[i] * smallest[i]


@pointwise
def nearest_share(share, tiles, slot_rows, X, sample_weight, centers, scale, distances, labels, sums):
    tile = borrowed(tiles[share])
    weight, square, smallest, label, x = tile[0], tile[1], tile[2], tile[3], tile[4:4 + X.shape[1]]
    for slot in range(edge(share, len(tiles), len(sums)), edge(share + 1, len(tiles), len(sums))):
        own = sums[slot]
        own[:] = 0.0
        end = min(X.shape[0], (slot + 1) * slot_rows)
        for row in range(slot * slot_rows, end, TILE):
            count = min(TILE, end - row)
            load_columns(X, row, count, TILE, x)
            load_weights(sample_weight, row, count, weight)
            nearest_center(x, centers, scale, square, smallest, label)
            add_nearest(x, weight, centers, smallest, label, count, own)
            for i in range(count):
                distances[row + i] = smallest[i]
                labels[row + i] = int(label[i])


@kernel
def nearest(X: rows,                 # IN   (n, d)
            sample_weight: weights,  # IN   (n,)
            slot_rows: int64,        # IN           rows of a slot
            centers: matrix,         # IN   (k, d)
            scale: vector,           # IN   (d,)    distances are sum_j ((x_j - center_j) scale_j)^2
            distances: reals_out,    # OUT  (n,)    smallest squared distance
            labels: labels_out,      # OUT  (n,)    the center it belongs to
            sums: sums_out,          # OUT  (s, k + k d + 1)
            tiles: tiles_scratch):  # SCRATCH
    # -> per slot: sum w, sum w (x - center) of the rows nearest to each center; sum w * distance
    for share in prange(len(tiles)):
        nearest_share(int64(share), tiles, slot_rows, X, sample_weight, centers, scale, distances, labels, sums)
