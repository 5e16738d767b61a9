"""What `select` chooses by, and the settings of its fits."""

from __future__ import annotations

from typing import Any

CRITERIA = ("bic", "icl", "aic", "cv")
THOROUGH: dict[str, Any] = {
    "init_params": "kmeans", "n_init": 2, "tol": 1e-6, "max_iter": 1000, "stopping": "aitken",
    "acceleration": "quasi-newton",
}  # fmt: skip
"""Settings with which each fit reaches its maximum, and a larger k is not worse because of a poor start: several starts
for each, and splits and merges of its neighbours."""
