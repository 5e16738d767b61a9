"""Check the parameters of a mixture that a user passes, and convert them to arrays."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np

from fastem.exceptions import IdentifiabilityWarning, warn
from fastem.kernels import linear
from fastem.validation.arrays import LARGEST_MAGNITUDE, as_numeric, check_finite, check_not

SUM_TOL = 1.01e-6
"""By how much the sum of mixing weights may miss 1, as in scikit-learn."""
CLEARLY = 1e-8
"""Pivots above this share of the variances are far above their rounding."""


def as_float64(values: object, name: str) -> np.ndarray:
    """Convert values to an aligned float64 array, as kernels read it; return one that is this already."""
    if type(values) is np.ndarray and values.dtype == np.float64 and values.flags.aligned:
        return values
    return as_numeric(values, name).astype(np.float64)


def check_matrix(values: np.ndarray, name: str) -> None:
    """Raise ValueError unless an array has two dimensions, neither of them empty."""
    if values.ndim != 2 or 0 in values.shape:
        raise ValueError(f"The parameter {name!r} should have the shape of (k, d), but got {values.shape}")


def check_shape(values: np.ndarray, name: str, shape: tuple[int, ...]) -> None:
    """Raise ValueError unless an array has this shape."""
    if values.shape != shape:
        raise ValueError(f"The parameter {name!r} should have the shape of {shape}, but got {values.shape}")


def check_params(params: object) -> None:
    """Raise TypeError unless these are the parameters of a mixture."""
    if isinstance(params, type) or not hasattr(params, "kernel"):
        raise TypeError(f"params must be parameters of a mixture, such as GaussianParams, got {params!r:.200}")


def check_n_features_in(n_features_in: object, n_features: int) -> None:
    """Raise ValueError if n_features_in_ is not the number of features of the parameters."""
    if n_features_in != n_features:
        raise ValueError(f"n_features_in_ is {n_features_in}, but the parameters have {n_features} features")


def as_array(values: object, name: str, shape: tuple[int, ...], largest: float = np.inf) -> np.ndarray:
    """Convert values to a float64 array of this shape; all must be finite and at most `largest` in magnitude."""
    array = as_float64(values, name)
    check_shape(array, name, shape)
    check_finite(array, name, largest)
    return array


def check_follow(array: np.ndarray, name: str, expected: np.ndarray, origin: str) -> None:
    """Raise ValueError unless an array is what follows from another, to what may be left of it in float32."""
    if array.shape != expected.shape or not np.allclose(array, expected, rtol=1e-4, atol=1e-6):
        raise ValueError(f"{name} must be what follows from {origin}, {expected.tolist()}, got {array.tolist()}")


def as_array_with_gaps(values: object, name: str, shape: tuple[int, ...], largest: float = np.inf) -> np.ndarray:
    """Convert values as `as_array` does, but accept rows of NaN only: a start fills them in."""
    array = as_float64(values, name)
    check_shape(array, name, shape)
    check_finite(array[~np.isnan(array).all(axis=1)], name, largest)
    return array


def float_type_for(
    dtype: type[np.floating], exactly: Iterable[np.ndarray], nearly: Iterable[np.ndarray]
) -> type[np.floating]:
    """Return `dtype` if it represents some arrays exactly and others without overflow, else float64."""
    largest = np.finfo(dtype).max
    with np.errstate(over="ignore"):
        is_exact = all((array.astype(dtype) == array).all() for array in exactly)
    return dtype if is_exact and all(np.abs(array).max() <= largest for array in nearly) else np.float64


def check_magnitudes(magnitudes: np.ndarray, smallest: float) -> None:
    """Raise ValueError at the first of the magnitudes (d,) of features that is below `smallest`, but not 0."""
    tiny = (magnitudes > 0) & (magnitudes < smallest)
    if tiny.any():
        column = int(tiny.argmax())
        raise ValueError(
            f"X has values of magnitude {magnitudes[column]:.0e} in column {column}; variances of values below"
            f" {smallest:.0e} cannot be distinguished from 0: rescale the column"
        )


def as_means(values: object, name: str, shape: tuple[int, ...], gaps: bool = False) -> np.ndarray:
    """Convert means to an array of this shape; squares of their distances to rows must not overflow."""
    return (as_array_with_gaps if gaps else as_array)(values, name, shape, LARGEST_MAGNITUDE[np.dtype(np.float64)])


def as_mixing_weights(values: object, name: str, k: int) -> np.ndarray:
    """Convert mixing weights to an array (k,) of numbers in [0, 1] whose sum is 1."""
    array = as_array(values, name, (k,))
    if (array < 0).any() or (array > 1).any():
        raise ValueError(  # scikit-learn's sentence, in which the two values are swapped
            f"The parameter {name!r} should be in the range [0, 1], but got max value {array.min():.5f}, "
            f"min value {array.max():.5f}"
        )
    if not abs(float(array.sum()) - 1.0) <= SUM_TOL:
        raise ValueError(f"The parameter {name!r} should be normalized, but got sum(weights) = {array.sum():.5f}")
    return np.asarray(array / array.sum())


def check_some_weight(weights: np.ndarray, name: str) -> None:
    """Raise ValueError where no component has a weight, which leaves all rows to a background."""
    if not weights.any():
        raise ValueError(f"{name} must have a weight above 0, got {weights}")


def as_probabilities(values: object, name: str, shape: tuple[int, ...], gaps: bool = False) -> np.ndarray:
    """Convert probabilities to an array of this shape; a vector becomes one column."""
    array = as_numeric(values, name)
    array = (as_array_with_gaps if gaps else as_array)(array[:, np.newaxis] if array.ndim == 1 else array, name, shape)
    check_not(lambda block: (block < 0) | (block > 1), array, f"{name} must be probabilities in [0, 1]")
    return array


def as_positive_definite(
    values: object, name: str, shape: tuple[int, ...], matrices: bool, rounding: float = 0.0
) -> np.ndarray:
    """Convert covariances or precisions to positive numbers or, if `matrices`, positive definite matrices.

    rounding : the relative error of their elements, which may make an eigenvalue a little negative
    """
    array = as_array(values, name, shape)
    if not matrices:
        check_not(lambda block: block <= 0, array, f"{name!r} should be positive")
        return array
    if are_clearly_definite(array):
        return array
    for index, matrix in enumerate(array if array.ndim == 3 else array[np.newaxis]):
        if not is_positive_definite(matrix, -rounding * len(matrix)):
            raise ValueError(f"{name!r} should be symmetric, positive-definite; matrix {index} is not")
    return array


def are_clearly_definite(matrices: np.ndarray) -> bool:
    """Return True where a factorisation shows that all matrices are symmetric and positive definite; it is quick."""
    if not (matrices == matrices.swapaxes(-1, -2)).all():
        return False
    found = linear.inverse_cholesky(matrices)
    return found is not None and bool((found[1] > CLEARLY * matrices.diagonal(axis1=-2, axis2=-1)).all())


def is_positive_definite(matrix: np.ndarray, least: float) -> bool:
    """Return whether a matrix is symmetric, with eigenvalues of its correlations above `least`."""
    variances = matrix.diagonal()
    if not (variances > 0).all():
        return False
    sds = np.sqrt(variances)
    with np.errstate(over="ignore"):
        correlations = matrix / sds / sds[:, np.newaxis]
    if not (np.abs(correlations) < 2).all():  # at most 1 in theory; LAPACK refuses infinity
        return False
    return np.allclose(correlations, correlations.T) and bool(linear.eigvalsh(correlations)[0] > least)


def check_variances(variances: np.ndarray, name: str, least: float, most: float) -> None:
    """Raise BadValueError at the first variance outside limits, beyond which sums of squares or inverses overflow."""
    check_not(
        lambda block: ~((block >= least) & (block <= most)),
        variances,
        f"{name} must be inverses of variances between {least:g} and {most:g}; rescale X: the variance would be",
    )


def check_identified(shares: np.ndarray, least: float) -> None:
    """Raise ValueError if the information matrix is singular or not positive definite.

    shares : its eigenvalues, divided by those of the information in complete data
    """
    if (np.abs(shares) <= least).any():
        raise ValueError(
            "The parameters are not identified by these rows: their information matrix is singular, so that they have "
            "no standard errors. The cause may be equal components, or more parameters than rows: try fewer components."
        )
    if not (shares > 0).all():
        raise ValueError(
            "The information matrix is not positive definite: the parameters are not at a maximum of the likelihood of "
            "these rows, so that they have no standard errors. Fit with a smaller tol (and reg_covar), and pass the "
            "rows of the fit."
        )


def check_well_defined(eigenvalues: np.ndarray, least: float) -> None:
    """Raise ValueError if a component of a start has no extent in some direction."""
    if eigenvalues.min() <= least:
        raise ValueError(
            "Fitting the mixture model failed because some components have ill-defined empirical covariance (for "
            "instance caused by singleton or collapsed samples). Try to decrease the number of components, increase "
            "reg_covar, or scale the input data."
        )


def check_information(*information: np.ndarray) -> None:
    """Raise ValueError if an information matrix has overflowed."""
    if not all(np.isfinite(each).all() for each in information):
        raise ValueError(
            "X has rows so many standard deviations from every component that their information overflows: the "
            "parameters are not at a maximum of the likelihood of these rows, so that they have no standard errors"
        )


def check_standard_errors(roots: np.ndarray) -> None:
    """Raise ValueError if the squares of standard errors would overflow."""
    if not np.abs(roots).max(initial=0.0) < LARGEST_MAGNITUDE[np.dtype(np.float64)]:
        raise ValueError("the values of X are too large: the standard errors of variances overflow; rescale X")


def as_scale_matrix(values: object, name: str) -> np.ndarray:
    """Convert values to a symmetric, positive definite matrix (d, d)."""
    array = as_float64(values, name)
    if array.ndim != 2 or array.shape[0] != array.shape[1] or not array.size:
        raise ValueError(f"{name} must be a square matrix, got shape {array.shape}")
    return as_positive_definite(array, name, array.shape, matrices=True)


def check_box(edges: np.ndarray, has_missing: bool = False) -> None:
    """Raise ValueError for a box (d, d) about the rows that has no volume."""
    flat = np.flatnonzero(~edges.any(axis=1))
    if len(flat):
        density = ", or pass the density of the background (noise=0.001, say, per unit of volume)"
        raise ValueError(
            f"noise is a density in a box about the rows, but all rows have the same value in column {flat[0]}: leave "
            f"it out{'' if has_missing else density}"
        )


def check_all_or_none_fixed(fixed: np.ndarray, name: str) -> None:
    """Raise ValueError if a parameter is fixed for some of the components, but not for all."""
    if fixed.any() and not fixed.all():
        raise ValueError(
            f"standard_errors needs all {name} fixed or none; {int(fixed.sum())} of {len(fixed)} are fixed"
        )


def warn_if_not_identifiable(n_features: int, most: int, k: int) -> None:
    """Warn if a binomial mixture has too many components for its numbers of trials, of which `most` is the largest.

    Other mixtures with k components have the same likelihood then (Blischke 1964).
    """
    if n_features == 1 and k > 1 and most < 2 * k - 1:
        warn(
            f"{k} components need at least 2 k - 1 = {2 * k - 1} trials in a row, and no row has more than {most}: "
            "different parameters fit these rows equally well",
            IdentifiabilityWarning,
        )
