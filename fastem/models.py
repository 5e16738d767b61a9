"""Fitted mixtures, and statistics, from disk."""

from __future__ import annotations

from typing import Any

import numpy as np

from fastem import checks
from fastem.binomial import BinomialParams, BinomialStats
from fastem.binomial_mixture import BinomialMixture
from fastem.fit import Ascent, Collapse, History
from fastem.gaussian import NormalParams, NormalStats
from fastem.gaussian_mixture import GaussianMixture
from fastem.mixture import MODEL, MODEL_LAYOUT, Mixture, is_fitted_attribute
from fastem.priors import BinomialPrior, NormalPrior
from fastem.restarts import Start
from fastem.stats import STATISTICS, STATISTICS_LAYOUT
from fastem.storage import decode, read, undamaged

ESTIMATORS = {each.__name__: each for each in (GaussianMixture, BinomialMixture)}
KNOWN = (
    Ascent, Collapse, History, Start, NormalPrior, BinomialPrior,
    NormalParams, NormalStats, BinomialParams, BinomialStats,
)  # fmt: skip
VALUES = {each.__name__: each for each in KNOWN}


def load(path: Any) -> Any:
    """Read a fitted mixture that `save` has written.

    The file is checked before anything is made of it: its kind and layout, sizes, and that its parameters are those of
    a mixture.  No code of the file is run.

    Parameters
    ----------
    path : path
        A file of `GaussianMixture.save` or `BinomialMixture.save`, of this version of fastem or an earlier one.

    Returns
    -------
    GaussianMixture or BinomialMixture
        With the settings and attributes that it was saved with.

    Raises
    ------
    ValueError
        If the file is damaged, or no such file.
    OSError
        If it cannot be read.

    Examples
    --------
    >>> import fastem, pathlib, tempfile
    >>> path = pathlib.Path(tempfile.mkdtemp()) / "mixture.npz"
    >>> fastem.GaussianMixture(1).fit([[1.0], [3.0]]).save(path)
    >>> fastem.load(path).means_
    array([[2.]])
    """
    header, arrays = read(checks.path(path, "path"), MODEL, MODEL_LAYOUT)
    with undamaged(path):
        return restored(ESTIMATORS[header["class"]], decode(header["attributes"], arrays, VALUES))


SUMS = {each.__name__: each for each in (NormalStats, BinomialStats)}
PARAMS = {each.__name__: each for each in (NormalParams, BinomialParams)}


def load_stats(path: Any) -> Any:
    """Read statistics that their `save` has written, with the parameters that they were taken at.

    The file is checked before anything is made of it: its kind and layout, shapes, that the parameters are those of a
    mixture and that all sums are finite.  No code of the file is run.

    Parameters
    ----------
    path : path
        A file of `NormalStats.save` or `BinomialStats.save`.

    Returns
    -------
    NormalStats or BinomialStats
        With the same bits.

    Raises
    ------
    ValueError
        If the file is damaged, or no such file.
    OSError
        If it cannot be read.

    Examples
    --------
    >>> import fastem, numpy as np, pathlib, tempfile
    >>> path = pathlib.Path(tempfile.mkdtemp()) / "sums.npz"
    >>> params = fastem.NormalParams(np.array([1.0]), np.zeros((1, 1)), np.ones((1, 1, 1)))
    >>> fastem.accumulate(params, [[1.0], [3.0]]).save(path)
    >>> fastem.load_stats(path).maximize().means
    array([[2.]])
    """
    header, arrays = read(checks.path(path, "path"), STATISTICS, STATISTICS_LAYOUT)
    with undamaged(path):
        ((kind, _),) = header["statistics"].items()
        stats = decode(header["statistics"], arrays, {kind: SUMS[kind], **PARAMS})
        stats.check()
        return stats


def restored(kind: type[Mixture], attributes: dict[str, Any]) -> Mixture:
    """An estimator with these settings and attributes; ValueError where they are not those of a fitted one."""
    settings = {name: attributes.pop(name) for name in kind().get_params(deep=False) if name in attributes}
    mixture = kind(**settings)
    for name, value in attributes.items():
        if not is_fitted_attribute(name):
            raise ValueError(f"{name!r} is no attribute of a {kind.__name__}")
        mixture._tell({name: value})
    params = mixture.params_
    params.check()
    for name, expected in mixture._attributes(params).items():
        checks.same_shape(getattr(mixture, name), name, np.shape(expected))
    if mixture.n_features_in_ != params.n_features:
        raise ValueError(f"n_features_in_ is {mixture.n_features_in_}, but the parameters have {params.n_features}")
    return mixture
