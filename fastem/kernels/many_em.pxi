# A sweep of one group, whatever the family: it is functions, which are inlined into the fit of its groups.

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


cdef inline void no_fit(Group *g, double *loglik) noexcept nogil:
    loglik[0] = NAN
    forget(g)
