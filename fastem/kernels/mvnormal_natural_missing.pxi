# Multivariate normal without correlations, by natural parameters, values missing (NaN).
#
# What a feature has of a log density, log2 of 1 / (sd sqrt(2 pi)) less its u^2, is a term of its own, of a column that
# is 1 where the feature is observed; so is its count.  x - middle and its square are 0 where it is missing.

cdef void fold_natural_missing(const Tile *t, double *sums) noexcept nogil:
    """Moments about the middle -> about the means, where a missing value is expected, with the variance of its feature.

    Of a sum of squares each feature has the mean.
    """
    cdef Py_ssize_t c, j, k = t.k, d = t.d, n_squares = t.terms - 2 * d
    cdef const double *terms = t.first
    cdef const double *observed
    cdef const double *e = t.shift
    cdef const real *quadratic
    cdef double *first = sums + k
    cdef double *second = first + k * d
    fold_lanes(t.counts, k, sums)
    for c in range(k):
        observed, quadratic = terms + d + n_squares, t.location + c * t.terms + d
        for j in range(d):
            first[j] = terms[j] - observed[j] * e[j]
            second[j] = terms[d + j] if n_squares == d else terms[d] / d
            second[j] -= e[j] * (terms[j] + first[j])
            second[j] -= (sums[c] - observed[j]) * ROOT_OF_HALF_LOG2E ** 2 / quadratic[j if n_squares == d else 0]
        terms += padded_rows(t.terms)
        first += d
        second += d
        e += d
    if n_squares < d:
        level(second - k * d, k, d)


cdef Family ALL_NATURAL_MISSING = Family(all_squares_densities, all_squares_moments, fold_natural_missing,
                                         centered=False, full=False, tied=False, squares=ALL_SQUARES,
                                         has_trials=False, has_gaps=True)
cdef Family SUM_NATURAL_MISSING = Family(sum_of_squares_densities, sum_of_squares_moments, fold_natural_missing,
                                         centered=False, full=False, tied=False, squares=SUM_OF_SQUARES,
                                         has_trials=False, has_gaps=True)


cdef inline const Family *natural_missing_family(const double[:, ::1] natural,
                                                 const double[:, ::1] means) noexcept nogil:
    return &ALL_NATURAL_MISSING if natural.shape[1] == 2 * means.shape[1] else &SUM_NATURAL_MISSING


cdef inline void set_natural_missing(Tile *t, const double[:, ::1] natural, const double *means,
                                     const double *middle) noexcept nogil:
    """As set_natural; what a feature has of log_norm is taken out of it."""
    cdef Py_ssize_t c, j, d = t.d, given = natural.shape[1]
    cdef double square, part
    set_middle(t, means, middle)
    for c in range(t.k):
        for j in range(given):
            t.location[c * t.terms + j] = natural[c, j]
        for j in range(d):
            square = -natural[c, d + j if given == 2 * d else d]
            part = 0.5 * log2(square) - log2(ROOT_OF_HALF_LOG2E) - 0.5 * LOG2_2PI
            part -= 0.25 * natural[c, j] * natural[c, j] / square
            t.location[c * t.terms + given + j] = part
            t.log_norm[c] -= part


def accumulate_mvnormal_natural_missing(const floating[:, :] X,         # IN   (n, d)  NaN where a value is missing
                                        const double[:] sample_weight,  # IN   (n,)
                                        Py_ssize_t slot_rows,           # IN           rows of a slot
                                        const double[::1] log_norm,     # IN   (k,)    as for ..._natural
                                        const double[:, ::1] natural,   # IN   (k, 2 d) or (k, d + 1)
                                        const double[:, ::1] means,     # IN   (k, d)
                                        const double[::1] middle,       # IN   (d,)
                                        double[:, ::1] sums):           # OUT  (s, k + 2 k d + 2)
    # -> per slot: as accumulate_mvnormal_natural, expected given the values that are observed
    cdef Tile t
    cdef real *block = new_tile(&t, natural_missing_family(natural, means), &log_norm[0], means, NULL,
                                sums.shape[1] - 2)
    with nogil:
        set_natural_missing(&t, natural, &means[0, 0], &middle[0])
        accumulate_slots(&t, X, X, sample_weight, slot_rows, sums)
    free(block)


def posterior_mvnormal_natural_missing(const floating[:, :] X,          # IN   (n, d)  NaN where a value is missing
                                       const double[::1] log_norm,      # IN   (k,)    as for ..._natural
                                       const double[:, ::1] natural,    # IN   (k, 2 d) or (k, d + 1)
                                       const double[:, ::1] means,      # IN   (k, d)
                                       const double[::1] middle,        # IN   (d,)
                                       double[:] log_prob,              # OUT  (n,)    or (0,)
                                       double[:, :] resp,               # OUT  (n, k)  or (0, k)
                                       int32_t[:] labels):              # OUT  (n,)    or (0,)
    # -> log density of what is observed, responsibilities and most probable component of each row
    cdef Tile t
    cdef real *block = new_tile(&t, natural_missing_family(natural, means), &log_norm[0], means, NULL, 0)
    with nogil:
        set_natural_missing(&t, natural, &means[0, 0], &middle[0])
        posterior_rows(&t, X, X, log_prob, resp, labels)
    free(block)
