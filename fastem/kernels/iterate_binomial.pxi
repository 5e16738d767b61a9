# EM of one binomial mixture on few rows.

cdef void binomial_tables(Model *m) noexcept nogil:
    """As BinomialParams.tables."""
    cdef Py_ssize_t c, at
    cdef double *log_q = <double *> m.tile.scaling
    for c in range(m.tile.k):
        m.tile.log_norm[c] = <real> log2(m.params.weights[c])
    for at in range(m.tile.k * m.tile.d):
        m.tile.location[at] = <real> max(log2(m.params.location[at]), LOG_ZERO)
        log_q[at] = max(log1p(-m.params.location[at]) * LOG2E, LOG_ZERO)


cdef bint binomial_maximize(Model *m) noexcept nogil:
    """As BinomialStats.maximize."""
    cdef Py_ssize_t c, j, at, k = m.tile.k, d = m.tile.d
    cdef const double *successes = m.sums + k
    cdef const double *failures = m.sums + k + k * d
    cdef double nothing, prob
    maximize_weights(m)
    for j in range(d):
        nothing = 0.0
        for c in range(k):
            nothing += EMPTY * (successes[c * d + j] + failures[c * d + j])
        for c in range(k):
            at = c * d + j
            m.made.location[at] = m.params.location[at]
            if is_fixed(m, 1, c) or not successes[at] + failures[at] > nothing:
                continue
            prob = successes[at] / (successes[at] + failures[at])
            if successes[at] > nothing:
                prob = max(prob, SMALLEST_WEIGHT)
            if failures[at] > nothing:
                prob = min(prob, 1.0 - UNIT)
            m.made.location[at] = prob
    return True


cdef inline double inside(double prob) noexcept nogil:
    """0 and 1 have no logit."""
    return min(max(prob, UNIT), 1.0 - UNIT)


cdef void binomial_to_vector(Model *m, const Params *params, double *vector) noexcept nogil:
    """As BinomialParams.to_vector: log weights and logits."""
    cdef Py_ssize_t c, j, d = m.tile.d
    cdef double prob
    vector += weights_to_vector(m, params, vector)
    for c in range(m.tile.k):
        if not is_fixed(m, 1, c):
            for j in range(d):
                prob = inside(params.location[c * d + j])
                vector[j] = log(prob) - log1p(-prob)
            vector += d


cdef void binomial_gradient(Model *m, double *slopes) noexcept nogil:
    """As BinomialStats.gradient."""
    cdef Py_ssize_t c, j, at, k = m.tile.k, d = m.tile.d
    cdef const double *successes = m.sums + k
    cdef const double *failures = m.sums + k + k * d
    slopes += weight_slopes(m, slopes)
    for c in range(k):
        if not is_fixed(m, 1, c):
            for j in range(d):
                at = c * d + j
                slopes[j] = (successes[at] + failures[at]) * (m.made.location[at] - m.params.location[at])
            slopes += d


cdef int binomial_from_vector(Model *m, const double *vector) noexcept nogil:
    """As BinomialParams.from_vector."""
    cdef Py_ssize_t c, j, k = m.tile.k, d = m.tile.d
    vector += weights_from_vector(m, vector)
    memcpy(m.proposal.location, m.params.location, k * d * sizeof(double))
    for c in range(k):
        if not is_fixed(m, 1, c):
            for j in range(d):
                m.proposal.location[c * d + j] = 1.0 / (1.0 + exp(-min(max(vector[j], -700.0), 700.0)))
            vector += d
    return MADE if all_finite(m.proposal.weights, k + k * d) else NOT_FINITE


cdef double add_binomial_prior(Model *m) noexcept nogil:
    """As BinomialPrior.stats; the prior is concentration - 1, a constant of its log density, successes - 1 and
    failures - 1."""
    cdef Py_ssize_t at, k = m.tile.k, size = m.tile.k * m.tile.d
    cdef double found = 0.0, prob
    for at in range(size):
        prob = inside(m.params.location[at])
        found += m.prior[2] * log(prob) + m.prior[3] * log1p(-prob)
        m.sums[k + at] += m.prior[2]
        m.sums[k + size + at] += m.prior[3]
    return m.prior[1] + found + log_dirichlet(m, m.prior[0])


cdef Mixture BINOMIALS = Mixture(binomial_tables, no_factors, add_binomial_prior, binomial_maximize,
                                 binomial_to_vector, binomial_gradient, binomial_from_vector)


def iterate_binomial(const double[:, :] X,           # IN     (n, d)  successes
                     const double[:, :] trials,      # IN     (n, d)
                     const double[:] sample_weight,  # IN     (n,)
                     Py_ssize_t slot_rows,           # IN
                     double[::1] weights,            # IN/OUT (k,)
                     double[:, ::1] probs,           # IN/OUT (k, d)
                     double[::1] spread,             # IN     (0,)
                     double[:, ::1] others,          # OUT    (2, k + k d)  as for iterate_normal
                     const double[::1] added,        # IN     (0,)
                     const int8_t[:, ::1] fixed,     # IN     (2, k)  or (0, k)
                     int structure,                  # IN             0
                     const double[:, ::1] units,     # IN     (0, 0)
                     const double[::1] prior,        # IN     (4,)    or (0,)
                     double[:, ::1] sums,            # OUT    (2 + s, k + 2 k d + 2)
                     double[:, ::1] trace,           # OUT    (m, 3)  as for iterate_normal
                     double[:, :, ::1] memory,       # IN/OUT as for iterate_normal
                     double[::1] state):             # IN/OUT (24,)
    # -> iterations, m at the most
    return run_counts(&BINOMIAL, &BINOMIALS, X, trials, sample_weight, slot_rows, weights, probs, spread, others,
                      added, fixed, units, prior, sums, trace, memory, state)
