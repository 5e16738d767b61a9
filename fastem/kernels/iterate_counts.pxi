# What families of counts share in EM of one mixture.

cdef Py_ssize_t run_counts(const Family *family, const Mixture *mixture, const double[:, :] X,
                           const double[:, :] trials, const double[:] sample_weight, Py_ssize_t slot_rows,
                           double[::1] weights, double[:, ::1] location, double[::1] spread, double[:, ::1] others,
                           const double[::1] added, const int8_t[:, ::1] fixed, const double[:, ::1] units,
                           const double[::1] prior, double[:, ::1] sums, double[:, ::1] trace,
                           double[:, :, ::1] memory, double[::1] state) except -1:
    """EM of a family of counts, whose components have no spread of their own."""
    cdef Model m
    cdef Py_ssize_t done
    cdef Py_ssize_t size = location.shape[0] * location.shape[1]
    cdef double *block = new_model(&m, weights, location, spread, others, added, fixed, units, prior, size,
                                   sums.shape[1])
    cdef real *tile = NULL
    try:
        tile = new_tile(&m.tile, family, NULL, location, m.scaling, sums.shape[1] - 2)
        m.of = mixture
        with nogil:
            done = iterate(&m, X, trials, sample_weight, slot_rows, sums, trace, memory, state)
    finally:
        free(tile)
        free(block)
    return done


cdef bint no_factors(Model *m) noexcept nogil:
    """Counts have none."""
    return True
