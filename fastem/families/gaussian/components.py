"""The extents of Gaussian components; two halves of one, and all as one."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

import numpy as np

from fastem._typing import Array
from fastem.families.gaussian.covariance import RESOLUTION, diagonal, resolved
from fastem.families.gaussian.model import GaussianParams
from fastem.families.weights import APART
from fastem.kernels.linear import eigh, eigvalsh, product, times, weighted_sum

NO_EXTENT = 1.01
"""Of the floor under a variance (reg_covar, and what rounding can tell): below that a component has none of its own."""
BLURRED = 2.0
"""What rounding can tell is known to a factor itself: components that lie on it were seen from 0.83 to 1.16 of it."""


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
