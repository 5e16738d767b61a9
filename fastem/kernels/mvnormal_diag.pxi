# Multivariate normal, diagonal covariance.

cdef void diag_densities(Tile *t) noexcept nogil:
    """log2 (weight N(x; mean, diag(sd^2))) = log_norm - sum_j ((x_j - mean_j) scale_j)^2, for two vectors of points."""
    cdef Py_ssize_t c, i, j, d = t.d
    cdef const real *x = t.x
    cdef const real *mean
    cdef const real *scale
    cdef vec z, z_, log_density, log_density_
    for c in range(t.k):
        mean, scale = t.location + c * d, t.scaling + c * d
        for i in range(0, t.vectors, 2):
            log_density = log_density_ = broadcast(t.log_norm[c])
            for j in range(d):
                z = (load(x + j * COLUMN, i) - mean[j]) * scale[j]
                z_ = (load(x + j * COLUMN, i + 1) - mean[j]) * scale[j]
                log_density = log_density - z * z
                log_density_ = log_density_ - z_ * z_
            put_density(t, c, i, log_density)
            put_density(t, c, i + 1, log_density_)


cdef void diag_moments(Tile *t) noexcept nogil:
    cdef Py_ssize_t c, i, j, d = t.d
    cdef const real *x
    cdef const real *r
    cdef const real *mean
    cdef vec z, z_, rz, rz_, first, first_, second, second_
    for c in range(t.k):
        responsibilities(t, c, VECTORS)
        r, mean = t.density + c * COLUMN, t.location + c * d
        for j in range(d):
            x = t.x + j * COLUMN
            first = first_ = second = second_ = broadcast(0.0)
            for i in range(0, VECTORS, 2):
                z = load(x, i) - mean[j]
                z_ = load(x, i + 1) - mean[j]
                rz = load(r, i) * z
                rz_ = load(r, i + 1) * z_
                first = first + rz
                first_ = first_ + rz_
                second = second + rz * z
                second_ = second_ + rz_ * z_
            add_to(t.first, c * d + j, first + first_)
            add_to(t.second, c * d + j, second + second_)


cdef Family DIAG = Family(diag_densities, diag_moments, fold_normal, centered=True, full=False, tied=False,
                          squares=NO_SQUARES, has_trials=False, has_gaps=False)


def accumulate_mvnormal_diag(const floating[:, :] X,         # IN   (n, d)
                             const double[:] sample_weight,  # IN   (n,)
                             Py_ssize_t slot_rows,           # IN           rows of a slot
                             const double[::1] log_norm,     # IN   (k,)    log2 of weight / prod_j (sd_j sqrt(2 pi))
                             const double[:, ::1] means,     # IN   (k, d)
                             const double[:, ::1] scale,     # IN   (k, d)  sqrt(log2(e) / 2) / sd
                             double[:, ::1] sums):           # OUT  (s, k + 2 k d + 2)
    # -> per slot: sum w r, sum w r (x - mean), sum w r (x - mean)^2, sum w log p(x), -sum w sum_k r log r
    cdef Tile t
    cdef real *block = new_tile(&t, &DIAG, &log_norm[0], means, &scale[0, 0], sums.shape[1] - 2)
    with nogil:
        accumulate_slots(&t, X, X, sample_weight, slot_rows, sums)
    free(block)


def posterior_mvnormal_diag(const floating[:, :] X,          # IN   (n, d)
                            const double[::1] log_norm,      # IN   (k,)    tables as for accumulate_mvnormal_diag
                            const double[:, ::1] means,      # IN   (k, d)
                            const double[:, ::1] scale,      # IN   (k, d)
                            double[:] log_prob,              # OUT  (n,)    or (0,)
                            double[:, :] resp,               # OUT  (n, k)  or (0, k)
                            int32_t[:] labels):              # OUT  (n,)    or (0,)
    # -> log density, responsibilities and most probable component of each row
    cdef Tile t
    cdef real *block = new_tile(&t, &DIAG, &log_norm[0], means, &scale[0, 0], 0)
    with nogil:
        posterior_rows(&t, X, X, log_prob, resp, labels)
    free(block)
