"""The truth: every quantity of fastem from its definition, plain and obvious.  Imports nothing of fastem.

In NumPy with (n, k) arrays; loops.py has the per-sample Python loop that fastem measures itself against.  Notation as
in the package: X (n, d), sample_weight (n,), resp (n, k), weights (k,), means (k, d), logs are natural.
"""
import math

import numpy as np

# -------------------------------------------------------------------------------------------------------- small helpers


def log0(a):
    """log a, and -inf at 0 without a warning."""
    with np.errstate(divide="ignore"):
        return np.log(a)


def xlogy(x, y):
    """x log y with 0 log 0 = 0."""
    return np.where(x == 0, 0.0, x * log0(np.where(x == 0, 1.0, y)))


def ratio(a, b):
    """a / b, and 0 where b = 0."""
    return np.where(b == 0, 0.0, a / np.where(b == 0, 1.0, b))


def weighted_total(sample_weight, values):
    """sum of w v; a row of weight 0 is absent, even where v = -inf."""
    present = sample_weight != 0
    return float(np.sum(sample_weight[present] * values[present]))


# ------------------------------------------------------------------------------------------------ densities, the E-step


def normal_log_density(X, means, covariances):
    """log N(x; mean, S) = -(d log 2 pi + log det S + (x - mean)^T S^-1 (x - mean)) / 2 -> (n, k); S (k, d, d)."""
    log_density = np.empty((len(X), len(means)))
    for c, (mean, covariance) in enumerate(zip(means, covariances, strict=True)):
        residual = X - mean
        square = np.sum(residual * np.linalg.solve(covariance, residual.T).T, axis=1)
        log_det = np.linalg.slogdet(covariance).logabsdet
        log_density[:, c] = -0.5 * (X.shape[1] * math.log(2 * math.pi) + log_det + square)
    return log_density


def log_binomial_coefficient(trials, X):
    """log (trials choose x) = log trials! - log x! - log (trials - x)!, elementwise."""
    log_factorial = np.vectorize(lambda a: math.lgamma(a + 1), otypes=[float])
    return log_factorial(trials) - log_factorial(X) - log_factorial(trials - X)


def binomial_log_density(X, trials, probs):
    """log prod_j (trials_j choose x_j) p_j^x_j (1 - p_j)^(trials_j - x_j) -> (n, k); probs (k, m)."""
    log_density = np.empty((len(X), len(probs)))
    coefficient = log_binomial_coefficient(trials, X)
    for c, p in enumerate(probs):
        log_density[:, c] = np.sum(coefficient + xlogy(X, p) + xlogy(trials - X, 1 - p), axis=1)
    return log_density


def poisson_log_density(X, rates):
    """log prod_j exp(-rate_j) rate_j^x_j / x_j! -> (n, k); rates (k, d); 0^0 = 1."""
    log_density = np.empty((len(X), len(rates)))
    log_factorials = np.vectorize(lambda a: math.lgamma(a + 1), otypes=[float])(X)
    for c, rate in enumerate(rates):
        log_density[:, c] = np.sum(xlogy(X, rate) - rate - log_factorials, axis=1)
    return log_density


def posterior(log_density, weights):
    """log p(x) = log sum_k weight_k p_k(x) and resp_k = weight_k p_k(x) / p(x) -> log_prob (n,), resp (n, k).

    A point of density 0 under every component has log_prob -inf and is shared equally: none is nearer than another.
    """
    joint = log_density + log0(weights)
    top = joint.max(axis=1, keepdims=True)
    out_of_reach = top == -np.inf
    ratios = np.exp(np.where(out_of_reach, 0.0, joint) - np.where(out_of_reach, 0.0, top))
    total = ratios.sum(axis=1, keepdims=True)
    return (top + np.log(total))[:, 0], ratios / total


def entropy_of(sample_weight, resp):
    """-sum_i w_i sum_k r_ik log r_ik, 0 log 0 = 0."""
    return -weighted_total(sample_weight, xlogy(resp, resp).sum(axis=1))


# ------------------------------------------------------------------------------------------------------------- the sums


def normal_sums(X, sample_weight, weights, means, covariances):
    """-> counts (k,), first (k, d), second (k, d, d) about the means, loglik, entropy; covariances (k, d, d)."""
    log_prob, resp = posterior(normal_log_density(X, means, covariances), weights)
    shares = sample_weight[:, None] * resp
    k, d = means.shape
    first, second = np.empty((k, d)), np.empty((k, d, d))
    for c in range(k):
        residual = X - means[c]
        first[c] = shares[:, c] @ residual
        second[c] = (shares[:, c, None] * residual).T @ residual
    return shares.sum(axis=0), first, second, weighted_total(sample_weight, log_prob), entropy_of(sample_weight, resp)


def binomial_sums(X, trials, sample_weight, weights, probs):
    """-> counts (k,), successes (k, m) = sum w r x, failures (k, m) = sum w r (trials - x), loglik, entropy."""
    log_prob, resp = posterior(binomial_log_density(X, trials, probs), weights)
    shares = sample_weight[:, None] * resp
    successes, failures = shares.T @ X, shares.T @ (trials - X)
    loglik, entropy = weighted_total(sample_weight, log_prob), entropy_of(sample_weight, resp)
    return shares.sum(axis=0), successes, failures, loglik, entropy


def poisson_sums(X, sample_weight, weights, rates):
    """-> counts (k,), events (k, d) = sum w r x, loglik, entropy."""
    log_prob, resp = posterior(poisson_log_density(X, rates), weights)
    shares = sample_weight[:, None] * resp
    loglik, entropy = weighted_total(sample_weight, log_prob), entropy_of(sample_weight, resp)
    return shares.sum(axis=0), shares.T @ X, loglik, entropy


# ----------------------------------------------------------------------------------------- values missing (NaN): sums


def normal_log_density_missing(X, means, covariances):
    """log N(x_o; mean_o, S_oo), o what is observed of each row -> (n, k); 0 where nothing is."""
    log_density = np.zeros((len(X), len(means)))
    for i, o in enumerate(~np.isnan(X)):
        if o.any():
            log_density[i] = normal_log_density(X[i : i + 1, o], means[:, o], covariances[:, o][:, :, o])[0]
    return log_density


def conditional_moments(x, mean, covariance):
    """-> x with the expected values of what is missing, and (d, d) their covariance, 0 where x is observed."""
    o, m = ~np.isnan(x), np.isnan(x)
    expected, spread = np.where(m, mean, x), np.where(np.outer(m, m), covariance, 0.0)
    if o.any() and m.any():
        slopes = np.linalg.solve(covariance[np.ix_(o, o)], covariance[np.ix_(o, m)]).T
        expected[m] = mean[m] + slopes @ (x[o] - mean[o])
        spread[np.ix_(m, m)] = covariance[np.ix_(m, m)] - slopes @ covariance[np.ix_(o, m)]
    return expected, spread


def normal_sums_missing(X, sample_weight, weights, means, covariances):
    """-> as normal_sums, expected given what is observed; a row without any value is absent."""
    sample_weight = np.where(np.isnan(X).all(axis=1), 0.0, sample_weight)
    log_prob, resp = posterior(normal_log_density_missing(X, means, covariances), weights)
    shares = sample_weight[:, None] * resp
    first, second = moments_missing(X, shares, means, covariances)
    return shares.sum(axis=0), first, second, weighted_total(sample_weight, log_prob), entropy_of(sample_weight, resp)


def moments_missing(X, shares, means, covariances):
    """sum share (x - mean), sum share (x - mean)(x - mean)^T, expected given what is observed; shares (n, k)."""
    k, d = means.shape
    first, second = np.zeros((k, d)), np.zeros((k, d, d))
    for c in range(k):
        for x, share in zip(X, shares[:, c], strict=True):
            expected, spread = conditional_moments(x, means[c], covariances[c])
            residual = expected - means[c]
            first[c] += share * residual
            second[c] += share * (np.outer(residual, residual) + spread)
    return first, second


def poisson_log_density_missing(X, rates):
    """log prod_j exp(-rate_j) rate_j^x_j / x_j! over the counts that are observed -> (n, k)."""
    log_density = np.zeros((len(X), len(rates)))
    for i, o in enumerate(~np.isnan(X)):
        log_density[i] = poisson_log_density(X[i : i + 1, o], rates[:, o])[0] if o.any() else 0.0
    return log_density


def poisson_sums_missing(X, sample_weight, weights, rates):
    """-> as poisson_sums, a missing count is expected to be the rate; a row without any is absent."""
    sample_weight = np.where(np.isnan(X).all(axis=1), 0.0, sample_weight)
    log_prob, resp = posterior(poisson_log_density_missing(X, rates), weights)
    shares = sample_weight[:, None] * resp
    events = np.array([share @ np.where(np.isnan(X), rate, X) for share, rate in zip(shares.T, rates, strict=True)])
    return shares.sum(axis=0), events, weighted_total(sample_weight, log_prob), entropy_of(sample_weight, resp)


# ----------------------------------------------------------------------------------------------------------- the M-step


def reduce_covariances(full, counts, covariance_type):
    """(k, d, d) -> the maximum of the likelihood among covariances of this type, shaped as scikit-learn's."""
    if covariance_type == "full":
        return full
    if covariance_type == "tied":
        return np.sum(counts[:, None, None] * full, axis=0) / np.sum(counts)
    variances = np.array([np.diag(covariance) for covariance in full])
    return {"diag": variances, "spherical": variances.mean(axis=1)}[covariance_type]


def expand_covariances(covariances, covariance_type, k, d):
    """Shaped as scikit-learn's -> (k, d, d)."""
    if covariance_type == "full":
        return np.array(covariances)
    if covariance_type == "tied":
        return np.array([covariances] * k)
    if covariance_type == "diag":
        return np.array([np.diag(variances) for variances in covariances])
    return np.array([variance * np.eye(d) for variance in covariances])


def normal_m_step(X, sample_weight, resp, covariance_type, reg_covar):
    """-> weights, means, covariances.  Two passes: weighted means, then mean squares about them.

    A component without points gets mean 0 and covariance reg_covar; `normal_em` keeps its old ones instead.
    """
    shares = sample_weight[:, None] * resp
    counts = shares.sum(axis=0)
    origin = X.mean(axis=0, dtype=float)        # summed about a point amid the data, a common offset costs no digits
    means = origin + ratio(shares.T @ (X - origin), counts[:, None])
    full = np.empty((len(counts), X.shape[1], X.shape[1]))
    for c in range(len(counts)):
        residual = X - means[c]
        full[c] = ratio((shares[:, c, None] * residual).T @ residual, counts[c]) + reg_covar * np.eye(X.shape[1])
    return counts / counts.sum(), means, reduce_covariances(full, counts, covariance_type)


# ------------------------------------------------------------------------------------------------------------------- EM


def normal_em(X, sample_weight, weights, means, covariances, covariance_type, reg_covar, n_iter):
    """-> weights, means, covariances after n_iter iterations, and the log likelihood before each M-step."""
    logliks = []
    for _ in range(n_iter):
        full = expand_covariances(covariances, covariance_type, *means.shape)
        log_prob, resp = posterior(normal_log_density(X, means, full), weights)
        logliks.append(weighted_total(sample_weight, log_prob))
        old_means, old_covariances = means, covariances
        weights, means, covariances = normal_m_step(X, sample_weight, resp, covariance_type, reg_covar)
        empty = weights == 0
        means[empty] = old_means[empty]
        if covariance_type != "tied":
            covariances[empty] = old_covariances[empty]
    return weights, means, covariances, logliks


def binomial_em(X, trials, sample_weight, weights, probs, n_iter):
    """-> weights, probs after n_iter iterations, and the log likelihood before each M-step.

    A component without a single toss in a column keeps its probability there.
    """
    logliks = []
    for _ in range(n_iter):
        counts, successes, failures, loglik, _ = binomial_sums(X, trials, sample_weight, weights, probs)
        logliks.append(loglik)
        tosses = successes + failures
        weights, probs = counts / counts.sum(), np.where(tosses == 0, probs, ratio(successes, tosses))
    return weights, probs, logliks


def poisson_em(X, sample_weight, weights, rates, n_iter):
    """-> weights, rates after n_iter iterations, and the log likelihood before each M-step.

    A component without rows keeps its rates.
    """
    logliks = []
    for _ in range(n_iter):
        counts, events, loglik, _ = poisson_sums(X, sample_weight, weights, rates)
        logliks.append(loglik)
        weights = counts / counts.sum()
        rates = np.where(counts[:, None] == 0, rates, ratio(events, counts[:, None]))
    return weights, rates, logliks


# ------------------------------------------------------------------------------------------------ starts of many fits


def equal_blocks(values, mass, k):
    """Means of k blocks of equal mass of the sorted values, a value on an edge shared; and the variance within them."""
    order = np.argsort(values, kind="stable")
    x, ends = values[order], np.cumsum(mass[order])
    begins, width = ends - mass[order], ends[-1] / k
    means, within = np.empty(k), 0.0
    for c in range(k):
        shares = np.maximum(np.minimum(ends, (c + 1) * width) - np.maximum(begins, c * width), 0.0) / width
        origin = x[shares > 0][0]
        means[c] = origin + shares @ (x - origin)
        within += shares @ (x - means[c]) ** 2 / k
    return means, within


# -------------------------------------------------------------------------------------------------------------- k-means


def nearest(X, sample_weight, centers, scale):
    """-> distances (n,) = min_k sum_j ((x_j - c_kj) scale_j)^2, labels (n,), the first of ties,
    counts (k,) = sum w, first (k, d) = sum w (x - center) of the points of each center, inertia = sum w distance."""
    squares = np.array([np.sum(((X - center) * scale) ** 2, axis=1) for center in centers]).T
    labels = squares.argmin(axis=1)
    distances = squares.min(axis=1)
    counts = np.array([sample_weight[labels == c].sum() for c in range(len(centers))])
    first = np.array([sample_weight[labels == c] @ (X[labels == c] - center) for c, center in enumerate(centers)])
    return distances, labels, counts, first, weighted_total(sample_weight, distances)
