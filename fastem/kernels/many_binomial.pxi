# Binomial counts: what is loaded, where a fit starts, the M-step.

cdef inline int load_counts(Group *g, const number[:, :] X, const number[:, :] trials, const double[:] sample_weight,
                            const double *log_factorials, Py_ssize_t begin, Py_ssize_t end) noexcept nogil:
    """-> CONVERGED where nothing is wrong with the rows.  A start sorts rates that are never 0 or 1."""
    cdef Py_ssize_t row
    cdef double x, row_trials, w
    g.n, g.total, g.base_measure, g.per_row = 0, 0.0, 0.0, 0.0
    for row in range(begin, end):
        x, row_trials, w = <double> X[row, 0], <double> trials[row, 0], sample_weight[row]
        if w == 0.0:
            continue
        if not (fabs(x) < INFINITY and fabs(row_trials) < INFINITY):
            return NOT_FINITE
        if not (0.0 <= x <= row_trials <= LARGEST_COUNT and x == floor(x) and row_trials == floor(row_trials)):
            return NOT_COUNTS
        g.x[g.n], g.failures[g.n] = x, row_trials - x
        g.base_measure += w * (log_factorial(row_trials, log_factorials) - log_factorial(x, log_factorials)
                               - log_factorial(row_trials - x, log_factorials))
        add_row(g, (x + 0.5) / (row_trials + 1.0), w, w * row_trials)
        g.per_row += w * row_trials
    if g.total > 0.0:
        g.per_row /= g.total
    return enough(g)


cdef inline void binomial_tables(Group *g) noexcept nogil:
    """As BinomialParams.tables: logarithms in base 2."""
    cdef Py_ssize_t c
    for c in range(g.k):
        g.log_norm[c] = log2(g.weights[c])
        g.center[c] = max(log2(g.location[c]), LOG_ZERO)
        g.scaling[c] = max(log1p(-g.location[c]) * LOG2E, LOG_ZERO)


cdef inline vec binomial_density(const Group *g, Py_ssize_t c, vec x, vec y) noexcept nogil:
    """log2 (weight p^x q^y)"""
    return broadcast(g.log_norm[c]) + (x * g.center[c] + y * g.scaling[c])


cdef inline void binomial_sums(Group *g, Py_ssize_t c, vec r, vec x, vec y) noexcept nogil:
    """Adds w r x and w r (trials - x)."""
    store(g.first, c, load(g.first, c) + r * x)
    store(g.second, c, load(g.second, c) + r * y)


cdef inline void maximize_binomial(Group *g) noexcept nogil:
    """As BinomialStats.maximize: a component without trials keeps its prob; a failure seen leaves no prob of 1."""
    cdef Py_ssize_t c
    cdef double trials, nothing = 0.0, prob
    maximize_weights(g)
    for c in range(g.k):
        nothing += EMPTY * (g.first[c] + g.second[c])
    for c in range(g.k):
        trials = g.first[c] + g.second[c]
        if trials > nothing:
            prob = g.first[c] / trials
            g.location[c] = min(prob, 1.0 - SMALLEST_PROB) if g.second[c] > nothing else prob


cdef inline vec binomial_part(const Group *g, vec mass, vec moment, vec square) noexcept nogil:
    """log2 of weight^rows times the probability of a part, whose mass is its trials."""
    cdef vec successes = moment + g.middle * mass
    cdef vec failures = mass - successes
    return (successes * log2_(successes / mass) + failures * log2_(failures / mass)) \
        + mass * (broadcast(1.0 / g.per_row) * log2_(mass))


cdef inline double binomial_precision(const Group *g, Py_ssize_t c) noexcept nogil:
    return g.per_row / max(g.location[c] * (1.0 - g.location[c]), UNSEEN)


cdef inline void blocks_of_probs(Group *g) noexcept nogil:
    forget(g)
    start_rates(g, 1.0)


def fit_many_binomial(const number[:, :] X,              # IN     (n, 1)    successes
                      const number[:, :] trials,         # IN     (n, 1)
                      const double[:] sample_weight,     # IN     (n,)
                      const int64_t[::1] offsets,        # IN     (m + 1,)  as for fit_many_normal
                      const int64_t[::1] edges,          # IN     (s + 1,)
                      double tol,                        # IN
                      Py_ssize_t max_iter,               # IN
                      int stopping,                      # IN               tol: 0 change of mean, 1 gain of total
                      bint accelerated,                  # IN               by SQUAREM
                      bint searched,                     # IN               for the best start, where none is given
                      const double[::1] log_factorials,  # IN     (256,)    log n!
                      double[:, ::1] weights,            # IN/OUT (m, k)    the start; NaN is found from the rows
                      double[:, ::1] probs,              # IN/OUT (m, k)
                      double[::1] loglik,                # OUT    (m,)
                      int32_t[::1] n_iter,               # OUT    (m,)      comes as 0
                      int8_t[::1] status):               # OUT    (m,)
    # -> the mixture of each group of these shares
    cdef Group g
    cdef Rules rules = Rules(tol, max_iter, stopping == 1, accelerated)
    cdef Py_ssize_t i
    cdef real *block = new_group(&g, weights.shape[1], offsets, edges)
    with nogil:
        for i in range(edges[0], edges[edges.shape[0] - 1]):
            g.weights, g.location = &weights[i, 0], &probs[i, 0]
            status[i] = load_counts(&g, X, trials, sample_weight, &log_factorials[0], offsets[i], offsets[i + 1])
            if status[i] == CONVERGED:
                g.lowest, g.highest = 0.0, 1.0
                if searched and g.per_row > 0.0 and nothing_given(&g):
                    sort_rows(&g)
                    status[i] = search(&g, &rules, binomial_tables, binomial_density, binomial_sums, maximize_binomial,
                                       binomial_precision, binomial_part, parts_of_rates, blocks_of_probs, no_spreads,
                                       &loglik[i], &n_iter[i])
                    continue
                if incomplete(g.location, g.k):
                    sort_rows(&g)
                start_rates(&g, 1.0)
                status[i] = finish(&g, &rules, binomial_tables, binomial_density, binomial_sums, maximize_binomial,
                                   binomial_precision, False, &loglik[i], &n_iter[i])
            else:
                no_fit(&g, &loglik[i])
    free(block)
