# Nearest centers: k-means, for the starts.

cdef inline void nearest_center(Tile *t, const double *scale) noexcept nogil:
    """total <- smallest scaled squared distance, top <- which center is there (as a number); ties go to the first."""
    cdef Py_ssize_t c, i, j
    cdef real z, square
    for i in range(TILE):
        t.top[i] = 0.0
    for c in range(t.k):
        for i in range(TILE):
            t.density[i] = 0.0
        for j in range(t.d):
            for i in range(TILE):
                z = (t.x[j * COLUMN + i] - t.location[c * t.d + j]) * scale[j]
                t.density[i] += z * z
        for i in range(TILE):
            square = t.density[i]
            t.top[i] = <real> c if c and square < t.total[i] else t.top[i]
            t.total[i] = square if c == 0 or square < t.total[i] else t.total[i]


cdef Family NEAREST = Family(NULL, NULL, NULL, centered=True, full=False, has_trials=False)


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
