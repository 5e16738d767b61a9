# The E-step of every family, and the loops over the rows of a slot.

cdef inline void normalise(Tile *t, Py_ssize_t vectors) noexcept nogil:
    """Log-sum-exp over the components, of the first vectors of a tile: responsibility = density * scale.

    With u = log density - top, e = 2^u and S = sum e:  log p = top + log S,  entropy = log S - sum e u / S.
    """
    cdef Py_ssize_t c, i, k = t.k
    cdef const real *weight = t.weight
    cdef real *density = t.density
    cdef vec top, u, e, total, slope, scale, loglik = broadcast(0.0), entropy = broadcast(0.0)
    for i in range(vectors):
        top = load(t.top, i)
        total = slope = broadcast(0.0)
        for c in range(k):
            u = larger(load(density + c * COLUMN, i) - top, broadcast(LOWEST))
            e = exp2_(u)
            store(density + c * COLUMN, i, e)
            total = total + e
            slope = slope + e * u
        scale = load(weight, i) / total
        store(t.total, i, total)
        store(t.scale, i, scale)
        loglik = loglik + load(weight, i) * top
        entropy = entropy - scale * slope
    total = log_totals(t, vectors)
    t.loglik += LN2 * lane_sum(loglik + total)
    t.entropy += LN2 * lane_sum(entropy + total)


cdef inline vec log_totals(const Tile *t, Py_ssize_t vectors) noexcept nogil:
    """sum of weight * log2(total).  With unit weights it is the log of a product: VECTORS factors in [1, k]."""
    cdef Py_ssize_t i
    cdef vec logs = broadcast(0.0), product = broadcast(1.0)
    if t.unit and t.k <= LARGEST_PRODUCT_K:
        for i in range(VECTORS):
            product = product * load(t.total, i)
        return log2_(product)
    for i in range(vectors):
        logs = logs + load(t.weight, i) * log2_(load(t.total, i))
    return logs


cdef inline vec responsibilities(Tile *t, Py_ssize_t c, Py_ssize_t vectors) noexcept nogil:
    """density -> weighted responsibility of component c, in place; adds up its count, and returns it by lane."""
    cdef Py_ssize_t i
    cdef vec r, counts = broadcast(0.0)
    for i in range(vectors):
        r = load(t.density + c * COLUMN, i) * load(t.scale, i)
        store(t.density + c * COLUMN, i, r)
        counts = counts + r
    add_to(t.counts, c, counts)
    return counts


cdef inline void fold_lanes(const double *lanes, Py_ssize_t n, double *out) noexcept nogil:
    cdef Py_ssize_t i
    for i in range(n):
        out[i] = fold(lanes + i * LANES)


cdef void fold_sums(const Tile *t, double *sums) noexcept nogil:
    """Add up the lanes of the counts and of all that lies behind them."""
    fold_lanes(t.counts, t.sums_length, sums)


cdef inline void close_slot(Tile *t, double *sums) noexcept nogil:
    """The sums of a slot -> its row of `sums`; begin the next at zero."""
    cdef Py_ssize_t i
    t.family.fold(t, sums)
    sums[t.sums_length] = t.loglik
    sums[t.sums_length + 1] = t.entropy
    t.loglik = t.entropy = 0.0
    for i in range(t.lanes_length):
        t.counts[i] = 0.0


cdef void accumulate_slots(Tile *t, const number[:, :] X, const number[:, :] trials,
                           const double[:] sample_weight, Py_ssize_t slot_rows, double[:, ::1] sums) noexcept nogil:
    cdef Py_ssize_t s, row, rows, end
    cdef bint unit = all_unit(sample_weight)
    t.loglik = t.entropy = 0.0
    for s in range(sums.shape[0]):
        row = s * slot_rows
        end = min(X.shape[0], row + slot_rows)
        while row < end:
            rows = min(TILE, end - row)
            load_columns(X, row, rows, TILE, t.origin, t.x)
            if t.trials != NULL:
                load_columns(trials, row, rows, TILE, t.origin, t.trials)
            load_weights(t, sample_weight, unit, row, rows)
            if t.observed != NULL:
                mark_observed(t)
                drop_rows_without_values(t)
            t.family.densities(t)
            normalise(t, VECTORS)
            t.family.moments(t)
            row += rows
        close_slot(t, &sums[s, 0])


cdef void posterior_rows(Tile *t, const number[:, :] X, const number[:, :] trials, double[:] log_prob,
                         double[:, :] resp, int32_t[:] labels) noexcept nogil:
    cdef Py_ssize_t i, row = 0, rows
    t.unit = False
    for i in range(TILE):
        t.weight[i] = 1.0
    while row < X.shape[0]:
        rows = min(TILE, X.shape[0] - row)
        t.vectors = (rows + 2 * LANES - 1) // (2 * LANES) * 2
        load_columns(X, row, rows, t.vectors * LANES, t.origin, t.x)
        if t.trials != NULL:
            load_columns(trials, row, rows, t.vectors * LANES, t.origin, t.trials)
        if t.observed != NULL:
            mark_observed(t)
        t.family.densities(t)
        put_posterior(t, row, rows, NULL, log_prob, resp, labels)
        row += rows


cdef inline void put_posterior(Tile *t, Py_ssize_t row, Py_ssize_t rows, const int32_t *order, double[:] log_prob,
                               double[:, :] resp, int32_t[:] labels) noexcept nogil:
    """What the caller wants to know of each point, by its densities; an output of length 0 is not wanted.

    Point i is row `row + i` or, where there is an order, `row + order[i]`.
    """
    cdef Py_ssize_t c, i
    if labels.shape[0]:
        put_labels(t, row, rows, order, labels)
    if not (log_prob.shape[0] or resp.shape[0]):
        return
    normalise(t, t.vectors)
    if log_prob.shape[0]:
        for i in range(t.vectors):
            store(t.total, i, LN2 * (load(t.top, i) + log2_(load(t.total, i))))
        for i in range(rows):
            log_prob[row + place_of(order, i)] = t.total[i]
    if resp.shape[0]:
        for i in range(rows):
            for c in range(t.k):
                resp[row + place_of(order, i), c] = t.density[c * COLUMN + i] * t.scale[i]


cdef inline void put_labels(Tile *t, Py_ssize_t row, Py_ssize_t rows, const int32_t *order,
                            int32_t[:] labels) noexcept nogil:
    """The component of the largest density, the first of equals; no exponential is needed."""
    cdef Py_ssize_t c, i
    cdef vec density, top, label
    for i in range(t.vectors):
        top, label = load(t.density, i), broadcast(0.0)
        for c in range(1, t.k):
            density = load(t.density + c * COLUMN, i)
            label = where_less(top, density, broadcast(c), label)
            top = larger(density, top)
        store(t.total, i, label)
    for i in range(rows):
        labels[row + place_of(order, i)] = <int32_t> t.total[i]


cdef inline Py_ssize_t place_of(const int32_t *order, Py_ssize_t i) noexcept nogil:
    return i if order == NULL else order[i]
