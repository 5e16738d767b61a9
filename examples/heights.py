"""Heights of fifty men and fifty women whose sex was not written down: who belongs to which group?"""

from pathlib import Path

import numpy as np

import fastem

COLUMNS = 5
MEN, WOMEN = 178.0, 165.0
"""True means, in cm."""
EACH = 50


def draw() -> np.ndarray:
    """Heights in cm, (100, 1): men first."""
    rng = np.random.default_rng(1)
    return np.concatenate([rng.normal(MEN, 7.0, EACH), rng.normal(WOMEN, 6.0, EACH)])[:, np.newaxis]


def fit(heights: np.ndarray) -> fastem.GaussianMixture:
    return fastem.GaussianMixture(2, tol=1e-10, max_iter=10_000, random_state=0).fit(heights)


def show_fit(mixture: fastem.GaussianMixture) -> None:
    print(f"log likelihood {mixture.loglik_:.4f}, {mixture.n_iter_} iterations")
    for weight, (mean,), ((variance,),) in zip(mixture.weights_, mixture.means_, mixture.covariances_, strict=True):
        print(f"  weight {weight:.3f}  mean {mean:6.2f} cm  sd {np.sqrt(variance):5.2f} cm")


def show_posteriors(mixture: fastem.GaussianMixture, heights: np.ndarray) -> None:
    """Each height with its probability of the shorter and of the taller group."""
    ascending = np.sort(heights, axis=0)
    resp = mixture.predict_proba(ascending)[:, np.argsort(mixture.means_.ravel())]
    cells = [f"{x:6.1f} {short:4.2f} {tall:4.2f}" for x, (short, tall) in zip(ascending.ravel(), resp, strict=True)]
    print("   ".join([" height p(s) p(t)"] * COLUMNS))
    rows = len(cells) // COLUMNS
    for row in range(rows):
        print("    ".join(cells[row::rows]))


def in_the_right_group(mixture: fastem.GaussianMixture, heights: np.ndarray) -> int:
    """How many men are in the taller group, and women in the other."""
    taller = mixture.predict(heights) == mixture.means_.argmax()
    return int(taller[:EACH].sum() + (~taller[EACH:]).sum())


def verdict(mixture: fastem.GaussianMixture, heights: np.ndarray) -> str:
    short, tall = np.sort(mixture.means_.ravel())
    right = in_the_right_group(mixture, heights)
    return (
        f"two groups around {short:.1f} and {tall:.1f} cm, drawn around {WOMEN:.0f} and {MEN:.0f}; "
        f"{right} of {len(heights)} people in the right one"
    )


def main() -> tuple[str, list[Path]]:
    """-> the verdict, and no pictures."""
    heights = draw()
    mixture = fit(heights)
    show_fit(mixture)
    show_posteriors(mixture, heights)
    return verdict(mixture, heights), []


if __name__ == "__main__":
    main()
