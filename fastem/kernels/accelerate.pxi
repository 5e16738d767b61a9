# Quasi-Newton steps between iterations of EM, as QuasiNewton and Extrapolation of fitting/acceleration.py take them.
#
# They see vectors without constraints.  A row of `memory` is three of them: row 0 are x, the EM step f from it and the
# gradient g there, of the last iteration; row 1 those of this one; row 2 is scratch.  Behind them, in a ring with room
# for one more than are kept, are the pairs s, y, z: differences of x, of -g and of -f.  Nothing that the driver has is
# written over before the iteration is done.

cdef enum:
    PAIRS = 30               # as acceleration.PAIRS

cdef extern from *:
    """
    #define CURVATURE 1e-12  /* as those of acceleration.py */
    #define WIDER 4.0
    #define SHORTER 0.25
    """
    const double CURVATURE, WIDER, SHORTER


cdef double look_ahead(Model *m, double *memory, Py_ssize_t p) noexcept nogil:
    """Row 1 of memory <- x, which is there, the EM step f and the gradient g.  -> length of g"""
    cdef Py_ssize_t i
    cdef double *x = memory + 3 * p
    cdef double *f = x + p
    m.of.to_vector(m, &m.made, f)
    for i in range(p):
        f[i] -= x[i]
    m.of.gradient(m, f + p)
    return sqrt(inner(f + p, f + p, p))


cdef int extrapolate(Model *m, Run *run, double *memory, Py_ssize_t p, double loglik) noexcept nogil:
    """As Extrapolation.after.  -> MADE: the proposal is to be swept next; NOT_FINITE: what the M-step has made is; or
    UNUSUAL"""
    cdef Py_ssize_t i
    cdef int found
    cdef double *x = memory + 3 * p
    cdef double *f = x + p
    cdef double *g = f + p
    cdef double *direction = g + 2 * p
    cdef double along, share, length = sqrt(inner(f, f, p))
    if run.seen:
        remember(run, memory, p)
    along = 0.0
    if run.pairs:
        newton_step(run, memory, p)
        along = inner(direction, g, p)
    if not all_finite(direction, p if run.pairs else 0) or not along > 0.0 or not length > 0.0:
        if fabs(inner(f, g, p)) <= NO_CHANGE * fabs(loglik):
            add_gain(run, 0.0)
        elif run.pairs:
            add_gain(run, INFINITY)
        return NOT_FINITE
    add_gain(run, along / 2)
    if run.limited:
        run.trust_radius *= WIDER
    run.size = sqrt(inner(direction, direction, p)) / length
    run.limited = run.size > run.trust_radius
    share = run.trust_radius / run.size if run.limited else 1.0
    for i in range(p):
        direction[i] = x[i] + direction[i] * share
    found = m.of.from_vector(m, direction)
    if found == NOT_FINITE:
        fall_back(run)
    return found


cdef void fall_back(Run *run) noexcept nogil:
    """As Extrapolation.fall_back; the memory stays as it is."""
    run.trust_radius = max(SHORTER * min(run.size, run.trust_radius), 1.0)
    run.limited = 0.0


cdef void add_gain(Run *run, double gain) noexcept nogil:
    run.gain_0, run.gain_1, run.gain_2 = run.gain_1, run.gain_2, gain
    run.gains = min(run.gains + 1.0, 3.0)


cdef double largest_gain(const Run *run) noexcept nogil:
    """As Extrapolation.gain."""
    return max(run.gain_0, max(run.gain_1, run.gain_2)) if run.gains == 3.0 else INFINITY


cdef inline double *pair(const Run *run, double *memory, Py_ssize_t p, Py_ssize_t i) noexcept nogil:
    """Pair i, the oldest being 0: s, y and z one behind the other"""
    return memory + 3 * p * (3 + (<Py_ssize_t> run.oldest + i) % (PAIRS + 1))


cdef void remember(Run *run, double *memory, Py_ssize_t p) noexcept nogil:
    """Another pair, unless it tells rounding; the oldest goes where there are too many."""
    cdef Py_ssize_t i
    cdef const double *last = memory
    cdef const double *now = memory + 3 * p
    cdef double *s = pair(run, memory, p, <Py_ssize_t> run.pairs)
    cdef double *y = s + p
    for i in range(p):
        s[i] = now[i] - last[i]
        y[i] = last[2 * p + i] - now[2 * p + i]
        y[p + i] = last[p + i] - now[p + i]
    if not inner(s, y, p) > CURVATURE * sqrt(inner(s, s, p)) * sqrt(inner(y, y, p)):
        return
    if run.pairs == PAIRS:
        run.oldest = (<Py_ssize_t> run.oldest + 1) % (PAIRS + 1)
    else:
        run.pairs += 1.0


cdef void newton_step(const Run *run, double *memory, Py_ssize_t p) noexcept nogil:
    """The direction, in row 2 of memory.  Nocedal's two loops (1980), of which QuasiNewton has the compact form: f = H
    g and z = H y give H times what is left of g."""
    cdef Py_ssize_t i, pairs = <Py_ssize_t> run.pairs
    cdef const double *s
    cdef double *rest = memory + 6 * p
    cdef double *direction = rest + p
    cdef double shares[PAIRS]
    cdef double curvatures[PAIRS]
    memcpy(rest, memory + 5 * p, p * sizeof(double))
    memcpy(direction, memory + 4 * p, p * sizeof(double))
    for i in range(pairs - 1, -1, -1):
        s = pair(run, memory, p, i)
        curvatures[i] = inner(s, s + p, p)
        shares[i] = inner(s, rest, p) / curvatures[i]
        add_multiple(-shares[i], s + p, rest, p)
        add_multiple(-shares[i], s + 2 * p, direction, p)
    for i in range(pairs):
        s = pair(run, memory, p, i)
        add_multiple(shares[i] - inner(s + p, direction, p) / curvatures[i], s, direction, p)


cdef inline void add_multiple(double factor, const double *a, double *b, Py_ssize_t n) noexcept nogil:
    cdef Py_ssize_t i
    for i in range(n):
        b[i] += factor * a[i]


cdef inline double inner(const double *a, const double *b, Py_ssize_t n) noexcept nogil:
    """In two vectors of sums, so that an addition need not wait for the last."""
    cdef Py_ssize_t i, whole = n // (2 * LANES)
    cdef vec even = broadcast(0.0), odd = broadcast(0.0)
    cdef double rest = 0.0
    for i in range(whole):
        even = even + load(a, 2 * i) * load(b, 2 * i)
        odd = odd + load(a, 2 * i + 1) * load(b, 2 * i + 1)
    for i in range(2 * LANES * whole, n):
        rest += a[i] * b[i]
    return rest + lane_sum(even + odd) if whole else rest


# ---------------------------------------------------------------------------------------- coordinates of the weights

cdef Py_ssize_t weights_to_vector(const Model *m, const Params *params, double *vector) noexcept nogil:
    """As weights.log_weights.  -> how many are free"""
    cdef Py_ssize_t c, free = 0
    for c in range(m.tile.k):
        if not is_fixed(m, 0, c):
            vector[free] = log(max(params.weights[c], SMALLEST_WEIGHT))
            free += 1
    return free


cdef Py_ssize_t weight_slopes(const Model *m, double *slopes) noexcept nogil:
    """As weights.weight_slopes.  -> how many are free"""
    cdef Py_ssize_t c, free = 0
    cdef double total = 0.0, left = weights_left(m)
    for c in range(m.tile.k):
        total += 0.0 if is_fixed(m, 0, c) else m.counts[c]
    for c in range(m.tile.k):
        if not is_fixed(m, 0, c):
            slopes[free] = m.counts[c] - total * m.params.weights[c] / (left if left > 0.0 else 1.0)
            free += 1
    return free


cdef Py_ssize_t weights_from_vector(Model *m, const double *vector) noexcept nogil:
    """As weights.softmax.  -> how many are free"""
    cdef Py_ssize_t c, free = 0
    cdef double highest = -INFINITY, total = 0.0
    cdef double *weights = m.proposal.weights
    for c in range(m.tile.k):
        weights[c] = m.params.weights[c]
        if not is_fixed(m, 0, c):
            highest = max(highest, vector[free])
            free += 1
    free = 0
    for c in range(m.tile.k):
        if not is_fixed(m, 0, c):
            weights[c] = exp(vector[free] - highest)
            total += weights[c]
            free += 1
    for c in range(m.tile.k):
        if not is_fixed(m, 0, c):
            weights[c] *= weights_left(m) / total
    return free


cdef double weights_left(const Model *m) noexcept nogil:
    """By those that are fixed, to the others"""
    cdef Py_ssize_t c
    cdef double left = 1.0
    for c in range(m.tile.k):
        left -= m.params.weights[c] if is_fixed(m, 0, c) else 0.0
    return max(0.0, left)


cdef double log_dirichlet(const Model *m, double excess) noexcept nogil:
    """Of the weights, but for a constant; excess is the concentration - 1, and is added to the counts."""
    cdef Py_ssize_t c
    cdef double found = 0.0
    for c in range(m.tile.k):
        m.counts[c] += excess
        found += log(max(m.params.weights[c], SMALLEST_WEIGHT))
    return excess * found
