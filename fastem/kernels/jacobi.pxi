# The smallest eigenvalue of a small matrix; `_linear.pyx` has all of stacks of them.

cdef enum:
    MOST_ROTATED = 16        # features: of more, rotations take too long
    MOST_SWEEPS = 30         # of rotations; it takes six or so


cdef double smallest_eigenvalue(Py_ssize_t d, double *A) noexcept nogil:
    """Of a symmetric matrix, by Jacobi's rotations, which leave the eigenvalues on its diagonal."""
    cdef Py_ssize_t _sweep, i, p, q
    cdef double least, squares, rest, theta, tangent, cosine
    for _sweep in range(MOST_SWEEPS):
        squares = rest = 0.0
        for p in range(d):
            squares += A[p * d + p] * A[p * d + p]
            for q in range(p):
                rest += A[p * d + q] * A[p * d + q]
        if not rest > UNIT * UNIT * squares:
            break
        for p in range(d - 1):
            for q in range(p + 1, d):
                if A[p * d + q] == 0.0:
                    continue
                theta = (A[q * d + q] - A[p * d + p]) / (2.0 * A[p * d + q])
                tangent = 1.0 / (fabs(theta) + sqrt(theta * theta + 1.0))
                tangent = tangent if theta >= 0.0 else -tangent
                cosine = 1.0 / sqrt(tangent * tangent + 1.0)
                for i in range(d):
                    rotate(&A[i * d + p], &A[i * d + q], cosine, tangent * cosine)
                for i in range(d):
                    rotate(&A[p * d + i], &A[q * d + i], cosine, tangent * cosine)
    least = A[0]
    for p in range(1, d):
        least = min(least, A[p * d + p])
    return least


cdef inline void rotate(double *a, double *b, double cosine, double sine) noexcept nogil:
    a[0], b[0] = cosine * a[0] - sine * b[0], sine * a[0] + cosine * b[0]
