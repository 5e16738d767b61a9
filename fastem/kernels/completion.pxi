# Rows of a slot with values missing (NaN), as tiles of rows of any patterns: what completes them.
#
# Rows of a pattern lie one behind the other, a segment of a tile.  A pattern has, of each component, the inverse of
# P_MM, the part of the precision P that belongs to its missing features M: their covariance given all others, and by
# its determinant what they have of log_norm.

cdef struct Completion:
    Tile tile
    Tile one                 # the component at hand as a mixture of its own, of residuals about 0
    Patterns patterns
    const double *precision  # (k, d, stride)  L^T L, its rows raised by zeros to whole vectors
    Py_ssize_t stride
    Py_ssize_t n_runs        # of rows that have a value
    Py_ssize_t run           # from which the next tile begins, and how many of its rows have been in a tile
    Py_ssize_t done
    Py_ssize_t rows          # of the tile at hand
    Py_ssize_t n_segments    # rows of a pattern in the tile at hand, one behind the other
    int32_t *pattern         # (TILE,)      of each segment
    int32_t *end             # (TILE,)      the lane behind its last
    int32_t *missing         # (TILE, d + 1) the missing features of each segment
    Py_ssize_t *place        # (p,)         where the tables of a pattern are, -1 where they are not made
    Py_ssize_t room          # for tables
    Py_ssize_t used
    double *tables           # of a pattern: (k,) what log_norm lacks without what is missing, and (k, m, m) P_MM^-1,
                             #              rows raised likewise
    double *expected         # (k, d, d)    what missing values add to the second moments of a slot
    Py_ssize_t group         # how many components are completed together
    Py_ssize_t first         # of these
    Py_ssize_t step          # from the residuals of a component to those of the next
    real *residual           # (group, stride, TILE) x - mean, completed; zeros behind the last feature
    real *origin             # (d,)         zeros: the mean of residuals
    real *lane               # (TILE,)      0, 1, ...
    real *observed           # (d, TILE)    1, or 0 of what is missing
    real *linear             # (d, 2 LANES) P_MO z_O of two vectors


cdef real *new_completion(Completion *g, Py_ssize_t rows, const double[::1] log_norm, const double[:, ::1] means,
                          const double[:, :, ::1] factor, const double[:, :, ::1] precision,
                          Py_ssize_t sums_length) except NULL:
    """Memory for slots of so many rows; the caller frees it by `free_completion`."""
    cdef Py_ssize_t i, k = means.shape[0], d = means.shape[1], n_patterns = rows + KEPT_PATTERNS
    cdef Py_ssize_t linear = max(2 * d * LANES, d + precision.shape[2])
    cdef real *block = new_tile(&g.tile, &FULL, &log_norm[0], means, &factor[0, 0, 0], sums_length)
    g.precision, g.stride, g.used = &precision[0, 0, 0], precision.shape[2], 0
    g.room = max(KEPT_MARGINALS, k * (1 + d * width_of(d)))
    g.step = g.stride * COLUMN
    g.group = max(1, min(k, COMPLETED // g.step))
    g.place = <Py_ssize_t *> calloc(
        (n_patterns + g.room + k * d * d + d + TILE + linear + d * COLUMN + g.group * g.step) * sizeof(double)
        + (3 + d) * TILE * sizeof(int32_t) + 64, 1)
    if g.place == NULL:
        free(block)
        raise MemoryError(f"no memory to complete rows of {k} components in {d} dimensions")
    try:
        new_patterns(&g.patterns, rows, d)
    except MemoryError:
        free(block)
        free(g.place)
        raise
    g.tables = <double *> g.place + n_patterns
    g.expected = g.tables + g.room
    g.origin = <real *> (g.expected + k * d * d)
    g.lane = g.origin + d
    g.linear = g.lane + TILE
    g.observed = g.linear + linear
    g.residual = aligned(g.observed + d * COLUMN)
    g.pattern = <int32_t *> (g.residual + g.group * g.step)
    g.end = g.pattern + TILE
    g.missing = g.end + TILE
    for i in range(TILE):
        g.lane[i] = i
    return block


cdef void free_completion(Completion *g, real *block) noexcept nogil:
    free(g.patterns.masks)
    free(g.place)
    free(block)


# ------------------------------------------------------------------------------------------------- tables of a pattern

cdef inline void forget_tables(Completion *g) noexcept nogil:
    cdef Py_ssize_t i
    g.used = 0
    for i in range(g.patterns.n_known):
        g.place[i] = -1


cdef inline Py_ssize_t width_of(Py_ssize_t m) noexcept nogil:
    """Of a row of m numbers that is raised to whole vectors."""
    return (m + LANES - 1) // LANES * LANES


cdef inline Py_ssize_t length_of_tables(const Completion *g, int32_t pattern) noexcept nogil:
    cdef Py_ssize_t m = g.patterns.n_missing[pattern]
    return g.tile.k * (1 + m * width_of(m)) if m else 0


cdef inline void make_tables_of(Completion *g, Py_ssize_t segment) noexcept nogil:
    """Those of the pattern of a segment, for all components, unless they are known."""
    cdef int32_t pattern = g.pattern[segment]
    cdef Py_ssize_t c, k = g.tile.k, d = g.tile.d, m = g.patterns.n_missing[pattern]
    cdef const int32_t *missing = g.missing + segment * (d + 1)
    cdef double *norm
    cdef double *V
    if m == 0 or g.place[pattern] >= 0:
        return
    g.place[pattern] = g.used
    norm = g.tables + g.used
    V = norm + k
    g.used += length_of_tables(g, pattern)
    for c in range(k):
        norm[c] = m * (log2(ROOT_OF_HALF_LOG2E) + 0.5 * LOG2_2PI)
        norm[c] -= 0.5 * invert(g, g.precision + c * d * g.stride, missing, m, V)
        V += m * width_of(m)


cdef inline double invert(const Completion *g, const double *P, const int32_t *missing, Py_ssize_t m,
                          double *V) noexcept nogil:
    """V <- P_MM^-1 by Gauss-Jordan elimination, its rows raised by zeros.  -> log2 of the determinant of P_MM"""
    cdef Py_ssize_t i, j, p, width = width_of(m)
    cdef double pivot, found = 0.0, determinant = 1.0
    cdef vec none = broadcast(0.0)
    for i in range(m):
        for j in range(m):
            V[i * width + j] = P[missing[i] * g.stride + missing[j]]
        for j in range(m, width):
            V[i * width + j] = 0.0
    for p in range(m):
        pivot = V[p * width + p]
        determinant *= pivot
        if not 1e-150 < determinant < 1e150:
            found += log2(determinant)
            determinant = 1.0
        for j in range(width // LANES):
            store(g.linear, j, in_lanes(g, p, p + 1, j, broadcast(1.0), load(V + p * width, j)) * (1.0 / pivot))
        for i in range(m):
            pivot = V[i * width + p]
            for j in range(width // LANES):
                store(V + i * width, j, load(g.linear, j) if i == p else
                      in_lanes(g, p, p + 1, j, none, load(V + i * width, j)) - pivot * load(g.linear, j))
    return found + log2(determinant)


# ---------------------------------------------------------------------------------------------- rows of any pattern

cdef inline bint next_tile(Completion *g) noexcept nogil:
    """Take the rows that follow, and the tables of their patterns.  -> are there any?

    Tables decide how many rows that are as well, those that are known too: threads have met other slots before.
    """
    cdef const Patterns *p = &g.patterns
    cdef Py_ssize_t s, taken, length = 0
    g.n_segments = g.rows = 0
    while g.run < g.n_runs and g.rows < TILE:
        if g.n_segments and length + length_of_tables(g, p.runs[g.run]) > g.room:
            break
        length += length_of_tables(g, p.runs[g.run])
        taken = min(p.count[p.runs[g.run]] - g.done, TILE - g.rows)
        g.pattern[g.n_segments], g.end[g.n_segments] = p.runs[g.run], <int32_t> (g.rows + taken)
        g.rows += taken
        g.done += taken
        g.n_segments += 1
        if g.done == p.count[p.runs[g.run]]:
            g.run += 1
            g.done = 0
    if g.used + length > g.room:
        forget_tables(g)
    for s in range(g.n_segments):
        list_missing(p.masks + g.pattern[s] * p.words, p.d, g.missing + s * (p.d + 1))
        make_tables_of(g, s)
    return g.rows > 0


cdef inline void list_missing(const uint64_t *mask, Py_ssize_t d, int32_t *missing) noexcept nogil:
    """missing <- the numbers of the features that a mask has, ascending; the last place may hold anything."""
    cdef Py_ssize_t j, at = 0
    for j in range(d):
        missing[at] = <int32_t> j
        at += <Py_ssize_t> (mask[j >> 6] >> (j & 63) & 1)


cdef inline void gather_segments(Completion *g, const floating[:, :] X, Py_ssize_t row,
                                 const int32_t *order) noexcept nogil:
    """The tile's rows as its columns, filled up with the last of them; 0 where a value is missing."""
    cdef Tile *t = &g.tile
    cdef Py_ssize_t i, j, q, s, begin = 0, d = t.d, step = X.strides[1] // <Py_ssize_t> sizeof(floating)
    cdef const floating *x
    t.vectors = (g.rows + 2 * LANES - 1) // (2 * LANES) * 2
    for i in range(t.vectors * LANES):
        x = &X[row + order[min(i, g.rows - 1)], 0]
        for j in range(d):
            t.x[j * COLUMN + i] = x[j * step]
    g.end[g.n_segments - 1] = <int32_t> (t.vectors * LANES)
    for j in range(d):
        for i in range(t.vectors):
            store(g.observed + j * COLUMN, i, broadcast(1.0))
    for s in range(g.n_segments):
        for q in range(g.patterns.n_missing[g.pattern[s]]):
            j = g.missing[s * (d + 1) + q] * COLUMN
            for i in range(begin, g.end[s]):
                t.x[j + i] = g.observed[j + i] = 0.0
        begin = g.end[s]


cdef inline void load_weights_of(Completion *g, const double[:] sample_weight, bint unit, Py_ssize_t row,
                                 const int32_t *order) noexcept nogil:
    cdef Tile *t = &g.tile
    cdef Py_ssize_t i
    t.unit = unit and g.rows == TILE
    for i in range(g.rows):
        t.weight[i] = 1.0 if unit else sample_weight[row + order[i]]
    for i in range(g.rows, t.vectors * LANES):
        t.weight[i] = 0.0
