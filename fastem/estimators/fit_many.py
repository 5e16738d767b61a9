"""Many small fits in one call: univariate mixtures of groups of rows, each fitted inside the kernels.

Elsewhere a kernel makes one sweep and Python takes it from there.  At a hundred rows that costs a hundred times what
the sweep does: here start, EM and stop rule of a group are one piece of compiled code.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from functools import partial
from typing import Any

import numpy as np

from fastem._errstate import own
from fastem._typing import Array, ArrayLike
from fastem.data.base import chosen_backend
from fastem.estimators.many_columns import ColumnModel, GroupedRows, fit_columns, fit_numbers
from fastem.estimators.many_fits import ManyFits
from fastem.estimators.many_gaussian import ManyMultivariateFits
from fastem.estimators.many_progress import ManyProgress
from fastem.estimators.many_sizes import CRITERIA, Sizes
from fastem.families.gaussian.starts import RELATIVE
from fastem.families.gaussian.structures import COVARIANCE_TYPES
from fastem.families.registry import NAMES, class_of
from fastem.validation.groups import (
    as_grouping,
    as_row_weights,
    as_sizes,
    as_starting_weights,
    as_starts,
    beside,
    check_family_arguments,
    has_columns,
    one_behind_the_other,
)
from fastem.validation.settings import as_integer, as_non_negative, check_choice

STOPPING = ("loglik", "gain")
"""The stop rules, by their number in the kernels."""


@own
def fit_many(
    values: ArrayLike,
    offsets: ArrayLike | None = None,
    n_components: int | Iterable[int] = 1,
    *,
    groups: ArrayLike | None = None,
    family: str = "gaussian",
    covariance_type: str = "full",
    criterion: str = "bic",
    trials: ArrayLike | None = None,
    sample_weight: ArrayLike | None = None,
    tol: float = 0.003,
    max_iter: int = 200,
    stopping: str = "gain",
    acceleration: str | None = "squarem",
    init_params: str = "auto",
    reg_covar: float | str = 1e-6,
    weights_init: ArrayLike | None = None,
    n_threads: int | None = None,
    backend: str = "auto",
    verbose: int = 0,
    **inits: ArrayLike | None,
) -> ManyFits:
    """Fit a mixture to each of many groups of rows: per gene, per pixel, per cell.

    Each group is fitted from its own start, until its own stop, and on its rows alone: how the groups are split into
    calls or threads does not show in the bits.  What is wrong with the rows of a group is its status.  One thread fits
    a group: long ones are for the estimators.

    Several starts are tried for some iterations each, and the best goes on.  Of numbers: the sorted values (rates) cut
    in two, and a part again, where the likelihood of the classified rows gains most; k blocks of equal weight, with one
    variance; and, of two Gaussian components with heavy tails, one mean with a narrow and a wide component.  Of rows of
    several columns: k-means++ and k-means three times, with draws that are the same in every group and call.

    Parameters
    ----------
    values : array-like of shape (n,) or (m, l); rows of d columns: (n, d) or (m, l, d)
        The rows of all groups, with offsets or labels; without, the first axis is the groups, of l rows each, and the
        index of a data frame names them.  float32 and float64 arrays, and integers of counts, are not copied where
        `groups` is None; the arithmetic is float64.
    offsets : array-like of int, shape (m + 1,), default=None
        Group g is ``values[offsets[g]:offsets[g + 1]]``, as Arrow and Awkward have it.  Groups may be empty.
    n_components : int or iterable of int, default=1
        Components of every mixture, k; or the numbers to try, such as ``range(1, 6)``: each group has that with the
        lowest `criterion`.
    groups : array-like of shape (n,), default=None
        Instead of offsets: a label for each value, of any type that can be a key of a dict, none missing; also a column
        of pandas or Arrow.  The results are in the order of the labels, which are `names`.
    family : str, default="gaussian"
        What the components are: the name of an estimator in small letters, without Mixture.
    covariance_type : {"full", "tied", "diag", "spherical"}, default="full"
        The structure of the covariances of rows of several columns.
    criterion : {"bic", "aic", "icl"}, default="bic"
        What chooses among several n_components.  ICL is BIC plus twice the entropy of the responsibilities.
    trials : int or array-like, shaped as values, default=None
        Trials of a binomial mixture, whose values are successes; must be left out for others.
    sample_weight : array-like, shaped as values, default=None
        0 or from 1e-100 to 1e100; a weight of w counts as w equal rows, a row of weight 0 is as none.
    tol : float, default=0.003
        A group stops when what its log likelihood has left to gain is below tol, see `stopping`.
    max_iter : int, default=200
        Iterations at the most; 0 leaves the starts.
    stopping : {"gain", "loglik"}, default="gain"
        What falls below tol.  "gain": an estimate of what the log likelihood of a group, a total, still has to gain,
        from how fast the steps of EM become shorter.  "loglik": the change of its mean, as for the estimators.
    acceleration : {"squarem", None}, default="squarem"
        Extrapolate every two iterations by SQUAREM; what lowers the log likelihood is taken back.  None is plain EM.
    init_params : {"auto", "blocks"}, default="auto"
        Where to begin: the best of several starts, or blocks of equal weight, whose means are moved half way to even
        ones where they tie.  Where a start is given in part the rest comes from blocks.
    reg_covar : float or "auto", default=1e-6
        Added to the variances of Gaussian mixtures.  "auto" is 1e-6 of the variance of each group.
    weights_init, ..._init : array-like of shape (k,) or (m, k), default=None
        Where to begin instead, in all groups or in each, for every array of parameters that the result has, such as
        means_init and variances_init of Gaussian mixtures.  NaN entries, which
        weights cannot have, are chosen.  Only for numbers, and one n_components.
    n_threads : int, default=None
        Number of threads; None is one for each core this process may use.
    backend : {"auto", "cython", "numba"}, default="auto"
        Which compiled kernels to use.
    verbose : int, default=0
        0 shows a bar on a terminal if the fits take over a second; 1 writes a line for each n_components, 2 also the
        time that it took.

    Returns
    -------
    ManyFits, of the family
        Arrays over the groups: weights (m, k) and the other parameters (m, k), such as means and variances, or
        (m, k, d) of several columns, with covariances shaped as the estimator's behind m; components in the order of
        the first of these (and of its first column), NaN behind the last of a group that has fewer; n_components,
        loglik, n_iter, status, converged, aic and bic (m,); criteria (m, s) of the `sizes` that were tried;
        ``fits[g]``, the mixture of one group, by number or label; `labels(values)`, `predict_proba(values)` and
        `score_samples(values)`, of these rows or others;
        `to_frame()`, all of it as a data frame.  MAX_ITER is the status of a group that ended early: after max_iter
        iterations, or where a component of several columns has lost its rows or its extent.

    Raises
    ------
    ValueError, TypeError
        On unusable settings or arrays of the wrong shape or type, with a sentence that names the argument.

    References
    ----------
    Dempster, Laird and Rubin (1977), Maximum likelihood from incomplete data via the EM algorithm.
    Varadhan and Roland (2008), Simple and globally convergent methods for accelerating the convergence of any EM.

    Examples
    --------
    >>> import fastem
    >>> import numpy as np
    >>> fits = fastem.fit_many([0.0, 1.0, 9.0, 10.0, 5.0, 5.0, 7.0, 7.0, float("nan")], [0, 4, 8, 9], 2)
    >>> fits.means.round(2)
    array([[0.5, 9.5],
           [5. , 7. ],
           [nan, nan]])
    >>> fits
    <ManyGaussianFits: 3 groups, 2 components; 2 CONVERGED, 1 NOT_FINITE>
    >>> genes = fastem.fit_many([5.0, 1.0, 6.0, 2.0], groups=["b", "a", "b", "a"])
    >>> genes.names, genes["b"].means
    (array(['a', 'b'], dtype='<U1'), array([[5.5]]))
    >>> cells = np.random.default_rng(0).standard_normal((2, 60, 3)) + 9 * (np.arange(60) % 2)[:, np.newaxis]
    >>> chosen = fastem.fit_many(cells, n_components=range(1, 4))
    >>> chosen.n_components, chosen.means.shape
    (array([2, 2]), (2, 3, 3))
    """
    check_choice(family, "family", NAMES)
    check_choice(criterion, "criterion", CRITERIA)
    columns = has_columns(values, offsets, groups)
    kind = class_of_many(family, columns)
    given = {name: inits.pop(f"{name}_init", None) for name in kind.parameter_names}
    check_family_arguments(inits, family)
    flat, tosses = one_behind_the_other(values, columns), beside(trials, "trials", values, columns, columns)
    rows, settings = kind.read(flat, tosses, added_variance(reg_covar), columns)
    grouping = as_grouping(values, len(rows[0]), offsets, groups)
    weights = as_row_weights(beside(sample_weight, "sample_weight", values, columns, False), len(rows[0]))
    if grouping.order is not None:
        rows, weights = tuple(array[grouping.order] for array in rows), weights[grouping.order]
    rules = as_rules(tol, max_iter, stopping, acceleration, init_params)
    sizes = as_sizes(n_components, grouping.offsets)
    check_starts(given | {"weights": weights_init}, sizes, columns)
    data = GroupedRows(rows, weights, grouping.offsets)
    build: dict[str, Any] = {
        "offsets": grouping.offsets, "total": group_totals(grouping.offsets, weights), "names": grouping.names,
        "order": grouping.order,
    }  # fmt: skip
    if columns:
        check_columns(stopping, acceleration, init_params)
        model = ColumnModel(family, check_covariance_type(covariance_type, family))
        if family == "gaussian":
            build["covariance_type"] = model.covariance_type
    elif str(covariance_type) != "full":  # an array would be compared element by element
        raise TypeError("covariance_type must be left out where rows have one column")
    told = as_integer(verbose, "verbose", 0)
    with chosen_backend(None, backend, n_threads) as runner, ManyProgress(len(sizes), told) as progress:

        def fit_at(k: int) -> dict[str, np.ndarray]:
            report = progress.of(k)
            if columns:
                return fit_columns(runner, kind, model, data, k, rules, added_variance(reg_covar), report)
            starts = {"weights": as_starting_weights(weights_init, "weights_init", (len(data), k))}
            starts |= {
                name: as_starts(given[name], f"{name}_init", (len(data), k), *kind.ranges[name])
                for name in kind.parameter_names
            }
            return fit_numbers(runner, kind, starts, data, rules, settings, report)

        return Sizes(sizes, criterion, partial(kind, **build), (values, trials, sample_weight)).best_of(fit_at)


def as_rules(
    tol: object, max_iter: object, stopping: str, acceleration: str | None, init_params: str
) -> tuple[float, int, int, int, int]:
    """Return the settings of a fit as the kernels take them."""
    check_choice(stopping, "stopping", STOPPING)
    if acceleration is not None:
        check_choice(acceleration, "acceleration", ("squarem",))
    check_choice(init_params, "init_params", ("auto", "blocks"))
    most = as_integer(max_iter, "max_iter", 0, most=np.iinfo(np.int32).max)
    steps = int(acceleration is not None), int(init_params == "auto")
    return as_non_negative(tol, "tol"), most, STOPPING.index(stopping), *steps


def class_of_many(family: str, columns: bool) -> type[ManyFits]:
    """Return the class of the results of a family."""
    if columns and family == "gaussian":
        return ManyMultivariateFits
    return class_of(family, f"estimators.many_{family}", "Fits", before="Many")


def added_variance(reg_covar: Any) -> tuple[float, float]:
    """Return what is added to variances, and what share of the variance of a group."""
    if isinstance(reg_covar, str):
        check_choice(reg_covar, "reg_covar", ("auto",))
        return 0.0, RELATIVE
    return as_non_negative(reg_covar, "reg_covar"), 0.0


def check_covariance_type(covariance_type: str, family: str) -> str:
    """Check the structure of covariances, which counts have not."""
    check_choice(covariance_type, "covariance_type", COVARIANCE_TYPES)
    if family != "gaussian" and covariance_type != "full":
        raise TypeError(f"covariance_type must be left out for family={family!r}")
    return covariance_type


def check_columns(stopping: str, acceleration: str | None, init_params: str) -> None:
    """Raise ValueError for a setting that fits of several columns do not have."""
    for name, value, only in (
        ("stopping", stopping, "gain"),
        ("acceleration", acceleration, "squarem"),
        ("init_params", init_params, "auto"),
    ):
        if value != only:
            raise ValueError(f"{name} must be {only!r} where rows have several columns, got {value!r}")


def check_starts(given: Mapping[str, object], sizes: tuple[int, ...], columns: bool) -> None:
    """Raise TypeError for starting values where they have no meaning."""
    for name, value in given.items():
        if value is not None and (columns or len(sizes) > 1):
            where = "rows have several columns" if columns else "several n_components are tried"
            raise TypeError(f"{name}_init must be left out where {where}")


def group_totals(offsets: np.ndarray, sample_weight: Array) -> Array:
    """Return the weight (m,) of the rows of each group."""
    sizes = np.diff(offsets)
    if sample_weight.strides == (0,):  # the broadcast 1
        return sizes.astype(np.float64)
    group = np.repeat(np.arange(len(sizes)), sizes)
    return np.asarray(np.bincount(group, sample_weight, len(sizes)), np.float64)
