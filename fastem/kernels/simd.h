/* Vector primitives for the Cython kernels.
 *
 * A `vec` holds LANES points, one per lane.  Cython is told that `vec` is a double, so that kernels read like
 * formulas for one point; the C compiler knows better and emits vector instructions.  Only what C operators cannot
 * say (loads, broadcasts, maximum, exp2, log2, lane sums) stands here.
 *
 * A lane is a `real`: a double or, where FASTEM_SINGLE is defined, a float, of which a vector holds twice as many.
 * Sums that outlive a tile are doubles in either case.
 *
 * GCC and Clang lower these vectors to whatever the target has; any other compiler gets one lane.
 */
#ifndef FASTEM_SIMD_H
#define FASTEM_SIMD_H

#ifdef __linux__
#include <sched.h>
#endif
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#if defined(__AVX512F__) || defined(__AVX__) || defined(__SSE2__)
#include <immintrin.h>
#endif

#define LINE 64 /* bytes of a cache line */
#define MOST_ASKED (1 << 19) /* bytes of rows that are asked for ahead: half of a second cache */

#ifdef FASTEM_SINGLE
typedef float real;
typedef uint32_t word;
#define SINGLE 1
#define R(x) x##f
#define TILE ((ptrdiff_t)256)  /* points of a tile: as many bytes as of doubles */
#define LOWEST R(-100.0)       /* as below */
#define FAR_OUT R(-1e30)
#define EXPONENTS 112          /* a product of totals below 2^EXPONENTS is finite, with room to spare */
#else
typedef double real;
typedef uint64_t word;
#define SINGLE 0
#define R(x) x
#define TILE ((ptrdiff_t)128)
#define LOWEST (-900.0)        /* a density below 2^-900 of the largest counts as 2^-900 of it: far from subnormal,
                                  however small its products */
#define FAR_OUT (-1e300)       /* log density of a point out of reach of every component: finite */
#define EXPONENTS 960
#endif
#define NOTHING 0x1p-80          /* more than a slot of 2^LOWEST adds up to */
#define GAP (LINE / (ptrdiff_t)sizeof(real)) /* between columns: a line, or many would meet in few sets of the cache */
#define COLUMN (TILE + GAP)    /* from a column of a tile to the next */
#define LN2 R(0.6931471805599453)

#if defined(__GNUC__)
#if defined(__AVX512F__)
#define VEC_BYTES 64
#elif defined(__AVX__)
#define VEC_BYTES 32
#else
#define VEC_BYTES 16
#endif
typedef real vec __attribute__((vector_size(VEC_BYTES)));
typedef word bits __attribute__((vector_size(VEC_BYTES)));
#define LANE(v, i) ((v)[i])
#else
#define VEC_BYTES (sizeof(real))
typedef real vec;
typedef word bits;
#define LANE(v, i) (v)
#endif

#define LANES ((int)(VEC_BYTES / sizeof(real)))

/* The largest k of which a tile's totals, each in [1, k], may be multiplied lane by lane. */
#define FACTOR_BITS (EXPONENTS * LANES / TILE)
#define LARGEST_PRODUCT_K (FACTOR_BITS < 20 ? 1 << FACTOR_BITS : 1 << 20)

/* Vector number i of an array, aligned or not. */
#if defined(__GNUC__)
typedef real unaligned_vec __attribute__((vector_size(VEC_BYTES), aligned(sizeof(real)), may_alias));
#else
typedef real unaligned_vec;
#endif
static inline vec load(const real *from, ptrdiff_t i) { return ((const unaligned_vec *)(from + i * LANES))[0]; }
static inline void store(real *to, ptrdiff_t i, vec v) { ((unaligned_vec *)(to + i * LANES))[0] = v; }

/* Elements `step` apart. */
static inline vec load_strided(const real *from, ptrdiff_t step)
{
    vec v = {0};
    for (int i = 0; i < LANES; i++) LANE(v, i) = from[i * step];
    return v;
}

/* Four rows of four features, step elements apart -> four columns of a tile; origin is taken from them in double. */
#if defined(__GNUC__)
typedef double double4 __attribute__((vector_size(32)));
typedef real real4 __attribute__((vector_size(4 * sizeof(real))));
typedef word mask4 __attribute__((vector_size(4 * sizeof(real))));
#ifdef __clang__
#define SHUFFLE(a, b, i, j, k, l) __builtin_shufflevector(a, b, i, j, k, l)
#else
#define SHUFFLE(a, b, i, j, k, l) __builtin_shuffle(a, b, (mask4){i, j, k, l})
#endif
#define DEFINE_TRANSPOSE(NAME, TYPE)                                                                              \
    typedef TYPE NAME##_row __attribute__((vector_size(4 * sizeof(TYPE)), aligned(sizeof(TYPE)), may_alias));     \
    static inline void NAME(const TYPE *from, ptrdiff_t step, const double *origin, real *to)                     \
    {                                                                                                             \
        double4 o = {origin[0], origin[1], origin[2], origin[3]};                                                 \
        real4 r[4], t[4];                                                                                         \
        for (int i = 0; i < 4; i++) {                                                                             \
            NAME##_row row = *(const NAME##_row *)(from + i * step);                                              \
            r[i] = __builtin_convertvector(__builtin_convertvector(row, double4) - o, real4);                     \
        }                                                                                                         \
        t[0] = SHUFFLE(r[0], r[1], 0, 4, 2, 6), t[1] = SHUFFLE(r[0], r[1], 1, 5, 3, 7);                           \
        t[2] = SHUFFLE(r[2], r[3], 0, 4, 2, 6), t[3] = SHUFFLE(r[2], r[3], 1, 5, 3, 7);                           \
        r[0] = SHUFFLE(t[0], t[2], 0, 1, 4, 5), r[1] = SHUFFLE(t[1], t[3], 0, 1, 4, 5);                           \
        r[2] = SHUFFLE(t[0], t[2], 2, 3, 6, 7), r[3] = SHUFFLE(t[1], t[3], 2, 3, 6, 7);                           \
        for (int j = 0; j < 4; j++) memcpy(to + j * COLUMN, &r[j], sizeof r[j]);                                  \
    }
#else
#define DEFINE_TRANSPOSE(NAME, TYPE)                                                                              \
    static inline void NAME(const TYPE *from, ptrdiff_t step, const double *origin, real *to)                     \
    {                                                                                                             \
        for (int i = 0; i < 4; i++)                                                                               \
            for (int j = 0; j < 4; j++) to[j * COLUMN + i] = (real)(from[i * step + j] - origin[j]);              \
    }
#endif
DEFINE_TRANSPOSE(transpose_doubles, double)
DEFINE_TRANSPOSE(transpose_floats, float)

/* A bit for each of n numbers, at most 64, step elements apart: is it a NaN? */
#define DEFINE_MISSING(NAME, TYPE)                                                                                \
    static inline uint64_t NAME(const TYPE *x, ptrdiff_t step, ptrdiff_t n)                                       \
    {                                                                                                             \
        uint64_t found = 0;                                                                                       \
        ptrdiff_t j = 0;                                                                                          \
        if (step == 1) found = NAME##_by_vectors(x, n, &j);                                                       \
        for (; j < n; j++) found |= (uint64_t)(x[j * step] != x[j * step]) << j;                                  \
        return found;                                                                                             \
    }
#if defined(__AVX512F__)
#define DEFINE_BY_VECTORS(NAME, TYPE, LENGTH, LOAD, COMPARE)                                                      \
    static inline uint64_t NAME##_by_vectors(const TYPE *x, ptrdiff_t n, ptrdiff_t *end)                          \
    {                                                                                                             \
        uint64_t found = 0;                                                                                       \
        for (*end = 0; *end < n; *end += LENGTH)                                                                  \
            found |= (uint64_t)COMPARE(LOAD(n - *end < LENGTH ? (1u << (n - *end)) - 1 : ~0u, x + *end)) << *end; \
        return found;                                                                                             \
    }
#define NAN_DOUBLES(v) _mm512_cmp_pd_mask(v, v, _CMP_UNORD_Q)
#define NAN_FLOATS(v) _mm512_cmp_ps_mask(v, v, _CMP_UNORD_Q)
DEFINE_BY_VECTORS(missing_doubles, double, 8, _mm512_maskz_loadu_pd, NAN_DOUBLES)
DEFINE_BY_VECTORS(missing_floats, float, 16, _mm512_maskz_loadu_ps, NAN_FLOATS)
#elif defined(__AVX__)
#define DEFINE_BY_VECTORS(NAME, TYPE, LENGTH, LOAD, MOVEMASK, COMPARE)                                            \
    static inline uint64_t NAME##_by_vectors(const TYPE *x, ptrdiff_t n, ptrdiff_t *end)                          \
    {                                                                                                             \
        uint64_t found = 0;                                                                                       \
        for (*end = 0; *end + LENGTH <= n; *end += LENGTH)                                                        \
            found |= (uint64_t)MOVEMASK(COMPARE(LOAD(x + *end), LOAD(x + *end), _CMP_UNORD_Q)) << *end;           \
        return found;                                                                                             \
    }
DEFINE_BY_VECTORS(missing_doubles, double, 4, _mm256_loadu_pd, _mm256_movemask_pd, _mm256_cmp_pd)
DEFINE_BY_VECTORS(missing_floats, float, 8, _mm256_loadu_ps, _mm256_movemask_ps, _mm256_cmp_ps)
#else
#define missing_doubles_by_vectors(x, n, end) 0
#define missing_floats_by_vectors(x, n, end) 0
#endif
DEFINE_MISSING(missing_doubles, double)
DEFINE_MISSING(missing_floats, float)

/* Sums by lane are doubles. */
#if defined(FASTEM_SINGLE) && defined(__GNUC__)
typedef double wide __attribute__((vector_size(2 * VEC_BYTES)));
typedef double unaligned_wide __attribute__((vector_size(2 * VEC_BYTES), aligned(8), may_alias));
static inline void add_to(double *to, ptrdiff_t i, vec v)
{
    ((unaligned_wide *)(to + i * LANES))[0] += __builtin_convertvector(v, wide);
}
#else
static inline void add_to(double *to, ptrdiff_t i, vec v)
{
    for (int lane = 0; lane < LANES; lane++) to[i * LANES + lane] += LANE(v, lane);
}
#endif

/* Sums over the lanes, in a fixed order. */
static inline double fold(const double *lanes)
{
    double sum = 0.0;
    for (int i = 0; i < LANES; i++) sum += lanes[i];
    return sum;
}

static inline double lane_sum(vec v)
{
    double sum = 0.0;
    for (int i = 0; i < LANES; i++) sum += LANE(v, i);
    return sum;
}

/* The next cache line: a vector that crosses one costs two accesses. */
static inline real *aligned(real *at) { return (real *)(((uintptr_t)at + LINE - 1) / LINE * LINE); }

/* Ask for the lines of some bytes, which are read soon: they come while others are at hand.  GCC drops the calls of a
 * function that does nothing else; it keeps the empty statement, and with it the function. */
static inline void ask_for(const void *from, ptrdiff_t bytes)
{
#if defined(__GNUC__)
#pragma GCC unroll 8
    for (ptrdiff_t i = 0; i < bytes; i += LINE) {
        __builtin_prefetch((const char *)from + i);
        __asm__ volatile("");
    }
#else
    (void)from, (void)bytes;
#endif
}

/* Under AddressSanitizer the line behind each of n columns is out of bounds, as if columns were allocated one by one. */
#ifdef __SANITIZE_ADDRESS__
#include <sanitizer/asan_interface.h>
static inline void guard(const real *columns, ptrdiff_t n, ptrdiff_t length)
{
    for (ptrdiff_t j = 0; j < n; j++) __asan_poison_memory_region(columns + j * (length + GAP) + length, LINE);
}
#else
static inline void guard(const real *columns, ptrdiff_t n, ptrdiff_t length) { (void)columns, (void)n, (void)length; }
#endif

static inline bits as_bits(vec v) { bits b; memcpy(&b, &v, sizeof b); return b; }
static inline vec as_vec(bits b) { vec v; memcpy(&v, &b, sizeof v); return v; }

static inline vec broadcast(double value) { return (vec){0} + (real)value; }

/* The larger; b where a is not a number. */
static inline vec larger(vec a, vec b)
{
#if defined(__AVX512F__)
#define MAX(floats, doubles) (SINGLE ? (vec)_mm512_max_ps floats : (vec)_mm512_max_pd doubles)
    return MAX(((__m512)a, (__m512)b), ((__m512d)a, (__m512d)b));
#elif defined(__AVX__)
#define MAX(floats, doubles) (SINGLE ? (vec)_mm256_max_ps floats : (vec)_mm256_max_pd doubles)
    return MAX(((__m256)a, (__m256)b), ((__m256d)a, (__m256d)b));
#elif defined(__SSE2__)
#define MAX(floats, doubles) (SINGLE ? (vec)_mm_max_ps floats : (vec)_mm_max_pd doubles)
    return MAX(((__m128)a, (__m128)b), ((__m128d)a, (__m128d)b));
#else
    vec v = b;
    for (int i = 0; i < LANES; i++)
        if (LANE(a, i) > LANE(b, i)) LANE(v, i) = LANE(a, i);
    return v;
#endif
}

/* Lane by lane: chosen where a < b, else other. */
static inline vec where_less(vec a, vec b, vec chosen, vec other)
{
#if defined(__GNUC__)
    bits less = (bits)(a < b);
    return as_vec((as_bits(chosen) & less) | (as_bits(other) & ~less));
#else
    return a < b ? chosen : other;
#endif
}

/* Lane by lane: chosen where x is a number, else 0. */
static inline vec where_number(vec x, vec chosen)
{
#if defined(__GNUC__)
    return as_vec(as_bits(chosen) & (bits)(x == x));
#else
    return x == x ? chosen : R(0.0);
#endif
}

/* out[0..3] += the lane sums of s0..s3, next[0..3] += those of s4..s7.  Where vectors are long, pairs are interleaved
 * and added, and then pairs of those: three instructions for a sum, not LANES. */
#if defined(FASTEM_SINGLE) && defined(__AVX512F__)
static inline __m512d halves(vec v)  /* of 16 floats, as 8 doubles */
{
    __m512 f = (__m512)v;
    return _mm512_add_pd(_mm512_cvtps_pd(_mm512_castps512_ps256(f)), _mm512_cvtps_pd(_mm512_extractf32x8_ps(f, 1)));
}
#elif defined(FASTEM_SINGLE) && defined(__AVX__)
static inline __m256d halves(vec v)  /* of 8 floats, as 4 doubles */
{
    __m256 f = (__m256)v;
    return _mm256_add_pd(_mm256_cvtps_pd(_mm256_castps256_ps128(f)), _mm256_cvtps_pd(_mm256_extractf128_ps(f, 1)));
}
#else
#define halves(v) (v)
#endif

static inline void add_lane_sums(double *out, double *next, vec s0, vec s1, vec s2, vec s3, vec s4, vec s5, vec s6,
                                 vec s7)
{
#if defined(__AVX__)
#if defined(__AVX512F__)
#define PAIR(a, b) _mm512_add_pd(_mm512_unpacklo_pd(a, b), _mm512_unpackhi_pd(a, b))
#define QUAD(a, b) _mm512_add_pd(_mm512_shuffle_f64x2(a, b, 0x88), _mm512_shuffle_f64x2(a, b, 0xdd))
    __m512d d0 = halves(s0), d1 = halves(s1), d2 = halves(s2), d3 = halves(s3);
    __m512d d4 = halves(s4), d5 = halves(s5), d6 = halves(s6), d7 = halves(s7);
    __m512d sums = QUAD(QUAD(PAIR(d0, d1), PAIR(d2, d3)), QUAD(PAIR(d4, d5), PAIR(d6, d7)));
    __m256d low = _mm512_castpd512_pd256(sums), high = _mm512_extractf64x4_pd(sums, 1);
#else
#define PAIR(a, b) _mm256_hadd_pd(halves(a), halves(b))
#define QUAD(a, b) _mm256_add_pd(_mm256_blend_pd(a, b, 12), _mm256_permute2f128_pd(a, b, 0x21))
    __m256d low = QUAD(PAIR(s0, s1), PAIR(s2, s3)), high = QUAD(PAIR(s4, s5), PAIR(s6, s7));
#endif
#undef PAIR
#undef QUAD
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

/* The core that this thread runs on; -1 where the system does not tell. */
#ifdef __linux__
static inline int current_core(void) { return sched_getcpu(); }
#else
static inline int current_core(void) { return -1; }
#endif

/* exp2_: 2^x for -1021 <= x <= 1021 (float: -125 <= x <= 125), to 2 units in the last place.  x = n + f with n integer
 * and |f| <= 1/2; 2^f by the Chebyshev interpolant of degree 11 (its error, 3e-18, is below half a unit; float: of
 * degree 5, exact at 0, 2e-7); n is added to the exponent.
 *
 * AVX-512 has one instruction for f >= 0, one for 2^n, and one that looks up SIXTEENTHS in two registers: there
 * x = n + i / 16 + f with 0 <= f < 1/16, and degree 6 is enough (3e-17); floats, of few terms, take 0 <= f < 1.
 *
 * log2_: of a positive normal x, to 3 units in the last place.  x = 2^n m with sqrt(1/2) <= m < sqrt(2); with
 * s = (m - 1) / (m + 1), log2 m = 2 / ln 2 atanh s = s P(s^2), P the Chebyshev interpolant of degree 7. */
#ifdef FASTEM_SINGLE
#define MANTISSA 23                   /* bits */
#define BIAS 127.0f                   /* of the exponent */
#define ROUND_TO_INTEGER 0x1.8p23f    /* adding it leaves the nearest integer in the low bits */
#define ROUND_BITS 0x4b400000u        /* of ROUND_TO_INTEGER */
#define SQRT_HALF_BITS 0x3f3504f3u
#define ONE_BITS 0x3f800000u
#else
#define MANTISSA 52
#define BIAS 1023.0
#define ROUND_TO_INTEGER 0x1.8p52
#define DOWN_TO_SIXTEENTH 0x1.8p48    /* as ROUND_TO_INTEGER, of sixteenths */
#define ROUND_BITS 0x4338000000000000ULL
#define SQRT_HALF_BITS 0x3fe6a09e667f3bcdULL
#define ONE_BITS 0x3ff0000000000000ULL
#endif

#if defined(__AVX512DQ__)
#define DOWN _MM_FROUND_TO_NEG_INF
#endif

#if defined(__AVX512DQ__) && defined(FASTEM_SINGLE)
static inline vec exp2_(vec x)
{
    vec f = (vec)_mm512_reduce_ps((__m512)x, DOWN);
    vec p = 0.0017883688f * f + 0.009199387f;
    p = p * f + 0.055657055f;
    p = p * f + 0.2402072f;
    p = p * f + 0.69314754f;
    p = p * f + 1.0f;
    return (vec)_mm512_scalef_ps((__m512)p, (__m512)x);
}
#elif defined(__AVX512DQ__)
static const double SIXTEENTHS[16] = { /* 2^(i / 16) */
    1.0, 1.0442737824274138, 1.0905077326652577, 1.1387886347566916,
    1.189207115002721, 1.241857812073484, 1.2968395546510096, 1.3542555469368927,
    1.4142135623730951, 1.4768261459394993, 1.5422108254079407, 1.6104903319492543,
    1.681792830507429, 1.7562521603732995, 1.8340080864093424, 1.9152065613971474,
};

static inline vec exp2_(vec x)
{
    __m512d down = _mm512_add_round_pd((__m512d)x, _mm512_set1_pd(DOWN_TO_SIXTEENTH), DOWN | _MM_FROUND_NO_EXC);
    vec s = (vec)_mm512_permutex2var_pd(_mm512_loadu_pd(SIXTEENTHS), (__m512i)down, _mm512_loadu_pd(SIXTEENTHS + 8));
    vec f = (vec)_mm512_reduce_pd((__m512d)x, DOWN | 4 << 4);
    vec p = 0.00015692444190046448 * f + 0.0013331520045529266;
    p = p * f + 0.009618135722740813;
    p = p * f + 0.0555041085678426;
    p = p * f + 0.24022650695962044;
    p = p * f + 0.6931471805599448;
    p = p * f * s + s;
    return (vec)_mm512_scalef_pd((__m512d)p, (__m512d)x);
}
#else
static inline vec exp2_(vec x)
{
    vec shifted = x + ROUND_TO_INTEGER;
    vec f = x - (shifted - ROUND_TO_INTEGER);
#ifdef FASTEM_SINGLE
    vec p = 0.00133813025f * f + 0.00966636852f;
    p = p * f + 0.0555038101f;
    p = p * f + 0.24022349f;
    p = p * f + 0.693147181f;
    p = p * f + 1.0f;
#else
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
#endif
    return as_vec(as_bits(p) + (as_bits(shifted) << MANTISSA));
}
#endif

static inline vec log2_(vec x)
{
    bits biased = (as_bits(x) - SQRT_HALF_BITS + ONE_BITS) >> MANTISSA; /* n + BIAS */
    vec m = as_vec(as_bits(x) - (biased << MANTISSA) + ONE_BITS);
    vec n = as_vec(biased + ROUND_BITS) - (ROUND_TO_INTEGER + BIAS);
    vec s = (m - R(1.0)) / (m + R(1.0));
    vec z = s * s;
    vec p = R(0.21366122502798326) * z + R(0.22091286734180157);
    p = p * z + R(0.26233436060329546);
    p = p * z + R(0.3205985347650481);
    p = p * z + R(0.4121985858422942);
    p = p * z + R(0.577078016345514);
    p = p * z + R(0.9617966939259898);
    p = p * z + R(2.8853900817779268);
    return n + s * p;
}

#endif
