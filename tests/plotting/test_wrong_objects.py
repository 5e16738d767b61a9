"""Pictures of what they are not for are refused by name, before anything is drawn."""

import matplotlib as mpl
import numpy as np
import pytest
import sklearn.mixture

import fastem

mpl.use("Agg")
import matplotlib.pyplot as plt

X = np.random.default_rng(0).normal(size=(60, 2))
COUNTS = np.arange(60)[:, np.newaxis] % 9
MIXTURE = fastem.GaussianMixture(2, random_state=0).fit(X)
FITS = fastem.fit_many(X.ravel(), groups=np.repeat(["a", "b"], 60), n_components=1)
SELECTION = fastem.select(X, [1, 2])
DRAW = {
    "mixture": [
        lambda wrong: fastem.GaussianMixtureDisplay.from_estimator(wrong, X),
        lambda wrong: fastem.BinomialMixtureDisplay.from_estimator(wrong, COUNTS, trials=9),
        lambda wrong: fastem.PoissonMixtureDisplay.from_estimator(wrong, COUNTS),
        lambda wrong: fastem.FitAnimation.from_estimator(wrong, X),
        fastem.ConvergenceDisplay.from_estimator,
    ],
    "selection": [fastem.SelectionDisplay.from_selection],
    "fits": [fastem.ManyFitsDisplay.from_fits],
}
RIGHT = {"mixture": MIXTURE, "selection": SELECTION, "fits": FITS}
WRONG = [X, None, "model.npz", fastem.GaussianMixture, MIXTURE.params_, MIXTURE, SELECTION, FITS]
CASES = [(name, draw, wrong) for name, every in DRAW.items() for draw in every for wrong in WRONG
         if type(wrong) is not type(RIGHT[name])]  # fmt: skip


@pytest.mark.parametrize(("name", "draw", "wrong"), CASES)
def test_a_wrong_object_is_a_type_error_of_one_line(name, draw, wrong):
    before = plt.get_fignums()
    kind = "ndarray of numpy" if isinstance(wrong, np.ndarray) else type(wrong).__name__
    with pytest.raises(TypeError, match=f"^{name} must be .*, got {kind}$"):
        draw(wrong)
    assert plt.get_fignums() == before


def test_a_mixture_of_another_package_is_told_from_ours():
    theirs = sklearn.mixture.GaussianMixture(2).fit(X)
    with pytest.raises(TypeError, match="mixture must be a GaussianMixture, got GaussianMixture of sklearn"):
        fastem.GaussianMixtureDisplay.from_estimator(theirs, X)


@pytest.mark.parametrize("draw", [
    lambda ax: fastem.GaussianMixtureDisplay.from_estimator(MIXTURE, X, ax=ax),
    lambda ax: fastem.SelectionDisplay.from_selection(SELECTION, ax=ax),
    lambda ax: fastem.ManyFitsDisplay.from_fits(FITS, ax=ax),
])  # fmt: skip
def test_what_is_no_panel_is_named(draw):
    figure = plt.figure()
    for wrong, name in [(figure, "Figure of matplotlib"), ("here", "str"), (1, "int")]:
        with pytest.raises(TypeError, match=f"ax must be Axes of Matplotlib, got {name}"):
            draw(wrong)
    plt.close(figure)
