# Univariate normal, and a few features of the multivariate: all in registers.

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
    cdef vec z0, z1, z2, z3, z4, z5, z6, z7, y, log_density, top
    for i in range(t.vectors):
        x, mean, L, density = t.x, t.location, t.scaling, t.density
        top = broadcast(FAR_OUT)
        for c in range(k):
            z0 = load(x, i) - mean[0]
            y = L[0] * z0
            log_density = log_norm[c] - y * y
            if d > 1:
                z1 = load(x + COLUMN, i) - mean[1]
                y = L[d] * z0 + L[d + 1] * z1
                log_density = log_density - y * y
            if d > 2:
                z2 = load(x + 2 * COLUMN, i) - mean[2]
                y = L[2 * d] * z0 + L[2 * d + 1] * z1 + L[2 * d + 2] * z2
                log_density = log_density - y * y
            if d > 3:
                z3 = load(x + 3 * COLUMN, i) - mean[3]
                y = L[3 * d] * z0 + L[3 * d + 1] * z1 + L[3 * d + 2] * z2 + L[3 * d + 3] * z3
                log_density = log_density - y * y
            if d > 4:
                z4 = load(x + 4 * COLUMN, i) - mean[4]
                y = (L[4 * d] * z0 + L[4 * d + 1] * z1 + L[4 * d + 2] * z2)\
                    + (L[4 * d + 3] * z3 + L[4 * d + 4] * z4)
                log_density = log_density - y * y
            if d > 5:
                z5 = load(x + 5 * COLUMN, i) - mean[5]
                y = (L[5 * d] * z0 + L[5 * d + 1] * z1 + L[5 * d + 2] * z2)\
                    + (L[5 * d + 3] * z3 + L[5 * d + 4] * z4 + L[5 * d + 5] * z5)
                log_density = log_density - y * y
            if d > 6:
                z6 = load(x + 6 * COLUMN, i) - mean[6]
                y = (L[6 * d] * z0 + L[6 * d + 1] * z1 + L[6 * d + 2] * z2 + L[6 * d + 3] * z3)\
                    + (L[6 * d + 4] * z4 + L[6 * d + 5] * z5 + L[6 * d + 6] * z6)
                log_density = log_density - y * y
            if d > 7:
                z7 = load(x + 7 * COLUMN, i) - mean[7]
                y = (L[7 * d] * z0 + L[7 * d + 1] * z1 + L[7 * d + 2] * z2 + L[7 * d + 3] * z3)\
                    + (L[7 * d + 4] * z4 + L[7 * d + 5] * z5 + L[7 * d + 6] * z6 + L[7 * d + 7] * z7)
                log_density = log_density - y * y
            log_density = larger(log_density, broadcast(FAR_OUT))
            store(density, i, log_density)
            top = larger(top, log_density)
            mean += d
            L += d * d
            density += COLUMN
        store(t.top, i, top)


cdef inline void moments_in_registers(Tile *t, Py_ssize_t d, Py_ssize_t vectors) noexcept nogil:
    """counts, first and second moments of a component in registers, while a tile passes by."""
    cdef Py_ssize_t c, i, step = d * d * LANES if t.matrices == t.k else 0
    cdef const real *x = t.x
    cdef const real *scale = t.scale
    cdef const real *density = t.density
    cdef const real *mean
    cdef double *first
    cdef double *second
    cdef vec r, z0, z1, z2, z3, a, n, f0, f1, f2, f3, s00, s10, s11, s20, s21, s22, s30, s31, s32, s33
    for c in range(t.k):
        mean, first, second = t.location + c * d, t.first + c * d * LANES, t.second + c * step
        n = f0 = f1 = f2 = f3 = s00 = s10 = s11 = s20 = s21 = s22 = s30 = s31 = s32 = s33 = broadcast(0.0)
        for i in range(vectors):
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


cdef inline void low_moments(Tile *t, Py_ssize_t vectors) noexcept nogil:
    if t.d == 1:
        moments_in_registers(t, 1, vectors)
    elif t.d == 2:
        moments_in_registers(t, 2, vectors)
    elif t.d == 3:
        moments_in_registers(t, 3, vectors)
    else:
        moments_in_registers(t, 4, vectors)


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
    """Moments about other places -> about the means: with e how far a mean is from there,
    sum r (z - e) = first - counts e,  sum r (z - e)(z - e)^T = second - e first^T - first e^T + counts e e^T."""
    cdef Py_ssize_t c, i, j, at, d = t.d
    cdef const double *e
    for c in range(t.k):
        e = t.shift + c * d
        for i in range(d):
            for j in range(0 if t.family.full else i, d if t.family.full else i + 1):
                at = (c % t.matrices * d + i) * d + j if t.family.full else c * d + i
                second[at] -= e[i] * first[c * d + j] + first[c * d + i] * e[j] - counts[c] * e[i] * e[j]
        for i in range(d):
            first[c * d + i] -= counts[c] * e[i]


cdef inline void to_exact_means(const Tile *t, double *sums) noexcept nogil:
    """Move the folded sums of a slot from the means as float32 has them to the means themselves."""
    cdef Py_ssize_t k = t.k, d = t.d
    if SINGLE:
        drop_empty(k, d, d * (d if t.family.full else 1) if t.matrices == k else 0, sums)
        move_to_means(t, sums, sums + k, sums + k + k * d)


cdef void fold_normal(const Tile *t, double *sums) noexcept nogil:
    fold_lanes(t.counts, t.k * (1 + t.d), sums)
    fold_lanes(t.second, t.k * t.d, sums + t.k * (1 + t.d))
    to_exact_means(t, sums)


cdef void normal_moments(Tile *t) noexcept nogil:
    moments_in_registers(t, 1, VECTORS)


cdef Family NORMAL = Family(low_densities, normal_moments, fold_normal, centered=True, full=False, tied=False,
                            squares=NO_SQUARES, has_trials=False, has_gaps=False)


def accumulate_normal(const floating[:, :] X,         # IN   (n, 1)
                      const double[:] sample_weight,  # IN   (n,)
                      Py_ssize_t slot_rows,           # IN           rows of a slot
                      const double[::1] log_norm,     # IN   (k,)    log2 of weight / (sd sqrt(2 pi))
                      const double[:, ::1] means,     # IN   (k, 1)
                      const double[:, ::1] scale,     # IN   (k, 1)  sqrt(log2(e) / 2) / sd
                      double[:, ::1] sums):           # OUT  (s, 3 k + 2)
    # -> per slot: sum w r, sum w r (x - mean), sum w r (x - mean)^2, sum w log p(x), -sum w sum_k r log r
    cdef Tile t
    cdef real *block = new_tile(&t, &NORMAL, &log_norm[0], means, &scale[0, 0], sums.shape[1] - 2)
    with nogil:
        accumulate_slots(&t, X, X, sample_weight, slot_rows, sums)
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
    cdef real *block = new_tile(&t, &NORMAL, &log_norm[0], means, &scale[0, 0], 0)
    with nogil:
        posterior_rows(&t, X, X, log_prob, resp, labels)
    free(block)
