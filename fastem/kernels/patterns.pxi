# Rows of a slot, ordered by their patterns: which of their values are missing (NaN).

cdef struct Patterns:
    Py_ssize_t d
    Py_ssize_t words         # of a mask: 64 features each
    Py_ssize_t buckets       # of the table: a power of two, twice the patterns or more
    Py_ssize_t n_known       # patterns that have been met, in this slot and in those before it
    Py_ssize_t n_runs        # of them, in this slot
    uint64_t *masks          # (p, words)  bits of what each pattern lacks
    uint64_t *mask           # (words,)    of the row at hand
    int32_t *table           # (buckets,)  a pattern, where its bits lead; -1 where there is none
    int32_t *pattern         # (m,)        of each row
    int32_t *runs            # (m,)        patterns of this slot, in the order in which they are met
    int32_t *order           # (m,)        rows, run by run
    int32_t *begin           # (p,)        where the rows of a pattern begin in `order`
    int32_t *count           # (p,)        how many they are
    int32_t *n_missing       # (p,)        values that each row of a pattern lacks


cdef uint64_t *new_patterns(Patterns *p, Py_ssize_t m, Py_ssize_t d) except NULL:
    """Memory for m rows at a time; the caller frees what this returns."""
    cdef uint64_t *block
    cdef Py_ssize_t most = m + KEPT_PATTERNS
    p.d, p.words, p.buckets, p.n_known, p.n_runs = d, (d + 63) // 64, 2, most, 0
    while p.buckets < 2 * most:
        p.buckets *= 2
    block = <uint64_t *> malloc((most + 1) * p.words * sizeof(uint64_t)
                                + (p.buckets + 3 * m + 3 * most) * sizeof(int32_t))
    if block == NULL:
        raise MemoryError(f"no memory for the patterns of {m} rows")
    p.masks = block
    p.mask = block + most * p.words
    p.table = <int32_t *> (p.mask + p.words)
    p.pattern = p.table + p.buckets
    p.runs = p.pattern + m
    p.order = p.runs + m
    p.begin = p.order + m
    p.count = p.begin + most
    p.n_missing = p.count + most
    return block


cdef inline void mark_missing(Patterns *p, const floating[:, :] X, Py_ssize_t row) noexcept nogil:
    """mask <- that of a row."""
    cdef Py_ssize_t word, count, step = X.strides[1] // <Py_ssize_t> sizeof(floating)
    cdef const floating *x = &X[row, 0]
    for word in range(p.words):
        count = min(p.d - 64 * word, 64)
        if floating is double:
            p.mask[word] = missing_doubles(x, step, count)
        else:
            p.mask[word] = missing_floats(x, step, count)
        x += 64 * step


cdef inline bint is_pattern(const Patterns *p, int32_t pattern) noexcept nogil:
    """Has the row at hand this pattern?"""
    cdef Py_ssize_t j
    cdef uint64_t other = 0
    for j in range(p.words):
        other |= p.mask[j] ^ p.masks[pattern * p.words + j]
    return other == 0


cdef inline int32_t pattern_of_row(Patterns *p) noexcept nogil:
    """The number of the pattern of the row at hand, which may be a new one."""
    cdef uint64_t bits = 0
    cdef Py_ssize_t j, place
    for j in range(p.words):
        bits = (bits ^ p.mask[j]) * FIBONACCI
        bits ^= bits >> 32
    place = <Py_ssize_t> (bits & <uint64_t> (p.buckets - 1))
    while p.table[place] >= 0:
        if is_pattern(p, p.table[place]):
            return p.table[place]
        place = (place + 1) & (p.buckets - 1)
    p.table[place] = <int32_t> p.n_known
    p.count[p.n_known] = p.n_missing[p.n_known] = 0
    for j in range(p.words):
        p.masks[p.n_known * p.words + j] = p.mask[j]
    for j in range(p.d):
        p.n_missing[p.n_known] += <int32_t> (p.mask[j >> 6] >> (j & 63) & 1)
    p.n_known += 1
    return p.table[place]


cdef inline void exchange_runs(Patterns *p, Py_ssize_t n_missing, Py_ssize_t place) noexcept nogil:
    """Put the run of rows that lack so many values, of which there is one at most, into this place."""
    cdef Py_ssize_t i
    for i in range(p.n_runs):
        if p.n_missing[p.runs[i]] == n_missing:
            p.runs[i], p.runs[place] = p.runs[place], p.runs[i]
            return


cdef bint order_by_pattern(Patterns *p, const floating[:, :] X, Py_ssize_t row, Py_ssize_t rows) noexcept nogil:
    """Runs in the order in which their patterns are met, whatever was met before, and in each its rows in their order;
    but first that of complete rows, and last that of rows without any value.

    -> are the patterns that were known forgotten?  They are where there may be too many.
    """
    cdef Py_ssize_t i
    cdef int32_t pattern, place = 0
    cdef bint forgotten = p.n_known > KEPT_PATTERNS
    for i in range(p.n_runs):
        p.count[p.runs[i]] = 0
    if forgotten:
        p.n_known = 0
        memset(p.table, -1, p.buckets * sizeof(int32_t))
    p.n_runs = 0
    for i in range(rows):
        mark_missing(p, X, row + i)
        pattern = p.pattern[i] = pattern_of_row(p)
        if not p.count[pattern]:
            p.runs[p.n_runs] = pattern
            p.n_runs += 1
        p.count[pattern] += 1
    exchange_runs(p, 0, 0)
    exchange_runs(p, p.d, p.n_runs - 1)
    for i in range(p.n_runs):
        p.begin[p.runs[i]] = place
        place += p.count[p.runs[i]]
        p.count[p.runs[i]] = 0
    for i in range(rows):
        pattern = p.pattern[i]
        p.order[p.begin[pattern] + p.count[pattern]] = <int32_t> i
        p.count[pattern] += 1
    return forgotten
