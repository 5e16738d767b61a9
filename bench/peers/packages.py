"""A Python package as a peer: see bench/bench_peers.py.

python packages.py PACKAGE FOLDER
"""

import os
import sys
import time
import warnings
from importlib.metadata import version
from pathlib import Path

import numpy as np


class Rows:
    """What lies in the folder: rows and the common start."""

    def __init__(self, folder):
        self.folder = Path(folder)
        n, d, k, self.trials = map(int, (self.folder / "shape").read_text().split())
        self.k, self.X = k, np.fromfile(self.folder / "rows").reshape(n, d)
        start = np.fromfile(self.folder / "start")
        self.weights, self.means = start[:k], start[k : k + k * d].reshape(k, d)
        self.covariances = start[k + k * d :].reshape(-1, d, d)


class Estimator:
    """scikit-learn's class, and ours, which takes the same arguments."""

    def __init__(self, rows, estimator):
        self.rows, self.estimator = rows, estimator
        self.precisions = np.linalg.inv(rows.covariances)

    def fit(self, iterations, **settings):
        mixture = self.estimator(self.rows.k, tol=0.0, max_iter=iterations, **settings)
        return mixture.fit(self.rows.X)

    def given(self, iterations):
        rows = self.rows
        start = {"weights_init": rows.weights, "means_init": rows.means, "precisions_init": self.precisions}
        # means_init takes the place of a start, but scikit-learn makes one all the same: this is its cheapest
        return self.fit(iterations, reg_covar=0.0, init_params="random_from_data", random_state=0, **start)

    def own(self, iterations, seed):
        return self.fit(iterations, random_state=seed)

    def told(self, mixture):
        return mixture.n_iter_, mixture.weights_, mixture.means_, mixture.covariances_


def scikit_learn(rows):
    import sklearn.mixture

    return version("scikit-learn"), Estimator(rows, sklearn.mixture.GaussianMixture)


def fastem(rows):
    import fastem

    return version("fastem"), Coins(rows) if rows.trials else Estimator(rows, fastem.GaussianMixture)


class Coins:
    """Our mixture of binomials; from the given start on all rows, by itself on the distinct ones."""

    def __init__(self, rows):
        import fastem

        self.rows, self.fastem = rows, fastem

    def given(self, iterations):
        rows, fastem = self.rows, self.fastem
        start = fastem.BinomialParams(rows.weights, rows.means)
        with fastem.open_rows(rows.X, np.full(rows.X.shape, float(rows.trials)), has_trials=True) as opened:
            fit = fastem.em(opened.sweep, lambda stats: stats.maximize(), start, tol=0.0, max_iter=iterations)
        return fit.n_iter, fit.params

    def own(self, iterations, seed):
        mixture = self.fastem.BinomialMixture(
            self.rows.k, tol=0.0, max_iter=iterations, acceleration=None, random_state=seed
        )
        mixture.fit(self.rows.X, trials=self.rows.trials)
        return mixture.n_iter_, mixture.params_

    def told(self, fit):
        made, params = fit
        return made, params.weights, params.probs


class OneDAL:
    def __init__(self, rows, daal4py):
        self.rows, self.daal4py = rows, daal4py

    def run(self, iterations, weights, means, covariances):
        algorithm = self.daal4py.em_gmm(nComponents=self.rows.k, maxIterations=iterations, accuracyThreshold=0.0)
        return algorithm.compute(self.rows.X, weights, means, covariances)

    def given(self, iterations):
        return self.run(iterations, self.rows.weights[None], self.rows.means, list(self.rows.covariances))

    def own(self, iterations, seed):
        engine = self.daal4py.engines_mt19937(seed=seed)
        start = self.daal4py.em_gmm_init(nComponents=self.rows.k, engine=engine).compute(self.rows.X)
        return self.run(iterations, start.weights, start.means, start.covariances)

    def told(self, found):
        return int(found.nIterations[0, 0]), found.weights, found.means, np.array(found.covariances)


def one_dal(rows):
    import daal4py

    return version("scikit-learn-intelex"), OneDAL(rows, daal4py)


class Pomegranate:
    """From the given start in float64, by itself in float32: its k-means takes nothing else."""

    def __init__(self, rows, torch):
        from pomegranate.distributions import Normal
        from pomegranate.gmm import GeneralMixtureModel

        self.rows, self.torch, self.normal, self.mixture = rows, torch, Normal, GeneralMixtureModel
        self.single = rows.X.astype(np.float32)

    def given(self, iterations):
        self.torch.set_default_dtype(self.torch.float64)
        normals = list(map(self.normal, self.rows.means, self.rows.covariances))
        return self.run(self.rows.X, normals, iterations, priors=self.rows.weights)

    def own(self, iterations, seed):
        self.torch.set_default_dtype(self.torch.float32)
        return self.run(self.single, [self.normal() for _ in range(self.rows.k)], iterations, random_state=seed)

    def run(self, X, normals, iterations, **settings):
        mixture = self.mixture(normals, max_iter=iterations, tol=-np.inf, **settings).fit(X)
        return iterations, mixture

    def told(self, found):
        made, mixture = found
        normals = mixture.distributions
        means = np.array([normal.means.numpy() for normal in normals])
        return made, mixture.priors.numpy(), means, np.array([normal.covs.numpy() for normal in normals])


def pomegranate(rows):
    import torch

    torch.set_num_threads(len(os.sched_getaffinity(0)))
    return version("pomegranate"), Pomegranate(rows, torch)


class Start:
    """What Spark's own model is asked for."""

    def __init__(self, rows, gaussian):
        self.k, self.weights = rows.k, rows.weights.tolist()
        self.gaussians = list(map(gaussian, rows.means.tolist(), rows.covariances))


class Spark:
    """MLlib on the threads of this machine.  It caches its rows; what it takes to bring them over from this process is
    in the time of a short run as in that of a long one."""

    def __init__(self, rows, context):
        from pyspark.mllib.clustering import GaussianMixture
        from pyspark.mllib.linalg import DenseMatrix, DenseVector
        from pyspark.mllib.stat.distribution import MultivariateGaussian

        def gaussian(mean, covariance):
            d = len(mean)
            return MultivariateGaussian(DenseVector(mean), DenseMatrix(d, d, covariance.ravel(order="F")))

        self.rows, self.train, self.start = rows, GaussianMixture.train, Start(rows, gaussian)
        self.vectors = context.parallelize(list(map(DenseVector, rows.X)), context.defaultParallelism).cache()
        self.vectors.count()

    def given(self, iterations):
        model = self.train(self.vectors, self.rows.k, 0.0, iterations, initialModel=self.start)
        return iterations, model

    def told(self, found):
        made, model = found
        means = np.array([each.mu.toArray() for each in model.gaussians])
        return made, np.array(model.weights), means, np.array([each.sigma.toArray() for each in model.gaussians])


def spark(rows):
    from pyspark import SparkConf, SparkContext

    conf = SparkConf().setMaster("local[*]").set("spark.driver.memory", "4g").set("spark.ui.enabled", "false")
    return version("pyspark"), Spark(rows, SparkContext(conf=conf))


PACKAGES = {
    "fastem": fastem, "scikit-learn": scikit_learn, "oneDAL": one_dal, "pomegranate": pomegranate, "Spark": spark
}  # fmt: skip


def main():
    warnings.simplefilter("ignore")  # that a fit has not converged
    name, folder = sys.argv[1:]
    rows = Rows(folder)
    if rows.trials and name != "fastem":
        sys.exit("it has no binomial mixtures")
    number, package = PACKAGES[name](rows)
    print(number, flush=True)
    for line in sys.stdin:
        start, *numbers = line.split()
        run = getattr(package, start)
        begin = time.perf_counter()
        found = run(*map(int, numbers))
        taken = time.perf_counter() - begin
        made, *parameters = package.told(found)
        np.concatenate([np.ravel(part) for part in parameters]).astype(float).tofile(rows.folder / "answer")
        print(taken, made, flush=True)


if __name__ == "__main__":
    main()
