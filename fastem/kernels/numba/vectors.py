"""Vectors of points: types and operations that Numba is taught, and what they are with the JIT off."""
import operator

import numba
import numpy as np
from llvmlite import ir
from numba import types
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


# ---------------------------------------------------------------------------------------------------- vector types

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


# ------------------------------------------------------------------------------------------------- loads and stores

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


class Borrowed(types.Array):
    """An array that somebody else holds, and so is what is cut out of it: nobody counts references to it."""

    def copy(self, dtype=None, ndim=None, layout=None, readonly=None):
        kind = super().copy(dtype, ndim, layout, readonly)
        return Borrowed(kind.dtype, kind.ndim, kind.layout, readonly=not kind.mutable, aligned=kind.aligned)


@register_model(Borrowed)
class BorrowedModel(models.ArrayModel):
    def traverse(self, builder):
        return []  # of what references are counted


@intrinsic
def borrowed(typingctx, array):
    """The array without its owner."""
    def lowered(context, builder, signature, args):
        view = context.make_array(array)(context, builder, args[0])
        view.meminfo = ir.Constant(view.meminfo.type, None)
        return view._getvalue()  # noqa: SLF001 - Numba's own name
    kind = Borrowed(array.dtype, array.ndim, array.layout, readonly=not array.mutable, aligned=array.aligned)
    return kind(array), lowered


# ------------------------------------------------------------------------------------------------- bits of vectors

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


# ---------------------------------------------------------------------------------------------- with the JIT off

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
