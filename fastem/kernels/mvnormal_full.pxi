# Multivariate normal, full covariance.

cdef void full_densities(Tile *t) noexcept nogil:
    """log2 (weight N(x; mean, S)) = log_norm - |L (x - mean)|^2, L^T L = log2(e) / 2 S^-1, L lower triangular."""
    cdef Py_ssize_t b, c, i, wide = t.vectors - t.vectors % WHITENED
    if t.d <= LOW_DENSITIES:
        low_densities(t)
        return
    t.begin = t.k - 1 - t.begin
    for b in range(t.k):
        c = component_at(t, b)
        for i in range(wide // WHITENED):
            whiten_vectors(t, c, i * WHITENED, WHITENED)
        for i in range(wide, t.vectors, 2):
            whiten_vectors(t, c, i, 2)


cdef inline Py_ssize_t component_at(const Tile *t, Py_ssize_t b) noexcept nogil:
    """The component that comes after b others.  Every other tile begins at the last one, whose tables and sums are
    then still in the second cache, where all of them have no room."""
    return t.begin - b if t.begin else b


cdef struct Four:            # rows of L (x - mean), of a vector of points
    vec y0
    vec y1
    vec y2
    vec y3


cdef inline void add_column(Four *y, const real *L, Py_ssize_t d, vec z) noexcept nogil:
    y.y0, y.y1, y.y2, y.y3 = y.y0 + L[0] * z, y.y1 + L[d] * z, y.y2 + L[2 * d] * z, y.y3 + L[3 * d] * z


cdef inline vec residual(const real *x, real mean, real *kept, Py_ssize_t i) noexcept nogil:
    """x - mean of a feature, vector i; kept for the rows of the matrix that follow."""
    cdef vec z = load(x, i) - mean
    store(kept, i, z)
    return z


cdef inline vec add_triangle(Four *y, const real *L, Py_ssize_t d, const real *x, const real *mean, real *kept,
                             Py_ssize_t i) noexcept nogil:
    """The 4 x 4 block on the diagonal.  -> the sum of the squares of the rows, which are then whole"""
    cdef vec z = residual(x, mean[0], kept, i)
    add_column(y, L, d, z)
    z = residual(x + COLUMN, mean[1], kept + COLUMN, i)
    y.y1, y.y2, y.y3 = y.y1 + L[d + 1] * z, y.y2 + L[2 * d + 1] * z, y.y3 + L[3 * d + 1] * z
    z = residual(x + 2 * COLUMN, mean[2], kept + 2 * COLUMN, i)
    y.y2, y.y3 = y.y2 + L[2 * d + 2] * z, y.y3 + L[3 * d + 2] * z
    y.y3 = y.y3 + L[3 * d + 3] * residual(x + 3 * COLUMN, mean[3], kept + 3 * COLUMN, i)
    return (y.y0 * y.y0 + y.y1 * y.y1) + (y.y2 * y.y2 + y.y3 * y.y3)


cdef inline vec last_square(const real *L, const real *r, Py_ssize_t row, const real *x, real mean, real *kept,
                            Py_ssize_t i) noexcept nogil:
    """Of one row of L (x - mean)."""
    cdef Py_ssize_t j
    cdef vec y = L[row] * residual(x, mean, kept, i)
    for j in range(row):
        y = y + L[j] * load(r + j * COLUMN, i)
    return y * y


cdef inline void whiten_vectors(Tile *t, Py_ssize_t c, Py_ssize_t i, Py_ssize_t width) noexcept nogil:
    """Log densities of `width` vectors, 2 or 4, from i on, under component c; rows of L by fours, so that a residual is
    read once for four of them, and an element of L once for all vectors.  width is a constant to the compiler."""
    cdef Py_ssize_t d = t.d, row = 0, j
    cdef const real *x = t.x
    cdef const real *mean = t.location + c * d
    cdef real *kept = t.residual
    cdef const real *L
    cdef const real *r
    cdef Four y, y_, u, u_
    cdef vec square, square_, other, other_
    square = square_ = other = other_ = broadcast(0.0)
    while row + 4 <= d:
        L, r = t.scaling + (c * d + row) * d, t.residual
        y.y0 = y.y1 = y.y2 = y.y3 = y_.y0 = y_.y1 = y_.y2 = y_.y3 = broadcast(0.0)
        u.y0 = u.y1 = u.y2 = u.y3 = u_.y0 = u_.y1 = u_.y2 = u_.y3 = broadcast(0.0)
        for j in range(row):
            add_column(&y, L + j, d, load(r, i))
            add_column(&y_, L + j, d, load(r, i + 1))
            if width > 2:
                add_column(&u, L + j, d, load(r, i + 2))
                add_column(&u_, L + j, d, load(r, i + 3))
            r += COLUMN
        square = square + add_triangle(&y, L + row, d, x, mean, kept, i)
        square_ = square_ + add_triangle(&y_, L + row, d, x, mean, kept, i + 1)
        if width > 2:
            other = other + add_triangle(&u, L + row, d, x, mean, kept, i + 2)
            other_ = other_ + add_triangle(&u_, L + row, d, x, mean, kept, i + 3)
        row += 4
        mean += 4
        x += 4 * COLUMN
        kept += 4 * COLUMN
    while row < d:
        L = t.scaling + (c * d + row) * d
        square = square + last_square(L, t.residual, row, x, mean[0], kept, i)
        square_ = square_ + last_square(L, t.residual, row, x, mean[0], kept, i + 1)
        if width > 2:
            other = other + last_square(L, t.residual, row, x, mean[0], kept, i + 2)
            other_ = other_ + last_square(L, t.residual, row, x, mean[0], kept, i + 3)
        row += 1
        mean += 1
        x += COLUMN
        kept += COLUMN
    put_density_after(t, t.begin, c, i, t.log_norm[c] - square)
    put_density_after(t, t.begin, c, i + 1, t.log_norm[c] - square_)
    if width > 2:
        put_density_after(t, t.begin, c, i + 2, t.log_norm[c] - other)
        put_density_after(t, t.begin, c, i + 3, t.log_norm[c] - other_)


cdef void full_moments(Tile *t) noexcept nogil:
    moments_of_vectors(t, VECTORS)


cdef inline void moments_of_vectors(Tile *t, Py_ssize_t vectors) noexcept nogil:
    """The second moments in 4 x 4 blocks, row by row of blocks: `weighted` holds the four features of such a row."""
    cdef Py_ssize_t b, c, row, j, end, d = t.d, rows = padded_rows(t.d), step = rows * rows if t.matrices == t.k else 0
    cdef double *second
    if d <= LOW_MOMENTS:
        low_moments(t, vectors)
        return
    for b in range(t.k):
        c = component_at(t, b)
        responsibilities(t, c, vectors)
        for row in range(0, rows, 4):
            second = t.second + c * step + row * rows
            end = row
            if row + 4 <= d:
                diagonal_4x4(t, c, row, vectors, second + row, rows)
            else:
                last_rows(t, c, row, vectors)
                end = rows
            for j in range(0, end, 4):
                outer_4x4(vectors, t.weighted, t.residual + j * COLUMN, second + j, rows)


cdef inline void last_rows(Tile *t, Py_ssize_t c, Py_ssize_t row, Py_ssize_t vectors) noexcept nogil:
    """Residuals and weighted residuals of the features from `row` on, under four: zeros stand behind them."""
    cdef Py_ssize_t i, j
    cdef const real *r = t.density + c * COLUMN
    cdef vec rz, first
    for j in range(row, row + 4):
        first = broadcast(0.0)
        for i in range(vectors):
            rz = broadcast(0.0)
            if j < t.d:
                rz = load(r, i) * residual(t.x + j * COLUMN, t.location[c * t.d + j], t.residual + j * COLUMN, i)
            store(t.weighted + (j - row) * COLUMN, i, rz)
            first = first + rz
        if j < t.d:
            add_to(t.first, c * t.d + j, first)


cdef inline void diagonal_4x4(Tile *t, Py_ssize_t c, Py_ssize_t row, Py_ssize_t vectors, double *out,
                              Py_ssize_t stride) noexcept nogil:
    """Residuals, weighted residuals and first moments of four features, and the triangle of their second moments."""
    cdef Py_ssize_t i, at = c * t.d + row
    cdef real *a = t.weighted
    cdef real *kept = t.residual + row * COLUMN
    cdef const real *x = t.x + row * COLUMN
    cdef const real *mean = t.location + at
    cdef const real *density = t.density + c * COLUMN
    cdef vec r, z0, z1, z2, z3, a0, a1, a2, a3, f0, f1, f2, f3, s00, s10, s11, s20, s21, s22, s30, s31, s32, s33, none
    f0 = f1 = f2 = f3 = s00 = s10 = s11 = s20 = s21 = s22 = s30 = s31 = s32 = s33 = none = broadcast(0.0)
    for i in range(vectors):
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


cdef inline void outer_4x4(Py_ssize_t vectors, const real *a, const real *b, double *out,
                           Py_ssize_t stride) noexcept nogil:
    """out[i, j] += sum over the tile of a[i] b[j]: 16 sums in registers, 8 loads for 16 products."""
    cdef Py_ssize_t i
    cdef vec a0, a1, a2, a3, b0, b1, b2, b3
    cdef vec s00, s01, s02, s03, s10, s11, s12, s13, s20, s21, s22, s23, s30, s31, s32, s33
    s00 = s01 = s02 = s03 = s10 = s11 = s12 = s13 = s20 = s21 = s22 = s23 = s30 = s31 = s32 = s33 = broadcast(0.0)
    for i in range(vectors):
        a0, a1, a2, a3 = load(a, i), load(a + COLUMN, i), load(a + 2 * COLUMN, i), load(a + 3 * COLUMN, i)
        b0, b1, b2, b3 = load(b, i), load(b + COLUMN, i), load(b + 2 * COLUMN, i), load(b + 3 * COLUMN, i)
        s00, s01, s02, s03 = s00 + a0 * b0, s01 + a0 * b1, s02 + a0 * b2, s03 + a0 * b3
        s10, s11, s12, s13 = s10 + a1 * b0, s11 + a1 * b1, s12 + a1 * b2, s13 + a1 * b3
        s20, s21, s22, s23 = s20 + a2 * b0, s21 + a2 * b1, s22 + a2 * b2, s23 + a2 * b3
        s30, s31, s32, s33 = s30 + a3 * b0, s31 + a3 * b1, s32 + a3 * b2, s33 + a3 * b3
    add_lane_sums(out, out + stride, s00, s01, s02, s03, s10, s11, s12, s13)
    add_lane_sums(out + 2 * stride, out + 3 * stride, s20, s21, s22, s23, s30, s31, s32, s33)


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


cdef void fold_full(const Tile *t, double *sums) noexcept nogil:
    cdef Py_ssize_t k = t.k, d = t.d
    fold_lanes(t.counts, k * (1 + d), sums)
    if d <= LOW_MOMENTS:
        fold_lanes(t.second, t.matrices * d * d, sums + k * (1 + d))
    else:
        unpad(t.second, t.matrices, d, sums + k * (1 + d))
    mirror(sums + k * (1 + d), t.matrices, d)
    to_exact_means(t, sums)


cdef Family FULL = Family(full_densities, full_moments, fold_full, centered=True, full=True, tied=False,
                          squares=NO_SQUARES, has_trials=False, has_gaps=False)


def accumulate_mvnormal_full(const floating[:, :] X,         # IN   (n, d)
                             const double[:] sample_weight,  # IN   (n,)
                             Py_ssize_t slot_rows,           # IN              rows of a slot
                             const double[::1] log_norm,     # IN   (k,)       log2 of weight / sqrt(det(2 pi S))
                             const double[:, ::1] means,     # IN   (k, d)
                             const double[:, :, ::1] factor, # IN   (k, d, d)  lower L, L^T L = log2(e) / 2 S^-1
                             double[:, ::1] sums):           # OUT  (s, k + k d + k d d + 2), or d d: their sum
    # -> per slot: sum w r, sum w r (x - mean), sum w r (x - mean)(x - mean)^T, sum w log p(x), -sum w sum_k r log r
    cdef Tile t
    cdef real *block = new_tile(&t, &FULL, &log_norm[0], means, &factor[0, 0, 0], sums.shape[1] - 2)
    with nogil:
        accumulate_slots(&t, X, X, sample_weight, slot_rows, sums)
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
    cdef real *block = new_tile(&t, &FULL, &log_norm[0], means, &factor[0, 0, 0], 0)
    with nogil:
        posterior_rows(&t, X, X, log_prob, resp, labels)
    free(block)
