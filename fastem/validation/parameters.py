"""Check the parameters of a mixture that a user passes, and convert them to arrays."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np

from fastem.exceptions import IdentifiabilityWarning, warn
from fastem.kernels import linear
from fastem.validation.arrays import LARGEST_MAGNITUDE, as_numeric, check_finite, check_not


def as_float64(values: Any, name: str) -> np.ndarray:
    """A parameter as the kernels read it: float64, aligned; the same array where it is that already."""
    if type(values) is np.ndarray and values.dtype == np.float64 and values.flags.aligned:
        return values
    return as_numeric(values, name).astype(np.float64)


def check_matrix(values: np.ndarray, name: str) -> None:
    if values.ndim != 2 or 0 in values.shape:
        raise ValueError(f"The parameter {name!r} should have the shape of (k, d), but got {values.shape}")


def check_shape(values: np.ndarray, name: str, shape: tuple[int, ...]) -> None:
    if values.shape != shape:
        raise ValueError(f"The parameter {name!r} should have the shape of {shape}, but got {values.shape}")


def check_params(params: Any) -> None:
    if not hasattr(params, "kernel"):
        raise TypeError(f"params must be those of a mixture, GaussianParams or BinomialParams, got {params!r}")


def check_n_features_in(n_features_in: Any, n_features: int) -> None:
    if n_features_in != n_features:
        raise ValueError(f"n_features_in_ is {n_features_in}, but the parameters have {n_features} features")


def as_array(values: Any, name: str, shape: tuple[int, ...], largest: float = np.inf) -> np.ndarray:
    """A finite float64 array of this very shape."""
    array = as_float64(values, name)
    check_shape(array, name, shape)
    check_finite(array, name, largest)
    return array


def as_array_with_gaps(values: Any, name: str, shape: tuple[int, ...], largest: float = np.inf) -> np.ndarray:
    """As shaped, but rows of NaN are left to be found."""
    array = as_float64(values, name)
    check_shape(array, name, shape)
    check_finite(array[~np.isnan(array).all(axis=1)], name, largest)
    return array


def float_type_for(dtype: Any, exactly: Iterable[np.ndarray], nearly: Iterable[np.ndarray]) -> Any:
    """float64 where `dtype` does not hold some arrays exactly, or others at all: a precision beyond 1e38 in float32."""
    largest = np.finfo(dtype).max
    with np.errstate(over="ignore"):
        held = all((array.astype(dtype) == array).all() for array in exactly)
    return dtype if held and all(np.abs(array).max() <= largest for array in nearly) else np.float64


def check_magnitudes(magnitudes: np.ndarray, smallest: float) -> None:
    """Refuse features (d,) that are neither 0 nor as large as `smallest`."""
    tiny = (magnitudes > 0) & (magnitudes < smallest)
    if tiny.any():
        column = int(tiny.argmax())
        raise ValueError(
            f"X has values of magnitude {magnitudes[column]:.0e} in column {column}; below {smallest:.0e} a variance"
            " cannot be told from 0: rescale it"
        )


def as_means(values: Any, name: str, shape: tuple[int, ...], gaps: bool = False) -> np.ndarray:
    """Means, which are within reach of rows: squares of their distances do not overflow."""
    return (as_array_with_gaps if gaps else as_array)(values, name, shape, LARGEST_MAGNITUDE[np.dtype(np.float64)])


def as_mixing_weights(values: Any, name: str, k: int) -> np.ndarray:
    array = as_array(values, name, (k,))
    if (array < 0).any() or (array > 1).any():
        raise ValueError(  # scikit-learn's sentence, which names the smallest first
            f"The parameter {name!r} should be in the range [0, 1], but got max value {array.min():.5f}, "
            f"min value {array.max():.5f}"
        )
    if not np.isclose(array.sum(), 1.0, rtol=1e-6):
        raise ValueError(f"The parameter {name!r} should be normalized, but got sum(weights) = {array.sum():.5f}")
    return np.asarray(array / array.sum())


def as_probabilities(values: Any, name: str, shape: tuple[int, ...], gaps: bool = False) -> np.ndarray:
    array = as_numeric(values, name)
    array = (as_array_with_gaps if gaps else as_array)(array[:, np.newaxis] if array.ndim == 1 else array, name, shape)
    check_not(lambda block: (block < 0) | (block > 1), array, f"{name} must hold probabilities in [0, 1]")
    return array


def as_positive_definite(
    values: Any, name: str, shape: tuple[int, ...], matrices: bool, rounding: float = 0.0
) -> np.ndarray:
    """Covariances or precisions of densities: positive numbers, or symmetric positive definite matrices, up to what
    rounding has done to their elements."""
    array = as_array(values, name, shape)
    if not matrices:
        check_not(lambda block: block <= 0, array, f"{name!r} should be positive")
        return array
    for index, matrix in enumerate(array if array.ndim == 3 else array[np.newaxis]):
        if not is_positive_definite(matrix, -rounding * len(matrix)):
            raise ValueError(f"{name!r} should be symmetric, positive-definite; matrix {index} is not")
    return array


def is_positive_definite(matrix: np.ndarray, least: float) -> bool:
    """Symmetric, and eigenvalues of its correlations, which have no units, above `least`."""
    variances = matrix.diagonal()
    if not (variances > 0).all():
        return False
    sds = np.sqrt(variances)
    with np.errstate(over="ignore"):
        correlations = matrix / sds / sds[:, np.newaxis]
    if not (np.abs(correlations) < 2).all():  # 1 at the most; infinity is no number to LAPACK
        return False
    return np.allclose(correlations, correlations.T) and bool(linear.eigvalsh(correlations)[0] > least)


def check_variances(variances: np.ndarray, name: str, least: float, most: float) -> None:
    """Refuse precisions that are those of no rows: sums of squares would overflow, or their inverses."""
    check_not(
        lambda block: ~((block >= least) & (block <= most)),
        variances,
        f"{name} must be inverses of variances from {least:g} to {most:g}; rescale X: a variance would be",
    )


def check_identified(shares: np.ndarray, least: float) -> None:
    """Refuse an information matrix that is singular or not positive; shares are its eigenvalues, over those of what
    complete rows would tell."""
    if (np.abs(shares) <= least).any():
        raise ValueError(
            "The parameters are not identified by these rows: their information matrix is singular, and there are no "
            "standard errors. Components that are equal, or more parameters than rows, make it so; fewer components "
            "would do."
        )
    if not (shares > 0).all():
        raise ValueError(
            "The information matrix is not positive definite: the parameters are not at a maximum of the likelihood of "
            "these rows, and there are no standard errors. Fit with a smaller tol (and reg_covar), and pass the rows "
            "of the fit."
        )


def check_well_defined(eigenvalues: np.ndarray, least: float) -> None:
    """Refuse a start with a component that has no extent in some direction."""
    if eigenvalues.min() <= least:
        raise ValueError(
            "Fitting the mixture model failed because some components have ill-defined empirical covariance (for "
            "instance caused by singleton or collapsed samples). Try to decrease the number of components, increase "
            "reg_covar, or scale the input data."
        )


def check_information(*information: np.ndarray) -> None:
    """Refuse information that has overflowed."""
    if not all(np.isfinite(each).all() for each in information):
        raise ValueError(
            "X has rows so many standard deviations from every component that their information overflows, and there "
            "are no standard errors: the parameters are not at a maximum of the likelihood of these rows"
        )


def check_standard_errors(roots: np.ndarray) -> None:
    """Refuse standard errors of which the squares overflow."""
    if not np.abs(roots).max(initial=0.0) < LARGEST_MAGNITUDE[np.dtype(np.float64)]:
        raise ValueError("X is too large for standard errors: those of variances overflow; rescale it")


def as_scale_matrix(values: Any, name: str) -> np.ndarray:
    """A symmetric, positive definite matrix (d, d)."""
    array = as_float64(values, name)
    if array.ndim != 2 or array.shape[0] != array.shape[1] or not array.size:
        raise ValueError(f"{name} must be a square matrix, got shape {array.shape}")
    return as_positive_definite(array, name, array.shape, matrices=True)


def check_all_or_none_fixed(held: np.ndarray, name: str) -> None:
    if held.any() and not held.all():
        raise ValueError(f"standard errors are told where all {name} are held or none; got {int(held.sum())} that are")


def warn_if_not_identifiable(n_features: int, most: int, k: int) -> None:
    """Warn of a mixture of binomials, of at most so many trials, that others with as many components equal (Blischke
    1964)."""
    if n_features == 1 and k > 1 and most < 2 * k - 1:
        warn(
            f"a mixture of {k} binomials cannot be identified from rows of at most {most} trials: it takes "
            f"{2 * k - 1}, 2 k - 1.  Its likelihood is right, but other parameters have the same one",
            IdentifiabilityWarning,
        )
