# Multivariate normal, one covariance for all components.
#
# A row is whitened once: z = L (x - middle).  With u = L (mean - middle) the log density of a component is
#     log_norm - |z - u|^2 = (log_norm - |u|^2) + 2 u . z - |z|^2,
# and it takes d multiply-adds.  Its moments about the middle are d more, and one (x - middle)(x - middle)^T serves all
# components: what the means take from that is known once a slot is summed.  The caller sees to it that means are near
# their middle, or |u|^2 would take digits (families/gaussian/tables.py); otherwise the kernel of full ones pools.

cdef void tied_densities(Tile *t) noexcept nogil:
    cdef Py_ssize_t i
    for i in range(0, t.vectors, 2):
        whiten_rows(t, i)
        compare_rows(t, t.residual, i, 0, t.d, True, True, True)


cdef inline void whiten_rows(Tile *t, Py_ssize_t i) noexcept nogil:
    """residual <- L x of vectors i and i + 1, four rows of L at a time, which may meet zeros; total <- |L x|^2."""
    cdef Py_ssize_t row, j, d = t.d
    cdef const real *L = t.scaling
    cdef const real *x
    cdef real *kept = t.residual
    cdef vec z, z_, y0, y1, y2, y3, y0_, y1_, y2_, y3_, square = broadcast(0.0), square_ = broadcast(0.0)
    for row in range(0, d - 3, 4):
        x = t.x
        y0 = y1 = y2 = y3 = y0_ = y1_ = y2_ = y3_ = broadcast(0.0)
        for j in range(row + 4):
            z, z_ = load(x, i), load(x, i + 1)
            x += COLUMN
            y0, y0_ = y0 + L[j] * z, y0_ + L[j] * z_
            y1, y1_ = y1 + L[d + j] * z, y1_ + L[d + j] * z_
            y2, y2_ = y2 + L[2 * d + j] * z, y2_ + L[2 * d + j] * z_
            y3, y3_ = y3 + L[3 * d + j] * z, y3_ + L[3 * d + j] * z_
        keep_two(kept, i, y0, y0_)
        keep_two(kept + COLUMN, i, y1, y1_)
        keep_two(kept + 2 * COLUMN, i, y2, y2_)
        keep_two(kept + 3 * COLUMN, i, y3, y3_)
        square = square + ((y0 * y0 + y1 * y1) + (y2 * y2 + y3 * y3))
        square_ = square_ + ((y0_ * y0_ + y1_ * y1_) + (y2_ * y2_ + y3_ * y3_))
        L += 4 * d
        kept += 4 * COLUMN
    for row in range(d - d % 4, d):
        y0 = y0_ = broadcast(0.0)
        for j in range(row + 1):
            y0, y0_ = y0 + L[j] * load(t.x + j * COLUMN, i), y0_ + L[j] * load(t.x + j * COLUMN, i + 1)
        keep_two(kept, i, y0, y0_)
        square, square_ = square + y0 * y0, square_ + y0_ * y0_
        L += d
        kept += COLUMN
    keep_two(t.total, i, square, square_)


cdef inline void keep_two(real *column, Py_ssize_t i, vec z, vec z_) noexcept nogil:
    store(column, i, z)
    store(column, i + 1, z_)


cdef inline void compare_rows(Tile *t, const real *columns, Py_ssize_t i, Py_ssize_t first, Py_ssize_t count,
                              bint begins, bint ends, bint less_total) noexcept nogil:
    """Log densities of vectors i and i + 1, four components at a time; top <- the largest.

    They are linear in terms, of which columns holds so many, from the first of these on; what ends may be less total.
    """
    cdef Py_ssize_t c, j, d = t.terms
    cdef const real *u = t.location + first
    cdef const real *z
    cdef const real *log_norm = t.log_norm
    cdef real *density = t.density
    cdef vec x, x_, y0, y1, y2, y3, y0_, y1_, y2_, y3_, top = broadcast(FAR_OUT), top_ = broadcast(FAR_OUT)
    for c in range(0, t.k, 4):
        z = columns
        y0 = y0_ = broadcast(log_norm[c])
        y1 = y1_ = broadcast(log_norm[c + 1])
        y2 = y2_ = broadcast(log_norm[c + 2])
        y3 = y3_ = broadcast(log_norm[c + 3])
        if not begins:
            y0, y0_ = load(density, i), load(density, i + 1)
            y1, y1_ = load(density + COLUMN, i), load(density + COLUMN, i + 1)
            y2, y2_ = load(density + 2 * COLUMN, i), load(density + 2 * COLUMN, i + 1)
            y3, y3_ = load(density + 3 * COLUMN, i), load(density + 3 * COLUMN, i + 1)
        for j in range(count):
            x, x_ = load(z, i), load(z, i + 1)
            z += COLUMN
            y0, y0_ = y0 + u[j] * x, y0_ + u[j] * x_
            y1, y1_ = y1 + u[d + j] * x, y1_ + u[d + j] * x_
            y2, y2_ = y2 + u[2 * d + j] * x, y2_ + u[2 * d + j] * x_
            y3, y3_ = y3 + u[3 * d + j] * x, y3_ + u[3 * d + j] * x_
        if not ends:
            keep_two(density, i, y0, y0_)
            keep_two(density + COLUMN, i, y1, y1_)
            keep_two(density + 2 * COLUMN, i, y2, y2_)
            keep_two(density + 3 * COLUMN, i, y3, y3_)
            u += 4 * d
            density += 4 * COLUMN
            continue
        if less_total:
            x, x_ = load(t.total, i), load(t.total, i + 1)
            y0, y1, y2, y3 = y0 - x, y1 - x, y2 - x, y3 - x
            y0_, y1_, y2_, y3_ = y0_ - x_, y1_ - x_, y2_ - x_, y3_ - x_
        top = larger(top, larger(keep_density(density, i, y0), keep_density(density + COLUMN, i, y1)))
        top = larger(top, larger(keep_density(density + 2 * COLUMN, i, y2),
                                 keep_density(density + 3 * COLUMN, i, y3)))
        top_ = larger(top_, larger(keep_density(density, i + 1, y0_),
                                   keep_density(density + COLUMN, i + 1, y1_)))
        top_ = larger(top_, larger(keep_density(density + 2 * COLUMN, i + 1, y2_),
                                   keep_density(density + 3 * COLUMN, i + 1, y3_)))
        u += 4 * d
        density += 4 * COLUMN
    keep_two(t.top, i, top, top_)


cdef inline vec keep_density(real *density, Py_ssize_t i, vec log_density) noexcept nogil:
    log_density = larger(log_density, broadcast(FAR_OUT))
    store(density, i, log_density)
    return log_density


cdef void tied_moments(Tile *t) noexcept nogil:
    """In 4 x 4 blocks: responsibilities by features, and features by features, of which triangles are read."""
    cdef Py_ssize_t i, j, rows = padded_rows(t.d)
    cdef const real *weighted
    weigh_densities(t)
    add_products(t, t.x, 0, t.d)
    for i in range(0, t.d, 4):
        weighted = weighted_four(t, i)
        for j in range(0, i + 4, 4):
            outer_4x4(VECTORS, weighted, t.x + j * COLUMN, t.second + i * rows + j, rows)


cdef inline void weigh_densities(Tile *t) noexcept nogil:
    """Densities -> responsibilities, and zeros that make a multiple of four."""
    cdef Py_ssize_t c
    for c in range(t.k):
        responsibilities(t, c, VECTORS)
    clear_columns(t.density, t.k, padded_rows(t.k))


cdef inline void clear_columns(real *columns, Py_ssize_t begin, Py_ssize_t end) noexcept nogil:
    cdef Py_ssize_t c
    for c in range(begin, end):
        memset(columns + c * COLUMN, 0, TILE * sizeof(real))


cdef inline void add_products(Tile *t, const real *columns, Py_ssize_t first, Py_ssize_t count) noexcept nogil:
    """Sums of responsibilities times these columns, so many terms from the first of them on, in 4 x 4 blocks.

    The shorter loop is inside: what it reads stays in cache.
    """
    cdef Py_ssize_t c, j, width = padded_rows(t.terms)
    cdef double *sums = t.first + first
    if count > t.k:
        for j in range(0, count, 4):
            for c in range(0, t.k, 4):
                outer_4x4(VECTORS, t.density + c * COLUMN, columns + j * COLUMN, sums + c * width + j, width)
        return
    for c in range(0, t.k, 4):
        for j in range(0, count, 4):
            outer_4x4(VECTORS, t.density + c * COLUMN, columns + j * COLUMN, sums + c * width + j, width)


cdef inline const real *weighted_four(Tile *t, Py_ssize_t row) noexcept nogil:
    """Weight times four features: these themselves where every weight is 1."""
    cdef Py_ssize_t i, j
    if t.unit:
        return t.x + row * COLUMN
    for j in range(4):
        for i in range(VECTORS):
            store(t.weighted + j * COLUMN, i, load(t.weight, i) * load(t.x + (row + j) * COLUMN, i))
    return t.weighted


cdef void fold_tied(const Tile *t, double *sums) noexcept nogil:
    cdef Py_ssize_t c, k = t.k, d = t.d, rows = padded_rows(t.d)
    fold_lanes(t.counts, k, sums)
    for c in range(k):
        memcpy(sums + k + c * d, t.first + c * rows, d * sizeof(double))
    unpad(t.second, 1, d, sums + k * (1 + d))
    if SINGLE:
        drop_empty(k, d, 0, sums)
    move_from_middle(t, sums, sums + k, sums + k * (1 + d))
    mirror(sums + k * (1 + d), 1, d)


cdef inline void move_from_middle(const Tile *t, const double *counts, double *first, double *second) noexcept nogil:
    """As move_to_means, the lower triangle of all components."""
    cdef Py_ssize_t c, i, j, d = t.d
    cdef double moved
    cdef const double *e = t.shift
    for c in range(t.k):
        for i in range(d):
            moved = first[i] - counts[c] * e[i]
            for j in range(i + 1):
                second[i * d + j] -= e[i] * first[j] + moved * e[j]
        for i in range(d):
            first[i] -= counts[c] * e[i]
        first += d
        e += d


cdef Family TIED = Family(tied_densities, tied_moments, fold_tied, centered=False, full=True, tied=True,
                          squares=NO_SQUARES, has_trials=False, has_gaps=False)


cdef inline void set_middle(Tile *t, const double *means, const double *middle) noexcept nogil:
    """What moments are taken about; components that make a multiple of four are out of reach."""
    cdef Py_ssize_t c, j
    for c in range(t.k, padded_rows(t.k)):
        t.log_norm[c] = FAR_OUT
    for j in range(t.d):
        t.origin[j] = middle[j]
        for c in range(t.k):
            t.shift[c * t.d + j] = means[c * t.d + j] - middle[j]


def accumulate_mvnormal_tied(const floating[:, :] X,         # IN   (n, d)
                             const double[:] sample_weight,  # IN   (n,)
                             Py_ssize_t slot_rows,           # IN           rows of a slot
                             const double[::1] log_norm,     # IN   (k,)    log2 of weight / sqrt(det(2 pi S)), - |u|^2
                             const double[:, ::1] slopes,    # IN   (k, d)  2 u, u = L (mean - middle)
                             const double[:, ::1] factor,    # IN   (d, d)  lower L, L^T L = log2(e) / 2 S^-1
                             const double[:, ::1] means,     # IN   (k, d)
                             const double[::1] middle,       # IN   (d,)
                             double[:, ::1] sums):           # OUT  (s, k + k d + d d + 2)
    # -> as accumulate_mvnormal_full, the second moments of all components in one
    cdef Tile t
    cdef real *block = new_tile(&t, &TIED, &log_norm[0], slopes, &factor[0, 0], sums.shape[1] - 2)
    with nogil:
        set_middle(&t, &means[0, 0], &middle[0])
        accumulate_slots(&t, X, X, sample_weight, slot_rows, sums)
    free(block)


def posterior_mvnormal_tied(const floating[:, :] X,          # IN   (n, d)
                            const double[::1] log_norm,      # IN   (k,)    tables as for accumulate_mvnormal_tied
                            const double[:, ::1] slopes,     # IN   (k, d)
                            const double[:, ::1] factor,     # IN   (d, d)
                            const double[:, ::1] means,      # IN   (k, d)
                            const double[::1] middle,        # IN   (d,)
                            double[:] log_prob,              # OUT  (n,)    or (0,)
                            double[:, :] resp,               # OUT  (n, k)  or (0, k)
                            int32_t[:] labels):              # OUT  (n,)    or (0,)
    # -> log density, responsibilities and most probable component of each row
    cdef Tile t
    cdef real *block = new_tile(&t, &TIED, &log_norm[0], slopes, &factor[0, 0], 0)
    with nogil:
        set_middle(&t, &means[0, 0], &middle[0])
        posterior_rows(&t, X, X, log_prob, resp, labels)
    free(block)
