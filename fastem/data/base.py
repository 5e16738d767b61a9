"""What every kind of rows has in common, and the backend that sweeps them."""

from __future__ import annotations

import math
from copy import copy
from dataclasses import replace
from typing import Any, NamedTuple, Self

import numpy as np

from fastem._public import public
from fastem._typing import Array
from fastem.data.slots import LOWEST_LOGLIK
from fastem.kernels.backend import BACKENDS, Backend
from fastem.validation.settings import as_integer, check_choice, check_dtype

KERNELS_TELL = {"log_prob": np.float64, "resp": np.float64, "labels": np.int32}
"""The type of what the kernels tell of each row, in the order of `Posterior`."""


@public
class Posterior(NamedTuple):
    """What `posterior` tells of each row; what was not asked for is an empty array."""

    log_prob: Array  #: (n,)
    resp: Array  #: (n, k)
    labels: np.ndarray  #: (n,) int32


class OnBackend:
    """What has a backend.  A context manager: the threads of the backend live as long as it is open."""

    backend: Backend
    single: bool  # whether sums of a tile may be float32, where parameters allow it

    def in_float64(self) -> Self:
        """The same rows, with sums in float64."""
        other = copy(self)
        other.single = False
        return other

    def __enter__(self) -> Self:
        self.backend.__enter__()
        return self

    def __exit__(self, *exception: object) -> None:
        self.backend.__exit__(*exception)

    def named(self, params: Any, sums: Array, loglik: float, single: bool) -> Any:
        """The statistics at `params` that a sweep's sums are, of tiles in float32 where `single` says so.

        Sums that are not finite tell nothing, and the log likelihood is then NaN, from which nothing goes on: the
        parameters are out of reach, as an extrapolation may be, or rows have changed since they were checked, which a
        look at them names if they still are what they were in the sweep.
        """
        sums[-2] = max(loglik, LOWEST_LOGLIK)
        if not np.isfinite(sums).all():
            self.look_again()
            sums[-2] = math.nan
        stats = params.stats(sums)
        return replace(stats, single=True) if single else stats

    def look_again(self) -> None:
        """ValueError for the first value of the rows that is not finite."""
        raise NotImplementedError


def total_of(logliks: list[float]) -> float:
    try:
        return math.fsum(logliks)
    except OverflowError:
        return LOWEST_LOGLIK


def chosen_backend(dtype: Any, backend: str, n_threads: int | None) -> Backend:
    """What is to sweep, once these settings have been looked at."""
    check_choice(backend, "backend", BACKENDS)
    check_dtype(dtype)
    if n_threads is not None:
        n_threads = as_integer(n_threads, "n_threads", 1)
    return Backend(backend, n_threads)
