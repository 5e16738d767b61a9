"""Three univariate Gaussians of unit variance, found from a random start, watched iteration by iteration.

Nothing is added to a variance (reg_covar=0): a standard deviation that falls to zero is held at the resolution of the
data and does not stop the fit.
"""

from pathlib import Path

import numpy as np
import pictures

import fastem

SEED = 3
POINTS_EACH = 1500


def draw(rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """-> true means (3,) and X (4500, 1)."""
    means = rng.uniform(-10.0, 10.0, 3)
    return means, rng.normal(means, 1.0, (POINTS_EACH, 3)).reshape(-1, 1)


def random_start(X: np.ndarray, rng: np.random.Generator) -> fastem.GaussianParams:
    weights = rng.dirichlet(np.ones(3))
    means = rng.uniform(X.min(), X.max(), (3, 1))
    sds = rng.uniform(0.5, 3.0, 3)
    return fastem.GaussianParams(weights, means, (sds**2).reshape(3, 1, 1))


def fit(X: np.ndarray, start: fastem.GaussianParams) -> tuple[fastem.Fit, list[fastem.GaussianParams]]:
    """-> the fit, and the parameters before the first iteration and after each."""
    path = [start]

    def maximize(stats: fastem.GaussianStats) -> fastem.GaussianParams:
        path.append(stats.maximize(reg_covar=0.0))
        return path[-1]

    found = fastem.em(
        lambda params: fastem.accumulate(params, X), maximize, start, stopping="q", tol=1e-12, max_iter=100_000
    )
    return found, path


def show(title: str, params: fastem.GaussianParams) -> None:
    print(title)
    for c in np.argsort(params.means.ravel()):
        mean, sd = params.means[c, 0], np.sqrt(params.covariances[c, 0, 0])
        print(f"  weight {params.weights[c]:.4f}  mean {mean:8.4f}  sd {sd:.4f}")


def verdict(found: fastem.Fit, truth: np.ndarray) -> str:
    means = np.sort(found.params.means.ravel())
    off = np.abs(means - np.sort(truth)).max()
    listed = ", ".join(f"{mean:.2f}" for mean in means)
    return f"means {listed} from a random start in {found.n_iter} iterations, at most {off:.1g} from the truth"


def main() -> tuple[str, list[Path]]:
    """-> the verdict, and the pictures that were written."""
    rng = np.random.default_rng(SEED)
    means, X = draw(rng)
    start = random_start(X, rng)
    found, path = fit(X, start)
    show("truth", fastem.GaussianParams(np.full(3, 1 / 3), means.reshape(3, 1), np.ones((3, 1, 1))))
    show("start", start)
    show(f"fit: log likelihood {found.loglik:.6f}, {found.n_iter} iterations, {found.stop_reason}", found.params)
    animation = fastem.FitAnimation([fastem.GaussianMixtureDisplay(params=params, X=X) for params in path])
    animation.save(target := pictures.destination("three_gaussians.gif"))
    pictures.tell([target])
    return verdict(found, means), [target]


if __name__ == "__main__":
    main()
