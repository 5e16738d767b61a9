# Nearest centers: k-means, for the starts.

cdef inline void nearest_center(Tile *t, const double *scale) noexcept nogil:
    """total <- smallest scaled squared distance, top <- which center is there (as a number); ties go to the first."""
    cdef Py_ssize_t c, i, j, d = t.d
    cdef vec z, z_, square, square_, least, least_, which, which_
    for i in range(0, VECTORS, 2):
        least = least_ = which = which_ = broadcast(0.0)
        for c in range(t.k):
            square = square_ = broadcast(0.0)
            for j in range(d):
                z = (load(t.x + j * COLUMN, i) - t.location[c * d + j]) * <real> scale[j]
                z_ = (load(t.x + j * COLUMN, i + 1) - t.location[c * d + j]) * <real> scale[j]
                square = square + z * z
                square_ = square_ + z_ * z_
            if c == 0:
                least, least_ = square, square_
                continue
            which = where_less(square, least, broadcast(c), which)
            which_ = where_less(square_, least_, broadcast(c), which_)
            least = where_less(square, least, square, least)
            least_ = where_less(square_, least_, square_, least_)
        store(t.total, i, least)
        store(t.total, i + 1, least_)
        store(t.top, i, which)
        store(t.top, i + 1, which_)


cdef Family NEAREST = Family(NULL, NULL, NULL, centered=True, full=False, tied=False,
                             squares=NO_SQUARES, has_trials=False, has_gaps=False)


def nearest(const floating[:, :] X,         # IN   (n, d)
            const double[:] sample_weight,  # IN   (n,)
            Py_ssize_t slot_rows,           # IN           rows of a slot
            const double[:, ::1] centers,   # IN   (k, d)
            const double[::1] scale,        # IN   (d,)    distances are sum_j ((x_j - center_j) scale_j)^2
            double[:] distances,            # OUT  (n,)    smallest squared distance
            int32_t[:] labels,              # OUT  (n,)    the center it belongs to
            double[:, ::1] sums):           # OUT  (s, k + k d + 1)
    # -> per slot: sum w, sum w (x - center) of the rows nearest to each center; sum w * distance
    cdef Py_ssize_t k = centers.shape[0], d = centers.shape[1], s, row, rows, end, i, j, c
    cdef double w
    cdef double *out
    cdef Tile t
    cdef real *block = new_tile(&t, &NEAREST, NULL, centers, NULL, 0)
    with nogil:
        for s in range(sums.shape[0]):
            out = &sums[s, 0]
            for i in range(sums.shape[1]):
                out[i] = 0.0
            row = s * slot_rows
            end = min(X.shape[0], row + slot_rows)
            while row < end:
                rows = min(TILE, end - row)
                load_columns(X, row, rows, TILE, t.origin, t.x)
                nearest_center(&t, &scale[0])
                for i in range(rows):
                    w = sample_weight[row + i]
                    c = <Py_ssize_t> t.top[i]
                    distances[row + i] = t.total[i]
                    labels[row + i] = <int32_t> c
                    out[c] += w
                    for j in range(d):
                        out[k + c * d + j] += w * (t.x[j * COLUMN + i] - t.location[c * d + j])
                    out[k + k * d] += w * t.total[i]
                row += rows
    free(block)


cdef Py_ssize_t drawn(const double *ends, Py_ssize_t n, double uniform) noexcept nogil:
    """The first row whose end is above this share of the last; any row where all are 0."""
    cdef Py_ssize_t low = 0, high = n - 1, middle
    if not ends[n - 1] > 0.0:
        return min(n - 1, <Py_ssize_t> (uniform * n))
    while low < high:
        middle = (low + high) // 2
        if ends[middle] > uniform * ends[n - 1]:
            high = middle
        else:
            low = middle + 1
    return low


cdef void fields_of(Tile *t, const floating[:, :] X, const double[:] sample_weight, const double[::1] scale,
                    const int64_t *candidates, Py_ssize_t count, const double *nearest_so_far, double *fields,
                    double *potentials) noexcept nogil:
    """fields (count, n): the squared distance of each row to its nearest center, with each of the candidates as one
    more; potentials: their weighted sums."""
    cdef Py_ssize_t n = X.shape[0], row = 0, rows, c, i, j
    cdef real *center = t.residual
    cdef vec z, square, potential
    for c in range(count):
        potentials[c] = 0.0
    while row < n:
        rows = min(TILE, n - row)
        load_columns(X, row, rows, TILE, t.origin, t.x)
        load_weights(t, sample_weight, False, row, rows)
        for i in range(TILE):
            t.top[i] = <real> nearest_so_far[row + i] if i < rows else 0.0
        for c in range(count):
            for j in range(t.d):
                center[j] = <real> (X[candidates[c], j] - t.origin[j])
            potential = broadcast(0.0)
            for i in range(VECTORS):
                square = broadcast(0.0)
                for j in range(t.d):
                    z = (load(t.x + j * COLUMN, i) - center[j]) * <real> scale[j]
                    square = square + z * z
                square = where_less(square, load(t.top, i), square, load(t.top, i))
                store(t.density, i, square)
                potential = potential + load(t.weight, i) * square
            potentials[c] += lane_sum(potential)
            for i in range(rows):
                fields[c * n + row + i] = t.density[i]
        row += rows


def spread_rows(const floating[:, :] X,           # IN     (n, d)
                const double[:] sample_weight,    # IN     (n,)
                const double[:, ::1] middle,      # IN     (1, d)    of the rows
                const double[::1] scale,          # IN     (d,)      as for nearest
                const double[:, ::1] uniforms,    # IN     (k, m)    random numbers from 0 to 1: m candidates each time
                int64_t[::1] chosen):             # OUT    (k,)      rows
    # -> rows far from each other, by k-means++ (Arthur and Vassilvitskii 2007): of m rows that are drawn by their
    #    squared distance to the nearest one chosen so far, that which leaves the least sum; the first by its weight
    cdef Py_ssize_t n = X.shape[0], k = uniforms.shape[0], m = uniforms.shape[1], step, i, c, best
    cdef double total
    cdef Tile t
    cdef real *block = new_tile(&t, &NEAREST, NULL, middle, NULL, 0)
    cdef double *work = <double *> malloc((2 * n + m * n + m) * sizeof(double) + m * sizeof(int64_t))
    cdef double *ends = work + n
    cdef double *fields = ends + n
    cdef double *potentials = fields + m * n
    cdef int64_t *candidates = <int64_t *> (potentials + m)
    if work == NULL:
        free(block)
        raise MemoryError(f"no memory for {m} candidates among {n} rows")
    with nogil:
        for step in range(k):
            total = 0.0
            for i in range(n):
                total += sample_weight[i] * work[i] if step else sample_weight[i]
                ends[i] = total
            if step == 0:
                chosen[0] = drawn(ends, n, uniforms[0, 0])
                for i in range(n):
                    work[i] = INFINITY
                fields_of(&t, X, sample_weight, scale, &chosen[0], 1, work, fields, potentials)
                memcpy(work, fields, n * sizeof(double))
                continue
            for c in range(m):
                candidates[c] = drawn(ends, n, uniforms[step, c])
            fields_of(&t, X, sample_weight, scale, candidates, m, work, fields, potentials)
            best = 0
            for c in range(1, m):
                if potentials[c] < potentials[best]:
                    best = c
            chosen[step] = candidates[best]
            memcpy(work, fields + best * n, n * sizeof(double))
    free(work)
    free(block)
