# What the Cython kernels have of C: vectors, and the types that counts come in.

from libc.stdint cimport int32_t, int64_t, uint8_t, uint16_t, uint64_t

ctypedef fused number:  # what counts come in; whole numbers, exact as doubles
    float
    double
    uint8_t
    uint16_t
    int32_t
    int64_t

cdef extern from "kernels/simd.h" nogil:
    ctypedef double real
    ctypedef double vec
    const Py_ssize_t LANES
    const Py_ssize_t TILE
    const Py_ssize_t GAP
    const Py_ssize_t COLUMN
    const Py_ssize_t LARGEST_PRODUCT_K
    const real LOWEST
    const real FAR_OUT
    const real LN2
    const double NOTHING
    void transpose_doubles(const double *, Py_ssize_t, const double *, real *) noexcept
    void transpose_floats(const float *, Py_ssize_t, const double *, real *) noexcept
    uint64_t missing_doubles(const double *, Py_ssize_t, Py_ssize_t) noexcept
    uint64_t missing_floats(const float *, Py_ssize_t, Py_ssize_t) noexcept
    vec load_strided(const real *, Py_ssize_t) noexcept
    vec load(const real *, Py_ssize_t) noexcept
    void store(real *, Py_ssize_t, vec) noexcept
    void add_to(double *, Py_ssize_t, vec) noexcept
    vec broadcast(double) noexcept
    vec larger(vec, vec) noexcept
    vec where_number(vec, vec) noexcept
    vec where_less(vec, vec, vec, vec) noexcept
    vec exp2_(vec) noexcept
    vec log2_(vec) noexcept
    double lane_sum(vec) noexcept
    double fold(const double *) noexcept
    real *aligned(real *) noexcept
    const Py_ssize_t LINE, MOST_ASKED
    void ask_for(const void *, Py_ssize_t) noexcept
    void guard(const real *, Py_ssize_t, Py_ssize_t) noexcept
    bint SINGLE
    void add_lane_sums(double *, double *, vec, vec, vec, vec, vec, vec, vec, vec) noexcept
    int current_core() noexcept
