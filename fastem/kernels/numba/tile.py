"""A tile of rows: its arrays, and how rows come in."""
from fastem.kernels.numba.jit import pointwise
from fastem.kernels.numba.vectors import LINE, ROW, TILE


@pointwise
def edge(share, shares, n):
    """Where a share of n slots begins, and the one before it ends."""
    return n * share // shares


def raised(n):
    """n, raised to a multiple of four."""
    return (n + 3) // 4 * 4


def tied_rows(k, d):
    """The rows of a tile of the tied kernel: numbers are raised, so that blocks are whole, and the last hold sums."""
    sums = (raised(k) + raised(d)) * raised(d)
    return 9 + raised(k) + 2 * raised(d) + -(-sums // ROW)


def natural_rows(k, terms):
    """Likewise of the kernel of natural parameters."""
    return 5 + raised(terms) + raised(k) + -(-raised(k) * raised(terms) // ROW)


@pointwise
def cut_tile(rows_of_tile, k, d):
    by_point, weighted, rest = rows_of_tile[:5], rows_of_tile[5:9], rows_of_tile[9:]
    return (rest[:d],               # x         columns of the rows at hand
            rest[2 * d + k:],       # trials    d rows of them, or of what is observed; none where all is
            by_point[0],            # weight    sample weights, 0 behind the last row
            rest[2 * d:2 * d + k],  # density   log2 (weight * density), then 2^(that - top),
                                    #           then weighted responsibility
            by_point[1],            # top       largest log2 density over the components
            by_point[2],            # total     sum of 2^(log density - top), in [1, k]
            by_point[3],            # slope     sum of u 2^u, u = log density - top
            by_point[4],            # scale     weight / total
            rest[d:2 * d],          # residual  x - mean of the component at hand
            weighted)               # weighted  responsibility * residual of four features


@pointwise
def load_columns(X, row, count, length, x):
    """X[row : row + count].T, float64, filled up to `length` with copies of the first row.

    Where a row fills cache lines LINE rows at a time are transposed, so that every line is met once: half the time at
    128 features and 2 components.  Below, columns are faster.
    """
    if count < length:
        for j in range(X.shape[1]):
            for i in range(length):
                x[j, i] = X[row, j]
    if X.shape[1] < LINE:
        transpose(X, row, 0, count, x)
        return
    blocked = count - count % LINE
    for begin in range(0, blocked, LINE):
        transpose(X, row, begin, LINE, x)
    transpose(X, row, blocked, count - blocked, x)


@pointwise
def transpose(X, row, begin, length, x):
    for j in range(X.shape[1]):
        for i in range(length):
            x[j, begin + i] = X[row + begin + i, j]


@pointwise
def load_weights(sample_weight, row, count, weight):
    if count < TILE:
        for i in range(TILE):
            weight[i] = 0.0
    for i in range(count):
        weight[i] = sample_weight[row + i]


@pointwise
def all_unit(sample_weight):
    """Is this the broadcast 1 by which callers say 'no weights'?"""
    return sample_weight.strides[0] == 0 and sample_weight[0] == 1.0


@pointwise
def mark_observed(x, observed):
    """1 where there is a value; 0, and in the place of the value too, where it is missing (NaN)."""
    for j in range(x.shape[0]):
        for i in range(TILE):
            value = x[j, i]
            observed[j, i] = 1.0 if value == value else 0.0
            x[j, i] = value if value == value else 0.0


@pointwise
def drop_rows_without_values(observed, weight):
    """A row of which every value is missing has weight 0."""
    for i in range(TILE):
        most = 0.0
        for j in range(observed.shape[0]):
            most = max(most, observed[j, i])
        weight[i] *= most
