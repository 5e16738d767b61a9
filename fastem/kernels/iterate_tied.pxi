# EM of one Gaussian mixture whose rows are taken from the middle of the means: its tables.  Of components that share a
# matrix its M-step too, where it is not that of matrices of their own.

cdef void choose_family(Model *m, const Family *about_middle, const Family *by_residuals) noexcept nogil:
    """Find the middle of the means, and the kernel for means that are as far from it: as tables.middle_of."""
    cdef Tile *t = &m.tile
    cdef Py_ssize_t c, j, k = t.k, d = t.d
    cdef double furthest = 0.0
    for j in range(d):
        m.middle[j] = 0.0
        for c in range(k):
            m.middle[j] += m.params.location[c * d + j]
        m.middle[j] /= k
    set_middle(t, m.params.location, m.middle)
    for c in range(k):
        if about_middle.tied:
            furthest = max(furthest, square_of_offset(t, m.factors, c, NULL))
        else:
            furthest = max(furthest, square_of_scaled(t, m.factors, c, NULL))
    t.family = about_middle if furthest <= NEAR * d else by_residuals
    if t.family == by_residuals:
        memset(t.origin, 0, d * sizeof(double))
        memset(t.shift, 0, k * d * sizeof(double))


cdef double square_of_offset(const Tile *t, const double *L, Py_ssize_t c, real *slopes) noexcept nogil:
    """|u|^2 of u = L (mean - middle); 2 u is wanted where slopes are not NULL."""
    cdef Py_ssize_t i, j, d = t.d
    cdef double u, square = 0.0
    for i in range(d):
        u = 0.0
        for j in range(i + 1):
            u += L[i * d + j] * t.shift[c * d + j]
        square += u * u
        if slopes != NULL:
            slopes[i] = <real> (2.0 * u)
    return square


cdef double square_of_scaled(const Tile *t, const double *scale, Py_ssize_t c, real *natural) noexcept nogil:
    """Likewise of u = scale (mean - middle); natural parameters are wanted where they are not NULL."""
    cdef Py_ssize_t j, d = t.d
    cdef double s, u, square = 0.0
    for j in range(d):
        s = scale[c * d + j]
        u = s * t.shift[c * d + j]
        square += u * u
        if natural != NULL:
            natural[j] = <real> (2.0 * s * u)
            natural[d + j if t.family.squares == ALL_SQUARES else d] = <real> (-s * s)
    return square


cdef void natural_tables(Model *m) noexcept nogil:
    """What the kernel of natural parameters has in the place of means."""
    cdef Tile *t = &m.tile
    cdef Py_ssize_t c
    for c in range(t.k):
        t.log_norm[c] -= <real> square_of_scaled(t, m.scaling, c, t.location + c * t.terms)


cdef inline double gone_from(const Model *m, Py_ssize_t c, Py_ssize_t j) noexcept nogil:
    """How far a mean is, after the M-step, from what its moments were taken about."""
    if m.tile.family.tied or m.tile.family.squares:
        return m.made.location[c * m.tile.d + j] - m.middle[j]
    return m.delta[c * m.tile.d + j]


cdef void tied_tables(Model *m) noexcept nogil:
    """What the tied kernel has in the place of means."""
    cdef Tile *t = &m.tile
    cdef Py_ssize_t c
    for c in range(t.k):
        t.log_norm[c] -= <real> square_of_offset(t, m.scaling, c, t.location + c * t.d)


cdef inline double shared_scatter(const Model *m, Py_ssize_t i, Py_ssize_t j) noexcept nogil:
    """second - sum of counts delta delta^T, of all components."""
    cdef Py_ssize_t c, k = m.tile.k, d = m.tile.d
    cdef double found = m.sums[k + k * d + i * d + j]
    for c in range(k):
        found -= m.location_counts[c] * m.delta[c * d + i] * m.delta[c * d + j]
    return found


cdef inline double shared_floor(const Model *m, Py_ssize_t j) noexcept nogil:
    """As variance_floor; of the tied kernel, scatter is what the offsets of the means have left."""
    cdef Py_ssize_t c, k = m.tile.k, d = m.tile.d
    cdef double square = shared_scatter(m, j, j), total = 0.0, mean, taken, lost = 0.0
    for c in range(k):
        mean = m.made.location[c * d + j]
        taken = gone_from(m, c, j)
        square += m.spread_counts[c] * mean * mean
        lost += m.spread_counts[c] * RESOLUTION * taken * taken
        total += m.spread_counts[c]
    return max(max(RESOLUTION * RESOLUTION * square / total, SMALLEST_VARIANCE), lost / total)


cdef bint maximize_shared_matrix(Model *m) noexcept nogil:
    """One matrix (d, d) for all components."""
    cdef Py_ssize_t c, i, j, k = m.tile.k, d = m.tile.d
    cdef double total = 0.0
    cdef double *matrix = m.made.spread
    if m.fixed != NULL and m.fixed[2 * k]:
        memcpy(matrix, m.params.spread, d * d * sizeof(double))
        return True
    for c in range(k):
        total += m.spread_counts[c]
    for i in range(d):
        for j in range(i + 1):
            matrix[i * d + j] = matrix[j * d + i] = shared_scatter(m, i, j) / total
        matrix[i * d + i] += m.added[i]
    return factorise_shared(m, matrix)
