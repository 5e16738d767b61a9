"""Two coins, five rounds of ten tosses, and nobody noted which coin was taken: Do and Batzoglou (2008).

What is the expectation maximization algorithm?  Nature Biotechnology 26, 897-899.  Their coins are drawn with equal
probability; a third coin that decides which one is tossed is what free mixing weights add.
"""

import math
from pathlib import Path

import numpy as np

import fastem

HEADS = [5, 9, 8, 4, 7]
TOSSES = 10
PUBLISHED = 0.80, 0.52
"""What they print for coins A and B."""


def fit(fixed: tuple[str, ...]) -> fastem.BinomialMixture:
    mixture = fastem.BinomialMixture(
        2, weights_init=[0.5, 0.5], probs_init=[0.6, 0.5], fixed=fixed, stopping="q", tol=1e-3, acceleration=None
    )
    return mixture.fit(HEADS, trials=TOSSES)


def coin_q(mixture: fastem.BinomialMixture) -> np.ndarray:
    """sum_ik resp_ik (heads_i log p_k + tails_i log(1 - p_k)) by iteration: Q less what no coin's bias enters."""
    coefficients = sum(math.log(math.comb(TOSSES, heads)) for heads in HEADS)
    return mixture.history_.q - coefficients - len(HEADS) * math.log(0.5)


def show(mixture: fastem.BinomialMixture) -> None:
    weights, probs = mixture.weights_, mixture.probs_.ravel()
    print(f"  log likelihood {mixture.loglik_:.6f}, {mixture.n_iter_} iterations")
    for coin, weight, prob in zip("AB", weights, probs, strict=True):
        print(f"  coin {coin}: weight {weight:.4f}  p {prob:.8f}")


def verdict(equal: fastem.BinomialMixture) -> str:
    a, b = equal.probs_.ravel().round(2)
    agreement = "as" if (a, b) == PUBLISHED else "unlike what"
    return (
        f"one shows heads with probability {a:.2f}, the other with {b:.2f}, {agreement} Do and Batzoglou (2008) print"
    )


def main() -> tuple[str, list[Path]]:
    """-> the verdict, and no pictures."""
    equal = fit(fixed=("weights",))
    print("equal weights; Q by iteration:")
    for row in np.array_split(coin_q(equal), 3):
        print("  " + "  ".join(f"{q:.14f}" for q in row))
    show(equal)
    print("free weights:")
    show(fit(fixed=()))
    return verdict(equal), []


if __name__ == "__main__":
    main()
