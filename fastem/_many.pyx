# cython: language_level=3, boundscheck=False, wraparound=False, initializedcheck=False, cdivision=True
"""Cython kernels of many small fits, ahead of time: groups of rows in, a fitted mixture of each out.

Design note
 a. A kernel fits groups, one after the other: start, E-step, M-step, stop test.  Elsewhere kernels map parameters to
    sums and nothing more; there a sweep is long.  Here an iteration takes a third of a microsecond (110 rows, k = 2),
    a hundredth of what Python would take between two of them.
 b. Groups are independent: a thread has a run of them, and the bits of a fit depend on its own rows alone.
 c. The lanes of a vector are rows of one group, as in `_kernels.pyx`, filled up with copies of a row at weight 0.
    Rows of weight 0 are left out.
 d. One sweep reads a vector of rows once; densities of a vector and sums by lane stay in cache.  Numerics are those of
    `_kernels.pyx`: base 2, residuals before products, the largest density subtracted; moments about the means of the
    sweep.  The M-step is that of `gaussian.py` and `binomial.py`, the stop rule that of `fit.py`.
 e. `counted` is a constant where a function is inlined: binomial counts, else normal values.
 f. What is wrong with the rows of a group is its status, and its parameters are NaN.
"""
from cython cimport floating
from libc.math cimport INFINITY, NAN, fabs, floor, isnan, log, log1p, log2, sqrt
from libc.stdint cimport int8_t
from libc.stdlib cimport calloc, free

include "_simd.pxi"

cdef extern from *:
    """
    #define LOG2E 1.4426950408889634
    #define LOG2_2PI 2.651496129472319
    #define LOG_2PI 1.8378770664093453
    #define LARGEST 1e140            /* as checks.LARGEST */
    #define LARGEST_SUM 1e305        /* as checks.LARGEST_SUM */
    #define LARGEST_COUNT 0x1p53     /* as checks.LARGEST_COUNT */
    #define EMPTY 0x1p-850           /* as stats.EMPTY */
    #define RESOLUTION 0x1p-50       /* as gaussian.RESOLUTION */
    #define SMALLEST_VARIANCE 1e-200 /* as gaussian.SMALLEST_VARIANCE */
    #define SMALLEST_PROB 0x1p-53    /* as binomial.SMALLEST_PROB */
    #define LOG_ZERO (-1e290)        /* as binomial.LOG_ZERO */
    #define LOWEST_LOGLIK (-1e307)   /* as sweep.LOWEST_LOGLIK */
    #define TIE 1e-9                 /* share of the range by which means of blocks differ, or they are one */
    """
    const double LOG2E, LOG2_2PI, LOG_2PI, LARGEST, LARGEST_SUM, LARGEST_COUNT, EMPTY, RESOLUTION, SMALLEST_VARIANCE
    const double SMALLEST_PROB, LOG_ZERO, LOWEST_LOGLIK, TIE

cdef enum:  # as many.FitStatus
    CONVERGED
    MAX_ITER
    NO_ROWS
    FEW_ROWS
    NOT_FINITE
    NOT_COUNTS


# --------------------------------------------------------------------------------------------------------- a group

cdef struct Group:
    Py_ssize_t k
    Py_ssize_t n             # rows of positive weight
    double total             # their weight
    double base_measure      # sum w log h(x), which no parameter enters
    double reg_covar         # normal only
    double *weights          # (k,)       parameters: a row of the results
    double *location         # (k,)       means, or probs
    double *variances        # (k,)       normal only
    real *x                  # (n,)       values or successes, filled up to a multiple of LANES
    real *failures           # (n,)       binomial only
    real *weight             # (n,)       sample weights, 0 behind the last row
    double *key              # (n,)       what a start sorts
    double *mass             # (n,)       and its weights
    double *log_norm         # (k,)       tables
    double *center           # (k,)       means, or log2 of p
    double *scaling          # (k,)       sqrt(log2(e) / 2) / sd, or log2 of 1 - p
    double *found            # (k,)       means of a start
    real *density            # (k, LANES) log2 (weight * density), then 2^(that - top), of the vector at hand
    double *counts           # (k, LANES) sums of a sweep, by lane; then their totals in (k,)
    double *first            # (k, LANES) sum w r (x - mean),   or sum w r x
    double *second           # (k, LANES) sum w r (x - mean)^2, or sum w r (trials - x)


cdef real *new_group(Group *g, Py_ssize_t k, const int64_t[::1] offsets, const int64_t[::1] edges) except NULL:
    """One zeroed block behind all arrays of the largest of these groups; the caller frees what this returns."""
    cdef Py_ssize_t i, rows = 0, column
    cdef real *block
    for i in range(edges[0], edges[edges.shape[0] - 1]):
        rows = max(rows, offsets[i + 1] - offsets[i])
    rows = padded(rows)
    column = rows + GAP
    block = <real *> calloc(5 * column + 4 * k * LANES + 4 * k + GAP, sizeof(double))
    if block == NULL:
        raise MemoryError(f"no memory for a group of {rows} rows and {k} components")
    g.k = k
    g.x = aligned(block)
    g.failures = g.x + column
    g.weight = g.failures + column
    g.key = g.weight + column
    g.mass = g.key + column
    g.density = g.mass + column
    g.counts = g.density + k * LANES
    g.first = g.counts + k * LANES
    g.second = g.first + k * LANES
    g.log_norm = g.second + k * LANES
    g.center = g.log_norm + k
    g.scaling = g.center + k
    g.found = g.scaling + k
    guard(g.x, 5, rows)
    return block


cdef inline Py_ssize_t padded(Py_ssize_t rows) noexcept nogil:
    """Raised to a multiple of LANES."""
    return (rows + LANES - 1) // LANES * LANES


cdef inline int load_values(Group *g, const floating[:, :] X, const double[:] sample_weight, Py_ssize_t begin,
                            Py_ssize_t end) noexcept nogil:
    """-> CONVERGED where nothing is wrong with the rows."""
    cdef Py_ssize_t row
    cdef double x, w, largest = 0.0
    g.n, g.total, g.base_measure = 0, 0.0, 0.0
    for row in range(begin, end):
        x, w = X[row, 0], sample_weight[row]
        if w == 0.0:
            continue
        if not fabs(x) <= LARGEST:
            return NOT_FINITE
        largest = max(largest, fabs(x))
        g.x[g.n] = x
        add_row(g, x, w, w)
    if g.total * largest * largest > LARGEST_SUM:
        return NOT_FINITE
    return enough(g)


cdef inline int load_counts(Group *g, const number[:, :] X, const number[:, :] trials, const double[:] sample_weight,
                            const double *log_factorials, Py_ssize_t begin, Py_ssize_t end) noexcept nogil:
    """-> CONVERGED where nothing is wrong with the rows.  A start sorts rates that are never 0 or 1."""
    cdef Py_ssize_t row
    cdef double x, tosses, w
    g.n, g.total, g.base_measure = 0, 0.0, 0.0
    for row in range(begin, end):
        x, tosses, w = <double> X[row, 0], <double> trials[row, 0], sample_weight[row]
        if w == 0.0:
            continue
        if not (fabs(x) < INFINITY and fabs(tosses) < INFINITY):
            return NOT_FINITE
        if not (0.0 <= x <= tosses <= LARGEST_COUNT and x == floor(x) and tosses == floor(tosses)):
            return NOT_COUNTS
        g.x[g.n], g.failures[g.n] = x, tosses - x
        g.base_measure += w * (log_factorial(tosses, log_factorials) - log_factorial(x, log_factorials)
                               - log_factorial(tosses - x, log_factorials))
        add_row(g, (x + 0.5) / (tosses + 1.0), w, w * tosses)
    return enough(g)


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


cdef inline double log_factorial(double n, const double *table) noexcept nogil:
    """log n!: a table, then Stirling's series, as binomial.log_factorial."""
    if n < 256.0:
        return table[<Py_ssize_t> n]
    return (n + 0.5) * log(n) - n + 0.5 * LOG_2PI + (1.0 / 12.0 - 1.0 / (360.0 * n * n)) / n


# --------------------------------------------------------------------------------------------------------- starts

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


cdef inline double blocks(Group *g) noexcept nogil:
    """found <- means of k blocks of equal mass of the sorted keys; -> the variance within blocks.

    A row on an edge is shared, so that a row of weight w is w equal rows.  Moments of a block are about its first key.
    """
    cdef Py_ssize_t i, c = 0
    cdef double part, left, delta, all_mass = 0.0, within = 0.0, first = 0.0, second = 0.0, width, room, origin
    sort_pairs(g.key, g.mass, g.n)
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


cdef inline void start_normal(Group *g, double reg_covar, double relative) noexcept nogil:
    """What has not been given, by blocks of the values; reg_covar is added to what is found."""
    cdef Py_ssize_t c
    cdef double variance, square = 0.0
    g.reg_covar = reg_covar + (relative * own_variance(g) if relative > 0.0 else 0.0)
    for c in range(g.k):
        fill(g.weights, c, 1.0 / g.k)
    if not (incomplete(g.location, g.k) or incomplete(g.variances, g.k)):
        return
    variance = blocks(g)
    spread(g, g.key[0], g.key[g.n - 1])
    for c in range(g.k):
        square += g.found[c] * g.found[c] / g.k
    variance = max(variance + g.reg_covar, smallest_variance(variance + square))
    for c in range(g.k):
        fill(g.location, c, g.found[c])
        fill(g.variances, c, variance)


cdef inline double own_variance(const Group *g) noexcept nogil:
    """Of the rows, about their first; 1 where they are constant."""
    cdef Py_ssize_t i
    cdef double mean = 0.0, square = 0.0, delta
    for i in range(g.n):
        mean += g.weight[i] * (g.x[i] - g.x[0]) / g.total
    for i in range(g.n):
        delta = g.x[i] - g.x[0] - mean
        square += g.weight[i] * delta * delta / g.total
    return square if sqrt(square) > RESOLUTION * fabs(g.x[0]) else 1.0


cdef inline double smallest_variance(double mean_square) noexcept nogil:
    """Below it a variance is rounding."""
    return max(RESOLUTION * RESOLUTION * mean_square, SMALLEST_VARIANCE)


cdef inline void start_binomial(Group *g) noexcept nogil:
    """What has not been given, by blocks of the rates of success; even probs where no row has trials."""
    cdef Py_ssize_t c
    cdef double low, high
    for c in range(g.k):
        fill(g.weights, c, 1.0 / g.k)
    if not incomplete(g.location, g.k):
        return
    blocks(g)
    low, high = g.key[0], g.key[g.n - 1]
    spread(g, low if high > low else 0.0, high if high > low else 1.0)
    for c in range(g.k):
        fill(g.location, c, g.found[c])


# ------------------------------------------------------------------------------------------------------ E and M-step

cdef inline void make_tables(Group *g, bint counted) noexcept nogil:
    """As the families' `tables`: logarithms in base 2."""
    cdef Py_ssize_t c
    for c in range(g.k):
        g.log_norm[c] = log2(g.weights[c])
        if counted:
            g.center[c] = max(log2(g.location[c]), LOG_ZERO)
            g.scaling[c] = max(log1p(-g.location[c]) * LOG2E, LOG_ZERO)
        else:
            g.log_norm[c] -= 0.5 * (LOG2_2PI + log2(g.variances[c]))
            g.center[c] = g.location[c]
            g.scaling[c] = sqrt(0.5 * LOG2E / g.variances[c])


cdef inline double sweep(Group *g, bint counted) noexcept nogil:
    """counts, first and second at the parameters; -> log likelihood without the base measure."""
    cdef Py_ssize_t c, i, k = g.k
    cdef vec loglik = broadcast(0.0), top, total, e, x, y = broadcast(0.0), w
    make_tables(g, counted)
    for i in range(3 * k * LANES):  # one behind the other
        g.counts[i] = 0.0
    for i in range(padded(g.n) // LANES):
        x, w = load(g.x, i), load(g.weight, i)
        if counted:
            y = load(g.failures, i)
        top = log_densities(g, x, y, counted)
        total = broadcast(0.0)
        for c in range(k):
            e = exp2_(larger(load(g.density, c) - top, broadcast(LOWEST)))
            store(g.density, c, e)
            total = total + e
        loglik = loglik + w * (top + log2_(total))
        add_moments(g, x, y, w / total, counted)
    for c in range(k):
        g.counts[c], g.first[c], g.second[c] = (
            fold(g.counts + c * LANES), fold(g.first + c * LANES), fold(g.second + c * LANES))
    return max(LN2 * lane_sum(loglik), LOWEST_LOGLIK)


cdef inline vec log_densities(Group *g, vec x, vec y, bint counted) noexcept nogil:
    """log2 (weight N(x; mean, sd^2)) = log_norm - ((x - mean) scaling)^2, or log2 (weight p^x q^y); -> the largest."""
    cdef Py_ssize_t c
    cdef vec u, top = broadcast(FAR_OUT)
    for c in range(g.k):
        if counted:
            u = broadcast(g.log_norm[c]) + (x * g.center[c] + y * g.scaling[c])
        else:
            u = (x - g.center[c]) * g.scaling[c]
            u = broadcast(g.log_norm[c]) - u * u
        u = larger(u, broadcast(FAR_OUT))
        store(g.density, c, u)
        top = larger(u, top)
    return top


cdef inline void add_moments(Group *g, vec x, vec y, vec scale, bint counted) noexcept nogil:
    cdef Py_ssize_t c
    cdef vec r, z
    for c in range(g.k):
        r = load(g.density, c) * scale
        z = x if counted else x - g.center[c]
        store(g.counts, c, load(g.counts, c) + r)
        store(g.first, c, load(g.first, c) + r * z)
        store(g.second, c, load(g.second, c) + r * (y if counted else z * z))


cdef inline void maximize_weights(Group *g) noexcept nogil:
    """As Stats.mixing_weights: 0 for an empty component."""
    cdef Py_ssize_t c
    cdef double total = 0.0
    for c in range(g.k):
        total += g.counts[c]
    for c in range(g.k):
        g.weights[c] = g.counts[c] / total if g.counts[c] > EMPTY * total else 0.0


cdef inline void maximize_normal(Group *g) noexcept nogil:
    """As GaussianStats.maximize: an empty component keeps its mean and variance."""
    cdef Py_ssize_t c
    cdef double delta, smallest, mean_square = 0.0
    maximize_weights(g)
    for c in range(g.k):
        if g.weights[c] > 0.0:
            delta = g.first[c] / g.counts[c]
            g.location[c] += delta
            g.variances[c] = g.second[c] / g.counts[c] - delta * delta
            mean_square += g.weights[c] * (g.variances[c] + g.location[c] * g.location[c])
    smallest = smallest_variance(mean_square)
    for c in range(g.k):
        if g.weights[c] > 0.0:
            g.variances[c] = max(g.variances[c] + g.reg_covar, smallest)


cdef inline void maximize_binomial(Group *g) noexcept nogil:
    """As BinomialStats.maximize: a component without tosses keeps its prob; a failure seen leaves no prob of 1."""
    cdef Py_ssize_t c
    cdef double tosses, nothing = 0.0, prob
    maximize_weights(g)
    for c in range(g.k):
        nothing += EMPTY * (g.first[c] + g.second[c])
    for c in range(g.k):
        tosses = g.first[c] + g.second[c]
        if tosses > nothing:
            prob = g.first[c] / tosses
            g.location[c] = min(prob, 1.0 - SMALLEST_PROB) if g.second[c] > nothing else prob


# --------------------------------------------------------------------------------------------------------------- EM

cdef inline int em(Group *g, bint counted, double tol, Py_ssize_t max_iter, double *loglik,
                   int32_t *n_iter) noexcept nogil:
    """As fit.em; the last sweep is at the parameters it leaves.  -> CONVERGED or MAX_ITER"""
    cdef double previous, criterion = -INFINITY, distance = INFINITY
    while not distance < tol and n_iter[0] < max_iter:
        previous, criterion = criterion, sweep(g, counted) / g.total
        if counted:
            maximize_binomial(g)
        else:
            maximize_normal(g)
        n_iter[0] += 1
        distance = fabs(criterion - previous)
    loglik[0] = max(sweep(g, counted) + g.base_measure, LOWEST_LOGLIK)
    return CONVERGED if distance < tol else MAX_ITER


cdef inline void no_fit(Group *g, bint counted, double *loglik) noexcept nogil:
    cdef Py_ssize_t c
    loglik[0] = NAN
    for c in range(g.k):
        g.weights[c] = g.location[c] = NAN
        if not counted:
            g.variances[c] = NAN


def fit_many_normal(const floating[:, :] X,         # IN     (n, 1)
                    const double[:] sample_weight,  # IN     (n,)
                    const int64_t[::1] offsets,     # IN     (m + 1,)  group g is rows offsets[g] : offsets[g + 1]
                    const int64_t[::1] edges,       # IN     (s + 1,)  share i is groups edges[i] : edges[i + 1]
                    double tol,                     # IN               of the mean log likelihood
                    Py_ssize_t max_iter,            # IN
                    double reg_covar,               # IN               added to variances
                    double relative,                # IN               share of the group's variance that is added
                    double[:, ::1] weights,         # IN/OUT (m, k)    the start; NaN is found from the rows
                    double[:, ::1] means,           # IN/OUT (m, k)
                    double[:, ::1] variances,       # IN/OUT (m, k)
                    double[::1] loglik,             # OUT    (m,)
                    int32_t[::1] n_iter,            # OUT    (m,)      comes as 0
                    int8_t[::1] status):            # OUT    (m,)
    # -> the mixture of each group of these shares
    cdef Group g
    cdef Py_ssize_t i
    cdef real *block = new_group(&g, weights.shape[1], offsets, edges)
    with nogil:
        for i in range(edges[0], edges[edges.shape[0] - 1]):
            g.weights, g.location, g.variances = &weights[i, 0], &means[i, 0], &variances[i, 0]
            status[i] = load_values(&g, X, sample_weight, offsets[i], offsets[i + 1])
            if status[i] == CONVERGED:
                start_normal(&g, reg_covar, relative)
                status[i] = em(&g, False, tol, max_iter, &loglik[i], &n_iter[i])
            else:
                no_fit(&g, False, &loglik[i])
    free(block)


def fit_many_binomial(const number[:, :] X,              # IN     (n, 1)    successes
                      const number[:, :] trials,         # IN     (n, 1)
                      const double[:] sample_weight,     # IN     (n,)
                      const int64_t[::1] offsets,        # IN     (m + 1,)  as for fit_many_normal
                      const int64_t[::1] edges,          # IN     (s + 1,)
                      double tol,                        # IN
                      Py_ssize_t max_iter,               # IN
                      const double[::1] log_factorials,  # IN     (256,)    log n!
                      double[:, ::1] weights,            # IN/OUT (m, k)    the start; NaN is found from the rows
                      double[:, ::1] probs,              # IN/OUT (m, k)
                      double[::1] loglik,                # OUT    (m,)
                      int32_t[::1] n_iter,               # OUT    (m,)      comes as 0
                      int8_t[::1] status):               # OUT    (m,)
    # -> the mixture of each group of these shares
    cdef Group g
    cdef Py_ssize_t i
    cdef real *block = new_group(&g, weights.shape[1], offsets, edges)
    with nogil:
        for i in range(edges[0], edges[edges.shape[0] - 1]):
            g.weights, g.location = &weights[i, 0], &probs[i, 0]
            status[i] = load_counts(&g, X, trials, sample_weight, &log_factorials[0], offsets[i], offsets[i + 1])
            if status[i] == CONVERGED:
                start_binomial(&g)
                status[i] = em(&g, True, tol, max_iter, &loglik[i], &n_iter[i])
            else:
                no_fit(&g, True, &loglik[i])
    free(block)
