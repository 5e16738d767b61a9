"""Rows in memory: checked and opened, or swept and predicted by a single call."""

from __future__ import annotations

from typing import Any, TypedDict, TypeVar

import numpy as np
from numpy.typing import ArrayLike

from fastem._errstate import own
from fastem._typing import DType, RowKind, SweptParams, SweptStats
from fastem.data.base import Posterior, as_row_kind, check_has_trials, chosen_backend
from fastem.data.distinct import DistinctCounts, distinct_rows
from fastem.data.rows import Rows
from fastem.validation.arrays import (
    as_count_matrix,
    as_counts,
    as_matrix,
    as_sample_weight,
    check_squares,
    check_total_weight,
    total_weight,
)
from fastem.validation.missing import MISSING, check_columns, has_missing, weight_of_values, with_values, without_values
from fastem.validation.parameters import check_params
from fastem.validation.settings import check_bool, check_choice, check_integer

S = TypeVar("S", bound=SweptStats)


@own
def accumulate(
    params: SweptParams[S],
    X: ArrayLike,
    *,
    trials: ArrayLike | None = None,
    sample_weight: ArrayLike | None = None,
    missing: str = "raise",
    dtype: DType = None,
    backend: str = "auto",
    n_threads: int | None = None,
) -> S:
    """Return the sufficient statistics of X at `params`: the E-step and its sums, in one pass.

    Statistics of parts of the data, taken at the same parameters, add to those of the whole.

    Parameters
    ----------
    params : parameters of any family
        Parameters of a mixture of k components in d dimensions.
    X : array-like of shape (n, d)
        Rows, finite.  float32 and float64 arrays are not copied, whatever their strides.  For a family of
        counts whole numbers, of successes where there are trials, also of shape (n,) where d = 1.
    trials : int or array-like of shape (n,), (d,) or (n, d), default=None
        Trials of each row, column or place of a binomial mixture; must be left out for others.
    sample_weight : array-like of shape (n,), default=None
        Non-negative weights; a weight of w counts as w equal rows.  None is 1 for every row.
    missing : {"raise", "marginalize"}, default="raise"
        What NaN is: an error, or a missing value, of which the sums have what is expected given the others of its row.
    dtype : None or float64, default=None
        Arithmetic.  None is that of X: for float32 rows of a Gaussian mixture, without weights, responsibilities and
        the sums of 256 rows are computed in float32 and added in float64, good to about 1e-6 of their size (see
        docs/numerics.md).
    backend : {"auto", "cython", "numba"}, default="auto"
        Which compiled kernels to use.
    n_threads : int, default=None
        Number of threads; None is one for each core this process may use.

    Returns
    -------
    Statistics of the same family
        With fields params, counts (k,), loglik, entropy and the moments of the family; `.maximize()` is the M-step.

    Raises
    ------
    ValueError, TypeError
        On unusable input, with a sentence that names the argument and the first bad place.

    References
    ----------
    Dempster, Laird and Rubin (1977), Maximum likelihood from incomplete data via the EM algorithm.

    Examples
    --------
    >>> import numpy as np, fastem
    >>> params = fastem.GaussianParams(np.array([1.0]), np.zeros((1, 1)), np.ones((1, 1, 1)))
    >>> stats = fastem.accumulate(params, [[1.0], [3.0]])
    >>> stats.maximize(reg_covar=0.0).means
    array([[2.]])
    """
    settings: Settings = {"dtype": dtype, "backend": backend, "n_threads": n_threads, "missing": missing}
    with _rows_for(params, X, trials, sample_weight, True, settings) as rows:
        return rows.sweep(params)


@own
def posterior(
    params: SweptParams[SweptStats],
    X: ArrayLike,
    *,
    trials: ArrayLike | None = None,
    missing: str = "raise",
    backend: str = "auto",
    n_threads: int | None = None,
) -> Posterior:
    """Return the log density, the responsibilities and the most probable component of each row of X.

    Parameters
    ----------
    params, X, trials, missing, backend, n_threads
        As for `accumulate`; a missing value is left out of the density of its row.

    Returns
    -------
    Posterior
        Named tuple of log_prob (n,), natural logarithms of the mixture's density; resp (n, k), rows that sum to 1, with
        a column behind them where there is a background; labels (n,), int32, -1 of a background.

    Raises
    ------
    ValueError, TypeError
        On unusable input, with a sentence that names the argument and the first bad place.

    Examples
    --------
    >>> import numpy as np, fastem
    >>> params = fastem.BinomialParams(np.array([0.5, 0.5]), np.array([[0.2], [0.8]]))
    >>> fastem.posterior(params, [0, 10], trials=10).labels
    array([0, 1], dtype=int32)
    """
    settings: Settings = {"dtype": None, "backend": backend, "n_threads": n_threads, "missing": missing}
    with _rows_for(params, X, trials, None, False, settings) as rows:
        return rows.posterior(params, "log_prob", "resp", "labels")


def distinct_counts(
    X: ArrayLike, trials: ArrayLike, sample_weight: ArrayLike | None = None, *, n_threads: int | None = None
) -> DistinctCounts:
    """Return equal rows of counts as one row with their weight: a binomial mixture of these is that of all rows.

    `BinomialMixture.fit` does it by itself where it pays; this is for rows that come in chunks, whose distinct counts
    add up.

    Parameters
    ----------
    X : array-like of shape (n,) or (n, d)
        Successes: whole numbers from 0 to trials, of any type.  Integers are not copied.
    trials : int or array-like of shape (n,), (d,) or (n, d)
        Trials.
    sample_weight : array-like of shape (n,), default=None
        Non-negative; None is 1 for every row.
    n_threads : int, default=None
        Number of threads; None is one for each core this process may use.

    Returns
    -------
    DistinctCounts
        successes (m, d), trials (m, d), in order, and sample_weight (m,), the sum of those of equal rows; two of them
        add up to that of all their rows.

    Raises
    ------
    ValueError, TypeError
        On unusable input, with a sentence that names the argument and the first bad place.

    Examples
    --------
    >>> import fastem
    >>> few = fastem.distinct_counts([3, 0, 3], 5) + fastem.distinct_counts([0, 0], 5)
    >>> few.successes.ravel(), few.sample_weight
    (array([0., 3.]), array([3., 2.]))
    """
    with open_rows(X, trials, sample_weight, has_trials=True, n_threads=n_threads) as rows:
        X, trials = rows.data
        found = distinct_rows(X, trials, rows.sample_weight, rows.backend)
    assert found is not None
    return found


def open_rows(
    X: ArrayLike,
    trials: ArrayLike | None = None,
    sample_weight: ArrayLike | None = None,
    *,
    n_features: int | None = None,
    owner: str = "mixture",
    has_trials: bool = False,
    row_kind: RowKind | str | None = None,
    fitting: bool = False,
    missing: str = "raise",
    dtype: DType = None,
    backend: str = "auto",
    n_threads: int | None = None,
) -> Rows:
    """Open rows: checked once, to be swept often, as `accumulate` does before its sweep.

    Parameters
    ----------
    X, trials, sample_weight, missing, dtype, backend, n_threads
        As for `accumulate`.
    n_features : int, default=None
        Refuse rows of another length.
    owner : str
        Who expects n_features, for the message.
    has_trials : bool, default=False
        Whether these are counts with `trials`.
    row_kind : {"real numbers", "counts", "counts with trials"}, default=None
        What the rows are; None is "counts with trials" where `has_trials` is true, else "real numbers".
    fitting : bool, default=False
        Refuse rows that are too large for sums of squares, and columns without any value.

    Returns
    -------
    Rows
        A context manager with `sweep(params)`, `posterior(params, *wanted)` and `nearest(centers, scale)`.

    Raises
    ------
    ValueError, TypeError
        On unusable input, with a sentence that names the argument and the first bad place.

    Examples
    --------
    >>> import numpy as np, fastem
    >>> start = fastem.GaussianParams(np.full(2, 0.5), np.array([[0.0], [5.0]]), np.ones((2, 1, 1)))
    >>> with fastem.open_rows([[0.0], [1.0], [4.0], [5.0]], fitting=True) as rows:
    ...     fit = fastem.em(rows.sweep, lambda stats: stats.maximize(), start)
    >>> fit.params.means.ravel().round(1)
    array([0.5, 4.5])
    """
    kernels = chosen_backend(dtype, backend, n_threads)
    kind = as_row_kind(row_kind, has_trials)
    check_has_trials(kind, trials)
    check_bool(fitting, "fitting")
    if n_features is not None:
        check_integer(n_features, "n_features", 1)
    check_choice(missing, "missing", MISSING)
    form: Any = {"n_features": n_features, "owner": owner, "missing": missing == "marginalize"}
    data: tuple[np.ndarray, ...]
    if kind is RowKind.COUNTS_WITH_TRIALS:
        data = as_counts(X, trials, **form)
    elif kind is RowKind.COUNTS:
        data = (as_count_matrix(X, **form),)
    else:
        data = (as_matrix(X, fitting=fitting, **form),)
    weights = as_sample_weight(sample_weight, len(data[0]))
    if fitting and kind is RowKind.REAL:
        check_squares(data[0], total_weight(weights))
    if missing == "raise":
        return Rows(data, weights, kernels, dtype, kind)
    if kind is RowKind.COUNTS_WITH_TRIALS and without_values(*data).any():
        weights = weight_of_values(weights, *data)
    rows = Rows(data, weights, kernels, dtype, kind, has_missing(data[0]))
    if fitting:
        check_total_weight(total_weight(rows.weight_of_values), missing=True)
        check_columns(with_values(*data, weights=weights))
    return rows


class Settings(TypedDict):
    """The settings of the backend that sweeps the rows."""

    dtype: DType
    backend: str
    n_threads: int | None
    missing: str


def _rows_for(
    params: SweptParams[S],
    X: ArrayLike,
    trials: ArrayLike | None,
    sample_weight: ArrayLike | None,
    fitting: bool,
    settings: Settings,
) -> Rows:
    """Open the rows that parameters, which are checked here, are for."""
    check_params(params)
    params.check()
    kind, d = params.row_kind, params.n_features
    return open_rows(X, trials, sample_weight, n_features=d, row_kind=kind, fitting=fitting, **settings)
