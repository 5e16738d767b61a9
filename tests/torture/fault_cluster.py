"""Workers of a cluster that are killed at random moments, and a cluster that loses all of them, for real.

A fit whose workers are killed with SIGKILL, one after the other, has the bits of an undisturbed one.  One that has none
left ends within a minute, and goes on from its checkpoint elsewhere.
"""

import os
import signal
import sys
import tempfile
import threading
import time
from pathlib import Path

import dask.array as da
import numpy as np
from builds import ROOT, SMALL
from distributed import Client, LocalCluster

import fastem
from fastem.data import base
from fastem.data.slots import SLOT_ROWS

sys.path.append(str(ROOT / "tests"))
from support.clusters import at_sweep, dismiss

FITS = 3 if SMALL else 20
BLOCKS = 12
MOST_SECONDS = 60.0
SWEEPS = 3
"""Of the fit that loses all workers, until it does."""


def rows() -> np.ndarray:
    rng = np.random.default_rng(0)
    n = BLOCKS * SLOT_ROWS
    return rng.normal(size=(n, 2)) + 2.0 * rng.integers(3, size=(n, 1))


def slowly(X: np.ndarray) -> np.ndarray:
    """So that a kill meets blocks at work, when they are made and when they are made anew."""
    time.sleep(0.05)
    return X


def mixture(**settings: object) -> fastem.GaussianMixture:
    return fastem.GaussianMixture(3, random_state=0, tol=1e-7, max_iter=1_000, **settings)


def same(a: fastem.GaussianMixture, b: fastem.GaussianMixture) -> bool:
    return np.array_equal(a.history_.loglik, b.history_.loglik) and np.array_equal(a.covariances_, b.covariances_)


def kill_now_and_then(client: Client, seed: int, stop: threading.Event, killed: list[int]) -> None:
    """One of the workers that are there, and another when there are two again: Dask gives up what has lost four."""
    rng = np.random.default_rng(seed)
    while not stop.wait(rng.uniform(0.05, 0.5)) and len(killed) < 2:
        client.wait_for_workers(2, timeout=MOST_SECONDS)
        try:
            pids = list(client.run(os.getpid).values())
        except OSError:  # one that is dead has not been missed yet
            continue
        killed.append(pids[rng.integers(len(pids))])
        os.kill(killed[-1], signal.SIGKILL)


def killed(X: np.ndarray, undisturbed: fastem.GaussianMixture) -> None:
    met = 0
    for seed in range(FITS):
        with LocalCluster(n_workers=2, threads_per_worker=1, dashboard_address=":0") as two, Client(two) as client:
            stop, dead = threading.Event(), []
            killer = threading.Thread(target=kill_now_and_then, args=(client, seed, stop, dead))
            killer.start()
            found = mixture().fit(da.from_array(X, chunks=(SLOT_ROWS, 2)).map_blocks(slowly))
            met += len(dead)
            stop.set()
            killer.join()
        if not same(found, undisturbed):
            sys.exit(f"seed {seed}: other bits after {len(dead)} kills")
    if met < FITS:
        sys.exit(f"only {met} kills met {FITS} fits")
    sys.stdout.write(f"{met} workers killed in {FITS} fits: same bits\n")


def lost(X: np.ndarray, undisturbed: fastem.GaussianMixture) -> None:
    lazy = da.from_array(X, chunks=(SLOT_ROWS, 2))
    with tempfile.TemporaryDirectory() as folder:
        kept = mixture(checkpoint=Path(folder) / "fit.npz", checkpoint_every=0.0)
        with LocalCluster(n_workers=2, threads_per_worker=1, dashboard_address=":0") as two, Client(two) as client:
            begun = time.monotonic()
            try:
                with at_sweep(SWEEPS, lambda: dismiss(two, client)):
                    kept.fit(lazy)
                sys.exit("it ended without workers")
            except RuntimeError as error:
                sys.stdout.write(f"after {time.monotonic() - begun:.0f} s: {error}\n")
            if time.monotonic() - begun > MOST_SECONDS:
                sys.exit("too late")
        if not same(kept.fit(lazy), undisturbed):
            sys.exit("other bits from the checkpoint")


def main() -> None:
    base.PARALLEL_WORK = 0  # so few rows would be brought to this process, and no worker be needed
    X = rows()
    undisturbed = mixture().fit(X)
    killed(X, undisturbed)
    lost(X, undisturbed)


if __name__ == "__main__":
    main()
