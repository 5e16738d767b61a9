/* Vector primitives for the Cython kernels.
 *
 * A `vec` holds LANES points, one per lane.  Cython is told that `vec` is a double, so that kernels read like
 * formulas for one point; the C compiler knows better and emits vector instructions.  Only what C operators cannot
 * say (loads, broadcasts, maximum, exp2, log2, lane sums) stands here.
 *
 * GCC and Clang lower these vectors to whatever the target has; any other compiler gets one lane.
 */
#ifndef FASTEM_SIMD_H
#define FASTEM_SIMD_H

#include <stddef.h>
#include <stdint.h>
#include <string.h>

#if defined(__AVX512F__) || defined(__AVX__) || defined(__SSE2__)
#include <immintrin.h>
#endif

#if defined(__GNUC__)
#if defined(__AVX512F__)
#define VEC_BYTES 64
#elif defined(__AVX__)
#define VEC_BYTES 32
#else
#define VEC_BYTES 16
#endif
typedef double vec __attribute__((vector_size(VEC_BYTES)));
typedef uint64_t bits __attribute__((vector_size(VEC_BYTES)));
#define LANE(v, i) ((v)[i])
#else
#define VEC_BYTES 8
typedef double vec;
typedef uint64_t bits;
#define LANE(v, i) (v)
#endif

#define LANES ((int)(VEC_BYTES / sizeof(double)))

/* Vector number i of an array, aligned or not. */
#if defined(__GNUC__)
typedef double unaligned_vec __attribute__((vector_size(VEC_BYTES), aligned(8), may_alias));
#else
typedef double unaligned_vec;
#endif
static inline vec load(const double *from, ptrdiff_t i) { return ((const unaligned_vec *)(from + i * LANES))[0]; }
static inline void store(double *to, ptrdiff_t i, vec v) { ((unaligned_vec *)(to + i * LANES))[0] = v; }
static inline void add_to(double *to, ptrdiff_t i, vec v) { store(to, i, load(to, i) + v); }

/* The next cache line: a vector that crosses one costs two accesses. */
#define LINE 64
static inline double *aligned(double *at) { return (double *)(((uintptr_t)at + LINE - 1) / LINE * LINE); }

static inline bits as_bits(vec v) { bits b; memcpy(&b, &v, sizeof b); return b; }
static inline vec as_vec(bits b) { vec v; memcpy(&v, &b, sizeof v); return v; }

static inline vec broadcast(double value) { return (vec){0} + value; }

static inline vec larger(vec a, vec b)
{
#if defined(__AVX512F__)
    return _mm512_max_pd(a, b);
#elif defined(__AVX__)
    return _mm256_max_pd(a, b);
#elif defined(__SSE2__)
    return _mm_max_pd(a, b);
#else
    vec v = a;
    for (int i = 0; i < LANES; i++)
        if (LANE(b, i) > LANE(a, i)) LANE(v, i) = LANE(b, i);
    return v;
#endif
}

/* Sum over the lanes, in a fixed order. */
static inline double lane_sum(vec v)
{
    double sum = 0.0;
    for (int i = 0; i < LANES; i++) sum += LANE(v, i);
    return sum;
}

/* out[0..3] += the lane sums of s0..s3, next[0..3] += those of s4..s7.  Where vectors are long, pairs are interleaved and
 * added, and then pairs of those: three instructions for a sum, not LANES. */
static inline void add_lane_sums(double *out, double *next, vec s0, vec s1, vec s2, vec s3, vec s4, vec s5, vec s6, vec s7)
{
#if defined(__AVX512F__)
#define PAIR(a, b) _mm512_add_pd(_mm512_unpacklo_pd(a, b), _mm512_unpackhi_pd(a, b))
#define QUAD(a, b) _mm512_add_pd(_mm512_shuffle_f64x2(a, b, 0x88), _mm512_shuffle_f64x2(a, b, 0xdd))
    __m512d sums = QUAD(QUAD(PAIR(s0, s1), PAIR(s2, s3)), QUAD(PAIR(s4, s5), PAIR(s6, s7)));
#undef PAIR
#undef QUAD
    __m256d low = _mm512_castpd512_pd256(sums), high = _mm512_extractf64x4_pd(sums, 1);
#elif defined(__AVX__)
#define PAIR(a, b) _mm256_hadd_pd(a, b)
#define QUAD(a, b) _mm256_add_pd(_mm256_blend_pd(a, b, 12), _mm256_permute2f128_pd(a, b, 0x21))
    __m256d low = QUAD(PAIR(s0, s1), PAIR(s2, s3)), high = QUAD(PAIR(s4, s5), PAIR(s6, s7));
#undef PAIR
#undef QUAD
#endif
#if defined(__AVX__)
    _mm256_storeu_pd(out, _mm256_add_pd(_mm256_loadu_pd(out), low));
    _mm256_storeu_pd(next, _mm256_add_pd(_mm256_loadu_pd(next), high));
#else
    vec sums[8] = {s0, s1, s2, s3, s4, s5, s6, s7};
    for (int i = 0; i < 4; i++) {
        out[i] += lane_sum(sums[i]);
        next[i] += lane_sum(sums[4 + i]);
    }
#endif
}

/* What the processor and the operating system run; the build flags of the variants are in setup.py. */
#if defined(__GNUC__) && defined(__x86_64__)
static inline int has_avx2(void) { return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma"); }
static inline int has_avx512(void) { return __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512dq"); }
#else
static inline int has_avx2(void) { return 0; }
static inline int has_avx512(void) { return 0; }
#endif

/* Adding 1.5 * 2^52 leaves the nearest integer in the low bits of a double. */
#define ROUND_TO_INTEGER 0x1.8p52

/* 2^x for -1021 <= x <= 1021, to 2 units in the last place.  x = n + f with n integer and |f| <= 1/2; 2^f by the
 * Chebyshev interpolant of degree 11 (its error, 3e-18, is below half a unit); n is added to the exponent. */
static inline vec exp2_(vec x)
{
    vec shifted = x + ROUND_TO_INTEGER;
    vec f = x - (shifted - ROUND_TO_INTEGER);
    vec p = 4.4558179083360645e-10 * f + 7.074194297288521e-09;
    p = p * f + 1.0178057087733941e-07;
    p = p * f + 1.3215432535912375e-06;
    p = p * f + 1.5252733841556773e-05;
    p = p * f + 0.00015403530463724353;
    p = p * f + 0.001333355814640647;
    p = p * f + 0.009618129107587256;
    p = p * f + 0.055504108664821625;
    p = p * f + 0.24022650695910158;
    p = p * f + 0.6931471805599453;
    p = p * f + 1.0;
    return as_vec(as_bits(p) + (as_bits(shifted) << 52));
}

/* log2 of a positive normal x, to 3 units in the last place.  x = 2^n m with sqrt(1/2) <= m < sqrt(2); with
 * s = (m - 1) / (m + 1), log2 m = 2 / ln 2 atanh s = s P(s^2), P the Chebyshev interpolant of degree 7. */
#define SQRT_HALF_BITS 0x3fe6a09e667f3bcdULL
#define ONE_BITS 0x3ff0000000000000ULL
#define ROUND_BITS 0x4338000000000000ULL /* of ROUND_TO_INTEGER */

static inline vec log2_(vec x)
{
    bits biased = (as_bits(x) - SQRT_HALF_BITS + ONE_BITS) >> 52; /* n + 1023 */
    vec m = as_vec(as_bits(x) - (biased << 52) + ONE_BITS);
    vec n = as_vec(biased + ROUND_BITS) - (ROUND_TO_INTEGER + 1023.0);
    vec s = (m - 1.0) / (m + 1.0);
    vec z = s * s;
    vec p = 0.21366122502798326 * z + 0.22091286734180157;
    p = p * z + 0.26233436060329546;
    p = p * z + 0.3205985347650481;
    p = p * z + 0.4121985858422942;
    p = p * z + 0.577078016345514;
    p = p * z + 0.9617966939259898;
    p = p * z + 2.8853900817779268;
    return n + s * p;
}

#endif
