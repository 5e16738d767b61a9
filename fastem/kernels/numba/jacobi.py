"""The smallest eigenvalue of a small matrix; `_linear.pyx` has all of stacks of them."""
import math

from fastem.kernels.numba.accelerate import UNIT
from fastem.kernels.numba.jit import once

MOST_ROTATED = 16  # features: of more, rotations take too long
MOST_SWEEPS = 30   # of rotations; it takes six or so


@once
def smallest_eigenvalue(d, A):
    """Of a symmetric matrix, by Jacobi's rotations, which leave the eigenvalues on its diagonal."""
    for _ in range(MOST_SWEEPS):
        squares = rest = 0.0
        for p in range(d):
            squares += A[p * d + p] * A[p * d + p]
            for q in range(p):
                rest += A[p * d + q] * A[p * d + q]
        if not rest > UNIT * UNIT * squares:
            break
        for p in range(d - 1):
            for q in range(p + 1, d):
                rotate(d, A, p, q)
    least = A[0]
    for p in range(1, d):
        least = min(least, A[p * d + p])
    return least


@once
def rotate(d, A, p, q):
    """Rotate features p and q until they have no correlation."""
    if A[p * d + q] == 0.0:
        return
    theta = (A[q * d + q] - A[p * d + p]) / (2.0 * A[p * d + q])
    tangent = 1.0 / (abs(theta) + math.sqrt(theta * theta + 1.0))
    tangent = tangent if theta >= 0.0 else -tangent
    cosine = 1.0 / math.sqrt(tangent * tangent + 1.0)
    sine = tangent * cosine
    for i in range(d):
        a, b = A[i * d + p], A[i * d + q]
        A[i * d + p], A[i * d + q] = cosine * a - sine * b, sine * a + cosine * b
    for i in range(d):
        a, b = A[p * d + i], A[q * d + i]
        A[p * d + i], A[q * d + i] = cosine * a - sine * b, sine * a + cosine * b
