# EM of one Gaussian mixture on few rows: its kernels.

def iterate_normal(const double[:, :] X,             # IN     (n, 1)
                   const double[:] sample_weight,    # IN     (n,)
                   Py_ssize_t slot_rows,             # IN             rows of a slot
                   double[::1] weights,              # IN/OUT (k,)    to be swept next
                   double[:, ::1] means,             # IN/OUT (k, 1)
                   double[::1] variances,            # IN/OUT (k,) or, shared, (1,)
                   double[:, ::1] others,            # OUT    (2, 3 k)  weights, means and variances of the last
                                                     #                  iteration, and what it has reached
                   const double[::1] added,          # IN     (1,)    to variances
                   const int8_t[:, ::1] fixed,       # IN     (3, k)  or (0, k)
                   int structure,                    # IN             0; 1 shared
                   const double[:, ::1] units,       # IN     (2, 1)  of means and of standard deviations
                   const double[::1] prior,          # IN     (5 + k,)  or (0,)
                   double[:, ::1] sums,              # OUT    (2 + s, 3 k + 2)  row 0: those of the last iteration
                   double[:, ::1] trace,             # OUT    (m, 3)  log likelihood, entropy, step of each iteration
                   double[:, :, ::1] memory,         # IN/OUT (34, 3, p), (2, 3, p) for gradients alone, or (0, 3, p)
                   double[::1] state):               # IN/OUT (24,)   a Run
    # -> iterations, m at the most
    return run_gaussian(&NORMAL, X, sample_weight, slot_rows, weights, means, variances, others, added, fixed,
                        structure, units, prior, sums, trace, memory, state)


def iterate_mvnormal_diag(const double[:, :] X,           # IN     (n, d)
                          const double[:] sample_weight,  # IN     (n,)
                          Py_ssize_t slot_rows,           # IN
                          double[::1] weights,            # IN/OUT (k,)
                          double[:, ::1] means,           # IN/OUT (k, d)
                          double[::1] variances,          # IN/OUT (k d,) or, isotropic, (k,)
                          double[:, ::1] others,          # OUT    as for iterate_normal
                          const double[::1] added,        # IN     (d,)
                          const int8_t[:, ::1] fixed,     # IN     (3, k)  or (0, k)
                          int structure,                  # IN             0; 2 isotropic
                          const double[:, ::1] units,     # IN     (2, d)
                          const double[::1] prior,        # IN     (4 + k d + d,)  or (0,)
                          double[:, ::1] sums,            # OUT    (2 + s, k + 2 k d + 2)
                          double[:, ::1] trace,           # OUT    (m, 3)
                          double[:, :, ::1] memory,       # IN/OUT as for iterate_normal
                          double[::1] state):             # IN/OUT (24,)
    # -> iterations, m at the most
    return run_gaussian(diag_family(means.shape[0], means.shape[1], structure == 2), X, sample_weight, slot_rows,
                        weights, means, variances, others, added, fixed, structure, units, prior, sums, trace, memory,
                        state)


cdef const Family *diag_family(Py_ssize_t k, Py_ssize_t d, bint isotropic) noexcept:
    """As tables.middle_of, while no mean is too far."""
    if k * d < WORTHWHILE or k < (FEWEST_ISOTROPIC if isotropic else FEWEST_DIAGONAL):
        return &DIAG
    return &SUM_NATURAL if isotropic else &ALL_NATURAL


def iterate_mvnormal_full(const double[:, :] X,           # IN     (n, d)
                          const double[:] sample_weight,  # IN     (n,)
                          Py_ssize_t slot_rows,           # IN
                          double[::1] weights,            # IN/OUT (k,)
                          double[:, ::1] means,           # IN/OUT (k, d)
                          double[::1] covariances,        # IN/OUT (k d d,) or, shared, (d d,)
                          double[:, ::1] others,          # OUT    as for iterate_normal
                          const double[::1] added,        # IN     (d,)
                          const int8_t[:, ::1] fixed,     # IN     (3, k)  or (0, k)
                          int structure,                  # IN             0; 1 shared
                          const double[:, ::1] units,     # IN     (2, d)
                          const double[::1] prior,        # IN     (4 + k d + d d,)  or (0,)
                          double[:, ::1] sums,            # OUT    (2 + s, k + k d + k d d + 2), shared: one d d
                          double[:, ::1] trace,           # OUT    (m, 3)
                          double[:, :, ::1] memory,       # IN/OUT as for iterate_normal
                          double[::1] state):             # IN/OUT (24,)
    # -> iterations, m at the most
    return run_gaussian(&TIED if structure == 1 else &FULL, X, sample_weight, slot_rows, weights, means, covariances,
                        others, added, fixed, structure, units, prior, sums, trace, memory, state)


cdef Py_ssize_t run_gaussian(const Family *family, const double[:, :] X, const double[:] sample_weight,
                             Py_ssize_t slot_rows, double[::1] weights, double[:, ::1] means, double[::1] spread,
                             double[:, ::1] others, const double[::1] added, const int8_t[:, ::1] fixed,
                             int structure, const double[:, ::1] units, const double[::1] prior,
                             double[:, ::1] sums, double[:, ::1] trace, double[:, :, ::1] memory,
                             double[::1] state) except -1:
    cdef Model m
    cdef Py_ssize_t k = means.shape[0], d = means.shape[1], size = k * d * (d if family.full else 1), done = 0
    cdef double *block = new_model(&m, weights, means, spread, others, added, fixed, units, prior, size,
                                   sums.shape[1])
    cdef real *tile = NULL
    try:
        tile = new_tile(&m.tile, family, NULL, means, m.scaling, sums.shape[1] - 2)
        m.of = &GAUSSIAN
        m.shared, m.isotropic = structure == 1, structure == 2
        with nogil:
            if find_gaussian_factors(&m):
                done = iterate(&m, X, X, sample_weight, slot_rows, sums, trace, memory, state)
    finally:
        free(tile)
        free(block)
    return done
