# The best split of each component of a Gaussian mixture: EM with two components on its own rows.

cdef extern from *:
    """
    #define AXIS_APART 0.5     /* as weights.APART */
    #define POWER_STEPS 30     /* of a power iteration for the longest axis, which need not be exact */
    #define NARROW 0.35        /* what a component's variances are multiplied by, and the share of its rows */
    #define BROAD 2.0
    #define NARROW_SHARE 0.6
    #define FAR_SHARE 0.02     /* a far row is one of this share, those farthest from the mean */
    #define NEAR_SHARE 0.1     /* and this share is what is near it */
    #define PADDING 1e-3       /* the share of variances that is added to those of halves, which may be of few rows */
    """
    const double AXIS_APART, NARROW, BROAD, NARROW_SHARE, FAR_SHARE, NEAR_SHARE, PADDING
    const Py_ssize_t POWER_STEPS

cdef enum:
    ALONG_AXIS               # halves along the longest axis
    BY_SCALE                 # a narrow and a broad one about the same place
    BY_TWO_ROWS              # what is nearer to either of two random rows (Verbeek, Vlassis and Krose 2003)
    BY_FAR_ROW               # what is near a far row, and the rest
    BEGINNINGS


cdef bint sides_of_two_rows(Component *g, const double *uniforms) noexcept nogil:
    cdef Py_ssize_t row, a = row_at(g, uniforms[0]), b = row_at(g, uniforms[1])
    for row in range(g.n):
        g.side[row] = distance(g, row, a) < distance(g, row, b)
    return enough_on_both(g)


cdef bint sides_of_far_row(Component *g, double uniform) noexcept nogil:
    """One of the rows that are farthest out, a share of FAR_SHARE, and the nearest NEAR_SHARE."""
    cdef Py_ssize_t row, far
    cdef double outside = 0.0, inside = 0.0
    for row in range(g.n):
        g.key[row] = -distance(g, row, -1)
    make_heap(g)
    far = pop_heap(g)
    while g.left and outside + g.weights[far] <= FAR_SHARE * uniform * g.total:
        outside += g.weights[far]
        far = pop_heap(g)
    for row in range(g.n):
        g.key[row] = distance(g, row, far)
        g.side[row] = 0
    make_heap(g)
    row = pop_heap(g)
    while g.left and inside + g.weights[row] <= max(g.d + 2.0, NEAR_SHARE * g.total):
        inside += g.weights[row]
        g.side[row] = 1
        row = pop_heap(g)
    return enough_on_both(g)


cdef bint enough_on_both(const Component *g) noexcept nogil:
    cdef Py_ssize_t row, count = 0
    for row in range(g.n):
        count += g.side[row]
    return min(count, g.n - count) > g.d


cdef void longest_axis(Component *g, const double *units) noexcept nogil:
    """direction: AXIS_APART standard deviations along the longest axis, in these units of the features.

    Of a diagonal matrix it is the feature that looks most like two, by its kurtosis.
    """
    cdef Py_ssize_t i, j, step, row, d = g.d, best = 0
    cdef double length, square = 0.0, fourth, least = INFINITY, z
    if d > 1 and is_diagonal(g):
        for j in range(d):
            fourth = square = 0.0
            for row in range(g.n):
                z = g.z[row * d + j]
                fourth += g.weights[row] * z * z * z * z
                square += g.weights[row] * z * z
            if square > 0.0 and fourth / (square * square) < least:
                least, best = fourth / (square * square), j
        memset(g.direction, 0, d * sizeof(double))
        g.direction[best] = 1.0 / g.factor[best * d + best]
    else:
        for j in range(d):
            g.direction[j] = units[j] * (1.0 + 0.01 * j / d)
        for step in range(POWER_STEPS if d > 1 else 0):
            for i in range(d):
                g.other[i] = 0.0
                for j in range(d):
                    g.other[i] += g.own[i * d + j] / (units[j] * units[j]) * g.direction[j]
            length = 0.0
            for i in range(d):
                length += g.other[i] * g.other[i] / (units[i] * units[i])
            for i in range(d):
                g.direction[i] = g.other[i] / sqrt(length)
    square = 0.0
    for i in range(d):
        z = 0.0
        for j in range(i + 1):
            z += g.factor[i * d + j] * g.direction[j]
        square += z * z
    for j in range(d):
        g.direction[j] *= AXIS_APART / sqrt(square)


cdef inline bint is_diagonal(const Component *g) noexcept nogil:
    cdef Py_ssize_t i, j
    for i in range(g.d):
        for j in range(i):
            if g.own[i * g.d + j] != 0.0:
                return False
    return True


cdef bint begin_split(Component *g, int how, const double *uniforms, const double *added, const double *units,
                      bint full, bint isotropic, double *weights, double *means, double *spread, Py_ssize_t size,
                      double *A) noexcept nogil:
    """Two components, each with `size` numbers of spread.  -> are there any to begin with?"""
    cdef Py_ssize_t i, j, c, d = g.d
    cdef double count
    if how == BY_TWO_ROWS or how == BY_FAR_ROW:
        if not (sides_of_two_rows(g, uniforms) if how == BY_TWO_ROWS else sides_of_far_row(g, uniforms[2])):
            return False
        for j in range(d):
            g.other[j] = added[j] + PADDING * g.covariance[j * d + j]
        for c in range(2):
            moments_of(g, g.side, c, g.other, means + c * d, A, &count)
            weights[c] = count / g.total
            shape_of(A, d, full, isotropic, spread + c * size)
        return True
    weights[0] = 0.5 if how == ALONG_AXIS else NARROW_SHARE
    weights[1] = 1.0 - weights[0]
    longest_axis(g, units)
    for c in range(2):
        memcpy(A, g.own, d * d * sizeof(double))
        for i in range(d):
            if how == ALONG_AXIS:
                means[c * d + i] = g.mean[i] + (g.direction[i] if c else -g.direction[i])
            else:
                means[c * d + i] = g.mean[i] + (1e-3 / g.factor[i * d + i] if c else 0.0)
            for j in range(d):
                if how == BY_SCALE:
                    A[i * d + j] *= BROAD if c else NARROW
                else:
                    A[i * d + j] -= g.direction[i] * g.direction[j]
        shape_of(A, d, full, isotropic, spread + c * size)
    return True


cdef double few_steps(Model *m, const double[:, :] X, const double[:] sample_weight, Py_ssize_t iterations,
                      double[:, ::1] sums) noexcept nogil:
    """EM on rows of one slot, until something happens that is not as in any other iteration; -> the log likelihood
    before the last M-step."""
    cdef Py_ssize_t step
    cdef double loglik = -INFINITY, found
    for step in range(iterations):
        m.of.make_tables(m)
        accumulate_slots(&m.tile, X, X, sample_weight, max(X.shape[0], 1), sums[2:])
        found = fold_slots(m, sums, 0.0)
        if found - found != 0.0 or not m.of.maximize(m):
            break
        loglik = found
        copy_params(m, &m.made, &m.params)
    return loglik


cdef double go_on(Model *m, const double[:, :] X, const double[:] sample_weight, Py_ssize_t iterations,
                  double[:, ::1] sums, Params *found, double best) noexcept nogil:
    """`found` <- where a pair gets to, if that is better; -> the best log likelihood."""
    cdef double loglik = few_steps(m, X, sample_weight, iterations, sums) if m.of.find_factors(m) else -INFINITY
    if loglik > best:
        copy_params(m, &m.params, found)
    return max(loglik, best)


def doubles(*shape):
    """An array of them, not initialised."""
    return view.array(shape, sizeof(double), "d")


def split_components(const double[:, ::1] X,           # IN     (n, d)
                     const double[:] sample_weight,    # IN     (n,)
                     const int32_t[::1] labels,        # IN     (n,)       the component of each row
                     const int32_t[::1] components,    # IN     (m,)       those that are split
                     const double[:, :, ::1] uniforms, # IN     (m, r, 3)  random numbers from 0 to 1, of r rounds
                     const double[::1] added,          # IN     (d,)       to variances
                     const double[::1] units,          # IN     (d,)       of the features, for lengths of axes
                     int structure,                    # IN                0 matrices, 1 variances, 2 isotropic
                     double least,                     # IN                rows without which none is split
                     Py_ssize_t trial,                 # IN                iterations of EM from each beginning
                     Py_ssize_t iterations,            # IN                with those of the best that goes on
                     double[:, ::1] rows,              # OUT    (s, d)     workspace: at most so many rows of each
                     double[::1] row_weights,          # OUT    (s,)
                     double[::1] gains,                # OUT    (m,)       of log likelihood; -inf: not split
                     double[:, ::1] weights,           # OUT    (m, 2)
                     double[:, :, ::1] means,          # OUT    (m, 2, d)
                     double[:, ::1] spread):           # OUT    (m, .)     two of the structure, one behind the other
    cdef Py_ssize_t d = X.shape[1], most = rows.shape[0], which, size = spread.shape[1] // 2, how, turn
    cdef bint full = structure == 0, isotropic = structure == 2
    cdef const Family *family = &NORMAL if d == 1 else &FULL if full else &DIAG
    cdef Py_ssize_t of_factors = 2 * d * (d if family.full else 1), length = 2 * (1 + d + (d * d if family.full else d))
    cdef const double[:, :] own_rows
    cdef const double[:] own_weights
    cdef Component g
    cdef Model m
    cdef Params found
    cdef double best, before
    cdef double *component = NULL
    cdef double *block = NULL
    cdef double *A = NULL
    cdef real *tile = NULL
    cdef double[::1] pair_weights = doubles(2), pair_spread = doubles(2 * size)
    cdef double[:, ::1] pair_means = doubles(2, d), sums = doubles(3, length + 2)
    cdef double[:, ::1] others = doubles(2, 2 + 2 * d + 2 * size), no_units = doubles(1, 1)
    cdef int8_t[:, ::1] fixed = view.array((1, 1), sizeof(int8_t), "b")
    try:
        component = new_component(&g, d, most, rows, row_weights)
        A = <double *> malloc(d * d * sizeof(double))
        block = new_model(&m, pair_weights, pair_means, pair_spread, others, added, fixed[:0], no_units[:0],
                          pair_weights[:0], of_factors, length + 2)
        if A == NULL:
            raise MemoryError(f"no memory for a matrix of {d} features")
        tile = new_tile(&m.tile, family, NULL, pair_means, m.scaling, length)
        m.of, m.isotropic = &GAUSSIAN, isotropic and d > 1
        with nogil:
            for which in range(components.shape[0]):
                gains[which] = -INFINITY
                gather_rows(&g, X, sample_weight, labels, components[which], most)
                if max(g.weight, <double> g.n) < least or not g.total > 0.0:
                    continue
                moments_of(&g, NULL, 0, &added[0], g.mean, g.covariance, &before)
                if not whiten_component(&g, full, isotropic):
                    continue
                own_rows, own_weights = rows[: g.n], row_weights[: g.n]
                before, best = loglik_of_one(&g), -INFINITY
                found.weights, found.location, found.spread = &weights[which, 0], &means[which, 0, 0], &spread[which, 0]
                for turn in range(2 + 2 * uniforms.shape[1]):
                    how = turn if turn < 2 else 2 + turn % 2
                    if begin_split(&g, how, &uniforms[which, max(0, turn - 2) // 2, 0], &added[0], &units[0], full,
                                   isotropic, &pair_weights[0], &pair_means[0, 0], &pair_spread[0], size, A):
                        best = go_on(&m, own_rows, own_weights, trial, sums, &found, best)
                if best > -INFINITY:
                    copy_params(&m, &found, &m.params)
                    best = go_on(&m, own_rows, own_weights, iterations - trial, sums, &found, best)
                gains[which] = (best - before) * (g.weight / g.total)
    finally:
        free(tile)
        free(block)
        free(A)
        free(component)
