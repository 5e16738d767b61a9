"""The truth in 60 digits, by mpmath: densities, posteriors and one M-step, from their definitions.

Arrays are NumPy's, of mpf: what fastem computes in float64 is computed here from the same float64 parameters and rows.
"""

import math
from types import SimpleNamespace

import mpmath as mp
import numpy as np

mp.mp.dps = 60

exactly = np.vectorize(mp.mpf, otypes=[object])
log = np.vectorize(lambda a: mp.log(a) if a > 0 else mp.mpf("-inf"), otypes=[object])
exp = np.vectorize(mp.exp, otypes=[object])
LOG_2_PI = mp.log(2 * mp.pi)

UNIT = 2.0**-53
"""What rounding changes a float64 by, relatively, at most."""

LOG_PROB, RESP, SUMS = 8, 8, 16
"""Promised, in units of what one rounding of all that enters may do; docs/numerics.md has what was measured."""

SMALLEST_SHARE = 2.0**-890
"""A density below 2^-900 of the largest counts as 2^-900 of it: so may all of what a few dozen rows add up to."""


def inverse_cholesky(covariance):
    """L with L^T L = covariance^-1, and the logarithms of its diagonal."""
    sds = [mp.sqrt(v) for v in covariance.diagonal()]
    correlations = exactly(covariance) / sds / np.array(sds)[:, np.newaxis]  # mpmath takes 1e-100 for 0
    L = mp.cholesky(mp.matrix(correlations.tolist())) ** -1
    L = np.array([[L[i, j] / sds[j] for j in range(len(sds))] for i in range(len(sds))], object)
    return L, [mp.log(a) for a in L.diagonal()]


def normal_densities(X, means, covariances):
    """Log densities (n, k) and squares of Mahalanobis's distances (n, k); covariances (k, d, d)."""
    densities, squares = (np.empty((len(X), len(means)), object) for _ in range(2))
    for c, covariance in enumerate(covariances):
        L, logs = inverse_cholesky(covariance)
        z = (exactly(X) - exactly(means[c])) @ L.T
        squares[:, c] = (z * z).sum(axis=1)
        densities[:, c] = -squares[:, c] / 2 + sum(logs) - len(logs) * LOG_2_PI / 2
    return densities, squares


def binomial_densities(X, trials, probs):
    """Log densities (n, k); and the absolute values of the terms that they are sums of: those of the coefficients (n,),
    and those that depend on the parameters (n, k)."""
    x, n, p = exactly(X)[:, np.newaxis], exactly(trials)[:, np.newaxis], exactly(probs)
    factorials = np.vectorize(lambda a: mp.loggamma(a + 1), otypes=[object])
    a, b, c = factorials(n), factorials(x), factorials(n - x)
    kernel = x * log(p) + (n - x) * log(1 - p)
    sizes = (a + b + c).sum(axis=(1, 2)), -kernel.sum(axis=2)
    return (a - b - c + kernel).sum(axis=2), *(size.astype(float) for size in sizes)


def poisson_densities(X, rates):
    """Log densities (n, k); and the absolute values of the terms that they are sums of: those of the factorials (n,),
    and those that depend on the parameters (n, k)."""
    x, rate = exactly(X)[:, np.newaxis], exactly(rates)
    factorials = np.vectorize(lambda a: mp.loggamma(a + 1), otypes=[object])(x)
    logs = np.vectorize(lambda a, b: a * mp.log(b) if a > 0 else mp.mpf(0), otypes=[object])(x, rate)
    sizes = factorials.sum(axis=(1, 2)), (np.abs(logs) + rate).sum(axis=2)
    return (logs - rate - factorials).sum(axis=2), *(size.astype(float) for size in sizes)


def posterior(densities, weights):
    """Log densities of the mixture (n,) and responsibilities (n, k)."""
    joint = densities + log(exactly(weights))
    top = joint.max(axis=1, keepdims=True)
    shares = exp(joint - top)
    total = shares.sum(axis=1, keepdims=True)
    return (top + log(total))[:, 0], shares / total


def normal_step(X, resp, means):
    """counts, means and covariances (k, d, d) after an M-step; spread (k, d), of the rows about the means before."""
    counts = resp.sum(axis=0)
    new = (resp.T @ exactly(X)) / counts[:, np.newaxis]
    covariances, spread = [], []
    for c, count in enumerate(counts):
        residual = exactly(X) - new[c]
        covariances.append((resp[:, c, np.newaxis] * residual).T @ residual / count)
        spread.append((resp[:, c] @ (exactly(X) - exactly(means[c])) ** 2) / count)
    spread = np.array([[math.sqrt(v) for v in row] for row in spread])
    return SimpleNamespace(counts=counts, means=new, covariances=np.array(covariances), spread=spread)


def errors(found, truth):
    """|found - truth| as float64."""
    return np.abs(exactly(found) - truth).astype(float)


def row_units(resp, unit):
    """(n,) what the log density of a row may be off by, where those of its components (n, k) may be off by `unit`."""
    return (resp.astype(float) * unit).sum(axis=1) + UNIT


def shares_off(resp, unit):
    """(n, k) what the errors of log densities may change responsibilities by: d r_k = r_k sum_j r_j (e_k - e_j)."""
    r = resp.astype(float)
    others = (1 - resp).astype(float)
    return r * (others * unit + (r * unit).sum(axis=1, keepdims=True) - r * unit)
