"""Tables of one Gaussian mixture on few rows, as GaussianParams has them."""
import numpy as np

from fastem.kernels.numba.constants import LOG2_2PI, LOG2E, ROOT_OF_HALF_LOG2E
from fastem.kernels.numba.jit import once, pointwise

WORTHWHILE, NEAR = 16, 32.0  # as in tables
FEWEST_DIAGONAL, FEWEST_ISOTROPIC = 8, 3  # as the covariances' fewest_about_middle
SHARED, ISOTROPIC = 1, 2  # structures


@pointwise
def fill_tables(m, size, step):
    """Factors of a component are `size` numbers, of which every so many is on the diagonal."""
    k, d = len(m.log_norm), len(m.floors)
    m.middle[:] = np.nan
    for c in range(k):
        log_norm = np.log2(m.params[c]) - 0.5 * d * LOG2_2PI
        for j in range(d):
            log_norm += np.log2(m.factors[c * size + j * step])
        m.log_norm[c] = log_norm
        for j in range(d):
            m.center[c, j] = m.params[k + c * d + j]
    for i in range(k * size):
        m.scaling[i] = m.factors[i] * ROOT_OF_HALF_LOG2E


@once
def diag_tables(m):
    fill_tables(m, len(m.floors), 1)


@once
def variance_tables(m):
    """Those of either kernel of variances."""
    (k, d), fewest = m.center.shape, FEWEST_ISOTROPIC if m.structure == ISOTROPIC else FEWEST_DIAGONAL
    diag_tables(m)
    if m.structure != SHARED and d > 1 and k >= fewest and k * d >= WORTHWHILE:
        natural_tables(m)


@once
def natural_tables(m):
    """Those of natural parameters where the means are near their middle: as tables.middle_of."""
    (k, d), furthest = m.center.shape, 0.0
    find_middle(m)
    for c in range(k):
        furthest = max(furthest, square_of_scaled(m, c))
    if not furthest <= NEAR * d * 0.5 * LOG2E:
        m.middle[:] = np.nan
        return
    for c in range(k):
        m.log_norm[c] -= square_of_scaled(m, c)
    terms = natural_terms(m)
    for c in range(k):
        for j in range(d):
            s = m.factors[c * d + j] * ROOT_OF_HALF_LOG2E
            m.natural[c * terms + j] = 2.0 * s * s * (m.params[k + c * d + j] - m.middle[j])
            m.natural[c * terms + min(d + j, terms - 1)] = -s * s


@pointwise
def natural_terms(m):
    """Features and their squares, of which isotropic components need the sum."""
    return len(m.floors) + (1 if m.structure == ISOTROPIC else len(m.floors))


@pointwise
def square_of_scaled(m, c):
    """|u|^2 of u = s (mean - middle)."""
    d, square = len(m.floors), 0.0
    for j in range(d):
        u = m.scaling[c * d + j] * (m.center[c, j] - m.middle[j])
        square += u * u
    return square


@pointwise
def find_middle(m):
    k, d = m.center.shape
    for j in range(d):
        m.middle[j] = 0.0
        for c in range(k):
            m.middle[j] += m.center[c, j]
        m.middle[j] /= k


@once
def full_tables(m):
    fill_tables(m, len(m.floors) * len(m.floors), len(m.floors) + 1)


@once
def matrix_tables(m):
    """Those of either kernel of matrices."""
    full_tables(m)
    if m.structure == SHARED:
        tied_tables(m)


@once
def tied_tables(m):
    """Those of the tied kernel where the means are near their middle: as tables.middle_of."""
    k, d = m.center.shape
    furthest = 0.0
    find_middle(m)
    for c in range(k):
        furthest = max(furthest, square_of_offset(m, c, m.delta))
    if k == 1 or k * d < WORTHWHILE or not furthest <= NEAR * d * 0.5 * LOG2E:
        m.middle[:] = np.nan
        return
    for c in range(k):
        m.log_norm[c] -= square_of_offset(m, c, m.delta)
        for j in range(d):
            m.center[c, j] = 2.0 * m.delta[j]


@pointwise
def square_of_offset(m, c, u):
    """|u|^2 of u = L (mean - middle), which is filled."""
    d, square = len(m.floors), 0.0
    for i in range(d):
        u[i] = 0.0
        for j in range(i + 1):
            u[i] += m.scaling[i * d + j] * (m.center[c, j] - m.middle[j])
        square += u[i] * u[i]
    return square


@pointwise
def is_about_middle(m):
    return m.middle[0] == m.middle[0]
