"""Linear algebra beside LAPACK and 60 digits: random, graded and degenerate matrices, on every instruction set."""

import mpmath as mp
import numpy as np
import pytest

from fastem.kernels import linear
from fastem.kernels.twins import INSTRUCTION_SETS, cython_twin

EPS = np.finfo(float).eps

SIZES = [1, 2, 3, 7, 8, 31, 32, 33, 64, 70, 129]
"""About the width of register blocks (16), of blocks of rows (32) and the depth of sums (128)."""


@pytest.fixture(params=INSTRUCTION_SETS, autouse=True)
def isa(request, monkeypatch):
    monkeypatch.setenv("FASTEM_ISA", request.param)
    try:
        cython_twin()
    except ValueError as error:
        pytest.skip(str(error))


def definite(rng, k, d, rows=3):
    A = rng.normal(size=(k, d, d + rows))
    return A @ A.swapaxes(-1, -2)


@pytest.mark.parametrize("d", SIZES)
def test_inverse_cholesky_whitens_whatever_the_units(d):
    rng = np.random.default_rng(d)
    plain = definite(rng, 5, d, rows=d + 3)
    units = 10.0 ** rng.integers(-60, 60, d)
    factors, pivots = linear.inverse_cholesky(plain * np.outer(units, units))
    assert not np.triu(factors, 1).any()
    white = factors @ (plain * np.outer(units, units)) @ factors.swapaxes(-1, -2)
    # the condition number of the correlations, below 1e4 here, times d units in the last place
    np.testing.assert_allclose(white, np.broadcast_to(np.eye(d), white.shape), atol=1e-9)
    np.testing.assert_allclose(np.log(pivots / units**2).sum(axis=1), np.linalg.slogdet(plain)[1], rtol=1e-9, atol=1e-9)
    np.testing.assert_allclose(linear.log_determinant(plain[0]), np.linalg.slogdet(plain[0])[1], rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize("matrix", [[[0.0]], [[1.0, 2.0], [2.0, 1.0]], [[1.0, np.nan], [np.nan, 1.0]]])
def test_inverse_cholesky_tells_that_a_matrix_is_not_definite(matrix):
    good = np.eye(len(matrix))
    assert linear.inverse_cholesky(np.array([good, matrix, good])) is None


@pytest.mark.parametrize("at", [0, 40, 69])
def test_a_matrix_is_not_definite_wherever_that_shows(at):
    matrix = np.eye(70)
    matrix[at, at] = -1.0
    assert linear.inverse_cholesky(matrix[np.newaxis]) is None


@pytest.mark.parametrize("d", SIZES)
def test_the_inverse_of_a_lower_triangle_is_one(d):
    rng = np.random.default_rng(d)
    L = np.tril(rng.normal(size=(3, d, d))) / d + 2 * np.eye(d)
    found = linear.inverse_lower(L)
    assert not np.triu(found, 1).any()
    np.testing.assert_allclose(found @ L, np.broadcast_to(np.eye(d), L.shape), atol=1e-13)


@pytest.mark.parametrize(
    ("i", "m", "j"), [(1, 1, 1), (3, 5, 7), (4, 128, 16), (33, 129, 47), (5, 1, 40), (2, 300, 3), (7, 0, 7)]
)
def test_products_are_those_of_blas(i, m, j):
    rng = np.random.default_rng(i)
    A, B = rng.normal(size=(2, i, m)), rng.normal(size=(2, m, j))
    close = {"rtol": 1e-13, "atol": 1e-12}  # sums of at most 300 terms about 1, in another order
    np.testing.assert_allclose(linear.product(A, B), A @ B, **close)
    np.testing.assert_allclose(linear.product(A[0], B), A[0] @ B, **close)
    np.testing.assert_allclose(linear.product(A, B[0]), A @ B[0], **close)
    np.testing.assert_allclose(linear.outer_sums(A.swapaxes(-1, -2), B), A @ B, **close)
    np.testing.assert_allclose(linear.outer_sums(A[0].T, B[0]), A[0] @ B[0], **close)
    np.testing.assert_allclose(linear.times(A, B[:, :, 0]), (A @ B[:, :, :1])[..., 0], **close)
    np.testing.assert_allclose(linear.weighted_sum(A[0, 0], B[0]), A[0, 0] @ B[0], **close)


def assert_eigen(S, values, vectors):
    """As accurate as LAPACK: a matrix within d units of its norm has these eigenpairs exactly."""
    d = len(S)
    norm = np.abs(values).max(initial=0.0)
    assert (np.diff(values) >= 0).all()
    np.testing.assert_allclose(vectors.T @ vectors, np.eye(d), atol=20 * d * EPS)
    np.testing.assert_allclose((vectors * values) @ vectors.T, S, atol=20 * d * EPS * norm)
    np.testing.assert_allclose(linear.eigvalsh(S), values, atol=20 * d * EPS * norm)


@pytest.mark.parametrize("d", SIZES)
@pytest.mark.parametrize("scale", [1.0, 1e-290, 1e290])
def test_eigenvectors_of_any_symmetric_matrices(d, scale):
    S = definite(np.random.default_rng(d), 2, d) - d * np.eye(d)
    values, vectors = linear.eigh(scale * S)
    for each, found, V in zip(S, values / scale, vectors, strict=True):
        assert_eigen(each, found, V)
        np.testing.assert_allclose(found, np.linalg.eigvalsh(each), atol=20 * d * EPS * np.abs(found).max())


def degenerate():
    rng = np.random.default_rng(0)
    X = rng.normal(size=(9, 40))
    yield "zero", np.zeros((6, 6))
    yield "one", np.eye(20)
    yield "ones", np.ones((30, 30))
    yield "diagonal", np.diag([3.0, -1.0, 2.0, 0.0, 2.0])
    yield "rank 8", np.corrcoef(X.T)
    yield "rank 1", np.outer(X[0], X[0])
    yield "graded", np.outer(10.0 ** -np.arange(16), 10.0 ** -np.arange(16)) * (1.0 + np.eye(16))
    yield "graded upwards", np.outer(10.0 ** np.arange(16), 10.0 ** np.arange(16)) * (1.0 + np.eye(16))
    yield "Wilkinson", np.diag(np.abs(np.arange(-10.0, 11.0))) + np.eye(21, k=1) + np.eye(21, k=-1)
    yield (
        "clusters",
        (lambda Q: (Q * np.repeat([1.0, 1.0 + EPS, 7.0], 10)) @ Q.T)(np.linalg.qr(rng.normal(size=(30, 30)))[0]),
    )


@pytest.mark.parametrize("d", [64, 150])
@pytest.mark.seconds
def test_eigenvalues_of_fewer_rows_than_features_come(d):
    """They are rounding but for a few."""
    rng = np.random.default_rng(d)
    for r in (2, d // 3):
        X = rng.normal(size=(3, r, d))
        for rows in (X, X * 10.0 ** rng.uniform(-9, 0, d), X * 10.0 ** -np.linspace(0, 9, d)):
            S = rows.swapaxes(1, 2) @ rows
            S = (S + S.swapaxes(1, 2)) / 2
            for each, values, vectors in zip(S, *linear.eigh(S), strict=True):
                assert_eigen(each, values, vectors)


@pytest.mark.parametrize(("name", "S"), list(degenerate()))
@pytest.mark.seconds
def test_eigenvalues_are_those_of_60_digits(name, S):
    S = (S + S.T) / 2
    values, vectors = linear.eigh(S)
    assert_eigen(S, values, vectors)
    with mp.workdps(60):
        exact = np.array(sorted(mp.eigsy(mp.matrix(S.tolist()), eigvals_only=True)), float)
    np.testing.assert_allclose(values, exact, atol=4 * len(S) * EPS * max(np.abs(exact).max(), 1e-300))


@pytest.mark.parametrize("r", [1.0 - 1e-15, 0.5, -1.0 + 3e-14, 1e-12])
def test_two_features_have_both_eigenvalues_to_full_precision(r):
    """So that how thin a component is can be told where its features are all but one."""
    values, vectors = linear.eigh(np.array([[1.0, r], [r, 1.0]]))
    np.testing.assert_allclose(values, [1 - abs(r), 1 + abs(r)], rtol=4 * EPS)
    assert_eigen(np.array([[1.0, r], [r, 1.0]]), values, vectors)
    values, vectors = linear.eigh(S := np.array([[4.0, r], [r, 1e-9 + r * r / 4]]))
    assert_eigen(S, values, vectors)


@pytest.mark.parametrize("spikes", [1, 5, 20, 60])
def test_some_directions_may_stand_out_of_many_equal_ones(spikes):
    """The first eigenvalue then comes late: others divide the matrix before it does."""
    factors = 1e3 * np.random.default_rng(spikes).normal(size=(128, spikes))
    S = np.eye(128) + factors @ factors.T
    values, vectors = linear.eigh(S)
    assert_eigen(S, values, vectors)


@pytest.mark.parametrize("wrong", [np.nan, np.inf])
def test_a_matrix_that_is_not_finite_has_no_eigenvalues(wrong):
    with pytest.raises(np.linalg.LinAlgError):
        linear.eigh(np.array([[1.0, wrong], [wrong, 1.0]]))
