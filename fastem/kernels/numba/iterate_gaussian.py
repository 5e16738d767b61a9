"""EM of one Gaussian mixture on few rows: its kernels."""
from numba import int64

from fastem.kernels.numba.coordinates_gaussian import (
    add_diag_prior,
    add_full_prior,
    diag_from_vector,
    diag_gradient,
    diag_to_vector,
    full_from_vector,
    full_gradient,
    full_to_vector,
)
from fastem.kernels.numba.iterate import (
    advance_of,
    fixed_in,
    iterate_kernel,
    location_inout,
    memory_inout,
    model_of,
    put_params,
    state_inout,
)
from fastem.kernels.numba.jit import doubles, matrix, once, sums_out, tiles_scratch, vector, weights
from fastem.kernels.numba.maximize_gaussian import (
    find_matrix_factors,
    find_variance_factors,
    maximize_diag,
    maximize_full,
)
from fastem.kernels.numba.mvnormal_diag import diag_share
from fastem.kernels.numba.mvnormal_full import full_share, mirror_slots
from fastem.kernels.numba.mvnormal_natural import natural_share
from fastem.kernels.numba.mvnormal_tied import tied_share
from fastem.kernels.numba.tables_gaussian import is_about_middle, matrix_tables, natural_terms, variance_tables

advance_diag = advance_of(variance_tables, find_variance_factors, add_diag_prior, maximize_diag, diag_to_vector,
                          diag_gradient, diag_from_vector)
advance_full = advance_of(matrix_tables, find_matrix_factors, add_full_prior, maximize_full, full_to_vector,
                          full_gradient, full_from_vector)


@once
def begin_diag(m):
    """Factors and tables of the params."""
    find_variance_factors(m)
    variance_tables(m)
    return True


@once
def begin_full(m):
    """Factors and tables of the params: -> are they definite?"""
    found = find_matrix_factors(m)
    if found:
        matrix_tables(m)
    return found


@iterate_kernel
def iterate_normal(X: doubles,               # IN     (n, 1)
                   sample_weight: weights,   # IN     (n,)
                   slot_rows: int64,         # IN             rows of a slot
                   weights: state_inout,     # IN/OUT (k,)    to be swept next
                   means: location_inout,    # IN/OUT (k, 1)
                   variances: state_inout,   # IN/OUT (k,) or, shared, (1,)
                   others: location_inout,   # OUT    (2, 3 k)  weights, means and variances of the last iteration,
                                             #                  and what it has reached
                   added: vector,            # IN     (1,)    to variances
                   fixed: fixed_in,          # IN     (3, k)  or (0, k)
                   structure: int64,         # IN             0; 1 shared; 2 isotropic
                   units: matrix,            # IN     (2, 1)  of means and of standard deviations
                   prior: vector,            # IN     (5 + k,)  or (0,)
                   sums: sums_out,           # OUT    (2 + s, 3 k + 2)  row 0: those of the last iteration
                   trace: sums_out,          # OUT    (m, 3)  log likelihood, entropy and step of each iteration
                   memory: memory_inout,     # IN/OUT (34, 3, p), (2, 3, p) for gradients alone, or (0, 3, p)
                   state: state_inout,       # IN/OUT (24,)   a Run
                   tiles: tiles_scratch      # SCRATCH
                   ) -> int64:
    # -> iterations, m at the most
    m = model_of(tiles, weights, means, variances, others, added, fixed, structure, units, prior, sums)
    goes_on, done = len(trace) > 0 and begin_diag(m), int64(0)
    while goes_on:
        diag_share(int64(0), tiles[:1], slot_rows, X, X[:, :0], sample_weight, m.log_norm, m.center,
                   m.scaling.reshape(means.shape), sums[2:])
        goes_on, done = advance_diag(m, done, sums, trace, memory, state)
    put_params(m, weights, means, variances)
    return done


@iterate_kernel
def iterate_mvnormal_diag(X: doubles,              # IN     (n, d)
                          sample_weight: weights,  # IN     (n,)
                          slot_rows: int64,        # IN
                          weights: state_inout,    # IN/OUT (k,)
                          means: location_inout,   # IN/OUT (k, d)
                          variances: state_inout,  # IN/OUT (k d,) or, isotropic, (k,)
                          others: location_inout,  # OUT    as for iterate_normal
                          added: vector,           # IN     (d,)
                          fixed: fixed_in,         # IN     (3, k)  or (0, k)
                          structure: int64,        # IN             0; 2 isotropic
                          units: matrix,           # IN     (2, d)
                          prior: vector,           # IN     (4 + k d + d,)  or (0,)
                          sums: sums_out,          # OUT    (2 + s, k + 2 k d + 2)
                          trace: sums_out,         # OUT    (m, 3)
                          memory: memory_inout,    # IN/OUT as for iterate_normal
                          state: state_inout,      # IN/OUT (24,)
                          tiles: tiles_scratch     # SCRATCH
                          ) -> int64:
    # -> iterations, m at the most
    k, d = means.shape
    m = model_of(tiles, weights, means, variances, others, added, fixed, structure, units, prior, sums)
    goes_on, done = len(trace) > 0 and begin_diag(m), int64(0)
    while goes_on:
        if is_about_middle(m):
            terms = natural_terms(m)
            natural_share(int64(0), tiles[:1], slot_rows, X, sample_weight, m.log_norm,
                          m.natural[:k * terms].reshape(k, terms), m.params[k:k + k * d].reshape(k, d), m.middle,
                          sums[2:])
        else:
            diag_share(int64(0), tiles[:1], slot_rows, X, X[:, :0], sample_weight, m.log_norm, m.center,
                       m.scaling.reshape(means.shape), sums[2:])
        goes_on, done = advance_diag(m, done, sums, trace, memory, state)
    put_params(m, weights, means, variances)
    return done


@iterate_kernel
def iterate_mvnormal_full(X: doubles,               # IN     (n, d)
                          sample_weight: weights,   # IN     (n,)
                          slot_rows: int64,         # IN
                          weights: state_inout,     # IN/OUT (k,)
                          means: location_inout,    # IN/OUT (k, d)
                          covariances: state_inout, # IN/OUT (k d d,) or, shared, (d d,)
                          others: location_inout,   # OUT    as for iterate_normal
                          added: vector,            # IN     (d,)
                          fixed: fixed_in,          # IN     (3, k)  or (0, k)
                          structure: int64,         # IN             0; 1 shared
                          units: matrix,            # IN     (2, d)
                          prior: vector,            # IN     (4 + k d + d d,)  or (0,)
                          sums: sums_out,           # OUT    (2 + s, k + k d + k d d + 2), shared: one d d
                          trace: sums_out,          # OUT    (m, 3)
                          memory: memory_inout,     # IN/OUT as for iterate_normal
                          state: state_inout,       # IN/OUT (24,)
                          tiles: tiles_scratch      # SCRATCH
                          ) -> int64:
    # -> iterations, m at the most
    k, d = means.shape
    m = model_of(tiles, weights, means, covariances, others, added, fixed, structure, units, prior, sums)
    goes_on, done = len(trace) > 0 and begin_full(m), int64(0)
    while goes_on:
        if is_about_middle(m):
            tied_share(int64(0), tiles[:1], slot_rows, X, sample_weight, m.log_norm, m.center,
                       m.scaling[:d * d].reshape(d, d), m.params[k:k + k * d].reshape(k, d), m.middle, sums[2:])
        else:
            full_share(int64(0), tiles[:1], slot_rows, X, X[:, :0], sample_weight, m.log_norm, m.center,
                       m.scaling.reshape(k, d, d), sums[2:])
            mirror_slots(sums[2:], k, d)
        goes_on, done = advance_full(m, done, sums, trace, memory, state)
    put_params(m, weights, means, covariances)
    return done
