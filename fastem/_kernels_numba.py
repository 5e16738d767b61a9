"""Numba kernels, compiled at the first call: the same names, arguments and sums as the Cython twin `_kernels.pyx`.

Its design note holds here too, but for these points:
 a. Threads: a kernel runs its slots by `prange`, and slot s still writes row s alone, so that the bits do not depend
    on their number.  `kernel.serial` is the same loop without threads, for a forked child and for a thread that finds
    another one inside a launch.
 b. Lanes: there is no `vec`.  Loops over the points of a tile are innermost, and LLVM makes vectors of them; so what
    a vector of the Cython twin holds in a register between two loops is a row of the tile here.
 c. Sums over a tile become scalars at its end and go straight to the slot's row of `sums`; nothing is kept by lane.
 d. One compilation for each of float32 and float64, whatever the strides: the types of all arguments are declared,
    as annotations, and anything that converts to them is taken as it is.
 e. `posterior_*` has no slots: it runs over blocks of POSTERIOR_ROWS rows.
 f. The univariate normal is the diagonal one with d = 1: loops over points are innermost, no loop over d is in their
    way.

A family is two functions of a tile, `densities` and `moments`; all else is written once.
"""
from functools import update_wrapper
from types import FunctionType

import numba
import numpy as np
from llvmlite import ir
from numba import int64, njit, prange, types
from numba.extending import intrinsic

TILE = 256             # points of a tile
FACTORS = 8            # totals, each in [1, k], that are multiplied before one logarithm is taken
POSTERIOR_ROWS = 4096  # rows of a block of posterior_*
LOWEST = -900.0        # a density below 2^-900 of the largest counts as 2^-900 of it, far from subnormal
FAR_OUT = -1e300       # log density of a point out of reach of every component: finite
LN2 = 0.6931471805599453


# ------------------------------------------------------------------------------------------------------ jit policy

POINTWISE = {"contract",  # a * b + c in one instruction
             "nsz",       # the sign of zero is free
             "arcp"}      # x / y as x * (1 / y).  Never nnan or ninf: densities meet infinities, and callers NaN
LANEWISE = POINTWISE | {"reassoc"}  # sums in any order, else a sum over points is no vector.  For functions that sum
#                                     alone: it would fold (x + ROUND_TO_INTEGER) - ROUND_TO_INTEGER away
POLICY = {"nogil": True,              # callers have threads of their own
          "error_model": "numpy"}     # no branch for a division by zero
INNER = {"forceinline": True,         # else every call of a tile counts references to its arrays, atomically
         "no_cpython_wrapper": True,  # not called from Python: half the time of compilation
         "no_cfunc_wrapper": True}

pointwise = njit(fastmath=POINTWISE, **POLICY, **INNER)
lanewise = njit(fastmath=LANEWISE, **POLICY, **INNER)


class Kernel:
    """A kernel for rows of float32 and of float64, each compiled when it is first called.

    Left to itself Numba compiles anew for every mix of C, Fortran, strided and read-only arguments.
    """

    def __init__(self, function, parallel):
        update_wrapper(self, function)
        self.function = function
        self.parallel = parallel
        self.dispatchers = {}

    def __call__(self, X, *args, **kwargs):
        dispatcher = self.dispatchers.get(X.dtype) or self.compile(X.dtype)
        return dispatcher(X, *args, **kwargs)

    def compile_ahead(self):
        for dtype in (np.dtype(np.float32), np.dtype(np.float64)):
            if dtype not in self.dispatchers:
                self.compile(dtype)

    def compile(self, dtype):
        floating = numba.from_dtype(dtype)
        declared = [rows(floating) if t is rows else t for t in self.function.__annotations__.values()]
        try:
            dispatcher = self.jit(types.void(*declared), cache=True)
        except (RuntimeError, OSError):  # no directory that can be written, or it is full: for this process alone
            dispatcher = self.jit(types.void(*declared), cache=False)
        self.dispatchers[dtype] = dispatcher
        return dispatcher

    def jit(self, signature, cache):
        """Compiled, or read from Numba's cache on disk, which looks for changes in this file alone: so all is in it.

        The cache lies where Numba's rules put it: NUMBA_CACHE_DIR, else our __pycache__, else the user's directory.
        Nothing public says "the user's directory" for one function alone, and a setting would move those of others.
        """
        return njit(signature, fastmath=POINTWISE, **POLICY, parallel=self.parallel, cache=cache)(self.function)


def kernel(function):
    """The public face of a kernel: parallel, and `.serial`, which runs the same loop on the calling thread."""
    serial = FunctionType(function.__code__, function.__globals__, function.__name__)
    serial.__annotations__ = function.__annotations__
    # The cache knows a function by its qualified name, not by how it is compiled: equal names would mix the two up.
    serial.__qualname__ = function.__qualname__ + ".serial"
    both = Kernel(function, parallel=True)
    both.serial = Kernel(serial, parallel=False)
    return both


def rows(floating):
    """The type of X: read-only, any strides."""
    return types.Array(floating, 2, "A", readonly=True)


weights = types.Array(types.float64, 1, "A", readonly=True)
vector = types.Array(types.float64, 1, "C", readonly=True)
matrix = types.Array(types.float64, 2, "C", readonly=True)
matrices = types.Array(types.float64, 3, "C", readonly=True)
reals_out = types.Array(types.float64, 1, "A")
labels_out = types.Array(types.int32, 1, "A")
matrix_out = types.Array(types.float64, 2, "A")
sums_out = types.Array(types.float64, 2, "C")


# ------------------------------------------------------------------------------------------------- exp2 and log2

@intrinsic
def as_bits(typingctx, x):
    def bitcast(context, builder, signature, args):
        return builder.bitcast(args[0], ir.IntType(64))
    return types.uint64(types.float64), bitcast


@intrinsic
def as_float(typingctx, x):
    def bitcast(context, builder, signature, args):
        return builder.bitcast(args[0], ir.DoubleType())
    return types.float64(types.uint64), bitcast


ROUND_TO_INTEGER = 1.5 * 2.0**52            # adding it leaves the nearest integer in the low bits of a double
ROUND_BITS = np.uint64(0x4338000000000000)  # of ROUND_TO_INTEGER
ONE_BITS = np.uint64(0x3ff0000000000000)
SQRT_HALF_BITS = np.uint64(0x3fe6a09e667f3bcd)
MANTISSA = np.uint64(52)                    # its length in bits


@pointwise
def exp2_(x):
    """2^x for -1021 <= x <= 1021; `_simd.h` has the reasons."""
    shifted = x + ROUND_TO_INTEGER
    f = x - (shifted - ROUND_TO_INTEGER)
    p = 4.4558179083360645e-10 * f + 7.074194297288521e-09
    p = (p * f + 1.0178057087733941e-07) * f + 1.3215432535912375e-06
    p = (p * f + 1.5252733841556773e-05) * f + 0.00015403530463724353
    p = (p * f + 0.001333355814640647) * f + 0.009618129107587256
    p = (p * f + 0.055504108664821625) * f + 0.24022650695910158
    p = (p * f + 0.6931471805599453) * f + 1.0
    return as_float(as_bits(p) + (as_bits(shifted) << MANTISSA))


@pointwise
def log2_(x):
    """log2 of a positive normal x; `_simd.h` has the reasons."""
    biased = (as_bits(x) - SQRT_HALF_BITS + ONE_BITS) >> MANTISSA
    m = as_float(as_bits(x) - (biased << MANTISSA) + ONE_BITS)
    n = as_float(biased + ROUND_BITS) - (ROUND_TO_INTEGER + 1023.0)
    s = (m - 1.0) / (m + 1.0)
    z = s * s
    p = 0.21366122502798326 * z + 0.22091286734180157
    p = (p * z + 0.26233436060329546) * z + 0.3205985347650481
    p = (p * z + 0.4121985858422942) * z + 0.577078016345514
    p = (p * z + 0.9617966939259898) * z + 2.8853900817779268
    return n + s * p


# ---------------------------------------------------------------------------------------------------------- tiles

@pointwise
def new_tile(k, d, d_trials):
    return (np.empty((d, TILE)),                         # x         columns of the rows at hand
            np.empty((d_trials, TILE)),                  # trials    (d, TILE) or, but for the binomial, (0, TILE)
            np.ones(TILE),                               # weight    sample weights, 0 behind the last row
            np.empty((k, TILE)),                         # density   log2 (weight * density), then 2^(that - top),
                                                         #           then weighted responsibility
            np.empty(TILE),                              # top       largest log2 density over the components
            np.empty(TILE),                              # total     sum of 2^(log density - top), in [1, k]
            np.empty(TILE),                              # slope     sum of u 2^u, u = log density - top
            np.empty(TILE),                              # scale     weight / total
            np.empty((d, TILE)),                         # residual  x - mean of the component at hand
            np.empty((d, TILE)))                         # weighted  responsibility * residual; rows of L residual


@pointwise
def load_columns(X, row, count, x):
    """X[row : row + count].T -> (d, TILE), float64, filled up with copies of the first row."""
    for j in range(x.shape[0]):
        if count < TILE:
            for i in range(TILE):
                x[j, i] = X[row, j]
        for i in range(count):
            x[j, i] = X[row + i, j]


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


# ------------------------------------------------------------------------------------- the E-step of every family

@pointwise
def normalise(weight, density, top, total, slope, scale):
    """Log-sum-exp over the components: responsibility = density * scale."""
    find_top(density, top)
    exponentiate(density, top, total, slope)
    for i in range(TILE):
        scale[i] = weight[i] / total[i]


@pointwise
def find_top(density, top):
    top[:] = FAR_OUT
    for c in range(density.shape[0]):
        for i in range(TILE):
            top[i] = max(top[i], density[c, i])


@pointwise
def exponentiate(density, top, total, slope):
    """With u = log density - top:  density <- e = 2^u,  total <- sum e,  slope <- sum e u."""
    total[:] = 0.0
    slope[:] = 0.0
    for c in range(density.shape[0]):
        for i in range(TILE):
            u = max(LOWEST, max(FAR_OUT, density[c, i]) - top[i])  # in this order: a NaN counts as far out
            e = exp2_(u)
            density[c, i] = e
            total[i] += e
            slope[i] += e * u


@lanewise
def add_logs(weight, top, total, slope, scale, unit, logs):
    """log p = top + log total,  entropy = log total - slope / total."""
    loglik = entropy = totals = 0.0
    for i in range(TILE):
        loglik += weight[i] * top[i]
        entropy -= scale[i] * slope[i]
    for i in range(multiply(total) if unit else TILE):
        totals += weight[i] * log2_(total[i])
    logs[0] += LN2 * (loglik + totals)
    logs[1] += LN2 * (entropy + totals)


@pointwise
def multiply(total):
    """With unit weights the sum of the logs is the log of a product: -> how many products stand in front."""
    products = TILE // FACTORS
    for i in range(products):
        for factor in range(1, FACTORS):
            total[i] *= total[factor * products + i]
    return products


@lanewise
def responsibilities(density, scale, counts):
    """density -> weighted responsibility, in place; adds up the counts."""
    for c in range(density.shape[0]):
        count = 0.0
        for i in range(TILE):
            density[c, i] *= scale[i]
            count += density[c, i]
        counts[c] += count


# ---------------------------------------------------------------------------------------------------- slots of rows

def family(densities, moments):
    """-> accumulate_* of one slot, posterior_* of one block of rows"""

    @pointwise
    def accumulate_slot(slot, slot_rows, X, trials, sample_weight, log_norm, location, scaling, sums):
        k, d = location.shape
        x, tries, weight, density, top, total, slope, scale, residual, weighted = new_tile(k, d, trials.shape[1])
        sums = sums[slot]
        sums[:] = 0.0
        counts, first, second, logs = sums[:k], sums[k:k + k * d], sums[k + k * d:-2], sums[-2:]
        unit = all_unit(sample_weight)
        end = min(X.shape[0], (slot + 1) * slot_rows)
        for row in range(slot * slot_rows, end, TILE):
            count = min(TILE, end - row)
            load_columns(X, row, count, x)
            load_columns(trials, row, count, tries)
            load_weights(sample_weight, row, count, weight)
            densities(x, tries, log_norm, location, scaling, residual, weighted, density)
            normalise(weight, density, top, total, slope, scale)
            add_logs(weight, top, total, slope, scale, unit and count == TILE, logs)
            responsibilities(density, scale, counts)
            moments(x, tries, location, density, residual, weighted, first, second)

    @pointwise
    def posterior_block(block, X, trials, log_norm, location, scaling, log_prob, resp, labels):
        k, d = location.shape
        x, tries, weight, density, top, total, slope, scale, residual, weighted = new_tile(k, d, trials.shape[1])
        end = min(X.shape[0], (block + 1) * POSTERIOR_ROWS)
        for row in range(block * POSTERIOR_ROWS, end, TILE):
            count = min(TILE, end - row)
            load_columns(X, row, count, x)
            load_columns(trials, row, count, tries)
            densities(x, tries, log_norm, location, scaling, residual, weighted, density)
            normalise(weight, density, top, total, slope, scale)
            put_log_prob(top, total, row, count, log_prob)
            put_resp(density, scale, row, count, resp)
            put_labels(density, slope, row, count, labels)

    return accumulate_slot, posterior_block


@pointwise
def put_log_prob(top, total, row, count, log_prob):
    if log_prob.shape[0]:
        for i in range(TILE):
            total[i] = LN2 * (top[i] + log2_(total[i]))
        for i in range(count):
            log_prob[row + i] = total[i]


@pointwise
def put_resp(density, scale, row, count, resp):
    if resp.shape[0]:
        for i in range(count):
            for c in range(density.shape[0]):
                resp[row + i, c] = density[c, i] * scale[i]


@pointwise
def put_labels(density, label, row, count, labels):
    if labels.shape[0]:
        for c in range(density.shape[0] - 1, -1, -1):
            for i in range(TILE):
                label[i] = c if density[c, i] == 1.0 else label[i]  # 2^0: the largest; of equals, the first
        for i in range(count):
            labels[row + i] = int(label[i])


# ----------------------------------------------------------------- normal, univariate and with diagonal covariance

@pointwise
def diag_densities(x, trials, log_norm, means, scale, residual, weighted, density):
    """log2 (weight N(x; mean, diag(sd^2))) = log_norm - sum_j ((x_j - mean_j) scale_j)^2."""
    for c in range(means.shape[0]):
        for i in range(TILE):
            z = (x[0, i] - means[c, 0]) * scale[c, 0]
            density[c, i] = log_norm[c] - z * z
        for j in range(1, means.shape[1]):
            for i in range(TILE):
                z = (x[j, i] - means[c, j]) * scale[c, j]
                density[c, i] -= z * z


@lanewise
def diag_moments(x, trials, means, resp, residual, weighted, first, second):
    k, d = means.shape
    for c in range(k):
        for j in range(d):
            s1 = s2 = 0.0
            for i in range(TILE):
                z = x[j, i] - means[c, j]
                rz = resp[c, i] * z
                s1 += rz
                s2 += rz * z
            first[c * d + j] += s1
            second[c * d + j] += s2


diag_slot, diag_block = family(diag_densities, diag_moments)


@kernel
def accumulate_normal(X: rows,                 # IN   (n, 1)
                      sample_weight: weights,  # IN   (n,)
                      slot_rows: int64,        # IN           rows of a slot
                      log_norm: vector,        # IN   (k,)    log2 of weight / (sd sqrt(2 pi))
                      means: matrix,           # IN   (k, 1)
                      scale: matrix,           # IN   (k, 1)  sqrt(log2(e) / 2) / sd
                      sums: sums_out):         # OUT  (s, 3 k + 2)
    # -> per slot: sum w r, sum w r (x - mean), sum w r (x - mean)^2, sum w log p(x), -sum w sum_k r log r
    for slot in prange(sums.shape[0]):
        diag_slot(int64(slot), slot_rows, X, X[:, :0], sample_weight, log_norm, means, scale, sums)


@kernel
def posterior_normal(X: rows,                # IN   (n, 1)
                     log_norm: vector,       # IN   (k,)    tables as for accumulate_normal
                     means: matrix,          # IN   (k, 1)
                     scale: matrix,          # IN   (k, 1)
                     log_prob: reals_out,    # OUT  (n,)    or (0,)
                     resp: matrix_out,       # OUT  (n, k)  or (0, k)
                     labels: labels_out):    # OUT  (n,)    or (0,)
    # -> log density, responsibilities and most probable component of each row
    for block in prange(-(-X.shape[0] // POSTERIOR_ROWS)):
        diag_block(int64(block), X, X[:, :0], log_norm, means, scale, log_prob, resp, labels)


@kernel
def accumulate_mvnormal_diag(X: rows,                 # IN   (n, d)
                             sample_weight: weights,  # IN   (n,)
                             slot_rows: int64,        # IN           rows of a slot
                             log_norm: vector,        # IN   (k,)    log2 of weight / prod_j (sd_j sqrt(2 pi))
                             means: matrix,           # IN   (k, d)
                             scale: matrix,           # IN   (k, d)  sqrt(log2(e) / 2) / sd
                             sums: sums_out):         # OUT  (s, k + 2 k d + 2)
    # -> per slot: sum w r, sum w r (x - mean), sum w r (x - mean)^2, sum w log p(x), -sum w sum_k r log r
    for slot in prange(sums.shape[0]):
        diag_slot(int64(slot), slot_rows, X, X[:, :0], sample_weight, log_norm, means, scale, sums)


@kernel
def posterior_mvnormal_diag(X: rows,                # IN   (n, d)
                            log_norm: vector,       # IN   (k,)    tables as for accumulate_mvnormal_diag
                            means: matrix,          # IN   (k, d)
                            scale: matrix,          # IN   (k, d)
                            log_prob: reals_out,    # OUT  (n,)    or (0,)
                            resp: matrix_out,       # OUT  (n, k)  or (0, k)
                            labels: labels_out):    # OUT  (n,)    or (0,)
    # -> log density, responsibilities and most probable component of each row
    for block in prange(-(-X.shape[0] // POSTERIOR_ROWS)):
        diag_block(int64(block), X, X[:, :0], log_norm, means, scale, log_prob, resp, labels)


# ----------------------------------------------------------------------------- multivariate normal, full covariance

@pointwise
def full_densities(x, trials, log_norm, means, factor, residual, y, density):
    """log2 (weight N(x; mean, S)) = log_norm - |L (x - mean)|^2, L^T L = log2(e) / 2 S^-1, L lower triangular."""
    k, d = means.shape
    for c in range(k):
        for i in range(TILE):
            density[c, i] = log_norm[c]
        for j in range(d):
            for i in range(TILE):
                residual[j, i] = x[j, i] - means[c, j]
                y[j, i] = 0.0
        blocked = d - d % 4
        for row in range(0, blocked, 4):
            for j in range(0, row + 4, 4):       # L is zero right of its diagonal
                whiten_4x4(factor, c, row, j, residual, y)
        for row in range(blocked, d):
            for j in range(row + 1):
                for i in range(TILE):
                    y[row, i] += factor[c, row, j] * residual[j, i]
        for j in range(d):
            for i in range(TILE):
                density[c, i] -= y[j, i] * y[j, i]


@pointwise
def whiten_4x4(L, c, p, q, z, y):
    """y[p : p + 4] += L[p : p + 4, q : q + 4] z[q : q + 4]: 8 loads and 4 stores for 16 products."""
    l00, l01, l02, l03 = L[c, p, q], L[c, p, q + 1], L[c, p, q + 2], L[c, p, q + 3]
    l10, l11, l12, l13 = L[c, p + 1, q], L[c, p + 1, q + 1], L[c, p + 1, q + 2], L[c, p + 1, q + 3]
    l20, l21, l22, l23 = L[c, p + 2, q], L[c, p + 2, q + 1], L[c, p + 2, q + 2], L[c, p + 2, q + 3]
    l30, l31, l32, l33 = L[c, p + 3, q], L[c, p + 3, q + 1], L[c, p + 3, q + 2], L[c, p + 3, q + 3]
    for i in range(TILE):
        z0, z1, z2, z3 = z[q, i], z[q + 1, i], z[q + 2, i], z[q + 3, i]
        y[p, i] = y[p, i] + l00 * z0 + l01 * z1 + l02 * z2 + l03 * z3
        y[p + 1, i] = y[p + 1, i] + l10 * z0 + l11 * z1 + l12 * z2 + l13 * z3
        y[p + 2, i] = y[p + 2, i] + l20 * z0 + l21 * z1 + l22 * z2 + l23 * z3
        y[p + 3, i] = y[p + 3, i] + l30 * z0 + l31 * z1 + l32 * z2 + l33 * z3


@lanewise
def full_moments(x, trials, means, resp, residual, weighted, first, second):
    k, d = means.shape
    for c in range(k):
        for j in range(d):
            s1 = 0.0
            for i in range(TILE):
                z = x[j, i] - means[c, j]
                residual[j, i] = z
                weighted[j, i] = resp[c, i] * z
                s1 += weighted[j, i]
            first[c * d + j] += s1
        blocked = d - d % 4
        for row in range(0, blocked, 4):
            for j in range(0, row + 4, 4):
                outer_4x4(weighted, row, residual, j, second, (c * d + row) * d + j, d)
        for row in range(blocked, d):
            for j in range(row + 1):
                s2 = 0.0
                for i in range(TILE):
                    s2 += weighted[row, i] * residual[j, i]
                second[(c * d + row) * d + j] += s2


@lanewise
def outer_4x4(a, p, b, q, second, at, d):
    """a[p : p + 4] b[q : q + 4]^T, into the matrix at `at`: 16 sums in registers, 8 loads for 16 products."""
    s00 = s01 = s02 = s03 = s10 = s11 = s12 = s13 = s20 = s21 = s22 = s23 = s30 = s31 = s32 = s33 = 0.0
    for i in range(TILE):
        a0, a1, a2, a3 = a[p, i], a[p + 1, i], a[p + 2, i], a[p + 3, i]
        b0, b1, b2, b3 = b[q, i], b[q + 1, i], b[q + 2, i], b[q + 3, i]
        s00, s01, s02, s03 = s00 + a0 * b0, s01 + a0 * b1, s02 + a0 * b2, s03 + a0 * b3
        s10, s11, s12, s13 = s10 + a1 * b0, s11 + a1 * b1, s12 + a1 * b2, s13 + a1 * b3
        s20, s21, s22, s23 = s20 + a2 * b0, s21 + a2 * b1, s22 + a2 * b2, s23 + a2 * b3
        s30, s31, s32, s33 = s30 + a3 * b0, s31 + a3 * b1, s32 + a3 * b2, s33 + a3 * b3
    add_four(second, at, s00, s01, s02, s03)
    add_four(second, at + d, s10, s11, s12, s13)
    add_four(second, at + 2 * d, s20, s21, s22, s23)
    add_four(second, at + 3 * d, s30, s31, s32, s33)


@pointwise
def add_four(out, at, s0, s1, s2, s3):
    out[at] += s0
    out[at + 1] += s1
    out[at + 2] += s2
    out[at + 3] += s3


@pointwise
def mirror(second, k, d):
    """(k, d, d) lower triangles -> symmetric matrices."""
    for c in range(k):
        for i in range(d):
            for j in range(i):
                second[(c * d + j) * d + i] = second[(c * d + i) * d + j]


full_slot, full_block = family(full_densities, full_moments)


@kernel
def accumulate_mvnormal_full(X: rows,                 # IN   (n, d)
                             sample_weight: weights,  # IN   (n,)
                             slot_rows: int64,        # IN              rows of a slot
                             log_norm: vector,        # IN   (k,)       log2 of weight / sqrt(det(2 pi S))
                             means: matrix,           # IN   (k, d)
                             factor: matrices,        # IN   (k, d, d)  lower L, L^T L = log2(e) / 2 S^-1
                             sums: sums_out):         # OUT  (s, k + k d + k d d + 2)
    # -> per slot: sum w r, sum w r (x - mean), sum w r (x - mean)(x - mean)^T, sum w log p(x), -sum w sum_k r log r
    for slot in prange(sums.shape[0]):
        full_slot(int64(slot), slot_rows, X, X[:, :0], sample_weight, log_norm, means, factor, sums)
        mirror(sums[slot, means.size + means.shape[0]:], means.shape[0], means.shape[1])


@kernel
def posterior_mvnormal_full(X: rows,                # IN   (n, d)
                            log_norm: vector,       # IN   (k,)       tables as for accumulate_mvnormal_full
                            means: matrix,          # IN   (k, d)
                            factor: matrices,       # IN   (k, d, d)
                            log_prob: reals_out,    # OUT  (n,)       or (0,)
                            resp: matrix_out,       # OUT  (n, k)     or (0, k)
                            labels: labels_out):    # OUT  (n,)       or (0,)
    # -> log density, responsibilities and most probable component of each row
    for block in prange(-(-X.shape[0] // POSTERIOR_ROWS)):
        full_block(int64(block), X, X[:, :0], log_norm, means, factor, log_prob, resp, labels)


# --------------------------------------------------------------------------------------------------------- binomial

@pointwise
def binomial_densities(x, trials, log_norm, log_p, log_q, residual, weighted, density):
    """log2 (weight prod_j p_j^x_j q_j^(trials_j - x_j)), without the binomial coefficients."""
    for c in range(log_p.shape[0]):
        for i in range(TILE):
            density[c, i] = log_norm[c]
        for j in range(log_p.shape[1]):
            for i in range(TILE):
                density[c, i] += x[j, i] * log_p[c, j] + (trials[j, i] - x[j, i]) * log_q[c, j]


@lanewise
def binomial_moments(x, trials, log_p, resp, residual, weighted, first, second):
    k, d = log_p.shape
    for c in range(k):
        for j in range(d):
            successes = failures = 0.0
            for i in range(TILE):
                successes += resp[c, i] * x[j, i]
                failures += resp[c, i] * (trials[j, i] - x[j, i])
            first[c * d + j] += successes
            second[c * d + j] += failures


binomial_slot, binomial_block = family(binomial_densities, binomial_moments)


@kernel
def accumulate_binomial(X: rows,                 # IN   (n, d)  successes
                        trials: rows,            # IN   (n, d)
                        sample_weight: weights,  # IN   (n,)
                        slot_rows: int64,        # IN           rows of a slot
                        log_norm: vector,        # IN   (k,)    log2 of weight
                        log_p: matrix,           # IN   (k, d)  log2 of p, finite
                        log_q: matrix,           # IN   (k, d)  log2 of 1 - p, finite
                        sums: sums_out):         # OUT  (s, k + 2 k d + 2)
    # -> per slot: sum w r, sum w r x, sum w r (trials - x), sum w log p(x), -sum w sum_k r log r;
    #    log p(x) without the binomial coefficients
    for slot in prange(sums.shape[0]):
        binomial_slot(int64(slot), slot_rows, X, trials, sample_weight, log_norm, log_p, log_q, sums)


@kernel
def posterior_binomial(X: rows,                # IN   (n, d)  successes
                       trials: rows,           # IN   (n, d)
                       log_norm: vector,       # IN   (k,)    tables as for accumulate_binomial
                       log_p: matrix,          # IN   (k, d)
                       log_q: matrix,          # IN   (k, d)
                       log_prob: reals_out,    # OUT  (n,)    or (0,)
                       resp: matrix_out,       # OUT  (n, k)  or (0, k)
                       labels: labels_out):    # OUT  (n,)    or (0,)
    # -> log density without the binomial coefficients, responsibilities and most probable component of each row
    for block in prange(-(-X.shape[0] // POSTERIOR_ROWS)):
        binomial_block(int64(block), X, trials, log_norm, log_p, log_q, log_prob, resp, labels)


# -------------------------------------------------------------------------------------------- k-means, for the starts

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
        c = label[i]
        sums[c] += weight[i]
        for j in range(d):
            sums[k + c * d + j] += weight[i] * (x[j, i] - centers[c, j])
        sums[k + k * d] += weight[i] * smallest[i]


@pointwise
def nearest_slot(slot, slot_rows, X, sample_weight, centers, scale, distances, labels, sums):
    x, weight = np.empty((centers.shape[1], TILE)), np.empty(TILE)
    square, smallest, label = np.empty(TILE), np.empty(TILE), np.empty(TILE, np.int64)
    sums = sums[slot]
    sums[:] = 0.0
    end = min(X.shape[0], (slot + 1) * slot_rows)
    for row in range(slot * slot_rows, end, TILE):
        count = min(TILE, end - row)
        load_columns(X, row, count, x)
        load_weights(sample_weight, row, count, weight)
        nearest_center(x, centers, scale, square, smallest, label)
        add_nearest(x, weight, centers, smallest, label, count, sums)
        for i in range(count):
            distances[row + i] = smallest[i]
            labels[row + i] = label[i]


@kernel
def nearest(X: rows,                 # IN   (n, d)
            sample_weight: weights,  # IN   (n,)
            slot_rows: int64,        # IN           rows of a slot
            centers: matrix,         # IN   (k, d)
            scale: vector,           # IN   (d,)    distances are sum_j ((x_j - center_j) scale_j)^2
            distances: reals_out,    # OUT  (n,)    smallest squared distance
            labels: labels_out,      # OUT  (n,)    the center it belongs to
            sums: sums_out):         # OUT  (s, k + k d + 1)
    # -> per slot: sum w, sum w (x - center) of the rows nearest to each center; sum w * distance
    for slot in prange(sums.shape[0]):
        nearest_slot(int64(slot), slot_rows, X, sample_weight, centers, scale, distances, labels, sums)
