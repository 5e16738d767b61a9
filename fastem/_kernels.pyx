# cython: language_level=3, boundscheck=False, wraparound=False, initializedcheck=False, cdivision=True
"""Cython kernels, ahead of time: rows and parameters in, sums out.

Design note
 a. A kernel sums slots.  Rows are cut into slots of `slot_rows`; slot s writes row s of `sums` and nothing else, so
    the caller may hand any run of slots to any thread.  No lock, no fold, no M-step, no stop test here.
 b. A row of `sums` is counts (k), the moments of the family (first (k, d); second (k, d), (k, d, d) or (d, d)), loglik
    and entropy, one behind the other.  Its length says which moments there are.
 c. Rows are read once, a tile of TILE at a time, and transposed to (d, TILE): the lanes of a vector are points.  All
    work of a tile stays in cache.  The last tile is filled up with copies of a row at weight 0.
 d. Log densities are in base 2; the caller folds log2(e) into the tables.  exp2 and log2 are our own (`simd.h`), so
    that the loops hold no call.
 e. Residuals x - mean come before any product: a large common offset of the data costs no digits.
 f. `vec` is LANES reals to the C compiler and one double to Cython: kernels read as formulas for one point.
 g. `real` is double or, in the modules named single, float: what belongs to one tile.  Sums of a slot are doubles.

A family is two functions of a tile, `densities` and `moments`, and a `Family`, which has what the loops over slots must
know of it; all else is written once.  Its sweeps are a file in kernels/ and an include in sweeps.pxi, its iterations
(a `Mixture`) a file and an include here.
"""
from cython cimport view
from libc.math cimport INFINITY, NAN, exp, exp2, fabs, floor, log, log1p, log2, sqrt
from libc.stdint cimport int8_t
from libc.stdlib cimport malloc

include "kernels/sweeps.pxi"

cdef extern from *:
    """
    #define FIBONACCI 0x9e3779b97f4a7c15u  /* 2^64 over the golden ratio, odd */
    #define LOG2E 1.4426950408889634
    #define LOG2_2PI 2.651496129472319
    #define ROOT_OF_HALF_LOG2E 0.8493218002880191
    #define UNIT 0x1p-53             /* as stats.UNIT, and binomial's SMALLEST_PROB */
    #define EPS 0x1p-52
    #define EMPTY 0x1p-850           /* as weights.EMPTY */
    #define SMALLEST_WEIGHT 1e-300   /* as weights.SMALLEST_WEIGHT */
    #define LOG_ZERO (-1e290)        /* as counts.LOG_ZERO */
    #define RESOLUTION 0x1p-50       /* as matrices.RESOLUTION */
    #define SMALLEST_VARIANCE 1e-200 /* as matrices.SMALLEST_VARIANCE */
    #define WORTHWHILE 16            /* as tables.WORTHWHILE */
    #define FEWEST_DIAGONAL 8        /* as Diagonal.fewest_about_middle */
    #define FEWEST_ISOTROPIC 3       /* as Spherical.fewest_about_middle */
    #define NEAR 32.0                /* as tables.NEAR */
    #define NO_CHANGE 1e-12          /* as aitken.ROUNDING */
    #define LARGEST 1e140            /* as arrays.LARGEST_MAGNITUDE */
    #define LARGEST_SUM 1e305        /* as arrays.LARGEST_SUM */
    #define LARGEST_COUNT 0x1p53     /* as arrays.LARGEST_COUNT */
    #define UNSEEN 1e-12             /* a rate or p (1 - p) below it has that precision */
    #define SEED 0x9e3779b97f4a7c15u /* of the draws of every group */
    #define KEPT_PATTERNS 1024       /* of missing values that are kept from slot to slot */
    #define KEPT_MARGINALS 0x80000   /* numbers in the tables of patterns that are: 4 MiB */
    #define COMPLETED 0x8000         /* completed residuals of a tile at a time: 256 KiB */
    #define FEW_ROWS 8               /* of a pattern that are completed one by one */
    #define SORTED_ROWS 4096         /* rows of a posterior whose missing values are looked at together */
    #define STARTS 3                 /* of a group of several columns */
    #define TRIAL_ITERATIONS 5       /* of each, before the best goes on */
    #define LLOYD_STEPS 3            /* of k-means */
    """
    const uint64_t FIBONACCI
    const double LOG2E, LOG2_2PI, ROOT_OF_HALF_LOG2E, UNIT, EPS, EMPTY, SMALLEST_WEIGHT, LOG_ZERO, RESOLUTION
    const double SMALLEST_VARIANCE, NEAR, NO_CHANGE, LARGEST, LARGEST_SUM, LARGEST_COUNT, UNSEEN
    const uint64_t SEED
    enum: WORTHWHILE
    enum: FEWEST_DIAGONAL
    enum: FEWEST_ISOTROPIC
    enum: KEPT_PATTERNS
    enum: KEPT_MARGINALS
    enum: COMPLETED
    enum: FEW_ROWS
    enum: SORTED_ROWS
    enum: STARTS
    enum: TRIAL_ITERATIONS
    enum: LLOYD_STEPS


def core_of_caller():
    """The core that this thread runs on; -1 where the system does not tell."""
    return current_core()


include "kernels/iterate.pxi"
include "kernels/accelerate.pxi"
include "kernels/jacobi.pxi"
include "kernels/tables_gaussian.pxi"
include "kernels/maximize_gaussian.pxi"
include "kernels/iterate_gaussian.pxi"
include "kernels/coordinates_gaussian.pxi"
include "kernels/iterate_counts.pxi"
include "kernels/iterate_binomial.pxi"
include "kernels/iterate_poisson.pxi"
include "kernels/distinct.pxi"
include "kernels/mvnormal_diag_missing.pxi"
include "kernels/mvnormal_natural_missing.pxi"
include "kernels/poisson_missing.pxi"
include "kernels/patterns.pxi"
include "kernels/marginals.pxi"
include "kernels/mvnormal_full_missing.pxi"
include "kernels/completion.pxi"
include "kernels/mvnormal_completed.pxi"
include "kernels/nearest.pxi"
include "kernels/many_rows.pxi"
include "kernels/many_rows_em.pxi"
include "kernels/parts.pxi"
include "kernels/component.pxi"
include "kernels/splits.pxi"
include "kernels/partial.pxi"
