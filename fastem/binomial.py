"""All names of Binomial mixtures."""

from fastem.estimators.binomial_mixture import BinomialMixture
from fastem.estimators.many_binomial import ManyBinomialFits
from fastem.families.binomial.model import BinomialParams, BinomialStats
from fastem.families.binomial.prior import BinomialPrior
from fastem.plotting.binomial import BinomialMixtureDisplay

__all__ = [
    "BinomialMixture",
    "BinomialMixtureDisplay",
    "BinomialParams",
    "BinomialPrior",
    "BinomialStats",
    "ManyBinomialFits",
]
