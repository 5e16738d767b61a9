"""All names of Poisson mixtures."""

from fastem.estimators.many_poisson import ManyPoissonFits
from fastem.estimators.poisson_mixture import PoissonMixture
from fastem.families.poisson.model import PoissonParams, PoissonStats
from fastem.families.poisson.prior import PoissonPrior
from fastem.plotting.poisson import PoissonMixtureDisplay

__all__ = [
    "ManyPoissonFits",
    "PoissonMixture",
    "PoissonMixtureDisplay",
    "PoissonParams",
    "PoissonPrior",
    "PoissonStats",
]
