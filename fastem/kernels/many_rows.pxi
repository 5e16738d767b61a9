# Many small fits of rows of several columns: EM of one mixture after the other, each from its own start.
#
# A group is copied row by row, without what has no weight, and checked.  Starts are k-means++ and Lloyd's algorithm, on
# columns in units of their standard deviations; after a few iterations from each of them the best goes on, extrapolated
# as by SQUAREM (Varadhan and Roland 2008).  Draws are the same in every group: a fit depends on its own rows alone.

cdef struct Group:
    Model model
    int kind                 # which family
    Py_ssize_t n             # rows of positive weight
    double total             # their weight
    double *rows             # (n, d)
    double *trials           # (n, d)  binomial only, else the rows
    double *weight           # (n,)
    Py_ssize_t stride        # from a column to the next
    double *column           # (d, n)  as k-means has them: rates, roots of counts, over their standard deviations
    double *distance         # (n,)    squared, to the center at hand
    double *nearest          # (n,)    to the nearest
    double *label            # (n,)    which that is
    double *before           # (n,)    a step before
    double *center           # (k, d)
    double *mass             # (k,)    weight of the rows of a center; then trials of a column
    double *pooled           # (d, d)  within centers
    double *kept             # (4, p)  parameters, one set behind the other
    double reg_covar         # added to variances, and
    double relative          # share of those of the group that is added
    double *added            # (d,)
    Py_ssize_t size          # p, of a set of parameters
    uint64_t state           # of the draws

cdef enum:  # kinds
    FULL_ROWS
    DIAGONAL_ROWS
    BINOMIAL_ROWS
    POISSON_ROWS

cdef enum:  # as many_fits.FitStatus
    FITTED
    ENDED
    WITHOUT_ROWS
    TOO_FEW_ROWS
    INFINITE_ROWS
    OTHER_THAN_COUNTS


cdef int load_group(Group *g, const number[:, :] X, const number[:, :] trials, const double[:] sample_weight,
                    Py_ssize_t begin, Py_ssize_t end) noexcept nogil:
    """-> FITTED where nothing is wrong with the rows."""
    cdef Py_ssize_t row, j, d = g.model.tile.d
    cdef double x, tosses, largest = 0.0
    cdef bint counts = g.kind >= BINOMIAL_ROWS
    g.n, g.total = 0, 0.0
    for row in range(begin, end):
        if sample_weight[row] == 0.0:
            continue
        for j in range(d):
            x = <double> X[row, j]
            tosses = <double> trials[row, j] if g.kind == BINOMIAL_ROWS else x
            if not (fabs(x) <= LARGEST and fabs(tosses) <= LARGEST):
                return INFINITE_ROWS
            if counts and not (0.0 <= x <= tosses <= LARGEST_COUNT and x == floor(x) and tosses == floor(tosses)):
                return OTHER_THAN_COUNTS
            largest = max(largest, fabs(x))
            g.rows[g.n * d + j] = g.column[j * g.stride + g.n] = x
            if g.kind == BINOMIAL_ROWS:
                g.trials[g.n * d + j] = tosses
                g.column[j * g.stride + g.n] = (x + 0.5) / (tosses + 1.0)
            elif g.kind == POISSON_ROWS:
                g.column[j * g.stride + g.n] = sqrt(x + 0.5)
        g.weight[g.n] = sample_weight[row]
        g.total += g.weight[g.n]
        g.n += 1
    if g.total * largest * largest * d > LARGEST_SUM:
        return INFINITE_ROWS
    if g.n == 0:
        return WITHOUT_ROWS
    return TOO_FEW_ROWS if g.n < g.model.tile.k else FITTED


# Starts.

cdef inline double draw(Group *g) noexcept nogil:
    """From 0 to 1: xorshift64* (Vigna 2016)."""
    g.state ^= g.state >> 12
    g.state ^= g.state << 25
    g.state ^= g.state >> 27
    return <double> ((g.state * <uint64_t> 0x2545F4914F6CDD1D) >> 11) * UNIT


cdef void scale_columns(Group *g) noexcept nogil:
    """Columns about their means, in units of standard deviations; also what is added to their variances."""
    cdef Py_ssize_t i, j, d = g.model.tile.d
    cdef double mean, square, first, share = 1.0 / g.total
    cdef double *x
    for j in range(d):
        x = g.column + j * g.stride
        mean = square = 0.0
        first = x[0]
        for i in range(g.n):
            x[i] -= first
            mean += share * g.weight[i] * x[i]
        for i in range(g.n):
            x[i] -= mean
            square += share * g.weight[i] * x[i] * x[i]
        if not sqrt(square) > RESOLUTION * fabs(first):  # a constant column
            square = 1.0
        g.added[j] = g.reg_covar + g.relative * square
        for i in range(g.n):
            x[i] *= 1.0 / sqrt(square)


cdef inline void distances(Group *g, const double *center) noexcept nogil:
    cdef Py_ssize_t i, j
    cdef double z
    cdef double *found = g.distance
    cdef const double *x
    for i in range(g.n):
        z = g.column[i] - center[0]
        found[i] = z * z
    for j in range(1, g.model.tile.d):
        x = g.column + j * g.stride
        for i in range(g.n):
            z = x[i] - center[j]
            found[i] += z * z


cdef void spread_centers(Group *g) noexcept nogil:
    """Greedy k-means++ (Arthur and Vassilvitskii 2007): of two draws that which leaves less."""
    cdef Py_ssize_t c, i, j, choice, chosen, d = g.model.tile.d
    cdef double total, left, found, best
    for i in range(g.n):
        g.nearest[i] = 1.0
    for c in range(g.model.tile.k):
        chosen, best, total = 0, INFINITY, 0.0
        for i in range(g.n):
            total += g.weight[i] * g.nearest[i]
        for choice in range(2 if c else 1):
            left = draw(g) * total
            i = 0
            while i < g.n - 1 and not left < g.weight[i] * g.nearest[i]:
                left -= g.weight[i] * g.nearest[i]
                i += 1
            found = potential(g, c, i) if c else 0.0
            if found < best:
                chosen, best = i, found
        potential(g, c, chosen)
        for i in range(g.n):
            g.nearest[i] = min(g.nearest[i], g.distance[i]) if c else g.distance[i]


cdef double potential(Group *g, Py_ssize_t c, Py_ssize_t row) noexcept nogil:
    """What a row leaves as the next center; distance <- from it."""
    cdef Py_ssize_t i, j, d = g.model.tile.d
    cdef double found = 0.0
    for j in range(d):
        g.center[c * d + j] = g.column[j * g.stride + row]
    distances(g, g.center + c * d)
    for i in range(g.n):
        found += g.weight[i] * min(g.nearest[i], g.distance[i])
    return found


cdef bint relabel(Group *g) noexcept nogil:
    """label <- the nearest of the centers; mass <- the weight of their rows.  -> has a label changed?"""
    cdef Py_ssize_t c, i, k = g.model.tile.k
    cdef double *label = g.label
    cdef double *nearest = g.nearest
    cdef const double *found = g.distance
    cdef double changed = 0.0
    for i in range(g.n):
        nearest[i] = INFINITY
    for c in range(k):
        distances(g, g.center + c * g.model.tile.d)
        for i in range(g.n):
            label[i] = c if found[i] < nearest[i] else label[i]
            nearest[i] = min(nearest[i], found[i])
        g.mass[c] = 0.0
    for i in range(g.n):
        changed += 1.0 if label[i] != g.before[i] else 0.0
        g.before[i] = label[i]
        g.mass[<Py_ssize_t> label[i]] += g.weight[i]
    return changed > 0.0


cdef void lloyd(Group *g, Py_ssize_t steps) noexcept nogil:
    """Centers move to the means of their rows."""
    cdef Py_ssize_t c, i, j, step, k = g.model.tile.k, d = g.model.tile.d
    cdef const double *x
    for i in range(g.n):
        g.before[i] = -1.0
    for step in range(steps + 1):
        if not relabel(g) or step == steps:
            return
        for c in range(k):
            for j in range(d):
                g.center[c * d + j] = 0.0 if g.mass[c] > 0.0 else g.center[c * d + j]
        for j in range(d):
            x = g.column + j * g.stride
            for i in range(g.n):
                g.center[<Py_ssize_t> g.label[i] * d + j] += g.weight[i] * x[i]
        for c in range(k):
            for j in range(d):
                g.center[c * d + j] /= g.mass[c] if g.mass[c] > 0.0 else 1.0


cdef void start_from_labels(Group *g) noexcept nogil:
    """Parameters of the rows of each center; of few rows they are drawn to those of all."""
    cdef Py_ssize_t c, i, j, p, k = g.model.tile.k, d = g.model.tile.d
    cdef Params *to = &g.model.params
    cdef double share, few = min(1.0, 0.25 * g.total)
    for c in range(k):
        to.weights[c] = (g.mass[c] + few / k) / (g.total + few)
    if g.kind >= BINOMIAL_ROWS:
        rates_of_labels(g, few)
        return
    for c in range(k):
        for j in range(d):
            to.location[c * d + j] = 0.0 if g.mass[c] > 0.0 else g.rows[c * d + j]
    for i in range(g.n):
        share = g.weight[i] / g.mass[<Py_ssize_t> g.label[i]]
        for j in range(d):
            to.location[<Py_ssize_t> g.label[i] * d + j] += share * g.rows[i * d + j]
    scatter_of_labels(g)


cdef void scatter_of_labels(Group *g) noexcept nogil:
    """Spread: that of the rows of a center, and d + 1 rows of the spread within all."""
    cdef Py_ssize_t c, i, j, p, k = g.model.tile.k, d = g.model.tile.d, at
    cdef double z, few = min(d + 1.0, 0.25 * g.total), share
    cdef const double *x
    cdef const double *mean
    cdef double *spread = g.model.params.spread
    cdef bint full = g.kind == FULL_ROWS
    memset(g.pooled, 0, d * d * sizeof(double))
    memset(spread, 0, g.model.spread_length * sizeof(double))
    for i in range(g.n):
        c = <Py_ssize_t> g.label[i]
        x, mean = g.rows + i * d, g.model.params.location + c * d
        share = g.weight[i] / (g.mass[c] + few)
        for j in range(d):
            z = x[j] - mean[j]
            for p in range(j + 1 if full else 1):
                at = j * d + (p if full else j)
                g.pooled[at] += g.weight[i] / g.total * z * (x[at - j * d] - mean[at - j * d])
                if g.model.isotropic:
                    spread[c] += share * z * z / d
                elif not g.model.shared:
                    spread[c * d * d + at if full else c * d + j] += share * z * (x[at - j * d] - mean[at - j * d])
    for j in range(d):
        for p in range(j if full else 0):
            g.pooled[p * d + j] = g.pooled[j * d + p]
    for c in range(1 if g.model.shared else k):
        share = 1.0 if g.model.shared else few / (g.mass[c] + few)
        for j in range(d):
            if g.model.isotropic:
                spread[c] += (share * g.pooled[j * d + j] + g.added[j]) / d
            elif not full:
                spread[c * d + j] += share * g.pooled[j * d + j] + g.added[j]
            else:
                for p in range(j + 1):
                    at = c * d * d + j * d + p
                    spread[at] += share * g.pooled[j * d + p] + (g.added[j] if p == j else 0.0)
                    spread[c * d * d + p * d + j] = spread[at]


cdef void rates_of_labels(Group *g, double few) noexcept nogil:
    """Probs or rates of the rows of each center, with a row of the mean of all, so that none is 0."""
    cdef Py_ssize_t c, i, j, k = g.model.tile.k, d = g.model.tile.d
    cdef double *location = g.model.params.location
    cdef double events, tosses, mean, mean_tosses
    for j in range(d):
        events = tosses = 0.0
        for i in range(g.n):
            events += g.weight[i] * g.rows[i * d + j]
            tosses += g.weight[i] * (g.trials[i * d + j] if g.kind == BINOMIAL_ROWS else 1.0)
        mean_tosses = tosses / g.total
        mean = (events + 0.5 * few) / (tosses + few)
        for c in range(k):
            g.mass[c], location[c * d + j] = few * (mean_tosses + 1.0), few * (mean_tosses + 1.0) * mean
        for i in range(g.n):
            location[<Py_ssize_t> g.label[i] * d + j] += g.weight[i] * g.rows[i * d + j]
            g.mass[<Py_ssize_t> g.label[i]] += g.weight[i] * (g.trials[i * d + j] if g.kind == BINOMIAL_ROWS else 1.0)
        for c in range(k):
            location[c * d + j] /= g.mass[c]
