# Poisson counts, some missing (NaN): a count that a row lacks is left out of its density.

cdef void poisson_missing_densities(Tile *t) noexcept nogil:
    """Those of the counts that are observed: each adds its part of log_norm."""
    cdef Py_ssize_t c, i, j
    cdef vec log_density
    for c in range(t.k):
        for i in range(t.vectors):
            log_density = broadcast(t.log_norm[c])
            for j in range(t.d):
                log_density = log_density + load(t.x + j * COLUMN, i) * t.location[c * t.d + j]
                log_density = log_density + load(t.observed + j * COLUMN, i) * t.part[c * t.d + j]
            put_density(t, c, i, log_density)


cdef void poisson_missing_moments(Tile *t) noexcept nogil:
    """A missing count is expected to be the rate."""
    cdef Py_ssize_t c, i, j
    cdef vec r, events, seen, counts
    for c in range(t.k):
        counts = responsibilities(t, c, VECTORS)
        for j in range(t.d):
            events = seen = broadcast(0.0)
            for i in range(t.vectors):
                r = load(t.density + c * COLUMN, i)
                events = events + r * load(t.x + j * COLUMN, i)
                seen = seen + r * load(t.observed + j * COLUMN, i)
            add_to(t.first, c * t.d + j, events - (counts - seen) * (LN2 * t.part[c * t.d + j]))


cdef Family POISSON_MISSING = Family(poisson_missing_densities, poisson_missing_moments, fold_sums, centered=False,
                                     full=False, tied=False, squares=NO_SQUARES, has_trials=False, has_gaps=True)


cdef inline void part_log_rates(Tile *t) noexcept nogil:
    """Take out of log_norm the part of each rate, log2 of exp(-rate)."""
    cdef Py_ssize_t i
    for i in range(t.k * t.d):
        t.part[i] = -LOG2E * exp2(t.location[i])
        t.log_norm[i // t.d] -= t.part[i]


def accumulate_poisson_missing(const floating[:, :] X,         # IN   (n, d)  counts, NaN where one is missing
                               const double[:] sample_weight,  # IN   (n,)
                               Py_ssize_t slot_rows,           # IN           rows of a slot
                               const double[::1] log_norm,     # IN   (k,)    as for accumulate_poisson
                               const double[:, ::1] log_rates, # IN   (k, d)
                               double[:, ::1] sums):           # OUT  (s, k + k d + 2)
    # -> per slot: as accumulate_poisson, expected given the counts that are observed
    cdef Tile t
    cdef real *block = new_tile(&t, &POISSON_MISSING, &log_norm[0], log_rates, NULL, sums.shape[1] - 2)
    with nogil:
        part_log_rates(&t)
        accumulate_slots(&t, X, X, sample_weight, slot_rows, sums)
    free(block)


def posterior_poisson_missing(const floating[:, :] X,            # IN   (n, d)  counts, NaN where one is missing
                              const double[::1] log_norm,        # IN   (k,)    as for accumulate_poisson
                              const double[:, ::1] log_rates,    # IN   (k, d)
                              double[:] log_prob,                # OUT  (n,)    or (0,)
                              double[:, :] resp,                 # OUT  (n, k)  or (0, k)
                              int32_t[:] labels):                # OUT  (n,)    or (0,)
    # -> log density of what is observed, without the factorials, responsibilities and most probable component
    cdef Tile t
    cdef real *block = new_tile(&t, &POISSON_MISSING, &log_norm[0], log_rates, NULL, 0)
    with nogil:
        part_log_rates(&t)
        posterior_rows(&t, X, X, log_prob, resp, labels)
    free(block)
