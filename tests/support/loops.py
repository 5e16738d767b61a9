"""The per-sample Python loop that fastem measures itself against.  Imports nothing of fastem.

Notation as in naive.py.
"""
import math

import numpy as np


def loop_resp(samples, weights, components, density):
    """Responsibilities, sample by sample; `components` holds the parameters that `density` takes after x."""
    resp = []
    for x in samples:
        joint = [weights[c] * density(x, *components[c]) for c in range(len(weights))]
        total = sum(joint)
        resp.append([p / total for p in joint])
    return resp


def loop_q(samples, resp, weights, components, density):
    """Q = sum_i sum_k r_ik log (weight_k p_k(x_i)), at the parameters of the E-step; 0 log 0 = 0."""
    q = 0.0
    for i, x in enumerate(samples):
        for c in range(len(weights)):
            if resp[i][c] > 0:
                q += resp[i][c] * math.log(weights[c] * density(x, *components[c]))
    return q


def loop_normal_density(x, mean, sd):
    """exp(-((x - mean) / sd)^2 / 2) / (sd sqrt(2 pi))"""
    return math.exp(-0.5 * ((x - mean) / sd) ** 2) / (sd * math.sqrt(2 * math.pi))


def loop_em_step(values, weights, means, sds):
    """One EM iteration of a univariate normal mixture -> weights, means, sds, q; lists of floats."""
    components = list(zip(means, sds, strict=True))
    resp = loop_resp(values, weights, components, loop_normal_density)
    new_weights, new_means, new_sds = [], [], []
    for c in range(len(weights)):
        count = sum(r[c] for r in resp)
        mean = sum(r[c] * x for r, x in zip(resp, values, strict=True)) / count
        variance = sum(r[c] * (x - mean) ** 2 for r, x in zip(resp, values, strict=True)) / count
        new_weights.append(count / len(values))
        new_means.append(mean)
        new_sds.append(math.sqrt(variance))
    return new_weights, new_means, new_sds, loop_q(values, resp, weights, components, loop_normal_density)


def loop_mvnormal_density(x, mean, precision, log_det):
    """exp(-(x - mean)^T S^-1 (x - mean) / 2) / sqrt(det(2 pi S))"""
    residual = x - mean
    return math.exp(-0.5 * (len(x) * math.log(2 * math.pi) + log_det + residual @ precision @ residual))


def loop_em_step_multivariate(rows, weights, means, covariances):
    """One EM iteration of a multivariate normal mixture -> weights, means, covariances, q; lists over components."""
    components = [(mean, np.linalg.inv(covariance), float(np.linalg.slogdet(covariance).logabsdet))
                  for mean, covariance in zip(means, covariances, strict=True)]
    resp = loop_resp(rows, weights, components, loop_mvnormal_density)
    new_weights, new_means, new_covariances = [], [], []
    for c in range(len(weights)):
        count = sum(r[c] for r in resp)
        mean = sum(r[c] * x for r, x in zip(resp, rows, strict=True)) / count
        square = sum(r[c] * np.outer(x - mean, x - mean) for r, x in zip(resp, rows, strict=True))
        new_weights.append(count / len(rows))
        new_means.append(mean)
        new_covariances.append(square / count)
    return new_weights, new_means, new_covariances, loop_q(rows, resp, weights, components, loop_mvnormal_density)


def loop_binomial_density(tosses, p):
    """(n choose x) p^x (1 - p)^(n - x), `tosses` = (x, n), n below a thousand; 0^0 = 1."""
    x, n = tosses
    return math.comb(int(n), int(x)) * p**x * (1 - p) ** (n - x)


def loop_em_step_binomial(successes, trials, weights, probs):
    """One EM iteration of a mixture of coins -> weights, probs, q; lists of floats."""
    samples = list(zip(successes, trials, strict=True))
    components = [(p,) for p in probs]
    resp = loop_resp(samples, weights, components, loop_binomial_density)
    new_weights, new_probs = [], []
    for c in range(len(weights)):
        heads = sum(r[c] * x for r, (x, _) in zip(resp, samples, strict=True))
        tosses = sum(r[c] * n for r, (_, n) in zip(resp, samples, strict=True))
        new_weights.append(sum(r[c] for r in resp) / len(samples))
        new_probs.append(heads / tosses)
    return new_weights, new_probs, loop_q(samples, resp, weights, components, loop_binomial_density)


def loop_poisson_density(x, rate):
    """exp(-rate) rate^x / x!, x below 170; 0^0 = 1."""
    return math.exp(-rate) * rate**x / math.factorial(int(x))


def loop_em_step_poisson(counts, weights, rates):
    """One EM iteration of a univariate Poisson mixture -> weights, rates, q; lists of floats."""
    components = [(rate,) for rate in rates]
    resp = loop_resp(counts, weights, components, loop_poisson_density)
    new_weights, new_rates = [], []
    for c in range(len(weights)):
        count = sum(r[c] for r in resp)
        new_weights.append(count / len(counts))
        new_rates.append(sum(r[c] * x for r, x in zip(resp, counts, strict=True)) / count)
    return new_weights, new_rates, loop_q(counts, resp, weights, components, loop_poisson_density)
