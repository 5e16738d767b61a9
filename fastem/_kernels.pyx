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
 f. `vec` is LANES doubles to the C compiler and one double to Cython: kernels read as formulas for one point.

A family is two functions of a tile, `densities` and `moments`; all else is written once.
"""
from cython cimport floating
from libc.math cimport sqrt
from libc.stdint cimport int32_t
from libc.stdlib cimport calloc, free

cdef extern from "_simd.h" nogil:
    ctypedef double vec
    const Py_ssize_t LANES
    vec load(const double *, Py_ssize_t) noexcept
    void store(double *, Py_ssize_t, vec) noexcept
    void add_to(double *, Py_ssize_t, vec) noexcept
    vec broadcast(double) noexcept
    vec larger(vec, vec) noexcept
    vec exp2_(vec) noexcept
    vec log2_(vec) noexcept
    double lane_sum(vec) noexcept
    double *aligned(double *) noexcept
    void add_lane_sums(double *, vec, vec, vec, vec) noexcept
    bint has_avx2() noexcept
    bint has_avx512() noexcept

cdef extern from *:
    """
    #define TILE ((Py_ssize_t) 128)     /* points of a tile */
    #define VECTORS (TILE / LANES)      /* vectors of a column of a tile */
    #define LOWEST (-900.0)             /* a density below 2^-900 of the largest counts as 2^-900 of it: far from
                                           subnormal, however small its products */
    #define FAR_OUT (-1e300)            /* log density of a point out of reach of every component: finite */
    #define LARGEST_PRODUCT_K 128       /* 128^VECTORS is finite on every instruction set */
    #define LN2 0.6931471805599453
    """
    const Py_ssize_t TILE
    const Py_ssize_t VECTORS
    const Py_ssize_t LARGEST_PRODUCT_K
    const double LOWEST
    const double FAR_OUT
    const double LN2



def processor_has(str isa):
    """Does this processor, under this operating system, run instruction set "avx2" (with FMA) or "avx512"?"""
    return has_avx2() if isa == "avx2" else has_avx512()


# ---------------------------------------------------------------------------------------------------------- tiles

cdef struct Tile:
    Py_ssize_t k
    Py_ssize_t d
    const double *log_norm   # (k,)      tables of the family, as its kernel names them
    const double *location   # (k, d)
    const double *scaling    # (k, d) or (k, d, d)
    double *x                # (d, TILE) columns of the rows at hand
    double *trials           # (d, TILE) binomial only, else NULL
    double *weight           # (TILE,)   sample weights, 0 behind the last row
    double *top              # (TILE,)   largest log2 density over the components
    double *total            # (TILE,)   sum over the components of 2^(log density - top), in [1, k]
    double *scale            # (TILE,)   weight / total
    double *density          # (k, TILE) log2 (weight * density), then 2^(that - top)
    double *residual         # (d, TILE) x - mean of the component at hand
    double *weighted         # (d, TILE) responsibility * residual
    double *counts           # (k, LANES)    sums of the slot at hand, by lane
    double *first            # (k, d, LANES)
    double *second           # (k, d, LANES), full covariance: (k, d, d), lower triangles
    Py_ssize_t lanes_length  # of counts, first and second together
    double loglik
    double entropy
    bint full                # second moments are matrices
    bint unit                # every weight of this tile is 1

ctypedef void (*Step)(Tile *) noexcept nogil


cdef double *new_tile(Tile *t, Py_ssize_t k, Py_ssize_t d, const double *log_norm, const double *location,
                      const double *scaling, bint full, bint has_trials) except NULL:
    """One zeroed block behind all arrays of a tile; the caller frees what this returns."""
    cdef Py_ssize_t second_length = k * d * d if full else k * d * LANES
    cdef double *block
    t.k, t.d, t.full = k, d, full
    t.log_norm, t.location, t.scaling = log_norm, location, scaling
    t.lanes_length = k * (1 + d) * LANES + second_length
    block = <double *> calloc((4 + k + (3 + has_trials) * d) * TILE + t.lanes_length + 8, sizeof(double))
    if block == NULL:
        raise MemoryError(f"no memory for the workspace of {k} components in {d} dimensions")
    t.x = aligned(block)
    t.weight = t.x + d * TILE
    t.top = t.weight + TILE
    t.total = t.top + TILE
    t.scale = t.total + TILE
    t.density = t.scale + TILE
    t.residual = t.density + k * TILE
    t.weighted = t.residual + d * TILE
    t.counts = t.weighted + d * TILE
    t.first = t.counts + k * LANES
    t.second = t.first + k * d * LANES
    t.trials = t.second + second_length if has_trials else NULL
    return block


cdef inline void load_columns(const floating[:, :] X, Py_ssize_t row, Py_ssize_t rows, double *x) noexcept nogil:
    """X[row : row + rows].T -> (d, TILE), float64, filled up with copies of the first row."""
    cdef Py_ssize_t i, j, step = X.strides[0] // <Py_ssize_t> sizeof(floating)
    cdef const floating *column
    cdef double *to
    for j in range(X.shape[1]):
        column = &X[row, j]
        to = x + j * TILE
        if step == 1:
            for i in range(rows):
                to[i] = column[i]
        else:
            for i in range(rows):
                to[i] = column[i * step]
        for i in range(rows, TILE):
            to[i] = column[0]


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
    store(t.density + c * TILE, i, log_density)
    store(t.top, i, larger(load(t.top, i), log_density) if c else log_density)


# ------------------------------------------------------------------------------------- the E-step of every family

cdef inline void normalise(Tile *t) noexcept nogil:
    """Log-sum-exp over the components: responsibility = density * scale.

    With u = log density - top, e = 2^u and S = sum e:  log p = top + log S,  entropy = log S - sum e u / S.
    """
    cdef Py_ssize_t c, i
    cdef vec top, u, e, total, slope, scale, loglik = broadcast(0.0), entropy = broadcast(0.0)
    for i in range(VECTORS):
        top = load(t.top, i)
        total = slope = broadcast(0.0)
        for c in range(t.k):
            u = larger(load(t.density + c * TILE, i) - top, broadcast(LOWEST))
            e = exp2_(u)
            store(t.density + c * TILE, i, e)
            total = total + e
            slope = slope + e * u
        scale = load(t.weight, i) / total
        store(t.total, i, total)
        store(t.scale, i, scale)
        loglik = loglik + load(t.weight, i) * top
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
        out[i] = lane_sum(load(lanes, i))


cdef inline void mirror(const double *lower, Py_ssize_t k, Py_ssize_t d, double *out) noexcept nogil:
    """(k, d, d) lower triangles -> symmetric matrices."""
    cdef Py_ssize_t c, i, j
    for c in range(k):
        for i in range(d):
            for j in range(i + 1):
                out[(c * d + i) * d + j] = lower[(c * d + i) * d + j]
                out[(c * d + j) * d + i] = lower[(c * d + i) * d + j]


cdef inline void close_slot(Tile *t, double *sums) noexcept nogil:
    """The sums of a slot -> its row of `sums`; begin the next at zero."""
    cdef Py_ssize_t i, k = t.k, d = t.d, second_length = k * d * (d if t.full else 1)
    fold_lanes(t.counts, k, sums)
    fold_lanes(t.first, k * d, sums + k)
    if t.full:
        mirror(t.second, k, d, sums + k + k * d)
    else:
        fold_lanes(t.second, k * d, sums + k + k * d)
    sums[k + k * d + second_length] = t.loglik
    sums[k + k * d + second_length + 1] = t.entropy
    t.loglik = t.entropy = 0.0
    for i in range(t.lanes_length):
        t.counts[i] = 0.0


cdef void accumulate_slots(Tile *t, const floating[:, :] X, const floating[:, :] trials,
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
            load_columns(X, row, rows, t.x)
            if t.trials != NULL:
                load_columns(trials, row, rows, t.trials)
            load_weights(t, sample_weight, unit, row, rows)
            densities(t)
            normalise(t)
            moments(t)
            row += rows
        close_slot(t, &sums[s, 0])


cdef void posterior_rows(Tile *t, const floating[:, :] X, const floating[:, :] trials, Step densities,
                         double[:] log_prob, double[:, :] resp, int32_t[:] labels) noexcept nogil:
    cdef Py_ssize_t i, row = 0, rows
    t.unit = False
    for i in range(TILE):
        t.weight[i] = 1.0
    while row < X.shape[0]:
        rows = min(TILE, X.shape[0] - row)
        load_columns(X, row, rows, t.x)
        if t.trials != NULL:
            load_columns(trials, row, rows, t.trials)
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
                resp[row + i, c] = t.density[c * TILE + i] * t.scale[i]
    if labels.shape[0]:
        for i in range(rows):
            best = 0
            for c in range(1, t.k):
                if t.density[c * TILE + i] > t.density[best * TILE + i]:
                    best = c
            labels[row + i] = <int32_t> best


# ----------------------------------------------------------------------------------------------- univariate normal

cdef void normal_densities(Tile *t) noexcept nogil:
    """log2 (weight N(x; mean, sd^2)) = log_norm - ((x - mean) scale)^2, scale = sqrt(log2(e) / 2) / sd."""
    cdef Py_ssize_t c, i
    cdef vec z
    for c in range(t.k):
        for i in range(VECTORS):
            z = (load(t.x, i) - t.location[c]) * t.scaling[c]
            put_density(t, c, i, t.log_norm[c] - z * z)


cdef void normal_moments(Tile *t) noexcept nogil:
    cdef Py_ssize_t c, i
    cdef vec r, z, rz, counts, first, second
    for c in range(t.k):
        counts = first = second = broadcast(0.0)
        for i in range(VECTORS):
            r = load(t.density + c * TILE, i) * load(t.scale, i)
            z = load(t.x, i) - t.location[c]
            rz = r * z
            counts = counts + r
            first = first + rz
            second = second + rz * z
        add_to(t.counts, c, counts)
        add_to(t.first, c, first)
        add_to(t.second, c, second)


def accumulate_normal(const floating[:, :] X,         # IN   (n, 1)
                      const double[:] sample_weight,  # IN   (n,)
                      Py_ssize_t slot_rows,           # IN           rows of a slot
                      const double[::1] log_norm,     # IN   (k,)    log2 of weight / (sd sqrt(2 pi))
                      const double[:, ::1] means,     # IN   (k, 1)
                      const double[:, ::1] scale,     # IN   (k, 1)  sqrt(log2(e) / 2) / sd
                      double[:, ::1] sums):           # OUT  (s, 3 k + 2)
    # -> per slot: sum w r, sum w r (x - mean), sum w r (x - mean)^2, sum w log p(x), -sum w sum_k r log r
    cdef Tile t
    cdef double *block = new_tile(&t, means.shape[0], 1, &log_norm[0], &means[0, 0], &scale[0, 0], False, False)
    with nogil:
        accumulate_slots(&t, X, X, sample_weight, slot_rows, normal_densities, normal_moments, sums)
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
    cdef double *block = new_tile(&t, means.shape[0], 1, &log_norm[0], &means[0, 0], &scale[0, 0], False, False)
    with nogil:
        posterior_rows(&t, X, X, normal_densities, log_prob, resp, labels)
    free(block)


# ------------------------------------------------------------------------- multivariate normal, diagonal covariance

cdef void diag_densities(Tile *t) noexcept nogil:
    """log2 (weight N(x; mean, diag(sd^2))) = log_norm - sum_j ((x_j - mean_j) scale_j)^2."""
    cdef Py_ssize_t c, i, j
    cdef vec z, log_density
    for c in range(t.k):
        for i in range(VECTORS):
            log_density = broadcast(t.log_norm[c])
            for j in range(t.d):
                z = (load(t.x + j * TILE, i) - t.location[c * t.d + j]) * t.scaling[c * t.d + j]
                log_density = log_density - z * z
            put_density(t, c, i, log_density)


cdef inline void responsibilities(Tile *t, Py_ssize_t c) noexcept nogil:
    """density -> weighted responsibility of component c, in place; adds up its count."""
    cdef Py_ssize_t i
    cdef vec r, counts = broadcast(0.0)
    for i in range(VECTORS):
        r = load(t.density + c * TILE, i) * load(t.scale, i)
        store(t.density + c * TILE, i, r)
        counts = counts + r
    add_to(t.counts, c, counts)


cdef void diag_moments(Tile *t) noexcept nogil:
    cdef Py_ssize_t c, i, j
    cdef vec z, rz, first, second
    for c in range(t.k):
        responsibilities(t, c)
        for j in range(t.d):
            first = second = broadcast(0.0)
            for i in range(VECTORS):
                z = load(t.x + j * TILE, i) - t.location[c * t.d + j]
                rz = load(t.density + c * TILE, i) * z
                first = first + rz
                second = second + rz * z
            add_to(t.first, c * t.d + j, first)
            add_to(t.second, c * t.d + j, second)


def accumulate_mvnormal_diag(const floating[:, :] X,         # IN   (n, d)
                             const double[:] sample_weight,  # IN   (n,)
                             Py_ssize_t slot_rows,           # IN           rows of a slot
                             const double[::1] log_norm,     # IN   (k,)    log2 of weight / prod_j (sd_j sqrt(2 pi))
                             const double[:, ::1] means,     # IN   (k, d)
                             const double[:, ::1] scale,     # IN   (k, d)  sqrt(log2(e) / 2) / sd
                             double[:, ::1] sums):           # OUT  (s, k + 2 k d + 2)
    # -> per slot: sum w r, sum w r (x - mean), sum w r (x - mean)^2, sum w log p(x), -sum w sum_k r log r
    cdef Tile t
    cdef double *block = new_tile(&t, means.shape[0], means.shape[1], &log_norm[0], &means[0, 0], &scale[0, 0],
                                  False, False)
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
    cdef double *block = new_tile(&t, means.shape[0], means.shape[1], &log_norm[0], &means[0, 0], &scale[0, 0],
                                  False, False)
    with nogil:
        posterior_rows(&t, X, X, diag_densities, log_prob, resp, labels)
    free(block)


# ----------------------------------------------------------------------------- multivariate normal, full covariance

cdef void full_densities(Tile *t) noexcept nogil:
    """log2 (weight N(x; mean, S)) = log_norm - |L (x - mean)|^2, L^T L = log2(e) / 2 S^-1, L lower triangular."""
    cdef Py_ssize_t c, i
    for c in range(t.k):
        center(t, c)
        for i in range(0, VECTORS, 2):
            whiten_two(t, c, i)


cdef inline void center(Tile *t, Py_ssize_t c) noexcept nogil:
    cdef Py_ssize_t i, j
    for j in range(t.d):
        for i in range(VECTORS):
            store(t.residual + j * TILE, i, load(t.x + j * TILE, i) - t.location[c * t.d + j])


cdef inline void whiten_two(Tile *t, Py_ssize_t c, Py_ssize_t i) noexcept nogil:
    """Log densities of vectors i and i + 1 under component c; rows of L by fours, so that a residual is read once
    for four of them."""
    cdef Py_ssize_t d = t.d, row = 0, j
    cdef const double *L
    cdef vec z, z_, y0, y1, y2, y3, y0_, y1_, y2_, y3_, square = broadcast(0.0), square_ = broadcast(0.0)
    while row + 4 <= d:
        L = t.scaling + (c * d + row) * d
        y0 = y1 = y2 = y3 = y0_ = y1_ = y2_ = y3_ = broadcast(0.0)
        for j in range(row + 4):                     # L is zero right of its diagonal
            z = load(t.residual + j * TILE, i)
            z_ = load(t.residual + j * TILE, i + 1)
            y0 = y0 + L[j] * z
            y1 = y1 + L[d + j] * z
            y2 = y2 + L[2 * d + j] * z
            y3 = y3 + L[3 * d + j] * z
            y0_ = y0_ + L[j] * z_
            y1_ = y1_ + L[d + j] * z_
            y2_ = y2_ + L[2 * d + j] * z_
            y3_ = y3_ + L[3 * d + j] * z_
        square = square + ((y0 * y0 + y1 * y1) + (y2 * y2 + y3 * y3))
        square_ = square_ + ((y0_ * y0_ + y1_ * y1_) + (y2_ * y2_ + y3_ * y3_))
        row += 4
    while row < d:
        L = t.scaling + (c * d + row) * d
        y0 = y0_ = broadcast(0.0)
        for j in range(row + 1):
            y0 = y0 + L[j] * load(t.residual + j * TILE, i)
            y0_ = y0_ + L[j] * load(t.residual + j * TILE, i + 1)
        square = square + y0 * y0
        square_ = square_ + y0_ * y0_
        row += 1
    put_density(t, c, i, t.log_norm[c] - square)
    put_density(t, c, i + 1, t.log_norm[c] - square_)


cdef void full_moments(Tile *t) noexcept nogil:
    cdef Py_ssize_t c, i, j, row, d = t.d
    cdef vec z, rz, first
    cdef double *second
    for c in range(t.k):
        responsibilities(t, c)
        for j in range(d):
            first = broadcast(0.0)
            for i in range(VECTORS):
                z = load(t.x + j * TILE, i) - t.location[c * d + j]
                rz = load(t.density + c * TILE, i) * z
                store(t.residual + j * TILE, i, z)
                store(t.weighted + j * TILE, i, rz)
                first = first + rz
            add_to(t.first, c * d + j, first)
        second = t.second + c * d * d
        row = 0
        while row + 4 <= d:
            for j in range(0, row + 4, 4):
                outer_4x4(t.weighted + row * TILE, t.residual + j * TILE, second + row * d + j, d)
            row += 4
        while row < d:
            for j in range(row + 1):
                second[row * d + j] += dot(t.weighted + row * TILE, t.residual + j * TILE)
            row += 1


cdef inline double dot(const double *a, const double *b) noexcept nogil:
    cdef Py_ssize_t i
    cdef vec even = broadcast(0.0), odd = broadcast(0.0)
    for i in range(0, VECTORS, 2):
        even = even + load(a, i) * load(b, i)
        odd = odd + load(a, i + 1) * load(b, i + 1)
    return lane_sum(even + odd)


cdef inline void outer_4x4(const double *a, const double *b, double *out, Py_ssize_t d) noexcept nogil:
    """out[i, j] += sum over the tile of a[i] b[j]: 16 sums in registers, 8 loads for 16 products."""
    cdef Py_ssize_t i
    cdef vec a0, a1, a2, a3, b0, b1, b2, b3
    cdef vec s00, s01, s02, s03, s10, s11, s12, s13, s20, s21, s22, s23, s30, s31, s32, s33
    s00 = s01 = s02 = s03 = s10 = s11 = s12 = s13 = s20 = s21 = s22 = s23 = s30 = s31 = s32 = s33 = broadcast(0.0)
    for i in range(VECTORS):
        a0, a1, a2, a3 = load(a, i), load(a + TILE, i), load(a + 2 * TILE, i), load(a + 3 * TILE, i)
        b0, b1, b2, b3 = load(b, i), load(b + TILE, i), load(b + 2 * TILE, i), load(b + 3 * TILE, i)
        s00, s01, s02, s03 = s00 + a0 * b0, s01 + a0 * b1, s02 + a0 * b2, s03 + a0 * b3
        s10, s11, s12, s13 = s10 + a1 * b0, s11 + a1 * b1, s12 + a1 * b2, s13 + a1 * b3
        s20, s21, s22, s23 = s20 + a2 * b0, s21 + a2 * b1, s22 + a2 * b2, s23 + a2 * b3
        s30, s31, s32, s33 = s30 + a3 * b0, s31 + a3 * b1, s32 + a3 * b2, s33 + a3 * b3
    add_lane_sums(out, s00, s01, s02, s03)
    add_lane_sums(out + d, s10, s11, s12, s13)
    add_lane_sums(out + 2 * d, s20, s21, s22, s23)
    add_lane_sums(out + 3 * d, s30, s31, s32, s33)


def accumulate_mvnormal_full(const floating[:, :] X,         # IN   (n, d)
                             const double[:] sample_weight,  # IN   (n,)
                             Py_ssize_t slot_rows,           # IN              rows of a slot
                             const double[::1] log_norm,     # IN   (k,)       log2 of weight / sqrt(det(2 pi S))
                             const double[:, ::1] means,     # IN   (k, d)
                             const double[:, :, ::1] factor, # IN   (k, d, d)  lower L, L^T L = log2(e) / 2 S^-1
                             double[:, ::1] sums):           # OUT  (s, k + k d + k d d + 2)
    # -> per slot: sum w r, sum w r (x - mean), sum w r (x - mean)(x - mean)^T, sum w log p(x), -sum w sum_k r log r
    cdef Tile t
    cdef double *block = new_tile(&t, means.shape[0], means.shape[1], &log_norm[0], &means[0, 0], &factor[0, 0, 0],
                                  True, False)
    with nogil:
        accumulate_slots(&t, X, X, sample_weight, slot_rows, full_densities, full_moments, sums)
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
    cdef double *block = new_tile(&t, means.shape[0], means.shape[1], &log_norm[0], &means[0, 0], &factor[0, 0, 0],
                                  True, False)
    with nogil:
        posterior_rows(&t, X, X, full_densities, log_prob, resp, labels)
    free(block)


def inverse_cholesky(const double[:, :, ::1] covariances,  # IN   (k, d, d)  symmetric
                     double[:, :, ::1] factors,            # OUT  (k, d, d)  lower L, L^T L = S^-1
                     double[:, ::1] pivots):               # OUT  (k, d)     variance of a feature given those before it
    # -> is every matrix definite?  If not, what is in factors and pivots is of no use
    cdef Py_ssize_t c
    cdef bint definite = True
    with nogil:
        for c in range(covariances.shape[0]):
            definite &= invert_cholesky(covariances.shape[1], &covariances[c, 0, 0], &factors[c, 0, 0], &pivots[c, 0])
    return definite


cdef bint invert_cholesky(Py_ssize_t d, const double *S, double *A, double *pivots) noexcept nogil:
    """S = U^T U row by row, then L = U^-T.  Until L is done U stands above the diagonal of A, and on it 1 / U_jj."""
    cdef Py_ssize_t i, j, m
    cdef double u
    for j in range(d * d):
        A[j] = S[j]
    for j in range(d):
        pivots[j] = A[j * d + j]
        if not pivots[j] > 0.0:
            return False
        u = 1.0 / sqrt(pivots[j])
        A[j * d + j] = u
        for m in range(j + 1, d):
            A[j * d + m] *= u
        for i in range(j + 1, d):
            for m in range(i, d):
                A[i * d + m] -= A[j * d + i] * A[j * d + m]
    for i in range(d):
        for m in range(i):
            A[i * d + m] = 0.0
            u = A[m * d + i]
            A[m * d + i] = 0.0
            for j in range(m + 1):
                A[i * d + j] -= u * A[m * d + j]
        for j in range(i):
            A[i * d + j] *= A[i * d + i]
    return True


# --------------------------------------------------------------------------------------------------------- binomial

cdef void binomial_densities(Tile *t) noexcept nogil:
    """log2 (weight prod_j p_j^x_j q_j^(trials_j - x_j)), without the binomial coefficients."""
    cdef Py_ssize_t c, i, j
    cdef vec successes, failures, log_density
    for c in range(t.k):
        for i in range(VECTORS):
            log_density = broadcast(t.log_norm[c])
            for j in range(t.d):
                successes = load(t.x + j * TILE, i)
                failures = load(t.trials + j * TILE, i) - successes
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
                r = load(t.density + c * TILE, i)
                x = load(t.x + j * TILE, i)
                successes = successes + r * x
                failures = failures + r * (load(t.trials + j * TILE, i) - x)
            add_to(t.first, c * t.d + j, successes)
            add_to(t.second, c * t.d + j, failures)


def accumulate_binomial(const floating[:, :] X,         # IN   (n, d)  successes
                        const floating[:, :] trials,    # IN   (n, d)
                        const double[:] sample_weight,  # IN   (n,)
                        Py_ssize_t slot_rows,           # IN           rows of a slot
                        const double[::1] log_norm,     # IN   (k,)    log2 of weight
                        const double[:, ::1] log_p,     # IN   (k, d)  log2 of p, finite
                        const double[:, ::1] log_q,     # IN   (k, d)  log2 of 1 - p, finite
                        double[:, ::1] sums):           # OUT  (s, k + 2 k d + 2)
    # -> per slot: sum w r, sum w r x, sum w r (trials - x), sum w log p(x), -sum w sum_k r log r;
    #    log p(x) without the binomial coefficients
    cdef Tile t
    cdef double *block = new_tile(&t, log_p.shape[0], log_p.shape[1], &log_norm[0], &log_p[0, 0], &log_q[0, 0],
                                  False, True)
    with nogil:
        accumulate_slots(&t, X, trials, sample_weight, slot_rows, binomial_densities, binomial_moments, sums)
    free(block)


def posterior_binomial(const floating[:, :] X,          # IN   (n, d)  successes
                       const floating[:, :] trials,     # IN   (n, d)
                       const double[::1] log_norm,      # IN   (k,)    tables as for accumulate_binomial
                       const double[:, ::1] log_p,      # IN   (k, d)
                       const double[:, ::1] log_q,      # IN   (k, d)
                       double[:] log_prob,              # OUT  (n,)    or (0,)
                       double[:, :] resp,               # OUT  (n, k)  or (0, k)
                       int32_t[:] labels):              # OUT  (n,)    or (0,)
    # -> log density without the binomial coefficients, responsibilities and most probable component of each row
    cdef Tile t
    cdef double *block = new_tile(&t, log_p.shape[0], log_p.shape[1], &log_norm[0], &log_p[0, 0], &log_q[0, 0],
                                  False, True)
    with nogil:
        posterior_rows(&t, X, trials, binomial_densities, log_prob, resp, labels)
    free(block)


# -------------------------------------------------------------------------------------------- k-means, for the starts

cdef inline void nearest_center(Tile *t) noexcept nogil:
    """total <- smallest scaled squared distance, top <- which center is there (as a double); ties go to the first."""
    cdef Py_ssize_t c, i, j
    cdef double z, square
    for i in range(TILE):
        t.top[i] = 0.0
    for c in range(t.k):
        for i in range(TILE):
            t.density[i] = 0.0
        for j in range(t.d):
            for i in range(TILE):
                z = (t.x[j * TILE + i] - t.location[c * t.d + j]) * t.scaling[j]
                t.density[i] += z * z
        for i in range(TILE):
            square = t.density[i]
            t.top[i] = <double> c if c and square < t.total[i] else t.top[i]
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
    cdef double *block = new_tile(&t, k, d, NULL, &centers[0, 0], &scale[0], False, False)
    with nogil:
        for s in range(sums.shape[0]):
            out = &sums[s, 0]
            for i in range(sums.shape[1]):
                out[i] = 0.0
            row = s * slot_rows
            end = min(X.shape[0], row + slot_rows)
            while row < end:
                rows = min(TILE, end - row)
                load_columns(X, row, rows, t.x)
                nearest_center(&t)
                for i in range(rows):
                    w = sample_weight[row + i]
                    c = <Py_ssize_t> t.top[i]
                    distances[row + i] = t.total[i]
                    labels[row + i] = <int32_t> c
                    out[c] += w
                    for j in range(d):
                        out[k + c * d + j] += w * (t.x[j * TILE + i] - centers[c, j])
                    out[k + k * d] += w * t.total[i]
                row += rows
    free(block)
