# cython: language_level=3, boundscheck=False, wraparound=False, initializedcheck=False, cdivision=True
"""Cython kernels of many small fits, ahead of time: groups of rows in, a fitted mixture of each out.

Design note
 a. A kernel fits groups, one after the other: start, E-step, M-step, stop test.  Elsewhere kernels map parameters to
    sums and nothing more; there a sweep is long.  Here an iteration takes a third of a microsecond (110 rows, k = 2),
    a hundredth of what Python would take between two of them.
 b. Groups are independent: a thread has a run of them, and the bits of a fit depend on its own rows alone.
 c. The lanes of a vector are rows of one group, as in `_kernels.pyx`, filled up with copies of a row at weight 0.
    Rows of weight 0 are left out.
 d. One sweep reads a vector of rows once; densities of a vector and sums by lane stay in cache.  Numerics are those of
    `_kernels.pyx`: base 2, residuals before products, the largest density subtracted; moments about the means of the
    sweep.  The M-step is that of the family's statistics, the stop rule that of `fitting/driver.py`.
 e. A family is four functions of a group, in a file of its own: tables, log density, moments, M-step.  They are passed
    to functions that are inlined, so that no call is left in a loop.
 f. What is wrong with the rows of a group is its status, and its parameters are NaN.
"""
from cython cimport floating
from libc.math cimport INFINITY, NAN, exp, fabs, floor, isnan, log, log1p, log2, sqrt
from libc.stdint cimport int8_t
from libc.stdlib cimport calloc, free

include "kernels/simd.pxi"

cdef extern from *:
    """
    #define LOG2E 1.4426950408889634
    #define LOG2_2PI 2.651496129472319
    #define LOG_2PI 1.8378770664093453
    #define LARGEST 1e140            /* as arrays.LARGEST_MAGNITUDE */
    #define LARGEST_SUM 1e305        /* as arrays.LARGEST_SUM */
    #define LARGEST_COUNT 0x1p53     /* as arrays.LARGEST_COUNT */
    #define EMPTY 0x1p-850           /* as weights.EMPTY */
    #define RESOLUTION 0x1p-50       /* as gaussian.RESOLUTION */
    #define SMALLEST_VARIANCE 1e-200 /* as gaussian.SMALLEST_VARIANCE */
    #define SMALLEST_PROB 0x1p-53    /* as binomial.SMALLEST_PROB */
    #define LOG_ZERO (-1e290)        /* as counts.LOG_ZERO */
    #define LOWEST_LOGLIK (-1e307)   /* as slots.LOWEST_LOGLIK */
    #define TIE 1e-9                 /* share of the range by which means of blocks differ, or they are one */
    #define COLUMNS 9                /* of a group: x, failures, ..., gain */
    #define TRIAL 3                  /* iterations from each start, before the best goes on */
    #define FEWEST_ROWS 3.0          /* of a part of the values; of so few the variance is drawn to that of all */
    #define NARROW 0.35              /* variances of two components of one mean, to that of all */
    #define WIDE 2.0
    #define FEW 0.1                  /* share of the wide one, where it is small; then */
    #define NEAR 0.5
    #define FAR 6.0
    #define NO_CHANGE 1e-12          /* as aitken.ROUNDING */
    #define HEAVY 2.5                /* excess kurtosis of such rows */
    #define UNSEEN 1e-12             /* a rate or p (1 - p) below it has that precision */
    """
    const double LOG2E, LOG2_2PI, LOG_2PI, LARGEST, LARGEST_SUM, LARGEST_COUNT, EMPTY, RESOLUTION, SMALLEST_VARIANCE
    const double SMALLEST_PROB, LOG_ZERO, LOWEST_LOGLIK, TIE
    const double FEWEST_ROWS, NARROW, WIDE, UNSEEN, FEW, NEAR, FAR, HEAVY, NO_CHANGE
    enum: COLUMNS
    enum: TRIAL

cdef enum:  # as many.FitStatus
    CONVERGED
    MAX_ITER
    NO_ROWS
    FEW_ROWS
    NOT_FINITE
    NOT_COUNTS


include "kernels/many_group.pxi"
include "kernels/many_em.pxi"
include "kernels/many_start.pxi"
include "kernels/many_normal.pxi"
include "kernels/many_binomial.pxi"
include "kernels/many_poisson.pxi"
