# The tables of one Gaussian mixture on few rows.  Rows of tied, diagonal and spherical components are taken from the
# middle of the means, where these are near it.

cdef void gaussian_tables(Model *m) noexcept nogil:
    """log_norm and means of the tile; the scale of residuals is made of the factors, (k, d, d) or (k, d)."""
    cdef Tile *t = &m.tile
    if t.family.full and m.shared:
        choose_family(m, &TIED if t.k > 1 and t.k * t.d >= WORTHWHILE else &FULL, &FULL)
    elif t.terms > t.d:
        choose_family(m, &SUM_NATURAL if m.isotropic else &ALL_NATURAL, &DIAG)
    cdef Py_ssize_t c, j, k = t.k, d = t.d, size = d * d if t.family.full else d, step = d + 1 if t.family.full else 1
    cdef double log_norm
    cdef double *scale = <double *> t.scaling
    for c in range(k):
        log_norm = log2(m.params.weights[c]) - 0.5 * d * LOG2_2PI
        for j in range(d):
            log_norm += log2(m.factors[c * size + j * step])
            t.location[c * d + j] = <real> m.params.location[c * d + j]
        t.log_norm[c] = <real> log_norm
    for j in range(k * size):
        scale[j] = m.factors[j] * ROOT_OF_HALF_LOG2E
    if t.family.tied:
        tied_tables(m)
    elif t.family.squares:
        natural_tables(m)


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


cdef void tied_tables(Model *m) noexcept nogil:
    """What the tied kernel has in the place of means."""
    cdef Tile *t = &m.tile
    cdef Py_ssize_t c
    for c in range(t.k):
        t.log_norm[c] -= <real> square_of_offset(t, m.scaling, c, t.location + c * t.d)


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


cdef void natural_tables(Model *m) noexcept nogil:
    """What the kernel of natural parameters has in the place of means."""
    cdef Tile *t = &m.tile
    cdef Py_ssize_t c
    for c in range(t.k):
        t.log_norm[c] -= <real> square_of_scaled(t, m.scaling, c, t.location + c * t.terms)


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
