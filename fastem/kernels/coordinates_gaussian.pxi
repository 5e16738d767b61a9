# What accelerates EM of a Gaussian mixture, and its prior: coordinates of parameters, the gradient by them, and back.
# As GaussianParams, GaussianStats and GaussianPrior have them.

cdef inline Py_ssize_t n_spreads(const Model *m) noexcept nogil:
    return 1 if m.shared else m.tile.k


# --------------------------------------------------------------------------------------------------------- coordinates

cdef void gaussian_to_vector(Model *m, const Params *params, double *vector) noexcept nogil:
    """As GaussianParams.to_vector: log weights, means, and logarithms of standard deviations or factors of Cholesky."""
    cdef Py_ssize_t c, j, d = m.tile.d
    vector += weights_to_vector(m, params, vector)
    for c in range(m.tile.k):
        if not is_fixed(m, 1, c):
            for j in range(d):
                vector[j] = params.location[c * d + j] / m.units[j]
            vector += d
    for c in range(n_spreads(m)):
        if is_fixed(m, 2, c):
            continue
        if m.tile.family.full:
            invert_lower(d, m.factors + c * d * d, m.inverse)
            vector = factor_to_vector(m, m.inverse, vector)
        else:
            for j in range(1 if m.isotropic else d):
                vector[j] = -log(m.factors[c * d + j] * m.units[d + j])
            vector += 1 if m.isotropic else d


cdef double *factor_to_vector(const Model *m, const double *C, double *vector) noexcept nogil:
    """-> behind what has been written"""
    cdef Py_ssize_t i, j, d = m.tile.d
    for i in range(d):
        for j in range(i):
            vector[j] = C[i * d + j] / m.units[d + i]
        vector[i] = log(C[i * d + i] / m.units[d + i])
        vector += i + 1
    return vector


cdef void invert_lower(Py_ssize_t d, const double *L, double *C) noexcept nogil:
    """C <- L^-1, lower triangles, row by row."""
    cdef Py_ssize_t i, j, p
    memset(C, 0, d * d * sizeof(double))
    for i in range(d):
        C[i * d + i] = 1.0 / L[i * d + i]
        for p in range(i):
            for j in range(p + 1):
                C[i * d + j] -= L[i * d + p] * C[p * d + j]
        for j in range(i):
            C[i * d + j] *= C[i * d + i]


cdef int gaussian_from_vector(Model *m, const double *vector) noexcept nogil:
    """As GaussianParams.from_vector and above_floor."""
    cdef Py_ssize_t c, j, k = m.tile.k, d = m.tile.d
    cdef double variance
    cdef double *spread = m.proposal.spread
    vector += weights_from_vector(m, vector)
    memcpy(m.proposal.location, m.params.location, k * d * sizeof(double))
    memcpy(spread, m.params.spread, m.spread_length * sizeof(double))
    for c in range(k):
        if not is_fixed(m, 1, c):
            for j in range(d):
                m.proposal.location[c * d + j] = vector[j] * m.units[j]
            vector += d
    for c in range(n_spreads(m)):
        if is_fixed(m, 2, c):
            continue
        if m.tile.family.full:
            vector = matrix_from_vector(m, vector, spread + c * d * d)
            continue
        for j in range(1 if m.isotropic else d):
            variance = exp(vector[j]) * m.units[d + j]
            spread[(c if m.isotropic else c * d) + j] = max(variance * variance, SMALLEST_VARIANCE)
        vector += 1 if m.isotropic else d
    if not all_finite(m.proposal.weights, k + k * d + m.spread_length):
        return NOT_FINITE
    return raise_proposal(m)


cdef const double *matrix_from_vector(Model *m, const double *vector, double *matrix) noexcept nogil:
    """C C^T of the factor C.  -> behind what has been read"""
    cdef Py_ssize_t i, j, p, d = m.tile.d
    cdef double *C = m.inverse
    for i in range(d):
        for j in range(i):
            C[i * d + j] = vector[j] * m.units[d + i]
        C[i * d + i] = max(exp(vector[i]) * m.units[d + i], sqrt(SMALLEST_VARIANCE))
        vector += i + 1
        for j in range(i + 1):
            matrix[i * d + j] = 0.0
            for p in range(j + 1):
                matrix[i * d + j] += C[i * d + p] * C[j * d + p]
            matrix[j * d + i] = matrix[i * d + j]
    return vector


cdef int raise_proposal(Model *m) noexcept nogil:
    """As GaussianParams.above_floor.  -> MADE, or UNUSUAL where a pivot is at its floor"""
    cdef Py_ssize_t c, j, k = m.tile.k, d = m.tile.d
    cdef double highest = 0.0, mean = 0.0
    cdef double *spread = m.proposal.spread
    for j in range(d):
        m.floors[j] = proposal_floor(m, j)
        highest, mean = max(highest, m.floors[j]), mean + m.added[j] / d
    memset(m.delta, 0, k * d * sizeof(double))
    for c in range(n_spreads(m)):
        if is_fixed(m, 2, c) or m.tile.family.full:
            continue
        if m.isotropic:
            spread[c] = max(spread[c], highest + mean)
            continue
        for j in range(d):
            spread[c * d + j] = max(spread[c * d + j], m.floors[j] + m.added[j])
    if not factorise_all(m, spread):
        return UNUSUAL
    for c in range(n_spreads(m) if m.tile.family.full else 0):
        if is_fixed(m, 2, c) or not is_suspect(m, m.factors + c * d * d):
            continue
        if d > MOST_ROTATED or not raise_matrix(m, c):
            return UNUSUAL
    return MADE


cdef double proposal_floor(const Model *m, Py_ssize_t j) noexcept nogil:
    """As rounding_variances, of what the M-step has made."""
    cdef Py_ssize_t c, k = m.tile.k, d = m.tile.d, step = d * d if m.tile.family.full else d
    cdef double square = 0.0, mean, variance
    for c in range(k):
        mean = m.made.location[c * d + j]
        if m.isotropic:
            variance = m.made.spread[c]
        else:
            variance = m.made.spread[(0 if m.shared else c * step) + (j * d + j if m.tile.family.full else j)]
        square += m.made.weights[c] * (variance + mean * mean)
    return max(RESOLUTION * RESOLUTION * square, SMALLEST_VARIANCE)


cdef bint is_suspect(const Model *m, const double *L) noexcept nogil:
    """May an eigenvalue be below 1, each feature in units of the root of what is added?"""
    cdef Py_ssize_t i, j, d = m.tile.d
    cdef double trace = 0.0
    for j in range(d):
        if not m.added[j] > 0.0:
            return False
        for i in range(j, d):
            trace += L[i * d + j] * L[i * d + j] * m.added[j]
    return trace > 1.0


cdef bint raise_matrix(Model *m, Py_ssize_t c) noexcept nogil:
    """Raise its eigenvalues, each feature in units of the root of what is added, to 1.  -> is every pivot above its
    floor?"""
    cdef Py_ssize_t i, j, d = m.tile.d
    cdef double *matrix = m.proposal.spread + c * d * d
    cdef double rise
    for i in range(d):
        for j in range(d):
            m.inverse[i * d + j] = matrix[i * d + j] / (sqrt(m.added[i]) * sqrt(m.added[j]))
    rise = 1.0 - smallest_eigenvalue(d, m.inverse)
    for j in range(d):
        matrix[j * d + j] += max(rise, 0.0) * m.added[j]
    return factorise_shared(m, matrix) if m.shared else factorise(m, matrix, c)


# ------------------------------------------------------------------------------------------------------------ gradient

cdef void gaussian_gradient(Model *m, double *slopes) noexcept nogil:
    """As GaussianStats.gradient."""
    cdef Py_ssize_t c, j, d = m.tile.d
    slopes += weight_slopes(m, slopes)
    for c in range(m.tile.k):
        if not is_fixed(m, 1, c):
            whiten(m, c, m.delta + c * d, slopes)
            for j in range(d):
                slopes[j] *= m.location_counts[c] * m.units[j]
            slopes += d
    if m.tile.family.full:
        matrix_slopes(m, slopes)
    else:
        variance_slopes(m, slopes)


cdef void whiten(Model *m, Py_ssize_t c, const double *residual, double *whitened) noexcept nogil:
    """L^T L times it, with L the factor of what has been swept."""
    cdef Py_ssize_t i, j, d = m.tile.d
    cdef const double *L = m.swept_factors + c * d * (d if m.tile.family.full else 1)
    cdef double z
    if not m.tile.family.full:
        for j in range(d):
            whitened[j] = L[j] * L[j] * residual[j]
        return
    memset(whitened, 0, d * sizeof(double))
    for i in range(d):
        z = 0.0
        for j in range(i + 1):
            z += L[i * d + j] * residual[j]
        for j in range(i + 1):
            whitened[j] += L[i * d + j] * z


cdef void variance_slopes(Model *m, double *slopes) noexcept nogil:
    """(counts made + counts delta^2) / swept - counts, of variances"""
    cdef Py_ssize_t c, j, d = m.tile.d, at = 0
    cdef double slope, made, L
    for c in range(m.tile.k):
        if is_fixed(m, 2, c):
            continue
        slope = 0.0
        for j in range(d):
            made = m.made.spread[0 if m.shared else c if m.isotropic else c * d + j]
            L = m.swept_factors[c * d + j]
            made = m.spread_counts[c] * made + m.location_counts[c] * m.delta[c * d + j] * m.delta[c * d + j]
            slope += made * L * L - m.spread_counts[c]
            if not m.isotropic and not m.shared:
                slopes[at], slope = slope, 0.0
                at += 1
        if m.isotropic:
            slopes[at] = slope
            at += 1
        elif m.shared:
            slopes[0] = slope + (slopes[0] if c else 0.0)


cdef void matrix_slopes(Model *m, double *slopes) noexcept nogil:
    """L^T (L B L^T - counts), with B the sums about the swept means as the M-step left them."""
    cdef Py_ssize_t c, i, j, k = m.tile.k, d = m.tile.d, size = d * d
    cdef double *B = m.inverse
    cdef const double *made
    cdef double counts = 0.0, moved
    memset(B, 0, size * sizeof(double))
    for c in range(k):
        if is_fixed(m, 2, c):
            continue
        made = m.made.spread + (0 if m.shared else c * size)
        counts += m.spread_counts[c]
        for i in range(d):
            moved = m.location_counts[c] * m.delta[c * d + i]
            for j in range(d):
                B[i * d + j] += m.spread_counts[c] * made[i * d + j] + moved * m.delta[c * d + j]
        if not m.shared or c == k - 1:
            slopes = slopes_of_matrix(m, m.swept_factors + c * size, counts, slopes)
            memset(B, 0, size * sizeof(double))
            counts = 0.0


cdef double *slopes_of_matrix(Model *m, const double *L, double counts, double *slopes) noexcept nogil:
    """B is in m.inverse.  -> behind what has been written"""
    cdef Py_ssize_t i, j, p, d = m.tile.d
    cdef double *B = m.inverse
    cdef double *W = m.inverse + d * d
    memset(W, 0, d * d * sizeof(double))
    for i in range(d):  # W = L B
        for p in range(i + 1):
            for j in range(d):
                W[i * d + j] += L[i * d + p] * B[p * d + j]
    for i in range(d):  # B = W L^T - counts
        for j in range(d):
            B[i * d + j] = -counts if i == j else 0.0
            for p in range(j + 1):
                B[i * d + j] += W[i * d + p] * L[j * d + p]
    memset(W, 0, d * d * sizeof(double))
    for p in range(d):  # W = L^T B
        for i in range(p + 1):
            for j in range(d):
                W[i * d + j] += L[p * d + i] * B[p * d + j]
    for i in range(d):
        for j in range(i):
            slopes[j] = W[i * d + j] * m.units[d + i]
        slopes[i] = W[i * d + i] / L[i * d + i]
        slopes += i + 1
    return slopes


# --------------------------------------------------------------------------------------------------------------- prior

cdef double add_gaussian_prior(Model *m) noexcept nogil:
    """As GaussianPrior.stats; the prior is concentration - 1, a constant of its log density, mean_precision, the counts
    behind second, the mean of each component (k, d), and the scale (d, d), or its diagonal, of all."""
    cdef Py_ssize_t c, j, k = m.tile.k, d = m.tile.d
    cdef double found = 0.0
    cdef double *offsets = m.pivots
    for c in range(k):
        m.location_counts[c] += m.prior[2]
        m.spread_counts[c] += m.prior[3]
        for j in range(d):
            offsets[j] = m.prior[4 + c * d + j] - m.params.location[c * d + j]
            m.sums[k + c * d + j] += m.prior[2] * offsets[j]
        found += prior_of_matrix(m, c, offsets) if m.tile.family.full else prior_of_variances(m, c, offsets)
    return m.prior[1] + found + log_dirichlet(m, m.prior[0])


cdef double prior_of_variances(Model *m, Py_ssize_t c, const double *offsets) noexcept nogil:
    """Adds to second.  -> -(counts log det + trace of the inverse times what is added) / 2"""
    cdef Py_ssize_t j, k = m.tile.k, d = m.tile.d
    cdef double found = 0.0, second, L
    for j in range(d):
        second, L = m.prior[4 + k * d + j] + m.prior[2] * offsets[j] * offsets[j], m.factors[c * d + j]
        m.sums[k + k * d + c * d + j] += second
        found += m.prior[3] * log(L) - 0.5 * second * L * L
    return found


cdef double prior_of_matrix(Model *m, Py_ssize_t c, const double *offsets) noexcept nogil:
    """As prior_of_variances; the trace is sum_ij (L second)_ij L_ij."""
    cdef Py_ssize_t i, j, p, k = m.tile.k, d = m.tile.d
    cdef const double *L = m.factors + c * d * d
    cdef double *second = m.inverse
    cdef double found = 0.0, element
    for i in range(d):
        for j in range(d):
            second[i * d + j] = m.prior[4 + k * d + i * d + j] + m.prior[2] * offsets[i] * offsets[j]
            m.sums[k + k * d + ((0 if m.shared else c) * d + i) * d + j] += second[i * d + j]
    for i in range(d):
        found += m.prior[3] * log(L[i * d + i])
        for j in range(i + 1):
            element = 0.0
            for p in range(i + 1):
                element += L[i * d + p] * second[p * d + j]
            found -= 0.5 * element * L[i * d + j]
    return found


cdef Mixture GAUSSIAN = Mixture(gaussian_tables, find_gaussian_factors, add_gaussian_prior, gaussian_maximize,
                                gaussian_to_vector, gaussian_gradient, gaussian_from_vector)
