# EM of one mixture on few rows: iterations one after the other, on the thread that calls.
#
# What happens in nearly every iteration happens here.  Where something else does (a variance at its floor, a sum that
# is not finite, a log likelihood that has fallen) the loop ends before the M-step, which is for the driver in Python
# (fitting/driver.py): it knows what to do.

cdef struct Params:
    double *weights          # (k,)
    double *location         # (k, d)  means, probs or rates
    double *spread           # as the family has it, or empty

cdef struct Model
ctypedef void (*Act)(Model *) noexcept nogil
ctypedef bint (*Attempt)(Model *) noexcept nogil
ctypedef double (*AddPrior)(Model *) noexcept nogil
ctypedef void (*ToVector)(Model *, const Params *, double *) noexcept nogil
ctypedef void (*Gradient)(Model *, double *) noexcept nogil
ctypedef int (*FromVector)(Model *, const double *) noexcept nogil

cdef struct Mixture:         # the functions of a family
    Act make_tables          # params -> tables of the tile
    Attempt find_factors     # of the params: -> are they definite?
    AddPrior add_prior       # sums and counts with those of the prior -> log density of the prior
    Attempt maximize         # sums and counts -> reached, and its factors: -> is it an M-step as any other?
    ToVector to_vector       # the factors are those of these params
    Gradient gradient        # of the log likelihood at the params, after the M-step
    FromVector from_vector   # -> proposal, and its factors: MADE, NOT_FINITE or UNUSUAL

cdef enum:
    NOT_FINITE
    MADE
    UNUSUAL                  # and left to the driver

cdef struct Model:
    Tile tile
    const Mixture *of
    Py_ssize_t spread_length
    Py_ssize_t factors_length
    Py_ssize_t sums_length
    Params params            # to be swept
    Params made              # by the M-step at hand
    Params proposal          # an extrapolation
    Params last              # of the last iteration
    Params reached           # by its M-step
    const int8_t *fixed      # (3, k)  weights, location, spread of each component; NULL where nothing is
    const double *added      # (d,)    to variances
    const double *units      # (2, d)  of coordinates: those of means, and of standard deviations
    const double *prior      # as add_prior reads it; NULL where there is none
    double *sums             # of the rows and of the prior
    double *counts           # (k,)    behind the weights
    double *location_counts  # (k,)    behind the first moments
    double *spread_counts    # (k,)    behind the second
    double least             # counts of a component without rows
    double *factors          # (k, d, d) or (k, d): of the params, as the tables have them but for a constant
    double *swept_factors    # likewise, of the params that have been swept
    double *scaling          # of the tile, of factors or logarithms
    double *delta            # (k, d)  how far means go
    double *floors           # (d,)    variances that are rounding
    double *pivots           # (3, d)  of a matrix at hand, and scratch
    double *inverse          # (2, d, d) scratch, where factors are matrices
    double *middle           # (d,)    of the means
    bint shared              # spread is one matrix for all components
    bint isotropic           # spread is one variance for each component

cdef struct Run:             # as fitting.driver has it between two sweeps
    double code              # of the stop rule
    double tol
    double total             # weight of the rows
    double base              # of the log likelihood, which no parameter enters
    double criterion         # before the first iteration
    double known             # log likelihoods before the first iteration: 0, 1 or 2
    double before            # the last but one
    double previous          # the last
    double fall              # OUT: the largest fall of the log likelihood
    double fell_at           # OUT: iterations before it
    double step              # how the params were reached, as result.STEPS
    double pending           # OUT: whether row 1 of sums are those of the params, whose M-step is left to the driver
    double distance          # OUT: what tol is compared with
    double accelerated       # by quasi-Newton steps?
    double trust_radius      # as acceleration.Extrapolation
    double size
    double limited
    double gains             # how many of these are known
    double gain_0            # the last but two
    double gain_1
    double gain_2
    double seen              # is row 0 of memory known?
    double pairs             # from row 3 of memory on
    double oldest            # of them, from row 3

cdef enum:
    LOGLIK
    Q
    AITKEN
    GRADIENT

cdef enum:
    START
    PLAIN
    ACCELERATED
    REJECTED


cdef double *new_model(Model *m, double[::1] weights, double[:, ::1] location, double[::1] spread,
                       double[:, ::1] others, const double[::1] added, const int8_t[:, ::1] fixed,
                       const double[:, ::1] units, const double[::1] prior, Py_ssize_t factors_length,
                       Py_ssize_t sums_length) except NULL:
    """params are those of the caller, and so are those of `others`; the caller frees what this returns."""
    cdef Py_ssize_t k = location.shape[0], d = location.shape[1], length = k + k * d + spread.shape[0]
    cdef double *block
    m.spread_length, m.factors_length, m.sums_length = spread.shape[0], factors_length, sums_length
    m.params.weights, m.params.location, m.params.spread = &weights[0], &location[0, 0], NULL
    if m.spread_length:
        m.params.spread = &spread[0]
    place_params(&m.last, &others[0, 0], k, d)
    place_params(&m.reached, &others[1, 0], k, d)
    m.fixed = &fixed[0, 0] if fixed.shape[0] else NULL
    m.added = &added[0] if added.shape[0] else NULL
    m.units = &units[0, 0] if units.shape[0] else NULL
    m.prior = &prior[0] if prior.shape[0] else NULL
    m.shared = m.isotropic = False
    block = <double *> calloc(2 * length + sums_length + 3 * k + k * d + 3 * factors_length + 5 * d
                              + 2 * (factors_length // k), sizeof(double))
    if block == NULL:
        raise MemoryError(f"no memory for the workspace of {k} components in {d} dimensions")
    place_params(&m.made, block, k, d)
    place_params(&m.proposal, block + length, k, d)
    m.sums = block + 2 * length
    m.counts = m.sums + sums_length
    m.location_counts = m.counts + k
    m.spread_counts = m.location_counts + k
    m.delta = m.spread_counts + k
    m.factors = m.delta + k * d
    m.swept_factors = m.factors + factors_length
    m.scaling = m.swept_factors + factors_length
    m.floors = m.scaling + factors_length
    m.pivots = m.floors + d
    m.middle = m.pivots + 3 * d
    m.inverse = m.middle + d
    return block


cdef void place_params(Params *params, double *at, Py_ssize_t k, Py_ssize_t d) noexcept nogil:
    """weights, location and spread one behind the other"""
    params.weights, params.location, params.spread = at, at + k, at + k + k * d


cdef Py_ssize_t iterate(Model *m, const double[:, :] X, const double[:, :] trials, const double[:] sample_weight,
                        Py_ssize_t slot_rows, double[:, ::1] sums, double[:, ::1] trace, double[:, :, ::1] memory,
                        double[::1] state) noexcept nogil:
    """sums (2 + slots, .): row 0 is OUT, those of the last iteration.  -> iterations; their log likelihood, entropy and
    step in trace."""
    cdef Run *run = <Run *> &state[0]
    cdef Py_ssize_t done = 0, p = memory.shape[2]
    cdef double loglik, slope, step
    cdef double *memo = &memory[0, 0, 0] if memory.shape[0] else NULL
    while done < trace.shape[0] and not run.distance < run.tol:
        m.of.make_tables(m)
        accumulate_slots(&m.tile, X, trials, sample_weight, slot_rows, sums[2:])
        loglik = fold_slots(m, sums, run.base)
        if run.step == ACCELERATED and not loglik >= run.previous - NO_CHANGE * fabs(run.previous):
            fall_back(run)
            copy_params(m, &m.reached, &m.params)
            run.step = REJECTED
            if not m.of.find_factors(m):
                break
            continue
        run.pending = loglik - loglik == 0.0
        if not run.pending or is_a_fall(m, run, loglik):
            break
        if memo != NULL:
            m.of.to_vector(m, &m.params, memo + 3 * p)
            memcpy(m.swept_factors, m.factors, m.factors_length * sizeof(double))
        if not m.of.maximize(m):
            break
        slope = look_ahead(m, memo, p) if memo != NULL else 0.0
        step = run.step
        run.pending = not advance(m, run, memo, p, loglik, done)
        if run.pending:
            break
        memcpy(&sums[0, 0], &sums[1, 0], m.sums_length * sizeof(double))
        trace[done, 0], trace[done, 1] = loglik, sums[1, m.sums_length - 1]
        trace[done, 2] = step
        run.distance = distance_of(run, loglik, trace[done, 1], slope)
        done += 1
    return done


cdef double fold_slots(Model *m, double[:, ::1] sums, double base) noexcept nogil:
    """Row 1 of sums <- those of the slots.  -> log likelihood, and the log density of the prior; NaN where a sum is not
    finite."""
    cdef Py_ssize_t i, s, length = m.sums_length
    cdef double loglik
    memcpy(&sums[1, 0], &sums[2, 0], length * sizeof(double))
    for s in range(1, sums.shape[0] - 2):
        for i in range(length):
            sums[1, i] += sums[2 + s, i]
    sums[1, length - 2] += base
    loglik = sums[1, length - 2]
    memcpy(m.sums, &sums[1, 0], length * sizeof(double))
    for i in range(m.tile.k):
        m.counts[i] = m.location_counts[i] = m.spread_counts[i] = m.sums[i]
    if m.prior != NULL:
        loglik += m.of.add_prior(m)
    return loglik if all_finite(m.sums, length) else NAN


cdef inline bint all_finite(const double *values, Py_ssize_t n) noexcept nogil:
    cdef Py_ssize_t i
    cdef double nothing = 0.0
    for i in range(n):
        nothing += 0.0 * values[i]
    return nothing == 0.0


cdef bint is_a_fall(const Model *m, const Run *run, double loglik) noexcept nogil:
    """Has the log likelihood fallen by more than the part of `Stats.rounding` that is certain?"""
    cdef double bound = UNIT * (m.tile.k + 10) * run.total
    if run.step == ACCELERATED:
        bound = max(bound, NO_CHANGE * fabs(run.previous))
    return run.known > 0.0 and run.previous - loglik > bound


cdef bint advance(Model *m, Run *run, double *memory, Py_ssize_t p, double loglik, Py_ssize_t done) noexcept nogil:
    """Go to the parameters of the next sweep, as Run.advance.  -> False, and nothing has changed: it is not usual"""
    cdef Run changed = run[0]
    cdef int found = NOT_FINITE
    cdef double fall = run.previous - loglik if run.known > 0.0 else 0.0
    if run.accelerated:
        found = extrapolate(m, &changed, memory, p, loglik)
        if found == UNUSUAL:
            return False
        memcpy(memory, memory + 3 * p, 3 * p * sizeof(double))
        changed.seen = 1.0
    changed.step = ACCELERATED if found == MADE else PLAIN
    if fall > run.fall:
        changed.fall, changed.fell_at = fall, done
    run[0] = changed
    copy_params(m, &m.params, &m.last)
    copy_params(m, &m.made, &m.reached)
    copy_params(m, &m.proposal if found == MADE else &m.made, &m.params)
    return True


cdef inline void copy_params(const Model *m, const Params *source, Params *target) noexcept nogil:
    memcpy(target.weights, source.weights, m.tile.k * sizeof(double))
    memcpy(target.location, source.location, m.tile.k * m.tile.d * sizeof(double))
    if m.spread_length:
        memcpy(target.spread, source.spread, m.spread_length * sizeof(double))


cdef inline double distance_of(Run *run, double loglik, double entropy, double slope) noexcept nogil:
    """What tol is compared with, as Run.advance has it."""
    cdef double criterion = loglik - entropy if run.code == Q else loglik / run.total, found
    found = fabs(criterion - run.criterion)
    if run.code == AITKEN:
        found = (largest_gain(run) if run.accelerated else still_to_gain(run, loglik)) / run.total
    elif run.code == GRADIENT:
        found = slope / run.total
    run.criterion = criterion
    run.before, run.previous = run.previous, loglik
    run.known = min(run.known + 1.0, 2.0)
    return found


cdef inline double still_to_gain(const Run *run, double loglik) noexcept nogil:
    """As aitken.still_to_gain."""
    cdef double first = run.previous - run.before, last = loglik - run.previous
    if run.known < 2.0:
        return INFINITY
    if fabs(last) <= NO_CHANGE * fabs(loglik):
        return 0.0
    if last < 0.0:
        return INFINITY
    return last * last / (first - last) if last < first else INFINITY


cdef inline bint is_fixed(const Model *m, int which, Py_ssize_t c) noexcept nogil:
    return m.fixed != NULL and m.fixed[which * m.tile.k + c]


cdef inline bint is_kept(const Model *m, int which, const double *counts, Py_ssize_t c) noexcept nogil:
    """Does a parameter stay: of a component without rows, or fixed?"""
    return not counts[c] > m.least or is_fixed(m, which, c)


cdef void maximize_weights(Model *m) noexcept nogil:
    """As Stats.mixing_weights."""
    cdef Py_ssize_t c, k = m.tile.k
    cdef double rows = 0.0, total = 0.0, free = 0.0
    for c in range(k):
        rows += m.sums[c]
        total += m.counts[c]
    m.least = EMPTY * rows
    for c in range(k):
        if not is_kept(m, 0, m.counts, c):
            free += m.counts[c]
    for c in range(k):
        m.made.weights[c] = m.params.weights[c]
        if m.fixed == NULL:
            m.made.weights[c] = m.counts[c] / total if m.counts[c] > m.least else 0.0
        elif free > 0.0 and not is_fixed(m, 0, c):
            m.made.weights[c] = m.counts[c] / free * weights_left(m) if m.counts[c] > m.least else 0.0
