"""Variational Bayes of a Gaussian mixture as the books write it: plain loops, full matrices, SciPy's distributions.

It imports nothing of the package.
"""

from dataclasses import dataclass

import numpy as np
from scipy import special, stats


@dataclass
class Prior:
    concentration: float
    mean: np.ndarray
    mean_precision: float
    scale: np.ndarray  # (d, d)
    freedom: float
    process: bool  # else Dirichlet


@dataclass
class Posterior:
    concentration: np.ndarray  # (k,), or (2, k)
    mean_precision: np.ndarray
    means: np.ndarray
    freedom: np.ndarray
    covariances: np.ndarray  # (k, d, d): the inverses of expected precisions


def m_step(X, w, resp, prior, kind, reg_covar):
    """Bishop (2006), 10.58 to 10.63; a scale that is shared, diagonal or isotropic is the mean of the full ones."""
    (n, d), k = X.shape, resp.shape[1]
    counts = np.array([sum(w[i] * resp[i, c] for i in range(n)) for c in range(k)])
    means, scales = np.empty((k, d)), np.empty((k, d, d))
    for c in range(k):
        mean = sum(w[i] * resp[i, c] * X[i] for i in range(n)) / counts[c] if counts[c] else np.zeros(d)
        scatter = sum(w[i] * resp[i, c] * np.outer(X[i] - mean, X[i] - mean) for i in range(n))
        means[c] = (prior.mean_precision * prior.mean + counts[c] * mean) / (prior.mean_precision + counts[c])
        shrunk = prior.mean_precision * counts[c] / (prior.mean_precision + counts[c])
        offset = np.outer(mean - prior.mean, mean - prior.mean)
        scales[c] = prior.scale + scatter + counts[c] * reg_covar * np.eye(d) + shrunk * offset
    freedom = prior.freedom + counts
    if kind == "tied":
        freedom, scales = np.full(k, freedom.mean()), np.tile(scales.mean(axis=0), (k, 1, 1))
    if kind == "diag":
        scales = np.array([np.diag(np.diag(scale)) for scale in scales])
    if kind == "spherical":
        scales = np.array([np.trace(scale) / d * np.eye(d) for scale in scales])
    return Posterior(
        concentration_of(counts, prior),
        prior.mean_precision + counts,
        means,
        freedom,
        scales / freedom[:, np.newaxis, np.newaxis],
    )


def concentration_of(counts, prior):
    if not prior.process:
        return prior.concentration + counts
    behind = np.array([counts[c + 1 :].sum() for c in range(len(counts))])
    return np.array([1.0 + counts, prior.concentration + behind])


def expected_log_weights(posterior, prior):
    a = posterior.concentration
    if not prior.process:
        return special.digamma(a) - special.digamma(a.sum())
    taken = special.digamma(a[0]) - special.digamma(a[0] + a[1])
    left = special.digamma(a[1]) - special.digamma(a[0] + a[1])
    return np.array([taken[c] + left[:c].sum() for c in range(len(taken))])


def log_joint(X, posterior, prior):
    """(n, k) the expectations of log(weight_c p_c(x_i)): Bishop, 10.64 to 10.66."""
    d, logs = X.shape[1], expected_log_weights(posterior, prior)
    found = np.empty((len(X), len(logs)))
    for c, (mean, covariance, freedom) in enumerate(
        zip(posterior.means, posterior.covariances, posterior.freedom, strict=True)
    ):
        scale = np.linalg.inv(covariance) / freedom
        log_det = (
            sum(special.digamma((freedom - i) / 2) for i in range(d)) + d * np.log(2) + np.log(np.linalg.det(scale))
        )
        for i, x in enumerate(X):
            square = d / posterior.mean_precision[c] + freedom * (x - mean) @ scale @ (x - mean)
            found[i, c] = logs[c] + 0.5 * (log_det - d * np.log(2 * np.pi) - square)
    return found


def expected_log_det(freedom, scale):
    """Of a Wishart distribution."""
    d = len(scale)
    return sum(special.digamma((freedom - i) / 2) for i in range(d)) + d * np.log(2) + np.log(np.linalg.det(scale))


def responsibilities(joint):
    return np.exp(joint - special.logsumexp(joint, axis=1, keepdims=True))


def evidence_bound(X, w, posterior, prior):
    """The lower bound of the log evidence at the best responsibilities: a log likelihood less divergences."""
    found = float((w * special.logsumexp(log_joint(X, posterior, prior), axis=1)).sum())
    for c in range(len(posterior.means)):
        found -= divergence_of_normal_wishart(c, posterior, prior)
    a = posterior.concentration
    if not prior.process:
        before = np.full(len(a), prior.concentration)
        cross = ((before - 1) * (special.digamma(a) - special.digamma(a.sum()))).sum() - log_dirichlet(before)
        return found + cross + stats.dirichlet(a).entropy()
    for x, y in a.T:
        cross = (prior.concentration - 1) * (special.digamma(y) - special.digamma(x + y))
        found += cross - special.betaln(1.0, prior.concentration) + stats.beta(x, y).entropy()
    return found


def log_dirichlet(a):
    return special.gammaln(a).sum() - special.gammaln(a.sum())


def divergence_of_normal_wishart(c, posterior, prior):
    """By the entropy and the cross entropy of the Wishart distribution, and those of the normal one given it."""
    d, freedom = len(prior.mean), posterior.freedom[c]
    scale = np.linalg.inv(posterior.covariances[c]) / freedom
    own, before = stats.wishart(freedom, scale), stats.wishart(prior.freedom, np.linalg.inv(prior.scale))
    log_det = expected_log_det(freedom, scale)
    at = np.eye(d)  # log density = constant + (freedom - d - 1) / 2 log det - trace / 2
    constant = before.logpdf(at) + 0.5 * np.trace(prior.scale @ at)
    cross = constant + 0.5 * (prior.freedom - d - 1) * log_det - 0.5 * freedom * np.trace(prior.scale @ scale)
    offset, ratio = posterior.means[c] - prior.mean, prior.mean_precision / posterior.mean_precision[c]
    square = prior.mean_precision * freedom * offset @ scale @ offset
    return -own.entropy() - cross + 0.5 * (d * (ratio - np.log(ratio) - 1) + square)
