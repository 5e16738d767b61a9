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
import operator
from functools import update_wrapper
from types import FunctionType

import numba
import numpy as np
from llvmlite import binding, ir
from numba import int64, njit, prange, types
from numba.core.cgutils import unpack_tuple
from numba.extending import intrinsic, lower_builtin, models, register_model, type_callable

PROCESSOR = binding.get_host_cpu_features()
LANES = 8 if PROCESSOR.get("avx512f") else 4 if PROCESSOR.get("avx") else 2  # doubles of a register
TILE = 256                # points of a tile
VECTORS = TILE // LANES   # vectors of a column of a tile
PAIRS = VECTORS // 2
CACHE_LINE = 8            # doubles of one
LARGEST_PRODUCT_K = 128   # 128^VECTORS is finite, whatever LANES is
POSTERIOR_ROWS = 4096     # rows of a block of posterior_*
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


# ---------------------------------------------------------------------------------------------------------- vectors

class Vector(types.Type):
    """Numbers of as many points, one per lane.  LLVM makes registers and instructions of it that the processor has."""

    def __init__(self, name, element, lanes):
        super().__init__(name)
        self.llvm = ir.VectorType(element, lanes)


@register_model(Vector)
class VectorModel(models.PrimitiveModel):
    def __init__(self, manager, vector):
        super().__init__(manager, vector, vector.llvm)


vec = Vector("vec", ir.DoubleType(), LANES)         # one register
pair = Vector("pair", ir.DoubleType(), 2 * LANES)   # two, where a number read from a table should serve for both
vec_bits = Vector("vec_bits", ir.IntType(64), LANES)
pair_bits = Vector("pair_bits", ir.IntType(64), 2 * LANES)


def shuffled(builder, v, lanes, w=None):
    """Lanes of v, or of v and w one behind the other."""
    mask = ir.Constant(ir.VectorType(ir.IntType(32), len(lanes)), list(lanes))
    return builder.shuffle_vector(v, v if w is None else w, mask)


def splat(builder, value, vector):
    one = builder.insert_element(ir.Constant(vector.llvm, ir.Undefined), value, ir.IntType(32)(0))
    return shuffled(builder, one, [0] * vector.llvm.count)


def operator_of(operation, vector, scalar, instruction):
    """Teach Numba `vector operation vector`, and the same with a scalar on either side."""
    def typed(a, b):
        return vector if vector in (a, b) and {a, b} <= {vector, scalar} else None

    def lowered(context, builder, signature, args):
        a, b = (splat(builder, value, vector) if kind == scalar else value
                for value, kind in zip(args, signature.args, strict=True))
        return getattr(builder, instruction)(a, b)

    type_callable(operation)(lambda context: typed)
    for operands in ((vector, vector), (vector, scalar), (scalar, vector)):
        lower_builtin(operation, *operands)(lowered)


for real in (vec, pair):
    operator_of(operator.add, real, types.float64, "fadd")
    operator_of(operator.sub, real, types.float64, "fsub")
    operator_of(operator.mul, real, types.float64, "fmul")
    operator_of(operator.truediv, real, types.float64, "fdiv")
for integer in (vec_bits, pair_bits):
    operator_of(operator.add, integer, types.uint64, "add")
    operator_of(operator.sub, integer, types.uint64, "sub")
    operator_of(operator.lshift, integer, types.uint64, "shl")
    operator_of(operator.rshift, integer, types.uint64, "lshr")


def vector_pointer(context, builder, array_type, array, index, vector):
    """Where vector number index[-1] of a column, or of row index[0] of a tile, stands."""
    at = builder.mul(index[-1], index[-1].type(vector.llvm.count))
    if len(index) == 2:
        at = builder.add(at, builder.mul(index[0], index[0].type(TILE)))
    data = context.make_array(array_type)(context, builder, array).data
    return builder.bitcast(builder.gep(data, [at]), vector.llvm.as_pointer())


def loader(vector):
    def load(typingctx, array, *index):
        def lowered(context, builder, signature, args):
            pointer = vector_pointer(context, builder, array, args[0], unpack_tuple(builder, args[1]), vector)
            return builder.load(pointer, align=8)
        return vector(array, types.StarArgTuple.from_types(index)), lowered
    return intrinsic(load)


load = loader(vec)        # load(a, j, i): vector i of row j; load(a, i), if there is one row
load_two = loader(pair)


@intrinsic
def store(typingctx, array, *index_and_value):
    def lowered(context, builder, signature, args):
        *index, value = unpack_tuple(builder, args[1])
        pointer = vector_pointer(context, builder, array, args[0], index, index_and_value[-1])
        builder.store(value, pointer, align=8)
        return context.get_dummy_value()
    return types.void(array, types.StarArgTuple.from_types(index_and_value)), lowered


def broadcaster(vector):
    def broadcast(typingctx, value):
        def lowered(context, builder, signature, args):
            return splat(builder, args[0], vector)
        return vector(types.float64), lowered
    return intrinsic(broadcast)


broadcast = broadcaster(vec)
broadcast_two = broadcaster(pair)


@intrinsic
def larger(typingctx, a, b):
    """Of a vector and a vector or number; b if a is a NaN."""
    def lowered(context, builder, signature, args):
        v, w = args if b == a else (args[0], splat(builder, args[1], a))
        return builder.select(builder.fcmp_ordered(">", v, w), v, w)
    return a(a, b), lowered


@intrinsic
def add_lane_sums(typingctx, out, at, *vectors):
    """out[at : at + n] += sum over the lanes of each of n vectors: neighbours are added until one number is left."""
    def lowered(context, builder, signature, args):
        sums = list(unpack_tuple(builder, args[2]))
        while len(sums) & (len(sums) - 1):  # to a power of two, by lanes that nobody reads
            sums.append(sums[-1])
        while len(sums) > 1:                # one behind the other
            sums = [shuffled(builder, a, range(2 * a.type.count), b)
                    for a, b in zip(sums[::2], sums[1::2], strict=True)]
        total = sums[0]
        while total.type.count >= 2 * len(vectors):
            even, odd = range(0, total.type.count, 2), range(1, total.type.count, 2)
            total = builder.fadd(shuffled(builder, total, even), shuffled(builder, total, odd))
        total = shuffled(builder, total, range(len(vectors)))
        data = context.make_array(out)(context, builder, args[0]).data
        pointer = builder.bitcast(builder.gep(data, [args[1]]), total.type.as_pointer())
        builder.store(builder.fadd(builder.load(pointer, align=8), total), pointer, align=8)
        return context.get_dummy_value()
    return types.void(out, types.intp, types.StarArgTuple.from_types(vectors)), lowered


# ------------------------------------------------------------------------------------------------- exp2 and log2

BITS = {types.float64: types.uint64, vec: vec_bits, pair: pair_bits}
REALS = {bits: real for real, bits in BITS.items()}


def bitcast(context, builder, signature, args):
    return builder.bitcast(args[0], context.get_value_type(signature.return_type))


@intrinsic
def as_bits(typingctx, x):
    return BITS[x](x), bitcast


@intrinsic
def as_float(typingctx, x):
    return REALS[x](x), bitcast


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
    block = line_aligned(9 + k + 2 * d + d_trials)
    point, weighted, wide = block[:5], block[5:9], block[9:]
    point[0] = 1.0
    return (wide[:d],                  # x         columns of the rows at hand
            wide[2 * d + k:],          # trials    (d, TILE) or, but for the binomial, (0, TILE)
            point[0],                  # weight    sample weights, 0 behind the last row
            wide[2 * d:2 * d + k],     # density   log2 (weight * density), then 2^(that - top),
                                       #           then weighted responsibility
            point[1],                  # top       largest log2 density over the components
            point[2],                  # total     sum of 2^(log density - top), in [1, k]
            point[3],                  # slope     sum of u 2^u, u = log density - top
            point[4],                  # scale     weight / total
            wide[d:2 * d],             # residual  x - mean of the component at hand
            weighted)                  # weighted  responsibility * residual of four features


@pointwise
def line_aligned(rows):
    """(rows, TILE) from a new cache line on: a vector that crosses one costs two accesses."""
    flat = np.empty(rows * TILE + CACHE_LINE)
    skip = -(flat.ctypes.data // flat.itemsize) % CACHE_LINE
    return flat[skip:skip + rows * TILE].reshape(rows, TILE)


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
    """Log-sum-exp over the components: responsibility = density * scale.

    With u = log density - top:  density <- e = 2^u,  total <- sum e,  slope <- sum e u.
    """
    for i in range(VECTORS):
        highest = largest(density, i)
        sum_e = sum_eu = broadcast(0.0)
        for c in range(density.shape[0]):
            u = larger(larger(load(density, c, i), FAR_OUT) - highest, LOWEST)
            e = exp2_(u)
            store(density, c, i, e)
            sum_e = sum_e + e
            sum_eu = sum_eu + e * u
        store(top, i, highest)
        store(total, i, sum_e)
        store(slope, i, sum_eu)
        store(scale, i, load(weight, i) / sum_e)


@pointwise
def largest(density, i):
    highest = broadcast(FAR_OUT)
    for c in range(density.shape[0]):
        highest = larger(load(density, c, i), highest)  # in this order: a NaN counts as far out
    return highest


@pointwise
def add_logs(weight, top, total, slope, scale, product, logs):
    """log p = top + log total,  entropy = log total - slope / total."""
    loglik = entropy = broadcast(0.0)
    for i in range(VECTORS):
        loglik = loglik + load(weight, i) * load(top, i)
        entropy = entropy - load(scale, i) * load(slope, i)
    totals = log_of_product(total) if product else sum_of_logs(weight, total)
    add_lane_sums(logs, 0, LN2 * (loglik + totals), LN2 * (entropy + totals))


@pointwise
def log_of_product(total):
    """With unit weights the sum of the logs is the log of a product: VECTORS factors in [1, k]."""
    product = broadcast(1.0)
    for i in range(VECTORS):
        product = product * load(total, i)
    return log2_(product)


@pointwise
def sum_of_logs(weight, total):
    logs = broadcast(0.0)
    for i in range(VECTORS):
        logs = logs + load(weight, i) * log2_(load(total, i))
    return logs


@pointwise
def responsibilities(density, scale, counts):
    """density -> weighted responsibility, in place; adds up the counts."""
    for c in range(density.shape[0]):
        count = broadcast(0.0)
        for i in range(VECTORS):
            r = load(density, c, i) * load(scale, i)
            store(density, c, i, r)
            count = count + r
        add_lane_sums(counts, c, count)


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
        product = all_unit(sample_weight) and k <= LARGEST_PRODUCT_K
        end = min(X.shape[0], (slot + 1) * slot_rows)
        for row in range(slot * slot_rows, end, TILE):
            count = min(TILE, end - row)
            load_columns(X, row, count, x)
            load_columns(trials, row, count, tries)
            load_weights(sample_weight, row, count, weight)
            densities(x, tries, log_norm, location, scaling, residual, density)
            normalise(weight, density, top, total, slope, scale)
            add_logs(weight, top, total, slope, scale, product and count == TILE, logs)
            responsibilities(density, scale, counts)
            moments(x, tries, location, density, residual, weighted, first, second)

    @pointwise
    def posterior_block(block, X, trials, log_norm, location, scaling, log_prob, resp, labels):
        k, d = location.shape
        x, tries, weight, density, top, total, slope, scale, residual, _ = new_tile(k, d, trials.shape[1])
        end = min(X.shape[0], (block + 1) * POSTERIOR_ROWS)
        for row in range(block * POSTERIOR_ROWS, end, TILE):
            count = min(TILE, end - row)
            load_columns(X, row, count, x)
            load_columns(trials, row, count, tries)
            densities(x, tries, log_norm, location, scaling, residual, density)
            normalise(weight, density, top, total, slope, scale)
            put_log_prob(top, total, row, count, log_prob)
            put_resp(density, scale, row, count, resp)
            put_labels(density, slope, row, count, labels)

    return accumulate_slot, posterior_block


@pointwise
def put_log_prob(top, total, row, count, log_prob):
    if log_prob.shape[0]:
        for i in range(VECTORS):
            store(total, i, LN2 * (load(top, i) + log2_(load(total, i))))
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
def diag_densities(x, trials, log_norm, means, scale, residual, density):
    """log2 (weight N(x; mean, diag(sd^2))) = log_norm - sum_j ((x_j - mean_j) scale_j)^2."""
    for c in range(means.shape[0]):
        for i in range(PAIRS):
            log_density = broadcast_two(log_norm[c])
            for j in range(means.shape[1]):
                z = (load_two(x, j, i) - means[c, j]) * scale[c, j]
                log_density = log_density - z * z
            store(density, c, i, log_density)


@pointwise
def diag_moments(x, trials, means, resp, residual, weighted, first, second):
    k, d = means.shape
    for c in range(k):
        for j in range(d):
            s1 = s2 = broadcast_two(0.0)
            for i in range(PAIRS):
                z = load_two(x, j, i) - means[c, j]
                rz = load_two(resp, c, i) * z
                s1 = s1 + rz
                s2 = s2 + rz * z
            add_lane_sums(first, c * d + j, s1)
            add_lane_sums(second, c * d + j, s2)


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
def full_densities(x, trials, log_norm, means, factor, residual, density):
    """log2 (weight N(x; mean, S)) = log_norm - |L (x - mean)|^2, L^T L = log2(e) / 2 S^-1, L lower triangular."""
    for c in range(means.shape[0]):
        for i in range(PAIRS):
            store(density, c, i, log_norm[c] - squared_norm(x, means, factor, c, i, residual))


@pointwise
def squared_norm(x, means, L, c, i, residual):
    """|L (x - mean)|^2, for a pair of vectors; rows of L by fours, so that a residual is read once for four of them."""
    d = means.shape[1]
    square = broadcast_two(0.0)
    blocked = d - d % 4
    for row in range(0, blocked, 4):
        y0, y1, y2, y3 = whiten_diagonal(x, means, L, c, i, row, residual)
        for j in range(row):
            z = load_two(residual, j, i)
            y0 = y0 + L[c, row, j] * z
            y1 = y1 + L[c, row + 1, j] * z
            y2 = y2 + L[c, row + 2, j] * z
            y3 = y3 + L[c, row + 3, j] * z
        square = square + ((y0 * y0 + y1 * y1) + (y2 * y2 + y3 * y3))
    for row in range(blocked, d):
        y0 = L[c, row, row] * keep_residual(x, means, c, row, i, residual)
        for j in range(row):
            y0 = y0 + L[c, row, j] * load_two(residual, j, i)
        square = square + y0 * y0
    return square


@pointwise
def keep_residual(x, means, c, j, i, residual):
    """x_j - mean_j, kept for the rows of L below."""
    z = load_two(x, j, i) - means[c, j]
    store(residual, j, i, z)
    return z


@pointwise
def whiten_diagonal(x, means, L, c, i, p, residual):
    """L[p : p + 4, p : p + 4] (x - mean)[p : p + 4], a triangle."""
    z = keep_residual(x, means, c, p, i, residual)
    y0, y1, y2, y3 = L[c, p, p] * z, L[c, p + 1, p] * z, L[c, p + 2, p] * z, L[c, p + 3, p] * z
    z = keep_residual(x, means, c, p + 1, i, residual)
    y1, y2, y3 = y1 + L[c, p + 1, p + 1] * z, y2 + L[c, p + 2, p + 1] * z, y3 + L[c, p + 3, p + 1] * z
    z = keep_residual(x, means, c, p + 2, i, residual)
    y2, y3 = y2 + L[c, p + 2, p + 2] * z, y3 + L[c, p + 3, p + 2] * z
    z = keep_residual(x, means, c, p + 3, i, residual)
    return y0, y1, y2, y3 + L[c, p + 3, p + 3] * z


@pointwise
def full_moments(x, trials, means, resp, residual, weighted, first, second):
    """The second moments in 4 x 4 blocks, row by row of blocks: `weighted` holds the four features of such a row."""
    k, d = means.shape
    blocked = d - d % 4
    for c in range(k):
        for row in range(0, blocked, 4):
            at = (c * d + row) * d
            diagonal_4x4(x, means, resp, c, row, residual, weighted, first, second, at + row)
            for j in range(0, row, 4):
                outer_4x4(weighted, residual, j, second, at + j, d)
        for row in range(blocked, d):
            add_weighted(x, means, resp, c, row, residual, weighted, first)
            for j in range(row + 1):
                dot(weighted, residual, j, second, (c * d + row) * d + j)


@pointwise
def add_weighted(x, means, resp, c, j, residual, weighted, first):
    """residual[j] <- x_j - mean_j, weighted[0] <- resp * that, and the first moment"""
    s1 = broadcast(0.0)
    for i in range(VECTORS):
        z = load(x, j, i) - means[c, j]
        rz = load(resp, c, i) * z
        store(residual, j, i, z)
        store(weighted, 0, i, rz)
        s1 = s1 + rz
    add_lane_sums(first, c * means.shape[1] + j, s1)


@pointwise
def dot(a, b, q, second, at):
    s2 = broadcast(0.0)
    for i in range(VECTORS):
        s2 = s2 + load(a, 0, i) * load(b, q, i)
    add_lane_sums(second, at, s2)


@pointwise
def diagonal_4x4(x, means, resp, c, p, residual, weighted, first, second, at):
    """Residuals, weighted residuals and first moments of four features, and the triangle of their second moments."""
    d = means.shape[1]
    f0 = f1 = f2 = f3 = s00 = s10 = s11 = s20 = s21 = s22 = s30 = s31 = s32 = s33 = broadcast(0.0)
    for i in range(VECTORS):
        r = load(resp, c, i)
        z0, z1 = load(x, p, i) - means[c, p], load(x, p + 1, i) - means[c, p + 1]
        z2, z3 = load(x, p + 2, i) - means[c, p + 2], load(x, p + 3, i) - means[c, p + 3]
        a0, a1, a2, a3 = r * z0, r * z1, r * z2, r * z3
        store_four(residual, p, i, z0, z1, z2, z3)
        store_four(weighted, 0, i, a0, a1, a2, a3)
        f0, f1, f2, f3 = f0 + a0, f1 + a1, f2 + a2, f3 + a3
        s00 = s00 + a0 * z0
        s10, s11 = s10 + a1 * z0, s11 + a1 * z1
        s20, s21, s22 = s20 + a2 * z0, s21 + a2 * z1, s22 + a2 * z2
        s30, s31, s32, s33 = s30 + a3 * z0, s31 + a3 * z1, s32 + a3 * z2, s33 + a3 * z3
    add_lane_sums(first, c * d + p, f0, f1, f2, f3)
    add_lane_sums(second, at, s00)
    add_lane_sums(second, at + d, s10, s11)
    add_lane_sums(second, at + 2 * d, s20, s21, s22)
    add_lane_sums(second, at + 3 * d, s30, s31, s32, s33)


@pointwise
def store_four(a, p, i, v0, v1, v2, v3):
    store(a, p, i, v0)
    store(a, p + 1, i, v1)
    store(a, p + 2, i, v2)
    store(a, p + 3, i, v3)


@pointwise
def outer_4x4(a, b, q, second, at, d):
    """a b[q : q + 4]^T, into the matrix at `at`: 16 sums in registers, 8 loads for 16 products."""
    s00 = s01 = s02 = s03 = s10 = s11 = s12 = s13 = s20 = s21 = s22 = s23 = s30 = s31 = s32 = s33 = broadcast(0.0)
    for i in range(VECTORS):
        a0, a1, a2, a3 = load(a, 0, i), load(a, 1, i), load(a, 2, i), load(a, 3, i)
        b0, b1, b2, b3 = load(b, q, i), load(b, q + 1, i), load(b, q + 2, i), load(b, q + 3, i)
        s00, s01, s02, s03 = s00 + a0 * b0, s01 + a0 * b1, s02 + a0 * b2, s03 + a0 * b3
        s10, s11, s12, s13 = s10 + a1 * b0, s11 + a1 * b1, s12 + a1 * b2, s13 + a1 * b3
        s20, s21, s22, s23 = s20 + a2 * b0, s21 + a2 * b1, s22 + a2 * b2, s23 + a2 * b3
        s30, s31, s32, s33 = s30 + a3 * b0, s31 + a3 * b1, s32 + a3 * b2, s33 + a3 * b3
    add_lane_sums(second, at, s00, s01, s02, s03)
    add_lane_sums(second, at + d, s10, s11, s12, s13)
    add_lane_sums(second, at + 2 * d, s20, s21, s22, s23)
    add_lane_sums(second, at + 3 * d, s30, s31, s32, s33)


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
def binomial_densities(x, trials, log_norm, log_p, log_q, residual, density):
    """log2 (weight prod_j p_j^x_j q_j^(trials_j - x_j)), without the binomial coefficients."""
    for c in range(log_p.shape[0]):
        for i in range(PAIRS):
            log_density = broadcast_two(log_norm[c])
            for j in range(log_p.shape[1]):
                successes = load_two(x, j, i)
                failures = load_two(trials, j, i) - successes
                log_density = log_density + (successes * log_p[c, j] + failures * log_q[c, j])
            store(density, c, i, log_density)


@pointwise
def binomial_moments(x, trials, log_p, resp, residual, weighted, first, second):
    k, d = log_p.shape
    for c in range(k):
        for j in range(d):
            successes = failures = broadcast_two(0.0)
            for i in range(PAIRS):
                r, observed = load_two(resp, c, i), load_two(x, j, i)
                successes = successes + r * observed
                failures = failures + r * (load_two(trials, j, i) - observed)
            add_lane_sums(first, c * d + j, successes)
            add_lane_sums(second, c * d + j, failures)


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
