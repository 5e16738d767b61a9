"""Elementary functions of numbers and of vectors: powers of two and logarithms; `simd.h` has the reasons."""
import numpy as np

from fastem.kernels.numba.jit import pointwise
from fastem.kernels.numba.vectors import as_bits, as_float

ROUND_TO_INTEGER = 1.5 * 2.0**52            # adding it leaves the nearest integer in the low bits of a double
ROUND_BITS = np.uint64(0x4338000000000000)  # of ROUND_TO_INTEGER
ONE_BITS = np.uint64(0x3ff0000000000000)
SQRT_HALF_BITS = np.uint64(0x3fe6a09e667f3bcd)
MANTISSA = np.uint64(52)                    # its length in bits


@pointwise
def exp2_(x):
    """2^x for -1021 <= x <= 1021."""
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
    """log2 of a positive normal x."""
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
