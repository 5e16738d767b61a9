# The rows of one component, and their moments.

cdef struct Component:       # the rows of one, and its moments
    Py_ssize_t n
    Py_ssize_t d
    double total
    double weight            # of all its rows, of which those here are a part
    double *rows             # (n, d)
    double *weights          # (n,)
    double *z                # (n, d)    rows, whitened
    double *key              # (n,)      what is sorted
    int64_t *order           # (n,)      a heap of rows, the smallest key first
    Py_ssize_t left          # of them
    int64_t *side            # (n,)      0 or 1
    double *mean             # (d,)
    double *covariance       # (d, d)    regularised
    double *factor           # (d, d)    L, lower, L^T L = the inverse of what the structure makes of it
    double *own              # (d, d)    that
    double *direction        # (d,)
    double *other            # (d,)
    double *pivots           # (d,)


cdef double *new_component(Component *g, Py_ssize_t d, Py_ssize_t most, double[:, ::1] rows,
                           double[::1] weights) except NULL:
    cdef double *block = <double *> malloc((most * d + 3 * most + 3 * d * d + 4 * d) * sizeof(double))
    if block == NULL:
        raise MemoryError(f"no memory for {most} rows of {d} features")
    g.d, g.rows, g.weights = d, &rows[0, 0], &weights[0]
    g.z = block
    g.key = g.z + most * d
    g.order = <int64_t *> (g.key + most)
    g.side = g.order + most
    g.covariance = g.key + 3 * most
    g.factor = g.covariance + d * d
    g.own = g.factor + d * d
    g.mean = g.own + d * d
    g.direction = g.mean + d
    g.other = g.direction + d
    g.pivots = g.other + d
    return block


cdef void gather_rows(Component *g, const double[:, ::1] X, const double[:] sample_weight, const int32_t[::1] labels,
                      int32_t label, Py_ssize_t most) noexcept nogil:
    """At most so many rows: at even steps of their weight, each with the weight of its steps, if there are more."""
    cdef Py_ssize_t row, j, count = 0, step = 0, hits
    cdef double so_far = 0.0
    g.n, g.weight, g.total = 0, 0.0, 0.0
    for row in range(X.shape[0]):
        if labels[row] == label:
            count += 1
            g.weight += sample_weight[row]
    for row in range(X.shape[0]):
        if labels[row] != label:
            continue
        so_far += sample_weight[row]
        hits = 0
        while count > most and step < most and (step + 0.5) * g.weight <= so_far * most:
            step += 1
            hits += 1
        if count > most and not hits:
            continue
        for j in range(g.d):
            g.rows[g.n * g.d + j] = X[row, j]
        g.weights[g.n] = hits * (g.weight / most) if count > most else sample_weight[row]
        g.total += g.weights[g.n]
        g.n += 1


cdef void moments_of(const Component *g, const int64_t *side, int64_t wanted, const double *added, double *mean,
                     double *covariance, double *count) noexcept nogil:
    """Of the rows of a side, or of all where there are no sides."""
    cdef Py_ssize_t row, i, j, d = g.d
    cdef double w
    cdef double *z = g.direction
    memset(mean, 0, d * sizeof(double))
    memset(covariance, 0, d * d * sizeof(double))
    count[0] = 0.0
    for row in range(g.n):
        if side == NULL or side[row] == wanted:
            count[0] += g.weights[row]
            add_multiple(g.weights[row], g.rows + row * d, mean, d)
    for j in range(d):
        mean[j] /= count[0]
    for row in range(g.n):
        if side == NULL or side[row] == wanted:
            w = g.weights[row] / count[0]
            for j in range(d):
                z[j] = g.rows[row * d + j] - mean[j]
            for i in range(d):
                add_multiple(w * z[i], z, covariance + i * d, i + 1)
    for i in range(d):
        covariance[i * d + i] += added[i]
    mirror_lower(covariance, d)


cdef void shape_of(const double *covariance, Py_ssize_t d, bint full, bint isotropic, double *spread) noexcept nogil:
    """What the structure has of a matrix."""
    cdef Py_ssize_t j
    cdef double mean = 0.0
    if full:
        memcpy(spread, covariance, d * d * sizeof(double))
        return
    for j in range(d):
        mean += covariance[j * d + j] / d
        if not isotropic:
            spread[j] = covariance[j * d + j]
    if isotropic:
        spread[0] = mean


cdef bint whiten_component(Component *g, bint full, bint isotropic) noexcept nogil:
    """own, factor and z.  -> is the matrix definite?"""
    cdef Py_ssize_t row, i, j, d = g.d
    cdef double mean = 0.0, found
    memcpy(g.own, g.covariance, d * d * sizeof(double))
    if not full:
        for j in range(d):
            mean += g.covariance[j * d + j] / d
        memset(g.own, 0, d * d * sizeof(double))
        for j in range(d):
            g.own[j * d + j] = mean if isotropic else g.covariance[j * d + j]
    memcpy(g.factor, g.own, d * d * sizeof(double))
    if not decompose(d, g.factor, g.pivots):
        return False
    invert_transposed(d, g.factor)
    for row in range(g.n):
        for j in range(d):
            g.other[j] = g.rows[row * d + j] - g.mean[j]
        for i in range(d):
            found = 0.0
            for j in range(0 if full else i, i + 1):
                found += g.factor[i * d + j] * g.other[j]
            g.z[row * d + i] = found
    return True


cdef double loglik_of_one(const Component *g) noexcept nogil:
    """Of the rows, if they are of one component."""
    cdef Py_ssize_t row, j, d = g.d
    cdef double norm = -0.5 * d * LOG2_2PI * LN2, square, total = 0.0
    for j in range(d):
        norm += log(g.factor[j * d + j])
    for row in range(g.n):
        square = 0.0
        for j in range(d):
            square += g.z[row * d + j] * g.z[row * d + j]
        total += g.weights[row] * (norm - 0.5 * square)
    return total


cdef inline bint comes_before(const Component *g, int64_t a, int64_t b) noexcept nogil:
    """Has a row the smaller key, or of equal ones the smaller number?"""
    return g.key[a] < g.key[b] or (g.key[a] == g.key[b] and a < b)


cdef void sift(Component *g, Py_ssize_t place) noexcept nogil:
    """Move the row at this place of the heap down to where it belongs."""
    cdef int64_t row = g.order[place]
    cdef Py_ssize_t child = 2 * place + 1
    while child < g.left:
        if child + 1 < g.left and comes_before(g, g.order[child + 1], g.order[child]):
            child += 1
        if not comes_before(g, g.order[child], row):
            break
        g.order[place] = g.order[child]
        place, child = child, 2 * child + 1
    g.order[place] = row


cdef void make_heap(Component *g) noexcept nogil:
    """order <- all rows, the one with the smallest key first: only few of them are wanted in their order."""
    cdef Py_ssize_t i
    g.left = g.n
    for i in range(g.n):
        g.order[i] = i
    for i in range(g.n // 2 - 1, -1, -1):
        sift(g, i)


cdef int64_t pop_heap(Component *g) noexcept nogil:
    """The row that comes first of those left."""
    cdef int64_t row = g.order[0]
    g.left -= 1
    g.order[0] = g.order[g.left]
    sift(g, 0)
    return row


cdef inline double distance(const Component *g, Py_ssize_t a, Py_ssize_t b) noexcept nogil:
    """Squared, of two whitened rows; b < 0 is the mean."""
    cdef Py_ssize_t j
    cdef double z, found = 0.0
    for j in range(g.d):
        z = g.z[a * g.d + j] - (g.z[b * g.d + j] if b >= 0 else 0.0)
        found += z * z
    return found


cdef Py_ssize_t row_at(const Component *g, double uniform) noexcept nogil:
    cdef Py_ssize_t row
    cdef double left = uniform * g.total
    for row in range(g.n):
        left -= g.weights[row]
        if left < 0.0:
            return row
    return g.n - 1
