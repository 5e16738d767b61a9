# A group of rows of a small fit: its arrays, and blocks of its sorted values, from which fits start.

cdef struct Group:
    Py_ssize_t k
    Py_ssize_t n             # rows of positive weight
    double total             # their weight
    double base_measure      # sum w log h(x), which no parameter enters
    double reg_covar         # of variances only
    double per_row           # mean trials of a row, else 1
    double lowest            # of a location, and
    double highest           # exclusive, of an extrapolation
    double middle            # mean of the keys
    double all_mass
    double variance          # of the keys
    double excess            # kurtosis of the keys
    double fewest            # mass of a part of the rows
    double *weights          # (k,)       parameters: a row of the results
    double *location         # (k,)       means, probs, rates
    double *variances        # (k,)       or NULL
    real *x                  # (n,)       values or counts, filled up to a multiple of LANES
    real *failures           # (n,)       of trials; else 0
    real *weight             # (n,)       sample weights, 0 behind the last row
    double *key              # (n,)       what a start sorts
    double *mass             # (n,)       and its weights
    double *zeroth           # (n,)       sums over the sorted rows before: of mass,
    double *moment           # (n,)       of mass (key - middle)
    double *square           # (n,)       and of mass (key - middle)^2
    double *gain             # (n,)       of a cut before this row
    double *log_norm         # (k,)       tables
    double *center           # (k,)       means, or log2 of p or of a rate
    double *scaling          # (k,)       sqrt(log2(e) / 2) / sd, or log2 of 1 - p
    double *found            # (k,)       means of a start
    double *kept             # (4, 3 k)   parameters: weights, location and log variances one behind the other
    int64_t *edges           # (k + 1,)   where parts of the sorted rows begin
    int64_t *cut             # (k,)       the best of each part
    double *cut_gain         # (k,)
    real *density            # (k, LANES) log2 (weight * density), then 2^(that - top), of the vector at hand
    double *counts           # (k, LANES) sums of a sweep, by lane; then their totals in (k,)
    double *first            # (k, LANES) sum w r (x - mean),   or sum w r x
    double *second           # (k, LANES) sum w r (x - mean)^2, or sum w r (trials - x), or 0


cdef real *new_group(Group *g, Py_ssize_t k, const int64_t[::1] offsets, const int64_t[::1] edges) except NULL:
    """One zeroed block behind all arrays of the largest of these groups; the caller frees what this returns."""
    cdef Py_ssize_t i, rows = 0, column
    cdef real *block
    for i in range(edges[0], edges[edges.shape[0] - 1]):
        rows = max(rows, offsets[i + 1] - offsets[i])
    rows = padded(rows + LANES)  # sums over sorted rows are one more, and a cut may begin at any row
    column = rows + GAP
    block = <real *> calloc(COLUMNS * column + 4 * k * LANES + 19 * k + 1 + GAP, sizeof(double))
    if block == NULL:
        raise MemoryError(f"no memory for a group of {rows} rows and {k} components")
    g.k, g.variances = k, NULL
    g.x = aligned(block)
    g.failures = g.x + column
    g.weight = g.failures + column
    g.key = g.weight + column
    g.mass = g.key + column
    g.zeroth = g.mass + column
    g.moment = g.zeroth + column
    g.square = g.moment + column
    g.gain = g.square + column
    g.density = g.gain + column
    g.counts = g.density + k * LANES
    g.first = g.counts + k * LANES
    g.second = g.first + k * LANES
    g.log_norm = g.second + k * LANES
    g.center = g.log_norm + k
    g.scaling = g.center + k
    g.found = g.scaling + k
    g.kept = g.found + k
    g.cut_gain = g.kept + 12 * k
    g.cut = <int64_t *> (g.cut_gain + k)
    g.edges = g.cut + k
    guard(g.x, COLUMNS, rows)
    return block


cdef inline Py_ssize_t padded(Py_ssize_t rows) noexcept nogil:
    """Raised to a multiple of LANES."""
    return (rows + LANES - 1) // LANES * LANES


cdef inline void add_row(Group *g, double key, double weight, double mass) noexcept nogil:
    g.weight[g.n], g.key[g.n], g.mass[g.n] = weight, key, mass
    g.total += weight
    g.n += 1


cdef inline int enough(Group *g) noexcept nogil:
    """Fill up the last vector; -> are there rows for k components?"""
    cdef Py_ssize_t i
    for i in range(g.n, padded(g.n)):
        g.x[i], g.failures[i], g.weight[i] = g.x[0], g.failures[0], 0.0
    if g.n == 0:
        return NO_ROWS
    return FEW_ROWS if g.n < g.k else CONVERGED


cdef inline void sort_pairs(double *key, double *mass, Py_ssize_t n) noexcept nogil:
    """By key, each with its mass: Shell's sort with the gaps of Tokuda (1992)."""
    cdef Py_ssize_t i, j, gap = 1
    cdef double smallest, its_mass
    while gap < n:
        gap = (9 * gap) // 4 + 1
    while gap > 1:
        gap = (4 * (gap - 1) + 8) // 9
        for i in range(gap, n):
            smallest, its_mass = key[i], mass[i]
            j = i
            while j >= gap and key[j - gap] > smallest:
                key[j], mass[j] = key[j - gap], mass[j - gap]
                j -= gap
            key[j], mass[j] = smallest, its_mass


cdef inline Py_ssize_t bucket(const Group *g, double value, double low, double scale) noexcept nogil:
    return min(g.n - 1, <Py_ssize_t> ((value - low) * scale))


cdef inline void sort_rows(Group *g) noexcept nogil:
    """Keys and masses, by as many buckets as there are rows, each of which is sorted: a fifth of the time."""
    cdef Py_ssize_t i, begin, end
    cdef double low = INFINITY, high = -INFINITY, scale
    cdef double *ends = g.zeroth
    for i in range(g.n):
        low, high = min(low, g.key[i]), max(high, g.key[i])
        ends[i] = 0.0
        g.moment[i], g.square[i] = g.key[i], g.mass[i]
    scale = (g.n - 1) / (high - low) if high > low else 0.0
    if not scale < INFINITY:
        sort_pairs(g.key, g.mass, g.n)
        return
    for i in range(g.n):
        ends[bucket(g, g.moment[i], low, scale)] += 1.0
    for i in range(1, g.n):
        ends[i] += ends[i - 1]
    for i in range(g.n - 1, -1, -1):
        begin = bucket(g, g.moment[i], low, scale)
        ends[begin] -= 1.0
        end = <Py_ssize_t> ends[begin]
        g.key[end], g.mass[end] = g.moment[i], g.square[i]
    for i in range(g.n):
        begin, end = <Py_ssize_t> ends[i], <Py_ssize_t> ends[i + 1] if i + 1 < g.n else g.n
        if end - begin > 1:
            sort_pairs(g.key + begin, g.mass + begin, end - begin)


cdef inline double blocks(Group *g) noexcept nogil:
    """found <- means of k blocks of equal mass of the sorted rows; -> the variance within blocks.

    A row on an edge is shared, so that a row of weight w is w equal rows.  Moments of a block are about its first key.
    """
    cdef Py_ssize_t i, c = 0
    cdef double part, left, delta, all_mass = 0.0, within = 0.0, first = 0.0, second = 0.0, width, room, origin
    for i in range(g.n):
        all_mass += g.mass[i]
    width = room = all_mass / g.k
    origin = g.key[0]
    for i in range(g.n):
        left = g.mass[i]
        while left > room and c < g.k - 1:
            delta = g.key[i] - origin
            within += close_block(g, c, origin, first + room * delta, second + room * delta * delta, width)
            left, room, origin, first, second, c = left - room, width, g.key[i], 0.0, 0.0, c + 1
        delta, part = g.key[i] - origin, left
        first, second, room = first + part * delta, second + part * delta * delta, room - part
    within += close_block(g, c, origin, first, second, width)
    for i in range(c + 1, g.k):  # where there is no mass at all
        g.found[i] = g.key[g.n - 1]
    return max(within, 0.0) / all_mass if all_mass > 0.0 else 0.0


cdef inline double close_block(Group *g, Py_ssize_t c, double origin, double first, double second,
                               double width) noexcept nogil:
    """found[c]; -> sum of squares about it."""
    cdef double delta = first / width if width > 0.0 else 0.0
    g.found[c] = origin + delta
    return second - first * delta


cdef inline void spread(Group *g, double low, double high) noexcept nogil:
    """Where means tie they are moved apart, half way to even ones: EM cannot separate equal components."""
    cdef Py_ssize_t c
    cdef bint tied = False
    for c in range(1, g.k):
        tied |= not g.found[c] - g.found[c - 1] > TIE * (high - low)
    for c in range(g.k if tied else 0):
        g.found[c] = 0.5 * (g.found[c] + low + (high - low) * (c + 0.5) / g.k)


cdef inline bint incomplete(const double *values, Py_ssize_t k) noexcept nogil:
    """Is any to be found?"""
    cdef Py_ssize_t c
    for c in range(k):
        if isnan(values[c]):
            return True
    return False


cdef inline void fill(double *values, Py_ssize_t c, double value) noexcept nogil:
    if isnan(values[c]):
        values[c] = value


# What families of counts share.

cdef inline void start_rates(Group *g, double highest) noexcept nogil:
    """What has not been given, by blocks of the rates; where all rows have one rate even ones up to the highest."""
    cdef Py_ssize_t c
    cdef double low, high
    for c in range(g.k):
        fill(g.weights, c, 1.0 / g.k)
    if not incomplete(g.location, g.k):
        return
    blocks(g)
    low, high = g.key[0], g.key[g.n - 1]
    spread(g, low if high > low else 0.0, high if high > low else highest)
    for c in range(g.k):
        fill(g.location, c, g.found[c])


cdef inline bint nothing_given(const Group *g) noexcept nogil:
    cdef Py_ssize_t c
    for c in range(g.k):
        if not (isnan(g.weights[c]) and isnan(g.location[c]) and (g.variances == NULL or isnan(g.variances[c]))):
            return False
    return True


cdef inline void forget(Group *g) noexcept nogil:
    """No parameter is given."""
    cdef Py_ssize_t c
    for c in range(g.k):
        g.weights[c] = g.location[c] = NAN
        if g.variances != NULL:
            g.variances[c] = NAN


cdef inline double log_factorial(double n, const double *table) noexcept nogil:
    """log n!: a table, then Stirling's series, as counts.log_factorial."""
    if n < 256.0:
        return table[<Py_ssize_t> n]
    return (n + 0.5) * log(n) - n + 0.5 * LOG_2PI + (1.0 / 12.0 - 1.0 / (360.0 * n * n)) / n
