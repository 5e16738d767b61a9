"""Rows that may not leave the places where they are: every site sums its own, one maximises, and only sums travel.

The sums of a site are k (1 + d + d^2) numbers and its log likelihood, however many rows it has.  They are not anonymous
by themselves: those of a site with very few rows tell of these rows.
"""

import tempfile
from pathlib import Path

import numpy as np

import fastem

SITES, ROWS = 3, 20_000
MEANS = np.array([[0.0, 0.0], [4.0, 4.0]])


def sums_at(site: np.ndarray, question: Path) -> Path:
    """What a site does with the file that it is sent: it answers with one of its sums; the rows stay here."""
    answer = question.with_name(f"sums-{len(list(question.parent.iterdir()))}.npz")
    fastem.accumulate(fastem.load_stats(question).params, site).save(answer)
    return answer


def sweep(sites: list[np.ndarray], params: fastem.GaussianParams) -> fastem.GaussianStats:
    """Parameters go to all sites, as the statistics of no rows, and their sums come back, through files."""
    with tempfile.TemporaryDirectory() as folder:
        question = Path(folder) / "params.npz"
        fastem.GaussianStats.zero(params).save(question)
        return fastem.merge(*(fastem.load_stats(sums_at(site, question)) for site in sites))


def fit_sites(sites: list[np.ndarray], start: fastem.GaussianParams) -> fastem.Fit:
    """EM over rows that nobody has together."""
    return fastem.em(lambda params: sweep(sites, params), lambda stats: stats.maximize(), start, tol=1e-8)


def draw(rng: np.random.Generator) -> list[np.ndarray]:
    """Sites that see two kinds of rows in other proportions."""
    shares = rng.random(SITES)
    return [rng.normal(size=(ROWS, 2)) + MEANS[(rng.random(ROWS) < share).astype(int)] for share in shares]


def verdict(found: fastem.Fit, difference: float) -> str:
    means = found.params.means
    off = np.abs(means[means[:, 0].argsort()] - MEANS).max()
    return (
        f"the sums of {SITES} sites of {ROWS:,} rows give the means of all rows in one place, within {difference:.0e}; "
        f"at most {off:.1g} from the truth"
    )


def main() -> tuple[str, list[Path]]:
    """-> the verdict, and no pictures."""
    sites = draw(np.random.default_rng(0))
    start = fastem.GaussianParams(np.full(2, 0.5), np.array([[-1.0, 0.0], [3.0, 5.0]]), np.tile(np.eye(2), (2, 1, 1)))
    found, together = fit_sites(sites, start), fit_sites([np.concatenate(sites)], start)
    difference = float(np.abs(found.params.means - together.params.means).max())
    numbers = start.weights.size + start.means.size + start.covariances.size
    print(f"{SITES} sites of {ROWS} rows: means {found.params.means.round(3).tolist()}, {found.n_iter} iterations")
    print(f"{numbers + 2} numbers from each site in each; from all rows in one place: within {difference:.1e}")
    assert difference < 1e-10
    return verdict(found, difference), []


if __name__ == "__main__":
    main()
