"""Cholesky factors of the inverse of a small matrix, in place; `_linear.pyx` has the same for stacks of them."""
import math

from fastem.kernels.numba.jit import pointwise


@pointwise
def decompose(d, A, pivots):
    """S = U^T U: U above the diagonal of A, and on it 1 / U_jj.  False where S is not definite."""
    for j in range(d):
        pivots[j] = A[j * d + j]
        if not pivots[j] > 0.0:
            return False
        A[j * d + j] = 1.0 / math.sqrt(pivots[j])
        for p in range(j + 1, d):
            A[j * d + p] *= A[j * d + j]
        for i in range(j + 1, d):
            factor = A[j * d + i]
            for p in range(i, d):
                A[i * d + p] -= factor * A[j * d + p]
    return True


@pointwise
def invert_transposed(d, A):
    """U above the diagonal of A, 1 / U_jj on it -> L = U^-T, lower.  Row i of U L^T = 1 tells row i of L."""
    for i in range(d):
        for j in range(i):
            A[i * d + j] = 0.0
        for p in range(i):
            factor = A[p * d + i]
            A[p * d + i] = 0.0
            for j in range(p + 1):
                A[i * d + j] -= factor * A[p * d + j]
        for j in range(i):
            A[i * d + j] *= A[i * d + i]
