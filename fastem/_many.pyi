"""What Cython compiles for many small fits, as _kernels.pyi has it for sweeps."""

import numpy as np
from numpy.typing import NDArray

from fastem._kernels import _Counts, _Labels, _Points, _Reals

_Edges = NDArray[np.int64]

__test__: dict[str, str]  # Cython's

def fit_many_normal(
    X: _Points,
    sample_weight: _Reals,
    offsets: _Edges,
    edges: _Edges,
    tol: float,
    max_iter: int,
    reg_covar: float,
    relative: float,
    weights: _Reals,
    means: _Reals,
    variances: _Reals,
    loglik: _Reals,
    n_iter: _Labels,
    status: NDArray[np.int8],
) -> None: ...
def fit_many_binomial(
    X: _Counts,
    trials: _Counts,
    sample_weight: _Reals,
    offsets: _Edges,
    edges: _Edges,
    tol: float,
    max_iter: int,
    log_factorials: _Reals,
    weights: _Reals,
    probs: _Reals,
    loglik: _Reals,
    n_iter: _Labels,
    status: NDArray[np.int8],
) -> None: ...
