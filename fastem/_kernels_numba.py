"""Numba kernels, compiled at the first call: the same names, arguments and sums as the Cython twin `_kernels.pyx`.

Its design note holds here too, but for these points:
 a. Threads: a kernel runs shares of the slots by `prange`, and slot s still writes row s alone, so that the bits do not
    depend on their number.  `kernel.serial` is the same loop without threads, for a forked child and for a thread that
    finds another one inside a launch.
 b. Lanes: `vec` is a type that we teach to Numba, LANES doubles to LLVM, with the operators of a double.  A `pair` is
    two of them.  Left to itself LLVM makes vectors of loops over points, but half as long as the registers, needs
    permission to reorder sums, and writes to memory what one loop has for the next: kernels took twice the time.
 c. Sums over a tile go straight to the slot's row of `sums`, lanes added up; nothing is kept by lane.
 d. One compilation for each of float32 and float64, whatever the strides: the types of all arguments are declared,
    as annotations, and anything that converts to them is taken as it is.
 e. `posterior_*` has no slots: its shares are runs of tiles.
 f. The univariate normal is the diagonal one with d = 1.
 g. Inside a share arrays are `borrowed`: no reference to them is counted.  Counting is atomic, and d = 2 took three
    times as long with it.
 h. Kernels ask for no memory: an exception in a thread is lost, and rows of `sums` with it; one in a compiled function
    keeps a reference to every argument.  Tiles are made in Python, one for each share of the work.

A family is two functions of a tile, `densities` and `moments`; all else is written once.
"""
import operator
from functools import update_wrapper
from types import FunctionType

import numba
import numpy as np
from llvmlite import ir
from numba import int64, njit, prange, types
from numba.core.cgutils import unpack_tuple
from numba.core.codegen import get_host_cpu_features
from numba.extending import intrinsic, lower_builtin, models, register_model, type_callable

FEATURES = get_host_cpu_features() if numba.config.CPU_FEATURES is None else numba.config.CPU_FEATURES
LANES = 8 if "+avx512f" in FEATURES else 4 if "+avx" in FEATURES else 2  # doubles of a register
TILE = 256               # points of a tile
VECTORS = TILE // LANES  # vectors of a column of a tile
PAIRS = VECTORS // 2
LINE = 8                 # doubles of a cache line
ROW = TILE + LINE        # from a row of a tile to the next.  At a power of two the points of a vector would lie in two
#                          sets of the cache, whatever d is: 7 to 11 % more time at d = 16 to 64
LARGEST_PRODUCT_K = 128  # 128^VECTORS is finite, whatever LANES is
LOWEST = -900.0          # a density below 2^-900 of the largest counts as 2^-900 of it, far from subnormal
FAR_OUT = -1e300         # log density of a point out of reach of every component: finite
LN2 = 0.6931471805599453


# ------------------------------------------------------------------------------------------------------ jit policy

POINTWISE = {"contract",  # a * b + c in one instruction
             "nsz",       # the sign of zero is free
             "arcp"}      # x / y as x * (1 / y).  Never nnan or ninf: densities meet infinities, and callers NaN
POLICY = {"nogil": True,              # callers have threads of their own
          "error_model": "numpy"}     # no branch for a division by zero
INNER = {"forceinline": True,         # else every call of a tile counts references to its arrays, atomically
         "no_cpython_wrapper": True,  # not called from Python: half the time of compilation
         "no_cfunc_wrapper": True}

pointwise = njit(fastmath=POINTWISE, **POLICY, **INNER)


class Kernel:
    """A kernel for rows of float32 and of float64, each compiled when it is first called.

    Left to itself Numba compiles anew for every mix of C, Fortran, strided and read-only arguments.  A kernel's last
    argument, its tiles, is not for callers.
    """

    def __init__(self, function, parallel, height):
        update_wrapper(self, function)
        self.function = function
        self.parallel = parallel
        self.height = height  # of a tile: its rows, from the kernel's arguments
        self.dispatchers = {}

    def __call__(self, X, *args):
        dispatcher = self.dispatchers.get(X.dtype) or self.compile(X.dtype)
        return dispatcher(X, *args, self.tiles(X, *args))

    def tiles(self, *args):
        """One for each share of the work."""
        return new_tiles(numba.get_num_threads() if self.parallel else 1, self.height(*args))

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
        compiled = njit(signature, fastmath=POINTWISE, **POLICY, parallel=self.parallel, cache=cache)(self.function)
        return np.errstate(all="ignore")(compiled) if numba.config.DISABLE_JIT else compiled


def kernel(function, height=None):
    """The public face of a kernel: parallel, and `.serial`, which runs the same loop on the calling thread."""
    height = height or height_of(function)
    serial = FunctionType(function.__code__, function.__globals__, function.__name__)
    serial.__annotations__ = function.__annotations__
    # The cache knows a function by its qualified name, not by how it is compiled: equal names would mix the two up.
    serial.__qualname__ = function.__qualname__ + ".serial"
    both = Kernel(function, True, height)
    both.serial = Kernel(serial, False, height)
    return both


def height_of(function):
    """Rows of points, of features for each source of rows, and of components."""
    declared = list(function.__annotations__.values())
    location, sources = declared.index(matrix), declared.count(rows)

    def height(*args):
        k, d = args[location].shape
        return 9 + k + (1 + sources) * d

    return height


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
tiles_scratch = types.Array(types.float64, 3, "C")


# ---------------------------------------------------------------------------------------------------------- vectors

class Vector(types.Type):
    """Numbers of as many points, one per lane.  A kernel reads as a formula for one point."""

    def __init__(self, name, element, lanes):
        super().__init__(name)
        self.llvm = ir.VectorType(element, lanes)


@register_model(Vector)
class VectorModel(models.PrimitiveModel):
    def __init__(self, manager, vector):
        super().__init__(manager, vector, vector.llvm)


vec = Vector("vec", ir.DoubleType(), LANES)        # a register
pair = Vector("pair", ir.DoubleType(), 2 * LANES)  # two, where a number out of a table should serve for both
vec_bits = Vector("vec_bits", ir.IntType(64), LANES)
pair_bits = Vector("pair_bits", ir.IntType(64), 2 * LANES)


def shuffled(builder, v, lanes, w=None):
    """These lanes of v, or of v and w one behind the other."""
    mask = ir.Constant(ir.VectorType(ir.IntType(32), len(lanes)), list(lanes))
    return builder.shuffle_vector(v, v if w is None else w, mask)


def splat(builder, number, vector):
    first = builder.insert_element(ir.Constant(vector.llvm, ir.Undefined), number, ir.IntType(32)(0))
    return shuffled(builder, first, [0] * vector.llvm.count)


def teach(operation, vector, scalar, instruction):
    """vector operation vector, and with a scalar on either side."""
    def typed(a, b):
        return vector if vector in (a, b) and {a, b} <= {vector, scalar} else None

    def lowered(context, builder, signature, args):
        a, b = (splat(builder, value, vector) if kind == scalar else value
                for value, kind in zip(args, signature.args, strict=True))
        return getattr(builder, instruction)(a, b)

    type_callable(operation)(lambda context: typed)
    for operands in ((vector, vector), (vector, scalar), (scalar, vector)):
        lower_builtin(operation, *operands)(lowered)


for reals in (vec, pair):
    teach(operator.add, reals, types.float64, "fadd")
    teach(operator.sub, reals, types.float64, "fsub")
    teach(operator.mul, reals, types.float64, "fmul")
    teach(operator.truediv, reals, types.float64, "fdiv")
for bits in (vec_bits, pair_bits):
    teach(operator.add, bits, types.uint64, "add")
    teach(operator.sub, bits, types.uint64, "sub")
    teach(operator.lshift, bits, types.uint64, "shl")
    teach(operator.rshift, bits, types.uint64, "lshr")


def element_pointer(context, builder, array_type, array, at, vector):
    data = context.make_array(array_type)(context, builder, array).data
    return builder.bitcast(builder.gep(data, [at]), vector.as_pointer())


def vector_pointer(context, builder, array_type, array, index, vector):
    """Of vector i of row j, index = (j, i); of vector i of an array of one dimension, index = (i,)."""
    at = builder.mul(index[-1], index[-1].type(vector.count))
    if len(index) == 2:
        at = builder.add(at, builder.mul(index[0], index[0].type(ROW)))
    return element_pointer(context, builder, array_type, array, at, vector)


def loader(vector):
    def load(typingctx, array, *index):
        def lowered(context, builder, signature, args):
            at = unpack_tuple(builder, args[1])
            return builder.load(vector_pointer(context, builder, array, args[0], at, vector.llvm), align=8)
        return vector(array, types.StarArgTuple.from_types(index)), lowered
    return intrinsic(load)


load = loader(vec)        # load(a, j, i) or load(a, i)
load_pair = loader(pair)


@intrinsic
def store(typingctx, array, *index_and_value):
    def lowered(context, builder, signature, args):
        *at, value = unpack_tuple(builder, args[1])
        builder.store(value, vector_pointer(context, builder, array, args[0], at, value.type), align=8)
        return context.get_dummy_value()
    return types.void(array, types.StarArgTuple.from_types(index_and_value)), lowered


def broadcaster(vector):
    def broadcast(typingctx, number):
        def lowered(context, builder, signature, args):
            return splat(builder, args[0], vector)
        return vector(types.float64), lowered
    return intrinsic(broadcast)


broadcast = broadcaster(vec)
broadcast_pair = broadcaster(pair)


@intrinsic
def larger(typingctx, a, b):
    """Of a vector and a vector or a number; b where a is a NaN."""
    def lowered(context, builder, signature, args):
        v, w = args if b == a else (args[0], splat(builder, args[1], a))
        return builder.select(builder.fcmp_ordered(">", v, w), v, w)
    return a(a, b), lowered


@intrinsic
def add_lane_sums(typingctx, out, at, *vectors):
    """out[at : at + n] += the lane sums of n vectors.  They are put one behind the other, and then neighbours added."""
    def lowered(context, builder, signature, args):
        sums = list(unpack_tuple(builder, args[2]))
        while len(sums) & (len(sums) - 1):  # to a power of two, by sums that nobody reads
            sums.append(sums[-1])
        while len(sums) > 1:
            sums = [shuffled(builder, v, range(2 * v.type.count), w)
                    for v, w in zip(sums[::2], sums[1::2], strict=True)]
        total = sums[0]
        while total.type.count >= 2 * len(vectors):
            even, odd = range(0, total.type.count, 2), range(1, total.type.count, 2)
            total = builder.fadd(shuffled(builder, total, even), shuffled(builder, total, odd))
        total = shuffled(builder, total, range(len(vectors)))
        pointer = element_pointer(context, builder, out, args[0], args[1], total.type)
        builder.store(builder.fadd(builder.load(pointer, align=8), total), pointer, align=8)
        return context.get_dummy_value()
    return types.void(out, types.intp, types.StarArgTuple.from_types(vectors)), lowered


@intrinsic
def borrowed(typingctx, array):
    """The array without its owner: nobody counts references to it, and somebody else holds it."""
    def lowered(context, builder, signature, args):
        view = context.make_array(array)(context, builder, args[0])
        view.meminfo = ir.Constant(view.meminfo.type, None)
        return view._getvalue()
    return array(array), lowered


# ------------------------------------------------------------------------------------------------- exp2 and log2

BITS = {types.float64: types.uint64, vec: vec_bits, pair: pair_bits}
REALS = {bits: reals for reals, bits in BITS.items()}


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


# ---------------------------------------------------------------------------------------------------- with the JIT off

if numba.config.DISABLE_JIT:  # NUMBA_DISABLE_JIT=1: what the compiler was taught, in NumPy, where indices are checked
    def vector_at(index, lanes):
        *row, i = index
        return (*row, slice(i * lanes, (i + 1) * lanes))

    def load(array, *index):
        return array[vector_at(index, LANES)].copy()

    def load_pair(array, *index):
        return array[vector_at(index, 2 * LANES)].copy()

    def store(array, *index_and_value):
        *index, value = index_and_value
        array[vector_at(index, len(value))] = value

    def broadcast(number):
        return np.full(LANES, number)

    def broadcast_pair(number):
        return np.full(2 * LANES, number)

    def larger(a, b):
        return np.where(a > b, a, b)

    def add_lane_sums(out, at, *vectors):
        for i, v in enumerate(vectors):
            out[at + i] += v.sum()

    def borrowed(array):
        return array

    def as_bits(x):
        return x.view(np.uint64)

    def as_float(x):
        return x.view(np.float64)


# ---------------------------------------------------------------------------------------------------------- tiles

def new_tiles(shares, height):
    """(shares, height, ROW) from a new cache line on: a vector that crosses one costs two accesses."""
    flat = np.empty(shares * height * ROW + LINE)
    skip = -(flat.ctypes.data // flat.itemsize) % LINE
    return flat[skip:skip + shares * height * ROW].reshape(shares, height, ROW)


@pointwise
def edge(share, shares, n):
    """Where a share of n slots begins, and the one before it ends."""
    return n * share // shares


@pointwise
def cut_tile(rows_of_tile, k, d):
    by_point, weighted, rest = rows_of_tile[:5], rows_of_tile[5:9], rows_of_tile[9:]
    return (rest[:d],               # x         columns of the rows at hand
            rest[2 * d + k:],       # trials    d rows or, but for the binomial, none
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
        for j in range(x.shape[0]):
            for i in range(length):
                x[j, i] = X[row, j]
    if x.shape[0] < LINE:
        transpose(X, row, 0, count, x)
        return
    blocked = count - count % LINE
    for begin in range(0, blocked, LINE):
        transpose(X, row, begin, LINE, x)
    transpose(X, row, blocked, count - blocked, x)


@pointwise
def transpose(X, row, begin, length, x):
    for j in range(x.shape[0]):
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
    """-> accumulate_* of a share of the slots, posterior_* of a share of the rows"""

    @pointwise
    def accumulate_share(share, tiles, slot_rows, X, trials, sample_weight, log_norm, location, scaling, sums):
        k, d = location.shape
        x, tries, weight, density, top, total, slope, scale, residual, weighted = cut_tile(borrowed(tiles[share]), k, d)
        log_norm, location, scaling = borrowed(log_norm), borrowed(location), borrowed(scaling)
        unit = all_unit(sample_weight)
        for slot in range(edge(share, len(tiles), len(sums)), edge(share + 1, len(tiles), len(sums))):
            own = borrowed(sums[slot])
            own[:], weight[:] = 0.0, 1.0
            counts, first, second, logs = own[:k], own[k:k + k * d], own[k + k * d:-2], own[-2:]
            end = min(X.shape[0], (slot + 1) * slot_rows)
            for row in range(slot * slot_rows, end, TILE):
                count = min(TILE, end - row)
                load_columns(X, row, count, TILE, x)
                load_columns(trials, row, count, TILE, tries)
                if not (unit and count == TILE):
                    load_weights(sample_weight, row, count, weight)
                densities(x, tries, log_norm, location, scaling, residual, density, PAIRS)
                normalise(weight, density, top, total, slope, scale)
                add_logs(weight, top, total, slope, scale, unit and count == TILE and k <= LARGEST_PRODUCT_K, logs)
                responsibilities(density, scale, counts)
                moments(x, tries, location, density, residual, weighted, first, second)

    @pointwise
    def posterior_share(share, tiles, X, trials, log_norm, location, scaling, log_prob, resp, labels):
        k, d = location.shape
        x, tries, weight, density, top, total, slope, scale, residual, _ = cut_tile(borrowed(tiles[share]), k, d)
        log_norm, location, scaling = borrowed(log_norm), borrowed(location), borrowed(scaling)
        weight[:] = 1.0
        tiles_of_rows = -(-X.shape[0] // TILE)
        end = min(X.shape[0], edge(share + 1, len(tiles), tiles_of_rows) * TILE)
        for row in range(edge(share, len(tiles), tiles_of_rows) * TILE, end, TILE):
            count = min(TILE, end - row)
            pairs = -(-count // (2 * LANES))  # that hold rows
            load_columns(X, row, count, pairs * 2 * LANES, x)
            load_columns(trials, row, count, pairs * 2 * LANES, tries)
            densities(x, tries, log_norm, location, scaling, residual, density, pairs)
            normalise(weight, density, top, total, slope, scale)
            put_log_prob(top, total, row, count, log_prob)
            put_resp(density, scale, row, count, resp)
            put_labels(density, slope, row, count, labels)

    return accumulate_share, posterior_share


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
def diag_densities(x, trials, log_norm, means, scale, residual, density, pairs):
    """log2 (weight N(x; mean, diag(sd^2))) = log_norm - sum_j ((x_j - mean_j) scale_j)^2."""
    for c in range(means.shape[0]):
        for i in range(pairs):
            log_density = broadcast_pair(log_norm[c])
            for j in range(means.shape[1]):
                z = (load_pair(x, j, i) - means[c, j]) * scale[c, j]
                log_density = log_density - z * z
            store(density, c, i, log_density)


@pointwise
def diag_moments(x, trials, means, resp, residual, weighted, first, second):
    k, d = means.shape
    for c in range(k):
        for j in range(d):
            s1 = s2 = broadcast_pair(0.0)
            for i in range(PAIRS):
                z = load_pair(x, j, i) - means[c, j]
                rz = load_pair(resp, c, i) * z
                s1 = s1 + rz
                s2 = s2 + rz * z
            add_lane_sums(first, c * d + j, s1)
            add_lane_sums(second, c * d + j, s2)


diag_share, diag_posterior = family(diag_densities, diag_moments)


@kernel
def accumulate_normal(X: rows,                 # IN   (n, 1)
                      sample_weight: weights,  # IN   (n,)
                      slot_rows: int64,        # IN           rows of a slot
                      log_norm: vector,        # IN   (k,)    log2 of weight / (sd sqrt(2 pi))
                      means: matrix,           # IN   (k, 1)
                      scale: matrix,           # IN   (k, 1)  sqrt(log2(e) / 2) / sd
                      sums: sums_out,          # OUT  (s, 3 k + 2)
                      tiles: tiles_scratch):  # SCRATCH
    # -> per slot: sum w r, sum w r (x - mean), sum w r (x - mean)^2, sum w log p(x), -sum w sum_k r log r
    for share in prange(len(tiles)):
        diag_share(int64(share), tiles, slot_rows, X, X[:, :0], sample_weight, log_norm, means, scale, sums)


@kernel
def posterior_normal(X: rows,                # IN   (n, 1)
                     log_norm: vector,       # IN   (k,)    tables as for accumulate_normal
                     means: matrix,          # IN   (k, 1)
                     scale: matrix,          # IN   (k, 1)
                     log_prob: reals_out,    # OUT  (n,)    or (0,)
                     resp: matrix_out,       # OUT  (n, k)  or (0, k)
                     labels: labels_out,     # OUT  (n,)    or (0,)
                     tiles: tiles_scratch): # SCRATCH
    # -> log density, responsibilities and most probable component of each row
    for share in prange(len(tiles)):
        diag_posterior(int64(share), tiles, X, X[:, :0], log_norm, means, scale, log_prob, resp, labels)


@kernel
def accumulate_mvnormal_diag(X: rows,                 # IN   (n, d)
                             sample_weight: weights,  # IN   (n,)
                             slot_rows: int64,        # IN           rows of a slot
                             log_norm: vector,        # IN   (k,)    log2 of weight / prod_j (sd_j sqrt(2 pi))
                             means: matrix,           # IN   (k, d)
                             scale: matrix,           # IN   (k, d)  sqrt(log2(e) / 2) / sd
                             sums: sums_out,          # OUT  (s, k + 2 k d + 2)
                             tiles: tiles_scratch):  # SCRATCH
    # -> per slot: sum w r, sum w r (x - mean), sum w r (x - mean)^2, sum w log p(x), -sum w sum_k r log r
    for share in prange(len(tiles)):
        diag_share(int64(share), tiles, slot_rows, X, X[:, :0], sample_weight, log_norm, means, scale, sums)


@kernel
def posterior_mvnormal_diag(X: rows,                # IN   (n, d)
                            log_norm: vector,       # IN   (k,)    tables as for accumulate_mvnormal_diag
                            means: matrix,          # IN   (k, d)
                            scale: matrix,          # IN   (k, d)
                            log_prob: reals_out,    # OUT  (n,)    or (0,)
                            resp: matrix_out,       # OUT  (n, k)  or (0, k)
                            labels: labels_out,     # OUT  (n,)    or (0,)
                            tiles: tiles_scratch): # SCRATCH
    # -> log density, responsibilities and most probable component of each row
    for share in prange(len(tiles)):
        diag_posterior(int64(share), tiles, X, X[:, :0], log_norm, means, scale, log_prob, resp, labels)


# ----------------------------------------------------------------------------- multivariate normal, full covariance

@pointwise
def full_densities(x, trials, log_norm, means, factor, residual, density, pairs):
    """log2 (weight N(x; mean, S)) = log_norm - |L (x - mean)|^2, L^T L = log2(e) / 2 S^-1, L lower triangular."""
    for c in range(means.shape[0]):
        for i in range(pairs):
            store(density, c, i, log_norm[c] - squared_norm(x, means, factor, c, i, residual))


@pointwise
def squared_norm(x, means, L, c, i, residual):
    """|L (x - mean)|^2 of a pair of vectors; rows of L by fours, so that a residual is read once for four of them."""
    d = means.shape[1]
    square = broadcast_pair(0.0)
    for row in range(0, d - d % 4, 4):  # so that LLVM sees that no index is negative: 7 % at d = 8
        square = square + whiten(x, means, L, c, i, row, 4, residual)
    if d % 4 == 1:
        square = square + whiten(x, means, L, c, i, d - 1, 1, residual)
    elif d % 4 == 2:
        square = square + whiten(x, means, L, c, i, d - 2, 2, residual)
    elif d % 4 == 3:
        square = square + whiten(x, means, L, c, i, d - 3, 3, residual)
    return square


@pointwise
def whiten(x, means, L, c, i, p, height, residual):
    """Rows p : p + height of L (x - mean) -> the sum of their squares: first the triangle on the diagonal, then what
    is left of it.  `height` is a constant to LLVM, and every `if` a decision it makes."""
    z0 = keep_residual(x, means, c, p, i, residual)
    y0 = L[c, p, p] * z0
    if height > 1:
        z1 = keep_residual(x, means, c, p + 1, i, residual)
        y1 = L[c, p + 1, p] * z0 + L[c, p + 1, p + 1] * z1
    if height > 2:
        z2 = keep_residual(x, means, c, p + 2, i, residual)
        y2 = L[c, p + 2, p] * z0 + L[c, p + 2, p + 1] * z1 + L[c, p + 2, p + 2] * z2
    if height > 3:
        z3 = keep_residual(x, means, c, p + 3, i, residual)
        y3 = L[c, p + 3, p] * z0 + L[c, p + 3, p + 1] * z1 + L[c, p + 3, p + 2] * z2 + L[c, p + 3, p + 3] * z3
    for j in range(p):
        z = load_pair(residual, j, i)
        y0 = y0 + L[c, p, j] * z
        if height > 1:
            y1 = y1 + L[c, p + 1, j] * z
        if height > 2:
            y2 = y2 + L[c, p + 2, j] * z
        if height > 3:
            y3 = y3 + L[c, p + 3, j] * z
    square = y0 * y0
    if height > 1:
        square = square + y1 * y1
    if height > 2:
        square = square + y2 * y2
    if height > 3:
        square = square + y3 * y3
    return square


@pointwise
def keep_residual(x, means, c, j, i, residual):
    """x_j - mean_j, kept for the rows of L that follow."""
    z = load_pair(x, j, i) - means[c, j]
    store(residual, j, i, z)
    return z


@pointwise
def full_moments(x, trials, means, resp, residual, weighted, first, second):
    """Lower triangles in 4 x 4 blocks, row by row of blocks; the last row of blocks is as high as what is left."""
    d = means.shape[1]
    for c in range(means.shape[0]):
        for row in range(0, d - d % 4, 4):
            row_of_blocks(x, means, resp, c, row, 4, residual, weighted, first, second)
        if d % 4 == 1:
            row_of_blocks(x, means, resp, c, d - 1, 1, residual, weighted, first, second)
        elif d % 4 == 2:
            row_of_blocks(x, means, resp, c, d - 2, 2, residual, weighted, first, second)
        elif d % 4 == 3:
            row_of_blocks(x, means, resp, c, d - 3, 3, residual, weighted, first, second)


@pointwise
def row_of_blocks(x, means, resp, c, p, height, residual, weighted, first, second):
    """Features p : p + height with all before them; `weighted` holds what they have of responsibility * residual."""
    d = means.shape[1]
    at = (c * d + p) * d
    diagonal_block(x, means, resp, c, p, height, residual, weighted, first, second, at + p)
    for j in range(0, p, 4):
        outer_block(weighted, height, residual, j, second, at + j, d)


@pointwise
def diagonal_block(x, means, resp, c, p, height, residual, weighted, first, second, at):
    """Residuals, weighted residuals and first moments of up to four features, and the triangle of their second ones."""
    d = means.shape[1]
    f0 = f1 = f2 = f3 = s00 = s10 = s11 = s20 = s21 = s22 = s30 = s31 = s32 = s33 = broadcast(0.0)
    for i in range(VECTORS):
        r = load(resp, c, i)
        z0 = load(x, p, i) - means[c, p]
        a0 = r * z0
        f0, s00 = f0 + a0, s00 + a0 * z0
        keep_both(residual, weighted, p, 0, i, z0, a0)
        if height > 1:
            z1 = load(x, p + 1, i) - means[c, p + 1]
            a1 = r * z1
            f1, s10, s11 = f1 + a1, s10 + a1 * z0, s11 + a1 * z1
            keep_both(residual, weighted, p, 1, i, z1, a1)
        if height > 2:
            z2 = load(x, p + 2, i) - means[c, p + 2]
            a2 = r * z2
            f2, s20, s21, s22 = f2 + a2, s20 + a2 * z0, s21 + a2 * z1, s22 + a2 * z2
            keep_both(residual, weighted, p, 2, i, z2, a2)
        if height > 3:
            z3 = load(x, p + 3, i) - means[c, p + 3]
            a3 = r * z3
            f3, s30, s31, s32, s33 = f3 + a3, s30 + a3 * z0, s31 + a3 * z1, s32 + a3 * z2, s33 + a3 * z3
            keep_both(residual, weighted, p, 3, i, z3, a3)
    add_lane_sums(first, c * d + p, f0)
    add_lane_sums(second, at, s00)
    if height > 1:
        add_lane_sums(first, c * d + p + 1, f1)
        add_lane_sums(second, at + d, s10, s11)
    if height > 2:
        add_lane_sums(first, c * d + p + 2, f2)
        add_lane_sums(second, at + 2 * d, s20, s21, s22)
    if height > 3:
        add_lane_sums(first, c * d + p + 3, f3)
        add_lane_sums(second, at + 3 * d, s30, s31, s32, s33)


@pointwise
def keep_both(residual, weighted, p, j, i, z, a):
    store(residual, p + j, i, z)
    store(weighted, j, i, a)


@pointwise
def outer_block(a, height, b, q, second, at, d):
    """a[:height] b[q : q + 4]^T, into the matrix at `at`: 16 sums in registers, 8 loads for 16 products."""
    s00 = s01 = s02 = s03 = s10 = s11 = s12 = s13 = s20 = s21 = s22 = s23 = s30 = s31 = s32 = s33 = broadcast(0.0)
    for i in range(VECTORS):
        a0, a1, a2, a3 = load(a, 0, i), load(a, 1, i), load(a, 2, i), load(a, 3, i)
        b0, b1, b2, b3 = load(b, q, i), load(b, q + 1, i), load(b, q + 2, i), load(b, q + 3, i)
        s00, s01, s02, s03 = s00 + a0 * b0, s01 + a0 * b1, s02 + a0 * b2, s03 + a0 * b3
        if height > 1:
            s10, s11, s12, s13 = s10 + a1 * b0, s11 + a1 * b1, s12 + a1 * b2, s13 + a1 * b3
        if height > 2:
            s20, s21, s22, s23 = s20 + a2 * b0, s21 + a2 * b1, s22 + a2 * b2, s23 + a2 * b3
        if height > 3:
            s30, s31, s32, s33 = s30 + a3 * b0, s31 + a3 * b1, s32 + a3 * b2, s33 + a3 * b3
    add_lane_sums(second, at, s00, s01, s02, s03)
    if height > 1:
        add_lane_sums(second, at + d, s10, s11, s12, s13)
    if height > 2:
        add_lane_sums(second, at + 2 * d, s20, s21, s22, s23)
    if height > 3:
        add_lane_sums(second, at + 3 * d, s30, s31, s32, s33)


@pointwise
def mirror(second, k, d):
    """(k, d, d) lower triangles -> symmetric matrices."""
    for c in range(k):
        for i in range(d):
            for j in range(i):
                second[(c * d + j) * d + i] = second[(c * d + i) * d + j]


full_share, full_posterior = family(full_densities, full_moments)


@kernel
def accumulate_mvnormal_full(X: rows,                 # IN   (n, d)
                             sample_weight: weights,  # IN   (n,)
                             slot_rows: int64,        # IN              rows of a slot
                             log_norm: vector,        # IN   (k,)       log2 of weight / sqrt(det(2 pi S))
                             means: matrix,           # IN   (k, d)
                             factor: matrices,        # IN   (k, d, d)  lower L, L^T L = log2(e) / 2 S^-1
                             sums: sums_out,          # OUT  (s, k + k d + k d d + 2)
                             tiles: tiles_scratch):  # SCRATCH
    # -> per slot: sum w r, sum w r (x - mean), sum w r (x - mean)(x - mean)^T, sum w log p(x), -sum w sum_k r log r
    for share in prange(len(tiles)):
        full_share(int64(share), tiles, slot_rows, X, X[:, :0], sample_weight, log_norm, means, factor, sums)
    for slot in range(len(sums)):
        mirror(sums[slot, means.size + means.shape[0]:], means.shape[0], means.shape[1])


@kernel
def posterior_mvnormal_full(X: rows,                # IN   (n, d)
                            log_norm: vector,       # IN   (k,)       tables as for accumulate_mvnormal_full
                            means: matrix,          # IN   (k, d)
                            factor: matrices,       # IN   (k, d, d)
                            log_prob: reals_out,    # OUT  (n,)       or (0,)
                            resp: matrix_out,       # OUT  (n, k)     or (0, k)
                            labels: labels_out,     # OUT  (n,)       or (0,)
                            tiles: tiles_scratch): # SCRATCH
    # -> log density, responsibilities and most probable component of each row
    for share in prange(len(tiles)):
        full_posterior(int64(share), tiles, X, X[:, :0], log_norm, means, factor, log_prob, resp, labels)


# --------------------------------------------------------------------------------------------------------- binomial

@pointwise
def binomial_densities(x, trials, log_norm, log_p, log_q, residual, density, pairs):
    """log2 (weight prod_j p_j^x_j q_j^(trials_j - x_j)), without the binomial coefficients."""
    for c in range(log_p.shape[0]):
        for i in range(pairs):
            log_density = broadcast_pair(log_norm[c])
            for j in range(log_p.shape[1]):
                successes = load_pair(x, j, i)
                failures = load_pair(trials, j, i) - successes
                log_density = log_density + (successes * log_p[c, j] + failures * log_q[c, j])
            store(density, c, i, log_density)


@pointwise
def binomial_moments(x, trials, log_p, resp, residual, weighted, first, second):
    k, d = log_p.shape
    for c in range(k):
        for j in range(d):
            successes = failures = broadcast_pair(0.0)
            for i in range(PAIRS):
                r, observed = load_pair(resp, c, i), load_pair(x, j, i)
                successes = successes + r * observed
                failures = failures + r * (load_pair(trials, j, i) - observed)
            add_lane_sums(first, c * d + j, successes)
            add_lane_sums(second, c * d + j, failures)


binomial_share, binomial_posterior = family(binomial_densities, binomial_moments)


@kernel
def accumulate_binomial(X: rows,                 # IN   (n, d)  successes
                        trials: rows,            # IN   (n, d)
                        sample_weight: weights,  # IN   (n,)
                        slot_rows: int64,        # IN           rows of a slot
                        log_norm: vector,        # IN   (k,)    log2 of weight
                        log_p: matrix,           # IN   (k, d)  log2 of p, finite
                        log_q: matrix,           # IN   (k, d)  log2 of 1 - p, finite
                        sums: sums_out,          # OUT  (s, k + 2 k d + 2)
                        tiles: tiles_scratch):  # SCRATCH
    # -> per slot: sum w r, sum w r x, sum w r (trials - x), sum w log p(x), -sum w sum_k r log r;
    #    log p(x) without the binomial coefficients
    for share in prange(len(tiles)):
        binomial_share(int64(share), tiles, slot_rows, X, trials, sample_weight, log_norm, log_p, log_q, sums)


@kernel
def posterior_binomial(X: rows,                # IN   (n, d)  successes
                       trials: rows,           # IN   (n, d)
                       log_norm: vector,       # IN   (k,)    tables as for accumulate_binomial
                       log_p: matrix,          # IN   (k, d)
                       log_q: matrix,          # IN   (k, d)
                       log_prob: reals_out,    # OUT  (n,)    or (0,)
                       resp: matrix_out,       # OUT  (n, k)  or (0, k)
                       labels: labels_out,     # OUT  (n,)    or (0,)
                       tiles: tiles_scratch): # SCRATCH
    # -> log density without the binomial coefficients, responsibilities and most probable component of each row
    for share in prange(len(tiles)):
        binomial_posterior(int64(share), tiles, X, trials, log_norm, log_p, log_q, log_prob, resp, labels)


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
