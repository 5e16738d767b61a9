# The M-step of one Gaussian mixture on few rows, as GaussianStats has it, and the factors of its parameters.

cdef bint gaussian_maximize(Model *m) noexcept nogil:
    """As GaussianStats.maximize, where no pivot of a matrix is at its floor."""
    cdef Py_ssize_t c, j, k = m.tile.k, d = m.tile.d
    cdef const double *first = m.sums + k
    maximize_weights(m)
    for c in range(k):
        for j in range(d):
            m.delta[c * d + j] = 0.0 if is_kept(m, 1, m.location_counts, c) else first[c * d + j] / m.location_counts[c]
            m.made.location[c * d + j] = m.params.location[c * d + j] + m.delta[c * d + j]
    for j in range(d):
        m.floors[j] = shared_floor(m, j) if m.shared and m.tile.family.full else variance_floor(m, j)
    return maximize_matrices(m) if m.tile.family.full else maximize_variances(m)


cdef inline double scatter(const Model *m, Py_ssize_t c, Py_ssize_t i, Py_ssize_t j) noexcept nogil:
    """second / counts - delta delta^T; of a prior there are other counts behind delta."""
    cdef Py_ssize_t k = m.tile.k, d = m.tile.d, at = (c * d + i) * d + j if m.tile.family.full else c * d + j
    cdef double moved = m.delta[c * d + i]
    if not m.spread_counts[c] > m.least:
        return 0.0
    if m.prior != NULL:
        moved *= m.location_counts[c] / m.spread_counts[c]
    return m.sums[k + k * d + at] / m.spread_counts[c] - moved * m.delta[c * d + j]


cdef inline double gone_from(const Model *m, Py_ssize_t c, Py_ssize_t j) noexcept nogil:
    """How far a mean is, after the M-step, from what its moments were taken about."""
    if m.tile.family.tied or m.tile.family.squares:
        return m.made.location[c * m.tile.d + j] - m.middle[j]
    return m.delta[c * m.tile.d + j]


cdef inline double variance_floor(const Model *m, Py_ssize_t j) noexcept nogil:
    """The variance of feature j that is rounding: as rounding_variances, and what delta^2 has been taken from."""
    cdef Py_ssize_t c, k = m.tile.k, d = m.tile.d
    cdef double square = 0.0, total = 0.0, mean, lost = 0.0, share
    for c in range(k):
        total += m.spread_counts[c]
    for c in range(k):
        share, mean = m.spread_counts[c] / total, m.made.location[c * d + j]
        square += share * (scatter(m, c, j, j) + mean * mean)
        lost += share * RESOLUTION * m.delta[c * d + j] * m.delta[c * d + j]
    square = max(RESOLUTION * RESOLUTION * square, SMALLEST_VARIANCE)
    return max(square, lost) if m.shared else square


cdef bint maximize_variances(Model *m) noexcept nogil:
    """Variances (k, d) or, isotropic, (k,): scatter + added."""
    cdef Py_ssize_t c, j, k = m.tile.k, d = m.tile.d
    cdef double variance, floor, mean, highest, taken
    if m.shared:
        return maximize_shared_variance(m)
    for c in range(k):
        if is_kept(m, 2, m.spread_counts, c):
            memcpy(m.made.spread + (c if m.isotropic else c * d), m.params.spread + (c if m.isotropic else c * d),
                   (1 if m.isotropic else d) * sizeof(double))
            continue
        mean = highest = 0.0
        for j in range(d):
            variance = scatter(m, c, j, j) + m.added[j]
            taken = gone_from(m, c, j)
            floor = max(m.floors[j], RESOLUTION * taken * taken)
            mean, highest = mean + variance / d, max(highest, floor)
            if not m.isotropic:
                if not variance >= floor:
                    return False
                m.made.spread[c * d + j] = variance
                m.factors[c * d + j] = 1.0 / sqrt(variance)
        if m.isotropic:
            if not mean >= highest:
                return False
            m.made.spread[c] = mean
            for j in range(d):
                m.factors[c * d + j] = 1.0 / sqrt(mean)
    return True


cdef bint maximize_shared_variance(Model *m) noexcept nogil:
    """One variance of one feature, for all components."""
    cdef Py_ssize_t c, k = m.tile.k
    cdef double total = 0.0, variance = m.added[0]
    if m.fixed != NULL and m.fixed[2 * k]:
        m.made.spread[0] = m.params.spread[0]
        return True
    for c in range(k):
        total += m.spread_counts[c]
    for c in range(k):
        variance += m.spread_counts[c] / total * scatter(m, c, 0, 0)
    m.made.spread[0] = variance
    for c in range(k):
        m.factors[c] = 1.0 / sqrt(variance)
    return variance >= m.floors[0]


cdef bint maximize_matrices(Model *m) noexcept nogil:
    """Matrices (k, d, d): scatter, and added on the diagonal."""
    cdef Py_ssize_t c, i, j, d = m.tile.d
    cdef double *matrix
    if m.shared:
        return maximize_shared_matrix(m)
    for c in range(m.tile.k):
        matrix = m.made.spread + c * d * d
        if is_kept(m, 2, m.spread_counts, c):
            memcpy(matrix, m.params.spread + c * d * d, d * d * sizeof(double))
            continue
        for i in range(d):
            for j in range(d):
                matrix[i * d + j] = scatter(m, c, i, j)
            matrix[i * d + i] += m.added[i]
        if not factorise(m, matrix, c):
            return False
    return True


cdef inline double shared_scatter(const Model *m, Py_ssize_t i, Py_ssize_t j) noexcept nogil:
    """second - sum of counts delta delta^T, of all components."""
    cdef Py_ssize_t c, k = m.tile.k, d = m.tile.d
    cdef double found = m.sums[k + k * d + i * d + j]
    for c in range(k):
        found -= m.location_counts[c] * m.delta[c * d + i] * m.delta[c * d + j]
    return found


cdef inline double shared_floor(const Model *m, Py_ssize_t j) noexcept nogil:
    """As variance_floor; of the tied kernel, scatter is what the offsets of the means have left."""
    cdef Py_ssize_t c, k = m.tile.k, d = m.tile.d
    cdef double square = shared_scatter(m, j, j), total = 0.0, mean, taken, lost = 0.0
    for c in range(k):
        mean = m.made.location[c * d + j]
        taken = gone_from(m, c, j)
        square += m.spread_counts[c] * mean * mean
        lost += m.spread_counts[c] * RESOLUTION * taken * taken
        total += m.spread_counts[c]
    return max(max(RESOLUTION * RESOLUTION * square / total, SMALLEST_VARIANCE), lost / total)


cdef bint maximize_shared_matrix(Model *m) noexcept nogil:
    """One matrix (d, d) for all components."""
    cdef Py_ssize_t c, i, j, k = m.tile.k, d = m.tile.d
    cdef double total = 0.0
    cdef double *matrix = m.made.spread
    if m.fixed != NULL and m.fixed[2 * k]:
        memcpy(matrix, m.params.spread, d * d * sizeof(double))
        return True
    for c in range(k):
        total += m.spread_counts[c]
    for i in range(d):
        for j in range(i + 1):
            matrix[i * d + j] = matrix[j * d + i] = shared_scatter(m, i, j) / total
        matrix[i * d + i] += m.added[i]
    return factorise_shared(m, matrix)


cdef bint factorise_shared(Model *m, const double *matrix) noexcept nogil:
    """factors of all components <- those of their matrix."""
    cdef Py_ssize_t c, d = m.tile.d
    if not factorise(m, matrix, 0):
        return False
    for c in range(1, m.tile.k):
        memcpy(m.factors + c * d * d, m.factors, d * d * sizeof(double))
    return True


cdef bint factorise(Model *m, const double *matrix, Py_ssize_t c) noexcept nogil:
    """factors[c] <- L, lower, L^T L = the inverse.  -> is every pivot above its floor?"""
    cdef Py_ssize_t i, d = m.tile.d
    cdef double floor
    cdef double *A = m.factors + c * d * d
    memcpy(A, matrix, d * d * sizeof(double))
    if not decompose(d, A, m.pivots):
        return False
    for i in range(d):
        floor = m.floors[i]
        if not m.shared:
            floor = max(floor, RESOLUTION * m.delta[c * d + i] * m.delta[c * d + i])
        if not m.pivots[i] >= max(d * EPS * matrix[i * d + i], floor):
            return False
    invert_transposed(d, A)
    return True


cdef bint decompose(Py_ssize_t d, double *A, double *pivots) noexcept nogil:
    """S = U^T U: U above the diagonal of A, and on it 1 / U_jj.  False where S is not definite."""
    cdef Py_ssize_t i, j, p
    cdef double factor
    for j in range(d):
        pivots[j] = A[j * d + j]
        if not pivots[j] > 0.0:
            return False
        A[j * d + j] = 1.0 / sqrt(pivots[j])
        for p in range(j + 1, d):
            A[j * d + p] *= A[j * d + j]
        for i in range(j + 1, d):
            factor = A[j * d + i]
            for p in range(i, d):
                A[i * d + p] -= factor * A[j * d + p]
    return True


cdef void invert_transposed(Py_ssize_t d, double *A) noexcept nogil:
    """U above the diagonal of A, 1 / U_jj on it -> L = U^-T, lower.  Row i of U L^T = 1 tells row i of L."""
    cdef Py_ssize_t i, j, p
    cdef double factor
    for i in range(d):
        for j in range(i):
            A[i * d + j] = 0.0
        for p in range(i):
            factor = A[p * d + i]
            A[p * d + i] = 0.0
            for j in range(p + 1):
                A[i * d + j] -= factor * A[p * d + j]
        for j in range(i):
            A[i * d + j] *= A[i * d + i]


cdef bint find_gaussian_factors(Model *m) noexcept nogil:
    """Of the params: -> are they definite?"""
    memset(m.floors, 0, m.tile.d * sizeof(double))
    memset(m.delta, 0, m.tile.k * m.tile.d * sizeof(double))
    return factorise_all(m, m.params.spread)


cdef bint factorise_all(Model *m, const double *spread) noexcept nogil:
    """factors <- those of these matrices or variances.  -> is every pivot above its floor?"""
    cdef Py_ssize_t c, j, k = m.tile.k, d = m.tile.d
    if m.tile.family.full and m.shared:
        return factorise_shared(m, spread)
    for c in range(k):
        if m.tile.family.full:
            if not factorise(m, spread + c * d * d, c):
                return False
            continue
        for j in range(d):
            m.factors[c * d + j] = 1.0 / sqrt(spread[0 if m.shared else c if m.isotropic else c * d + j])
    return True
