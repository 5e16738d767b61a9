# EM on one group; `binomial` is a constant where a function is inlined: binomial counts, else normal values.

cdef inline void make_tables(Group *g, bint binomial) noexcept nogil:
    """As the families' `tables`: logarithms in base 2."""
    cdef Py_ssize_t c
    for c in range(g.k):
        g.log_norm[c] = log2(g.weights[c])
        if binomial:
            g.center[c] = max(log2(g.location[c]), LOG_ZERO)
            g.scaling[c] = max(log1p(-g.location[c]) * LOG2E, LOG_ZERO)
        else:
            g.log_norm[c] -= 0.5 * (LOG2_2PI + log2(g.variances[c]))
            g.center[c] = g.location[c]
            g.scaling[c] = sqrt(0.5 * LOG2E / g.variances[c])


cdef inline double sweep(Group *g, bint binomial) noexcept nogil:
    """counts, first and second at the parameters; -> log likelihood without the base measure."""
    cdef Py_ssize_t c, i, k = g.k
    cdef vec loglik = broadcast(0.0), top, total, e, x, y = broadcast(0.0), w
    make_tables(g, binomial)
    for i in range(3 * k * LANES):  # one behind the other
        g.counts[i] = 0.0
    for i in range(padded(g.n) // LANES):
        x, w = load(g.x, i), load(g.weight, i)
        if binomial:
            y = load(g.failures, i)
        top = log_densities(g, x, y, binomial)
        total = broadcast(0.0)
        for c in range(k):
            e = exp2_(larger(load(g.density, c) - top, broadcast(LOWEST)))
            store(g.density, c, e)
            total = total + e
        loglik = loglik + w * (top + log2_(total))
        add_moments(g, x, y, w / total, binomial)
    for c in range(k):
        g.counts[c], g.first[c], g.second[c] = (
            fold(g.counts + c * LANES), fold(g.first + c * LANES), fold(g.second + c * LANES))
    return max(LN2 * lane_sum(loglik), LOWEST_LOGLIK)


cdef inline vec log_densities(Group *g, vec x, vec y, bint binomial) noexcept nogil:
    """log2 (weight N(x; mean, sd^2)) = log_norm - ((x - mean) scaling)^2, or log2 (weight p^x q^y); -> the largest."""
    cdef Py_ssize_t c
    cdef vec u, top = broadcast(FAR_OUT)
    for c in range(g.k):
        if binomial:
            u = broadcast(g.log_norm[c]) + (x * g.center[c] + y * g.scaling[c])
        else:
            u = (x - g.center[c]) * g.scaling[c]
            u = broadcast(g.log_norm[c]) - u * u
        u = larger(u, broadcast(FAR_OUT))
        store(g.density, c, u)
        top = larger(u, top)
    return top


cdef inline void add_moments(Group *g, vec x, vec y, vec scale, bint binomial) noexcept nogil:
    cdef Py_ssize_t c
    cdef vec r, z
    for c in range(g.k):
        r = load(g.density, c) * scale
        z = x if binomial else x - g.center[c]
        store(g.counts, c, load(g.counts, c) + r)
        store(g.first, c, load(g.first, c) + r * z)
        store(g.second, c, load(g.second, c) + r * (y if binomial else z * z))


cdef inline void maximize_weights(Group *g) noexcept nogil:
    """As Stats.mixing_weights: 0 for an empty component."""
    cdef Py_ssize_t c
    cdef double total = 0.0
    for c in range(g.k):
        total += g.counts[c]
    for c in range(g.k):
        g.weights[c] = g.counts[c] / total if g.counts[c] > EMPTY * total else 0.0


cdef inline int em(Group *g, bint binomial, double tol, Py_ssize_t max_iter, double *loglik,
                   int32_t *n_iter) noexcept nogil:
    """As fit.em; the last sweep is at the parameters it leaves.  -> CONVERGED or MAX_ITER"""
    cdef double previous, criterion = -INFINITY, distance = INFINITY
    while not distance < tol and n_iter[0] < max_iter:
        previous, criterion = criterion, sweep(g, binomial) / g.total
        if binomial:
            maximize_binomial(g)
        else:
            maximize_normal(g)
        n_iter[0] += 1
        distance = fabs(criterion - previous)
    loglik[0] = max(sweep(g, binomial) + g.base_measure, LOWEST_LOGLIK)
    return CONVERGED if distance < tol else MAX_ITER


cdef inline void no_fit(Group *g, bint binomial, double *loglik) noexcept nogil:
    cdef Py_ssize_t c
    loglik[0] = NAN
    for c in range(g.k):
        g.weights[c] = g.location[c] = NAN
        if not binomial:
            g.variances[c] = NAN
