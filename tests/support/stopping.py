"""Fits that are stopped."""

import subprocess
import sys
import time

import numpy as np

import fastem
from support.asserts import same_fit

RNG = np.random.default_rng(0)
CLOSE = RNG.normal(size=(3_000, 2)) + 2.0 * RNG.integers(2, size=(3_000, 1))
HEADS = RNG.binomial(12, np.array([0.3, 0.5])[RNG.integers(2, size=3_000)])
SETTINGS = {"tol": 1e-9, "max_iter": 120, "random_state": 3, "stopping": "loglik", "acceleration": None}


def normal(**settings):
    return fastem.GaussianMixture(3, **(SETTINGS | settings)).fit(CLOSE)


def binomial(**settings):
    return fastem.BinomialMixture(2, **(SETTINGS | {"init_params": "quantiles"} | settings)).fit(HEADS, trials=12)


KILLED = """
import sys, warnings
import numpy as np, fastem
warnings.simplefilter("ignore")
rng = np.random.default_rng(0)
X = rng.normal(size=(20_000, 2)) + 2.0 * rng.integers(3, size=(20_000, 1))
mixture = fastem.GaussianMixture(
    3, tol=0.0, max_iter=int(sys.argv[4]), n_init=4, random_state=1, acceleration="anderson",
    n_threads=int(sys.argv[3]), checkpoint=sys.argv[1] or None, checkpoint_every=0.0,
)
print("begins", flush=True)
mixture.fit(X).save(sys.argv[2])
"""


def killed_and_resumed(folder, kills, seed, iterations):
    """Kill the fit at random moments so many times, let it end -> the bits of one that was never stopped; -> how many
    kills met a fit."""
    rng, met = np.random.default_rng(seed), 0
    checkpoint, model, whole = folder / "fit.npz", folder / "model.npz", folder / "whole.npz"
    begun = [sys.executable, "-c", KILLED, str(checkpoint), str(model)]
    for _ in range(kills):
        command = [*begun, str(rng.integers(1, 3)), str(iterations)]
        with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
            assert process.stdout.readline() == "begins\n"
            time.sleep(rng.uniform(0.0, 0.3))
            process.kill()
        met += not model.exists()
    for command in ([*begun, "2", str(iterations)], [*begun[:3], "", str(whole), "2", str(iterations)]):
        subprocess.run(command, check=True, timeout=300, stdout=subprocess.DEVNULL)
    same_fit(fastem.load(model), fastem.load(whole))
    return met
