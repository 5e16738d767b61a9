"""Tasks of Dask, run by the current client or in this process."""

from __future__ import annotations

import importlib
import time
from collections.abc import Callable
from contextlib import suppress
from queue import Empty, SimpleQueue
from threading import Thread
from typing import Any, TypeVar

T = TypeVar("T")

Delayed = object
"""A value of Dask's that is not computed yet."""

FAN_IN = 16
"""Sums of partitions that a task adds: a million partitions are five levels."""
POLL_SECONDS = 1.0
ANSWER_SECONDS = 5.0
"""How long a scheduler may take to answer: a busy one takes a few seconds."""
WORKERLESS_SECONDS = 30.0
"""A cluster that has had no running worker for so long will have none: a nanny starts another in a few seconds."""
MOST_NAMED = 4
"""How many partitions a message names, where more have failed."""
GO_ON = "; a fit with `checkpoint` goes on from its file"


def task(call: Callable[..., object], *arguments: object) -> Delayed:
    """Return a task of `call`; it may be a method with all its settings, which travel with it."""
    delayed = importlib.import_module("dask").delayed
    made: Delayed = delayed(call, pure=False, traverse=False)(*arguments)
    return made


def in_tree(combine: Callable[[list[T]], T], tasks: list[Delayed]) -> Delayed:
    """Return one task that combines all, FAN_IN neighbours at a time: the order depends on their number alone."""
    while len(tasks) > 1:
        tasks = [task(combine, tasks[begin : begin + FAN_IN]) for begin in range(0, len(tasks), FAN_IN)]
    return tasks[0]


Outcome = tuple[list[Any], BaseException | None]
"""Results of tasks, and what was raised, if anything."""


class Runner:
    """Runs tasks on the current client, or in this process where there is none."""

    def __init__(self) -> None:
        scheduler = importlib.import_module("dask.base").get_scheduler()
        client = getattr(scheduler, "__self__", None)
        self.client: Any = client if hasattr(client, "scheduler_info") else None

    def keep(self, tasks: list[Delayed]) -> list[Any]:
        """Return the tasks; on a cluster, results stay with the workers, and are made again where one is lost."""
        return self.client.persist(tasks) if self.client else tasks

    def all(self, tasks: list[Delayed]) -> list[Any]:
        """Compute the tasks, and return their results in the same order."""
        if self.client is None:
            return self._here(tasks)
        futures = self.client.compute(tasks)
        try:
            return self._awaited(futures)
        except BaseException as error:
            name_partition(error, [future.status == "error" for future in futures])
            with suppress(OSError, ValueError):  # of a client that is closed
                self.client.cancel(futures)
            if (reason := why_cancelled(error)) is None:
                raise
            message = f"the cluster has cancelled the tasks of a fit, for reason: {reason}"
            raise RuntimeError(message + GO_ON) from error

    def _here(self, tasks: list[Delayed]) -> list[Any]:
        """Compute the tasks in this process, and return their results."""
        compute = importlib.import_module("dask").compute
        try:
            return list(compute(*tasks))
        except Exception:
            for each in tasks if len(tasks) > 1 else ():  # again, one by one: Dask does not tell which
                try:
                    compute(each)
                except Exception as error:
                    name_partition(error, [each is other for other in tasks])
                    raise
            raise

    def _awaited(self, futures: list[Any]) -> list[Any]:
        """Return the results of futures.

        Dask itself waits for ever for workers, and for a scheduler that is stuck; a thread of its own waits for Dask,
        and is abandoned then.
        """
        found: SimpleQueue[Outcome] = SimpleQueue()

        def gather() -> None:
            try:
                found.put((self.client.gather(futures), None))
            except BaseException as error:  # noqa: BLE001 - for the other thread to raise
                found.put(([], error))

        thread = Thread(target=gather, name="fastem-gather", daemon=True)
        thread.start()
        results, error = self._watched(found)
        thread.join()
        if error is not None:
            raise error
        return results

    def _watched(self, found: SimpleQueue[Outcome]) -> Outcome:
        """Wait for the outcome and return it; raise RuntimeError where the cluster has nobody to compute it."""
        since = time.monotonic()
        while True:
            with suppress(Empty):
                return found.get(timeout=POLL_SECONDS)
            lack = self._lack()
            if not lack:
                since = time.monotonic()
            elif time.monotonic() - since > WORKERLESS_SECONDS:
                raise RuntimeError(f"for {WORKERLESS_SECONDS:.0f} s the cluster has had no {lack}" + GO_ON)

    def _lack(self) -> str:
        """Name what is missing to run tasks; empty where nothing is."""
        try:
            about = self.client.sync(self.client.scheduler.identity, n_workers=-1, callback_timeout=ANSWER_SECONDS)
        except (OSError, AttributeError):  # a client that is closed has none
            return "scheduler that answers"
        workers = about["workers"].values()
        if any(each["status"] == "running" for each in workers):
            return ""
        return f"running workers ({len(workers)} are closing, or paused for want of memory)"


def why_cancelled(error: BaseException) -> str | None:
    """Return why a cluster gives no results, if that is what an error of its client says.

    Where the scheduler is lost while the client asks it, the client has not cancelled anything yet.
    """
    if isinstance(error, importlib.import_module("concurrent.futures").CancelledError):
        return getattr(error, "reason", "unknown")
    lost = isinstance(error, importlib.import_module("distributed.comm").CommClosedError)
    return "scheduler-connection-lost" if lost else None


def name_partition(error: BaseException, failed: list[bool]) -> None:
    """Add a note on which of several tasks failed; one task alone may stand for all partitions.

    Those that were with a worker when it died are all named.
    """
    numbers = [str(index) for index, has_failed in enumerate(failed) if has_failed]
    if numbers and len(failed) > 1:
        error.add_note(f"while working on partition {' or '.join(numbers[:MOST_NAMED])}")
