# A tile of rows: its arrays, the tables of the family, and how rows come in.

cdef struct Tile
ctypedef void (*Step)(Tile *) noexcept nogil
ctypedef void (*Fold)(const Tile *, double *) noexcept nogil

cdef enum:                   # behind the columns of a tile, as further terms of its densities
    NO_SQUARES
    SUM_OF_SQUARES           # of the features of a row
    ALL_SQUARES              # of each feature

cdef struct Family:
    Step densities           # log2 (weight * density) of a tile under each component
    Step moments             # adds what a tile has of the sums
    Fold fold                # sums of a slot, by lane -> a row of `sums`
    bint centered            # location is means: float32 takes rows and means from the middle of them
    bint full                # scaling and second moments are (k, d, d)
    bint tied                # one matrix is the scaling of all components, and one their second moments
    int squares              # densities are linear in the features and in these
    bint has_trials
    bint has_gaps            # values may be missing: NaN

cdef struct Tile:
    const Family *family
    Py_ssize_t k
    Py_ssize_t d
    Py_ssize_t terms         # of a density: features, and squares if it has these, and then what is observed
    Py_ssize_t vectors       # of a column that hold rows, raised to an even number
    Py_ssize_t begin         # the component that comes first: 0, or the last one
    real *log_norm           # (k,)      tables of the family, as its kernel names them
    real *location           # (k, terms)
    const real *scaling      # (k, d) or (k, d, d); of doubles the caller's own.  Tied: (d, d)
    double *origin           # (d,)      from which x and location are taken: 0, but for float32, tied and squares
    double *shift            # (k, d)    means less what moments are taken about: what location has lost in float32.
                             #           Tied and squares: means - origin
    real *x                  # (terms, TILE) columns of the rows at hand; tied and squares: and of zeros to a multiple
                             #           of four; with gaps, of four more
    real *trials             # (d, TILE) binomial only, else NULL
    real *observed           # (d, TILE) 1, or 0 of what is missing; where nothing can be, NULL.  Squares: terms of x
    double *part             # (k, d)    of each feature in log_norm, where values may be missing; else NULL
    real *weight             # (TILE,)   sample weights, 0 behind the last row
    real *top                # (TILE,)   largest log2 density over the components
    real *total              # (TILE,)   sum over the components of 2^(log density - top), in [1, k]
    real *scale              # (TILE,)   weight / total
    real *density            # (k, TILE) log2 (weight * density), then 2^(that - top)
    real *residual           # (d, TILE) x - mean of the component at hand, and rows of zeros to a multiple of four.
                             #           Tied: rows whitened
    real *weighted           # (4, TILE) responsibility * residual of four features
    double *counts           # (k, LANES)    sums of the slot at hand, by lane, one behind the other
    double *first            # (k, d, LANES); tied and squares: (k, terms), both raised to a multiple of four
    double *second           # (k, d, LANES), or none; full covariance: (k, d, d, LANES) or, d > LOW_MOMENTS, (k, d, d)
                             #               with d raised to a multiple of four; lower triangles.  Tied: one (d, d)
    Py_ssize_t matrices      # of second moments: k or, where components share a covariance, 1
    Py_ssize_t sums_length   # of a row of `sums`, without loglik and entropy; 0 where no sums are wanted
    Py_ssize_t lanes_length  # of these sums by lane
    double loglik
    double entropy
    bint unit                # every weight of this tile is 1


cdef real *new_tile(Tile *t, const Family *family, const double *log_norm, const double[:, ::1] location,
                    const double *scaling, Py_ssize_t sums_length) except NULL:
    """One zeroed block behind all arrays of a tile, the tables copied in; the caller frees what this returns.

    Without sums there is room for none, and where lanes are doubles the largest table stays where it is: else a row at
    784 features would wait for that memory.
    """
    cdef Py_ssize_t k = location.shape[0], d = location.shape[1], rows = padded_rows(d)
    cdef Py_ssize_t by_feature = (family.has_trials + family.has_gaps) * d, doubles
    cdef Py_ssize_t squares = d if family.squares == ALL_SQUARES else family.squares
    cdef bint raised = family.tied or family.squares, natural_gaps = family.squares and family.has_gaps
    cdef Py_ssize_t terms = d + squares + natural_gaps * d, width = padded_rows(terms) + 4 * natural_gaps
    cdef Py_ssize_t height = padded_rows(k) if raised else k
    cdef Py_ssize_t scaling_length = (1 if family.tied else k) * d * (d if family.full else 1)
    cdef Py_ssize_t columns = 8 + height + (width if raised else d) + by_feature + rows
    cdef Py_ssize_t tile_length = columns * COLUMN + height * (1 + terms) + (scaling_length if SINGLE else 0)
    cdef Py_ssize_t first_length = max(k * d * LANES, height * width if raised else 0)
    cdef real *block
    t.family, t.k, t.d, t.terms, t.vectors, t.begin, t.sums_length = family, k, d, terms, VECTORS, 0, sums_length
    t.matrices = 1 if family.full and sums_length < k * (1 + d + d * d) else k
    t.lanes_length = 0
    if sums_length:
        t.lanes_length = k * LANES + first_length + second_length(t)
    doubles = t.lanes_length + d + (1 + family.has_gaps) * k * d
    block = <real *> calloc(doubles * sizeof(double) + tile_length * sizeof(real) + 128, 1)
    if block == NULL:
        raise MemoryError(f"no memory for the workspace of {k} components in {d} dimensions")
    t.x = aligned(block)
    t.weight = t.x + (width if raised else d) * COLUMN
    t.top = t.weight + COLUMN
    t.total = t.top + COLUMN
    t.scale = t.total + COLUMN
    t.density = t.scale + COLUMN
    t.residual = t.density + height * COLUMN
    t.weighted = t.residual + rows * COLUMN
    t.trials = t.weighted + 4 * COLUMN if family.has_trials else NULL
    t.observed = t.weighted + 4 * COLUMN if family.has_gaps else NULL
    if natural_gaps:
        t.observed = t.x + (d + squares) * COLUMN
    t.counts = <double *> aligned(t.weighted + (4 + by_feature) * COLUMN)
    t.first = t.counts + k * LANES
    t.second = t.first + first_length
    t.origin = t.counts + t.lanes_length
    t.shift = t.origin + d
    t.part = t.shift + k * d if family.has_gaps else NULL
    t.log_norm = <real *> (t.shift + (1 + family.has_gaps) * k * d)
    t.location = t.log_norm + height
    copy_tables(t, log_norm, &location[0, 0])
    t.scaling = narrowed(scaling, scaling_length, t.location + height * terms) if SINGLE else <const real *> scaling
    guard(t.x, columns, TILE)
    return block


cdef inline Py_ssize_t second_length(const Tile *t) noexcept nogil:
    """Doubles of the second moments of a slot."""
    cdef Py_ssize_t rows = padded_rows(t.d)
    if not t.family.full:
        return (t.sums_length - t.k * (1 + t.d)) * LANES
    if t.family.tied:
        return max(rows * rows, t.d * t.d * LANES)
    return t.matrices * (t.d * t.d * LANES if t.d <= LOW_MOMENTS else rows * rows)


cdef inline Py_ssize_t padded_rows(Py_ssize_t d) noexcept nogil:
    """d, raised to a multiple of four by rows of zeros."""
    return (d + 3) // 4 * 4


cdef void copy_tables(Tile *t, const double *log_norm, const double *location) noexcept nogil:
    """float32 has no digits for an offset: there rows and means are taken from the middle of the means."""
    cdef Py_ssize_t c, j
    cdef double mean
    for j in range(t.d if SINGLE and t.family.centered else 0):
        for c in range(t.k):
            t.origin[j] += location[c * t.d + j] / t.k
        t.origin[j] = <real> t.origin[j]
    for c in range(t.k):
        if log_norm != NULL:
            t.log_norm[c] = <real> log_norm[c]
        for j in range(t.d):
            mean = location[c * t.d + j] - t.origin[j]
            t.location[c * t.d + j] = <real> mean
            t.shift[c * t.d + j] = mean - t.location[c * t.d + j]


cdef const real *narrowed(const double *table, Py_ssize_t length, real *to) noexcept nogil:
    cdef Py_ssize_t i
    for i in range(length if table != NULL else 0):
        to[i] = <real> table[i]
    return to


cdef inline void load_columns(const number[:, :] X, Py_ssize_t row, Py_ssize_t rows, Py_ssize_t length,
                              const double *origin, real *x) noexcept nogil:
    """(X[row : row + rows] - origin).T -> (d, TILE), filled up to `length` with copies of the first row.

    Rows that lie behind each other are transposed in blocks of 4 x 4: every cache line is met once.
    """
    cdef Py_ssize_t i, j, step = X.strides[0] // <Py_ssize_t> sizeof(number), d = X.shape[1], blocked = 0
    if (number is double or number is float) and X.strides[1] == sizeof(number):
        blocked = d - d % 4
        for i in range(0, rows - 3, 4):
            for j in range(0, blocked, 4):
                if number is double:
                    transpose_doubles(&X[row + i, j], step, origin + j, x + j * COLUMN + i)
                elif number is float:
                    transpose_floats(&X[row + i, j], step, origin + j, x + j * COLUMN + i)
    for j in range(d):
        load_column(&X[row, j], step, rows // 4 * 4 if j < blocked else 0, rows, length, origin[j], x + j * COLUMN)
    if d > 1 or step > 1:
        ask_for_rows(X, row + rows, min(rows, X.shape[0] - row - rows))


cdef inline void ask_for_rows(const number[:, :] X, Py_ssize_t row, Py_ssize_t rows) noexcept nogil:
    """The next rows come from memory while a tile is at hand.

    By itself a processor reads ahead well where lines are read one after the other: one column, or rows of several that
    are no longer than a line.  Asked for as well, these come later.  Nor does it help to ask for more than a cache
    holds.
    """
    cdef Py_ssize_t i, d = X.shape[1], row_bytes = X.strides[0], column_bytes = X.strides[1]
    if rows == 0 or rows * row_bytes > MOST_ASKED:
        return
    if row_bytes < d * column_bytes + LINE and column_bytes <= LINE:
        if d == 2 or row_bytes > LINE:
            ask_for(&X[row, 0], rows * row_bytes)
    elif column_bytes > row_bytes:
        for i in range(d):
            ask_for(&X[row, i], rows * row_bytes)
    else:
        for i in range(rows):
            ask_for(&X[row + i, 0], d * column_bytes)


cdef inline void load_column(const number *column, Py_ssize_t step, Py_ssize_t begin, Py_ssize_t rows,
                             Py_ssize_t length, double origin, real *to) noexcept nogil:
    """From row `begin` on, and the filling."""
    cdef Py_ssize_t i
    if step == 1:
        for i in range(begin, rows):
            to[i] = <real> (column[i] - origin)
    elif step == 2:  # known to the compiler, which takes vectors
        for i in range(begin, rows):
            to[i] = <real> (column[2 * i] - origin)
    else:
        for i in range(begin, rows):
            to[i] = <real> (column[i * step] - origin)
    for i in range(rows, length):
        to[i] = to[0]


cdef inline bint all_unit(const double[:] sample_weight) noexcept nogil:
    """Is this the broadcast 1 by which callers say 'no weights'?"""
    return sample_weight.strides[0] == 0 and sample_weight[0] == 1.0


cdef inline void load_weights(Tile *t, const double[:] sample_weight, bint unit, Py_ssize_t row,
                              Py_ssize_t rows) noexcept nogil:
    cdef Py_ssize_t i
    t.unit = unit and rows == TILE
    if t.unit:
        for i in range(VECTORS):
            store(t.weight, i, broadcast(1.0))
        return
    for i in range(rows):
        t.weight[i] = sample_weight[row + i]
    for i in range(rows, TILE):
        t.weight[i] = 0.0


cdef inline void put_density(Tile *t, Py_ssize_t c, Py_ssize_t i, vec log_density) noexcept nogil:
    put_density_after(t, 0, c, i, log_density)


cdef inline void put_density_after(Tile *t, Py_ssize_t first, Py_ssize_t c, Py_ssize_t i,
                                   vec log_density) noexcept nogil:
    """That of component c; `first` is the one that comes before all others."""
    log_density = larger(log_density, broadcast(FAR_OUT))
    store(t.density + c * COLUMN, i, log_density)
    store(t.top, i, larger(load(t.top, i), log_density) if c != first else log_density)


cdef inline void mark_observed(Tile *t) noexcept nogil:
    """1 where there is a value; 0, and in the place of the value too, where it is missing (NaN)."""
    cdef Py_ssize_t i, j
    cdef real *column = t.x
    cdef real *observed = t.observed
    cdef vec x
    for j in range(t.d):
        for i in range(t.vectors):
            x = load(column, i)
            store(observed, i, where_number(x, broadcast(1.0)))
            store(column, i, where_number(x, x))
        column += COLUMN
        observed += COLUMN


cdef inline void drop_rows_without_values(Tile *t) noexcept nogil:
    """A row of which every value is missing has weight 0."""
    cdef Py_ssize_t i, j
    cdef vec most, kept = broadcast(0.0)
    for i in range(t.vectors):
        most = broadcast(0.0)
        for j in range(t.d):
            most = larger(load(t.observed + j * COLUMN, i), most)
        store(t.weight, i, load(t.weight, i) * most)
        kept = kept + most
    t.unit = t.unit and lane_sum(kept) == TILE
