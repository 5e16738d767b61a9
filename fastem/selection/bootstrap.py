"""Are k components enough?  The likelihood ratio of k + 1, against data that k have made."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np

from fastem import exceptions
from fastem._errstate import own
from fastem._public import public
from fastem.selection.doubtful import blocks_of, n_distinct, rounding_step, with_doubts
from fastem.selection.held_out import Data, arrays_of, copied
from fastem.selection.select import opened_rows, template, tosses
from fastem.validation.arrays import check_distinct_rows
from fastem.validation.settings import as_generator, as_integer


@public
@dataclass(frozen=True, eq=False)
class BootstrapTest:
    """Of k components against k + 1."""

    n_components: int  #: k
    statistic: float  #: 2 (log likelihood of k + 1 - log likelihood of k), of the rows, without what is in doubt
    simulated: np.ndarray  #: (n_bootstrap,) the same of rows drawn from the fitted k

    @property
    def p_value(self) -> float:
        """The share of statistics, of the rows and of those that were drawn, that are at least as large."""
        return float((1 + (self.simulated >= self.statistic).sum()) / (1 + len(self.simulated)))


@own
def bootstrap_test(
    X: Any,
    n_components: int,
    *,
    estimator: Any = None,
    trials: Any = None,
    n_bootstrap: int = 99,
    random_state: Any = 0,
) -> BootstrapTest:
    """Test k components against k + 1 by the parametric bootstrap of the likelihood ratio.

    The ratio has no chi-squared distribution, since k components lie on the border of k + 1.  So k are fitted, rows are
    drawn from them, and both sizes are fitted to these, again and again: 2 (n_bootstrap + 1) fits.  What a component
    owes to being thinner than its rows prove (`doubtful` of Candidate) is left out of each log likelihood.

    Parameters
    ----------
    X : array-like of shape (n, d)
        The rows, as for the fit of the estimator.
    n_components : int
        k.
    estimator : GaussianMixture or BinomialMixture, default=None
        Its settings are those of all fits; None is that of `select`.  Several starts make it likely that both sizes
        find their maximum.
    trials : default=None
        For a BinomialMixture, as for its fit.
    n_bootstrap : int, default=99
        Data sets that are drawn; p is at least 1 / (n_bootstrap + 1).
    random_state : int, Generator, RandomState or None, default=0
        Where they are drawn from.

    Returns
    -------
    BootstrapTest
        n_components, statistic, simulated (n_bootstrap,), p_value: small where k components are too few.

    Raises
    ------
    ValueError, TypeError
        On unusable data or settings.

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
    estimator = template(estimator)
    k = as_integer(n_components, "n_components", 1)
    n_bootstrap = as_integer(n_bootstrap, "n_bootstrap", 1)
    rng = as_generator(random_state)
    data = arrays_of(estimator, {"X": X, "sample_weight": None} | tosses(estimator, trials))
    check_distinct_rows(k + 1, n_distinct(blocks_of(data), k + 1), "n_components + 1", "of X")
    few, statistic = ratio(estimator, k, data)
    draw = drawer(few.params_, data, rng)
    with warnings.catch_warnings():  # of k components there is no other to find: two of k + 1 may well be equal
        warnings.simplefilter("ignore", exceptions.EqualComponentWarning)
        simulated = np.array([ratio(estimator, k, draw())[1] for _ in range(n_bootstrap)])
    return BootstrapTest(k, statistic, simulated)


def ratio(estimator: Any, k: int, data: Data) -> tuple[Any, float]:
    """The fit of k components, and the statistic of k + 1 against them."""
    step = rounding_step(data["X"])
    fits = (copied(estimator, {"n_components": size}).fit(**data) for size in (k, k + 1))
    few, more = (with_doubts(fit, partial(opened_rows, fit, data), step) for fit in fits)
    return few, 2 * float((more.loglik_ - more.doubtful_) - (few.loglik_ - few.doubtful_))


def drawer(params: Any, data: Data, rng: np.random.Generator) -> Callable[[], dict[str, Any]]:
    """Draws as many rows, with their trials."""
    n, options = len(data["X"]), [data["trials"]] if "trials" in data else []

    def draw() -> dict[str, Any]:
        labels = rng.choice(len(params.weights), size=n, p=params.weights / params.weights.sum())
        return data | {"X": params.sample(labels, *options, rng)}

    return draw
