"""How near to the fit of all rows `partial_fit` comes, and how fast to forget: python bench/stepwise.py [batches]

Three components in the plane, so many standard deviations apart; 200 batches; means of 12 data sets.  For each power of
`stepwise.FORGETTING`: the log likelihood of all rows that is lost against EM on all of them, in nats, and the error of
the means as a multiple of that of EM.
"""

import sys

import numpy as np

import fastem
from fastem.fitting import stepwise

POWERS = (0.5, 0.6, 0.7, 0.8, 0.9, 1.0)
SETS = 12


def truth(gap: float) -> fastem.GaussianParams:
    means = gap * np.arange(3)[:, np.newaxis] * [1.0, 0.3]
    return fastem.GaussianParams(np.full(3, 1 / 3), means, np.tile([1.0, 0.5], (3, 1)), "diag")


def fitted(X: np.ndarray, start: fastem.GaussianParams, tol: float) -> fastem.Fit:
    with fastem.open_rows(X, fitting=True) as rows:
        return fastem.em(rows.sweep, lambda stats: stats.maximize(), start, max_iter=1000, tol=tol)


def in_batches(X: np.ndarray, start: fastem.GaussianParams, size: int) -> fastem.GaussianParams:
    """What partial_fit does, from a given start."""
    params, seen = fitted(X[:size], start, 1e-4).params, None
    for begin in range(0, len(X), size):
        batch = fastem.accumulate(params, X[begin : begin + size])
        seen = batch if seen is None else stepwise.step(seen, batch)
        params = seen.maximize()
    return params


def compare(gap: float, size: int, batches: int) -> dict[float, tuple[float, float]]:
    """power -> nats lost, error of the means over that of EM."""
    found: dict[float, list[tuple[float, float]]] = {power: [] for power in POWERS}
    true = truth(gap)
    for seed in range(SETS):
        rng = np.random.default_rng(seed)
        X = true.sample(rng.choice(3, size * batches, p=true.weights), rng)
        whole = fitted(X, true, 1e-8)
        error = np.abs(whole.params.means - true.means).mean()
        for power in POWERS:
            stepwise.FORGETTING = power
            params = in_batches(X, true, size)
            lost = whole.loglik - fastem.accumulate(params, X).loglik
            found[power].append((lost, float(np.abs(params.means - true.means).mean() / error)))
    return {power: tuple(np.mean(values, axis=0)) for power, values in found.items()}


def main(batches: int) -> None:
    print("gap  rows of a batch | " + " | ".join(f"power {power}: nats, error" for power in POWERS))
    for gap in (2.0, 4.0):
        for size in (200, 2000):
            cells = [f"{lost:8.1f} {error:5.2f} x" for lost, error in compare(gap, size, batches).values()]
            print(f"{gap:3.0f}  {size:15d} | " + " | ".join(cells), flush=True)


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 200)
