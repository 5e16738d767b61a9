"""Test whether k components are enough: the likelihood ratio of k + 1, compared with rows that k components made."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import numpy as np

from fastem import exceptions
from fastem._errstate import own
from fastem._public import public
from fastem._table import Table, Tabled, data_frame
from fastem._typing import Array, ArrayLike, RandomState
from fastem.estimators.base import Mixture
from fastem.selection.data import Arrays, as_arrays, as_data, fit, open_float64, with_settings
from fastem.selection.doubtful import add_doubts, blocks_of_arrays, n_distinct, rounding_step
from fastem.selection.select import as_estimator
from fastem.validation.arrays import check_distinct_rows, check_no_weights
from fastem.validation.settings import as_generator, as_integer


@public
@dataclass(frozen=True, eq=False, repr=False)
class BootstrapTest(Tabled):
    """The result of a test of k components against k + 1; printed, it is a table."""

    n_components: int  #: k
    statistic: float  #: 2 (log likelihood of k + 1 - log likelihood of k) of the rows, without the parts in doubt
    simulated: Array  #: (n_bootstrap,) the same for each data set that was drawn from the fitted k components

    @property
    def p_value(self) -> float:
        """Return the share of all statistics, that of the rows included, that are at least as large as it."""
        return float((1 + (self.simulated >= self.statistic).sum()) / (1 + len(self.simulated)))

    def to_frame(self) -> Any:
        """Return a data frame of pandas with one row for the test; ImportError where pandas is not installed.

        Its columns are n_components, statistic, p_value and n_bootstrap; `simulated` has the statistics of the data
        sets.
        """
        n_bootstrap = len(self.simulated)
        return data_frame(
            {"n_components": [self.n_components], "statistic": self.statistic, "p_value": self.p_value}
            | {"n_bootstrap": n_bootstrap}
        )

    def _table(self) -> Table:
        k, n_bootstrap = self.n_components, len(self.simulated)
        row = [f"{k} against {k + 1}", f"{self.statistic:.4g}", f"{self.p_value:.4g}", str(n_bootstrap)]
        return Table(["components", "likelihood ratio", "p-value", "data sets drawn"], [row])


@own
def bootstrap_test(
    X: ArrayLike,
    n_components: int,
    *,
    estimator: Mixture | None = None,
    trials: ArrayLike | None = None,
    n_bootstrap: int = 99,
    random_state: RandomState = 0,
) -> BootstrapTest:
    """Test k components against k + 1 by the parametric bootstrap of the likelihood ratio.

    The ratio has no chi-squared distribution, since a mixture of k components lies on the border of those of k + 1.  So
    k components are fitted, data sets are drawn from them, and both sizes are fitted to each data set: there are
    2 (n_bootstrap + 1) fits.  Each log likelihood leaves out what a component owes to being thinner than its rows prove
    (see `doubtful` of Candidate).

    Parameters
    ----------
    X : array-like of shape (n, d)
        The rows, as for the fit of the estimator.
    n_components : int
        The number k.
    estimator : estimator of a mixture, default=None
        All fits have its settings; None is the default of `select`.  Several starts (n_init) make it likely that both
        sizes find their maximum.
    trials : default=None
        The trials of rows that have any, as for the fit.
    n_bootstrap : int, default=99
        Number of data sets that are drawn; the p-value is at least 1 / (n_bootstrap + 1).
    random_state : int, Generator, RandomState or None, default=0
        The source of the random numbers.

    Returns
    -------
    BootstrapTest
        n_components, statistic, simulated (n_bootstrap,), and p_value, which is small if k components are too few.

    Raises
    ------
    ValueError, TypeError
        If the data or settings cannot be used.

    References
    ----------
    McLachlan (1987), On bootstrapping the likelihood ratio test statistic for the number of components in a normal
    mixture.

    Examples
    --------
    >>> import numpy as np, fastem
    >>> X = np.random.default_rng(0).normal(size=(100, 1)) + np.repeat([0.0, 9.0], 50)[:, np.newaxis]
    >>> fastem.bootstrap_test(X, 1, n_bootstrap=19).p_value
    0.05
    """
    estimator = as_estimator(estimator)
    k = as_integer(n_components, "n_components", 1)
    n_bootstrap = as_integer(n_bootstrap, "n_bootstrap", 1)
    rng = as_generator(random_state)
    arrays = as_arrays(estimator, as_data(estimator, X, trials))
    check_no_weights(arrays.sample_weight)
    check_distinct_rows(k + 1, n_distinct(blocks_of_arrays(arrays), k + 1), "n_components + 1", "of X")
    with warnings.catch_warnings():
        # what such a component adds to a likelihood is not counted
        warnings.simplefilter("ignore", exceptions.CollapsedComponentWarning)
        mixture, statistic = likelihood_ratio(estimator, k, arrays)
        draw = simulator(mixture, arrays, rng)
        # rows of k components may well lead to two equal ones of k + 1
        warnings.simplefilter("ignore", exceptions.EqualComponentWarning)
        simulated = np.array([likelihood_ratio(estimator, k, draw())[1] for _ in range(n_bootstrap)])
    return BootstrapTest(k, statistic, simulated)


def likelihood_ratio(estimator: Mixture, k: int, arrays: Arrays) -> tuple[Mixture, float]:
    """Return the fit of k components, and the statistic of k + 1 components against it."""
    step = rounding_step(arrays.X)
    smaller, larger = (fit(with_settings(estimator, {"n_components": size}), arrays) for size in (k, k + 1))
    for mixture in (smaller, larger):
        add_doubts(mixture, partial(open_float64, mixture, arrays), step)
    return smaller, 2 * ((larger.loglik_ - larger.doubtful_) - (smaller.loglik_ - smaller.doubtful_))


def simulator(mixture: Mixture, arrays: Arrays, rng: np.random.Generator) -> Callable[[], Arrays]:
    """Return a function that draws as many rows from a fitted mixture, with the same trials, which lack the same."""
    params, missing = mixture.params_, np.isnan(arrays.X)

    def draw() -> Arrays:
        shares = params.all_weights / params.all_weights.sum()
        labels = rng.choice(params.labels, size=len(arrays.X), p=shares)
        X = params.sample(labels, rng, arrays.trials)
        return replace(arrays, X=np.where(missing, np.nan, X) if missing.any() else X)

    return draw
