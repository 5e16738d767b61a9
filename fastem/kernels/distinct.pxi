# Equal rows of counts.

def distinct_counts(const number[:, :] X,           # IN     (n, d)  whole numbers
                    const number[:, :] trials,      # IN     (n, d)
                    const double[:] sample_weight,  # IN     (n,)
                    int32_t[::1] table,             # SCRATCH (2^b,)  filled with -1, at least twice as long as keys
                    int64_t[:, ::1] keys,           # OUT    (m, 2 d) the distinct rows of X and trials, as first met
                    double[::1] weights):           # OUT    (m,)     sum w of the rows equal to each
    # -> how many distinct rows there are; -1 if more than m
    cdef Py_ssize_t n = X.shape[0], d = X.shape[1], i, j, found = 0, most = keys.shape[0]
    cdef uint64_t mask = table.shape[0] - 1, hashed, place
    cdef int32_t key
    cdef bint same
    with nogil:
        for i in range(n):
            hashed = 0
            for j in range(d):  # Fibonacci hashing, a column after the other
                hashed = (hashed ^ <uint64_t> <int64_t> X[i, j]) * FIBONACCI
                hashed = ((hashed ^ (hashed >> 32)) ^ <uint64_t> <int64_t> trials[i, j]) * FIBONACCI
            place = (hashed >> 32) & mask
            while True:
                key = table[place]
                if key < 0:
                    break
                same = True
                for j in range(d):
                    same &= keys[key, j] == <int64_t> X[i, j] and keys[key, d + j] == <int64_t> trials[i, j]
                if same:
                    break
                place = (place + 1) & mask
            if key < 0:
                if found == most:
                    found = -1
                    break
                key = table[place] = <int32_t> found
                for j in range(d):
                    keys[found, j], keys[found, d + j] = <int64_t> X[i, j], <int64_t> trials[i, j]
                weights[found] = 0.0
                found += 1
            weights[key] += sample_weight[i]
    return found
