"""Eruptions of Old Faithful: two kinds of eruption, by duration and waiting time, and by waiting time alone."""

from pathlib import Path

import numpy as np
import pictures

import fastem

DATA = Path(__file__).parent / "data" / "old_faithful.csv"


def read() -> np.ndarray:
    """Minutes of eruption and of waiting for the next, (272, 2)."""
    return np.loadtxt(DATA, delimiter=",", skiprows=1)


def fit(X: np.ndarray) -> fastem.GaussianMixture:
    return fastem.GaussianMixture(2, tol=1e-10, max_iter=1000, random_state=0, order_by="means").fit(X)


def random_fit(X: np.ndarray) -> fastem.GaussianMixture:
    """From random responsibilities: a long way, for the trace."""
    return fastem.GaussianMixture(2, tol=1e-10, max_iter=1000, init_params="random", random_state=0).fit(X)


def show(title: str, mixture: fastem.GaussianMixture) -> None:
    print(f"{title}: log likelihood {mixture.loglik_:.3f}, {mixture.n_iter_} iterations")
    for weight, mean, covariance in zip(mixture.weights_, mixture.means_, mixture.covariances_, strict=True):
        print(f"  weight {weight:.4f}  mean {mean.round(4)}  covariance {covariance.round(4).tolist()}")


def verdict(waiting: fastem.GaussianMixture) -> str:
    (short, long), (after_short, after_long) = waiting.weights_, waiting.means_.ravel()
    return (
        f"{waiting.n_components} kinds of eruption, {100 * short:.0f} % short (mean wait {after_short:.1f} min) "
        f"and {100 * long:.0f} % long ({after_long:.1f} min)"
    )


def picture(X: np.ndarray, both: fastem.GaussianMixture, waiting: fastem.GaussianMixture) -> Path:
    figure, (plane, line) = pictures.canvas(2, width=10.5)
    fastem.GaussianMixtureDisplay.from_estimator(both, X, ax=plane)
    plane.set(xlabel="eruption (min)", ylabel="waiting (min)", title="one and two standard deviations")
    fastem.GaussianMixtureDisplay.from_estimator(waiting, X[:, 1:], ax=line)
    line.set(xlabel="waiting (min)", title="waiting time alone")
    return pictures.save(figure, "old_faithful.png")


def trace_picture(from_search: fastem.GaussianMixture, from_random: fastem.GaussianMixture) -> Path:
    figure, (axes,) = pictures.canvas()
    for mixture, label in ((from_search, "default start"), (from_random, "random start")):
        fastem.ConvergenceDisplay.from_estimator(mixture, quantities=("loglik",), label=label, ax=axes)
    axes.set_title("Old Faithful: EM never falls")
    return pictures.save(figure, "old_faithful_trace.png")


def main() -> tuple[str, list[Path]]:
    """-> the verdict, and the pictures that were written."""
    X = read()
    both, waiting = fit(X), fit(X[:, 1:])
    show("eruption and waiting", both)
    show("waiting", waiting)
    written = [picture(X, both, waiting), trace_picture(both, random_fit(X))]
    pictures.tell(written)
    return verdict(waiting), written


if __name__ == "__main__":
    main()
