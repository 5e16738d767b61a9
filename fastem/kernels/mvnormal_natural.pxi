# Multivariate normal without correlations, by natural parameters.
#
# With a middle of the means, a log density is linear in x - middle and its squares:
#     log_norm - sum_j s_j^2 (x_j - mean_j)^2 = (log_norm - |u|^2) + sum_j 2 s_j u_j x_j - s_j^2 x_j^2,
# u = s (mean - middle), and so are the sums that follow.  Densities and moments are two products of matrices: of
# components by terms by rows, and of components by rows by terms.  Where s is one for all features, all squares are one
# term.  The caller sees to it that means are near their middle, or |u|^2 would take digits
# (families/gaussian/tables.py); otherwise the kernel of residuals is taken.

cdef void all_squares_densities(Tile *t) noexcept nogil:
    cdef Py_ssize_t first, count, i, panel, panels = (t.d + PANEL - 1) // PANEL
    if panels == 1:
        square_columns(t, 0, t.d, t.x + t.d * COLUMN)
        natural_densities(t)
        return
    for panel in range(panels):
        first, count = panel * PANEL, min(PANEL, t.d - panel * PANEL)
        square_columns(t, first, count, t.residual)
        for i in range(0, t.vectors, 2):
            compare_rows(t, t.x + first * COLUMN, i, first, count, panel == 0, False, False)
            compare_rows(t, t.residual, i, t.d + first, count, False,
                         panel == panels - 1 and not t.family.has_gaps, False)
    if t.family.has_gaps:
        for i in range(0, t.vectors, 2):
            compare_rows(t, t.observed, i, 2 * t.d, t.d, False, True, False)


cdef inline void square_columns(Tile *t, Py_ssize_t first, Py_ssize_t count, real *squares) noexcept nogil:
    cdef Py_ssize_t i, j
    cdef const real *x = t.x + first * COLUMN
    for j in range(count):
        for i in range(t.vectors):
            store(squares + j * COLUMN, i, load(x + j * COLUMN, i) * load(x + j * COLUMN, i))


cdef void sum_of_squares_densities(Tile *t) noexcept nogil:
    cdef Py_ssize_t i, j
    cdef vec x, square
    for i in range(t.vectors):
        square = broadcast(0.0)
        for j in range(t.d):
            x = load(t.x + j * COLUMN, i)
            square = square + x * x
        store(t.x + t.d * COLUMN, i, square)
    natural_densities(t)


cdef inline void natural_densities(Tile *t) noexcept nogil:
    cdef Py_ssize_t i
    for i in range(0, t.vectors, 2):
        compare_rows(t, t.x, i, 0, t.terms, True, True, False)


cdef void all_squares_moments(Tile *t) noexcept nogil:
    """Squares of many features are made again, a panel at a time: all of them would fill the second cache."""
    cdef Py_ssize_t first, count, panel
    if t.d <= PANEL:
        sum_of_squares_moments(t)
        return
    weigh_densities(t)
    add_products(t, t.x, 0, t.d)
    for panel in range((t.d + PANEL - 1) // PANEL):
        first, count = panel * PANEL, min(PANEL, t.d - panel * PANEL)
        square_columns(t, first, count, t.residual)
        clear_columns(t.residual, count, padded_rows(count))
        add_products(t, t.residual, t.d + first, count)
    if t.family.has_gaps:
        add_products(t, t.observed, 2 * t.d, t.d)


cdef void sum_of_squares_moments(Tile *t) noexcept nogil:
    weigh_densities(t)
    add_products(t, t.x, 0, t.terms)


cdef void fold_natural(const Tile *t, double *sums) noexcept nogil:
    """Moments about the middle -> about the means; of a sum of squares each feature has the mean."""
    cdef Py_ssize_t c, j, k = t.k, d = t.d
    cdef double mean
    cdef const double *terms = t.first
    cdef double *first = sums + k
    cdef double *second = first + k * d
    fold_lanes(t.counts, k, sums)
    for c in range(k):
        mean = terms[d] / d
        for j in range(d):
            first[c * d + j] = terms[j]
            second[c * d + j] = terms[d + j] if t.family.squares == ALL_SQUARES else mean
        terms += padded_rows(t.terms)
    if SINGLE:
        drop_empty(k, d, d, sums)
    move_to_means(t, sums, first, second)
    if t.family.squares == SUM_OF_SQUARES:
        level(second, k, d)


cdef inline void level(double *second, Py_ssize_t k, Py_ssize_t d) noexcept nogil:
    """(k, d): each row <- its mean."""
    cdef Py_ssize_t c, j
    cdef double total
    for c in range(k):
        total = 0.0
        for j in range(d):
            total += second[c * d + j]
        for j in range(d):
            second[c * d + j] = total / d


cdef Family ALL_NATURAL = Family(all_squares_densities, all_squares_moments, fold_natural, centered=False,
                                 full=False, tied=False, squares=ALL_SQUARES, has_trials=False, has_gaps=False)
cdef Family SUM_NATURAL = Family(sum_of_squares_densities, sum_of_squares_moments, fold_natural, centered=False,
                                 full=False, tied=False, squares=SUM_OF_SQUARES, has_trials=False, has_gaps=False)


cdef inline const Family *natural_family(const double[:, ::1] natural, const double[:, ::1] means) noexcept nogil:
    return &ALL_NATURAL if natural.shape[1] == 2 * means.shape[1] else &SUM_NATURAL


cdef inline void set_natural(Tile *t, const double *natural, const double *means, const double *middle) noexcept nogil:
    cdef Py_ssize_t i
    set_middle(t, means, middle)
    for i in range(t.k * t.terms):
        t.location[i] = <real> natural[i]


def accumulate_mvnormal_natural(const floating[:, :] X,         # IN   (n, d)
                                const double[:] sample_weight,  # IN   (n,)
                                Py_ssize_t slot_rows,           # IN            rows of a slot
                                const double[::1] log_norm,     # IN   (k,)     as for accumulate_mvnormal_diag, - |u|^2
                                const double[:, ::1] natural,   # IN   (k, 2 d) of x - middle and its squares, or
                                                                #      (k, d + 1) of the sum of these
                                const double[:, ::1] means,     # IN   (k, d)
                                const double[::1] middle,       # IN   (d,)
                                double[:, ::1] sums):           # OUT  (s, k + 2 k d + 2)
    # -> as accumulate_mvnormal_diag; of (k, d + 1) the second moments of a component are all their mean
    cdef Tile t
    cdef real *block = new_tile(&t, natural_family(natural, means), &log_norm[0], means, NULL, sums.shape[1] - 2)
    with nogil:
        set_natural(&t, &natural[0, 0], &means[0, 0], &middle[0])
        accumulate_slots(&t, X, X, sample_weight, slot_rows, sums)
    free(block)


def posterior_mvnormal_natural(const floating[:, :] X,          # IN   (n, d)
                               const double[::1] log_norm,      # IN   (k,)     as for accumulate_mvnormal_natural
                               const double[:, ::1] natural,    # IN   (k, 2 d) or (k, d + 1)
                               const double[:, ::1] means,      # IN   (k, d)
                               const double[::1] middle,        # IN   (d,)
                               double[:] log_prob,              # OUT  (n,)     or (0,)
                               double[:, :] resp,               # OUT  (n, k)   or (0, k)
                               int32_t[:] labels):              # OUT  (n,)     or (0,)
    # -> log density, responsibilities and most probable component of each row
    cdef Tile t
    cdef real *block = new_tile(&t, natural_family(natural, means), &log_norm[0], means, NULL, 0)
    with nogil:
        set_natural(&t, &natural[0, 0], &means[0, 0], &middle[0])
        posterior_rows(&t, X, X, log_prob, resp, labels)
    free(block)
