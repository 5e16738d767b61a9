# The sweeps of every family, in lanes of either precision.

from cython cimport floating
from libc.stdlib cimport calloc, free
from libc.string cimport memcpy, memset

include "kernels/simd.pxi"

cdef extern from *:
    """
    #define VECTORS (TILE / LANES)      /* vectors of a column of a tile */
    #define LOW_DENSITIES 8             /* features of which the residuals of a vector stay in registers */
    #define LOW_MOMENTS 4               /* features of which the moments of a component do */
    #define PANEL 64                    /* features of which the squares are at hand together */
    #define WHITENED (VEC_BYTES < 64 ? 2 : 4)  /* vectors at once: as many as there are registers for */
    """
    const Py_ssize_t VECTORS
    enum: LOW_MOMENTS
    enum: PANEL
    enum: LOW_DENSITIES
    enum: WHITENED


include "kernels/tile.pxi"
include "kernels/slots.pxi"
include "kernels/normal.pxi"
include "kernels/mvnormal_diag.pxi"
include "kernels/mvnormal_full.pxi"
include "kernels/mvnormal_tied.pxi"
include "kernels/mvnormal_natural.pxi"
include "kernels/binomial.pxi"
include "kernels/poisson.pxi"
