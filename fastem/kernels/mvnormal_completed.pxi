# Multivariate normal, full covariance, values missing (NaN): rows completed by what is expected of them.
#
# With P = L^T L the precision and M the missing features of a row, its conditional mean is z_M = -P_MM^-1 P_MO z_O.  Of
# all rows with these values it is the nearest to the mean: |L z|^2 is then that of the observed values alone, and an
# error of z_M enters by its square.  So rows of any patterns fill a tile (see completion.pxi), and run through the tile
# code of complete ones, a component at a time.  What P_MM^-1 adds to second moments is added for a pattern at once.
# P_MM^-1 loses digits where features are told by others: the caller sees to it that they are not
# (families/gaussian/tables.py), or rows are swept pattern by pattern (mvnormal_full_missing.pxi).

# ----------------------------------------------------------------------------------------------------------- completing

cdef inline void take_component(Completion *g, Py_ssize_t c) noexcept nogil:
    """Make a mixture of component c, of which the columns are the residuals, completed.

    Those of a group of components are completed together: what decides where values are missing is then met once.
    """
    cdef Tile *t = &g.tile
    cdef Tile *one = &g.one
    cdef Py_ssize_t d = t.d, second = d * d * LANES if d <= LOW_MOMENTS else padded_rows(d) ** 2
    if c % g.group == 0 and g.first != c:
        complete_residuals(g, c, min(g.group, t.k - c))
    g.one = g.tile
    one.k = one.matrices = 1
    one.begin = 0
    one.x = one.residual = g.residual + (c - g.first) * g.step
    one.location, one.top = g.origin, t.total
    one.log_norm, one.scaling, one.density = t.log_norm + c, t.scaling + c * d * d, t.density + c * COLUMN
    one.counts, one.first, one.second = t.counts + c * LANES, t.first + c * d * LANES, t.second + c * second


cdef void complete_residuals(Completion *g, Py_ssize_t first, Py_ssize_t count) noexcept nogil:
    cdef Py_ssize_t c, i, s, begin = 0, end
    g.first = first
    for c in range(count):
        subtract_mean(g, c)
    for s in range(g.n_segments):
        end = g.end[s]
        if g.patterns.n_missing[g.pattern[s]] == 0:
            pass
        elif end - begin <= FEW_ROWS:
            for i in range(begin, end):
                for c in range(count):
                    complete_row(g, s, c, i)
        else:
            for i in range(begin // (2 * LANES), (end + 2 * LANES - 1) // (2 * LANES)):
                for c in range(count):
                    complete_vectors(g, s, c, begin, 2 * i)
        begin = end


cdef inline void subtract_mean(Completion *g, Py_ssize_t c) noexcept nogil:
    """x - mean, 0 where a value is missing."""
    cdef Py_ssize_t i, j, vectors = g.tile.vectors
    cdef const real *x = g.tile.x
    cdef const real *observed = g.observed
    cdef const real *mean = g.tile.location + (g.first + c) * g.tile.d
    cdef real *z = g.residual + c * g.step
    for j in range(g.tile.d):
        for i in range(vectors):
            store(z, i, load(x, i) - load(observed, i) * mean[j])
        x += COLUMN
        observed += COLUMN
        z += COLUMN


cdef inline void complete_vectors(Completion *g, Py_ssize_t s, Py_ssize_t c, Py_ssize_t begin,
                                  Py_ssize_t i) noexcept nogil:
    """z_M <- -P_MM^-1 P_MO z_O in those lanes of vectors i and i + 1 that belong to a segment.

    Missing residuals are 0 until then: rows of P are multiplied as they are.
    """
    cdef Py_ssize_t j, q, d = g.tile.d, m = g.patterns.n_missing[g.pattern[s]], end = g.end[s]
    cdef const int32_t *missing = g.missing + s * (d + 1)
    cdef const double *P = g.precision + (g.first + c) * d * g.stride
    cdef const double *V = inverse_of(g, s, c)
    cdef const double *row
    cdef const real *x
    cdef real *z = g.residual + c * g.step
    cdef real *linear = g.linear
    cdef vec y, y_, u, u_
    for q in range(m):
        row, x = P + missing[q] * g.stride, z
        y = y_ = u = u_ = broadcast(0.0)
        for j in range(0, d - 1, 2):
            y, y_ = y + row[j] * load(x, i), y_ + row[j] * load(x, i + 1)
            u, u_ = u + row[j + 1] * load(x + COLUMN, i), u_ + row[j + 1] * load(x + COLUMN, i + 1)
            x += 2 * COLUMN
        if d % 2:
            y, y_ = y + row[d - 1] * load(x, i), y_ + row[d - 1] * load(x, i + 1)
        keep_two(linear, 2 * q, y + u, y_ + u_)
    for q in range(m):
        y = y_ = broadcast(0.0)
        for j in range(m):
            y, y_ = y - V[j] * load(linear, 2 * j), y_ - V[j] * load(linear, 2 * j + 1)
        V += width_of(m)
        put_in_lanes(g, begin, end, i, y, z + missing[q] * COLUMN)
        put_in_lanes(g, begin, end, i + 1, y_, z + missing[q] * COLUMN)


cdef inline const double *inverse_of(const Completion *g, Py_ssize_t s, Py_ssize_t c) noexcept nogil:
    """P_MM^-1 of component c of the group, and of a segment."""
    cdef Py_ssize_t m = g.patterns.n_missing[g.pattern[s]]
    return g.tables + g.place[g.pattern[s]] + g.tile.k + (g.first + c) * m * width_of(m)


cdef inline void put_in_lanes(const Completion *g, Py_ssize_t begin, Py_ssize_t end, Py_ssize_t i, vec y,
                              real *z) noexcept nogil:
    """z <- y in the lanes of vector i from `begin` to before `end`."""
    if i * LANES >= begin and (i + 1) * LANES <= end:
        store(z, i, y)
    else:
        store(z, i, in_lanes(g, begin, end, i, y, load(z, i)))


cdef inline vec in_lanes(const Completion *g, Py_ssize_t begin, Py_ssize_t end, Py_ssize_t i, vec chosen,
                         vec other) noexcept nogil:
    """chosen in these lanes, else other."""
    cdef vec lane = load(g.lane, i)
    return where_less(lane, broadcast(begin), other, where_less(lane, broadcast(end), chosen, other))


cdef inline void complete_row(Completion *g, Py_ssize_t s, Py_ssize_t c, Py_ssize_t lane) noexcept nogil:
    """As complete_vectors, of a single row: lanes are features."""
    cdef Py_ssize_t i, j, q, d = g.tile.d, m = g.patterns.n_missing[g.pattern[s]]
    cdef const int32_t *missing = g.missing + s * (d + 1)
    cdef const double *P = g.precision + (g.first + c) * d * g.stride
    cdef const double *V = inverse_of(g, s, c)
    cdef real *z = g.residual + c * g.step + lane
    cdef real *row = g.linear + d
    cdef double expected
    cdef vec y
    for i in range(g.stride // LANES):
        store(row, i, load_strided(z + i * LANES * COLUMN, COLUMN))
    for q in range(m):
        y = broadcast(0.0)
        for i in range(g.stride // LANES):
            y = y + load(P + missing[q] * g.stride, i) * load(row, i)
        g.linear[q] = lane_sum(y)
    for q in range(m):
        expected = 0.0
        for j in range(m):
            expected -= V[j] * g.linear[j]
        z[missing[q] * COLUMN] = expected
        V += width_of(m)


cdef inline bint is_complete(const Completion *g) noexcept nogil:
    """Does no row of the tile lack a value?"""
    return g.n_segments == 1 and not g.patterns.n_missing[g.pattern[0]]


cdef inline void completed_densities(Completion *g) noexcept nogil:
    cdef Tile *t = &g.tile
    cdef Py_ssize_t c, i
    cdef vec log_density
    cdef real *density = t.density
    g.first = -1
    if is_complete(g):
        full_densities(t)
        return
    for c in range(t.k):
        take_component(g, c)
        full_densities(&g.one)
        lay_norms(g, c)
        for i in range(t.vectors):
            log_density = larger(load(density, i) + load(t.weighted, i), broadcast(FAR_OUT))
            store(density, i, log_density)
            store(t.top, i, larger(load(t.top, i), log_density) if c else log_density)
        density += COLUMN


cdef inline void lay_norms(Completion *g, Py_ssize_t c) noexcept nogil:
    """weighted <- what log_norm lacks without the missing values of each row."""
    cdef Py_ssize_t i, s, begin = 0
    cdef double norm
    for s in range(g.n_segments):
        norm = g.tables[g.place[g.pattern[s]] + c] if g.patterns.n_missing[g.pattern[s]] else 0.0
        for i in range(begin, g.end[s]):
            g.tile.weighted[i] = norm
        begin = g.end[s]


cdef inline void completed_moments(Completion *g) noexcept nogil:
    cdef Tile *t = &g.tile
    cdef Py_ssize_t c
    if is_complete(g):
        moments_of_vectors(t, t.vectors)
        return
    for c in range(t.k):
        take_component(g, c)
        add_covariances(g, c)
        moments_of_vectors(&g.one, t.vectors)


cdef inline void add_covariances(Completion *g, Py_ssize_t c) noexcept nogil:
    """expected += that of the missing values of each segment times the responsibilities of its rows."""
    cdef Tile *t = &g.tile
    cdef Py_ssize_t i, j, m, s, begin = 0, d = t.d
    cdef const int32_t *missing
    cdef const double *V
    cdef double *out = g.expected + c * d * d
    cdef double count
    for s in range(g.n_segments):
        m = g.patterns.n_missing[g.pattern[s]]
        if m:
            count = ROOT_OF_HALF_LOG2E ** 2 * count_of(g, c, begin, g.end[s])
            missing, V = g.missing + s * (d + 1), inverse_of(g, s, c - g.first)
            for i in range(m):
                for j in range(m):
                    out[missing[i] * d + missing[j]] += count * V[i * width_of(m) + j]
        begin = g.end[s]


cdef inline double count_of(const Completion *g, Py_ssize_t c, Py_ssize_t begin, Py_ssize_t end) noexcept nogil:
    """The sum of the responsibilities of component c for these lanes."""
    cdef const real *density = g.tile.density + c * COLUMN
    cdef const real *scale = g.tile.scale
    cdef Py_ssize_t i
    cdef double few = 0.0
    cdef vec found = broadcast(0.0)
    if end - begin <= FEW_ROWS:
        for i in range(begin, end):
            few += density[i] * scale[i]
        return few
    for i in range(begin // LANES, (end + LANES - 1) // LANES):
        found = found + in_lanes(g, begin, end, i, load(density, i) * load(scale, i), broadcast(0.0))
    return lane_sum(found)


# ---------------------------------------------------------------------------------------------------------- the kernels

cdef inline void sort_slot(Completion *g, const floating[:, :] X, Py_ssize_t row, Py_ssize_t rows) noexcept nogil:
    cdef Patterns *p = &g.patterns
    cdef Py_ssize_t i, known = p.n_known
    if order_by_pattern(p, X, row, rows):
        known = g.used = 0
    for i in range(known, p.n_known):
        g.place[i] = -1
    g.run = g.done = 0
    g.n_runs = p.n_runs - (p.n_missing[p.runs[p.n_runs - 1]] == p.d)


cdef void accumulate_completed(Completion *g, const floating[:, :] X, const double[:] sample_weight,
                               Py_ssize_t slot_rows, double[:, ::1] sums) noexcept nogil:
    cdef Tile *t = &g.tile
    cdef Py_ssize_t s, i, row, k = t.k, d = t.d
    cdef const int32_t *order
    cdef bint unit = all_unit(sample_weight)
    t.loglik = t.entropy = 0.0
    for s in range(sums.shape[0]):
        row, order = s * slot_rows, g.patterns.order
        sort_slot(g, X, row, min(X.shape[0] - row, slot_rows))
        memset(g.expected, 0, k * d * d * sizeof(double))
        while next_tile(g):
            gather_segments(g, X, row, order)
            load_weights_of(g, sample_weight, unit, row, order)
            completed_densities(g)
            normalise(t, t.vectors)
            completed_moments(g)
            order += g.rows
        close_slot(t, &sums[s, 0])
        for i in range(k * d * d):
            sums[s, k + k * d + i] += g.expected[i]


cdef void posterior_completed(Completion *g, const floating[:, :] X, Py_ssize_t slot_rows, double[:] log_prob,
                              double[:, :] resp, int32_t[:] labels) noexcept nogil:
    cdef Tile *t = &g.tile
    cdef Py_ssize_t i, row = 0, rows
    cdef const int32_t *order
    t.unit = False
    for i in range(TILE):
        t.weight[i] = 1.0
    while row < X.shape[0]:
        rows, order = min(X.shape[0] - row, slot_rows), g.patterns.order
        sort_slot(g, X, row, rows)
        while next_tile(g):
            gather_segments(g, X, row, order)
            completed_densities(g)
            put_posterior(t, row, g.rows, order, log_prob, resp, labels)
            order += g.rows
        while order < g.patterns.order + rows:  # the rows without any value
            weights_as_densities(t)
            g.rows = min(TILE, g.patterns.order + rows - order)
            put_posterior(t, row, g.rows, order, log_prob, resp, labels)
            order += g.rows
        row += slot_rows


cdef inline void weights_as_densities(Tile *t) noexcept nogil:
    """Of a whole tile: log_norm without what the features have of it."""
    cdef Py_ssize_t c, i, d = t.d
    cdef double found
    t.vectors = VECTORS
    for c in range(t.k):
        found = t.log_norm[c] + 0.5 * d * LOG2_2PI
        for i in range(d):
            found -= log2(t.scaling[(c * d + i) * d + i] / ROOT_OF_HALF_LOG2E)
        for i in range(t.vectors):
            put_density(t, c, i, broadcast(found))


def accumulate_mvnormal_completed(const floating[:, :] X,             # IN   (n, d)  NaN where a value is missing
                                  const double[:] sample_weight,      # IN   (n,)
                                  Py_ssize_t slot_rows,               # IN              rows of a slot
                                  const double[::1] log_norm,         # IN   (k,)       as for accumulate_mvnormal_full
                                  const double[:, ::1] means,         # IN   (k, d)
                                  const double[:, :, ::1] factor,     # IN   (k, d, d)
                                  const double[:, :, ::1] precision,  # IN   (k, d, p)  L^T L, rows raised by zeros
                                  double[:, ::1] sums):               # OUT  (s, k + k d + k d d + 2)
    # -> per slot: as accumulate_mvnormal_full, expected given the values that are observed
    cdef Completion g
    cdef real *block = new_completion(&g, min(X.shape[0], slot_rows), log_norm, means, factor, precision,
                                      sums.shape[1] - 2)
    with nogil:
        accumulate_completed(&g, X, sample_weight, slot_rows, sums)
        free_completion(&g, block)


def posterior_mvnormal_completed(const floating[:, :] X,              # IN   (n, d)  NaN where a value is missing
                                 const double[::1] log_norm,          # IN   (k,)    as for accumulate_mvnormal_full
                                 const double[:, ::1] means,          # IN   (k, d)
                                 const double[:, :, ::1] factor,      # IN   (k, d, d)
                                 const double[:, :, ::1] precision,   # IN   (k, d, p)
                                 double[:] log_prob,                  # OUT  (n,)    or (0,)
                                 double[:, :] resp,                   # OUT  (n, k)  or (0, k)
                                 int32_t[:] labels):                  # OUT  (n,)    or (0,)
    # -> log density of what is observed, responsibilities and most probable component of each row
    cdef Completion g
    cdef Marginals by_pattern
    cdef Py_ssize_t rows = min(X.shape[0], SORTED_ROWS)
    cdef real *block
    if means.shape[1] <= LOW_DENSITIES:  # patterns are few, and densities alone are then faster pattern by pattern
        block = new_marginals(&by_pattern, rows, log_norm, means, factor)
        with nogil:
            posterior_marginals(&by_pattern, X, rows, log_prob, resp, labels)
            free_marginals(&by_pattern, block)
        return
    block = new_completion(&g, rows, log_norm, means, factor, precision, 0)
    with nogil:
        posterior_completed(&g, X, rows, log_prob, resp, labels)
        free_completion(&g, block)
