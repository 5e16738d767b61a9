# EM of one Gaussian mixture on few rows: its tables and its M-step, as GaussianParams and GaussianStats have them.

cdef void gaussian_tables(Model *m) noexcept nogil:
    """log_norm and means of the tile; the scale of residuals is made of the factors, (k, d, d) or (k, d)."""
    cdef Tile *t = &m.tile
    cdef Py_ssize_t c, j, k = t.k, d = t.d, size = d * d if t.family.full else d, step = d + 1 if t.family.full else 1
    cdef double log_norm
    cdef double *scale = <double *> t.scaling
    for c in range(k):
        log_norm = log2(m.params.weights[c]) - 0.5 * d * LOG2_2PI
        for j in range(d):
            log_norm += log2(m.factors[c * size + j * step])
            t.location[c * d + j] = <real> m.params.location[c * d + j]
        t.log_norm[c] = <real> log_norm
    for j in range(k * size):
        scale[j] = m.factors[j] * ROOT_OF_HALF_LOG2E


cdef bint gaussian_maximize(Model *m, const double *sums) noexcept nogil:
    """As GaussianStats.maximize, where no variance is at its floor."""
    cdef Py_ssize_t c, j, k = m.tile.k, d = m.tile.d
    cdef const double *first = sums + k
    if not maximize_weights(m, sums):
        return False
    for c in range(k):
        for j in range(d):
            m.delta[c * d + j] = 0.0 if is_fixed(m, 1, c) else first[c * d + j] / sums[c]
            m.reached.location[c * d + j] = m.params.location[c * d + j] + m.delta[c * d + j]
    return maximize_matrices(m, sums) if m.tile.family.full else maximize_variances(m, sums)


cdef inline double variance_floor(const Model *m, const double *sums, Py_ssize_t j) noexcept nogil:
    """The variance of feature j that is rounding: as rounding_variances, and what delta^2 has been taken from."""
    cdef Py_ssize_t c, k = m.tile.k, d = m.tile.d, at
    cdef double square = 0.0, total = 0.0, mean, lost = 0.0, share
    cdef const double *second = sums + k + k * d
    for c in range(k):
        total += sums[c]
    for c in range(k):
        at = (c * d + j) * d + j if m.tile.family.full else c * d + j
        share, mean = sums[c] / total, m.reached.location[c * d + j]
        square += share * (second[at] / sums[c] - m.delta[c * d + j] * m.delta[c * d + j] + mean * mean)
        lost += share * RESOLUTION * m.delta[c * d + j] * m.delta[c * d + j]
    square = max(RESOLUTION * RESOLUTION * square, SMALLEST_VARIANCE)
    return max(square, lost) if m.shared else square


cdef bint maximize_variances(Model *m, const double *sums) noexcept nogil:
    """Variances (k, d) or, isotropic, (k,): second / counts - delta^2 + added."""
    cdef Py_ssize_t c, j, k = m.tile.k, d = m.tile.d
    cdef double variance, floor, mean, highest
    cdef const double *second = sums + k + k * d
    for j in range(d):
        m.floors[j] = variance_floor(m, sums, j)
    if m.shared:
        return maximize_shared_variance(m, sums)
    for c in range(k):
        if is_fixed(m, 2, c):
            memcpy(m.reached.spread + (c if m.isotropic else c * d), m.params.spread + (c if m.isotropic else c * d),
                   (1 if m.isotropic else d) * sizeof(double))
            continue
        mean = highest = 0.0
        for j in range(d):
            variance = second[c * d + j] / sums[c] - m.delta[c * d + j] * m.delta[c * d + j] + m.added[j]
            floor = max(m.floors[j], RESOLUTION * m.delta[c * d + j] * m.delta[c * d + j])
            mean, highest = mean + variance / d, max(highest, floor)
            if not m.isotropic:
                if not variance >= floor:
                    return False
                m.reached.spread[c * d + j] = variance
                m.factors[c * d + j] = 1.0 / sqrt(variance)
        if m.isotropic:
            if not mean >= highest:
                return False
            m.reached.spread[c] = mean
            for j in range(d):
                m.factors[c * d + j] = 1.0 / sqrt(mean)
    return True


cdef bint maximize_shared_variance(Model *m, const double *sums) noexcept nogil:
    """One variance of one feature, for all components."""
    cdef Py_ssize_t c, k = m.tile.k
    cdef double total = 0.0, variance = m.added[0]
    if m.fixed != NULL and m.fixed[2 * k]:
        m.reached.spread[0] = m.params.spread[0]
        return True
    for c in range(k):
        total += sums[c]
    for c in range(k):
        variance += sums[c] / total * (sums[2 * k + c] / sums[c] - m.delta[c] * m.delta[c])
    m.reached.spread[0] = variance
    for c in range(k):
        m.factors[c] = 1.0 / sqrt(variance)
    return variance >= m.floors[0]


cdef bint maximize_matrices(Model *m, const double *sums) noexcept nogil:
    """Matrices (k, d, d) or, shared, (d, d): second / counts - delta delta^T, added on the diagonal."""
    cdef Py_ssize_t c, i, j, k = m.tile.k, d = m.tile.d, size = d * d
    cdef double total = 0.0, share
    cdef const double *second = sums + k + k * d
    cdef double *matrix
    for j in range(d):
        m.floors[j] = variance_floor(m, sums, j)
    for c in range(k):
        total += sums[c]
    memset(m.reached.spread, 0, m.spread_length * sizeof(double))
    for c in range(k):
        matrix = m.reached.spread if m.shared else m.reached.spread + c * size
        share = sums[c] / total if m.shared else 1.0
        for i in range(d):
            for j in range(d):
                matrix[i * d + j] += share * (
                    second[c * size + i * d + j] / sums[c] - m.delta[c * d + i] * m.delta[c * d + j])
        if not m.shared:
            if is_fixed(m, 2, c):
                memcpy(matrix, m.params.spread + c * size, size * sizeof(double))
            else:
                for i in range(d):
                    matrix[i * d + i] += m.added[i]
                if not factorise(m, matrix, c):
                    return False
    if m.shared:
        if m.fixed != NULL and m.fixed[2 * k]:
            memcpy(m.reached.spread, m.params.spread, size * sizeof(double))
            return True
        for i in range(d):
            m.reached.spread[i * d + i] += m.added[i]
        if not factorise(m, m.reached.spread, 0):
            return False
        for c in range(1, k):
            memcpy(m.factors + c * size, m.factors, size * sizeof(double))
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


cdef bint factors_of(Model *m) noexcept nogil:
    """Of the params: -> are they definite?"""
    cdef Py_ssize_t c, j, k = m.tile.k, d = m.tile.d
    for j in range(d):
        m.floors[j] = 0.0
    for j in range(k * d):
        m.delta[j] = 0.0
    for c in range(k):
        if m.tile.family.full:
            if not factorise(m, m.params.spread + (0 if m.shared else c * d * d), c):
                return False
            continue
        for j in range(d):
            m.factors[c * d + j] = 1.0 / sqrt(m.params.spread[0 if m.shared else c if m.isotropic else c * d + j])
    return True


def iterate_normal(const floating[:, :] X,           # IN     (n, 1)
                   const double[:] sample_weight,    # IN     (n,)
                   Py_ssize_t slot_rows,             # IN             rows of a slot
                   double[::1] weights,              # IN/OUT (k,)    to be swept next
                   double[:, ::1] means,             # IN/OUT (k, 1)
                   double[::1] variances,            # IN/OUT (k,) or, shared, (1,)
                   double[::1] last,                 # OUT    (3 k,)  weights, means and variances of the last iteration
                   const double[::1] added,          # IN     (1,)    to variances
                   const int8_t[:, ::1] fixed,       # IN     (3, k)  or (0, k)
                   int structure,                    # IN             0; 1 shared
                   double[:, ::1] sums,              # OUT    (2 + s, 3 k + 2)  row 0: those of the last iteration
                   double[:, ::1] trace,             # OUT    (m, 2)  log likelihood and entropy of each iteration
                   double[::1] rule):                # IN/OUT (10,)   a StopRule
    # -> iterations, m at the most
    return run_gaussian(&NORMAL, X, sample_weight, slot_rows, weights, means, variances, last, added, fixed, structure,
                        sums, trace, rule)


def iterate_mvnormal_diag(const floating[:, :] X,         # IN     (n, d)
                          const double[:] sample_weight,  # IN     (n,)
                          Py_ssize_t slot_rows,           # IN
                          double[::1] weights,            # IN/OUT (k,)
                          double[:, ::1] means,           # IN/OUT (k, d)
                          double[::1] variances,          # IN/OUT (k d,) or, isotropic, (k,)
                          double[::1] last,               # OUT    as for iterate_normal
                          const double[::1] added,        # IN     (d,)
                          const int8_t[:, ::1] fixed,     # IN     (3, k)  or (0, k)
                          int structure,                  # IN             0; 2 isotropic
                          double[:, ::1] sums,            # OUT    (2 + s, k + 2 k d + 2)
                          double[:, ::1] trace,           # OUT    (m, 2)
                          double[::1] rule):              # IN/OUT (10,)
    # -> iterations, m at the most
    return run_gaussian(&DIAG, X, sample_weight, slot_rows, weights, means, variances, last, added, fixed,
                        structure, sums, trace, rule)


def iterate_mvnormal_full(const floating[:, :] X,         # IN     (n, d)
                          const double[:] sample_weight,  # IN     (n,)
                          Py_ssize_t slot_rows,           # IN
                          double[::1] weights,            # IN/OUT (k,)
                          double[:, ::1] means,           # IN/OUT (k, d)
                          double[::1] covariances,        # IN/OUT (k d d,) or, shared, (d d,)
                          double[::1] last,               # OUT    as for iterate_normal
                          const double[::1] added,        # IN     (d,)
                          const int8_t[:, ::1] fixed,     # IN     (3, k)  or (0, k)
                          int structure,                  # IN             0; 1 shared
                          double[:, ::1] sums,            # OUT    (2 + s, k + k d + k d d + 2)
                          double[:, ::1] trace,           # OUT    (m, 2)
                          double[::1] rule):              # IN/OUT (10,)
    # -> iterations, m at the most
    return run_gaussian(&FULL, X, sample_weight, slot_rows, weights, means, covariances, last, added, fixed,
                        structure, sums, trace, rule)


cdef Py_ssize_t run_gaussian(const Family *family, const floating[:, :] X, const double[:] sample_weight,
                             Py_ssize_t slot_rows, double[::1] weights, double[:, ::1] means, double[::1] spread,
                             double[::1] last, const double[::1] added, const int8_t[:, ::1] fixed, int structure,
                             double[:, ::1] sums, double[:, ::1] trace, double[::1] rule) except -1:
    cdef Model m
    cdef Py_ssize_t k = means.shape[0], d = means.shape[1], size = k * d * (d if family.full else 1), done = 0
    cdef double *block = new_model(&m, weights, means, spread, last, added, fixed, 2 * size + 2 * d)
    cdef real *tile = NULL
    try:
        m.floors, m.pivots = m.factors + 2 * size, m.factors + 2 * size + d
        tile = new_tile(&m.tile, family, NULL, means, m.factors + size, sums.shape[1] - 2)
        m.make_tables, m.maximize = gaussian_tables, gaussian_maximize
        m.shared, m.isotropic = structure == 1, structure == 2
        with nogil:
            if factors_of(&m):
                done = iterate(&m, X, X, sample_weight, slot_rows, sums, trace, rule)
    finally:
        free(tile)
        free(block)
    return done
