# Multivariate normal, full covariance, values missing (NaN).
#
# Rows of a slot that have the same features are complete rows of a mixture in fewer dimensions (see marginals.pxi),
# whose tile code and sums are those of full covariances.  What their sums say of the missing features is added pattern
# by pattern.

# --------------------------------------------------------------------------------------------------- rows of a pattern

cdef inline void gather_columns(Marginals *g, const floating[:, :] X, Py_ssize_t row, Py_ssize_t begin,
                                Py_ssize_t rows) noexcept nogil:
    """What the rows order[begin : begin + rows] of a slot have, as columns of the tile, filled up with the first."""
    cdef Tile *t = &g.tile
    cdef const int32_t *order = g.patterns.order + begin
    cdef const floating *x
    cdef Py_ssize_t i, j, step = X.strides[1] // <Py_ssize_t> sizeof(floating)
    t.vectors = (rows + 2 * LANES - 1) // (2 * LANES) * 2
    for i in range(rows):
        x = &X[row + order[i], 0]
        for j in range(t.d):
            t.x[j * COLUMN + i] = x[g.observed[j] * step]
    for j in range(t.d):
        for i in range(rows, t.vectors * LANES):
            t.x[j * COLUMN + i] = t.x[j * COLUMN]


cdef inline void gather_weights(Marginals *g, const double[:] sample_weight, bint unit, Py_ssize_t row,
                                Py_ssize_t begin, Py_ssize_t rows) noexcept nogil:
    cdef Tile *t = &g.tile
    cdef Py_ssize_t i
    t.unit = unit and rows == TILE
    for i in range(rows):
        t.weight[i] = sample_weight[row + g.patterns.order[begin + i]]
    for i in range(rows, t.vectors * LANES):
        t.weight[i] = 0.0


cdef inline void marginal_densities(Tile *t) noexcept nogil:
    """Those of rows of any number of features: without any, the weights of the components."""
    cdef Py_ssize_t c, i
    if t.d:
        full_densities(t)
        return
    for c in range(t.k):
        for i in range(t.vectors):
            put_density(t, c, i, broadcast(t.log_norm[c]))


# ---------------------------------------------------------------------------------------------------------- the kernels

cdef void accumulate_marginals(Marginals *g, const floating[:, :] X, const double[:] sample_weight,
                               Py_ssize_t slot_rows, double[:, ::1] sums) noexcept nogil:
    cdef Tile *t = &g.tile
    cdef Py_ssize_t s, run, row, length = sums.shape[1]
    cdef bint unit = all_unit(sample_weight)
    for s in range(sums.shape[0]):
        row = s * slot_rows
        sort_rows(g, X, row, min(X.shape[0] - row, slot_rows))
        memset(&sums[s, 0], 0, length * sizeof(double))
        t.loglik = t.entropy = 0.0
        for run in range(g.patterns.n_runs):
            marginalise(g, g.patterns.runs[run])
            if g.n_observed:  # else the rows have weight 0
                accumulate_run(g, X, sample_weight, unit, row, g.patterns.runs[run])
                add_expected(g, &sums[s, 0])
        sums[s, length - 2] = t.loglik
        sums[s, length - 1] = t.entropy


cdef void accumulate_run(Marginals *g, const floating[:, :] X, const double[:] sample_weight, bint unit,
                         Py_ssize_t row, int32_t pattern) noexcept nogil:
    """reduced <- the sums of the rows of a run, as of complete rows of fewer features."""
    cdef Tile *t = &g.tile
    cdef Py_ssize_t begin = g.patterns.begin[pattern], end = begin + g.patterns.count[pattern], rows
    memset(t.counts, 0, t.lanes_length * sizeof(double))
    while begin < end:
        rows = min(TILE, end - begin)
        gather_columns(g, X, row, begin, rows)
        gather_weights(g, sample_weight, unit, row, begin, rows)
        full_densities(t)
        normalise(t, t.vectors)
        moments_of_vectors(t, t.vectors)
        begin += rows
    fold_full(t, g.reduced)


cdef void add_expected(Marginals *g, double *sums) noexcept nogil:
    """Add what the sums of a run say of all features; with z of the observed ones, the others are expected at B z."""
    cdef Py_ssize_t c, k = g.tile.k, d = g.d, e = g.n_observed, m = g.n_missing
    for c in range(k):
        sums[c] += g.reduced[c]
        add_expected_first(g, g.reduced + k + c * e, g.regression + c * m * e, sums + k + c * d)
        add_expected_second(g, g.reduced[c], g.reduced + k * (1 + e) + c * e * e, g.regression + c * m * e,
                            g.conditional + c * m * m, sums + k * (1 + d) + c * d * d)


cdef inline void add_expected_first(const Marginals *g, const double *first, const double *B,
                                    double *out) noexcept nogil:
    """first of the observed features, B first of the others."""
    cdef Py_ssize_t i, j, e = g.n_observed
    for j in range(e):
        out[g.observed[j]] += first[j]
    for i in range(g.n_missing):
        for j in range(e):
            out[g.observed[e + i]] += B[i * e + j] * first[j]


cdef inline void add_expected_second(Marginals *g, double count, const double *M, const double *B, const double *V,
                                     double *out) noexcept nogil:
    """M of the observed features, B M with the others, B M B^T + count V of these."""
    cdef Py_ssize_t i, j, p, d = g.d, e = g.n_observed, m = g.n_missing
    cdef const Py_ssize_t *missing = g.observed + e
    cdef double found
    for i in range(e):
        for j in range(e):
            out[g.observed[i] * d + g.observed[j]] += M[i * e + j]
    memset(g.cross, 0, m * e * sizeof(double))
    for i in range(m):
        for p in range(e):
            add_multiple(B[i * e + p], M + p * e, g.cross + i * e, e)
        for j in range(e):
            out[missing[i] * d + g.observed[j]] += g.cross[i * e + j]
            out[g.observed[j] * d + missing[i]] += g.cross[i * e + j]
    for i in range(m):
        for j in range(i + 1):
            found = count * V[i * m + j]
            for p in range(e):
                found += g.cross[i * e + p] * B[j * e + p]
            out[missing[i] * d + missing[j]] += found
            if j < i:
                out[missing[j] * d + missing[i]] += found


cdef void posterior_marginals(Marginals *g, const floating[:, :] X, Py_ssize_t slot_rows, double[:] log_prob,
                              double[:, :] resp, int32_t[:] labels) noexcept nogil:
    cdef Tile *t = &g.tile
    cdef Py_ssize_t i, run, row = 0, begin, end, rows
    cdef int32_t pattern
    t.unit = False
    for i in range(TILE):
        t.weight[i] = 1.0
    while row < X.shape[0]:
        sort_rows(g, X, row, min(X.shape[0] - row, slot_rows))
        for run in range(g.patterns.n_runs):
            pattern = g.patterns.runs[run]
            marginalise(g, pattern)
            begin = g.patterns.begin[pattern]
            end = begin + g.patterns.count[pattern]
            while begin < end:
                rows = min(TILE, end - begin)
                gather_columns(g, X, row, begin, rows)
                marginal_densities(t)
                put_posterior(t, row, rows, g.patterns.order + begin, log_prob, resp, labels)
                begin += rows
        row += slot_rows


def accumulate_mvnormal_full_missing(const floating[:, :] X,         # IN   (n, d)  NaN where a value is missing
                                     const double[:] sample_weight,  # IN   (n,)
                                     Py_ssize_t slot_rows,           # IN              rows of a slot
                                     const double[::1] log_norm,     # IN   (k,)       as for accumulate_mvnormal_full
                                     const double[:, ::1] means,     # IN   (k, d)
                                     const double[:, :, ::1] factor, # IN   (k, d, d)
                                     double[:, ::1] sums):           # OUT  (s, k + k d + k d d + 2)
    # -> per slot: as accumulate_mvnormal_full, expected given the values that are observed
    cdef Marginals g
    cdef real *block = new_marginals(&g, min(X.shape[0], slot_rows), log_norm, means, factor)
    with nogil:
        accumulate_marginals(&g, X, sample_weight, slot_rows, sums)
        free_marginals(&g, block)


def posterior_mvnormal_full_missing(const floating[:, :] X,          # IN   (n, d)  NaN where a value is missing
                                    const double[::1] log_norm,      # IN   (k,)    as for accumulate_mvnormal_full
                                    const double[:, ::1] means,      # IN   (k, d)
                                    const double[:, :, ::1] factor,  # IN   (k, d, d)
                                    double[:] log_prob,              # OUT  (n,)    or (0,)
                                    double[:, :] resp,               # OUT  (n, k)  or (0, k)
                                    int32_t[:] labels):              # OUT  (n,)    or (0,)
    # -> log density of what is observed, responsibilities and most probable component of each row
    cdef Marginals g
    cdef Py_ssize_t rows = min(X.shape[0], SORTED_ROWS)
    cdef real *block = new_marginals(&g, rows, log_norm, means, factor)
    with nogil:
        posterior_marginals(&g, X, rows, log_prob, resp, labels)
        free_marginals(&g, block)
