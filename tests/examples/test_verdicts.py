"""What the examples say that they found: right values, computed from the fit and compared with the truth."""

from types import SimpleNamespace

import matplotlib as mpl
import numpy as np
import pytest

import fastem

with mpl.rc_context():  # `pictures` changes settings, of which other tests shall not know
    import federated
    import galaxies
    import heights
    import old_faithful
    import out_of_core
    import saxony
    import three_coins
    import three_gaussians


def test_old_faithful_is_as_mixtools_finds_it():
    """Benaglia et al. (2009): weights 0.361 and 0.639, means 54.61 and 80.09."""
    verdict = old_faithful.verdict(old_faithful.fit(old_faithful.read()[:, 1:]))
    assert verdict == "2 kinds of eruption, 36 % short (mean wait 54.6 min) and 64 % long (80.1 min)"


def test_saxony_has_the_maximum_of_the_literature():
    """-12492.41, and -12534.17 of one component; BIC adds the logarithm of 6115 for each of two parameters more."""
    boys, families = saxony.read()
    fits = [saxony.fit(boys, families, k) for k in (1, 2)]
    gain = 2 * (12534.17 - 12492.41) - 2 * np.log(6115)
    expected = f"2 kinds of family, by BIC {gain:.0f} better than 1; the probability of a boy is "
    assert saxony.verdict(boys, families, fits) == expected + "0.481 in 72 % and 0.616 in 28 %"


def test_one_kind_of_family_where_all_are_alike():
    boys = np.arange(13.0)
    families = 1000 * np.exp(fastem.BinomialMixture(1).fit([6], trials=12).score_samples(boys, trials=12))
    verdict = saxony.verdict(boys, families, [saxony.fit(boys, families, k) for k in (1, 2)])
    assert verdict.startswith("1 kind of family, by BIC")
    assert verdict.endswith("the probability of a boy is 0.500 in 100 %")


@pytest.mark.seconds
def test_galaxies_are_ranked_by_bic():
    X = galaxies.read()
    fits = [galaxies.fit(X, k) for k in (3, 5, 4)]
    expected = "82 galaxies in 3 groups by BIC, at 9.7, 21.4, 33.0 thousand km/s; 5 groups are 0.2 behind"
    assert galaxies.verdict(X, fits) == expected
    assert galaxies.verdict(X, fits[1:]).startswith("82 galaxies in 5 groups by BIC, at 9.7, 16.1, 19.7, 22.8, 33.0")


def test_coins_are_those_of_the_paper():
    verdict = three_coins.verdict(three_coins.fit(fixed=("weights",)))
    assert verdict == "one shows heads with probability 0.80, the other with 0.52, as Do and Batzoglou (2008) print"


def test_other_coins_are_said_to_be_others():
    verdict = three_coins.verdict(SimpleNamespace(probs_=np.array([[0.81], [0.52]])))
    assert "0.81" in verdict
    assert "unlike what Do and Batzoglou" in verdict


def test_heights_count_people_in_the_right_group():
    X, mixture = heights.draw(), heights.fit(heights.draw())
    between = np.abs(X.ravel() - 172.0) < 1.5  # where either group may be right
    tall = X.ravel() > 172.0
    right = (tall[:50] & ~between[:50]).sum() + (~tall[50:] & ~between[50:]).sum()
    assert right <= heights.in_the_right_group(mixture, X) <= right + between.sum()
    assert f"{heights.in_the_right_group(mixture, X)} of 100 people" in heights.verdict(mixture, X)


def test_three_gaussians_are_compared_with_their_means():
    rng = np.random.default_rng(three_gaussians.SEED)
    means, X = three_gaussians.draw(rng)
    found, _ = three_gaussians.fit(X, three_gaussians.random_start(X, rng))
    verdict = three_gaussians.verdict(found, means)
    assert verdict == "means -8.35, -5.31, 6.05 from a random start in 376 iterations, at most 0.07 from the truth"
    assert three_gaussians.verdict(found, means[::-1]) == verdict
    assert three_gaussians.verdict(found, means + 2.0).endswith("at most 2 from the truth")


def test_rows_in_files_are_said_to_agree_only_where_they_do(monkeypatch):
    monkeypatch.setattr(out_of_core, "ROWS", 2000)
    X = out_of_core.draw(np.random.default_rng(0))
    memory, same, other = (out_of_core.mixture().fit(rows) for rows in (X, X, X[1:]))
    verdict = out_of_core.verdict(memory, {"a copy": same, "fewer rows": other, "Parquet": None})
    assert verdict.startswith("a copy: the fit of 2,000 rows in memory, to the last bit")


def test_sites_are_compared_with_the_truth():
    sites = federated.draw(np.random.default_rng(0))
    start = fastem.GaussianParams([0.5, 0.5], federated.MEANS[::-1], np.tile(np.eye(2), (2, 1, 1)))
    found = fastem.em(
        lambda params: fastem.accumulate(params, np.concatenate(sites)), lambda stats: stats.maximize(), start
    )
    verdict = federated.verdict(found, 1e-17)
    assert "within 1e-17; at most 0.00" in verdict
