"""Velocities of 82 galaxies of the Corona Borealis region: how many groups?"""

from pathlib import Path

import numpy as np
import pictures

import fastem

DATA = Path(__file__).parent / "data" / "galaxies.csv"


def read() -> np.ndarray:
    """Velocities in 1000 km/s, (82, 1)."""
    return np.loadtxt(DATA, skiprows=1, ndmin=2).reshape(-1, 1) / 1000


def fit(X: np.ndarray, k: int) -> fastem.GaussianMixture:
    return fastem.GaussianMixture(k, tol=1e-8, max_iter=10_000, n_init=10, random_state=0, order_by="means").fit(X)


def show(X: np.ndarray, fits: list[fastem.GaussianMixture]) -> None:
    print(" k  log likelihood     BIC  smallest sd")
    for mixture in fits:
        sd = np.sqrt(mixture.covariances_.min())
        print(f"{mixture.n_components:2d} {mixture.loglik_:15.3f} {mixture.bic(X):7.2f} {sd:12.4f}")


def verdict(X: np.ndarray, fits: list[fastem.GaussianMixture]) -> str:
    best, second = sorted(fits, key=lambda mixture: mixture.bic(X))[:2]
    listed = ", ".join(f"{mean:.1f}" for mean in best.means_.ravel())
    behind = second.bic(X) - best.bic(X)
    return (
        f"{len(X)} galaxies in {best.n_components} groups by BIC, at {listed} thousand km/s; "
        f"{second.n_components} groups are {behind:.1f} behind"
    )


def picture(X: np.ndarray, fits: list[fastem.GaussianMixture]) -> Path:
    figure, panels = pictures.canvas(2, 2, width=10.0, height=7.0)
    for axes, mixture in zip(panels, fits, strict=True):
        fastem.GaussianMixtureDisplay.from_estimator(mixture, X, ax=axes)
        axes.get_legend().remove()  # so that all panels are equally wide
        axes.set(title=f"k = {mixture.n_components}, BIC {mixture.bic(X):.1f}", xlabel="velocity (1000 km/s)")
    return pictures.save(figure, "galaxies.png")


def main() -> tuple[str, list[Path]]:
    """-> the verdict, and the pictures that were written."""
    X = read()
    fits = [fit(X, k) for k in (3, 4, 5, 6)]
    show(X, fits)
    written = [picture(X, fits)]
    pictures.tell(written)
    return verdict(X, fits), written


if __name__ == "__main__":
    main()
