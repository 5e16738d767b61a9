"""What Cython compiles, for who checks types: the variants for other instruction sets and float32 lanes are the same.

Shapes stand beside the arguments in _kernels.pyx, whose names these are.
"""

import numpy as np
from numpy.typing import NDArray

_Reals = NDArray[np.float64]
_Labels = NDArray[np.int32]
_Points = NDArray[np.float32] | NDArray[np.float64]
_Counts = _Points | NDArray[np.uint8] | NDArray[np.uint16] | NDArray[np.int32] | NDArray[np.int64]

__test__: dict[str, str]  # Cython's

def processor_has(isa: str) -> bool: ...
def core_of_caller() -> int: ...
def accumulate_normal(
    X: _Points, sample_weight: _Reals, slot_rows: int, log_norm: _Reals, means: _Reals, scale: _Reals, sums: _Reals
) -> None: ...
def posterior_normal(
    X: _Points, log_norm: _Reals, means: _Reals, scale: _Reals, log_prob: _Reals, resp: _Reals, labels: _Labels
) -> None: ...
def accumulate_mvnormal_diag(
    X: _Points, sample_weight: _Reals, slot_rows: int, log_norm: _Reals, means: _Reals, scale: _Reals, sums: _Reals
) -> None: ...
def posterior_mvnormal_diag(
    X: _Points, log_norm: _Reals, means: _Reals, scale: _Reals, log_prob: _Reals, resp: _Reals, labels: _Labels
) -> None: ...
def accumulate_mvnormal_full(
    X: _Points, sample_weight: _Reals, slot_rows: int, log_norm: _Reals, means: _Reals, factor: _Reals, sums: _Reals
) -> None: ...
def posterior_mvnormal_full(
    X: _Points, log_norm: _Reals, means: _Reals, factor: _Reals, log_prob: _Reals, resp: _Reals, labels: _Labels
) -> None: ...
def accumulate_binomial(
    X: _Counts,
    trials: _Counts,
    sample_weight: _Reals,
    slot_rows: int,
    log_norm: _Reals,
    log_p: _Reals,
    log_q: _Reals,
    sums: _Reals,
) -> None: ...
def posterior_binomial(
    X: _Counts,
    trials: _Counts,
    log_norm: _Reals,
    log_p: _Reals,
    log_q: _Reals,
    log_prob: _Reals,
    resp: _Reals,
    labels: _Labels,
) -> None: ...
def distinct_counts(
    X: _Counts, trials: _Counts, sample_weight: _Reals, table: _Labels, keys: NDArray[np.int64], weights: _Reals
) -> int: ...
def nearest(
    X: _Points,
    sample_weight: _Reals,
    slot_rows: int,
    centers: _Reals,
    scale: _Reals,
    distances: _Reals,
    labels: _Labels,
    sums: _Reals,
) -> None: ...
