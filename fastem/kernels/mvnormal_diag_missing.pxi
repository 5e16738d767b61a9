# Multivariate normal, diagonal covariance, values missing (NaN): a feature that a row lacks is left out of its density.
#
# A component may be uniform, as a background is: its scales are then the densities of its features, times -1.

cdef void diag_missing_densities(Tile *t) noexcept nogil:
    """Those of the features that are observed: each adds its residual and its part of log_norm.

    x is 0 where it is missing, and so is x - observed * mean.
    """
    cdef Py_ssize_t c, i, j, d = t.d
    cdef const real *x = t.x
    cdef const real *mean
    cdef const real *scale
    cdef const double *part
    cdef vec o, o_, z, z_, log_density, log_density_
    for c in range(t.k):
        mean, scale, part = t.location + c * d, t.scaling + c * d, t.part + c * d
        if scale[0] < 0:
            uniform_missing_densities(t, c)
            continue
        for i in range(0, t.vectors, 2):
            log_density = log_density_ = broadcast(t.log_norm[c])
            for j in range(d):
                o, o_ = load(t.observed + j * COLUMN, i), load(t.observed + j * COLUMN, i + 1)
                z = (load(x + j * COLUMN, i) - o * mean[j]) * scale[j]
                z_ = (load(x + j * COLUMN, i + 1) - o_ * mean[j]) * scale[j]
                log_density = log_density + o * part[j] - z * z
                log_density_ = log_density_ + o_ * part[j] - z_ * z_
            put_density(t, c, i, log_density)
            put_density(t, c, i + 1, log_density_)


cdef inline void uniform_missing_densities(Tile *t, Py_ssize_t c) noexcept nogil:
    cdef Py_ssize_t i, j
    cdef vec log_density
    for i in range(t.vectors):
        log_density = broadcast(t.log_norm[c])
        for j in range(t.d):
            log_density = log_density + load(t.observed + j * COLUMN, i) * t.part[c * t.d + j]
        put_density(t, c, i, log_density)


cdef void diag_missing_moments(Tile *t) noexcept nogil:
    """A missing value is expected at the mean, with the variance of its feature; of a uniform component, no moment."""
    cdef Py_ssize_t c, i, j, d = t.d
    cdef const real *x
    cdef const real *o
    cdef const real *r
    cdef real mean, sd
    cdef vec z, z_, rz, rz_, first, first_, second, second_, seen, seen_, counts
    for c in range(t.k):
        counts = responsibilities(t, c, VECTORS)
        if t.scaling[c * d] < 0:
            continue
        r = t.density + c * COLUMN
        for j in range(d):
            x, o, mean = t.x + j * COLUMN, t.observed + j * COLUMN, t.location[c * d + j]
            sd = ROOT_OF_HALF_LOG2E / t.scaling[c * d + j]
            first = first_ = second = second_ = seen = seen_ = broadcast(0.0)
            for i in range(0, t.vectors, 2):
                z = load(x, i) - load(o, i) * mean
                z_ = load(x, i + 1) - load(o, i + 1) * mean
                rz = load(r, i) * z
                rz_ = load(r, i + 1) * z_
                seen = seen + load(r, i) * load(o, i)
                seen_ = seen_ + load(r, i + 1) * load(o, i + 1)
                first = first + rz
                first_ = first_ + rz_
                second = second + rz * z
                second_ = second_ + rz_ * z_
            add_to(t.first, c * d + j, first + first_)
            add_to(t.second, c * d + j, second + second_ + (counts - (seen + seen_)) * (sd * sd))


cdef Family DIAG_MISSING = Family(diag_missing_densities, diag_missing_moments, fold_normal, centered=True, full=False,
                                  tied=False, squares=NO_SQUARES, has_trials=False, has_gaps=True)


cdef inline void part_log_norm(Tile *t) noexcept nogil:
    """Take out of log_norm the part of each feature, log2 of 1 / (sd sqrt(2 pi))."""
    cdef Py_ssize_t i
    for i in range(t.k * t.d):
        if t.scaling[i] < 0:
            t.part[i] = log2(-t.scaling[i])
        else:
            t.part[i] = log2(t.scaling[i] / ROOT_OF_HALF_LOG2E) - 0.5 * LOG2_2PI
        t.log_norm[i // t.d] -= t.part[i]


def accumulate_mvnormal_diag_missing(const floating[:, :] X,         # IN   (n, d)  NaN where a value is missing
                                     const double[:] sample_weight,  # IN   (n,)
                                     Py_ssize_t slot_rows,           # IN           rows of a slot
                                     const double[::1] log_norm,     # IN   (k,)    as for accumulate_mvnormal_diag
                                     const double[:, ::1] means,     # IN   (k, d)
                                     const double[:, ::1] scale,     # IN   (k, d)
                                     double[:, ::1] sums):           # OUT  (s, k + 2 k d + 2)
    # -> per slot: as accumulate_mvnormal_diag, expected given the values that are observed
    cdef Tile t
    cdef real *block = new_tile(&t, &DIAG_MISSING, &log_norm[0], means, &scale[0, 0], sums.shape[1] - 2)
    with nogil:
        part_log_norm(&t)
        accumulate_slots(&t, X, X, sample_weight, slot_rows, sums)
    free(block)


def posterior_mvnormal_diag_missing(const floating[:, :] X,          # IN   (n, d)  NaN where a value is missing
                                    const double[::1] log_norm,      # IN   (k,)    as for accumulate_mvnormal_diag
                                    const double[:, ::1] means,      # IN   (k, d)
                                    const double[:, ::1] scale,      # IN   (k, d)
                                    double[:] log_prob,              # OUT  (n,)    or (0,)
                                    double[:, :] resp,               # OUT  (n, k)  or (0, k)
                                    int32_t[:] labels):              # OUT  (n,)    or (0,)
    # -> log density of what is observed, responsibilities and most probable component of each row
    cdef Tile t
    cdef real *block = new_tile(&t, &DIAG_MISSING, &log_norm[0], means, &scale[0, 0], 0)
    with nogil:
        part_log_norm(&t)
        posterior_rows(&t, X, X, log_prob, resp, labels)
    free(block)
