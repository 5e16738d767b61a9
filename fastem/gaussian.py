"""All names of Gaussian mixtures."""

from fastem.estimators.gaussian_mixture import GaussianMixture
from fastem.estimators.many_gaussian import ManyGaussianFits, ManyMultivariateFits
from fastem.families.gaussian.model import GaussianParams, GaussianStats
from fastem.families.gaussian.prior import GaussianPrior
from fastem.plotting.gaussian import GaussianMixtureDisplay

__all__ = [
    "GaussianMixture",
    "GaussianMixtureDisplay",
    "GaussianParams",
    "GaussianPrior",
    "GaussianStats",
    "ManyGaussianFits",
    "ManyMultivariateFits",
]
