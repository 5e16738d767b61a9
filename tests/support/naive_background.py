"""The truth of a Gaussian mixture with a component of constant density, as in `naive`."""

import numpy as np

from support.naive import expand_covariances, normal_log_density, normal_m_step, posterior, weighted_total


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
