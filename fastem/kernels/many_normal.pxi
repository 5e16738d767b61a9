# Normal values: what is loaded, where a fit starts, the M-step.

cdef inline int load_values(Group *g, const floating[:, :] X, const double[:] sample_weight, Py_ssize_t begin,
                            Py_ssize_t end) noexcept nogil:
    """-> CONVERGED where nothing is wrong with the rows."""
    cdef Py_ssize_t row
    cdef double x, w, largest = 0.0
    g.n, g.total, g.base_measure = 0, 0.0, 0.0
    for row in range(begin, end):
        x, w = X[row, 0], sample_weight[row]
        if w == 0.0:
            continue
        if not fabs(x) <= LARGEST:
            return NOT_FINITE
        largest = max(largest, fabs(x))
        g.x[g.n] = x
        add_row(g, x, w, w)
    if g.total * largest * largest > LARGEST_SUM:
        return NOT_FINITE
    return enough(g)


cdef inline void start_normal(Group *g) noexcept nogil:
    """What has not been given, by blocks of the values; reg_covar is added to what is found."""
    cdef Py_ssize_t c
    cdef double variance, square = 0.0
    for c in range(g.k):
        fill(g.weights, c, 1.0 / g.k)
    if not (incomplete(g.location, g.k) or incomplete(g.variances, g.k)):
        return
    variance = blocks(g)
    spread(g, g.key[0], g.key[g.n - 1])
    for c in range(g.k):
        square += g.found[c] * g.found[c] / g.k
    variance = max(variance + g.reg_covar, smallest_variance(variance + square))
    for c in range(g.k):
        fill(g.location, c, g.found[c])
        fill(g.variances, c, variance)


cdef inline void blocks_of_values(Group *g) noexcept nogil:
    forget(g)
    start_normal(g)


cdef inline void parts_of_values(Group *g) noexcept nogil:
    cdef Py_ssize_t c
    cdef double mass, delta, square = g.variance + g.middle * g.middle
    for c in range(g.k):
        mass = part_mass(g, c)
        delta = part_moment(g, c) / mass
        g.weights[c], g.location[c] = mass / g.all_mass, g.middle + delta
        g.variances[c] = (part_square(g, c) - mass * delta * delta + g.fewest * g.variance) / (mass + g.fewest)
        g.variances[c] = max(g.variances[c] + g.reg_covar, smallest_variance(square))


cdef inline void spreads_of_values(Group *g) noexcept nogil:
    """One mean, a narrow component and a wide one: as many rows of both or, where tails are heavy, few of the wide."""
    cdef Py_ssize_t c
    cdef bint few = g.excess > HEAVY
    for c in range(g.k):
        g.location[c], g.weights[c] = g.middle, (FEW if c else 1.0 - FEW) if few else 0.5
        g.variances[c] = g.variance * ((FAR if c else NEAR) if few else (WIDE if c else NARROW)) + g.reg_covar
        g.variances[c] = max(g.variances[c], smallest_variance(g.variance + g.middle * g.middle))


cdef inline vec normal_part(const Group *g, vec mass, vec moment, vec square) noexcept nogil:
    """log2 of weight^mass times the density of the rows of a part, whose variance is drawn to that of all."""
    cdef vec variance = (square - moment * moment / mass + g.fewest * g.variance) / (mass + g.fewest)
    return mass * (log2_(mass) - 0.5 * log2_(larger(variance, broadcast(SMALLEST_VARIANCE))))


cdef inline double normal_precision(const Group *g, Py_ssize_t c) noexcept nogil:
    return 1.0 / g.variances[c]


cdef inline double own_variance(const Group *g) noexcept nogil:
    """Of the rows, about their first; 1 where they are constant."""
    cdef Py_ssize_t i
    cdef double mean = 0.0, square = 0.0, delta
    for i in range(g.n):
        mean += g.weight[i] * (g.x[i] - g.x[0]) / g.total
    for i in range(g.n):
        delta = g.x[i] - g.x[0] - mean
        square += g.weight[i] * delta * delta / g.total
    return square if sqrt(square) > RESOLUTION * fabs(g.x[0]) else 1.0


cdef inline double smallest_variance(double mean_square) noexcept nogil:
    """Below it a variance is rounding."""
    return max(RESOLUTION * RESOLUTION * mean_square, SMALLEST_VARIANCE)


cdef inline void normal_tables(Group *g) noexcept nogil:
    """As GaussianParams.tables: logarithms in base 2."""
    cdef Py_ssize_t c
    for c in range(g.k):
        g.log_norm[c] = log2(g.weights[c]) - 0.5 * (LOG2_2PI + log2(g.variances[c]))
        g.center[c] = g.location[c]
        g.scaling[c] = sqrt(0.5 * LOG2E / g.variances[c])


cdef inline vec normal_density(const Group *g, Py_ssize_t c, vec x, vec y) noexcept nogil:
    """log2 (weight N(x; mean, sd^2)) = log_norm - ((x - mean) scaling)^2"""
    cdef vec u = (x - g.center[c]) * g.scaling[c]
    return broadcast(g.log_norm[c]) - u * u


cdef inline void normal_sums(Group *g, Py_ssize_t c, vec r, vec x, vec y) noexcept nogil:
    """Adds w r (x - mean) and w r (x - mean)^2."""
    cdef vec z = x - g.center[c]
    store(g.first, c, load(g.first, c) + r * z)
    store(g.second, c, load(g.second, c) + r * (z * z))


cdef inline void maximize_normal(Group *g) noexcept nogil:
    """As GaussianStats.maximize: an empty component keeps its mean and variance."""
    cdef Py_ssize_t c
    cdef double delta, smallest, mean_square = 0.0
    maximize_weights(g)
    for c in range(g.k):
        if g.weights[c] > 0.0:
            delta = g.first[c] / g.counts[c]
            g.location[c] += delta
            g.variances[c] = g.second[c] / g.counts[c] - delta * delta
            mean_square += g.weights[c] * (g.variances[c] + g.location[c] * g.location[c])
    smallest = smallest_variance(mean_square)
    for c in range(g.k):
        if g.weights[c] > 0.0:
            g.variances[c] = max(g.variances[c] + g.reg_covar, smallest)


def fit_many_normal(const floating[:, :] X,         # IN     (n, 1)
                    const double[:] sample_weight,  # IN     (n,)
                    const int64_t[::1] offsets,     # IN     (m + 1,)  group g is rows offsets[g] : offsets[g + 1]
                    const int64_t[::1] edges,       # IN     (s + 1,)  share i is groups edges[i] : edges[i + 1]
                    double tol,                     # IN               of the mean log likelihood
                    Py_ssize_t max_iter,            # IN
                    int stopping,                   # IN               tol: 0 change of mean, 1 gain of total
                    bint accelerated,               # IN               by SQUAREM
                    bint searched,                  # IN               for the best start, where none is given
                    double reg_covar,               # IN               added to variances
                    double relative,                # IN               share of the group's variance that is added
                    double[:, ::1] weights,         # IN/OUT (m, k)    the start; NaN is found from the rows
                    double[:, ::1] means,           # IN/OUT (m, k)
                    double[:, ::1] variances,       # IN/OUT (m, k)
                    double[::1] loglik,             # OUT    (m,)
                    int32_t[::1] n_iter,            # OUT    (m,)      comes as 0
                    int8_t[::1] status):            # OUT    (m,)
    # -> the mixture of each group of these shares
    cdef Group g
    cdef Rules rules = Rules(tol, max_iter, stopping == 1, accelerated)
    cdef Py_ssize_t i
    cdef real *block = new_group(&g, weights.shape[1], offsets, edges)
    with nogil:
        for i in range(edges[0], edges[edges.shape[0] - 1]):
            g.weights, g.location, g.variances = &weights[i, 0], &means[i, 0], &variances[i, 0]
            status[i] = load_values(&g, X, sample_weight, offsets[i], offsets[i + 1])
            if status[i] == CONVERGED:
                g.reg_covar = reg_covar + (relative * own_variance(&g) if relative > 0.0 else 0.0)
                g.per_row, g.lowest, g.highest = 1.0, -INFINITY, INFINITY
                if searched and nothing_given(&g):
                    sort_rows(&g)
                    status[i] = search(&g, &rules, normal_tables, normal_density, normal_sums, maximize_normal,
                                       normal_precision, normal_part, parts_of_values, blocks_of_values,
                                       spreads_of_values, &loglik[i], &n_iter[i])
                    continue
                if incomplete(g.location, g.k) or incomplete(g.variances, g.k):
                    sort_rows(&g)
                start_normal(&g)
                status[i] = finish(&g, &rules, normal_tables, normal_density, normal_sums, maximize_normal,
                                   normal_precision, False, &loglik[i], &n_iter[i])
            else:
                no_fit(&g, &loglik[i])
    free(block)
