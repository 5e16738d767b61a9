# What a normal mixture is for rows of a pattern of missing values: a mixture in fewer dimensions, and what it expects.
#
# With L^T L the precision, and the rows of L rotated so that it is lower triangular when the missing features come
# last,  L = (A 0; G H):  A^T A is the precision of what is observed, -H^-1 G z the conditional mean of the rest,
# H^-1 H^-T its covariance.  Rotations lose no digits, and what they take grows with what is missing.
#
# A component may be uniform, as a background is: its L is then diagonal, of the densities of its features, times -1.

cdef struct Marginals:       # of the mixture: what the rows at hand have of its features
    Tile tile                # of the features that are observed
    Patterns patterns
    Py_ssize_t d             # all features
    Py_ssize_t n_observed
    Py_ssize_t n_missing
    const double *log_norm   # (k,)       tables of all features
    const double *means      # (k, d)
    const double *factor     # (k, d, d)
    Py_ssize_t *observed     # (d,)       numbers of the features, ascending; of the missing ones behind them
    Py_ssize_t n_kept        # patterns whose tables are kept
    Py_ssize_t stride        # from the tables of a pattern to those of the next
    double *tables           # (n_kept + 1, stride)  the last of the pattern at hand, if it is not kept
    char *made               # (n_kept,)  whether they are known
    double *marginal         # (k, e, e)  of the pattern at hand: A, where e features are observed and m missing
    double *regression       # (k, m, e)  -H^-1 G
    double *conditional      # (k, m, m)  H^-1 H^-T, a covariance
    double *norm             # (k,)       log_norm of what is observed
    double *rotated          # (d, d)     L of the component at hand
    double *cross            # (m, e)
    double *reduced          # sums of a run, as of complete rows of e features


cdef real *new_marginals(Marginals *g, Py_ssize_t rows, const double[::1] log_norm, const double[:, ::1] means,
                         const double[:, :, ::1] factor) except NULL:
    """Memory for slots of so many rows; the caller frees it by `free_marginals`."""
    cdef Py_ssize_t k = means.shape[0], d = means.shape[1], sums = k * (1 + d + d * d)
    cdef Py_ssize_t lanes = max(lanes_of(k, d), lanes_of(k, min(d, LOW_MOMENTS)))
    cdef real *block = new_tile(&g.tile, &FULL, &log_norm[0], means, &factor[0, 0, 0], 0)
    g.tile.matrices = k  # also of a covariance that they share: what is expected depends on the component
    g.d, g.log_norm, g.means, g.factor = d, &log_norm[0], &means[0, 0], &factor[0, 0, 0]
    g.stride = k * (d * d + 1)
    g.n_kept = min(KEPT_PATTERNS, KEPT_MARGINALS // g.stride)
    g.observed = <Py_ssize_t *> malloc(
        (d + (1 + g.n_kept) * (1 + g.stride) + 2 * d * d + sums + lanes) * sizeof(double) + 64)
    if g.observed == NULL:
        free(block)
        raise MemoryError(f"no memory for the marginals of {k} components in {d} dimensions")
    try:
        new_patterns(&g.patterns, rows, d)
    except MemoryError:
        free(block)
        free(g.observed)
        raise
    g.tables = <double *> g.observed + d
    g.rotated = g.tables + (1 + g.n_kept) * g.stride
    g.cross = g.rotated + d * d
    g.reduced = g.cross + d * d
    g.made = <char *> (g.reduced + sums)
    g.tile.counts = <double *> aligned(<real *> (g.reduced + sums + 1 + g.n_kept))
    return block


cdef inline Py_ssize_t lanes_of(Py_ssize_t k, Py_ssize_t e) noexcept nogil:
    """Elements of the sums of e features, by lane."""
    if e <= LOW_MOMENTS:
        return k * (1 + e + e * e) * LANES
    return k * (1 + e) * LANES + k * padded_rows(e) ** 2


cdef void free_marginals(Marginals *g, real *block) noexcept nogil:
    free(g.patterns.masks)
    free(g.observed)
    free(block)


# ------------------------------------------------------------------------------------------------ tables of a pattern

cdef void sort_rows(Marginals *g, const floating[:, :] X, Py_ssize_t row, Py_ssize_t rows) noexcept nogil:
    """Order the rows of a slot; forget tables with their patterns."""
    if order_by_pattern(&g.patterns, X, row, rows):
        memset(g.made, 0, g.n_kept)


cdef void marginalise(Marginals *g, int32_t pattern) noexcept nogil:
    """The tables of the tile, for rows of a pattern, and what is expected of the features that they lack."""
    cdef Tile *t = &g.tile
    cdef Py_ssize_t c, j, k = t.k, d = g.d, e, kept = min(<Py_ssize_t> pattern, g.n_kept)
    split_features(g, g.patterns.masks + pattern * g.patterns.words)
    e = t.d = g.n_observed
    g.marginal = g.tables + kept * g.stride
    g.regression = g.marginal + k * e * e
    g.conditional = g.regression + k * (d - e) * e
    g.norm = g.marginal + k * d * d
    if kept == g.n_kept or not g.made[kept]:
        make_tables(g)
        g.made[kept] = 1
    t.scaling = g.marginal
    for c in range(k):
        t.log_norm[c] = g.norm[c]
        for j in range(e):
            t.location[c * e + j] = g.means[c * d + g.observed[j]]
    t.sums_length, t.lanes_length = k * (1 + e + e * e), lanes_of(k, e)
    t.first = t.counts + k * LANES
    t.second = t.first + k * e * LANES


cdef void make_tables(Marginals *g) noexcept nogil:
    """Of the pattern at hand, for all components."""
    cdef Py_ssize_t c, e = g.n_observed, m = g.n_missing
    for c in range(g.tile.k):
        if g.factor[c * g.d * g.d] < 0:
            make_uniform(g, c)
            continue
        move_missing_last(g, g.factor + c * g.d * g.d)
        take_marginal(g, g.marginal + c * e * e)
        take_conditional(g, g.regression + c * m * e, g.conditional + c * m * m)
        g.norm[c] = g.log_norm[c] - log_norm_of_missing(g)


cdef inline void make_uniform(Marginals *g, Py_ssize_t c) noexcept nogil:
    """Those of a uniform component: there is no distance from its mean, and no moment of it is read."""
    cdef Py_ssize_t q, e = g.n_observed, m = g.n_missing
    memset(g.marginal + c * e * e, 0, e * e * sizeof(double))
    memset(g.regression + c * m * e, 0, m * e * sizeof(double))
    memset(g.conditional + c * m * m, 0, m * m * sizeof(double))
    g.norm[c] = g.log_norm[c]
    for q in range(e, g.d):
        g.norm[c] -= log2(-g.factor[c * g.d * g.d + g.observed[q] * (g.d + 1)])


cdef inline void split_features(Marginals *g, const uint64_t *mask) noexcept nogil:
    cdef Py_ssize_t j
    g.n_observed = g.n_missing = 0
    for j in range(g.d):
        if not mask[j >> 6] >> (j & 63) & 1:
            g.observed[g.n_observed] = j
            g.n_observed += 1
    for j in range(g.d):
        if mask[j >> 6] >> (j & 63) & 1:
            g.observed[g.n_observed + g.n_missing] = j
            g.n_missing += 1


cdef inline void move_missing_last(Marginals *g, const double *factor) noexcept nogil:
    """The rows of L, so that it is lower triangular when the missing features come last.

    The last of them first: its column is moved to the end, which leaves an entry above the diagonal in each row from
    its own on; a rotation with the next row takes each away.
    """
    cdef Py_ssize_t q, i, feature, d = g.d
    memcpy(g.rotated, factor, d * d * sizeof(double))
    for q in range(g.n_missing - 1, -1, -1):
        feature = g.observed[g.n_observed + q]
        for i in range(feature, g.n_observed + q):
            rotate_rows(g.rotated + i * d, g.rotated + (i + 1) * d, feature, d)


cdef inline void rotate_rows(double *a, double *b, Py_ssize_t at, Py_ssize_t d) noexcept nogil:
    """Rotate two rows so that the first has 0 at this place."""
    cdef Py_ssize_t j
    cdef double radius = sqrt(a[at] * a[at] + b[at] * b[at]), cosine = b[at] / radius, sine = a[at] / radius, upper
    for j in range(d):
        upper = a[j]
        a[j] = cosine * upper - sine * b[j]
        b[j] = sine * upper + cosine * b[j]
    a[at], b[at] = 0.0, radius


cdef inline void take_marginal(const Marginals *g, double *marginal) noexcept nogil:
    """A, of the features that are observed; zeros above its diagonal."""
    cdef Py_ssize_t i, j, e = g.n_observed
    for i in range(e):
        for j in range(e):
            marginal[i * e + j] = g.rotated[i * g.d + g.observed[j]] if j <= i else 0.0


cdef inline void take_conditional(const Marginals *g, double *regression, double *conditional) noexcept nogil:
    """-H^-1 G, and H^-1 H^-T in units of squares of X, row by row of H."""
    cdef Py_ssize_t i, j, p, e = g.n_observed, m = g.n_missing
    cdef const Py_ssize_t *missing = g.observed + e
    cdef const double *row
    cdef double *inverse = g.cross  # H^-1 until H^-1 H^-T is known
    for i in range(m):
        row = g.rotated + (e + i) * g.d
        for j in range(e):
            regression[i * e + j] = -row[g.observed[j]] / row[missing[i]]
        for j in range(i):
            inverse[i * m + j] = 0.0
        inverse[i * m + i] = 1.0 / row[missing[i]]
        for p in range(i):
            add_multiple(-row[missing[p]] / row[missing[i]], regression + p * e, regression + i * e, e)
            add_multiple(-row[missing[p]] / row[missing[i]], inverse + p * m, inverse + i * m, p + 1)
    for i in range(m):
        for j in range(i + 1):
            conditional[i * m + j] = 0.0
            for p in range(j + 1):
                conditional[i * m + j] += ROOT_OF_HALF_LOG2E ** 2 * inverse[i * m + p] * inverse[j * m + p]
            conditional[j * m + i] = conditional[i * m + j]


cdef inline double log_norm_of_missing(const Marginals *g) noexcept nogil:
    """What the missing features have of log_norm: log2 of sqrt(det(H^T H) / (2 pi)^m), H in units of 1 / X."""
    cdef Py_ssize_t q
    cdef double found = 0.0
    for q in range(g.n_missing):
        found += log2(fabs(g.rotated[(g.n_observed + q) * g.d + g.observed[g.n_observed + q]]) / ROOT_OF_HALF_LOG2E)
    return found - 0.5 * g.n_missing * LOG2_2PI
