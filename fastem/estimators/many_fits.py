"""The results of `fit_many`, whatever the family: arrays over the groups."""

from __future__ import annotations

import math
from abc import abstractmethod
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from enum import IntEnum
from typing import Any, ClassVar, NamedTuple

import numpy as np

from fastem._public import public
from fastem._table import Table, data_frame
from fastem._typing import Array, ArrayLike
from fastem.families.params import Params
from fastem.validation.groups import (
    Grouping,
    as_group,
    as_row_weights,
    beside,
    dimensions,
    numbers_of_groups,
    one_behind_the_other,
)

ROWS_AT_A_TIME = 1 << 16
"""Rows whose densities under all components are in memory together."""

FIRST_GROUPS = 10
"""Groups that a notebook shows."""
FAR_OUT = -1e300
"""Log density of a row out of reach of a component, as the kernels have it: of such components the first is taken."""


@public
class FitStatus(IntEnum):
    """What became of a group.  Up to MAX_ITER it has been fitted; above, its results are NaN."""

    CONVERGED = 0
    MAX_ITER = 1  # or, of several columns, a component lost its rows or its extent: the fit ended early
    NO_ROWS = 2  # of positive weight
    FEW_ROWS = 3  # of positive weight, fewer than components
    NOT_FINITE = 4  # NaN or infinite, or so large that a sum of squares overflows
    NOT_COUNTS = 5  # negative, not whole, above 2^53, or more successes than trials


ManyRows = tuple[tuple[np.ndarray, ...], tuple[float | Array, ...]]
"""The rows of all groups, each (n,), and what else a kernel is given."""

LogDensity = Callable[[int, np.ndarray, slice], Array]
"""component, group (b,) of each of some rows, which rows -> log density (b,), base 2, under that component of their
groups."""


@public
@dataclass(frozen=True, eq=False, repr=False)
class ManyFits:
    """The mixtures of m groups, components in the order of their means, probs or rates.  NaN where there is no fit.

    ``fits[g]`` is the mixture of one group, by its number or, where `fit_many` was given labels, by its label.
    """

    offsets: np.ndarray  # (m + 1,) where each group begins
    weights: Array  #       (m, k)  mixing weights; NaN behind the components of a group that has fewer
    loglik: Array  #        (m,)    total log likelihood, at these parameters
    n_iter: np.ndarray  #   (m,)    int32; 0 where there is no fit
    status: np.ndarray  #   (m,)    int8, a FitStatus
    total: Array  #         (m,)    weight of the rows
    names: np.ndarray | None = field(default=None, kw_only=True)  # (m,) labels of the groups, if they have any
    order: np.ndarray | None = field(default=None, kw_only=True)  # (n,) rows group by group, where they came otherwise
    n_components: np.ndarray = field(kw_only=True)  # (m,) of each group; 0 where there is no fit
    sizes: tuple[int, ...] = field(kw_only=True)  # numbers of components that were tried
    criteria: Array = field(kw_only=True)  # (m, s) `criterion` at each of them; the lowest is chosen

    kernel: ClassVar[str]
    parameter_names: ClassVar[tuple[str, ...]]
    """The parameters of a component, besides its weight; components are in the order of the first."""
    ranges: ClassVar[dict[str, tuple[float, float]]]
    """The least and the largest value of a start, by the name of the parameter."""

    @staticmethod
    @abstractmethod
    def read(
        values: ArrayLike, trials: ArrayLike | None, added: tuple[float, float], has_columns: bool = False
    ) -> ManyRows:
        """Return the rows of all groups, and what else the kernel is given.

        added: what is added to variances, and what share of those of a group.
        """

    @abstractmethod
    def params(self, group: int) -> Params:
        """Return the mixture of one group, by its number, for `posterior` and the other building blocks."""

    @staticmethod
    def base_measure(rows: tuple[np.ndarray, ...]) -> Array:
        """Return (n,) the part of the log density of rows (n, d) that no parameter enters."""
        return np.zeros(len(rows[0]))

    @abstractmethod
    def _log_density(self, rows: tuple[np.ndarray, ...]) -> LogDensity:
        """Return the log density of rows without `base_measure`, NaN where a row is none that the family has."""

    def __len__(self) -> int:
        return len(self.status)

    def __getitem__(self, group: Any) -> Params:
        return self.params(self._number(group))

    def __iter__(self) -> Iterator[Params]:
        return (self.params(group) for group in range(len(self)))

    def _sized(self, group: int) -> tuple[int, int]:
        """Return the number of a group, counted from the first, and of its components."""
        number = as_group(group, len(self))
        return number, int(self.n_components[number] or self.weights.shape[1])

    def _number(self, group: Any) -> int:
        """Return the number of a group; KeyError for a label, IndexError for a number that there is not."""
        if self.names is None:
            return as_group(group, len(self))
        found = np.flatnonzero(self.names == group if dimensions(group) == 0 else labels_equal(self.names, group))
        if not found.size:
            raise KeyError(f"no group has the label {group!r}")
        return int(found[0])

    def __repr__(self) -> str:
        """Say how many groups there are, and what became of them."""
        counts = Counter(self.status.tolist())
        ended = ", ".join(f"{count:,} {FitStatus(status).name}" for status, count in sorted(counts.items()))
        size = f"{self.sizes[0]}" if len(self.sizes) == 1 else f"{min(self.sizes)} to {max(self.sizes)}"
        return f"<{type(self).__name__}: {len(self):,} groups, {size} components; {ended or 'none'}>"

    def _repr_html_(self) -> str:
        """Return a table of the first groups as HTML."""
        names = ("n_components", "loglik", "bic")
        labels = range(len(self)) if self.names is None else self.names
        rows = [
            [str(labels[g]), FitStatus(self.status[g]).name, *(f"{getattr(self, name)[g]:.10g}" for name in names)]
            for g in range(min(len(self), FIRST_GROUPS))
        ]
        more = len(self) - len(rows)
        notes = [f"and {more:,} more groups: see to_frame()"] if more else []
        return Table(["group", "status", *names], rows, [repr(self)[1:-1]], notes, ("group", "status")).html()

    @property
    def fitted(self) -> np.ndarray:
        """Whether each group (m,) has parameters."""
        return np.asarray(self.status <= FitStatus.MAX_ITER)

    @property
    def converged(self) -> np.ndarray:
        """Whether the fit of each group (m,) met `tol`."""
        return np.asarray(self.status == FitStatus.CONVERGED)

    def _parameters_of(self, k: int) -> int:
        """Return the number of free parameters of k components."""
        return k - 1 + k * sum(int(math.prod(getattr(self, name).shape[2:])) for name in self.parameter_names)

    @property
    def n_parameters(self) -> np.ndarray:
        """The number of free parameters (m,) of each mixture."""
        counts = np.array([self._parameters_of(k) for k in range(max(self.sizes) + 1)])
        return np.asarray(counts[self.n_components])

    @property
    def aic(self) -> Array:
        """Akaike's criterion (m,) of each group: the lower the better."""
        return 2 * self.n_parameters - 2 * self.loglik

    @property
    def bic(self) -> Array:
        """Schwarz's criterion (m,) of each group: the lower the better."""
        return self.n_parameters * np.log(np.where(self.fitted, self.total, np.nan)) - 2 * self.loglik

    def to_frame(self) -> Any:
        """Return a data frame of pandas with a row for each group; ImportError where pandas is not installed.

        Its columns are status (by name), n_components, n_iter, total (weight of the rows), loglik, aic, bic, then the
        weight and the other parameters of each component, with the number of the component behind the name and, of rows
        of several columns, those of the columns; its index has the labels of the groups, if they have any.
        """
        columns: dict[str, object] = {"status": [FitStatus(each).name for each in self.status.tolist()]}
        columns |= {name: getattr(self, name) for name in ("n_components", "n_iter", "total", "loglik", "aic", "bic")}
        for component in range(self.weights.shape[1]):
            for name in ("weights", *self.own_names):
                values = getattr(self, name)[:, component]
                for place in np.ndindex(values.shape[1:]):
                    columns["_".join(map(str, (name.removesuffix("s"), component, *place)))] = values[:, *place]
        return data_frame(columns, index=self.names)

    def entropies(
        self, values: ArrayLike, trials: ArrayLike | None = None, sample_weight: ArrayLike | None = None
    ) -> Array:
        """Return the entropy (m,) of the responsibilities of the rows of each group, which are those of the fit.

        ICL is BIC plus twice as much.
        """
        some = self._open(values, trials)
        weights = as_row_weights(
            beside(sample_weight, "sample_weight", values, self.has_columns, False), len(some.groups)
        )
        found = np.zeros(len(self))
        for rows, joint in self._pieces(some):
            shares = np.exp2(joint - log2_sum(joint)[:, np.newaxis])
            terms = -np.nansum(np.where(shares > 0, shares * np.log(shares), 0.0), axis=1)
            np.add.at(found, some.groups[rows], weights[rows] * terms)
        return np.where(self.fitted, found, np.nan)

    def labels(
        self,
        values: ArrayLike,
        trials: ArrayLike | None = None,
        *,
        groups: ArrayLike | None = None,
        offsets: ArrayLike | None = None,
    ) -> np.ndarray:
        """Return the most probable component of each row, of its group, an int32 array with an element for each.

        Rows are those of the fit or others, as many as there are of each group.

        Parameters
        ----------
        values : array-like, as for `fit_many`
            Without groups and offsets: the rows of the fit, in their order, or others as an array whose first axis is
            the groups (a data frame names them, where the fit has names).
        trials : int or array-like, shaped as values, default=None
            Trials of a binomial mixture.
        groups : array-like of shape (n,), default=None
            The label of the group of each row, or its number where the fit has no labels.
        offsets : array-like of int, shape (m + 1,), default=None
            Instead of groups, where each of the groups of the fit begins; groups may be empty.

        Returns
        -------
        (n,) or (m, l) array of int32
            -1 where there is none: in groups without a fit, and where a value is none that the family has, such as NaN
            or more successes than trials.

        Raises
        ------
        ValueError, TypeError
            On a label that the fit does not have, another number of groups, and unusable rows.

        Examples
        --------
        >>> import fastem
        >>> fits = fastem.fit_many([0.0, 1.0, 9.0, 10.0, 5.0, 5.0, 7.0, 7.0], groups=list("aaaabbbb"), n_components=2)
        >>> fits.labels([4.0, 6.5, 2.0], groups=["b", "b", "a"])
        array([0, 1, 0], dtype=int32)
        """
        some = self._open(values, trials, groups, offsets)
        found = np.full(len(some.groups), -1, np.int32)
        for rows, joint in self._pieces(some):
            highest = np.where(np.isnan(joint), -np.inf, joint)
            found[rows] = np.where(highest.max(axis=1) > -np.inf, highest.argmax(axis=1), -1)
        return found.reshape(some.shape)

    predict = labels

    def predict_proba(
        self,
        values: ArrayLike,
        trials: ArrayLike | None = None,
        *,
        groups: ArrayLike | None = None,
        offsets: ArrayLike | None = None,
    ) -> Array:
        """Return the responsibilities (n, k) of the components of its group for each row; NaN where labels are -1.

        The rows are those that `labels` takes.  The groups of an array with a group in each row are given one behind
        the other.  Where a group has fewer components than others the rest is 0.
        """
        some = self._open(values, trials, groups, offsets)
        shares = np.empty((len(some.groups), self.weights.shape[1]))
        for rows, joint in self._pieces(some):
            shares[rows] = np.exp2(joint - log2_sum(joint)[:, np.newaxis])
        return shares

    def score_samples(
        self,
        values: ArrayLike,
        trials: ArrayLike | None = None,
        *,
        groups: ArrayLike | None = None,
        offsets: ArrayLike | None = None,
    ) -> Array:
        """Return the log density of each row in the mixture of its group, shaped as labels; NaN where these are -1.

        The rows are those that `labels` takes.
        """
        some = self._open(values, trials, groups, offsets)
        columns = some.rows if self.has_columns else tuple(array[:, np.newaxis] for array in some.rows)
        found = self.base_measure(columns)
        for rows, joint in self._pieces(some):
            found[rows] += math.log(2.0) * log2_sum(joint)
        return found.reshape(some.shape)

    def _open(
        self,
        values: ArrayLike,
        trials: ArrayLike | None,
        groups: ArrayLike | None = None,
        offsets: ArrayLike | None = None,
    ) -> RowsOfGroups:
        """Read rows, those of the fit or others, each with the number of its group."""
        columns = self.has_columns
        flat, tosses = values, beside(trials, "trials", values, columns, columns)
        if offsets is None and groups is None:
            flat = one_behind_the_other(values, columns)
        rows, _ = self.read(flat, tosses, (0.0, 0.0), columns)
        self._check_columns(rows[0])
        fitted = Grouping(self.offsets, self.names, self.order)
        numbers = numbers_of_groups(values, len(rows[0]), offsets, groups, fitted, columns)
        return RowsOfGroups(rows, numbers, np.shape(values)[: np.ndim(values) - columns])

    def _check_columns(self, rows: np.ndarray) -> None:
        """Raise ValueError unless rows have as many columns as those of the fit."""
        expected = getattr(self, self.parameter_names[0]).shape[2:]
        if rows.shape[1:] != expected:
            raise ValueError(
                f"values must have {expected[0]} columns, as the rows of the fit have; got {rows.shape[1]}"
            )

    def _pieces(self, some: RowsOfGroups) -> Iterator[tuple[slice, Array]]:
        """Yield which rows, and (b, k) log2 of weight times density of theirs; -inf behind the last component."""
        density, last = self._log_density(some.rows), np.maximum(self.n_components, 1)
        for begin in range(0, len(some.groups), ROWS_AT_A_TIME):
            rows = slice(begin, begin + ROWS_AT_A_TIME)
            group, joint = some.groups[rows], []
            with np.errstate(all="ignore"):  # weight 0, groups without a fit, rows out of reach
                for c in range(self.weights.shape[1]):
                    found = np.maximum(np.log2(self.weights[group, c]) + density(c, group, rows), FAR_OUT)
                    joint.append(np.where(c < last[group], found, -np.inf))
                yield rows, np.stack(joint, axis=1)

    @property
    def own_names(self) -> tuple[str, ...]:
        """The parameters of which each component has its own, besides its weight."""
        return self.parameter_names

    @property
    def has_columns(self) -> bool:
        """Whether rows have several columns, or are numbers."""
        return bool(getattr(self, self.parameter_names[0]).ndim == 3)


class RowsOfGroups(NamedTuple):
    """Rows, each with the number of its group."""

    rows: tuple[np.ndarray, ...]  # each (n,) or (n, d)
    groups: np.ndarray  # (n,)
    shape: tuple[int, ...]  # of a result with a number for each row


def labels_equal(names: np.ndarray, label: object) -> list[bool]:
    """Return which names equal a label that NumPy would compare element by element, such as a tuple."""
    return [isinstance(name, type(label)) and name == label for name in names]


def log2_sum(joint: Array) -> Array:
    """Return (b,) the logarithms of sums of powers of 2."""
    highest = joint.max(axis=1)
    return np.asarray(highest + np.log2(np.exp2(joint - highest[:, np.newaxis]).sum(axis=1)))
