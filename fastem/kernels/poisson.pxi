# Poisson counts.

cdef void poisson_densities(Tile *t) noexcept nogil:
    """log2 (weight prod_j exp(-rate_j) rate_j^x_j), without the factorials."""
    cdef Py_ssize_t c, i, j
    cdef vec log_density
    for c in range(t.k):
        for i in range(VECTORS):
            log_density = broadcast(t.log_norm[c])
            for j in range(t.d):
                log_density = log_density + load(t.x + j * COLUMN, i) * t.location[c * t.d + j]
            put_density(t, c, i, log_density)


cdef void poisson_moments(Tile *t) noexcept nogil:
    cdef Py_ssize_t c, i, j
    cdef vec events
    for c in range(t.k):
        responsibilities(t, c, VECTORS)
        for j in range(t.d):
            events = broadcast(0.0)
            for i in range(VECTORS):
                events = events + load(t.density + c * COLUMN, i) * load(t.x + j * COLUMN, i)
            add_to(t.first, c * t.d + j, events)


cdef Family POISSON = Family(poisson_densities, poisson_moments, fold_sums, centered=False, full=False,
                             tied=False, squares=NO_SQUARES, has_trials=False, has_gaps=False)


def accumulate_poisson(const number[:, :] X,           # IN   (n, d)  counts
                       const double[:] sample_weight,  # IN   (n,)
                       Py_ssize_t slot_rows,           # IN           rows of a slot
                       const double[::1] log_norm,     # IN   (k,)    log2 of weight prod_j exp(-rate_j)
                       const double[:, ::1] log_rates, # IN   (k, d)  log2 of rates, finite
                       double[:, ::1] sums):           # OUT  (s, k + k d + 2)
    # -> per slot: sum w r, sum w r x, sum w log p(x), -sum w sum_k r log r; log p(x) without the factorials
    cdef Tile t
    cdef real *block = new_tile(&t, &POISSON, &log_norm[0], log_rates, NULL, sums.shape[1] - 2)
    with nogil:
        accumulate_slots(&t, X, X, sample_weight, slot_rows, sums)
    free(block)


def posterior_poisson(const number[:, :] X,            # IN   (n, d)  counts
                      const double[::1] log_norm,      # IN   (k,)    tables as for accumulate_poisson
                      const double[:, ::1] log_rates,  # IN   (k, d)
                      double[:] log_prob,              # OUT  (n,)    or (0,)
                      double[:, :] resp,               # OUT  (n, k)  or (0, k)
                      int32_t[:] labels):              # OUT  (n,)    or (0,)
    # -> log density without the factorials, responsibilities and most probable component of each row
    cdef Tile t
    cdef real *block = new_tile(&t, &POISSON, &log_norm[0], log_rates, NULL, 0)
    with nogil:
        posterior_rows(&t, X, X, log_prob, resp, labels)
    free(block)
