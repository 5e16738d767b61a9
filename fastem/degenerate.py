"""Components that collapse, on equal rows, on fewer than a covariance needs, or on none: which, and what is done."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import astuple, dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fastem import checks
from fastem._public import public
from fastem.binomial import BinomialParams
from fastem.fit import Collapse, Fit
from fastem.gaussian import RESOLUTION, GaussianParams, diagonal, resolved
from fastem.linear import eigh, eigvalsh, product, times, weighted_sum
from fastem.stats import EMPTY, Array

POLICIES = ("floor", "reseed", "drop", "raise")

NO_EXTENT = 1.01
"""Of the floor under a variance (reg_covar, and what rounding can tell): below that a component has none of its own."""

BLURRED = 2.0
"""What rounding can tell is known to a factor itself: components that lie on it were seen from 0.83 to 1.16 of it."""

RESEEDS = 2
"""For each component, in a run: then it is left to the floor, so that a fit ends."""

APART = 0.5
"""Halves of a component are so many standard deviations from its mean: they leave it the mean and covariance it had."""


@dataclass(frozen=True)
class Watch:
    """Looks at the components after each M-step, and does as the policy says about those that have collapsed."""

    policy: str
    extents: Callable[[Any], Array]
    split: Callable[[Any, int, int], Any]

    def looked_at(self, fit: Fit) -> Fit:
        """A fit with what is seen of its components where it ends, and since when.  Components that are equal stay so,
        though a mixture of others may be far more likely: what there is still to gain is not known then."""
        past = [each for each in fit.collapses if each.action != "floor"]
        since = {each.component: each.iteration for each in fit.collapses if each.action == "floor"}
        ended: list[Collapse] = []
        replace(self, policy="floor")(fit.stats, fit.params, fit.n_iter, ended)
        now = [replace(each, iteration=since.get(each.component, each.iteration)) for each in ended]
        gain = math.inf if inseparable(fit.params, fit.stats.live).size else fit.remaining_gain
        return replace(fit, collapses=(*past, *now), remaining_gain=gain)

    def __call__(self, stats: Any, reached: Any, iteration: int, collapses: list[Collapse]) -> tuple[Any, str] | None:
        """`Mend` of `em`."""
        gone = ~stats.live | (self.extents(reached) <= NO_EXTENT)
        if not gone.any():
            return None
        lightest = int(np.where(gone, stats.row_counts, np.inf).argmin())

        def note(component: int, action: str) -> None:
            smallest = smallest_eigenvalue(reached, component) if stats.live[component] else math.nan
            collapses.append(Collapse(component, iteration, float(stats.row_counts[component]), smallest, action))

        if self.policy == "drop" and len(gone) > 1:
            note(lightest, "drop")
            return without(reached, lightest), "dropped"
        if self.policy == "reseed" and not gone.all() and reseeds(collapses) < RESEEDS * len(gone):
            note(lightest, "reseed")
            return self.split(reached, int(np.where(gone, -1.0, stats.row_counts).argmax()), lightest), "reseeded"
        known = {each.component for each in collapses if each.action == "floor"}
        for component in np.flatnonzero(gone).tolist():
            if component not in known:
                note(component, "floor")
        if self.policy == "raise":
            checks.no_collapse(*astuple(collapses[-1])[:4])
        return None


def inseparable(params: Any, live: NDArray[np.bool_]) -> np.ndarray:
    """Components with rows that equal one before them: they have the same responsibilities, but for a factor, and so
    the same parameters after every M-step."""
    return np.flatnonzero(equal_before(params) & live)


def renumbered(collapse: Collapse, order: np.ndarray) -> Collapse:
    """Of components that have been put in this order."""
    return replace(collapse, component=int(np.flatnonzero(order == collapse.component)[0]))


def reseeds(collapses: list[Collapse]) -> int:
    return sum(each.action == "reseed" for each in collapses)


def without(params: Any, component: int) -> Any:
    """The other components; their weights are scaled up."""
    rest = params.take(np.delete(np.arange(len(params.weights)), component))
    return replace(rest, weights=rest.weights / rest.weights.sum())


# ------------------------------------------------------------------------------------------------------------- normal


def normal_extents(params: GaussianParams, reg_covar: Any) -> Array:
    """(k,) the smallest eigenvalue of each covariance, each feature in units of the floor under its variance; where it
    is far above 1, a lower bound.  Where all rows lie in a plane that is no fault of a component's: infinite.
    """
    found = own_extents(params, reg_covar)
    if found.min() <= NO_EXTENT and own_extents(pooled(params), reg_covar)[0] <= NO_EXTENT:
        return np.full(len(found), np.inf)
    return found


def own_extents(params: GaussianParams, reg_covar: Any) -> Array:
    if params.covariance_type == "tied":
        return np.full(len(params.weights), np.inf)
    variances = diagonal(params.covariances) if params.is_matrix else params.variances()
    least = reg_covar + BLURRED * resolved(params.weights, variances, params.means)
    if not params.is_matrix:
        with np.errstate(over="ignore"):  # of variances that are far above their floor
            found: Array = (variances / (least.max() if params.covariance_type == "spherical" else least)).min(axis=1)
            return found
    least = least + BLURRED * params.n_features**2 * RESOLUTION * variances
    L = params.inverse_cholesky()
    found = np.asarray(1 / np.einsum("kij,kij,kj->k", L, L, least))  # of the trace of the inverse: that, or less
    for k in np.flatnonzero(found <= NO_EXTENT):
        found[k] = smallest_of(L[k] * np.sqrt(least[k]))
    return found


def pooled(params: GaussianParams) -> GaussianParams:
    """One component with the mean and covariance of all."""
    mean = weighted_sum(params.weights, params.means)
    delta = params.means - mean
    if params.is_matrix:
        between = delta[:, :, np.newaxis] * delta[:, np.newaxis, :]
    else:
        between = (delta**2).mean(axis=1) if params.covariance_type == "spherical" else delta**2
    covariance = weighted_sum(params.weights, params.covariances + between)
    return GaussianParams(np.ones(1), mean[np.newaxis], np.asarray(covariance)[np.newaxis], params.covariance_type)


def split_normal(params: GaussianParams, donor: int, place: int) -> GaussianParams:
    """The donor as two halves along its longest axis, one of them in the place of another component.

    With R R^T the covariance and u a direction of length 1, the halves are at APART R u from the mean, with the
    covariance R (1 - APART^2 u u^T) R^T: positive definite whatever the units of the features are, as a difference of
    covariances is not.  The axis is the longest with each feature in units of its own spread.
    """
    weights, means, covariances = params.weights.copy(), params.means.copy(), params.covariances.copy()
    if params.is_matrix:
        R = root(covariances if params.covariance_type == "tied" else covariances[donor])
        scaled = R / params.units[:, np.newaxis]
        u = eigh(product(scaled.T, scaled))[1][:, -1]
        step = APART * times(R, u)
        halved = R - (1 - math.sqrt(1 - APART**2)) * times(R, u)[:, np.newaxis] * u
        halved = product(halved, halved.T)
    else:
        variances = params.variances()[donor]
        longest = np.arange(params.n_features) == (variances / params.units**2).argmax()
        step = APART * np.sqrt(variances) * longest
        shrunk = APART**2 * longest if params.covariance_type == "diag" else APART**2 / params.n_features
        halved = covariances[donor] * (1 - shrunk)
    weights[[donor, place]] = weights[[donor, place]].mean()
    means[[donor, place]] = means[donor] - step, means[donor] + step
    if params.covariance_type != "tied":
        covariances[[donor, place]] = halved
    return replace(params, weights=weights, means=means, covariances=covariances)


def root(covariance: Array) -> Array:
    """R with R R^T = covariance, or the nearest to it that is definite; by way of its correlations, which have no
    units."""
    sds = np.sqrt(covariance.diagonal())
    values, vectors = eigh(covariance / sds / sds[:, np.newaxis])
    return np.asarray(vectors * np.sqrt(np.maximum(values, len(sds) * RESOLUTION)) * sds[:, np.newaxis])


def smallest_eigenvalue(params: Any, component: int) -> float:
    """Of a covariance, reg_covar included; NaN for families that have none."""
    if not isinstance(params, GaussianParams):
        return math.nan
    if not params.is_matrix:
        return float(params.variances()[component].min())
    factors = params.inverse_cholesky()
    return smallest_of(factors if factors.ndim == 2 else factors[component])


def smallest_of(inverse_cholesky: Array) -> float:
    """Smallest eigenvalue of the covariance: the largest of its inverse is good to rounding where features have units
    that are far apart, and that of the covariance itself is not."""
    with np.errstate(over="ignore"):
        return float(1 / largest_of(inverse_cholesky))


def largest_of(factors: Array) -> Array:
    """(...) the largest eigenvalue of F F^T, of factors F (..., d, d), in units in which no square overflows."""
    sizes = np.abs(factors).max(axis=(-2, -1), keepdims=True)
    scaled = factors / sizes
    return np.asarray(eigvalsh(product(scaled, scaled.mT))[..., -1] * sizes[..., 0, 0] ** 2)


# ----------------------------------------------------------------------------------------------------------- binomial


def binomial_extents(params: BinomialParams) -> Array:
    """A probability of 0 or 1 is no fault: components of counts collapse by losing their rows alone."""
    return np.full(len(params.weights), np.inf)


def split_binomial(params: BinomialParams, donor: int, place: int) -> BinomialParams:
    """The donor as two, a little to both sides of its probabilities; one is in the place of another component."""
    weights, probs = params.weights.copy(), params.probs.copy()
    step = APART * probs[donor] * (1 - probs[donor])
    weights[[donor, place]] = weights[[donor, place]].mean()
    probs[[donor, place]] = probs[donor] - step, probs[donor] + step
    return BinomialParams(weights, probs)


# ---------------------------------------------------------------------------------------------------------- diagnosis

THIN = 1e-4
"""Of the pooled variance: a component that is thinner in some direction may be a spurious maximum."""

EQUAL = 1e-6
"""Of a standard deviation, or of a variance: components whose parameters differ by less are one."""


@public
@dataclass(frozen=True, eq=False)
class Diagnosis:
    """What tells a spurious maximum: components on few rows, on equal rows, or much thinner than the others.

    ``str`` makes a table of it.
    """

    weights: Array  #:   (k,)
    counts: Array  #:    (k,) weight of the rows of each component
    thinnest: Array  #: (k,) its smallest variance in any direction, over the pooled one there; NaN for counts
    widest: Array  #:   (k,) and its largest
    complaints: tuple[tuple[str, ...], ...]  #: for each component

    @property
    def spurious(self) -> list[int]:
        """Components about which there are complaints."""
        return [component for component, each in enumerate(self.complaints) if each]

    def __str__(self) -> str:
        lines = ["component  weight     rows       thinnest   widest"]
        table = zip(self.weights, self.counts, self.thinnest, self.widest, self.complaints, strict=True)
        for component, (*numbers, complaints) in enumerate(table):
            told = " ".join(f"{number:<10.4g}" for number in numbers)
            lines.append(f"{component:9d}  {told}{'; '.join(complaints)}")
        return "\n".join(line.rstrip() for line in lines)


def diagnosis(params: Any, counts: Array, collapsed: set[int]) -> Diagnosis:
    """Of fitted parameters, the weights of their rows, and the components that have no extent of their own."""
    k = len(counts)
    with np.errstate(all="ignore"):
        thinnest, widest = relative_extents(params) if isinstance(params, GaussianParams) else np.full((2, k), np.nan)
        equal = equal_before(params)
    needed, empty = own_parameters(params), ~(counts > EMPTY * counts.sum())
    gone = np.isin(np.arange(k), list(collapsed)) & ~empty
    tests = {
        "has lost its rows": empty,
        "has no extent of its own in some direction": gone,
        f"has no more rows than its {needed} parameters": (counts <= needed) & ~empty & ~gone,
        f"is thinner than {THIN:g} of the pooled variance": (thinnest < THIN) & ~gone,
        "equals a component before it": equal,
        "has an extent that is beyond what numbers can tell": np.isnan(thinnest) & isinstance(params, GaussianParams),
    }
    complaints = tuple(tuple(sentence for sentence, where in tests.items() if where[c]) for c in range(k))
    return Diagnosis(params.weights, counts, thinnest, widest, complaints)


def own_parameters(params: Any) -> int:
    """Of one component, its weight and what all share left out."""
    shared = "covariances" if getattr(params, "covariance_type", "") == "tied" else "weights"
    return int(params.n_free(("weights", shared)) // len(params.weights))


def relative_extents(params: GaussianParams) -> Array:
    """(2, k) smallest and largest eigenvalues of each covariance with respect to the mean one; NaN where numbers do not
    reach."""
    k = len(params.weights)
    if params.covariance_type == "tied":
        return np.ones((2, k))
    if not params.is_matrix:
        with np.errstate(over="ignore"):
            ratios = params.variances() / weighted_sum(params.weights, params.variances())
        return np.array([ratios.min(axis=1), ratios.max(axis=1)])
    mean = weighted_sum(params.weights, params.covariances)
    if not np.isfinite(mean).all():
        return np.full((2, k), np.nan)
    pool = GaussianParams(np.ones(1), params.means[:1], mean[np.newaxis])
    with np.errstate(over="ignore"):  # of one without rows, far wider than all others
        narrowest = 1 / largest_of(product(params.inverse_cholesky(), root(mean)))
        widest = largest_of(np.array([product(pool.inverse_cholesky()[0], root(each)) for each in params.covariances]))
        return np.array([narrowest, widest])


def equal_before(params: Any) -> NDArray[np.bool_]:
    """(k,) has a component before this one the same parameters but for its weight, to EQUAL standard deviations?"""
    if isinstance(params, GaussianParams):
        sds = np.sqrt(np.abs(params.diagonals()))
        own = [(params.means, sds)]
        if params.covariance_type == "full":
            own.append((params.covariances, sds[:, :, np.newaxis] * sds[:, np.newaxis, :]))
        elif params.covariance_type != "tied":
            own.append((params.covariances, params.covariances))
    else:
        own = [(params.probs, np.sqrt(params.probs * (1 - params.probs)))]
    found = np.zeros(len(params.weights), np.bool_)
    for i in range(1, len(found)):
        near = [np.abs(each[:i] - each[i]) <= EQUAL * np.maximum(unit[:i], unit[i]) for each, unit in own]
        found[i] = np.all([each.reshape(i, -1).all(axis=1) for each in near], axis=0).any()
    return found
