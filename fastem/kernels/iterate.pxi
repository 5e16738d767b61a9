# EM of one mixture on few rows: iterations one after the other, on the thread that calls.
#
# What happens in nearly every iteration happens here.  Where something else does (a component without rows, a variance
# at its floor, a sum that is not finite, a log likelihood that has fallen) the loop ends before that iteration, which
# is for the driver in Python (fitting/driver.py): it knows what to do.

cdef struct Params:
    double *weights          # (k,)
    double *location         # (k, d)  means, probs or rates
    double *spread           # as the family has it, or empty

cdef struct Model
ctypedef void (*MakeTables)(Model *) noexcept nogil
ctypedef bint (*Maximize)(Model *, const double *) noexcept nogil

cdef struct Model:
    Tile tile
    MakeTables make_tables   # params -> tables of the tile
    Maximize maximize        # sums -> reached; -> is it an M-step as any other?
    Py_ssize_t spread_length
    Params params            # to be swept
    Params reached           # by the M-step
    Params last              # of the last iteration
    const int8_t *fixed      # (3, k)  weights, location, spread of each component; NULL where nothing is
    const double *added      # (d,)    to variances
    double *factors          # (k, d, d) or (k, d): of the params, as the tables have them but for a constant
    double *delta            # (k, d)  how far means go
    double *floors           # (d,)    variances that are rounding
    double *pivots           # (d,)    of a matrix at hand
    bint shared              # spread is one matrix for all components
    bint isotropic           # spread is one variance for each component

cdef struct StopRule:        # as `stopping`, `tol` and the criterion so far
    double code              # LOGLIK, Q, AITKEN
    double tol
    double total             # weight of the rows
    double base              # of the log likelihood, which no parameter enters
    double criterion         # before the first iteration
    double known             # log likelihoods before the first iteration: 0, 1 or 2
    double before            # the last but one
    double previous          # the last
    double fall              # OUT: the largest fall of the log likelihood
    double fell_at           # OUT: iterations before it

cdef enum:
    LOGLIK
    Q
    AITKEN


cdef double *new_model(Model *m, double[::1] weights, double[:, ::1] location, double[::1] spread,
                       double[::1] last, const double[::1] added, const int8_t[:, ::1] fixed,
                       Py_ssize_t factors_length) except NULL:
    """params are those of the caller, `last` is weights, location and spread one behind the other; the caller frees
    what this returns."""
    cdef Py_ssize_t k = location.shape[0], d = location.shape[1]
    cdef double *block
    m.spread_length = spread.shape[0]
    m.params.weights, m.params.location, m.params.spread = &weights[0], &location[0, 0], NULL
    m.last.weights = &last[0]
    m.last.location, m.last.spread = m.last.weights + k, m.last.weights + k + k * d
    m.fixed, m.added = NULL, NULL
    if m.spread_length:
        m.params.spread = &spread[0]
    if fixed.shape[0]:
        m.fixed = &fixed[0, 0]
    if added.shape[0]:
        m.added = &added[0]
    m.shared = m.isotropic = False
    block = <double *> calloc(2 * k * d + k + m.spread_length + factors_length + 1, sizeof(double))
    if block == NULL:
        raise MemoryError(f"no memory for the workspace of {k} components in {d} dimensions")
    m.reached.weights, m.reached.location, m.reached.spread = block, block + k, block + k + k * d
    m.delta = m.reached.spread + m.spread_length
    m.factors = m.delta + k * d
    return block


cdef Py_ssize_t iterate(Model *m, const number[:, :] X, const number[:, :] trials, const double[:] sample_weight,
                        Py_ssize_t slot_rows, double[:, ::1] sums, double[:, ::1] trace,
                        double[::1] rule) noexcept nogil:
    """sums (2 + slots, .): row 0 is OUT, those of the last iteration.  -> iterations; their log likelihood and entropy
    in trace."""
    cdef StopRule *stop = <StopRule *> &rule[0]
    cdef Py_ssize_t done = 0, i, s, length = sums.shape[1], slots = sums.shape[0] - 2
    cdef double loglik, entropy, distance = INFINITY, fall
    while done < trace.shape[0] and not distance < stop.tol:
        m.make_tables(m)
        accumulate_slots(&m.tile, X, trials, sample_weight, slot_rows, sums[2:])
        for i in range(length):
            sums[1, i] = sums[2, i]
        for s in range(1, slots):
            for i in range(length):
                sums[1, i] += sums[2 + s, i]
        sums[1, length - 2] += stop.base
        loglik, entropy = sums[1, length - 2], sums[1, length - 1]
        fall = stop.previous - loglik if stop.known > 0.0 else 0.0
        if not all_finite(&sums[1, 0], length) or fall > certain_rounding(m, stop.total):
            break
        if not m.maximize(m, &sums[1, 0]):
            break
        if fall > stop.fall:
            stop.fall, stop.fell_at = fall, done
        for i in range(length):
            sums[0, i] = sums[1, i]
        copy_params(m, &m.params, &m.last)
        copy_params(m, &m.reached, &m.params)
        trace[done, 0], trace[done, 1] = loglik, entropy
        distance = distance_of(stop, loglik, entropy)
        done += 1
    return done


cdef inline bint all_finite(const double *values, Py_ssize_t n) noexcept nogil:
    cdef Py_ssize_t i
    cdef double nothing = 0.0
    for i in range(n):
        nothing += 0.0 * values[i]
    return nothing == 0.0


cdef inline double certain_rounding(const Model *m, double total) noexcept nogil:
    """Part of every bound of `Stats.rounding`: a fall by less is rounding."""
    return UNIT * (m.tile.k + 10) * total


cdef inline void copy_params(const Model *m, const Params *source, Params *target) noexcept nogil:
    memcpy(target.weights, source.weights, m.tile.k * sizeof(double))
    memcpy(target.location, source.location, m.tile.k * m.tile.d * sizeof(double))
    if m.spread_length:
        memcpy(target.spread, source.spread, m.spread_length * sizeof(double))


cdef inline double distance_of(StopRule *stop, double loglik, double entropy) noexcept nogil:
    """What tol is compared with, as Run.advance has it."""
    cdef double criterion = loglik - entropy if stop.code == Q else loglik / stop.total, found
    found = fabs(criterion - stop.criterion)
    if stop.code == AITKEN:
        found = still_to_gain(stop, loglik) / stop.total
    stop.criterion = criterion
    stop.before, stop.previous = stop.previous, loglik
    stop.known = min(stop.known + 1.0, 2.0)
    return found


cdef inline double still_to_gain(const StopRule *stop, double loglik) noexcept nogil:
    """As driver.still_to_gain."""
    cdef double first = stop.previous - stop.before, last = loglik - stop.previous
    if stop.known < 2.0:
        return INFINITY
    if fabs(last) <= NO_CHANGE * fabs(loglik):
        return 0.0
    if last < 0.0:
        return INFINITY
    return last * last / (first - last) if last < first else INFINITY


cdef inline bint is_fixed(const Model *m, int which, Py_ssize_t c) noexcept nogil:
    return m.fixed != NULL and m.fixed[which * m.tile.k + c]


cdef inline bint maximize_weights(Model *m, const double *counts) noexcept nogil:
    """As Stats.mixing_weights.  -> has every component rows?"""
    cdef Py_ssize_t c, k = m.tile.k
    cdef double total = 0.0, free = 0.0, left = 1.0
    for c in range(k):
        total += counts[c]
    for c in range(k):
        if not counts[c] > EMPTY * total:
            return False
        if is_fixed(m, 0, c):
            left -= m.params.weights[c]
        else:
            free += counts[c]
    for c in range(k):
        if is_fixed(m, 0, c):
            m.reached.weights[c] = m.params.weights[c]
        elif m.fixed == NULL:
            m.reached.weights[c] = counts[c] / total
        else:
            m.reached.weights[c] = counts[c] / free * max(0.0, left)
    return True


cdef Py_ssize_t run_counts(const Family *family, MakeTables make_tables, Maximize maximize, const number[:, :] X,
                           const number[:, :] trials, const double[:] sample_weight, Py_ssize_t slot_rows,
                           double[::1] weights, double[:, ::1] location, double[::1] spread, double[::1] last,
                           const double[::1] added, const int8_t[:, ::1] fixed, double[:, ::1] sums,
                           double[:, ::1] trace, double[::1] rule) except -1:
    """EM of a family of counts, whose components have no spread of their own."""
    cdef Model m
    cdef Py_ssize_t done
    cdef Py_ssize_t size = location.shape[0] * location.shape[1]
    cdef double *block = new_model(&m, weights, location, spread, last, added, fixed, size)
    cdef real *tile = NULL
    try:
        tile = new_tile(&m.tile, family, NULL, location, m.factors, sums.shape[1] - 2)
        m.make_tables, m.maximize = make_tables, maximize
        with nogil:
            done = iterate(&m, X, trials, sample_weight, slot_rows, sums, trace, rule)
    finally:
        free(tile)
        free(block)
    return done
