"""Fast expectation-maximisation for Gaussian and binomial mixtures.

The house, from the door to the ground; imports only go down, floors of one number do not import each other:

    13 __main__.py   python -m fastem
    12 cli.py        the command line: what ends a command, and with which exit code
    11 commands.py   fit, predict, describe, bench, doctor
    11 bootstrap.py  bootstrap_test(): are k components enough?
    10 selection.py  select(): several numbers of components in one table
    9  candidates.py Candidate, Selection: the table of a selection, and which of it is chosen
    9  held_out.py   rows that are held out of a fit
    9  models.py     load(), load_stats(): fitted models and statistics from disk
    9  display.py    pictures of fitted mixtures
    9  doctor.py     what is here, and does it answer?
    9  speed.py      EM iterations on this machine, beside scikit-learn's
    8  gaussian_mixture.py, binomial_mixture.py   the estimators: settings, starts, attributes
    7  mixture.py    what the estimators share: they check settings, wire, compute nothing
    7  doubtful.py   what a log likelihood owes to components that are thinner than their rows prove
    6  many.py       fit_many(): mixtures of many small groups of rows, each fitted inside the kernels
    6  restarts.py   the best of several starts, warmed and screened
    6  checkpoint.py the runs of a fit on disk
    6  degenerate.py components that collapse: which, and what is done
    5  fit.py        em(): the driver; Fit and History
    5  starts.py     where a fit begins: k-means, k-means++, random, quantiles
    4  acceleration.py  where EM is heading: Anderson's method, SQUAREM, quasi-Newton
    4  chunks.py     data x params -> statistics: rows that come in chunks, read anew in each sweep
    4  cluster.py   the same of Dask collections: a task for each block, sums come back
    4  information.py  standard errors from the information of the rows: Louis's, and of gradients
    3  sweep.py      data x params -> statistics: rows in memory
    3  tables.py     columns of numbers from CSV, NPY and Parquet files, and to them
    3  priors.py     BinomialPrior, GaussianPrior: statistics that are added before the M-step
    2  gaussian.py   GaussianParams, GaussianStats, the M-step: full, tied, diag, spherical
    2  binomial.py   BinomialParams, BinomialStats, the M-step
    2  reading.py    chunks at the door: checked, cut to the slot grid, read ahead
    2  arrow.py      Parquet files and Arrow tables as chunks
    2  distinct.py   equal rows of counts as one with their weight
    2  groups.py     rows in groups at the door: values, offsets, starts
    2  config.py     show_config(): twins, instruction set, threads; warmup()
    1  stats.py      the law of addition: zero, +; the slot grid and its fold
    1  checks.py     parameters and settings at the door
    1  estimator.py  scikit-learn's base classes where it is installed, a stand-in where not
    1  delimited.py  CSV and its kin: rows of numbers, checked cell by cell
    0  storage.py    a header and named arrays in one file; files written whole or not at all
    0  dialect.py    how a text separates its cells; what is a number
    0  streams.py    standard output and error, be they closed or full
    0  inputs.py     rows at the door: what they are read as, and where they cannot be
    0  progress.py   what is told while a fit is under way: lines, or a bar
    0  tasks.py      tasks of Dask, and the watch over a cluster
    0  stepwise.py   how the sums of a batch are mixed into those before it
    0  linear.py     linear algebra on the calling thread
    0  made_once.py  values made of arrays that others may change
    0  _many.pyx     whole fits of small groups, compiled ahead of time
   -1  backend.py    which compiled twin answers
   -1  _linear.pyx   what linear.py calls, for both twins
   -1  _kernels.pyx  the kernels of all else, compiled ahead of time; a family a file of kernels/
   -1  kernels/numba the same kernels, and those of small groups, compiled when first used
   -2  mapped.py     arrays in mapped files: read by and by, pages given back
   -2  threads.py    how many threads: argument, environment, cores, quota

Notation, obeyed everywhere:

    n points, d features, k components
    X (n, d)      sample_weight (n,)   resp (n, k) responsibilities   log_prob (n,) log density of a point
    weights (k,)  mixing weights       means (k, d)                   covariances, shaped by covariance_type
    counts (k,)   sum_i w_i resp_ik    first (k, d) sum w r (x - mean)
    second        sum w r (x - mean)(x - mean)^T, (k, d, d), or its diagonal (k, d)
    loglik        sum_i w_i log p(x_i), a total, never an average
    entropy       -sum_i w_i sum_k r_ik log r_ik             q = loglik - entropy
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from fastem.config import Config, show_config, warmup
    from fastem.data.arrow import ArrowRows, from_arrow
    from fastem.data.base import Posterior
    from fastem.data.chunks import Chunks, open_chunks
    from fastem.data.distinct import DistinctCounts
    from fastem.data.open import accumulate, distinct_counts, open_rows, posterior
    from fastem.data.rows import Rows
    from fastem.estimators.binomial_mixture import BinomialMixture
    from fastem.estimators.fit_many import FitStatus, ManyBinomialFits, ManyFits, ManyGaussianFits, fit_many
    from fastem.estimators.gaussian_mixture import GaussianMixture
    from fastem.estimators.sklearn_compat import ConvergenceWarning, NotFittedError
    from fastem.exceptions import (
        BadValueError,
        CollapsedComponentError,
        EmptyComponentWarning,
        EqualComponentWarning,
        IdentifiabilityWarning,
    )
    from fastem.families.binomial.model import BinomialParams, BinomialStats
    from fastem.families.binomial.prior import BinomialPrior
    from fastem.families.gaussian.model import GaussianParams, GaussianStats
    from fastem.families.gaussian.prior import GaussianPrior
    from fastem.families.stats import merge
    from fastem.fitting.driver import em
    from fastem.fitting.result import Ascent, Collapse, Fit, History
    from fastem.inference.diagnosis import Diagnosis
    from fastem.inference.standard_errors import StandardErrors
    from fastem.persistence import load, load_stats
    from fastem.plotting.animation import FitAnimation
    from fastem.plotting.binomial import BinomialMixtureDisplay
    from fastem.plotting.convergence import ConvergenceDisplay
    from fastem.plotting.gaussian import GaussianMixtureDisplay
    from fastem.selection.bootstrap import BootstrapTest, bootstrap_test
    from fastem.selection.select import select
    from fastem.selection.table import Candidate, Selection

_HOME = {
    "GaussianMixture": "estimators.gaussian_mixture",
    "BinomialMixture": "estimators.binomial_mixture",
    "load": "persistence",
    "select": "selection.select",
    "Selection": "selection.table",
    "Candidate": "selection.table",
    "bootstrap_test": "selection.bootstrap",
    "BootstrapTest": "selection.bootstrap",
    "GaussianMixtureDisplay": "plotting.gaussian",
    "BinomialMixtureDisplay": "plotting.binomial",
    "ConvergenceDisplay": "plotting.convergence",
    "FitAnimation": "plotting.animation",
    "em": "fitting.driver",
    "Fit": "fitting.result",
    "History": "fitting.result",
    "Ascent": "fitting.result",
    "Collapse": "fitting.result",
    "Diagnosis": "inference.diagnosis",
    "fit_many": "estimators.fit_many",
    "ManyFits": "estimators.fit_many",
    "ManyGaussianFits": "estimators.fit_many",
    "ManyBinomialFits": "estimators.fit_many",
    "FitStatus": "estimators.fit_many",
    "accumulate": "data.open",
    "open_rows": "data.open",
    "Rows": "data.rows",
    "open_chunks": "data.chunks",
    "Chunks": "data.chunks",
    "from_arrow": "data.arrow",
    "ArrowRows": "data.arrow",
    "merge": "families.stats",
    "load_stats": "persistence",
    "posterior": "data.open",
    "Posterior": "data.base",
    "distinct_counts": "data.open",
    "DistinctCounts": "data.distinct",
    "BinomialPrior": "families.binomial.prior",
    "GaussianPrior": "families.gaussian.prior",
    "GaussianParams": "families.gaussian.model",
    "GaussianStats": "families.gaussian.model",
    "BinomialParams": "families.binomial.model",
    "BinomialStats": "families.binomial.model",
    "StandardErrors": "inference.standard_errors",
    "show_config": "config",
    "Config": "config",
    "warmup": "config",
    "ConvergenceWarning": "estimators.sklearn_compat",
    "EmptyComponentWarning": "exceptions",
    "EqualComponentWarning": "exceptions",
    "CollapsedComponentError": "exceptions",
    "IdentifiabilityWarning": "exceptions",
    "BadValueError": "exceptions",
    "NotFittedError": "estimators.sklearn_compat",
}

__all__ = [  # noqa: RUF022 - by importance
    "GaussianMixture",
    "BinomialMixture",
    "load",
    "select",
    "Selection",
    "Candidate",
    "bootstrap_test",
    "BootstrapTest",
    "GaussianMixtureDisplay",
    "BinomialMixtureDisplay",
    "ConvergenceDisplay",
    "FitAnimation",
    "em",
    "Fit",
    "History",
    "Ascent",
    "Collapse",
    "Diagnosis",
    "fit_many",
    "ManyFits",
    "ManyGaussianFits",
    "ManyBinomialFits",
    "FitStatus",
    "accumulate",
    "open_rows",
    "Rows",
    "open_chunks",
    "Chunks",
    "from_arrow",
    "ArrowRows",
    "merge",
    "load_stats",
    "posterior",
    "Posterior",
    "distinct_counts",
    "DistinctCounts",
    "GaussianPrior",
    "BinomialPrior",
    "GaussianParams",
    "GaussianStats",
    "BinomialParams",
    "BinomialStats",
    "StandardErrors",
    "show_config",
    "Config",
    "warmup",
    "ConvergenceWarning",
    "EmptyComponentWarning",
    "EqualComponentWarning",
    "CollapsedComponentError",
    "IdentifiabilityWarning",
    "BadValueError",
    "NotFittedError",
]


_RENAMED = {
    "NormalParams": "GaussianParams",
    "NormalStats": "GaussianStats",
    "NormalPrior": "GaussianPrior",
    "ManyNormalFits": "ManyGaussianFits",
    "collapse": "distinct_counts",
}
"""Names of version 0.1 and what they are called since."""


def __getattr__(name: str) -> Any:
    """Import a public name when it is first asked for."""
    if name == "__version__":
        return import_module("importlib.metadata").version("fastem")  # 40 ms, and few ask
    if name in _RENAMED:
        message = f"fastem.{name} is called fastem.{_RENAMED[name]} now; the old name will be removed in version 0.3"
        import_module("fastem.exceptions").warn(message, FutureWarning)
        return __getattr__(_RENAMED[name])
    if name not in _HOME:
        raise AttributeError(f"module 'fastem' has no attribute {name!r}")
    return getattr(import_module(f"fastem.{_HOME[name]}"), name)


def __dir__() -> list[str]:
    return [*__all__, "__version__"]
