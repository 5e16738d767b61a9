# cython: language_level=3, boundscheck=False, wraparound=False, initializedcheck=False, cdivision=True
"""Linear algebra of a fit, on the thread that calls it.

Design note
 a. BLAS and LAPACK bring threads of their own, as many as the machine has cores, whatever a fit was told: they wait for
    each other where others work, and their number shows in the bits.  What is here has one thread, one order of sums.
 b. Sums of products are outer products of rows, sum_m P[m]^T Q[m]: both are read as they lie in memory.  A register
    block of the result is 4 rows x 2 vectors.
 c. All other loops add a multiple of a row to a row: a compiler makes vectors of them without reordering a sum.
"""
from libc.math cimport copysign, fabs, fma, hypot, sqrt
from libc.stdlib cimport calloc, free

include "kernels/simd.pxi"

cdef extern from *:
    """
    #define BLOCK 32          /* rows of a matrix that are eliminated together */
    #define DEPTH 128         /* rows of P and Q whose products are added at a time: 128 x 16 doubles stay in L1 */
    #define MOST_STEPS 60     /* of QL for an eigenvalue, on the average; it takes two, seldom ten */
    #define UNIT 0x1p-53      /* rounding of a double */
    #define NEGLIGIBLE 1e-280 /* a square beside those of elements of about 1, and the last whose inverse is a number */
    """
    enum: BLOCK
    enum: DEPTH
    const double NEGLIGIBLE
    enum: MOST_STEPS
    const double UNIT


# ------------------------------------------------------------------------------------------------- sums of products

cdef inline void add_outer(const double *P, Py_ssize_t p, const double *Q, Py_ssize_t q, Py_ssize_t terms, double sign,
                           double *C, Py_ssize_t c, Py_ssize_t height, Py_ssize_t width) noexcept nogil:
    """C[i, j] += sign * sum_m P[m, i] Q[m, j]; p, q, c are from a row to the next."""
    cdef Py_ssize_t layer, m, i, j, pair, count, whole = width - width % (2 * LANES)
    for layer in range((terms + DEPTH - 1) // DEPTH):
        m = layer * DEPTH
        count = min(DEPTH, terms - m)
        for pair in range(width // (2 * LANES)):
            j = pair * 2 * LANES
            for i in range(0, height - 3, 4):
                add_block(P + m * p + i, p, Q + m * q + j, q, count, sign, C + i * c + j, c)
            add_edge(P + m * p, p, Q + m * q + j, q, count, sign, C + j, c, height - height % 4, height, 2 * LANES)
        if whole < width:
            add_edge(P + m * p, p, Q + m * q + whole, q, count, sign, C + whole, c, 0, height, width - whole)


cdef inline void add_block(const double *P, Py_ssize_t p, const double *Q, Py_ssize_t q, Py_ssize_t terms, double sign,
                           double *C, Py_ssize_t c) noexcept nogil:
    """4 rows x 2 vectors of it."""
    cdef Py_ssize_t _m
    cdef vec a, b, s0, s1, s2, s3, t0, t1, t2, t3
    s0 = s1 = s2 = s3 = t0 = t1 = t2 = t3 = broadcast(0.0)
    for _m in range(terms):
        a, b = load(Q, 0), load(Q, 1)
        s0, t0 = s0 + P[0] * a, t0 + P[0] * b
        s1, t1 = s1 + P[1] * a, t1 + P[1] * b
        s2, t2 = s2 + P[2] * a, t2 + P[2] * b
        s3, t3 = s3 + P[3] * a, t3 + P[3] * b
        P += p
        Q += q
    add_two(C, sign, s0, t0)
    add_two(C + c, sign, s1, t1)
    add_two(C + 2 * c, sign, s2, t2)
    add_two(C + 3 * c, sign, s3, t3)


cdef inline void add_two(double *to, double sign, vec s, vec t) noexcept nogil:
    store(to, 0, load(to, 0) + sign * s)
    store(to, 1, load(to, 1) + sign * t)


cdef inline void add_edge(const double *P, Py_ssize_t p, const double *Q, Py_ssize_t q, Py_ssize_t terms, double sign,
                          double *C, Py_ssize_t c, Py_ssize_t begin, Py_ssize_t end, Py_ssize_t width) noexcept nogil:
    """Rows begin : end of it, of a width that fills no block."""
    cdef Py_ssize_t m, i
    for i in range(begin, end):
        for m in range(terms):
            add_row(C + i * c, sign * P[m * p + i], Q + m * q, width)


cdef inline void add_row(double *to, double factor, const double *row, Py_ssize_t n) noexcept nogil:
    cdef Py_ssize_t j
    for j in range(n):
        to[j] += factor * row[j]


cdef inline void scale_row(double *row, double factor, Py_ssize_t n) noexcept nogil:
    cdef Py_ssize_t j
    for j in range(n):
        row[j] *= factor


cdef inline void clear_row(double *row, Py_ssize_t n) noexcept nogil:
    cdef Py_ssize_t j
    for j in range(n):
        row[j] = 0.0


cdef inline double dot(const double *a, const double *b, Py_ssize_t n) noexcept nogil:
    cdef Py_ssize_t j
    cdef double total = 0.0
    for j in range(n):
        total += a[j] * b[j]
    return total


def outer_sums(const double[:, :, ::1] P,  # IN   (b, m, i)
               const double[:, :, ::1] Q,  # IN   (b, m, j)
               double[:, :, ::1] sums):    # OUT  (b, i, j)
    # -> sum over m of P[m]^T Q[m], for each b
    cdef Py_ssize_t each, terms = P.shape[1], height = P.shape[2], width = Q.shape[2]
    with nogil:
        for each in range(P.shape[0] if terms and height and width else 0):
            clear_row(&sums[each, 0, 0], height * width)
            add_outer(
                &P[each, 0, 0], height, &Q[each, 0, 0], width, terms, 1.0, &sums[each, 0, 0], width, height, width
            )


# ------------------------------------------------------------------------------------------------- inverse triangles

def inverse_cholesky(const double[:, :, ::1] covariances,  # IN   (k, d, d)  symmetric
                     double[:, :, ::1] factors,            # OUT  (k, d, d)  lower L, L^T L = S^-1
                     double[:, ::1] pivots):               # OUT  (k, d)     variance of a feature given those before it
    # -> is every matrix definite?  If not, what is in factors and pivots is of no use
    cdef Py_ssize_t c, i, d = covariances.shape[1]
    cdef double *A
    cdef bint definite = True
    with nogil:
        for c in range(covariances.shape[0]):
            A = &factors[c, 0, 0]
            for i in range(d * d):
                A[i] = (&covariances[c, 0, 0])[i]
            if not decompose(d, A, &pivots[c, 0]):
                definite = False
                break
            invert_transposed(d, A)
    return definite


def inverse_lower(const double[:, :, ::1] factors,  # IN   (k, d, d)  lower triangles without a 0 on their diagonals
                  double[:, :, ::1] inverses):      # OUT  (k, d, d)
    # -> their inverses, lower triangles
    cdef Py_ssize_t c, i, j, d = factors.shape[1]
    with nogil:
        for c in range(factors.shape[0]):
            for i in range(d):
                for j in range(i, d):
                    inverses[c, i, j] = factors[c, j, i]
                inverses[c, i, i] = 1.0 / factors[c, i, i]
            invert_transposed(d, &inverses[c, 0, 0])


cdef inline Py_ssize_t blocks(Py_ssize_t d) noexcept nogil:
    return (d + BLOCK - 1) // BLOCK


cdef bint decompose(Py_ssize_t d, double *A, double *pivots) noexcept nogil:
    """S = U^T U: U above the diagonal of A, and on it 1 / U_jj.  False where S is not definite."""
    cdef Py_ssize_t block, begin, end, i, j
    cdef double *row
    for block in range(blocks(d)):
        begin, end = block * BLOCK, min(d, (block + 1) * BLOCK)
        for j in range(begin, end):
            row = A + j * d
            pivots[j] = row[j]
            if not pivots[j] > 0.0:
                return False
            row[j] = 1.0 / sqrt(pivots[j])
            scale_row(row + j + 1, row[j], d - j - 1)
            for i in range(j + 1, end):
                add_row(A + i * d + i, -row[i], row + i, d - i)
        for j in range(block + 1, blocks(d)):
            i = j * BLOCK
            row = A + begin * d + i
            add_outer(row, d, row, d, end - begin, -1.0, A + i * d + i, d, min(BLOCK, d - i), d - i)
    return True


cdef void invert_transposed(Py_ssize_t d, double *A) noexcept nogil:
    """U above the diagonal of A, 1 / U_jj on it -> L = U^-T, lower.  Row i of U L^T = 1 tells row i of L."""
    cdef Py_ssize_t block, begin, end, i, j, m
    cdef double u
    for block in range(blocks(d)):
        begin, end = block * BLOCK, min(d, (block + 1) * BLOCK)
        for i in range(begin, end):
            clear_row(A + i * d, i)
        for i in range(block):  # rows of L before j have nothing from column j on
            j = i * BLOCK
            add_outer(A + j * d + begin, d, A + j * d + j, d, begin - j, -1.0, A + begin * d + j, d, end - begin,
                      min(BLOCK, begin - j))
        for m in range(begin):
            clear_row(A + m * d + begin, end - begin)
        for i in range(begin, end):
            for m in range(begin, i):
                u = A[m * d + i]
                A[m * d + i] = 0.0
                add_row(A + i * d, -u, A + m * d, m + 1)
            scale_row(A + i * d, A[i * d + i], i)


# ------------------------------------------------------------------------------------------ symmetric eigenproblems

def eigen(double[:, :, ::1] matrices,  # IN, SCRATCH  (k, d, d)  symmetric, elements about 1 in magnitude at the most
          double[:, ::1] values,       # OUT          (k, d)     eigenvalues, in no order
          double[:, :, ::1] vectors):  # OUT          (k, d, d)  in rows; or (k, 0, 0)
    # -> has QL converged?  It has for all finite matrices that were met
    cdef Py_ssize_t c, d = matrices.shape[1]
    cdef double *V
    cdef bint converged = True
    cdef double *scratch = <double *> calloc(2 * d + 1, sizeof(double))
    if scratch == NULL:
        raise MemoryError(f"no memory for the eigenvalues of {d} x {d} matrices")
    with nogil:
        for c in range(matrices.shape[0] if d else 0):
            V = &vectors[c, 0, 0] if vectors.shape[1] else NULL
            tridiagonalise(d, &matrices[c, 0, 0], &values[c, 0], scratch, scratch + d)
            if V != NULL:
                gather(d, &matrices[c, 0, 0], scratch + d, V)
            converged &= diagonalise(d, &values[c, 0], scratch, V)
    free(scratch)
    return converged


cdef void tridiagonalise(Py_ssize_t d, double *A, double *diagonal, double *beside, double *scale) noexcept nogil:
    """Householder's reduction A = Q T Q^T.  Q is the product of 1 - scale v v^T: each v stays in its row of A."""
    cdef Py_ssize_t k, n
    cdef double *v
    cdef double *w
    cdef double norm
    for k in range(d):
        diagonal[k] = A[k * d + k]
        n = d - k - 1
        scale[k] = 0.0
        beside[k] = A[k * d + k + 1] if n else 0.0
        if n < 2:
            continue
        v = A + k * d + k + 1
        w = A + (k + 1) * d + k + 1  # the rows and columns that are left
        norm = dot(v + 1, v + 1, n - 1)
        if norm < NEGLIGIBLE:
            continue
        norm = -copysign(sqrt(norm + v[0] * v[0]), v[0])
        beside[k] = norm
        v[0] -= norm
        scale[k] = -1.0 / (norm * v[0])
        reflect(n, d, w, v, scale[k], diagonal + k + 1)


cdef inline void reflect(Py_ssize_t n, Py_ssize_t d, double *A, const double *v, double scale,
                         double *p) noexcept nogil:
    """A <- (1 - scale v v^T) A (1 - scale v v^T) = A - v w^T - w v^T, w = p - (scale / 2) (p v) v, p = scale A v."""
    cdef Py_ssize_t i, j
    clear_row(p, n)
    for i in range(n):
        add_row(p, scale * v[i], A + i * d, n)
    add_row(p, -0.5 * scale * dot(p, v, n), v, n)
    for i in range(n):
        for j in range(n):
            A[i * d + j] -= v[i] * p[j] + p[i] * v[j]


cdef void gather(Py_ssize_t d, double *A, const double *scale, double *V) noexcept nogil:
    """Q^T -> V.  Q is put together from its last factor on, which leave all rows before them as they are."""
    cdef Py_ssize_t k, i, j, n
    cdef const double *v
    cdef double *Q
    cdef double *sums
    for i in range(d):
        clear_row(V + i * d, d)
        V[i * d + i] = 1.0
    for k in range(d - 3, -1, -1):
        if scale[k] == 0.0:
            continue
        n, v, Q, sums = d - k - 1, A + k * d + k + 1, V + (k + 1) * d + k + 1, V + k * d + k + 1
        for i in range(n):  # row k of Q is still 0 there
            add_row(sums, v[i], Q + i * d, n)
        for i in range(n):
            add_row(Q + i * d, -scale[k] * v[i], sums, n)
        clear_row(sums, n)
    for i in range(d):
        for j in range(i):
            V[i * d + j], V[j * d + i] = V[j * d + i], V[i * d + j]


cdef bint diagonalise(Py_ssize_t d, double *D, double *E, double *V) noexcept nogil:
    """QL with implicit shifts (Bowdler, Martin, Reinsch and Wilkinson 1968): D <- eigenvalues; V <- its rows rotated.

    D (d,) is the diagonal, E (d,) what stands beside it.  False if not all eigenvalues come.  One may come late:
    others divide the matrix before it does, most of all where it is singular.
    """
    cdef Py_ssize_t low, m, i, steps = 0
    cdef double g, r, s, c, p, f, b, largest = 0.0
    for i in range(d):
        largest = max(largest, fabs(D[i]) + fabs(E[i]))
    for low in range(d):
        while True:
            m = low
            while m < d - 1 and not fabs(E[m]) <= UNIT * (fabs(D[m]) + fabs(D[m + 1]) + UNIT * largest):
                m += 1
            if m == low:
                break
            if m == low + 1:
                diagonalise_two(&D[low], &D[m], E[low], &s, &c)
                E[low] = 0.0
                if V != NULL:
                    rotate(V + low * d, V + m * d, s, c, d)
                break
            steps += 1
            if steps > MOST_STEPS * d:
                return False
            g = (D[low + 1] - D[low]) / (2.0 * E[low])
            g = D[m] - D[low] + E[low] / (g + copysign(hypot(g, 1.0), g))
            s = c = 1.0
            p = 0.0
            for i in range(m - 1, low - 1, -1):
                f, b = s * E[i], c * E[i]
                r = hypot(f, g)
                E[i + 1] = r
                if r == 0.0:
                    D[i + 1] -= p
                    E[m] = 0.0
                    break
                s, c = f / r, g / r
                g = D[i + 1] - p
                r = (D[i] - g) * s + 2.0 * c * b
                p = s * r
                D[i + 1] = g + p
                g = c * r - b
                if V != NULL:
                    rotate(V + i * d, V + (i + 1) * d, s, c, d)
            else:
                D[low] -= p
                E[low] = g
                E[m] = 0.0
    return True


cdef inline void diagonalise_two(double *a, double *b, double beside, double *s, double *c) noexcept nogil:
    """[[a, beside], [beside, b]] -> its eigenvalues in a and b, the smaller one to full precision too, and the rotation
    that leads there: LAPACK's dlaev2, with a determinant that does not cancel (Kahan)."""
    cdef double total = a[0] + b[0], difference = a[0] - b[0], twice = 2.0 * beside
    cdef double root = hypot(difference, twice), first, second, t
    cdef double square = beside * beside
    if total == 0.0:
        first, second = 0.5 * root, -0.5 * root
    else:
        first = 0.5 * (total + copysign(root, total))
        second = (fma(a[0], b[0], -square) - fma(beside, beside, -square)) / first
    t = difference + copysign(root, difference)
    if fabs(t) > fabs(twice):
        s[0] = 1.0 / hypot(1.0, twice / t)
        c[0] = -twice / t * s[0]
    else:
        c[0] = 1.0 if twice == 0.0 else 1.0 / hypot(1.0, t / twice)
        s[0] = 0.0 if twice == 0.0 else -t / twice * c[0]
    if (total >= 0.0) == (difference >= 0.0):
        s[0], c[0] = c[0], -s[0]
    s[0] = -s[0]
    a[0], b[0] = first, second


cdef inline void rotate(double *a, double *b, double s, double c, Py_ssize_t n) noexcept nogil:
    cdef Py_ssize_t j
    cdef double x, y
    for j in range(n):
        x, y = a[j], b[j]
        a[j], b[j] = c * x - s * y, s * x + c * y


# -------------------------------------------------------------------------------------------------- scores of rows

include "kernels/scores.pxi"
