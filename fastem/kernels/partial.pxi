# Partial EM of a Gaussian mixture: EM of a few components on the rows of which they have a share, from several starts.

cdef bint gather_share(Component *g, const double[:, ::1] X, const double[:] sample_weight, const double[:, ::1] resp,
                       const double[:] log_prob, const int32_t *places, Py_ssize_t count, double share, double foreign,
                       double *before) noexcept nogil:
    """Rows of which these components have more than `foreign`, with their shares for weights, and the log likelihood of
    these components as a mixture of their own.  -> are there any?"""
    cdef Py_ssize_t row, i
    cdef double mine
    g.n, before[0] = 0, 0.0
    for row in range(X.shape[0]):
        mine = 0.0
        for i in range(count):
            mine += resp[row, places[i]]
        if mine > foreign:
            memcpy(g.rows + g.n * g.d, &X[row, 0], g.d * sizeof(double))
            g.weights[g.n] = mine * sample_weight[row]
            before[0] += g.weights[g.n] * (log_prob[row] + log(mine / share))
            g.n += 1
    return g.n > 0


def partial_em(const double[:, ::1] X,            # IN     (n, d)
               const double[:] sample_weight,     # IN     (n,)
               const double[:, ::1] resp,         # IN     (n, .)     of the mixture
               const double[:] log_prob,          # IN     (n,)
               const int32_t[:, ::1] places,      # IN     (m, c)     components whose rows each start takes
               const double[::1] shares,          # IN     (m,)       their weight
               const double[::1] added,           # IN     (d,)       to variances
               int structure,                     # IN                0 matrices, 1 variances, 2 isotropic
               double foreign,                    # IN                a row with no more than that is not looked at
               Py_ssize_t iterations,             # IN
               double[:, ::1] rows,               # OUT    (n, d)     workspace
               double[::1] row_weights,           # OUT    (n,)
               double[::1] gains,                 # OUT    (m,)       of log likelihood; -inf: EM does not get far
               double[:, ::1] weights,            # IN/OUT (m, c)     starts, and where EM leads; they sum to 1
               double[:, :, ::1] means,           # IN/OUT (m, c, d)
               double[:, ::1] spread):            # IN/OUT (m, .)     of c components, one behind the other
    cdef Py_ssize_t d = X.shape[1], c = places.shape[1], size = spread.shape[1], which
    cdef const Family *family = &NORMAL if d == 1 else &FULL if structure == 0 else &DIAG
    cdef Py_ssize_t of_factors = c * d * (d if family.full else 1), length = c * (1 + d + (d * d if family.full else d))
    cdef Component g
    cdef Model m
    cdef double before
    cdef double *block = NULL
    cdef real *tile = NULL
    cdef double[:, ::1] sums = doubles(3, length + 2), others = doubles(2, c + c * d + size), no_units = doubles(1, 1)
    cdef int8_t[:, ::1] fixed = view.array((1, 1), sizeof(int8_t), "b")
    g.d, g.rows, g.weights = d, &rows[0, 0], &row_weights[0]
    try:
        block = new_model(&m, weights[0], means[0], spread[0], others, added, fixed[:0], no_units[:0], added[:0],
                          of_factors, length + 2)
        tile = new_tile(&m.tile, family, NULL, means[0], m.scaling, length)
        m.of, m.isotropic = &GAUSSIAN, structure == 2 and d > 1
        with nogil:
            for which in range(places.shape[0]):
                m.params.weights, m.params.location = &weights[which, 0], &means[which, 0, 0]
                m.params.spread = &spread[which, 0]
                gains[which] = -INFINITY
                if gather_share(&g, X, sample_weight, resp, log_prob, &places[which, 0], c, shares[which], foreign,
                                &before) and m.of.find_factors(&m):
                    gains[which] = few_steps(&m, rows[: g.n], row_weights[: g.n], iterations, sums) - before
    finally:
        free(tile)
        free(block)
