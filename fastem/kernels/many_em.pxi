# EM on one group, whatever the family: it is four functions, which are inlined into the fit of its groups.

ctypedef void (*Update)(Group *) noexcept nogil                         # tables of the parameters; the M-step
ctypedef vec (*LogDensity)(const Group *, Py_ssize_t, vec, vec) noexcept nogil  # log2 (weight * density), c, x, y
ctypedef void (*Moments)(Group *, Py_ssize_t, vec, vec, vec) noexcept nogil     # adds those of c with these r, x, y


cdef inline double sweep(Group *g, Update make_tables, LogDensity log_density, Moments moments) noexcept nogil:
    """counts, first and second at the parameters; -> log likelihood without the base measure."""
    cdef Py_ssize_t c, i, k = g.k
    cdef vec loglik = broadcast(0.0), top, total, e, u, x, y, w, scale, r
    make_tables(g)
    for i in range(3 * k * LANES):  # one behind the other
        g.counts[i] = 0.0
    for i in range(padded(g.n) // LANES):
        x, y, w = load(g.x, i), load(g.failures, i), load(g.weight, i)
        top = broadcast(FAR_OUT)
        for c in range(k):
            u = larger(log_density(g, c, x, y), broadcast(FAR_OUT))
            store(g.density, c, u)
            top = larger(u, top)
        total = broadcast(0.0)
        for c in range(k):
            e = exp2_(larger(load(g.density, c) - top, broadcast(LOWEST)))
            store(g.density, c, e)
            total = total + e
        loglik = loglik + w * (top + log2_(total))
        scale = w / total
        for c in range(k):
            r = load(g.density, c) * scale
            store(g.counts, c, load(g.counts, c) + r)
            moments(g, c, r, x, y)
    for c in range(k):
        g.counts[c], g.first[c], g.second[c] = (
            fold(g.counts + c * LANES), fold(g.first + c * LANES), fold(g.second + c * LANES))
    return max(LN2 * lane_sum(loglik), LOWEST_LOGLIK)


cdef inline void maximize_weights(Group *g) noexcept nogil:
    """As Stats.mixing_weights: 0 for an empty component."""
    cdef Py_ssize_t c
    cdef double total = 0.0
    for c in range(g.k):
        total += g.counts[c]
    for c in range(g.k):
        g.weights[c] = g.counts[c] / total if g.counts[c] > EMPTY * total else 0.0


cdef inline int em(Group *g, Update make_tables, LogDensity log_density, Moments moments, Update maximize, double tol,
                   Py_ssize_t max_iter, double *loglik, int32_t *n_iter) noexcept nogil:
    """As fitting/driver.em; the last sweep is at the parameters it leaves.  -> CONVERGED or MAX_ITER"""
    cdef double previous, criterion = -INFINITY, distance = INFINITY
    while not distance < tol and n_iter[0] < max_iter:
        previous, criterion = criterion, sweep(g, make_tables, log_density, moments) / g.total
        maximize(g)
        n_iter[0] += 1
        distance = fabs(criterion - previous)
    loglik[0] = max(sweep(g, make_tables, log_density, moments) + g.base_measure, LOWEST_LOGLIK)
    return CONVERGED if distance < tol else MAX_ITER


cdef inline void no_fit(Group *g, double *loglik) noexcept nogil:
    cdef Py_ssize_t c
    loglik[0] = NAN
    for c in range(g.k):
        g.weights[c] = g.location[c] = NAN
        if g.variances != NULL:
            g.variances[c] = NAN
