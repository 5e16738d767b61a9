"""A cluster of this machine, and fits on it."""

import time
from contextlib import contextmanager

import dask.array as da
from distributed import LocalCluster

import fastem
from fastem.data.dask_partitions import Partitions
from fastem.data.slots import SLOT_ROWS
from support.chunks import rows

N = 5 * SLOT_ROWS + 1234


def started(n_workers, **options):
    options |= {"threads_per_worker": 1, "dashboard_address": ":0", "host": "127.0.0.1"}
    return LocalCluster(n_workers=n_workers, **options)


def mixture(**settings):
    return fastem.GaussianMixture(3, **({"random_state": 0, "tol": 1e-5, "max_iter": 500} | settings))


@contextmanager
def at_sweep(number, call):
    """Have something happen when this sweep begins."""
    sweep, seen = Partitions.sweep, []

    def watched(self, params):
        seen.append(params)
        if len(seen) == number:
            call()
        return sweep(self, params)

    Partitions.sweep = watched
    try:
        yield
    finally:
        Partitions.sweep = sweep


def dismiss(cluster, client):
    """All workers, until none is left."""
    cluster.scale(0)
    while client.scheduler_info(n_workers=-1)["workers"]:
        time.sleep(0.05)


LAZY = da.from_array(rows(N), chunks=(SLOT_ROWS, 2))
