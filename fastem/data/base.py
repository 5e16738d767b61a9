"""What rows have in common wherever they are: a backend, and a sweep that checks what it is given and what it finds."""

from __future__ import annotations

import math
from collections.abc import Callable
from copy import copy
from typing import Any, Generic, NamedTuple, Self, TypeVar

import numpy as np
from numpy.typing import NDArray

from fastem._errstate import own_methods
from fastem._public import public
from fastem._typing import Array, DType, MStep, RowKind, SweptParams, SweptStats
from fastem.data.slots import LOWEST_LOGLIK, all_finite
from fastem.kernels.backend import PARALLEL_WORK, Backend
from fastem.kernels.twins import BACKENDS
from fastem.validation.parameters import check_params
from fastem.validation.settings import as_integer, check_bool, check_choice, check_dtype

S = TypeVar("S", bound=SweptStats)
P = TypeVar("P", bound=SweptParams[SweptStats])

BY_COMPONENT = "log_prob_by_component"
"""A prediction: the log of weight times density of each component."""
BACKGROUND = -1
"""The label of rows that belong to no component, where a mixture has a background."""
POSTERIOR_TYPES: dict[str, DType] = {
    "log_prob": np.float64, "resp": np.float64, "labels": np.int32, BY_COMPONENT: np.float64
}  # fmt: skip
"""The types of what is found for each row; the first three by the kernels, in the order of `Posterior`."""


@public
class Posterior(NamedTuple):
    """What `posterior` finds for each row; what was not asked for is an empty array."""

    log_prob: Array  #: (n,)
    resp: Array  #: (n, k), with a background (n, k + 1)
    labels: NDArray[np.int32]  #: (n,)


STOP_RULES = ("loglik", "q", "aitken", "gradient")
"""The stop rules that a kernel knows."""
TRUST_RADIUS = 5.0
"""The first extrapolation goes so many EM steps at the most."""
PAIRS = 30
"""Differences that the quasi-Newton method keeps."""

Vectors = tuple[Array, Array, Array] | Array
"""Vectors (p,) of the quasi-Newton method: x, f and gradient of an iteration, or differences of them: rows (3, p)
of an array, or one by one."""


class StopRule(NamedTuple):
    """When EM in a kernel ends, and whether it takes quasi-Newton steps."""

    stopping: str
    tol: float
    accelerated: bool
    n_coordinates: int  # of the parameters that are free

    @property
    def memory_rows(self) -> int:
        """Return how many vectors a kernel needs: the last iteration, this one, scratch, a pair more than are kept."""
        return PAIRS + 4 if self.accelerated else 2 if self.stopping == "gradient" else 0


class Position(NamedTuple, Generic[P]):
    """Where EM is between two sweeps."""

    params: P  # to be swept next
    reached: P  # by the last M-step
    step: int  # how the params were reached: a place in result.STEPS
    criterion: float  # of the last iteration
    logliks: list[float]  # of the last two iterations, or fewer
    trust_radius: float  # this and all below as Extrapolation and QuasiNewton have them
    size: float
    limited: bool
    gains: list[float]  # of the last three iterations, or fewer
    last: list[Vectors]
    pairs: list[Vectors]


def at_start(params: P) -> Position[P]:
    """Return where EM is before its first sweep."""
    return Position(params, params, 0, -math.inf, [], TRUST_RADIUS, 0.0, False, [], [], [])


class Iterations(NamedTuple, Generic[P]):
    """What EM in a kernel has done."""

    trace: Array  # (n, 3) log likelihood, entropy and step of each iteration
    position: Position[P]  # that is reached
    last: Callable[[], tuple[P, Any]]  # the parameters of the last iteration, if there was one, and their statistics
    pending: Any  # statistics of position.params, if they are known: their M-step is one that the driver has to see
    distance: float  # what tol is compared with
    fall: float  # the largest fall of the log likelihood, which is within its rounding
    fell_at: int  # iterations before it


Sums = tuple[Array, list[float], list[float]]
"""The folded sums (m,) of a sweep, and numbers that are added exactly, in any order, to the log likelihood and to its
terms that no parameter enters."""


@own_methods
class SweptRows:
    """Rows that are swept by a backend.  A context manager: the threads of the backend live as long as it is open.

    A subclass says how its rows are summed (`_sums`), and checks their values once more where sums are not finite.
    """

    row_kind: RowKind
    n_features: int
    backend: Backend
    dtype: DType
    has_missing: bool = False  # whether values of X may be missing: NaN
    float32: bool  # whether the sums of a tile may be float32, where parameters allow it
    has_labels = False  # whether the components of some rows are known
    _log_base_measure: float | None = None  # the same in every sweep, so summed once

    def __enter__(self) -> Self:
        self.backend.__enter__()
        return self

    def __exit__(self, *exception: object) -> None:
        self.backend.__exit__(*exception)

    @property
    def precision(self) -> type[np.floating]:
        """The type of predictions: float32 for rows of float32, float64 for all others."""
        raise NotImplementedError

    def in_float64(self) -> Self:
        """Return the same rows, with sums in float64."""
        other = copy(self)
        other.float32 = False
        return other

    def without_labels(self) -> Self:
        """Return these rows: no component is known of them."""
        return self

    def sweep(self, params: SweptParams[S]) -> S:
        """Return the statistics of all rows at `params`: one fused E-step and accumulation.

        Sums that are not finite say nothing, and the log likelihood is then NaN, from which no fit continues.  Either
        the parameters are too far from the rows, as those of an extrapolation may be; or rows have changed since they
        were checked, and `check_values` names the first bad one, if it is still there.
        """
        params = self.swept_with(params)
        if self.float32:
            params = params.in_float32()
        tables = params.tables()
        float32 = self.float32 and params.float32_is_sufficient(tables)
        sums, logliks, base = self._sums(params, tables, float32, self._log_base_measure is None)
        if self._log_base_measure is None:
            self._log_base_measure = total_of(base)
        sums[-2] = max(total_of(logliks) + self._log_base_measure, LOWEST_LOGLIK)
        if not all_finite(sums):
            self.check_values()
            sums[-2] = math.nan
        return params.stats(sums, float32)

    def __len__(self) -> int:
        raise NotImplementedError

    def can_iterate(self, params: SweptParams[SweptStats]) -> bool:
        """Return whether EM from these parameters may run in a kernel: where rows are so few that one thread sweeps.

        The kernel needs every value of them.
        """
        return not self.has_missing and len(self) * params.sums_length <= PARALLEL_WORK

    def iterate(self, position: Position[P], m_step: MStep, rule: StopRule, most: int) -> Iterations[P]:
        """Run EM in a kernel until the stop rule is met, but for `most` iterations at the most.

        It ends before an iteration in which something happens that the driver has to see.
        """
        raise NotImplementedError

    def _sums(self, params: SweptParams[SweptStats], tables: tuple[Array, ...], float32: bool, with_base: bool) -> Sums:
        """Return the folded sums of all rows; those of the base measure if they are asked for."""
        raise NotImplementedError

    def swept_with(self, params: P) -> P:
        """Return equal parameters that suit the kernels of these rows; ValueError for those of other rows."""
        self.check_params(params)
        if not self.has_missing:
            return params
        return params.one_by_one()

    def check_params(self, params: SweptParams[SweptStats]) -> None:
        """Raise an error for other values, and for parameters of other rows: kernels trust that features agree."""
        check_params(params)
        if params.row_kind is not self.row_kind:
            raise ValueError(f"params are for {params.row_kind.value}, but the rows are {self.row_kind.value}")
        if params.n_features != self.n_features:
            raise ValueError(f"params have {params.n_features} features, but the rows have {self.n_features}")

    def check_values(self) -> None:
        """Raise ValueError for the first value of the rows that is not finite."""
        raise NotImplementedError


def total_of(terms: list[float]) -> float:
    """Return the exact sum, rounded once; LOWEST_LOGLIK where it overflows."""
    try:
        return math.fsum(terms)
    except OverflowError:
        return LOWEST_LOGLIK


def as_row_kind(row_kind: object, has_trials: object) -> RowKind:
    """Return the kind of rows that these settings ask for."""
    check_bool(has_trials, "has_trials")
    if row_kind is None:
        return RowKind.COUNTS_WITH_TRIALS if has_trials else RowKind.REAL
    if isinstance(row_kind, RowKind):
        return row_kind
    check_choice(row_kind, "row_kind", [kind.value for kind in RowKind])
    return RowKind(row_kind)


def check_has_trials(kind: RowKind, trials: object) -> None:
    """Raise TypeError for trials, unless they are None, of rows that have none."""
    if trials is not None and kind is not RowKind.COUNTS_WITH_TRIALS:
        raise TypeError(f"trials must be None for {kind.value}: they belong to binomial mixtures")


def chosen_backend(dtype: DType, backend: str, n_threads: int | None) -> Backend:
    """Check these settings, and return the backend that they ask for."""
    check_choice(backend, "backend", BACKENDS)
    check_dtype(dtype)
    return Backend(backend, None if n_threads is None else as_integer(n_threads, "n_threads", 1))
