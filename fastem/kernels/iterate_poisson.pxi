# EM of one Poisson mixture on few rows.

cdef void poisson_tables(Model *m) noexcept nogil:
    """As PoissonParams.tables."""
    cdef Py_ssize_t c, j, d = m.tile.d
    cdef double expected
    for c in range(m.tile.k):
        expected = 0.0
        for j in range(d):
            expected += m.params.location[c * d + j]
            m.tile.location[c * d + j] = <real> max(log2(m.params.location[c * d + j]), LOG_ZERO)
        m.tile.log_norm[c] = <real> (log2(m.params.weights[c]) - expected * LOG2E)


cdef bint poisson_maximize(Model *m) noexcept nogil:
    """As PoissonStats.maximize."""
    cdef Py_ssize_t c, j, at, k = m.tile.k, d = m.tile.d
    cdef const double *events = m.sums + k
    cdef double nothing
    maximize_weights(m)
    for j in range(d):
        nothing = 0.0
        for c in range(k):
            nothing += EMPTY * events[c * d + j]
        for c in range(k):
            at = c * d + j
            m.made.location[at] = m.params.location[at]
            if not is_kept(m, 1, m.location_counts, c):
                m.made.location[at] = events[at] / m.location_counts[c]
                if events[at] > nothing:
                    m.made.location[at] = max(m.made.location[at], SMALLEST_WEIGHT)
    return True


cdef void poisson_to_vector(Model *m, const Params *params, double *vector) noexcept nogil:
    """As PoissonParams.to_vector: log weights and log rates."""
    cdef Py_ssize_t c, j, d = m.tile.d
    vector += weights_to_vector(m, params, vector)
    for c in range(m.tile.k):
        if not is_fixed(m, 1, c):
            for j in range(d):
                vector[j] = log(max(params.location[c * d + j], SMALLEST_WEIGHT))
            vector += d


cdef void poisson_gradient(Model *m, double *slopes) noexcept nogil:
    """As PoissonStats.gradient."""
    cdef Py_ssize_t c, j, at, d = m.tile.d
    slopes += weight_slopes(m, slopes)
    for c in range(m.tile.k):
        if not is_fixed(m, 1, c):
            for j in range(d):
                at = c * d + j
                slopes[j] = m.location_counts[c] * (m.made.location[at] - m.params.location[at])
            slopes += d


cdef int poisson_from_vector(Model *m, const double *vector) noexcept nogil:
    """As PoissonParams.from_vector."""
    cdef Py_ssize_t c, j, k = m.tile.k, d = m.tile.d
    vector += weights_from_vector(m, vector)
    memcpy(m.proposal.location, m.params.location, k * d * sizeof(double))
    for c in range(k):
        if not is_fixed(m, 1, c):
            for j in range(d):
                m.proposal.location[c * d + j] = exp(min(max(vector[j], log(SMALLEST_WEIGHT)), log(LARGEST_COUNT)))
            vector += d
    return MADE if all_finite(m.proposal.weights, k + k * d) else NOT_FINITE


cdef double add_poisson_prior(Model *m) noexcept nogil:
    """As PoissonPrior.stats; the prior is concentration - 1, a constant of its log density, shape - 1 and rate."""
    cdef Py_ssize_t c, j, at, k = m.tile.k, d = m.tile.d
    cdef double found = 0.0
    for c in range(k):
        m.location_counts[c] += m.prior[3]
        for j in range(d):
            at = c * d + j
            m.sums[k + at] += m.prior[2]
            found += m.prior[2] * log(max(m.params.location[at], SMALLEST_WEIGHT))
            found -= m.prior[3] * m.params.location[at]
    return m.prior[1] + found + log_dirichlet(m, m.prior[0])


cdef Mixture POISSONS = Mixture(poisson_tables, no_factors, add_poisson_prior, poisson_maximize, poisson_to_vector,
                                poisson_gradient, poisson_from_vector)


def iterate_poisson(const double[:, :] X,           # IN     (n, d)  counts
                    const double[:] sample_weight,  # IN     (n,)
                    Py_ssize_t slot_rows,           # IN
                    double[::1] weights,            # IN/OUT (k,)
                    double[:, ::1] rates,           # IN/OUT (k, d)
                    double[::1] spread,             # IN     (0,)
                    double[:, ::1] others,          # OUT    (2, k + k d)  as for iterate_normal
                    const double[::1] added,        # IN     (0,)
                    const int8_t[:, ::1] fixed,     # IN     (2, k)  or (0, k)
                    int structure,                  # IN             0
                    const double[:, ::1] units,     # IN     (0, 0)
                    const double[::1] prior,        # IN     (4,)    or (0,)
                    double[:, ::1] sums,            # OUT    (2 + s, k + k d + 2)
                    double[:, ::1] trace,           # OUT    (m, 3)  as for iterate_normal
                    double[:, :, ::1] memory,       # IN/OUT as for iterate_normal
                    double[::1] state):             # IN/OUT (24,)
    # -> iterations, m at the most
    return run_counts(&POISSON, &POISSONS, X, X, sample_weight, slot_rows, weights, rates, spread, others, added,
                      fixed, units, prior, sums, trace, memory, state)
