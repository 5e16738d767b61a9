"""Many small fits in one call: univariate mixtures of groups of rows, each fitted inside the kernels.

Elsewhere a kernel makes one sweep and Python takes it from there.  At a hundred rows that costs a hundred times what
the sweep does: here start, EM and stop rule of a group are one piece of compiled code.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from fastem._errstate import own
from fastem._typing import Array, ArrayLike
from fastem.data.base import chosen_backend
from fastem.estimators.many_fits import ManyFits
from fastem.families.gaussian.starts import RELATIVE
from fastem.families.registry import NAMES, class_of
from fastem.validation.groups import (
    as_grouping,
    as_n_components,
    as_row_weights,
    as_starting_weights,
    as_starts,
    check_family_arguments,
    one_behind_the_other,
)
from fastem.validation.settings import as_integer, as_non_negative, check_choice

STOPPING = ("loglik", "gain")
"""The stop rules, by their number in the kernels."""


@own
def fit_many(
    values: ArrayLike,
    offsets: ArrayLike | None = None,
    n_components: int = 1,
    *,
    groups: ArrayLike | None = None,
    family: str = "gaussian",
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
    **inits: ArrayLike | None,
) -> ManyFits:
    """Fit a univariate mixture to each of many groups of rows: per gene, per pixel, per cell.

    Each group is fitted from its own start, until its own stop, and on its rows alone: how the groups are split into
    calls or threads does not show in the bits.  What is wrong with the rows of a group is its status.  One thread fits
    a group: long ones are for the estimators.

    Several starts are tried for three iterations each, and the best goes on: the sorted values (rates) cut in two, and
    a part again, where the likelihood of the classified rows gains most; k blocks of equal weight, with one variance;
    and, of two Gaussian components with heavy tails, one mean with a narrow and a wide component.

    Parameters
    ----------
    values : array-like of shape (n,) or (m, l)
        The rows of all groups; of a matrix, each of its rows is a group of l values.  float32 and float64 arrays, and
        integers of counts, are not copied where `groups` is None; the arithmetic is float64.
    offsets : array-like of int, shape (m + 1,), default=None
        Group g is ``values[offsets[g]:offsets[g + 1]]``, as Arrow and Awkward have it.  Groups may be empty.
    n_components : int, default=1
        Components of every mixture, k.
    groups : array-like of shape (n,), default=None
        In the place of offsets: a label for each value, of any type that a dict can tell apart, none missing; also a
        column of pandas or Arrow.  The results are in the order of the labels, which are `names`.
    family : str, default="gaussian"
        What the components are: the name of an estimator in small letters, without Mixture.
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
        means_init and variances_init of Gaussian mixtures.  Entries that are NaN, but of weights, are found.
    n_threads : int, default=None
        Number of threads; None is one for each core this process may use.
    backend : {"auto", "cython", "numba"}, default="auto"
        Which compiled kernels to use.

    Returns
    -------
    ManyFits, of the family
        Arrays over the groups: weights (m, k) and the other parameters (m, k), such as means and variances, components
        in the order of the first of these; loglik, n_iter, status, converged, aic and bic (m,); ``fits[g]``, the
        mixture of one group, by number or label; `labels(values)` and `predict_proba(values)`; `to_frame()`, all of it
        as a data frame.

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
    """
    check_choice(family, "family", NAMES)
    kind = class_of_many(family)
    given = {name: inits.pop(f"{name}_init", None) for name in kind.parameter_names}
    check_family_arguments(inits, family)
    rows, settings = kind.read(one_behind_the_other(values), one_behind_the_other(trials), added_variance(reg_covar))
    n = len(rows[0])
    grouping, weights = as_grouping(values, n, offsets, groups), as_row_weights(one_behind_the_other(sample_weight), n)
    if grouping.order is not None:
        rows, weights = tuple(array[grouping.order] for array in rows), weights[grouping.order]
    rules = as_rules(tol, max_iter, stopping, acceleration, init_params)
    edges = grouping.offsets
    m, k = len(edges) - 1, as_n_components(n_components, edges)
    params = {"weights": as_starting_weights(weights_init, "weights_init", (m, k))}
    params |= {
        name: as_starts(given[name], f"{name}_init", (m, k), *kind.ranges[name]) for name in kind.parameter_names
    }
    found: dict[str, np.ndarray] = {
        "loglik": np.empty(m), "n_iter": np.zeros(m, np.int32), "status": np.empty(m, np.int8)
    }  # fmt: skip
    with chosen_backend(None, backend, n_threads) as runner:
        columns, out = [array[:, np.newaxis] for array in rows], [*params.values(), *found.values()]
        runner.fit_groups(kind.kernel, [*columns, weights], edges, [*rules, *settings], out)
    params = in_order(params, kind.parameter_names[0])
    total = group_totals(edges, weights)
    return kind(offsets=edges, total=total, names=grouping.names, order=grouping.order, **params, **found)


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


def class_of_many(family: str) -> type[ManyFits]:
    """Return the class of the results of a family."""
    return class_of(family, f"estimators.many_{family}", "Fits", before="Many")


def added_variance(reg_covar: Any) -> tuple[float, float]:
    """Return what is added to variances, and what share of the variance of a group."""
    if isinstance(reg_covar, str):
        check_choice(reg_covar, "reg_covar", ("auto",))
        return 0.0, RELATIVE
    return as_non_negative(reg_covar, "reg_covar"), 0.0


def group_totals(offsets: np.ndarray, sample_weight: Array) -> Array:
    """Return the weight (m,) of the rows of each group."""
    sizes = np.diff(offsets)
    if sample_weight.strides == (0,):  # the broadcast 1
        return sizes.astype(np.float64)
    group = np.repeat(np.arange(len(sizes)), sizes)
    return np.asarray(np.bincount(group, sample_weight, len(sizes)), np.float64)


def in_order(params: dict[str, Array], name: str) -> dict[str, Array]:
    """Return the parameters (m, k), by name, with the components of each group in ascending order of one of them."""
    order = np.argsort(params[name], axis=1, kind="stable")
    return {name: np.take_along_axis(array, order, axis=1) for name, array in params.items()}
