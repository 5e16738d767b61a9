# Binomial counts.

cdef void binomial_densities(Tile *t) noexcept nogil:
    """log2 (weight prod_j p_j^x_j q_j^(trials_j - x_j)), without the binomial coefficients."""
    cdef Py_ssize_t c, i, j
    cdef vec successes, failures, log_density
    for c in range(t.k):
        for i in range(VECTORS):
            log_density = broadcast(t.log_norm[c])
            for j in range(t.d):
                successes = load(t.x + j * COLUMN, i)
                failures = load(t.trials + j * COLUMN, i) - successes
                log_density = log_density + (successes * t.location[c * t.d + j] + failures * t.scaling[c * t.d + j])
            put_density(t, c, i, log_density)


cdef void binomial_moments(Tile *t) noexcept nogil:
    cdef Py_ssize_t c, i, j
    cdef vec r, x, successes, failures
    for c in range(t.k):
        responsibilities(t, c)
        for j in range(t.d):
            successes = failures = broadcast(0.0)
            for i in range(VECTORS):
                r = load(t.density + c * COLUMN, i)
                x = load(t.x + j * COLUMN, i)
                successes = successes + r * x
                failures = failures + r * (load(t.trials + j * COLUMN, i) - x)
            add_to(t.first, c * t.d + j, successes)
            add_to(t.second, c * t.d + j, failures)


cdef Family BINOMIAL = Family(binomial_densities, binomial_moments, fold_sums, centered=False, full=False,
                              has_trials=True)


def accumulate_binomial(const number[:, :] X,           # IN   (n, d)  successes
                        const number[:, :] trials,      # IN   (n, d)
                        const double[:] sample_weight,  # IN   (n,)
                        Py_ssize_t slot_rows,           # IN           rows of a slot
                        const double[::1] log_norm,     # IN   (k,)    log2 of weight
                        const double[:, ::1] log_p,     # IN   (k, d)  log2 of p, finite
                        const double[:, ::1] log_q,     # IN   (k, d)  log2 of 1 - p, finite
                        double[:, ::1] sums):           # OUT  (s, k + 2 k d + 2)
    # -> per slot: sum w r, sum w r x, sum w r (trials - x), sum w log p(x), -sum w sum_k r log r;
    #    log p(x) without the binomial coefficients
    cdef Tile t
    cdef real *block = new_tile(&t, &BINOMIAL, &log_norm[0], log_p, &log_q[0, 0], sums.shape[1] - 2)
    with nogil:
        accumulate_slots(&t, X, trials, sample_weight, slot_rows, sums)
    free(block)


def posterior_binomial(const number[:, :] X,            # IN   (n, d)  successes
                       const number[:, :] trials,       # IN   (n, d)
                       const double[::1] log_norm,      # IN   (k,)    tables as for accumulate_binomial
                       const double[:, ::1] log_p,      # IN   (k, d)
                       const double[:, ::1] log_q,      # IN   (k, d)
                       double[:] log_prob,              # OUT  (n,)    or (0,)
                       double[:, :] resp,               # OUT  (n, k)  or (0, k)
                       int32_t[:] labels):              # OUT  (n,)    or (0,)
    # -> log density without the binomial coefficients, responsibilities and most probable component of each row
    cdef Tile t
    cdef real *block = new_tile(&t, &BINOMIAL, &log_norm[0], log_p, &log_q[0, 0], 0)
    with nogil:
        posterior_rows(&t, X, trials, log_prob, resp, labels)
    free(block)
