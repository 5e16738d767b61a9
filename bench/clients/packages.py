"""What other packages do with a mixture: a function a client, run here with scikit-learn's and with fastem's mixtures.

python bench/clients/packages.py CLIENT    prints a line of JSON: version, seconds and what became of the answer
"""

import importlib
import json
import sys
import time
import warnings
from collections.abc import Callable
from functools import partial
from importlib.metadata import version
from typing import NamedTuple

import numpy as np
import pandas as pd
import sklearn.mixture
from verdicts import Answer, verdict

import fastem

SPACING = 6.0
"""Of the centres on each axis, in standard deviations: components are told apart, and every start leads to them."""


class Rows(NamedTuple):
    X: np.ndarray  # (n, d)
    y: np.ndarray  # (n,) the component that each row was drawn from


def clouds(n: int, d: int, k: int, seed: int = 0) -> Rows:
    """Rows of k components about centres that are far from each other, of different weights and scales."""
    rng = np.random.default_rng(seed)
    y = rng.choice(k, n, p=np.arange(k, 2 * k) / np.arange(k, 2 * k).sum())
    centres = SPACING * rng.permuted(np.tile(np.arange(k), (d, 1)), axis=1).T
    return Rows(centres[y] + rng.uniform(0.5, 1.0, (k, d))[y] * rng.standard_normal((n, d)), y)


def pyod_gmm(rows: Rows) -> Answer:
    from pyod.models.gmm import GMM

    model = GMM(n_components=5, random_state=0).fit(rows.X)
    return Answer(model.labels_, model.decision_scores_, -model.decision_scores_.mean())


def lego_classifier(rows: Rows) -> Answer:
    from sklego.mixture import GMMClassifier

    model = GMMClassifier(n_components=2, random_state=0).fit(rows.X, rows.y // 2)
    return Answer(model.predict(rows.X), model.predict_proba(rows.X))


def lego_bayesian_classifier(rows: Rows) -> Answer:
    from sklego.mixture import BayesianGMMClassifier

    model = BayesianGMMClassifier(n_components=2, random_state=0).fit(rows.X, rows.y // 2)
    return Answer(model.predict(rows.X), model.predict_proba(rows.X))


def lego_naive_bayes(rows: Rows) -> Answer:
    from sklego.naive_bayes import GaussianMixtureNB

    model = GaussianMixtureNB(n_components=2, random_state=0).fit(rows.X, rows.y // 2)
    return Answer(model.predict(rows.X), model.predict_proba(rows.X))


def lego_outliers(rows: Rows) -> Answer:
    from sklego.mixture import GMMOutlierDetector

    model = GMMOutlierDetector(n_components=5, threshold=0.99, random_state=0).fit(rows.X)
    scores = model.score_samples(rows.X)
    return Answer(model.predict(rows.X), scores, -scores.mean())


def image_fisher_vector(rows: Rows) -> Answer:
    from skimage.feature import fisher_vector, learn_gmm

    model = learn_gmm(rows.X, n_modes=5, gm_args={"covariance_type": "diag", "random_state": 0})
    found = np.sort(fisher_vector(rows.X[:2000], model))  # in whatever order the components are
    return Answer(model.predict(rows.X), found, model.score(rows.X))


def onnx(rows: Rows) -> Answer:
    import onnxruntime
    from skl2onnx import to_onnx

    model = sklearn.mixture.GaussianMixture(5, random_state=0).fit(rows.X)
    theirs = model.to_sklearn() if hasattr(model, "to_sklearn") else model
    fastem.unpatch_sklearn()  # it looks for the exact class, by the name that a patch has taken
    converted = to_onnx(theirs, rows.X[:1], options={"score_samples": True}, target_opset=18)
    session = onnxruntime.InferenceSession(converted.SerializeToString(), providers=["CPUExecutionProvider"])
    labels, _, scores = session.run(None, {session.get_inputs()[0].name: rows.X})
    return Answer(labels.ravel(), scores.ravel(), scores.mean())


def rdt_normalizer(rows: Rows) -> Answer:
    from rdt.transformers import ClusterBasedNormalizer

    frame = pd.DataFrame({"a": rows.X[:, 0]})
    model = ClusterBasedNormalizer()
    found = model.fit_transform(frame, "a")
    back = model.reverse_transform(found)["a"].to_numpy()
    return Answer(found.iloc[:, 1].to_numpy(), back, model._bgm_transformer.lower_bound_ / len(frame))


def sdmetrics_likelihood(rows: Rows) -> Answer:
    from sdmetrics.single_table import GMLogLikelihood

    real, synthetic = pd.DataFrame(rows.X[::2]), pd.DataFrame(rows.X[1::2])
    real.columns = synthetic.columns = [f"c{j}" for j in range(rows.X.shape[1])]
    metadata = {"columns": {name: {"sdtype": "numerical"} for name in real}}
    np.random.seed(0)
    found = GMLogLikelihood.compute(real, synthetic, metadata, n_components=5, iterations=3)
    return Answer(None, np.array([found]), found)


def astro_classifier(rows: Rows) -> Answer:
    from astroML.classification import GMMBayes

    model = GMMBayes(n_components=2, random_state=0).fit(rows.X, rows.y // 2)
    return Answer(model.predict(rows.X), model.predict_proba(rows.X))


def neurokit_mixture(rows: Rows) -> Answer:
    from neurokit2.stats import fit_mixture

    found, _ = fit_mixture(rows.X[:, 0], n_clusters=5)
    shares = np.sort(found.to_numpy(), axis=1)  # in whatever order the components are
    return Answer(found.to_numpy().argmax(axis=1), shares)


def clustergram_levels(rows: Rows) -> Answer:
    from clustergram import Clustergram

    model = Clustergram(range(1, 6), method="gmm", bic=True, verbose=False, random_state=0).fit(pd.DataFrame(rows.X))
    return Answer(model.labels_[5].to_numpy(), np.array(model.bic[-1:]), -model.bic.iloc[-1])


def deeptime_init(rows: Rows) -> Answer:
    from deeptime.markov.hmm import init

    np.random.seed(0)
    found = init.gaussian.from_data(rows.X[:, 0], n_hidden_states=5, reversible=True)
    return Answer(None, np.sort(found.output_model.means))


def activeml_classifier(rows: Rows) -> Answer:
    from skactiveml.classifier import MixtureModelClassifier

    y = np.where(np.arange(len(rows.y)) % 50 == 0, rows.y, np.nan)  # few rows have a label
    model = MixtureModelClassifier(classes=range(5), random_state=0).fit(rows.X, y)
    return Answer(model.predict(rows.X), model.predict_proba(rows.X), model.mixture_model_.lower_bound_ / len(y))


def conditional_regressor(rows: Rows) -> Answer:
    from cgmm import ConditionalGMMRegressor

    model = ConditionalGMMRegressor(n_components=5, random_state=0).fit(rows.X[:, :-1], rows.X[:, -1])
    return Answer(None, model.predict(rows.X[::100, :-1]))


def simpeg_weighted(rows: Rows) -> Answer:
    from discretize import TensorMesh
    from simpeg.utils import pgi_utils

    importlib.reload(pgi_utils)  # its base class is what scikit-learn's name stands for while it is imported
    mesh = TensorMesh([len(rows.X)])
    model = pgi_utils.WeightedGaussianMixture(5, mesh, np.ones(len(rows.X), bool), random_state=0).fit(rows.X)
    return Answer(model.predict(rows.X), model.score_samples(rows.X))


def subclass(rows: Rows) -> Answer:
    """Fit a class of one's own that overrides a step of the fit."""

    class Weighted(sklearn.mixture.GaussianMixture):
        def _m_step(self, X: np.ndarray, log_resp: np.ndarray, **given: object) -> None:
            super()._m_step(X, log_resp, **given)

    model = Weighted(5, random_state=0).fit(rows.X)
    return Answer(model.predict(rows.X), model.score_samples(rows.X), model.score(rows.X))


class Client(NamedTuple):
    package: str
    run: Callable[[Rows], Answer]
    rows: Callable[[], Rows]
    error: type[Exception] | None = None  # what fastem's mixtures have to raise


CLIENTS = {
    "GMM": Client("pyod", pyod_gmm, partial(clouds, 40_000, 8, 5)),
    "GMMClassifier": Client("scikit-lego", lego_classifier, partial(clouds, 40_000, 4, 6)),
    "BayesianGMMClassifier": Client("scikit-lego", lego_bayesian_classifier, partial(clouds, 40_000, 4, 6)),
    "GaussianMixtureNB": Client("scikit-lego", lego_naive_bayes, partial(clouds, 20_000, 4, 6)),
    "GMMOutlierDetector": Client("scikit-lego", lego_outliers, partial(clouds, 20_000, 4, 5)),
    "learn_gmm, fisher_vector": Client("scikit-image", image_fisher_vector, partial(clouds, 40_000, 16, 5)),
    "to_onnx of to_sklearn()": Client("skl2onnx", onnx, partial(clouds, 40_000, 4, 5)),
    "ClusterBasedNormalizer": Client("rdt", rdt_normalizer, partial(clouds, 20_000, 1, 5)),
    "GMLogLikelihood": Client("sdmetrics", sdmetrics_likelihood, partial(clouds, 20_000, 4, 5)),
    "GMMBayes": Client("astroML", astro_classifier, partial(clouds, 40_000, 4, 6)),
    "fit_mixture": Client("neurokit2", neurokit_mixture, partial(clouds, 40_000, 1, 5)),
    "Clustergram": Client("clustergram", clustergram_levels, partial(clouds, 20_000, 4, 5)),
    "hmm.init.gaussian": Client("deeptime", deeptime_init, partial(clouds, 5_000, 1, 5)),
    "MixtureModelClassifier": Client("scikit-activeml", activeml_classifier, partial(clouds, 20_000, 4, 5)),
    "ConditionalGMMRegressor": Client("cgmm", conditional_regressor, partial(clouds, 20_000, 3, 5)),
    "WeightedGaussianMixture": Client("simpeg", simpeg_weighted, partial(clouds, 1500, 1, 5), TypeError),
    "a subclass with _m_step": Client("scikit-learn", subclass, partial(clouds, 5_000, 2, 5), TypeError),
}
"""The clients, by what is called."""


def timed(client: Client, rows: Rows) -> tuple[Answer, float]:
    """Return the answer and its seconds of processor time."""
    begin = time.process_time()
    found = client.run(rows)
    return found, time.process_time() - begin


def compared(client: Client) -> dict[str, object]:
    """Run a client with scikit-learn's mixtures and with fastem's, and compare."""
    rows = client.rows()
    few = Rows(rows.X[:1500], rows.y[:1500])
    client.run(few)  # imports
    theirs, before = timed(client, rows)
    found = {"version": version(client.package), "before": before}
    with fastem.patch_sklearn():
        if client.error is not None:
            return found | {"after": None, "equal": refusal(client.run, client.error, few)}
        client.run(few)
    with fastem.patch_sklearn():
        ours, after = timed(client, rows)
    return found | {"after": after, "equal": verdict(ours, theirs)}


def refusal(run: Callable[[Rows], Answer], expected: type[Exception], rows: Rows) -> str:
    """Return that a client is refused as it has to be."""
    try:
        run(rows)
    except expected as error:
        return f"{expected.__name__}: {str(error).split(',')[0]}"
    raise AssertionError(f"no {expected.__name__}")


if __name__ == "__main__":
    warnings.simplefilter("ignore")  # of packages about packages
    print(json.dumps(compared(CLIENTS[sys.argv[1]])))
