"""Rows of Dask collections: blocks are summed where they are, their sums come back and are added in a fixed order.

Dask does what schedules, ships and tries again; a block is a task, and so can be made anew where a worker is lost.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from functools import partial
from typing import Any, NoReturn

import numpy as np

from fastem.data.base import OnBackend, chosen_backend, total_of
from fastem.data.chunk_source import Arrays, Source, refuse_other_weights
from fastem.data.dask_predict import along, is_number, matrix
from fastem.data.dask_runner import Runner, in_tree, task
from fastem.data.dask_tasks import Block, Reader, Survey, Sweep, added, merged, plus
from fastem.data.distinct import MOST_DISTINCT, pays, tested_step
from fastem.data.rows import Rows
from fastem.data.slots import slot_count
from fastem.exceptions import BadValueError
from fastem.kernels.backend import Backend
from fastem.validation.arrays import check_n_features, check_squares, check_total_weight
from fastem.validation.parameters import check_rows_match_params

GATHERED_BYTES = 1 << 26
"""Sums of slots that come back in a sweep, to be folded as those of rows in memory are: a tenth of a second of a slow
network.  Where there would be more, a block folds its own."""


class Blocks(OnBackend):
    """Rows in the blocks of a Dask collection, with the methods of `Rows` that a fit needs.  A context manager.

    On a cluster the checked blocks stay with its workers while this is open; elsewhere, every sweep makes them anew.
    Opening reads all blocks once, and checks their values.
    """

    def __init__(self, parts: list[tuple[Any, ...]], reader: Reader, dtype: Any) -> None:
        """parts: of each block X, trials, weights (the last two may be None) as Dask's delayed values."""
        self.backend = Backend(reader.backend, reader.n_threads)
        self.reader = reader
        self.dtype = dtype
        self._run = Runner()
        self._base_measure: float | None = None
        self._checked = self._run.kept([task(reader.checked, *part) for part in parts])
        surveys = self._survey()
        blocks = self._checked if self._run.client else [task(reader.unchecked, *part) for part in parts]
        ends: list[int] = np.cumsum([survey.n for survey in surveys]).tolist()
        self._blocks = [
            (block, Block(number, end - survey.n, survey.n, survey.form, survey.digest))
            for number, (block, end, survey) in enumerate(zip(blocks, ends, surveys, strict=True))
            if survey.form is not None
        ]
        self._n, self._form = ends[-1], self._blocks[0][1].form
        self._weight = sum(survey.weight for survey in surveys)
        self.n_features = self._form.n_features
        self.most_trials = max(survey.most_trials for survey in surveys)
        self.single = all(survey.single for survey in surveys if survey.n)
        self._slots = sum(slot_count(survey.n) for survey in surveys)

    def _survey(self) -> list[Survey]:
        """Look at all blocks; the first of which something is wrong is refused."""
        surveys: list[Any] = self._run.all([task(self.reader.surveyed, block) for block in self._checked])
        begin, weight, form = 0, 0.0, None
        for index, survey in enumerate(surveys):
            if isinstance(survey, BadValueError):
                row, *column = survey.index
                raise BadValueError(f"block {index}: {survey.sentence}", (begin + row, *column))
            if isinstance(survey, Exception):
                raise type(survey)(f"block {index}, from row {begin}: {survey}")
            if survey.n and form not in (None, survey.form):
                raise ValueError(f"block {index}, from row {begin}: {survey.form}; the blocks before have {form}")
            form, begin, weight = survey.form or form, begin + survey.n, weight + survey.weight
            if not self.reader.source.has_trials:
                check_squares(survey.largest, weight)
        if form is None:
            raise ValueError("X: found 0 rows in all blocks, a minimum of 1 is required")
        check_total_weight(weight)
        return surveys

    def look_again(self) -> None:
        """ValueError for the first value of the blocks that is none."""
        self._survey()

    def _tasks(self, call: Callable[[Arrays], Any]) -> list[Any]:
        """Of each block what `call` makes of it."""
        return [self._task(call, *each) for each in self._blocks]

    def _task(self, call: Callable[[Arrays], Any], block: Any, known: Block) -> Any:
        return task(partial(self.reader.same, call=call, block=known), block)

    def __len__(self) -> int:
        return self._n

    @property
    def precision(self) -> type[np.floating]:
        """As that of Rows."""
        return np.float32 if self._form.precision == np.float32 else np.float64

    def sweep(self, params: Any) -> Any:
        """The statistics of all rows at `params`: a task for each block."""
        has_trials = self.reader.source.has_trials
        check_rows_match_params(has_trials, self.n_features, params.has_trials, params.n_features)
        single = self.single and params.single_is_enough(params.tables())
        by_slot = 8 * params.sums_length * self._slots <= GATHERED_BYTES
        sweep = Sweep(self.reader, params, single, by_slot, self._base_measure is None)
        tasks = self._tasks(sweep)
        found = added(self._run.all(tasks if by_slot else [in_tree(added, tasks)]))
        if self._base_measure is None:
            self._base_measure = total_of(found.base)
        stats = self.named(params, found.sums[0], total_of(found.loglik) + self._base_measure, single)
        if self._form.weighted:
            refuse_other_weights(stats.total, self._weight)
        return stats

    def summed(self, call: Callable[[Rows], Any]) -> Any:
        """The sum of what `call` makes of the rows of each block, where they are."""
        of_block = partial(self.reader.summed, call=call)
        (found,) = self._run.all([in_tree(plus, self._tasks(of_block))])
        return found

    def take(self, positions: np.ndarray) -> Rows:
        """The rows at these positions, in this order: in memory."""
        order = np.argsort(positions)
        ends = [known.begin + known.n for _, known in self._blocks]
        own = np.split(positions[order], np.searchsorted(positions[order], ends[:-1]))
        pieces = self._run.all([
            self._task(partial(self.reader.taken, positions=some - known.begin), block, known)
            for some, (block, known) in zip(own, self._blocks, strict=True)
            if len(some)
        ])  # fmt: skip
        arrays = tuple(np.concatenate(same)[np.argsort(order)] for same in zip(*pieces, strict=True))
        return Rows(arrays[:-1], arrays[-1], self.backend, self.dtype)

    def first_weighted(self, size: int) -> np.ndarray:
        """Positions of the first `size` rows that have weight."""
        first = partial(self.reader.first_weighted, size=size)
        found = self._run.all(self._tasks(first))
        pairs = zip(found, self._blocks, strict=True)
        return np.concatenate([known.begin + some for some, (_, known) in pairs])[:size]

    def collapsed(self, most: float = MOST_DISTINCT) -> Rows | Blocks:
        """Equal rows of counts as one, with their weight, in memory, where that leaves at most a share `most` of them
        and CHUNK_ROWS; else these blocks.  Blocks are collapsed where they are."""
        step = tested_step(self._n)
        if step > 1:
            some = self.take(np.arange(0, self._n, step))
            if not pays(some.distinct(len(some)), self._n, most):
                return self
        (found,) = self._run.all([in_tree(merged, self._tasks(self.reader.distinct))])
        if found is None or len(found) > most * self._n:
            return self
        return Rows.of_distinct(found, self.precision, self.backend, self.dtype)

    def fingerprint(self) -> str:
        """SHA-256 of the rows, their weights and where they are cut: the bits of sums depend on it."""
        digests = self._run.all(self._tasks(self.reader.digest))
        return hashlib.sha256(b"".join(digests)).hexdigest()

    def parts(self, least: int) -> NoReturn:
        """Every so many rows of a block would be another grid of slots."""
        raise ValueError("warm_sweeps must be None with Dask collections")


def open_blocks(
    X: Any,
    trials: Any,
    sample_weight: Any,
    *,
    has_trials: bool,
    n_features: int | None = None,
    owner: str = "mixture",
    dtype: Any = None,
    backend: str = "auto",
    n_threads: int | None = None,
) -> Blocks:
    """The rows of a Dask array or data frame, to be fitted; trials, a number or such a collection, and weights too."""
    chosen_backend(dtype, backend, n_threads)
    array = matrix(X, has_trials)
    check_n_features(array.shape[1], n_features, owner)
    one = trials if is_number(trials) else None
    beside = [None if one is not None or trials is None else along(trials, array, "trials")] if has_trials else []
    beside += [None if sample_weight is None else along(sample_weight, array, "sample_weight")]
    n = array.numblocks[0]
    columns = [array.to_delayed().ravel(), *([None] * n if a is None else a.to_delayed().ravel() for a in beside)]
    reader = Reader(Source((), has_trials, one, fitting=True), dtype, backend, n_threads or 1)
    return Blocks(list(zip(*columns, strict=True)), reader, dtype)
