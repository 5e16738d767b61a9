# Parts of the rows that a search looks at: their moments, clusters that are merged, components that are split.
#
# One compiled call each, whichever twin sweeps: what they find is where EM begins, and no sums of it.

def part_moments(const floating[:, :] X,         # IN     (n, d)
                 const double[:] sample_weight,  # IN     (n,)
                 const int64_t[::1] labels,      # IN     (n,)       the part of each row
                 double[::1] counts,             # OUT    (k,)       come as 0
                 double[:, ::1] means,           # OUT    (k, d)     come as 0
                 double[:, :, ::1] scatters):    # OUT    (k, d, d)  about the means, or (k, d, 1); come as 0
    cdef Py_ssize_t n = X.shape[0], d = X.shape[1], row, c, i, j
    cdef bint full = scatters.shape[2] == d
    cdef double w
    cdef double *z = <double *> malloc(d * sizeof(double))
    if z == NULL:
        raise MemoryError(f"no memory for {d} features")
    with nogil:
        for row in range(n):
            c, w = labels[row], sample_weight[row]
            counts[c] += w
            for j in range(d):
                means[c, j] += w * X[row, j]
        for c in range(counts.shape[0]):
            for j in range(d):
                means[c, j] /= counts[c] if counts[c] > 0.0 else 1.0
        for row in range(n):
            c, w = labels[row], sample_weight[row]
            for j in range(d):
                z[j] = X[row, j] - means[c, j]
            for i in range(d):
                if full:
                    add_multiple(w * z[i], z, &scatters[c, i, 0], i + 1)
                else:
                    scatters[c, i, 0] += w * z[i] * z[i]
        for c in range(counts.shape[0] if full else 0):
            mirror_lower(&scatters[c, 0, 0], d)
    free(z)


cdef inline void mirror_lower(double *A, Py_ssize_t d) noexcept nogil:
    cdef Py_ssize_t i, j
    for i in range(d):
        for j in range(i):
            A[j * d + i] = A[i * d + j]


# ---------------------------------------------------------------------------------------------------------- merges

cdef double half_log_det(const double *scatter, double count, const double *pooled, double prior, Py_ssize_t d,
                         double *A, double *pivots) noexcept nogil:
    """Half the log determinant of a scatter that is shrunk to the pooled one by `prior` rows of it."""
    cdef Py_ssize_t i
    cdef double found = 0.0
    for i in range(d * d):
        A[i] = (scatter[i] + prior * pooled[i]) / (count + prior)
    if not decompose(d, A, pivots):
        return INFINITY
    for i in range(d):
        found += log(pivots[i])
    return 0.5 * found


cdef double merge_loss(const double *counts, const double *means, const double *scatters, const double *own,
                       const double *pooled, double prior, Py_ssize_t i, Py_ssize_t j, Py_ssize_t d,
                       double *S, double *A, double *pivots) noexcept nogil:
    """What the classification likelihood loses where two clusters become one."""
    cdef double count = counts[i] + counts[j], between = counts[i] * counts[j] / count if count > 0.0 else 0.0
    cdef Py_ssize_t a, b
    for a in range(d):
        for b in range(d):
            S[a * d + b] = scatters[(i * d + a) * d + b] + scatters[(j * d + a) * d + b] + between * (
                means[i * d + a] - means[j * d + a]) * (means[i * d + b] - means[j * d + b])
    return count * half_log_det(S, count, pooled, prior, d, A, pivots) - own[i] - own[j]


def merge_clusters(double[::1] counts,            # IN/OUT (m,)       weights of clusters; 0 where one has been merged
                   double[:, ::1] means,          # IN/OUT (m, d)
                   double[:, :, ::1] scatters,    # IN/OUT (m, d, d)
                   const double[:, ::1] pooled,   # IN     (d, d)     scatter of a row about the mean of its cluster
                   double prior,                  # IN                rows of the pooled scatter in that of each
                   Py_ssize_t k,                  # IN                clusters that are left
                   int64_t[::1] merged):          # OUT    (m,)       the cluster that each is part of then
    # -> each merge is that after which rows are most likely, if each was known to be of its cluster (Banfield and
    #    Raftery 1993)
    cdef Py_ssize_t m = counts.shape[0], d = means.shape[1], i, j, c, best_i, best_j, left = m
    cdef double *losses = <double *> malloc((m * m + m + 2 * d * d + d) * sizeof(double))
    cdef double *own = losses + m * m
    cdef double *S = own + m
    cdef double *A = S + d * d
    cdef double *pivots = A + d * d
    cdef double least, share
    if losses == NULL:
        raise MemoryError(f"no memory for the merges of {m} clusters")
    with nogil:
        for i in range(m):
            merged[i] = i
            own[i] = counts[i] * half_log_det(&scatters[i, 0, 0], counts[i], &pooled[0, 0], prior, d, A, pivots)
            for j in range(i):
                losses[i * m + j] = merge_loss(&counts[0], &means[0, 0], &scatters[0, 0, 0], own, &pooled[0, 0],
                                               prior, i, j, d, S, A, pivots)
        while left > k:
            least, best_i, best_j = INFINITY, -1, -1
            for i in range(m):
                for j in range(i if merged[i] == i else 0):
                    if merged[j] == j and (best_i < 0 or losses[i * m + j] < least):
                        least, best_i, best_j = losses[i * m + j], i, j
            i, j = best_j, best_i
            share = counts[j] / (counts[i] + counts[j]) if counts[i] + counts[j] > 0.0 else 0.5
            merge_loss(&counts[0], &means[0, 0], &scatters[0, 0, 0], own, &pooled[0, 0], prior, i, j, d, S, A, pivots)
            memcpy(&scatters[i, 0, 0], S, d * d * sizeof(double))
            for c in range(d):
                means[i, c] += share * (means[j, c] - means[i, c])
            counts[i] += counts[j]
            counts[j] = 0.0
            own[i] = counts[i] * half_log_det(&scatters[i, 0, 0], counts[i], &pooled[0, 0], prior, d, A, pivots)
            for c in range(m):
                if merged[c] == j:
                    merged[c] = i
            left -= 1
            for c in range(m):
                if merged[c] == c and c != i:
                    losses[max(c, i) * m + min(c, i)] = merge_loss(
                        &counts[0], &means[0, 0], &scatters[0, 0, 0], own, &pooled[0, 0], prior, i, c, d, S, A, pivots)
    free(losses)
