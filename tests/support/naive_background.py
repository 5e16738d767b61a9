"""The truth of a Gaussian mixture with a component of constant density, as in `naive`."""

import numpy as np

from support.naive import (
    entropy_of,
    expand_covariances,
    moments_missing,
    normal_log_density,
    normal_log_density_missing,
    normal_m_step,
    posterior,
    reduce_covariances,
    weighted_total,
)


def background_log_density(X, means, covariances, log_density):
    """Those of normal components, and behind them that of a background, which is the same everywhere -> (n, k + 1)."""
    return np.column_stack([normal_log_density(X, means, covariances), np.full(len(X), log_density)])


def background_em(X, sample_weight, weights, means, covariances, covariance_type, reg_covar, log_density, n_iter):
    """As normal_em, with a background: its weight is the last of k + 1, and it has no other parameter."""
    logliks = []
    for _ in range(n_iter):
        full = expand_covariances(covariances, covariance_type, *means.shape)
        log_prob, resp = posterior(background_log_density(X, means, full, log_density), weights)
        logliks.append(weighted_total(sample_weight, log_prob))
        _, means, covariances = normal_m_step(X, sample_weight, resp[:, :-1], covariance_type, reg_covar)
        counts = sample_weight @ resp
        weights = counts / counts.sum()
    return weights, means, covariances, logliks


# ----------------------------------------------------------------------------------------------- values missing (NaN)


def background_log_density_missing(X, means, covariances, log_densities):
    """As background_log_density, of what is observed; log_densities (d,) are those of each feature -> (n, k + 1)."""
    own = np.where(np.isnan(X), 0.0, log_densities).sum(axis=1)
    return np.column_stack([normal_log_density_missing(X, means, covariances), own])


def background_sums_missing(X, sample_weight, weights, means, covariances, log_densities):
    """-> counts (k + 1,), first and second moments of the components, log likelihood, entropy"""
    sample_weight = np.where(np.isnan(X).all(axis=1), 0.0, sample_weight)
    log_prob, resp = posterior(background_log_density_missing(X, means, covariances, log_densities), weights)
    shares = sample_weight[:, None] * resp
    moments = moments_missing(X, shares[:, :-1], means, covariances)
    return shares.sum(axis=0), *moments, weighted_total(sample_weight, log_prob), entropy_of(sample_weight, resp)


def background_em_missing(X, sample_weight, weights, means, covariances, covariance_type, log_densities, n_iter):
    """As background_em, of what is observed, and with nothing added to covariances."""
    logliks = []
    for _ in range(n_iter):
        full = expand_covariances(covariances, covariance_type, *means.shape)
        counts, first, second, loglik, _ = background_sums_missing(
            X, sample_weight, weights, means, full, log_densities
        )
        logliks.append(loglik)
        delta = first / counts[:-1, None]
        covariances = second / counts[:-1, None, None] - delta[:, :, None] * delta[:, None, :]
        covariances = reduce_covariances(covariances, counts[:-1], covariance_type)
        weights, means = counts / counts.sum(), means + delta
    return weights, means, covariances, logliks
