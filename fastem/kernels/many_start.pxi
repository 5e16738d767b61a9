# Where EM on a group begins: several starts are tried for a few iterations each, and the best goes on.

ctypedef vec (*PartGain)(const Group *, vec, vec, vec) noexcept nogil  # of sums of mass, mass (key - middle), (...)^2
ctypedef void (*Start)(Group *) noexcept nogil                         # parameters from what has been sorted
ctypedef double (*Precision)(const Group *, Py_ssize_t) noexcept nogil # of one row for the location of component c


cdef inline void sum_up(Group *g) noexcept nogil:
    """Sums over the sorted rows before each, and after the last of them, about their mean."""
    cdef Py_ssize_t i
    cdef double mass = 0.0, moment = 0.0, square = 0.0, fourth = 0.0, part, delta
    for i in range(g.n):
        mass += g.mass[i]
        moment += g.mass[i] * (g.key[i] - g.key[0])
    g.middle = g.key[0] + (moment / mass if mass > 0.0 else 0.0)
    mass = moment = 0.0
    for i in range(g.n):
        g.zeroth[i], g.moment[i], g.square[i] = mass, moment, square
        delta = g.key[i] - g.middle
        part = g.mass[i] * delta
        mass, moment, square = mass + g.mass[i], moment + part, square + part * delta
        fourth += part * delta * (delta * delta)
    g.zeroth[g.n], g.moment[g.n], g.square[g.n] = mass, moment, square
    g.all_mass, g.variance = mass, square / mass if mass > 0.0 else 0.0
    g.excess = fourth * mass / (square * square) - 3.0 if square > 0.0 else 0.0
    g.fewest = min(FEWEST_ROWS, 0.25 * mass) if g.variances != NULL else 0.0


cdef inline void best_cut(Group *g, Py_ssize_t part, PartGain log_density) noexcept nogil:
    """Cuts a part of the sorted rows in two, so that the likelihood of the classified rows gains most."""
    cdef Py_ssize_t i, begin = g.edges[part], end = g.edges[part + 1]
    cdef vec mass, moment, square
    cdef double a = g.zeroth[begin], b = g.moment[begin], c = g.square[begin]
    cdef double whole
    mass, moment, square = broadcast(g.zeroth[end] - a), broadcast(g.moment[end] - b), broadcast(g.square[end] - c)
    whole = lane_sum(log_density(g, mass, moment, square)) / LANES
    for i in range(padded(end - begin) // LANES):
        mass, moment, square = load(g.zeroth + begin, i), load(g.moment + begin, i), load(g.square + begin, i)
        store(g.gain + begin, i, log_density(g, mass - a, moment - b, square - c)
              + log_density(g, g.zeroth[end] - mass, g.moment[end] - moment, g.square[end] - square))
    g.cut[part], g.cut_gain[part] = begin, -INFINITY
    for i in range(begin + 1, end):
        if (g.gain[i] - whole > g.cut_gain[part] and g.key[i - 1] < g.key[i]
                and g.zeroth[i] - a >= g.fewest and g.zeroth[end] - g.zeroth[i] >= g.fewest):
            g.cut[part], g.cut_gain[part] = i, g.gain[i] - whole


cdef inline bint cut_parts(Group *g, PartGain log_density) noexcept nogil:
    """edges <- of k parts of the sorted rows, cut where that gains most.  -> could they be cut?"""
    cdef Py_ssize_t part, best, parts = 1
    g.edges[0], g.edges[1] = 0, g.n
    if g.k > 1:
        best_cut(g, 0, log_density)
    while parts < g.k:
        best = 0
        for part in range(1, parts):
            if g.cut_gain[part] > g.cut_gain[best]:
                best = part
        if not g.cut_gain[best] > -INFINITY:
            return False
        for part in range(parts, best, -1):
            g.edges[part + 1] = g.edges[part]
            if part > best + 1:
                g.cut[part], g.cut_gain[part] = g.cut[part - 1], g.cut_gain[part - 1]
        g.edges[best + 1] = g.cut[best]
        parts += 1
        if parts < g.k:
            best_cut(g, best, log_density)
            best_cut(g, best + 1, log_density)
    return True


cdef inline double part_mass(const Group *g, Py_ssize_t c) noexcept nogil:
    return g.zeroth[g.edges[c + 1]] - g.zeroth[g.edges[c]]


cdef inline double part_moment(const Group *g, Py_ssize_t c) noexcept nogil:
    return g.moment[g.edges[c + 1]] - g.moment[g.edges[c]]


cdef inline double part_square(const Group *g, Py_ssize_t c) noexcept nogil:
    return g.square[g.edges[c + 1]] - g.square[g.edges[c]]


cdef inline void keep(Group *g, Py_ssize_t which) noexcept nogil:
    """kept[which] <- the parameters, with variances as they are."""
    cdef Py_ssize_t c
    cdef double *to = g.kept + which * 3 * g.k
    for c in range(g.k):
        to[c], to[g.k + c] = g.weights[c], g.location[c]
        to[2 * g.k + c] = g.variances[c] if g.variances != NULL else 1.0


cdef inline void restore(Group *g, Py_ssize_t which) noexcept nogil:
    cdef Py_ssize_t c
    cdef const double *kept = g.kept + which * 3 * g.k
    for c in range(g.k):
        g.weights[c], g.location[c] = kept[c], kept[g.k + c]
        if g.variances != NULL:
            g.variances[c] = kept[2 * g.k + c]


cdef struct Rules:
    double tol
    Py_ssize_t max_iter
    bint by_gain             # is tol of what is left to gain, a total, or of the last change of the mean?
    bint accelerated


cdef inline double climb(Group *g, const Rules *rules, Update make_tables, LogDensity log_density, Moments moments,
                         Update maximize, Precision precision, Py_ssize_t most, bint *converged,
                         int32_t *n_iter) noexcept nogil:
    """EM until what is left to gain is below tol, `most` iterations at the most.  -> the last log likelihood known

    Accelerated, every two iterations are extrapolated as by SQUAREM (Varadhan and Roland 2008).
    """
    cdef Py_ssize_t done = 0, phase = 0
    cdef double loglik, previous = -INFINITY, before = -INFINITY, distance
    cdef bint extrapolated = False
    converged[0] = False
    while done < most:
        loglik = sweep(g, make_tables, log_density, moments)
        if extrapolated and not loglik >= previous - NO_CHANGE * fabs(previous):
            restore(g, 2)
            phase, extrapolated = 0, False
            continue
        keep(g, phase)
        maximize(g)
        done += 1
        distance = INFINITY if rules.by_gain else fabs(loglik - previous) / g.total
        if rules.by_gain and not rules.accelerated and done > 2:
            distance = geometric(previous - before, loglik - previous, loglik)
        if rules.by_gain and rules.accelerated and phase == 1:
            distance = left_to_gain(g, precision, loglik - previous, loglik)
        before, previous, extrapolated = previous, loglik, False
        if distance < rules.tol:
            converged[0] = True
            break
        if rules.accelerated and phase == 1:
            if done < most:
                keep(g, 2)
                extrapolated = extrapolate(g, precision)
            phase = 0
        else:
            phase = 1
    n_iter[0] += <int32_t> done
    return previous


cdef inline double geometric(double before, double last, double loglik) noexcept nogil:
    """As aitken.still_to_gain."""
    if fabs(last) <= NO_CHANGE * fabs(loglik):
        return 0.0
    return last * last / (before - last) if 0.0 <= last < before else INFINITY


cdef inline double length(const Group *g, Precision precision, double a, double b, double c) noexcept nogil:
    """Squared, of the combination a kept[0] + b kept[1] + c parameters, by the information of the classified rows."""
    cdef Py_ssize_t i
    cdef const double *first = g.kept
    cdef const double *second = g.kept + 3 * g.k
    cdef double weight, location, variance, found = 0.0
    for i in range(g.k):
        if not g.weights[i] > 0.0:
            continue
        weight = a * first[i] + b * second[i] + c * g.weights[i]
        location = a * first[g.k + i] + b * second[g.k + i] + c * g.location[i]
        found += weight * weight / g.weights[i] + g.weights[i] * precision(g, i) * location * location
        if g.variances != NULL:
            variance = (a * first[2 * g.k + i] + b * second[2 * g.k + i]) / g.variances[i] + c
            found += 0.5 * g.weights[i] * variance * variance
    return found


cdef inline double left_to_gain(const Group *g, Precision precision, double gain, double loglik) noexcept nogil:
    """From the gain of the last iteration, as of a geometric series: steps fall by a factor, gains by its square."""
    cdef double last = length(g, precision, 0.0, -1.0, 1.0), before = length(g, precision, -1.0, 1.0, 0.0)
    if fabs(gain) <= NO_CHANGE * fabs(loglik):
        return 0.0
    return fabs(gain) * last / (before - last) if last < before else INFINITY


cdef inline bint extrapolate(Group *g, Precision precision) noexcept nogil:
    """Parameters <- kept[0] + 2 step r + step^2 v, with r the first difference and v the second; -> have they moved?

    Variances go by their logarithms.  A step to weights or locations out of their range is halved.
    """
    cdef double step = sqrt(length(g, precision, -1.0, 1.0, 0.0) / length(g, precision, 1.0, -2.0, 1.0))
    cdef Py_ssize_t tries
    for tries in range(8):
        if not 1.01 < step < INFINITY:
            return False
        if in_reach(g, step):
            move(g, step)
            return True
        step = 0.5 * (step + 1.0)
    return False


cdef inline double moved(const Group *g, Py_ssize_t at, double now, double step) noexcept nogil:
    cdef double first = g.kept[at], second = g.kept[3 * g.k + at]
    return first + 2.0 * step * (second - first) + step * step * (now - 2.0 * second + first)


cdef inline bint in_reach(const Group *g, double step) noexcept nogil:
    cdef Py_ssize_t c
    cdef double location
    for c in range(g.k):
        location = moved(g, g.k + c, g.location[c], step)
        if not g.lowest < location < g.highest and location != g.location[c]:
            return False
        if g.weights[c] > 0.0 and not moved(g, c, g.weights[c], step) > 0.1 * g.weights[c]:
            return False
    return True


cdef inline void move(Group *g, double step) noexcept nogil:
    cdef Py_ssize_t c, at
    cdef double first, second, total = 0.0
    for c in range(g.k):
        if not g.weights[c] > 0.0:
            continue
        if g.variances != NULL:
            at = 2 * g.k + c
            first, second = log(g.kept[3 * g.k + at] / g.kept[at]), log(g.variances[c] / g.kept[3 * g.k + at])
            first = 2.0 * step * first + step * step * (second - first)
            g.variances[c] = g.kept[at] * exp(min(max(first, -20.0), 20.0))
        g.location[c] = moved(g, g.k + c, g.location[c], step)
        g.weights[c] = moved(g, c, g.weights[c], step)
        total += g.weights[c]
    for c in range(g.k):
        g.weights[c] /= total


cdef inline int search(Group *g, const Rules *rules, Update make_tables, LogDensity log_density, Moments moments,
                       Update maximize, Precision precision, PartGain part_gain, Start from_parts, Start from_blocks,
                       Start from_spreads, double *loglik, int32_t *n_iter) noexcept nogil:
    """A few iterations from each start, and then on from the best of them.  -> CONVERGED or MAX_ITER"""
    cdef Py_ssize_t start, few = min(TRIAL, rules.max_iter)
    cdef double found, best = -INFINITY
    cdef int32_t done
    cdef bint there, converged = False
    sum_up(g)
    for start in range(1 if g.k == 1 else 3 if g.k == 2 and g.variances != NULL and g.excess > 0.0 else 2):
        if start == 0:
            if not cut_parts(g, part_gain):
                continue
            from_parts(g)
        elif start == 1:
            from_blocks(g)
        else:
            from_spreads(g)
        done = 0
        there = False
        if few > 0:
            found = climb(g, rules, make_tables, log_density, moments, maximize, precision, few, &there, &done)
        else:
            found = sweep(g, make_tables, log_density, moments)
        if found > best or not best > -INFINITY:
            best, n_iter[0], converged = found, done, there
            keep(g, 3)
    restore(g, 3)
    return finish(g, rules, make_tables, log_density, moments, maximize, precision, converged, loglik, n_iter)


cdef inline int finish(Group *g, const Rules *rules, Update make_tables, LogDensity log_density, Moments moments,
                       Update maximize, Precision precision, bint converged, double *loglik,
                       int32_t *n_iter) noexcept nogil:
    """EM to its end; the last sweep is at the parameters it leaves.  -> CONVERGED or MAX_ITER"""
    if not converged:
        climb(g, rules, make_tables, log_density, moments, maximize, precision, rules.max_iter - n_iter[0],
              &converged, n_iter)
    loglik[0] = max(sweep(g, make_tables, log_density, moments) + g.base_measure, LOWEST_LOGLIK)
    return CONVERGED if converged else MAX_ITER


# What families of counts share.

cdef inline void parts_of_rates(Group *g) noexcept nogil:
    cdef Py_ssize_t c
    for c in range(g.k):
        g.weights[c] = part_mass(g, c) / g.all_mass
        g.location[c] = g.middle + (part_moment(g, c) / part_mass(g, c) if part_mass(g, c) > 0.0 else 0.0)


cdef inline void no_spreads(Group *g) noexcept nogil:
    """Counts have no spread of their own."""
