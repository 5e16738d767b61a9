"""Boys among the first twelve children of 6115 families of Saxony: one coin is not enough.

The table has one row for each number of boys; `sample_weight` says in how many families it was counted.
Geissler (1889), in Lindsey and Altham (1998), Applied Statistics 47, 149-157.
"""

from pathlib import Path

import numpy as np
import pictures

import fastem
from fastem.plotting.style import BAR_COLOR, COLORS

DATA = Path(__file__).parent / "data" / "saxony.csv"
CHILDREN = 12


def read() -> tuple[np.ndarray, np.ndarray]:
    """-> boys (13,) and families (13,)."""
    boys, _, families = np.loadtxt(DATA, delimiter=",", skiprows=1).T
    return boys, families


def fit(boys: np.ndarray, families: np.ndarray, k: int) -> fastem.BinomialMixture:
    mixture = fastem.BinomialMixture(k, tol=1e-12, max_iter=100_000, random_state=0, order_by="probs")
    return mixture.fit(boys, trials=CHILDREN, sample_weight=families)


def expected(mixture: fastem.BinomialMixture, boys: np.ndarray, families: np.ndarray) -> np.ndarray:
    """Families the mixture expects with each number of boys."""
    return families.sum() * np.exp(mixture.score_samples(boys, trials=CHILDREN))


def show(mixture: fastem.BinomialMixture) -> None:
    print(f"k = {mixture.n_components}: log likelihood {mixture.loglik_:.3f}, {mixture.n_iter_} iterations")
    for weight, (prob,) in zip(mixture.weights_, mixture.probs_, strict=True):
        print(f"  weight {weight:.4f}  probability of a boy {prob:.4f}")


def verdict(boys: np.ndarray, families: np.ndarray, fits: list[fastem.BinomialMixture]) -> str:
    def bic(mixture: fastem.BinomialMixture) -> float:
        return mixture.bic(boys, trials=CHILDREN, sample_weight=families)

    best, other = sorted(fits, key=bic)
    pairs = zip(best.probs_[:, 0], best.weights_, strict=True)
    boy = " and ".join(f"{prob:.3f} in {100 * weight:.0f} %" for prob, weight in pairs)
    gain = bic(other) - bic(best)
    kinds = f"{best.n_components} kind{'s' * (best.n_components > 1)} of family"
    return f"{kinds}, by BIC {gain:.0f} better than {other.n_components}; the probability of a boy is {boy}"


def picture(boys: np.ndarray, families: np.ndarray, fits: list[fastem.BinomialMixture]) -> Path:
    figure, (axes,) = pictures.canvas()
    axes.bar(boys, families, color=BAR_COLOR, label="observed")
    for mixture, color, marker in zip(fits, COLORS, "os", strict=False):
        label = f"{mixture.n_components} component" + "s" * (mixture.n_components > 1)
        counts = expected(mixture, boys, families)
        axes.plot(boys, counts, color=color, marker=marker, markersize=5, linewidth=1.6, label=label)
    axes.set(xlabel="boys among twelve children", ylabel="families", xticks=boys)
    axes.legend(loc="upper left")
    return pictures.save(figure, "saxony.png")


def main() -> tuple[str, list[Path]]:
    """-> the verdict, and the pictures that were written."""
    boys, families = read()
    fits = [fit(boys, families, k) for k in (1, 2)]
    for mixture in fits:
        show(mixture)
    written = [picture(boys, families, fits)]
    pictures.tell(written)
    return verdict(boys, families, fits), written


if __name__ == "__main__":
    main()
