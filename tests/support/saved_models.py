"""Models that are saved, and files of them that are damaged."""

import numpy as np

import fastem
from support.asserts import same_fit

RNG = np.random.default_rng(0)
X = np.concatenate([RNG.normal(size=(200, 2)), RNG.normal(size=(100, 2)) + 5.0])
HEADS = RNG.binomial(10, np.repeat([0.2, 0.6], 100)[:, np.newaxis], size=(200, 2))
MODELS = {
    **{kind: fastem.GaussianMixture(2, covariance_type=kind, random_state=0) for kind in ("tied", "diag", "spherical")},
    "full": fastem.GaussianMixture(2, random_state=np.random.default_rng(1), n_init=2, order_by="means"),
    "held": fastem.GaussianMixture(2, fixed={"means": np.array([True, False])}, means_init=[[0, 0], [5, 5]]),
    "prior": fastem.GaussianMixture(2, prior=fastem.GaussianPrior(scale=np.eye(2)), random_state=0),
    "collapsed": fastem.GaussianMixture(2, weights_init=[1.0, 0.0], random_state=0),
    "counts": fastem.BinomialMixture(2, n_trials=10, prior=fastem.BinomialPrior(2.0), fixed=("weights",)),
}


def fitted(name):
    return MODELS[name].fit(HEADS if name == "counts" else X)


def mutated(content, rng):
    """Bytes flipped, cut out, doubled or cut off, at random."""
    at, length = int(rng.integers(len(content))), int(rng.integers(1, 64))
    match rng.integers(4):
        case 0:
            noise = rng.integers(0, 256, length, dtype=np.uint8).tobytes()
            return content[:at] + noise + content[at + length :]
        case 1:
            return content[:at] + content[at + length :]
        case 2:
            return content[:at] + content[at : at + length] + content[at:]
        case _:
            return content[:at]


def mutants_refused(path, mixture, mutants, rng):
    """Load so many mutants -> how many were refused; the others are the model itself (a date of zip's was changed)."""
    content, refused = path.read_bytes(), 0
    for _ in range(mutants):
        path.write_bytes(mutated(content, rng))
        try:
            found = fastem.load(path)
        except ValueError:
            refused += 1
        else:
            same_fit(found, mixture)
    return refused
