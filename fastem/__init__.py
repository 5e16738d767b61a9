"""Fast expectation-maximisation for finite mixtures.

Public is what `__all__` names.  docs/architecture.md has the layers of the package.  Notation, the same everywhere:

    n points, d features, k components
    X (n, d)      sample_weight (n,)   resp (n, k) responsibilities   log_prob (n,) log density of a point
    weights (k,)  mixing weights       means (k, d)                   covariances, shaped by covariance_type
    counts (k,)   sum_i w_i resp_ik    first (k, d) sum w r (x - mean)
    second        sum w r (x - mean)(x - mean)^T, (k, d, d), or its diagonal (k, d), spherical: its mean
    loglik        sum_i w_i log p(x_i), a total, never an average
    entropy       -sum_i w_i sum_k r_ik log r_ik             q = loglik - entropy
"""

import sys
from importlib import import_module

from fastem.families.registry import NAMES as _FAMILIES

_OF_A_FAMILY = {
    "{}Mixture": "estimators.{}_mixture",
    "{}MixtureDisplay": "plotting.{}",
    "{}Prior": "families.{}.prior",
    "{}Params": "families.{}.model",
    "{}Stats": "families.{}.model",
    "Many{}Fits": "estimators.many_{}",
}
"""The public classes of each family, and where they are."""

_HOME = {
    pattern.format(family.capitalize()): module.format(family)
    for pattern, module in _OF_A_FAMILY.items()
    for family in _FAMILIES
} | {
    "ManyMultivariateFits": "estimators.many_gaussian",
    "BayesianGaussianMixture": "estimators.bayesian_mixture",
    "load": "persistence",
    "select": "selection.select",
    "Selection": "selection.table",
    "Candidate": "selection.table",
    "bootstrap_test": "selection.bootstrap",
    "BootstrapTest": "selection.bootstrap",
    "ConvergenceDisplay": "plotting.convergence",
    "SelectionDisplay": "plotting.selection",
    "ManyFitsDisplay": "plotting.many",
    "FitAnimation": "plotting.animation",
    "em": "fitting.driver",
    "Fit": "fitting.result",
    "History": "fitting.result",
    "Ascent": "fitting.result",
    "Collapse": "fitting.result",
    "MixtureSummary": "estimators.summary",
    "Diagnosis": "families.diagnosis",
    "StandardErrors": "inference.standard_errors",
    "patch_sklearn": "estimators.sklearn_patch",
    "unpatch_sklearn": "estimators.sklearn_patch",
    "fit_many": "estimators.fit_many",
    "ManyFits": "estimators.many_fits",
    "FitStatus": "estimators.many_fits",
    "accumulate": "data.open",
    "posterior": "data.open",
    "Posterior": "data.base",
    "merge": "families.stats",
    "load_stats": "persistence",
    "open_rows": "data.open",
    "Rows": "data.rows",
    "open_chunks": "data.chunks",
    "Chunks": "data.chunks",
    "from_arrow": "data.arrow",
    "ArrowRows": "data.arrow",
    "distinct_counts": "data.open",
    "DistinctCounts": "data.distinct",
    "show_config": "config",
    "Config": "config",
    "warmup": "config",
    "ConvergenceWarning": "estimators.sklearn_compat",
    "CollapsedComponentWarning": "exceptions",
    "EmptyComponentWarning": "exceptions",
    "EqualComponentWarning": "exceptions",
    "CollapsedComponentError": "exceptions",
    "IdentifiabilityWarning": "exceptions",
    "BadValueError": "exceptions",
    "NotFittedError": "estimators.sklearn_compat",
}
"""Public names, and the modules that they are imported from when they are first asked for."""

_RENAMED = {
    "NormalParams": "GaussianParams",
    "NormalStats": "GaussianStats",
    "NormalPrior": "GaussianPrior",
    "ManyNormalFits": "ManyGaussianFits",
    "collapse": "distinct_counts",
}
"""Names of version 0.1 and what they are called since."""

__all__ = list(_HOME)


def __getattr__(name: str) -> object:
    """Import a public name when it is first asked for."""
    if name == "__version__":
        return import_module("importlib.metadata").version("fastem")  # 40 ms, and few ask
    if name in _RENAMED:
        message = f"fastem.{name} is called fastem.{_RENAMED[name]} now; the old name will be removed in version 0.3"
        import_module("fastem.exceptions").warn(message, FutureWarning)
        return __getattr__(_RENAMED[name])
    if name not in _HOME:
        raise AttributeError(f"module 'fastem' has no attribute {name!r}", name=name, obj=sys.modules[__name__])
    return getattr(import_module(f"fastem.{_HOME[name]}"), name)


def __dir__() -> list[str]:
    return [*__all__, "__version__"]
