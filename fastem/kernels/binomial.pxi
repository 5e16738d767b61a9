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


cdef void binomial_tables(Model *m) noexcept nogil:
    """As BinomialParams.tables."""
    cdef Py_ssize_t c, at
    cdef double *log_q = <double *> m.tile.scaling
    for c in range(m.tile.k):
        m.tile.log_norm[c] = <real> log2(m.params.weights[c])
    for at in range(m.tile.k * m.tile.d):
        m.tile.location[at] = <real> max(log2(m.params.location[at]), LOG_ZERO)
        log_q[at] = max(log1p(-m.params.location[at]) * LOG2E, LOG_ZERO)


cdef bint binomial_maximize(Model *m, const double *sums) noexcept nogil:
    """As BinomialStats.maximize, where every component has trials in every column."""
    cdef Py_ssize_t c, j, at, k = m.tile.k, d = m.tile.d
    cdef const double *successes = sums + k
    cdef const double *failures = sums + k + k * d
    cdef double nothing, prob
    if not maximize_weights(m, sums):
        return False
    for j in range(d):
        nothing = 0.0
        for c in range(k):
            nothing += EMPTY * (successes[c * d + j] + failures[c * d + j])
        for c in range(k):
            at = c * d + j
            m.reached.location[at] = m.params.location[at]
            if is_fixed(m, 1, c):
                continue
            if not successes[at] + failures[at] > nothing:
                return False
            prob = successes[at] / (successes[at] + failures[at])
            if successes[at] > nothing:
                prob = max(prob, SMALLEST_WEIGHT)
            if failures[at] > nothing:
                prob = min(prob, 1.0 - UNIT)
            m.reached.location[at] = prob
    return True


def iterate_binomial(const number[:, :] X,           # IN     (n, d)  successes
                     const number[:, :] trials,      # IN     (n, d)
                     const double[:] sample_weight,  # IN     (n,)
                     Py_ssize_t slot_rows,           # IN
                     double[::1] weights,            # IN/OUT (k,)
                     double[:, ::1] probs,           # IN/OUT (k, d)
                     double[::1] spread,             # IN     (0,)
                     double[::1] last,               # OUT    (k + k d,)  weights and probs of the last iteration
                     const double[::1] added,        # IN     (0,)
                     const int8_t[:, ::1] fixed,     # IN     (2, k)  or (0, k)
                     int structure,                  # IN             0
                     double[:, ::1] sums,            # OUT    (2 + s, k + 2 k d + 2)
                     double[:, ::1] trace,           # OUT    (m, 2)  as for iterate_normal
                     double[::1] rule):              # IN/OUT (10,)
    # -> iterations, m at the most
    return run_counts(&BINOMIAL, binomial_tables, binomial_maximize, X, trials, sample_weight, slot_rows, weights,
                      probs, spread, last, added, fixed, sums, trace, rule)
