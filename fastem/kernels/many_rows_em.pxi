# EM of one group of rows of several columns, and the loop over the groups.

cdef inline void keep_params(Group *g, Py_ssize_t which) noexcept nogil:
    memcpy(g.kept + which * g.size, g.model.params.weights, g.size * sizeof(double))


cdef inline bint restore_params(Group *g, Py_ssize_t which) noexcept nogil:
    memcpy(g.model.params.weights, g.kept + which * g.size, g.size * sizeof(double))
    return g.model.of.find_factors(&g.model)


cdef inline double precision_of(const Group *g, Py_ssize_t c, Py_ssize_t j) noexcept nogil:
    """Information of one row about a location."""
    cdef Py_ssize_t d = g.model.tile.d
    cdef double at = g.model.params.location[c * d + j]
    cdef const double *spread = g.model.params.spread
    if g.kind == BINOMIAL_ROWS:
        return 1.0 / max(at * (1.0 - at), UNSEEN)
    if g.kind == POISSON_ROWS:
        return 1.0 / max(at, UNSEEN)
    if g.kind == FULL_ROWS:
        return 1.0 / spread[(0 if g.model.shared else c * d * d) + j * (d + 1)]
    return 1.0 / spread[c if g.model.isotropic else c * d + j]


cdef double length_of(const Group *g, double a, double b, double e) noexcept nogil:
    """Squared, of a kept[0] + b kept[1] + e params, about by the information of the classified rows."""
    cdef Py_ssize_t c, j, p, k = g.model.tile.k, d = g.model.tile.d, at
    cdef const double *first = g.kept
    cdef const double *second = g.kept + g.size
    cdef const double *now = g.model.params.weights
    cdef double z, found = 0.0, weight, variances
    for c in range(k):
        weight = now[c]
        if not weight > 0.0:
            continue
        z = a * first[c] + b * second[c] + e * weight
        found += z * z / weight
        for j in range(d):
            at = k + c * d + j
            z = a * first[at] + b * second[at] + e * now[at]
            found += weight * precision_of(g, c, j) * z * z
            if g.kind >= BINOMIAL_ROWS or g.model.isotropic and j:
                continue
            for p in range(d if g.kind == FULL_ROWS else 1):
                at = k + k * d + (c if g.model.isotropic else c * d + j)
                variances = precision_of(g, c, j)
                if g.kind == FULL_ROWS:
                    at = k + k * d + (0 if g.model.shared else c * d * d) + j * d + p
                    variances *= precision_of(g, c, p)
                else:
                    variances *= variances * (d if g.model.isotropic else 1)
                z = a * first[at] + b * second[at] + e * now[at]
                found += 0.5 * weight * variances * z * z
    return found


cdef inline double left_to_gain(const Group *g, double gain, double loglik) noexcept nogil:
    """As of a geometric series: steps fall by a factor, gains by its square."""
    cdef double last = length_of(g, 0.0, -1.0, 1.0), before = length_of(g, -1.0, 1.0, 0.0)
    if fabs(gain) <= NO_CHANGE * fabs(loglik):
        return 0.0
    return fabs(gain) * last / (before - last) if last < before else INFINITY


cdef bint extrapolate_group(Group *g) noexcept nogil:
    """params <- kept[0] + 2 step r + step^2 v, with r the first difference and v the second; -> have they moved?"""
    cdef double step = sqrt(length_of(g, -1.0, 1.0, 0.0) / length_of(g, 1.0, -2.0, 1.0)), first, second, now
    cdef Py_ssize_t tries, i
    cdef double *params = g.model.params.weights
    cdef const double *reached = g.kept + 2 * g.size
    for tries in range(6):
        if not 1.01 < step < INFINITY:
            break
        for i in range(g.size):
            first, second, now = g.kept[i], g.kept[g.size + i], reached[i]
            params[i] = first + 2.0 * step * (second - first) + step * step * (now - 2.0 * second + first)
        if within_range(g, reached):
            return True
        step = 0.5 * (step + 1.0)
    restore_params(g, 2)
    return False


cdef bint within_range(Group *g, const double *reached) noexcept nogil:
    """Are the params such as a mixture has?  Weights then have the sum 1."""
    cdef Py_ssize_t i, k = g.model.tile.k, d = g.model.tile.d
    cdef double *params = g.model.params.weights
    cdef double total = 0.0
    for i in range(k):
        if not params[i] > 0.1 * reached[i]:
            return False
        total += params[i]
    for i in range(k):
        params[i] /= total
    if g.kind >= BINOMIAL_ROWS:
        for i in range(k, k + k * d):
            if params[i] != reached[i] and not 0.0 < params[i] < (1.0 if g.kind == BINOMIAL_ROWS else INFINITY):
                return False
        return True
    if g.kind == DIAGONAL_ROWS:
        for i in range(k + k * d, g.size):
            if not params[i] > 0.1 * reached[i]:
                return False
    return g.model.of.find_factors(&g.model)


cdef inline double sweep_group(Group *g, const double[:, :] X, const double[:, :] trials, const double[:] weight,
                               double[:, ::1] sums) noexcept nogil:
    g.model.of.make_tables(&g.model)
    accumulate_slots[double](&g.model.tile, X[:g.n], trials[:g.n], weight[:g.n], g.n, sums)
    return sums[0, sums.shape[1] - 2]


cdef double climb(Group *g, const double[:, :] X, const double[:, :] trials, const double[:] weight,
                  double[:, ::1] sums, double tol, Py_ssize_t most, bint *converged, int32_t *n_iter) noexcept nogil:
    """EM until what is left to gain is below tol, `most` iterations at the most.  -> the last log likelihood known"""
    cdef Py_ssize_t done = 0, phase = 0
    cdef double loglik, previous = -INFINITY
    cdef bint extrapolated = False
    converged[0] = False
    while done < most:
        loglik = sweep_group(g, X, trials, weight, sums)
        if extrapolated and not loglik >= previous - NO_CHANGE * fabs(previous):
            restore_params(g, 2)
            phase, extrapolated = 0, False
            continue
        keep_params(g, phase)
        if not (all_finite(&sums[0, 0], sums.shape[1]) and g.model.of.maximize(&g.model)):
            restore_params(g, phase)
            break
        copy_params(&g.model, &g.model.made, &g.model.params)
        done += 1
        converged[0] = phase == 1 and left_to_gain(g, loglik - previous, loglik) < tol
        previous, extrapolated = loglik, False
        if converged[0]:
            break
        if phase == 1 and done < most:
            keep_params(g, 2)
            extrapolated = extrapolate_group(g)
        phase = 1 - phase
    n_iter[0] += <int32_t> done
    return previous


cdef int fit_group(Group *g, const double[:, :] X, const double[:, :] trials, const double[:] weight,
                   double[:, ::1] sums, double tol, Py_ssize_t max_iter, double *loglik,
                   int32_t *n_iter) noexcept nogil:
    """From the best of several starts.  -> FITTED, or ENDED early"""
    cdef Py_ssize_t start, few = min(TRIAL_ITERATIONS, max_iter)
    cdef double found, best = -INFINITY
    cdef int32_t done
    cdef bint there, converged = False
    g.state = SEED
    scale_columns(g)
    n_iter[0] = 0
    for start in range(STARTS if g.model.tile.k > 1 else 1):
        spread_centers(g)
        lloyd(g, LLOYD_STEPS)
        start_from_labels(g)
        done, there = 0, False
        if not g.model.of.find_factors(&g.model):
            continue
        if few > 0:
            found = climb(g, X, trials, weight, sums, tol, few, &there, &done)
        else:
            found = sweep_group(g, X, trials, weight, sums)
        if found > best or not best > -INFINITY:
            best, n_iter[0], converged = found, done, there
            keep_params(g, 3)
    if not restore_params(g, 3):
        return INFINITE_ROWS
    if not converged:
        climb(g, X, trials, weight, sums, tol, max_iter - n_iter[0], &converged, n_iter)
    loglik[0] = sweep_group(g, X, trials, weight, sums)
    return FITTED if converged else ENDED


cdef Py_ssize_t spread_length(int kind, int structure, Py_ssize_t k, Py_ssize_t d) noexcept nogil:
    if kind >= BINOMIAL_ROWS:
        return 0
    if kind == FULL_ROWS:
        return d * d if structure == 1 else k * d * d
    return k if structure == 2 else k * d


def fit_groups(const number[:, :] X,           # IN   (n, d)
               const number[:, :] trials,      # IN   (n, d)    X where there are none
               const double[:] sample_weight,  # IN   (n,)
               const int64_t[::1] offsets,     # IN   (m + 1,)  group g is rows offsets[g] : offsets[g + 1]
               const int64_t[::1] edges,       # IN   (s + 1,)  share i is groups edges[i] : edges[i + 1]
               int kind,                       # IN             0 full, 1 diagonal, 2 binomial, 3 Poisson
               int structure,                  # IN             of the spread: 0; 1 shared; 2 isotropic
               double tol,                     # IN             of what the log likelihood has left to gain
               Py_ssize_t max_iter,            # IN
               double reg_covar,               # IN             added to variances
               double relative,                # IN             share of the group's variances that is added
               double[:, ::1] params,          # OUT  (m, p)    weights, location and spread, one behind the other
               double[::1] loglik,             # OUT  (m,)      without the base measure
               int32_t[::1] n_iter,            # OUT  (m,)      comes as 0
               int8_t[::1] status,             # OUT  (m,)
               Py_ssize_t k):                  # IN             components
    # -> the mixture of each group of these shares
    cdef Py_ssize_t i, j, d = X.shape[1], most = 1, size = k * d * (d if kind == FULL_ROWS else 1), length
    cdef Group g
    cdef const Family *matrices = &TIED if structure == 1 else &FULL
    cdef const Family *family = matrices if kind == FULL_ROWS else &DIAG if kind == DIAGONAL_ROWS else (
        &BINOMIAL if kind == BINOMIAL_ROWS else &POISSON)
    cdef real *tile = NULL
    cdef double *block = NULL
    for i in range(edges[0], edges[edges.shape[0] - 1]):
        most = max(most, offsets[i + 1] - offsets[i])
    g.kind, g.reg_covar, g.relative = kind, reg_covar, relative
    g.model.spread_length = spread_length(kind, structure, k, d)
    g.size = k + k * d + g.model.spread_length
    length = k + k * d + (0 if kind == POISSON_ROWS else k * d if kind == BINOMIAL_ROWS else size) + 2
    if family.tied:
        length = k + k * d + d * d + 2
    block = <double *> calloc(most * (3 * d + 5) + 6 * g.size + 2 * k * d + k + d * d + 6 * d + 2 * size + length,
                              sizeof(double))
    if block == NULL:
        raise MemoryError(f"no memory for a group of {most} rows")
    g.rows = block
    g.trials = g.rows + most * d
    g.column = g.trials + most * d
    g.weight = g.column + most * d
    g.stride = most
    g.distance = g.weight + most
    g.nearest = g.distance + most
    g.label = g.nearest + most
    g.before = g.label + most
    g.kept = g.before + most
    place_params(&g.model.params, g.kept + 4 * g.size, k, d)
    place_params(&g.model.made, g.model.params.weights + g.size, k, d)
    g.center = g.model.made.weights + g.size
    g.model.delta = g.center + k * d
    g.mass = g.model.delta + k * d
    g.pooled = g.mass + k
    g.added = g.pooled + d * d
    g.model.floors = g.added + d
    g.model.pivots = g.model.floors + d
    g.model.middle = g.model.pivots + 3 * d
    g.model.factors = g.model.middle + d
    g.model.scaling = g.model.factors + size
    g.model.sums = g.model.scaling + size
    g.model.counts = g.model.location_counts = g.model.spread_counts = g.model.sums
    g.model.factors_length, g.model.sums_length = size, length
    g.model.fixed, g.model.units, g.model.prior, g.model.added = NULL, NULL, NULL, g.added
    g.model.shared, g.model.isotropic = structure == 1, structure == 2
    g.model.of = &GAUSSIAN if kind < BINOMIAL_ROWS else &BINOMIALS if kind == BINOMIAL_ROWS else &POISSONS
    cdef const double[:, :] rows = <double[:most, :d]> g.rows
    cdef const double[:, :] tosses = <double[:most, :d]> (g.trials if kind == BINOMIAL_ROWS else g.rows)
    cdef const double[:] weight = <double[:most]> g.weight
    cdef double[:, ::1] sums = <double[:1, :length]> g.model.sums
    try:
        tile = new_tile(&g.model.tile, family, NULL, <double[:k, :d]> g.model.params.location,
                        g.model.scaling, length - 2)
        with nogil:
            for i in range(edges[0], edges[edges.shape[0] - 1]):
                status[i] = load_group(&g, X, trials, sample_weight, offsets[i], offsets[i + 1])
                if status[i] == FITTED:
                    status[i] = fit_group(&g, rows, tosses, weight, sums, tol, max_iter, &loglik[i], &n_iter[i])
                if status[i] > ENDED:
                    loglik[i] = NAN
                for j in range(g.size):
                    params[i, j] = NAN if status[i] > ENDED else g.model.params.weights[j]
    finally:
        free(tile)
        free(block)
