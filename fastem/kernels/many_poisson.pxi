# Poisson counts: what is loaded, tables, sums, the M-step.

cdef inline int load_events(Group *g, const number[:, :] X, const double[:] sample_weight, const double *log_factorials,
                            Py_ssize_t begin, Py_ssize_t end) noexcept nogil:
    """-> CONVERGED where nothing is wrong with the rows.  A start sorts rates that are never 0."""
    cdef Py_ssize_t row
    cdef double x, w
    g.n, g.total, g.base_measure = 0, 0.0, 0.0
    for row in range(begin, end):
        x, w = <double> X[row, 0], sample_weight[row]
        if w == 0.0:
            continue
        if not fabs(x) < INFINITY:
            return NOT_FINITE
        if not (0.0 <= x <= LARGEST_COUNT and x == floor(x)):
            return NOT_COUNTS
        g.x[g.n], g.failures[g.n] = x, 0.0
        g.base_measure -= w * log_factorial(x, log_factorials)
        add_row(g, x + 0.5, w, w)
    return enough(g)


cdef inline void poisson_tables(Group *g) noexcept nogil:
    """As PoissonParams.tables: logarithms in base 2."""
    cdef Py_ssize_t c
    for c in range(g.k):
        g.log_norm[c] = log2(g.weights[c]) - g.location[c] * LOG2E
        g.center[c] = max(log2(g.location[c]), LOG_ZERO)


cdef inline vec poisson_density(const Group *g, Py_ssize_t c, vec x, vec y) noexcept nogil:
    """log2 (weight exp(-rate) rate^x)"""
    return broadcast(g.log_norm[c]) + x * g.center[c]


cdef inline void poisson_sums(Group *g, Py_ssize_t c, vec r, vec x, vec y) noexcept nogil:
    """Adds w r x."""
    store(g.first, c, load(g.first, c) + r * x)


cdef inline void maximize_poisson(Group *g) noexcept nogil:
    """As PoissonStats.maximize: an empty component keeps its rate."""
    cdef Py_ssize_t c
    maximize_weights(g)
    for c in range(g.k):
        if g.weights[c] > 0.0:
            g.location[c] = g.first[c] / g.counts[c]


cdef inline vec poisson_part(const Group *g, vec mass, vec moment, vec square) noexcept nogil:
    """log2 of weight^rows times the probability of a part, but for what all cuts have in common."""
    cdef vec events = moment + g.middle * mass
    return events * log2_(events / mass) + mass * log2_(mass)


cdef inline double poisson_precision(const Group *g, Py_ssize_t c) noexcept nogil:
    return 1.0 / max(g.location[c], UNSEEN)


cdef inline void blocks_of_events(Group *g) noexcept nogil:
    forget(g)
    start_rates(g, min(2.0 * g.key[0], LARGEST_COUNT))


def fit_many_poisson(const number[:, :] X,              # IN     (n, 1)    counts
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
                     double[:, ::1] rates,              # IN/OUT (m, k)
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
            g.weights, g.location = &weights[i, 0], &rates[i, 0]
            status[i] = load_events(&g, X, sample_weight, &log_factorials[0], offsets[i], offsets[i + 1])
            if status[i] == CONVERGED:
                g.per_row, g.lowest, g.highest = 1.0, 0.0, INFINITY
                if searched and nothing_given(&g):
                    sort_rows(&g)
                    status[i] = search(&g, &rules, poisson_tables, poisson_density, poisson_sums, maximize_poisson,
                                       poisson_precision, poisson_part, parts_of_rates, blocks_of_events, no_spreads,
                                       &loglik[i], &n_iter[i])
                    continue
                if incomplete(g.location, g.k):
                    sort_rows(&g)
                start_rates(&g, min(2.0 * g.key[0], LARGEST_COUNT))
                status[i] = finish(&g, &rules, poisson_tables, poisson_density, poisson_sums, maximize_poisson,
                                   poisson_precision, False, &loglik[i], &n_iter[i])
            else:
                no_fit(&g, &loglik[i])
    free(block)
