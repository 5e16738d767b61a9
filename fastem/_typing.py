"""Types of the values that layers hand to each other."""

from __future__ import annotations

import os
from collections.abc import Callable
from enum import Enum
from typing import NamedTuple, Protocol, Self, TypeAlias, TypeVar

import numpy as np
import numpy.typing as npt
from numpy.typing import DTypeLike

Array = np.ndarray[tuple[int, ...], np.dtype[np.float64]]
"""NDArray[np.float64] with lengths that are known to be whole numbers."""
PathLike: TypeAlias = str | os.PathLike[str]
RandomState: TypeAlias = (
    "int | np.random.Generator | np.random.RandomState | np.random.BitGenerator | np.random.SeedSequence | None"
)
"""What a random number generator is made of; text, since numpy.random takes its time to import."""
DType = DTypeLike | None
"""A type of NumPy's by any of its names; None leaves the choice to the rows."""


class RowKind(Enum):
    """What the rows of a family are, and so which arrays there are of them."""

    REAL = "real numbers"
    COUNTS = "counts"
    COUNTS_WITH_TRIALS = "counts with trials"

    @property
    def arrays(self) -> tuple[str, ...]:
        """The names of the arrays that the kernels read."""
        return ("X", "trials") if self is RowKind.COUNTS_WITH_TRIALS else ("X",)

    @property
    def is_counts(self) -> bool:
        """Whether X has whole numbers, from 0."""
        return self is not RowKind.REAL


class SweepKernels(NamedTuple):
    """The kernels that read rows with the parameters of a density, by their names, which are the same in each twin.

    accumulate(*rows, slot_rows, *tables, sums); posterior(*rows, *tables, log_prob, resp, labels);
    iterate(*rows, slot_rows, *state, others, *m_step, sums, trace, memory, run), all of EM on few rows.

    The first two have a counterpart for rows of which values are missing (NaN), with the same arguments.
    """

    accumulate: str
    posterior: str
    iterate: str
    accumulate_missing: str = ""
    posterior_missing: str = ""


State = tuple[Array, Array, Array]
"""Parameters as `iterate` reads and writes them: weights (k,), what says where a component is (k, d), and its spread as
a vector, which has no elements where it has none."""


class MStep(NamedTuple):
    """What an M-step in a kernel must know beyond the sums."""

    added: Array  # (d,) to variances, or (0,)
    fixed: npt.NDArray[np.int8]  # (3, k) which parameters of which components stay, or (0, k)
    structure: int  # of the spread: 0 each component has its own, 1 all have one, 2 all features have one
    units: Array  # (2, d) of coordinates, those of means and those of standard deviations, or (0, 0)
    prior: Array  # (m,) what the family's prior is, or (0,)


class SweptStats(Protocol):
    """What the data layer asks of sufficient statistics."""

    @property
    def total(self) -> float:
        """The total weight of the rows."""


S_co = TypeVar("S_co", bound=SweptStats, covariant=True)


class SweptParams(Protocol[S_co]):
    """What the data layer asks of the parameters of a mixture, to sweep rows with them and to predict."""

    @property
    def row_kind(self) -> RowKind:
        """The kind of rows that these are parameters of."""

    @property
    def n_features(self) -> int:
        """The number of columns of X."""

    @property
    def weights(self) -> Array:
        """The mixing weights (k,)."""

    @property
    def all_weights(self) -> Array:
        """The mixing weights (k,), and behind them that of a background, if there is one."""

    @property
    def has_background(self) -> bool:
        """Whether there is a component of constant density, for rows that belong to no other."""

    @property
    def kernel(self) -> SweepKernels:
        """The kernels that read rows with these parameters."""

    @property
    def sums_length(self) -> int:
        """The number of sums that a kernel makes of a slot; the last two are the log likelihood and the entropy."""

    @property
    def log_base_measure(self) -> Callable[..., Array | None]:
        """A function of the arrays of rows, which returns (n,) the part of log p(x) without parameters, or None."""

    def check(self) -> None:
        """Raise ValueError or TypeError where the values are not those of a mixture."""

    def state(self) -> State:
        """Return copies of the parameters, for `iterate` to write to."""

    def with_state(self, weights: Array, location: Array, spread: Array) -> Self:
        """Return the parameters that `iterate` has reached."""

    def one_by_one(self) -> Self:
        """Return equal parameters as rows with gaps need them: a sweep shares nothing between components."""

    def tables(self) -> tuple[Array, ...]:
        """Return what the kernels read: float64, C order."""

    def tables_of_component(self, c: int) -> tuple[Array, ...]:
        """Return the tables of a mixture that has one of the components alone, with its weight."""

    def in_float32(self) -> Self:
        """Return equal parameters, with the kernels that are faster for float32 rows."""

    def float32_is_sufficient(self, tables: tuple[Array, ...]) -> bool:
        """Return whether float32 rows may be summed in float32, a tile at a time."""

    def stats(self, sums: Array, single: bool = False) -> S_co:
        """Name the sums (sums_length,) of a kernel; `single` says whether tiles were summed in float32."""


ArrayLike = npt.ArrayLike
"""What users pass for arrays: of NumPy, pandas, Arrow, or nested sequences."""
