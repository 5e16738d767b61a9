# The public names, for type checkers; __init__.py imports them when they are first asked for.

from fastem.binomial import *
from fastem.config import Config as Config
from fastem.config import show_config as show_config
from fastem.config import warmup as warmup
from fastem.data.arrow import ArrowRows as ArrowRows
from fastem.data.arrow import from_arrow as from_arrow
from fastem.data.base import Posterior as Posterior
from fastem.data.chunks import Chunks as Chunks
from fastem.data.chunks import open_chunks as open_chunks
from fastem.data.distinct import DistinctCounts as DistinctCounts
from fastem.data.open import accumulate as accumulate
from fastem.data.open import distinct_counts as distinct_counts
from fastem.data.open import open_rows as open_rows
from fastem.data.open import posterior as posterior
from fastem.data.rows import Rows as Rows
from fastem.estimators.bayesian_mixture import BayesianGaussianMixture as BayesianGaussianMixture
from fastem.estimators.fit_many import fit_many as fit_many
from fastem.estimators.many_fits import FitStatus as FitStatus
from fastem.estimators.many_fits import ManyFits as ManyFits
from fastem.estimators.sklearn_compat import ConvergenceWarning as ConvergenceWarning
from fastem.estimators.sklearn_compat import NotFittedError as NotFittedError
from fastem.estimators.sklearn_patch import patch_sklearn as patch_sklearn
from fastem.estimators.sklearn_patch import unpatch_sklearn as unpatch_sklearn
from fastem.estimators.summary import MixtureSummary as MixtureSummary
from fastem.exceptions import BadValueError as BadValueError
from fastem.exceptions import CollapsedComponentError as CollapsedComponentError
from fastem.exceptions import CollapsedComponentWarning as CollapsedComponentWarning
from fastem.exceptions import EmptyComponentWarning as EmptyComponentWarning
from fastem.exceptions import EqualComponentWarning as EqualComponentWarning
from fastem.exceptions import IdentifiabilityWarning as IdentifiabilityWarning
from fastem.families.diagnosis import Diagnosis as Diagnosis
from fastem.families.stats import merge as merge
from fastem.fitting.driver import em as em
from fastem.fitting.result import Ascent as Ascent
from fastem.fitting.result import Collapse as Collapse
from fastem.fitting.result import Fit as Fit
from fastem.fitting.result import History as History
from fastem.gaussian import *
from fastem.inference.standard_errors import StandardErrors as StandardErrors
from fastem.persistence import load as load
from fastem.persistence import load_stats as load_stats
from fastem.plotting.animation import FitAnimation as FitAnimation
from fastem.plotting.convergence import ConvergenceDisplay as ConvergenceDisplay
from fastem.plotting.many import ManyFitsDisplay as ManyFitsDisplay
from fastem.plotting.selection import SelectionDisplay as SelectionDisplay
from fastem.poisson import *
from fastem.selection.bootstrap import BootstrapTest as BootstrapTest
from fastem.selection.bootstrap import bootstrap_test as bootstrap_test
from fastem.selection.select import select as select
from fastem.selection.table import Candidate as Candidate
from fastem.selection.table import Selection as Selection

__version__: str
