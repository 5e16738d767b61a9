"""Tasks of Dask, and what runs them: the client that is current, or this process."""

from __future__ import annotations

import importlib
import time
from collections.abc import Callable
from concurrent.futures import CancelledError
from contextlib import suppress
from queue import Empty, SimpleQueue
from threading import Thread
from typing import Any

FAN_IN = 16
"""Sums of blocks that a task adds: a million blocks are five levels."""
POLL_SECONDS = 1.0
ANSWER_SECONDS = 5.0
"""That a scheduler is waited for at a time: a busy one takes a few."""
WORKERLESS_SECONDS = 30.0
"""A cluster that has had no running worker for so long will have none: a nanny starts another one in a few seconds."""
MOST_NAMED = 4
"""Blocks, where many have failed."""
GO_ON = "; a fit with `checkpoint` goes on from its file"


def task(call: Callable[..., Any], *arguments: Any) -> Any:
    """`call` as a task; it may be a method with all its settings, which travel with it."""
    delayed = importlib.import_module("dask").delayed
    return delayed(call, pure=False, traverse=False)(*arguments)


def in_tree(combine: Callable[[list[Any]], Any], tasks: list[Any]) -> Any:
    """One task for all: of FAN_IN neighbours, again and again: the order depends on their number alone."""
    while len(tasks) > 1:
        tasks = [task(combine, tasks[begin : begin + FAN_IN]) for begin in range(0, len(tasks), FAN_IN)]
    return tasks[0]


Outcome = tuple[list[Any], BaseException | None]
"""Results of tasks, or what they raised."""


class Runner:
    """Runs tasks on the client that is current, or in this process."""

    def __init__(self) -> None:
        scheduler = importlib.import_module("dask.base").get_scheduler()
        client = getattr(scheduler, "__self__", None)
        self.client: Any = client if hasattr(client, "scheduler_info") else None

    def kept(self, tasks: list[Any]) -> list[Any]:
        """On a cluster, tasks whose results stay with the workers, and are worked out again where one is lost."""
        return self.client.persist(tasks) if self.client else tasks

    def all(self, tasks: list[Any]) -> list[Any]:
        """Their results, in their order."""
        if self.client is None:
            return self._here(tasks)
        futures = self.client.compute(tasks)
        try:
            return self._awaited(futures)
        except BaseException as error:
            name_block(error, [future.status == "error" for future in futures])
            with suppress(OSError, ValueError):  # of a client that is closed
                self.client.cancel(futures)
            if isinstance(error, CancelledError):
                reason = getattr(error, "reason", "unknown")
                message = f"the cluster has cancelled the tasks of a fit, for reason: {reason}"
                raise RuntimeError(message + GO_ON) from error
            raise

    def _here(self, tasks: list[Any]) -> list[Any]:
        compute = importlib.import_module("dask").compute
        try:
            return list(compute(*tasks))
        except Exception:
            for each in tasks if len(tasks) > 1 else ():  # again, one by one: Dask does not tell which
                try:
                    compute(each)
                except Exception as error:
                    name_block(error, [each is other for other in tasks])
                    raise
            raise

    def _awaited(self, futures: list[Any]) -> list[Any]:
        """Their results.  Dask itself waits for ever for workers, and for a scheduler that is stuck: so does the thread
        that waits for it, and is left behind."""
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
        """What comes; RuntimeError where nothing can."""
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
        """What keeps tasks from being run; empty where nothing does."""
        try:
            about = self.client.sync(self.client.scheduler.identity, n_workers=-1, callback_timeout=ANSWER_SECONDS)
        except (OSError, AttributeError):  # a client that is closed has none
            return "scheduler that answers"
        workers = about["workers"].values()
        if any(each["status"] == "running" for each in workers):
            return ""
        return f"running workers ({len(workers)} are closing, or paused for want of memory)"


def name_block(error: BaseException, failed: list[bool]) -> None:
    """Say which of the tasks it was, if it was one of several: one alone may stand for all blocks.

    Those that were with a worker when it died are under suspicion together.
    """
    blocks = [str(index) for index, each in enumerate(failed) if each]
    if blocks and len(failed) > 1:
        error.add_note(f"while working on block {' or '.join(blocks[:MOST_NAMED])}")
