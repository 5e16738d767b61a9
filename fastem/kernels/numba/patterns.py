"""Rows of a slot, ordered by their patterns: which of their values are missing (NaN).

All numbers lie in the floats of a tile, which hold them exactly: kernels ask for no memory.
"""
from numba import int64, uint64

from fastem.kernels.numba.jit import once, pointwise

BITS = 32  # features of a word of a mask: a float holds as many
ODD = uint64(2654435761)


def buckets_for(m):
    """-> buckets of the table for m rows: a power of two, twice the rows or more"""
    buckets = 2
    while buckets < 2 * m:
        buckets *= 2
    return buckets


def length_of_patterns(m, d):
    """-> floats that the patterns of m rows take"""
    return m * -(-d // BITS) + buckets_for(m) + 5 * m + 1


@pointwise
def cut_patterns(scratch, m, d):
    words, buckets = -(-d // BITS), 2
    while buckets < 2 * m:
        buckets *= 2
    end = m * words
    rest = scratch[end + buckets:]
    return (scratch[:end].reshape((m, words)),  # masks    bits of what each row lacks
            scratch[end:end + buckets],         # table    run of a pattern, where its bits lead; -1 where there is none
            rest[:m],                           # run      of each row
            rest[m:2 * m],                      # first    row of each run
            rest[2 * m:3 * m + 1],              # begin    where each run begins in `order`, and where the last ends
            rest[3 * m + 1:4 * m + 1],          # count    of each run
            rest[4 * m + 1:5 * m + 1])          # order    rows, run by run


@once
def order_by_pattern(X, row, rows, masks, table, run, first, begin, count, order):
    """Runs in the order in which their patterns are met, and in each its rows in their order -> how many they are"""
    n_runs = 0
    table[:] = -1.0
    for i in range(rows):
        mark_missing(X, row + i, masks[i])
        place = place_of(masks, i, table, first)
        if table[place] < 0.0:
            table[place], first[n_runs], count[n_runs] = n_runs, i, 0.0
            n_runs += 1
        run[i] = table[place]
        count[int64(run[i])] += 1.0
    begin[0] = 0.0
    for r in range(n_runs):
        begin[r + 1] = begin[r] + count[r]
        count[r] = 0.0
    for i in range(rows):
        r = int64(run[i])
        order[int64(begin[r] + count[r])] = i
        count[r] += 1.0
    return n_runs


@pointwise
def mark_missing(X, row, mask):
    for word in range(len(mask)):
        bits = 0
        for j in range(BITS * word, min(X.shape[1], BITS * word + BITS)):
            if X[row, j] != X[row, j]:
                bits |= 1 << (j - BITS * word)
        mask[word] = bits


@pointwise
def place_of(masks, i, table, first):
    """Where the table has the run of row i, or place for it."""
    place = uint64(0)
    for word in range(masks.shape[1]):
        place = (place ^ uint64(masks[i, word])) * ODD
        place ^= place >> uint64(16)
    at = int64(place & uint64(len(table) - 1))
    while table[at] >= 0.0 and not same_mask(masks, i, int64(first[int64(table[at])])):
        at = (at + 1) & (len(table) - 1)
    return at


@pointwise
def same_mask(masks, i, j):
    same = True
    for word in range(masks.shape[1]):
        same = same and masks[i, word] == masks[j, word]
    return same


@pointwise
def split_features(mask, d, features):
    """features <- numbers of the observed ones, and behind them of the missing ones -> how many are observed"""
    e = 0
    for j in range(d):
        if not int64(mask[j // BITS]) >> (j % BITS) & 1:
            features[e] = j
            e += 1
    at = e
    for j in range(d):
        if int64(mask[j // BITS]) >> (j % BITS) & 1:
            features[at] = j
            at += 1
    return e
