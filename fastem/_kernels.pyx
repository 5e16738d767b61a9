# cython: language_level=3, boundscheck=False, wraparound=False, initializedcheck=False, cdivision=True
"""Cython kernels, ahead of time: rows and parameters in, sums out.

Design note
 a. A kernel sums slots.  Rows are cut into slots of `slot_rows`; slot s writes row s of `sums` and nothing else, so
    the caller may hand any run of slots to any thread.  No lock, no fold, no M-step, no stop test here.
 b. A row of `sums` is counts (k), first (k, d), second ((k, d) or (k, d, d)), loglik, entropy, one behind the other.
 c. Rows are read once, a tile of TILE at a time, and transposed to (d, TILE): the lanes of a vector are points.  All
    work of a tile stays in cache.  The last tile is filled up with copies of a row at weight 0.
 d. Log densities are in base 2; the caller folds log2(e) into the tables.  exp2 and log2 are our own (`_simd.h`), so
    that the loops hold no call.
 e. Residuals x - mean come before any product: a large common offset of the data costs no digits.
 f. `vec` is LANES reals to the C compiler and one double to Cython: kernels read as formulas for one point.
 g. `real` is double or, in the modules named single, float: what belongs to one tile.  Sums of a slot are doubles.

A family is two functions of a tile, `densities` and `moments`; all else is written once.
"""
from cython cimport floating
from libc.stdint cimport uint64_t
from libc.stdlib cimport calloc, free
from libc.string cimport memcpy

include "_simd.pxi"

cdef extern from *:
    """
    #define VECTORS (TILE / LANES)      /* vectors of a column of a tile */
    #define LOW_DENSITIES 8             /* features of which the residuals of a vector stay in registers */
    #define LOW_MOMENTS 4               /* features of which the moments of a component do */
    #define FIBONACCI 0x9e3779b97f4a7c15u  /* 2^64 over the golden ratio, odd */
    """
    const Py_ssize_t VECTORS
    const uint64_t FIBONACCI
    enum: LOW_MOMENTS
    enum: LOW_DENSITIES


def processor_has(str isa):
    """Does this processor, under this operating system, run instruction set "avx2" (with FMA) or "avx512"?"""
    return has_avx2() if isa == "avx2" else has_avx512()


def core_of_caller():
    """The core that this thread runs on; -1 where the system does not tell."""
    return current_core()


# ---------------------------------------------------------------------------------------------------------- tiles

cdef struct Tile:
    Py_ssize_t k
    Py_ssize_t d
    Py_ssize_t vectors       # of a column that hold rows, raised to an even number
    real *log_norm           # (k,)      tables of the family, as its kernel names them
    real *location           # (k, d)
    const real *scaling      # (k, d) or (k, d, d); of doubles the caller's own
    double *origin           # (d,)      from which x and location are taken: 0, but for float32
    double *rounding         # (k, d)    what location has lost in float32
    real *x                  # (d, TILE) columns of the rows at hand
    real *trials             # (d, TILE) binomial only, else NULL
    real *weight             # (TILE,)   sample weights, 0 behind the last row
    real *top                # (TILE,)   largest log2 density over the components
    real *total              # (TILE,)   sum over the components of 2^(log density - top), in [1, k]
    real *scale              # (TILE,)   weight / total
    real *density            # (k, TILE) log2 (weight * density), then 2^(that - top)
    real *residual           # (d, TILE) x - mean of the component at hand, and rows of zeros to a multiple of four
    real *weighted           # (4, TILE) responsibility * residual of four features
    double *counts           # (k, LANES)    sums of the slot at hand, by lane
    double *first            # (k, d, LANES)
    double *second           # (k, d, LANES); full covariance: (k, d, d, LANES) or, d > LOW_MOMENTS, (k, d, d) with
                             #               d raised to a multiple of four; lower triangles
    Py_ssize_t lanes_length  # of counts, first and second together
    double loglik
    double entropy
    bint full                # second moments are matrices
    bint unit                # every weight of this tile is 1

ctypedef void (*Step)(Tile *) noexcept nogil


cdef real *new_tile(Tile *t, Py_ssize_t k, Py_ssize_t d, const double *log_norm, const double *location,
                    const double *scaling, bint full, bint has_trials, bint sums) except NULL:
    """One zeroed block behind all arrays of a tile, the tables copied in; the caller frees what this returns.

    Without sums there is room for none, and where lanes are doubles the largest table stays where it is: else a row at
    784 features would wait for that memory.
    """
    cdef Py_ssize_t rows = padded_rows(d), scaling_length = k * d * (d if full else 1)
    cdef Py_ssize_t second_length = k * rows * rows if full and d > LOW_MOMENTS else scaling_length * LANES
    cdef Py_ssize_t tile_length = (8 + k + d + has_trials * d + rows) * COLUMN + k * (1 + d)
    cdef real *block
    second_length = second_length if sums else 0
    tile_length += scaling_length if SINGLE else 0
    t.k, t.d, t.full, t.vectors = k, d, full, VECTORS
    t.lanes_length = k * (1 + d) * LANES + second_length if sums else 0
    block = <real *> calloc((t.lanes_length + d + k * d) * sizeof(double) + tile_length * sizeof(real) + 128, 1)
    if block == NULL:
        raise MemoryError(f"no memory for the workspace of {k} components in {d} dimensions")
    t.x = aligned(block)
    t.weight = t.x + d * COLUMN
    t.top = t.weight + COLUMN
    t.total = t.top + COLUMN
    t.scale = t.total + COLUMN
    t.density = t.scale + COLUMN
    t.residual = t.density + k * COLUMN
    t.weighted = t.residual + rows * COLUMN
    t.trials = t.weighted + 4 * COLUMN if has_trials else NULL
    t.counts = <double *> aligned(t.weighted + (4 + has_trials * d) * COLUMN)
    t.first = t.counts + k * LANES
    t.second = t.first + k * d * LANES
    t.origin = t.counts + t.lanes_length
    t.rounding = t.origin + d
    t.log_norm = <real *> (t.rounding + k * d)
    t.location = t.log_norm + k
    copy_tables(t, log_norm, location)
    t.scaling = narrowed(scaling, scaling_length, t.location + k * d) if SINGLE else <const real *> scaling
    guard(t.x, 8 + k + d + has_trials * d + rows, TILE)
    return block


cdef void copy_tables(Tile *t, const double *log_norm, const double *location) noexcept nogil:
    """float32 has no digits for an offset: there rows and means are taken from the middle of the means."""
    cdef Py_ssize_t c, j
    cdef double mean
    for j in range(t.d if SINGLE else 0):
        for c in range(t.k):
            t.origin[j] += location[c * t.d + j] / t.k
        t.origin[j] = <real> t.origin[j]
    for c in range(t.k):
        if log_norm != NULL:
            t.log_norm[c] = <real> log_norm[c]
        for j in range(t.d):
            mean = location[c * t.d + j] - t.origin[j]
            t.location[c * t.d + j] = <real> mean
            t.rounding[c * t.d + j] = mean - t.location[c * t.d + j]


cdef const real *narrowed(const double *table, Py_ssize_t length, real *to) noexcept nogil:
    cdef Py_ssize_t i
    for i in range(length if table != NULL else 0):
        to[i] = <real> table[i]
    return to


cdef inline void load_columns(const number[:, :] X, Py_ssize_t row, Py_ssize_t rows, Py_ssize_t length,
                              const double *origin, real *x) noexcept nogil:
    """(X[row : row + rows] - origin).T -> (d, TILE), filled up to `length` with copies of the first row.

    Rows that lie behind each other are transposed in blocks of 4 x 4: every cache line is met once.
    """
    cdef Py_ssize_t i, j, step = X.strides[0] // <Py_ssize_t> sizeof(number), d = X.shape[1], blocked = 0
    if (number is double or number is float) and X.strides[1] == sizeof(number):
        blocked = d - d % 4
        for i in range(0, rows - 3, 4):
            for j in range(0, blocked, 4):
                if number is double:
                    transpose_doubles(&X[row + i, j], step, origin + j, x + j * COLUMN + i)
                elif number is float:
                    transpose_floats(&X[row + i, j], step, origin + j, x + j * COLUMN + i)
    for j in range(d):
        load_column(&X[row, j], step, rows // 4 * 4 if j < blocked else 0, rows, length, origin[j], x + j * COLUMN)


cdef inline void load_column(const number *column, Py_ssize_t step, Py_ssize_t begin, Py_ssize_t rows,
                             Py_ssize_t length, double origin, real *to) noexcept nogil:
    """From row `begin` on, and the filling."""
    cdef Py_ssize_t i
    if step == 1:
        for i in range(begin, rows):
            to[i] = <real> (column[i] - origin)
    else:
        for i in range(begin, rows):
            to[i] = <real> (column[i * step] - origin)
    for i in range(rows, length):
        to[i] = to[0]


cdef inline bint all_unit(const double[:] sample_weight) noexcept nogil:
    """Is this the broadcast 1 by which callers say 'no weights'?"""
    return sample_weight.strides[0] == 0 and sample_weight[0] == 1.0


cdef inline void load_weights(Tile *t, const double[:] sample_weight, bint unit, Py_ssize_t row,
                              Py_ssize_t rows) noexcept nogil:
    cdef Py_ssize_t i
    t.unit = unit and rows == TILE
    if t.unit:
        for i in range(VECTORS):
            store(t.weight, i, broadcast(1.0))
        return
    for i in range(rows):
        t.weight[i] = sample_weight[row + i]
    for i in range(rows, TILE):
        t.weight[i] = 0.0


cdef inline void put_density(Tile *t, Py_ssize_t c, Py_ssize_t i, vec log_density) noexcept nogil:
    log_density = larger(log_density, broadcast(FAR_OUT))
    store(t.density + c * COLUMN, i, log_density)
    store(t.top, i, larger(load(t.top, i), log_density) if c else log_density)


# ------------------------------------------------------------------------------------- the E-step of every family

cdef inline void normalise(Tile *t) noexcept nogil:
    """Log-sum-exp over the components: responsibility = density * scale.

    With u = log density - top, e = 2^u and S = sum e:  log p = top + log S,  entropy = log S - sum e u / S.
    """
    cdef Py_ssize_t c, i, k = t.k
    cdef const real *weight = t.weight
    cdef real *density = t.density
    cdef vec top, u, e, total, slope, scale, loglik = broadcast(0.0), entropy = broadcast(0.0)
    for i in range(VECTORS):
        top = load(t.top, i)
        total = slope = broadcast(0.0)
        for c in range(k):
            u = larger(load(density + c * COLUMN, i) - top, broadcast(LOWEST))
            e = exp2_(u)
            store(density + c * COLUMN, i, e)
            total = total + e
            slope = slope + e * u
        scale = load(weight, i) / total
        store(t.total, i, total)
        store(t.scale, i, scale)
        loglik = loglik + load(weight, i) * top
        entropy = entropy - scale * slope
    total = log_totals(t)
    t.loglik += LN2 * lane_sum(loglik + total)
    t.entropy += LN2 * lane_sum(entropy + total)


cdef inline vec log_totals(const Tile *t) noexcept nogil:
    """sum of weight * log2(total).  With unit weights it is the log of a product: VECTORS factors in [1, k]."""
    cdef Py_ssize_t i
    cdef vec logs = broadcast(0.0), product = broadcast(1.0)
    if t.unit and t.k <= LARGEST_PRODUCT_K:
        for i in range(VECTORS):
            product = product * load(t.total, i)
        return log2_(product)
    for i in range(VECTORS):
        logs = logs + load(t.weight, i) * log2_(load(t.total, i))
    return logs


# ---------------------------------------------------------------------------------------------------- slots of rows

cdef inline void fold_lanes(const double *lanes, Py_ssize_t n, double *out) noexcept nogil:
    cdef Py_ssize_t i
    for i in range(n):
        out[i] = fold(lanes + i * LANES)


cdef inline void unpad(const double *padded, Py_ssize_t k, Py_ssize_t d, double *second) noexcept nogil:
    """(k, rows, rows) -> (k, d, d)."""
    cdef Py_ssize_t row, rows = padded_rows(d)
    for row in range(k * d):
        memcpy(second + row * d, padded + (row // d * rows + row % d) * rows, d * sizeof(double))


cdef inline void mirror(double *second, Py_ssize_t k, Py_ssize_t d) noexcept nogil:
    """(k, d, d) lower triangles -> symmetric matrices."""
    cdef Py_ssize_t c, i, j
    for c in range(k):
        for i in range(d):
            for j in range(i):
                second[(c * d + j) * d + i] = second[(c * d + i) * d + j]


cdef inline void drop_empty(Py_ssize_t k, Py_ssize_t d, Py_ssize_t m, double *sums) noexcept nogil:
    """float32 holds no density below 2^LOWEST of the largest: a component of nothing else has no part in a slot."""
    cdef Py_ssize_t c, i
    for c in range(k):
        if sums[c] < NOTHING:
            sums[c] = 0.0
            for i in range(d):
                sums[k + c * d + i] = 0.0
            for i in range(m):
                sums[k + k * d + c * m + i] = 0.0


cdef inline void move_to_means(const Tile *t, const double *counts, double *first, double *second) noexcept nogil:
    """Moments about the means as float32 has them -> about the means: with e the rounding of a mean,
    sum r (z - e) = first - counts e,  sum r (z - e)(z - e)^T = second - e first^T - first e^T + counts e e^T."""
    cdef Py_ssize_t c, i, j, at, d = t.d
    cdef const double *e
    for c in range(t.k):
        e = t.rounding + c * d
        for i in range(d):
            for j in range(0 if t.full else i, d if t.full else i + 1):
                at = (c * d + i) * d + j if t.full else c * d + i
                second[at] -= e[i] * first[c * d + j] + first[c * d + i] * e[j] - counts[c] * e[i] * e[j]
        for i in range(d):
            first[c * d + i] -= counts[c] * e[i]


cdef inline void close_slot(Tile *t, double *sums) noexcept nogil:
    """The sums of a slot -> its row of `sums`; begin the next at zero."""
    cdef Py_ssize_t i, k = t.k, d = t.d, second_length = k * d * (d if t.full else 1)
    fold_lanes(t.counts, k, sums)
    fold_lanes(t.first, k * d, sums + k)
    if t.full and d > LOW_MOMENTS:
        unpad(t.second, k, d, sums + k + k * d)
    else:
        fold_lanes(t.second, second_length, sums + k + k * d)
    if t.full:
        mirror(sums + k + k * d, k, d)
    if SINGLE:
        drop_empty(k, d, second_length // k, sums)
        move_to_means(t, sums, sums + k, sums + k + k * d)
    sums[k + k * d + second_length] = t.loglik
    sums[k + k * d + second_length + 1] = t.entropy
    t.loglik = t.entropy = 0.0
    for i in range(t.lanes_length):
        t.counts[i] = 0.0


cdef void accumulate_slots(Tile *t, const number[:, :] X, const number[:, :] trials,
                           const double[:] sample_weight, Py_ssize_t slot_rows, Step densities, Step moments,
                           double[:, ::1] sums) noexcept nogil:
    cdef Py_ssize_t s, row, rows, end
    cdef bint unit = all_unit(sample_weight)
    t.loglik = t.entropy = 0.0
    for s in range(sums.shape[0]):
        row = s * slot_rows
        end = min(X.shape[0], row + slot_rows)
        while row < end:
            rows = min(TILE, end - row)
            load_columns(X, row, rows, TILE, t.origin, t.x)
            if t.trials != NULL:
                load_columns(trials, row, rows, TILE, t.origin, t.trials)
            load_weights(t, sample_weight, unit, row, rows)
            densities(t)
            normalise(t)
            moments(t)
            row += rows
        close_slot(t, &sums[s, 0])


cdef void posterior_rows(Tile *t, const number[:, :] X, const number[:, :] trials, Step densities,
                         double[:] log_prob, double[:, :] resp, int32_t[:] labels) noexcept nogil:
    cdef Py_ssize_t i, row = 0, rows
    t.unit = False
    for i in range(TILE):
        t.weight[i] = 1.0
    while row < X.shape[0]:
        rows = min(TILE, X.shape[0] - row)
        t.vectors = (rows + 2 * LANES - 1) // (2 * LANES) * 2
        load_columns(X, row, rows, t.vectors * LANES, t.origin, t.x)
        if t.trials != NULL:
            load_columns(trials, row, rows, t.vectors * LANES, t.origin, t.trials)
        densities(t)
        normalise(t)
        put_posterior(t, row, rows, log_prob, resp, labels)
        row += rows


cdef inline void put_posterior(Tile *t, Py_ssize_t row, Py_ssize_t rows, double[:] log_prob, double[:, :] resp,
                               int32_t[:] labels) noexcept nogil:
    """What the caller wants to know of each point; an output of length 0 is not wanted."""
    cdef Py_ssize_t c, i, best
    if log_prob.shape[0]:
        for i in range(VECTORS):
            store(t.total, i, LN2 * (load(t.top, i) + log2_(load(t.total, i))))
        for i in range(rows):
            log_prob[row + i] = t.total[i]
    if resp.shape[0]:
        for i in range(rows):
            for c in range(t.k):
                resp[row + i, c] = t.density[c * COLUMN + i] * t.scale[i]
    if labels.shape[0]:
        for i in range(rows):
            best = 0
            for c in range(1, t.k):
                if t.density[c * COLUMN + i] > t.density[best * COLUMN + i]:
                    best = c
            labels[row + i] = <int32_t> best


# ------------------------------------------------------------- univariate normal, and a few features: all in registers

cdef inline void densities_in_registers(Tile *t, Py_ssize_t d) noexcept nogil:
    """log2 (weight N(x; mean, S)) = log_norm - |L (x - mean)|^2, L^T L = log2(e) / 2 S^-1, L lower triangular.

    d is a constant to the compiler, and every `if` a decision it makes.
    """
    cdef Py_ssize_t c, i, k = t.k
    cdef const real *x
    cdef const real *mean
    cdef const real *L
    cdef real *density
    cdef const real *log_norm = t.log_norm
    cdef vec z0, z1, z2, z3, z4, z5, z6, z7, y, square, top
    for i in range(VECTORS):
        x, mean, L, density = t.x, t.location, t.scaling, t.density
        top = broadcast(FAR_OUT)
        for c in range(k):
            z0 = load(x, i) - mean[0]
            y = L[0] * z0
            square = y * y
            if d > 1:
                z1 = load(x + COLUMN, i) - mean[1]
                y = L[d] * z0 + L[d + 1] * z1
                square = square + y * y
            if d > 2:
                z2 = load(x + 2 * COLUMN, i) - mean[2]
                y = L[2 * d] * z0 + L[2 * d + 1] * z1 + L[2 * d + 2] * z2
                square = square + y * y
            if d > 3:
                z3 = load(x + 3 * COLUMN, i) - mean[3]
                y = L[3 * d] * z0 + L[3 * d + 1] * z1 + L[3 * d + 2] * z2 + L[3 * d + 3] * z3
                square = square + y * y
            if d > 4:
                z4 = load(x + 4 * COLUMN, i) - mean[4]
                y = (L[4 * d] * z0 + L[4 * d + 1] * z1 + L[4 * d + 2] * z2)\
                    + (L[4 * d + 3] * z3 + L[4 * d + 4] * z4)
                square = square + y * y
            if d > 5:
                z5 = load(x + 5 * COLUMN, i) - mean[5]
                y = (L[5 * d] * z0 + L[5 * d + 1] * z1 + L[5 * d + 2] * z2)\
                    + (L[5 * d + 3] * z3 + L[5 * d + 4] * z4 + L[5 * d + 5] * z5)
                square = square + y * y
            if d > 6:
                z6 = load(x + 6 * COLUMN, i) - mean[6]
                y = (L[6 * d] * z0 + L[6 * d + 1] * z1 + L[6 * d + 2] * z2 + L[6 * d + 3] * z3)\
                    + (L[6 * d + 4] * z4 + L[6 * d + 5] * z5 + L[6 * d + 6] * z6)
                square = square + y * y
            if d > 7:
                z7 = load(x + 7 * COLUMN, i) - mean[7]
                y = (L[7 * d] * z0 + L[7 * d + 1] * z1 + L[7 * d + 2] * z2 + L[7 * d + 3] * z3)\
                    + (L[7 * d + 4] * z4 + L[7 * d + 5] * z5 + L[7 * d + 6] * z6 + L[7 * d + 7] * z7)
                square = square + y * y
            square = larger(log_norm[c] - square, broadcast(FAR_OUT))
            store(density, i, square)
            top = larger(top, square)
            mean += d
            L += d * d
            density += COLUMN
        store(t.top, i, top)


cdef inline void moments_in_registers(Tile *t, Py_ssize_t d) noexcept nogil:
    """counts, first and second moments of a component in registers, while a tile passes by."""
    cdef Py_ssize_t c, i
    cdef const real *x = t.x
    cdef const real *scale = t.scale
    cdef const real *density = t.density
    cdef const real *mean
    cdef double *first
    cdef double *second
    cdef vec r, z0, z1, z2, z3, a, n, f0, f1, f2, f3, s00, s10, s11, s20, s21, s22, s30, s31, s32, s33
    for c in range(t.k):
        mean, first, second = t.location + c * d, t.first + c * d * LANES, t.second + c * d * d * LANES
        n = f0 = f1 = f2 = f3 = s00 = s10 = s11 = s20 = s21 = s22 = s30 = s31 = s32 = s33 = broadcast(0.0)
        for i in range(VECTORS):
            r = load(density, i) * load(scale, i)
            n = n + r
            z0 = load(x, i) - mean[0]
            a = r * z0
            f0, s00 = f0 + a, s00 + a * z0
            if d > 1:
                z1 = load(x + COLUMN, i) - mean[1]
                a = r * z1
                f1, s10, s11 = f1 + a, s10 + a * z0, s11 + a * z1
            if d > 2:
                z2 = load(x + 2 * COLUMN, i) - mean[2]
                a = r * z2
                f2, s20, s21, s22 = f2 + a, s20 + a * z0, s21 + a * z1, s22 + a * z2
            if d > 3:
                z3 = load(x + 3 * COLUMN, i) - mean[3]
                a = r * z3
                f3, s30, s31, s32, s33 = f3 + a, s30 + a * z0, s31 + a * z1, s32 + a * z2, s33 + a * z3
        density += COLUMN
        add_to(t.counts, c, n)
        add_to(first, 0, f0)
        add_to(second, 0, s00)
        if d > 1:
            add_to(first, 1, f1)
            add_to(second, d, s10)
            add_to(second, d + 1, s11)
        if d > 2:
            add_to(first, 2, f2)
            add_to(second, 2 * d, s20)
            add_to(second, 2 * d + 1, s21)
            add_to(second, 2 * d + 2, s22)
        if d > 3:
            add_to(first, 3, f3)
            add_to(second, 3 * d, s30)
            add_to(second, 3 * d + 1, s31)
            add_to(second, 3 * d + 2, s32)
            add_to(second, 3 * d + 3, s33)


cdef void low_densities(Tile *t) noexcept nogil:
    if t.d == 1:
        densities_in_registers(t, 1)
    elif t.d == 2:
        densities_in_registers(t, 2)
    elif t.d == 3:
        densities_in_registers(t, 3)
    elif t.d == 4:
        densities_in_registers(t, 4)
    elif t.d == 5:
        densities_in_registers(t, 5)
    elif t.d == 6:
        densities_in_registers(t, 6)
    elif t.d == 7:
        densities_in_registers(t, 7)
    else:
        densities_in_registers(t, 8)


cdef void low_moments(Tile *t) noexcept nogil:
    if t.d == 1:
        moments_in_registers(t, 1)
    elif t.d == 2:
        moments_in_registers(t, 2)
    elif t.d == 3:
        moments_in_registers(t, 3)
    else:
        moments_in_registers(t, 4)


def accumulate_normal(const floating[:, :] X,         # IN   (n, 1)
                      const double[:] sample_weight,  # IN   (n,)
                      Py_ssize_t slot_rows,           # IN           rows of a slot
                      const double[::1] log_norm,     # IN   (k,)    log2 of weight / (sd sqrt(2 pi))
                      const double[:, ::1] means,     # IN   (k, 1)
                      const double[:, ::1] scale,     # IN   (k, 1)  sqrt(log2(e) / 2) / sd
                      double[:, ::1] sums):           # OUT  (s, 3 k + 2)
    # -> per slot: sum w r, sum w r (x - mean), sum w r (x - mean)^2, sum w log p(x), -sum w sum_k r log r
    cdef Tile t
    cdef real *block = new_tile(&t, means.shape[0], 1, &log_norm[0], &means[0, 0], &scale[0, 0], False, False, True)
    with nogil:
        accumulate_slots(&t, X, X, sample_weight, slot_rows, low_densities, low_moments, sums)
    free(block)


def posterior_normal(const floating[:, :] X,          # IN   (n, 1)
                     const double[::1] log_norm,      # IN   (k,)    tables as for accumulate_normal
                     const double[:, ::1] means,      # IN   (k, 1)
                     const double[:, ::1] scale,      # IN   (k, 1)
                     double[:] log_prob,              # OUT  (n,)    or (0,)
                     double[:, :] resp,               # OUT  (n, k)  or (0, k)
                     int32_t[:] labels):              # OUT  (n,)    or (0,)
    # -> log density, responsibilities and most probable component of each row
    cdef Tile t
    cdef real *block = new_tile(&t, means.shape[0], 1, &log_norm[0], &means[0, 0], &scale[0, 0], False, False, False)
    with nogil:
        posterior_rows(&t, X, X, low_densities, log_prob, resp, labels)
    free(block)


# ------------------------------------------------------------------------- multivariate normal, diagonal covariance

cdef void diag_densities(Tile *t) noexcept nogil:
    """log2 (weight N(x; mean, diag(sd^2))) = log_norm - sum_j ((x_j - mean_j) scale_j)^2, for two vectors of points."""
    cdef Py_ssize_t c, i, j, d = t.d
    cdef const real *x = t.x
    cdef const real *mean
    cdef const real *scale
    cdef vec z, z_, log_density, log_density_
    for c in range(t.k):
        mean, scale = t.location + c * d, t.scaling + c * d
        for i in range(0, t.vectors, 2):
            log_density = log_density_ = broadcast(t.log_norm[c])
            for j in range(d):
                z = (load(x + j * COLUMN, i) - mean[j]) * scale[j]
                z_ = (load(x + j * COLUMN, i + 1) - mean[j]) * scale[j]
                log_density = log_density - z * z
                log_density_ = log_density_ - z_ * z_
            put_density(t, c, i, log_density)
            put_density(t, c, i + 1, log_density_)


cdef inline void responsibilities(Tile *t, Py_ssize_t c) noexcept nogil:
    """density -> weighted responsibility of component c, in place; adds up its count."""
    cdef Py_ssize_t i
    cdef vec r, counts = broadcast(0.0)
    for i in range(VECTORS):
        r = load(t.density + c * COLUMN, i) * load(t.scale, i)
        store(t.density + c * COLUMN, i, r)
        counts = counts + r
    add_to(t.counts, c, counts)


cdef void diag_moments(Tile *t) noexcept nogil:
    cdef Py_ssize_t c, i, j, d = t.d
    cdef const real *x
    cdef const real *r
    cdef const real *mean
    cdef vec z, z_, rz, rz_, first, first_, second, second_
    for c in range(t.k):
        responsibilities(t, c)
        r, mean = t.density + c * COLUMN, t.location + c * d
        for j in range(d):
            x = t.x + j * COLUMN
            first = first_ = second = second_ = broadcast(0.0)
            for i in range(0, VECTORS, 2):
                z = load(x, i) - mean[j]
                z_ = load(x, i + 1) - mean[j]
                rz = load(r, i) * z
                rz_ = load(r, i + 1) * z_
                first = first + rz
                first_ = first_ + rz_
                second = second + rz * z
                second_ = second_ + rz_ * z_
            add_to(t.first, c * d + j, first + first_)
            add_to(t.second, c * d + j, second + second_)


def accumulate_mvnormal_diag(const floating[:, :] X,         # IN   (n, d)
                             const double[:] sample_weight,  # IN   (n,)
                             Py_ssize_t slot_rows,           # IN           rows of a slot
                             const double[::1] log_norm,     # IN   (k,)    log2 of weight / prod_j (sd_j sqrt(2 pi))
                             const double[:, ::1] means,     # IN   (k, d)
                             const double[:, ::1] scale,     # IN   (k, d)  sqrt(log2(e) / 2) / sd
                             double[:, ::1] sums):           # OUT  (s, k + 2 k d + 2)
    # -> per slot: sum w r, sum w r (x - mean), sum w r (x - mean)^2, sum w log p(x), -sum w sum_k r log r
    cdef Tile t
    cdef real *block = new_tile(&t, means.shape[0], means.shape[1], &log_norm[0], &means[0, 0], &scale[0, 0],
                                  False, False, True)
    with nogil:
        accumulate_slots(&t, X, X, sample_weight, slot_rows, diag_densities, diag_moments, sums)
    free(block)


def posterior_mvnormal_diag(const floating[:, :] X,          # IN   (n, d)
                            const double[::1] log_norm,      # IN   (k,)    tables as for accumulate_mvnormal_diag
                            const double[:, ::1] means,      # IN   (k, d)
                            const double[:, ::1] scale,      # IN   (k, d)
                            double[:] log_prob,              # OUT  (n,)    or (0,)
                            double[:, :] resp,               # OUT  (n, k)  or (0, k)
                            int32_t[:] labels):              # OUT  (n,)    or (0,)
    # -> log density, responsibilities and most probable component of each row
    cdef Tile t
    cdef real *block = new_tile(&t, means.shape[0], means.shape[1], &log_norm[0], &means[0, 0], &scale[0, 0],
                                  False, False, False)
    with nogil:
        posterior_rows(&t, X, X, diag_densities, log_prob, resp, labels)
    free(block)


# ----------------------------------------------------------------------------- multivariate normal, full covariance

cdef void full_densities(Tile *t) noexcept nogil:
    """log2 (weight N(x; mean, S)) = log_norm - |L (x - mean)|^2, L^T L = log2(e) / 2 S^-1, L lower triangular."""
    cdef Py_ssize_t c, i
    for c in range(t.k):
        for i in range(0, t.vectors, 2):
            whiten_two(t, c, i)


cdef inline vec residual(const real *x, real mean, real *kept, Py_ssize_t i) noexcept nogil:
    """x - mean of a feature, vector i; kept for the rows of the matrix that follow."""
    cdef vec z = load(x, i) - mean
    store(kept, i, z)
    return z


cdef inline void whiten_two(Tile *t, Py_ssize_t c, Py_ssize_t i) noexcept nogil:
    """Log densities of vectors i and i + 1 under component c; rows of L by fours, so that a residual is read once
    for four of them, and an element of L once for two vectors."""
    cdef Py_ssize_t d = t.d, row = 0, j
    cdef const real *x = t.x
    cdef const real *mean = t.location + c * d
    cdef real *kept = t.residual
    cdef const real *L
    cdef const real *r
    cdef vec z, z_, y0, y1, y2, y3, y0_, y1_, y2_, y3_, square = broadcast(0.0), square_ = broadcast(0.0)
    while row + 4 <= d:
        L, r = t.scaling + (c * d + row) * d, t.residual
        y0 = y1 = y2 = y3 = y0_ = y1_ = y2_ = y3_ = broadcast(0.0)
        for j in range(row):
            z, z_ = load(r, i), load(r, i + 1)
            r += COLUMN
            y0, y0_ = y0 + L[j] * z, y0_ + L[j] * z_
            y1, y1_ = y1 + L[d + j] * z, y1_ + L[d + j] * z_
            y2, y2_ = y2 + L[2 * d + j] * z, y2_ + L[2 * d + j] * z_
            y3, y3_ = y3 + L[3 * d + j] * z, y3_ + L[3 * d + j] * z_
        L += row                                     # the 4 x 4 block on the diagonal is a triangle
        z, z_ = residual(x, mean[0], kept, i), residual(x, mean[0], kept, i + 1)
        y0, y0_ = y0 + L[0] * z, y0_ + L[0] * z_
        y1, y1_ = y1 + L[d] * z, y1_ + L[d] * z_
        y2, y2_ = y2 + L[2 * d] * z, y2_ + L[2 * d] * z_
        y3, y3_ = y3 + L[3 * d] * z, y3_ + L[3 * d] * z_
        z = residual(x + COLUMN, mean[1], kept + COLUMN, i)
        z_ = residual(x + COLUMN, mean[1], kept + COLUMN, i + 1)
        y1, y1_ = y1 + L[d + 1] * z, y1_ + L[d + 1] * z_
        y2, y2_ = y2 + L[2 * d + 1] * z, y2_ + L[2 * d + 1] * z_
        y3, y3_ = y3 + L[3 * d + 1] * z, y3_ + L[3 * d + 1] * z_
        z = residual(x + 2 * COLUMN, mean[2], kept + 2 * COLUMN, i)
        z_ = residual(x + 2 * COLUMN, mean[2], kept + 2 * COLUMN, i + 1)
        y2, y2_ = y2 + L[2 * d + 2] * z, y2_ + L[2 * d + 2] * z_
        y3, y3_ = y3 + L[3 * d + 2] * z, y3_ + L[3 * d + 2] * z_
        z = residual(x + 3 * COLUMN, mean[3], kept + 3 * COLUMN, i)
        z_ = residual(x + 3 * COLUMN, mean[3], kept + 3 * COLUMN, i + 1)
        y3, y3_ = y3 + L[3 * d + 3] * z, y3_ + L[3 * d + 3] * z_
        square = square + ((y0 * y0 + y1 * y1) + (y2 * y2 + y3 * y3))
        square_ = square_ + ((y0_ * y0_ + y1_ * y1_) + (y2_ * y2_ + y3_ * y3_))
        row += 4
        mean += 4
        x += 4 * COLUMN
        kept += 4 * COLUMN
    while row < d:
        L, r = t.scaling + (c * d + row) * d, t.residual
        y0 = L[row] * residual(x, mean[0], kept, i)
        y0_ = L[row] * residual(x, mean[0], kept, i + 1)
        for j in range(row):
            y0, y0_ = y0 + L[j] * load(r, i), y0_ + L[j] * load(r, i + 1)
            r += COLUMN
        square, square_ = square + y0 * y0, square_ + y0_ * y0_
        row += 1
        mean += 1
        x += COLUMN
        kept += COLUMN
    put_density(t, c, i, t.log_norm[c] - square)
    put_density(t, c, i + 1, t.log_norm[c] - square_)


cdef void full_moments(Tile *t) noexcept nogil:
    """The second moments in 4 x 4 blocks, row by row of blocks: `weighted` holds the four features of such a row."""
    cdef Py_ssize_t c, row, j, d = t.d, rows = padded_rows(t.d)
    cdef double *second
    for c in range(t.k):
        responsibilities(t, c)
        for row in range(0, rows, 4):
            second = t.second + (c * rows + row) * rows
            if row + 4 <= d:
                diagonal_4x4(t, c, row, second + row, rows)
            else:
                last_rows(t, c, row)
                outer_4x4(t.weighted, t.residual + row * COLUMN, second + row, rows)
            for j in range(0, row, 4):
                outer_4x4(t.weighted, t.residual + j * COLUMN, second + j, rows)


cdef inline void last_rows(Tile *t, Py_ssize_t c, Py_ssize_t row) noexcept nogil:
    """Residuals and weighted residuals of the features from `row` on, under four: zeros stand behind them."""
    cdef Py_ssize_t i, j
    cdef const real *r = t.density + c * COLUMN
    cdef vec rz, first
    for j in range(row, row + 4):
        first = broadcast(0.0)
        for i in range(VECTORS):
            rz = broadcast(0.0)
            if j < t.d:
                rz = load(r, i) * residual(t.x + j * COLUMN, t.location[c * t.d + j], t.residual + j * COLUMN, i)
            store(t.weighted + (j - row) * COLUMN, i, rz)
            first = first + rz
        if j < t.d:
            add_to(t.first, c * t.d + j, first)


cdef inline void diagonal_4x4(Tile *t, Py_ssize_t c, Py_ssize_t row, double *out, Py_ssize_t stride) noexcept nogil:
    """Residuals, weighted residuals and first moments of four features, and the triangle of their second moments."""
    cdef Py_ssize_t i, at = c * t.d + row
    cdef real *a = t.weighted
    cdef real *kept = t.residual + row * COLUMN
    cdef const real *x = t.x + row * COLUMN
    cdef const real *mean = t.location + at
    cdef const real *density = t.density + c * COLUMN
    cdef vec r, z0, z1, z2, z3, a0, a1, a2, a3, f0, f1, f2, f3, s00, s10, s11, s20, s21, s22, s30, s31, s32, s33, none
    f0 = f1 = f2 = f3 = s00 = s10 = s11 = s20 = s21 = s22 = s30 = s31 = s32 = s33 = none = broadcast(0.0)
    for i in range(VECTORS):
        r = load(density, i)
        z0 = residual(x, mean[0], kept, i)
        z1 = residual(x + COLUMN, mean[1], kept + COLUMN, i)
        z2 = residual(x + 2 * COLUMN, mean[2], kept + 2 * COLUMN, i)
        z3 = residual(x + 3 * COLUMN, mean[3], kept + 3 * COLUMN, i)
        a0, a1, a2, a3 = r * z0, r * z1, r * z2, r * z3
        store(a, i, a0)
        store(a + COLUMN, i, a1)
        store(a + 2 * COLUMN, i, a2)
        store(a + 3 * COLUMN, i, a3)
        f0, f1, f2, f3 = f0 + a0, f1 + a1, f2 + a2, f3 + a3
        s00 = s00 + a0 * z0
        s10, s11 = s10 + a1 * z0, s11 + a1 * z1
        s20, s21, s22 = s20 + a2 * z0, s21 + a2 * z1, s22 + a2 * z2
        s30, s31, s32, s33 = s30 + a3 * z0, s31 + a3 * z1, s32 + a3 * z2, s33 + a3 * z3
    add_to(t.first, at, f0)
    add_to(t.first, at + 1, f1)
    add_to(t.first, at + 2, f2)
    add_to(t.first, at + 3, f3)
    add_lane_sums(out, out + stride, s00, none, none, none, s10, s11, none, none)
    add_lane_sums(out + 2 * stride, out + 3 * stride, s20, s21, s22, none, s30, s31, s32, s33)


cdef inline Py_ssize_t padded_rows(Py_ssize_t d) noexcept nogil:
    """d, raised to a multiple of four by rows of zeros."""
    return (d + 3) // 4 * 4


cdef inline void outer_4x4(const real *a, const real *b, double *out, Py_ssize_t stride) noexcept nogil:
    """out[i, j] += sum over the tile of a[i] b[j]: 16 sums in registers, 8 loads for 16 products."""
    cdef Py_ssize_t i
    cdef vec a0, a1, a2, a3, b0, b1, b2, b3
    cdef vec s00, s01, s02, s03, s10, s11, s12, s13, s20, s21, s22, s23, s30, s31, s32, s33
    s00 = s01 = s02 = s03 = s10 = s11 = s12 = s13 = s20 = s21 = s22 = s23 = s30 = s31 = s32 = s33 = broadcast(0.0)
    for i in range(VECTORS):
        a0, a1, a2, a3 = load(a, i), load(a + COLUMN, i), load(a + 2 * COLUMN, i), load(a + 3 * COLUMN, i)
        b0, b1, b2, b3 = load(b, i), load(b + COLUMN, i), load(b + 2 * COLUMN, i), load(b + 3 * COLUMN, i)
        s00, s01, s02, s03 = s00 + a0 * b0, s01 + a0 * b1, s02 + a0 * b2, s03 + a0 * b3
        s10, s11, s12, s13 = s10 + a1 * b0, s11 + a1 * b1, s12 + a1 * b2, s13 + a1 * b3
        s20, s21, s22, s23 = s20 + a2 * b0, s21 + a2 * b1, s22 + a2 * b2, s23 + a2 * b3
        s30, s31, s32, s33 = s30 + a3 * b0, s31 + a3 * b1, s32 + a3 * b2, s33 + a3 * b3
    add_lane_sums(out, out + stride, s00, s01, s02, s03, s10, s11, s12, s13)
    add_lane_sums(out + 2 * stride, out + 3 * stride, s20, s21, s22, s23, s30, s31, s32, s33)


def accumulate_mvnormal_full(const floating[:, :] X,         # IN   (n, d)
                             const double[:] sample_weight,  # IN   (n,)
                             Py_ssize_t slot_rows,           # IN              rows of a slot
                             const double[::1] log_norm,     # IN   (k,)       log2 of weight / sqrt(det(2 pi S))
                             const double[:, ::1] means,     # IN   (k, d)
                             const double[:, :, ::1] factor, # IN   (k, d, d)  lower L, L^T L = log2(e) / 2 S^-1
                             double[:, ::1] sums):           # OUT  (s, k + k d + k d d + 2)
    # -> per slot: sum w r, sum w r (x - mean), sum w r (x - mean)(x - mean)^T, sum w log p(x), -sum w sum_k r log r
    cdef Tile t
    cdef real *block = new_tile(&t, means.shape[0], means.shape[1], &log_norm[0], &means[0, 0], &factor[0, 0, 0],
                                  True, False, True)
    with nogil:
        accumulate_slots(&t, X, X, sample_weight, slot_rows, low_densities if t.d <= LOW_DENSITIES else full_densities,
                         low_moments if t.d <= LOW_MOMENTS else full_moments, sums)
    free(block)


def posterior_mvnormal_full(const floating[:, :] X,          # IN   (n, d)
                            const double[::1] log_norm,      # IN   (k,)       tables as for accumulate_mvnormal_full
                            const double[:, ::1] means,      # IN   (k, d)
                            const double[:, :, ::1] factor,  # IN   (k, d, d)
                            double[:] log_prob,              # OUT  (n,)       or (0,)
                            double[:, :] resp,               # OUT  (n, k)     or (0, k)
                            int32_t[:] labels):              # OUT  (n,)       or (0,)
    # -> log density, responsibilities and most probable component of each row
    cdef Tile t
    cdef real *block = new_tile(&t, means.shape[0], means.shape[1], &log_norm[0], &means[0, 0], &factor[0, 0, 0],
                                  True, False, False)
    with nogil:
        posterior_rows(&t, X, X, low_densities if t.d <= LOW_DENSITIES else full_densities, log_prob, resp, labels)
    free(block)


# --------------------------------------------------------------------------------------------------------- binomial

cdef void binomial_densities(Tile *t) noexcept nogil:
    """log2 (weight prod_j p_j^x_j q_j^(trials_j - x_j)), without the binomial coefficients."""
    cdef Py_ssize_t c, i, j
    cdef vec successes, failures, log_density
    for c in range(t.k):
        for i in range(VECTORS):
            log_density = broadcast(t.log_norm[c])
            for j in range(t.d):
                successes = load(t.x + j * COLUMN, i)
                failures = load(t.trials + j * COLUMN, i) - successes
                log_density = log_density + (successes * t.location[c * t.d + j] + failures * t.scaling[c * t.d + j])
            put_density(t, c, i, log_density)


cdef void binomial_moments(Tile *t) noexcept nogil:
    cdef Py_ssize_t c, i, j
    cdef vec r, x, successes, failures
    for c in range(t.k):
        responsibilities(t, c)
        for j in range(t.d):
            successes = failures = broadcast(0.0)
            for i in range(VECTORS):
                r = load(t.density + c * COLUMN, i)
                x = load(t.x + j * COLUMN, i)
                successes = successes + r * x
                failures = failures + r * (load(t.trials + j * COLUMN, i) - x)
            add_to(t.first, c * t.d + j, successes)
            add_to(t.second, c * t.d + j, failures)


def accumulate_binomial(const number[:, :] X,           # IN   (n, d)  successes
                        const number[:, :] trials,      # IN   (n, d)
                        const double[:] sample_weight,  # IN   (n,)
                        Py_ssize_t slot_rows,           # IN           rows of a slot
                        const double[::1] log_norm,     # IN   (k,)    log2 of weight
                        const double[:, ::1] log_p,     # IN   (k, d)  log2 of p, finite
                        const double[:, ::1] log_q,     # IN   (k, d)  log2 of 1 - p, finite
                        double[:, ::1] sums):           # OUT  (s, k + 2 k d + 2)
    # -> per slot: sum w r, sum w r x, sum w r (trials - x), sum w log p(x), -sum w sum_k r log r;
    #    log p(x) without the binomial coefficients
    cdef Tile t
    cdef real *block = new_tile(&t, log_p.shape[0], log_p.shape[1], &log_norm[0], &log_p[0, 0], &log_q[0, 0],
                                  False, True, True)
    with nogil:
        accumulate_slots(&t, X, trials, sample_weight, slot_rows, binomial_densities, binomial_moments, sums)
    free(block)


def posterior_binomial(const number[:, :] X,            # IN   (n, d)  successes
                       const number[:, :] trials,       # IN   (n, d)
                       const double[::1] log_norm,      # IN   (k,)    tables as for accumulate_binomial
                       const double[:, ::1] log_p,      # IN   (k, d)
                       const double[:, ::1] log_q,      # IN   (k, d)
                       double[:] log_prob,              # OUT  (n,)    or (0,)
                       double[:, :] resp,               # OUT  (n, k)  or (0, k)
                       int32_t[:] labels):              # OUT  (n,)    or (0,)
    # -> log density without the binomial coefficients, responsibilities and most probable component of each row
    cdef Tile t
    cdef real *block = new_tile(&t, log_p.shape[0], log_p.shape[1], &log_norm[0], &log_p[0, 0], &log_q[0, 0],
                                  False, True, False)
    with nogil:
        posterior_rows(&t, X, trials, binomial_densities, log_prob, resp, labels)
    free(block)


def collapse(const number[:, :] X,           # IN     (n, d)  whole numbers
             const number[:, :] trials,      # IN     (n, d)
             const double[:] sample_weight,  # IN     (n,)
             int32_t[::1] table,             # SCRATCH (2^b,)  filled with -1, at least twice as long as keys
             int64_t[:, ::1] keys,           # OUT    (m, 2 d) the distinct rows of X and trials, as first met
             double[::1] weights):           # OUT    (m,)     sum w of the rows equal to each
    # -> how many distinct rows there are; -1 if more than m
    cdef Py_ssize_t n = X.shape[0], d = X.shape[1], i, j, found = 0, most = keys.shape[0]
    cdef uint64_t mask = table.shape[0] - 1, hashed, place
    cdef int32_t key
    cdef bint same
    with nogil:
        for i in range(n):
            hashed = 0
            for j in range(d):  # Fibonacci hashing, a column after the other
                hashed = (hashed ^ <uint64_t> <int64_t> X[i, j]) * FIBONACCI
                hashed = ((hashed ^ (hashed >> 32)) ^ <uint64_t> <int64_t> trials[i, j]) * FIBONACCI
            place = (hashed >> 32) & mask
            while True:
                key = table[place]
                if key < 0:
                    break
                same = True
                for j in range(d):
                    same &= keys[key, j] == <int64_t> X[i, j] and keys[key, d + j] == <int64_t> trials[i, j]
                if same:
                    break
                place = (place + 1) & mask
            if key < 0:
                if found == most:
                    found = -1
                    break
                key = table[place] = <int32_t> found
                for j in range(d):
                    keys[found, j], keys[found, d + j] = <int64_t> X[i, j], <int64_t> trials[i, j]
                weights[found] = 0.0
                found += 1
            weights[key] += sample_weight[i]
    return found


# -------------------------------------------------------------------------------------------- k-means, for the starts

cdef inline void nearest_center(Tile *t, const double *scale) noexcept nogil:
    """total <- smallest scaled squared distance, top <- which center is there (as a number); ties go to the first."""
    cdef Py_ssize_t c, i, j
    cdef real z, square
    for i in range(TILE):
        t.top[i] = 0.0
    for c in range(t.k):
        for i in range(TILE):
            t.density[i] = 0.0
        for j in range(t.d):
            for i in range(TILE):
                z = (t.x[j * COLUMN + i] - t.location[c * t.d + j]) * scale[j]
                t.density[i] += z * z
        for i in range(TILE):
            square = t.density[i]
            t.top[i] = <real> c if c and square < t.total[i] else t.top[i]
            t.total[i] = square if c == 0 or square < t.total[i] else t.total[i]


def nearest(const floating[:, :] X,         # IN   (n, d)
            const double[:] sample_weight,  # IN   (n,)
            Py_ssize_t slot_rows,           # IN           rows of a slot
            const double[:, ::1] centers,   # IN   (k, d)
            const double[::1] scale,        # IN   (d,)    distances are sum_j ((x_j - center_j) scale_j)^2
            double[:] distances,            # OUT  (n,)    smallest squared distance
            int32_t[:] labels,              # OUT  (n,)    the center it belongs to
            double[:, ::1] sums):           # OUT  (s, k + k d + 1)
    # -> per slot: sum w, sum w (x - center) of the rows nearest to each center; sum w * distance
    cdef Py_ssize_t k = centers.shape[0], d = centers.shape[1], s, row, rows, end, i, j, c
    cdef double w
    cdef double *out
    cdef Tile t
    cdef real *block = new_tile(&t, k, d, NULL, &centers[0, 0], NULL, False, False, False)
    with nogil:
        for s in range(sums.shape[0]):
            out = &sums[s, 0]
            for i in range(sums.shape[1]):
                out[i] = 0.0
            row = s * slot_rows
            end = min(X.shape[0], row + slot_rows)
            while row < end:
                rows = min(TILE, end - row)
                load_columns(X, row, rows, TILE, t.origin, t.x)
                nearest_center(&t, &scale[0])
                for i in range(rows):
                    w = sample_weight[row + i]
                    c = <Py_ssize_t> t.top[i]
                    distances[row + i] = t.total[i]
                    labels[row + i] = <int32_t> c
                    out[c] += w
                    for j in range(d):
                        out[k + c * d + j] += w * (t.x[j * COLUMN + i] - t.location[c * d + j])
                    out[k + k * d] += w * t.total[i]
                row += rows
    free(block)
