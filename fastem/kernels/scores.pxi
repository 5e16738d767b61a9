# Slopes of the log densities of rows by the parameters, and what the information of the rows is times a vector.

def hermite_slopes(const double[:, ::1] z,     # IN   (n, d)  whitened rows
                   double[:, ::1] slopes):     # OUT  (n, d + d (d + 1) / 2)
    # -> z, and (z_i z_j - [i = j]) / sqrt(1 + [i = j]) for j <= i
    cdef Py_ssize_t row, i, d = z.shape[1]
    cdef double root = sqrt(0.5)
    cdef const double *of
    cdef double *to
    with nogil:
        for row in range(z.shape[0] if d else 0):
            of, to = &z[row, 0], &slopes[row, 0]
            clear_row(to, slopes.shape[1])
            add_row(to, 1.0, of, d)
            to += d
            for i in range(d):
                add_row(to, of[i], of, i + 1)
                to[i] = (to[i] - 1.0) * root
                to += i + 1


cdef inline double dot_by_lanes(const double *a, const double *b, Py_ssize_t n) noexcept nogil:
    cdef Py_ssize_t i, whole = n // LANES
    cdef vec sums = broadcast(0.0)
    for i in range(whole):
        sums = sums + load(a, i) * load(b, i)
    return lane_sum(sums) + dot(a + whole * LANES, b + whole * LANES, n - whole * LANES)


def scores_times(const double[:, ::1] own,      # IN   (m, q)  slopes of rows, those for a component behind each other
                 const int64_t[::1] rows,       # IN   (m,)    which these are
                 const double[::1] resp,        # IN   (m,)    their responsibilities
                 const double[::1] shares,      # IN   (m,)    times their weights
                 const int64_t[::1] offsets,    # IN   (c + 1,)
                 const double[:, ::1] x,        # IN   (c, q)  along which slopes are taken
                 const double[::1] common,      # IN   (c,)    slopes that are the same for every row of a component
                 bint about_means,              # IN           are slopes taken about these means?
                 double[::1] along,             # OUT  (m,)    slopes along x
                 double[::1] means,             # OUT  (n,)    their means over the components of each row
                 double[:, ::1] found,          # OUT  (c, q)  sums of means, or means - along, times shares times own
                 double[::1] totals):           # OUT  (c,)    sums of the same times shares
    cdef Py_ssize_t c, i, q = own.shape[1]
    cdef double share
    with nogil:
        clear_row(&means[0], means.shape[0])
        for c in range(x.shape[0]):
            for i in range(offsets[c], offsets[c + 1]):
                along[i] = common[c] + dot_by_lanes(&own[i, 0], &x[c, 0], q)
                means[rows[i]] += resp[i] * along[i]
        for c in range(x.shape[0]):
            clear_row(&found[c, 0], q)
            totals[c] = 0.0
            for i in range(offsets[c], offsets[c + 1]):
                share = shares[i] * (means[rows[i]] - along[i] if about_means else means[rows[i]])
                totals[c] += share
                add_row(&found[c, 0], share, &own[i, 0], q)
