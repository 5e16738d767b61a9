"""Many small fits in one call: univariate mixtures of groups of rows, each fitted inside the kernels.

Elsewhere a kernel makes one sweep and Python takes it from there.  At a hundred rows that costs a hundred times what
the sweep does: here start, EM and stop rule of a group are one piece of compiled code.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from enum import IntEnum
from typing import Any, ClassVar

import numpy as np

from fastem._errstate import own
from fastem._public import public
from fastem._typing import Array
from fastem.data.base import chosen_backend
from fastem.families.binomial.model import TABLE, BinomialParams
from fastem.families.gaussian.matrices import LOG2E, SMALLEST_VARIANCE
from fastem.families.gaussian.model import GaussianParams
from fastem.families.gaussian.starts import RELATIVE
from fastem.validation.arrays import LARGEST_MAGNITUDE
from fastem.validation.groups import (
    as_column,
    as_count_columns,
    as_n_components,
    as_offsets,
    as_row_weights,
    as_starting_weights,
    as_starts,
    check_family_arguments,
    check_length,
)
from fastem.validation.settings import as_integer, as_non_negative, check_choice

LARGEST_MEAN = LARGEST_MAGNITUDE[np.dtype(np.float64)]
RANGES = {
    "means": (-LARGEST_MEAN, LARGEST_MEAN),
    "variances": (SMALLEST_VARIANCE, LARGEST_MEAN**2),
    "probs": (0.0, 1.0),
}
"""In which starts lie."""

FAR_OUT = -1e300
"""Log density of a row out of reach of a component, as the kernels have it: of such components the first is taken."""


@public
class FitStatus(IntEnum):
    """What became of a group.  Up to MAX_ITER it has been fitted; above, its results are NaN."""

    CONVERGED = 0
    MAX_ITER = 1
    NO_ROWS = 2  # of positive weight
    FEW_ROWS = 3  # of positive weight, fewer than components
    NOT_FINITE = 4  # NaN or infinite, or so large that a sum of squares overflows
    NOT_COUNTS = 5  # negative, not whole, above 2^53, or more successes than trials


@public
@dataclass(frozen=True, eq=False)
class ManyFits:
    """The mixtures of m groups, components in the order of their means or probs.  NaN where there is no fit."""

    offsets: np.ndarray  # (m + 1,) as given
    weights: Array  #       (m, k)  mixing weights
    loglik: Array  #        (m,)    total log likelihood, at these parameters
    n_iter: np.ndarray  #   (m,)    int32; 0 where there is no fit
    status: np.ndarray  #   (m,)    int8, a FitStatus
    total: Array  #         (m,)    weight of the rows

    kernel: ClassVar[str]
    parameters: ClassVar[tuple[str, ...]]
    """Of a component, beside its weight; components are in the order of the first."""

    def __len__(self) -> int:
        return len(self.status)

    @property
    def fitted(self) -> np.ndarray:
        """(m,) groups that have parameters."""
        return np.asarray(self.status <= FitStatus.MAX_ITER)

    @property
    def converged(self) -> np.ndarray:
        """(m,) groups that met `tol`."""
        return np.asarray(self.status == FitStatus.CONVERGED)

    @property
    def n_parameters(self) -> int:
        """Free parameters of each mixture."""
        return self.weights.shape[1] * (1 + len(self.parameters)) - 1

    @property
    def aic(self) -> Array:
        """(m,) Akaike's criterion: the lower the better."""
        return 2 * self.n_parameters - 2 * self.loglik

    @property
    def bic(self) -> Array:
        """(m,) Schwarz's criterion: the lower the better."""
        return self.n_parameters * np.log(np.where(self.fitted, self.total, np.nan)) - 2 * self.loglik

    def _labels(self, log_density: Callable[[int, np.ndarray], Array]) -> np.ndarray:
        """log_density(c, group) is that of each row under component c of its group, base 2."""
        group = np.repeat(np.arange(len(self)), np.diff(self.offsets))
        labels, highest = np.full(len(group), -1, np.int32), np.full(len(group), -np.inf)
        with np.errstate(all="ignore"):  # weight 0, groups without a fit, rows out of reach
            for c in range(self.weights.shape[1]):
                found = np.maximum(np.log2(self.weights[group, c]) + log_density(c, group), FAR_OUT)
                labels[found > highest] = c
                highest = np.fmax(highest, found)
        return labels


@public
@dataclass(frozen=True, eq=False)
class ManyGaussianFits(ManyFits):
    """Gaussian mixtures of m groups."""

    means: Array  #     (m, k)
    variances: Array  # (m, k)

    kernel = "fit_many_normal"
    parameters = "means", "variances"

    @staticmethod
    def read(values: Any, trials: Any, added: tuple[float, float]) -> tuple[tuple[np.ndarray, ...], tuple[Any, ...]]:
        """The rows, and what the kernel is told beside them."""
        check_family_arguments({"trials": trials}, "gaussian")
        return (as_column(values, "values"),), added

    def params(self, group: int) -> GaussianParams:
        """The mixture of one group, for `posterior` and the other building blocks."""
        columns = self.means[group, :, np.newaxis], self.variances[group, :, np.newaxis]
        return GaussianParams(self.weights[group], *columns, "diag")

    def labels(self, values: Any) -> np.ndarray:
        """(n,) int32 most probable component of each row, of the rows of the fit or others in the same groups; -1 where
        there is none: in groups without a fit, and where a value is NaN."""
        x = as_column(values, "values")
        check_length(x, "values", int(self.offsets[-1]))

        def log_density(c: int, group: np.ndarray) -> Array:
            variances = self.variances[group, c]
            return np.asarray(-0.5 * (np.log2(variances) + LOG2E * (x - self.means[group, c]) ** 2 / variances))

        return self._labels(log_density)


@public
@dataclass(frozen=True, eq=False)
class ManyBinomialFits(ManyFits):
    """Binomial mixtures of m groups."""

    probs: Array  # (m, k)

    kernel = "fit_many_binomial"
    parameters = ("probs",)

    @staticmethod
    def read(values: Any, trials: Any, added: tuple[float, float]) -> tuple[tuple[np.ndarray, ...], tuple[Any, ...]]:
        """The rows, and what the kernel is told beside them."""
        return as_count_columns(values, trials), (TABLE,)

    def params(self, group: int) -> BinomialParams:
        """The mixture of one group, for `posterior` and the other building blocks."""
        return BinomialParams(self.weights[group], self.probs[group, :, np.newaxis])

    def labels(self, values: Any, trials: Any) -> np.ndarray:
        """(n,) int32 most probable component of each row, of the rows of the fit or others in the same groups; -1 where
        there is none: in groups without a fit, and where successes are not from 0 to trials."""
        x, tosses = as_count_columns(values, trials)
        check_length(x, "values", int(self.offsets[-1]))
        x = np.where((x >= 0) & (x <= tosses) & np.isfinite(tosses), x, np.nan)
        failures = tosses - x

        def log_density(c: int, group: np.ndarray) -> Array:
            p = self.probs[group, c]
            return times_log2(x, p) + times_log2(failures, 1 - p)

        return self._labels(log_density)


def times_log2(counts: np.ndarray, probs: Array) -> Array:
    """counts log2 probs, where 0 log 0 = 0."""
    return np.where(counts == 0, 0.0, counts * np.log2(probs))


KINDS: dict[str, Any] = {"gaussian": ManyGaussianFits, "binomial": ManyBinomialFits}
"""By family."""


@own
def fit_many(
    values: Any,
    offsets: Any,
    n_components: int = 1,
    *,
    family: str = "gaussian",
    trials: Any = None,
    sample_weight: Any = None,
    tol: float = 1e-3,
    max_iter: int = 100,
    reg_covar: float | str = 1e-6,
    weights_init: Any = None,
    means_init: Any = None,
    variances_init: Any = None,
    probs_init: Any = None,
    n_threads: int | None = None,
    backend: str = "auto",
) -> ManyGaussianFits | ManyBinomialFits:
    """Fit a univariate mixture to each of many groups of rows: per gene, per pixel, per cell.

    Each group is fitted as by `em` from its own start, until its own stop, and on its rows alone: how the groups are
    split into calls or threads does not show in the bits.  What is wrong with the rows of a group is its status.  One
    thread fits a group: long ones are for the estimators.

    A start cuts the sorted values (rates of success) of a group into k blocks of equal weight and takes their means;
    the variance is that within blocks, the same for all.  Where means tie they are moved half way to even ones between
    the smallest and the largest value.

    Parameters
    ----------
    values : array-like of shape (n,)
        The rows of all groups, one behind the other.  float32 and float64 arrays, and integers of counts, are not
        copied; the arithmetic is float64.
    offsets : array-like of int, shape (m + 1,)
        Group g is ``values[offsets[g]:offsets[g + 1]]``, as Arrow and Awkward have it.  Groups may be empty.  Of a
        table with a group in each row: ``table.ravel(), np.arange(len(table) + 1) * table.shape[1]``.  Of labels:
        ``order = np.argsort(labels, kind="stable")``, then ``values[order]`` and
        ``np.append(np.unique(labels[order], return_index=True)[1], len(labels))``.
    n_components : int, default=1
        Components of every mixture, k.
    family : {"gaussian", "binomial"}, default="gaussian"
        What the components are.
    trials : int or array-like of shape (n,), default=None
        Trials of a binomial mixture, whose values are successes; must be left out for a Gaussian one.
    sample_weight : array-like of shape (n,), default=None
        0 or from 1e-100 to 1e100; a weight of w counts as w equal rows, a row of weight 0 is as none.
    tol : float, default=1e-3
        A group stops when the change of its mean log likelihood is below tol.
    max_iter : int, default=100
        Iterations at the most; 0 leaves the starts.
    reg_covar : float or "auto", default=1e-6
        Added to the variances of Gaussian mixtures.  "auto" is 1e-6 of the variance of each group.
    weights_init, means_init, variances_init, probs_init : array-like of shape (k,) or (m, k), default=None
        Where to begin instead, in all groups or in each; variances_init and means_init of Gaussian mixtures, probs_init
        of binomial ones.  Entries that are NaN, but of weights, are found.
    n_threads : int, default=None
        Number of threads; None is one for each core this process may use.
    backend : {"auto", "cython", "numba"}, default="auto"
        Which compiled kernels to use.

    Returns
    -------
    ManyGaussianFits or ManyBinomialFits
        Arrays over the groups: weights (m, k) and means, variances or probs (m, k), components in the order of means or
        probs; loglik, n_iter, status, converged, aic and bic (m,); `labels(values)`, and `params(g)` of one group.

    Raises
    ------
    ValueError, TypeError
        On unusable settings or arrays of the wrong shape or type, with a sentence that names the argument.

    References
    ----------
    Dempster, Laird and Rubin (1977), Maximum likelihood from incomplete data via the EM algorithm.

    Examples
    --------
    >>> import fastem
    >>> fits = fastem.fit_many([0.0, 1.0, 9.0, 10.0, 5.0, 5.0, 7.0, 7.0, float("nan")], [0, 4, 8, 9], 2)
    >>> fits.means.round(2)
    array([[0.5, 9.5],
           [5. , 7. ],
           [nan, nan]])
    >>> fastem.FitStatus(fits.status[2]).name
    'NOT_FINITE'
    """
    check_choice(family, "family", KINDS)
    kind = KINDS[family]
    inits = {"means": means_init, "variances": variances_init, "probs": probs_init}
    check_family_arguments({f"{name}_init": inits[name] for name in inits.keys() - set(kind.parameters)}, family)
    rows, settings = kind.read(values, trials, added_variance(reg_covar))
    rules = as_non_negative(tol, "tol"), as_integer(max_iter, "max_iter", 0, most=np.iinfo(np.int32).max)
    edges, weights = as_offsets(offsets, len(rows[0])), as_row_weights(sample_weight, len(rows[0]))
    m, k = len(edges) - 1, as_n_components(n_components, edges)
    params = {"weights": as_starting_weights(weights_init, "weights_init", (m, k))}
    params |= {name: as_starts(inits[name], f"{name}_init", (m, k), *RANGES[name]) for name in kind.parameters}
    found = {"loglik": np.empty(m), "n_iter": np.zeros(m, np.int32), "status": np.empty(m, np.int8)}
    with chosen_backend(None, backend, n_threads) as runner:
        columns, out = [array[:, np.newaxis] for array in rows], [*params.values(), *found.values()]
        runner.fit_groups(kind.kernel, [*columns, weights], edges, [*rules, *settings], out)
    params = in_order(params, kind.parameters[0])
    fits: ManyGaussianFits | ManyBinomialFits = kind(
        offsets=edges, total=group_totals(edges, weights), **params, **found
    )
    return fits


def added_variance(reg_covar: Any) -> tuple[float, float]:
    """What is added to variances, and what share of those of a group."""
    if isinstance(reg_covar, str):
        check_choice(reg_covar, "reg_covar", ("auto",))
        return 0.0, RELATIVE
    return as_non_negative(reg_covar, "reg_covar"), 0.0


def group_totals(offsets: np.ndarray, sample_weight: Array) -> Array:
    """(m,) weight of the rows of each group."""
    sizes = np.diff(offsets)
    if sample_weight.strides == (0,):  # the broadcast 1
        return sizes.astype(np.float64)
    group = np.repeat(np.arange(len(sizes)), sizes)
    return np.asarray(np.bincount(group, sample_weight, len(sizes)), np.float64)


def in_order(params: dict[str, Array], name: str) -> dict[str, Array]:
    """The components of each group, by this parameter."""
    order = np.argsort(params[name], axis=1, kind="stable")
    return {name: np.take_along_axis(array, order, axis=1) for name, array in params.items()}
