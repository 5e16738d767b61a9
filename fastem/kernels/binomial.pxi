# Binomial counts.

cdef void binomial_densities(Tile *t) noexcept nogil:
    """log2 (weight prod_j p_j^x_j q_j^(trials_j - x_j)), without the binomial coefficients, for four vectors of rows.

    From here on t.trials are the failures.
    """
    cdef Py_ssize_t c, i, j, d = t.d
    cdef const real *x
    cdef const real *failures
    cdef real log_p, log_q
    cdef vec y0, y1, y2, y3, z0, z1, z2, z3
    for j in range(d):
        for i in range(t.vectors):
            store(t.trials + j * COLUMN, i, load(t.trials + j * COLUMN, i) - load(t.x + j * COLUMN, i))
    for i in range(0, t.vectors, 4):
        for c in range(t.k):
            x, failures = t.x, t.trials
            y0 = y1 = y2 = y3 = broadcast(t.log_norm[c])
            z0 = z1 = z2 = z3 = broadcast(0.0)
            for j in range(c * d, c * d + d):
                log_p, log_q = t.location[j], t.scaling[j]
                y0, z0 = y0 + log_p * load(x, i), z0 + log_q * load(failures, i)
                y1, z1 = y1 + log_p * load(x, i + 1), z1 + log_q * load(failures, i + 1)
                y2, z2 = y2 + log_p * load(x, i + 2), z2 + log_q * load(failures, i + 2)
                y3, z3 = y3 + log_p * load(x, i + 3), z3 + log_q * load(failures, i + 3)
                x += COLUMN
                failures += COLUMN
            put_density(t, c, i, y0 + z0)
            put_density(t, c, i + 1, y1 + z1)
            put_density(t, c, i + 2, y2 + z2)
            put_density(t, c, i + 3, y3 + z3)


cdef void binomial_moments(Tile *t) noexcept nogil:
    cdef Py_ssize_t c, i, j
    cdef const real *x
    cdef const real *failures
    cdef const real *r
    cdef vec y0, y1, y2, y3, z0, z1, z2, z3
    for c in range(t.k):
        responsibilities(t, c, VECTORS)
    for j in range(t.d):
        x, failures = t.x + j * COLUMN, t.trials + j * COLUMN
        for c in range(t.k):
            r = t.density + c * COLUMN
            y0 = y1 = y2 = y3 = z0 = z1 = z2 = z3 = broadcast(0.0)
            for i in range(0, VECTORS, 4):
                y0, z0 = y0 + load(r, i) * load(x, i), z0 + load(r, i) * load(failures, i)
                y1, z1 = y1 + load(r, i + 1) * load(x, i + 1), z1 + load(r, i + 1) * load(failures, i + 1)
                y2, z2 = y2 + load(r, i + 2) * load(x, i + 2), z2 + load(r, i + 2) * load(failures, i + 2)
                y3, z3 = y3 + load(r, i + 3) * load(x, i + 3), z3 + load(r, i + 3) * load(failures, i + 3)
            add_to(t.first, c * t.d + j, (y0 + y1) + (y2 + y3))
            add_to(t.second, c * t.d + j, (z0 + z1) + (z2 + z3))


cdef Family BINOMIAL = Family(binomial_densities, binomial_moments, fold_sums, centered=False, full=False,
                              tied=False, squares=NO_SQUARES, has_trials=True, has_gaps=False)


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
