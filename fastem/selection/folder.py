"""The folder that keeps the mixtures of a selection."""

from __future__ import annotations

from pathlib import Path
from typing import cast

from fastem._storage import read, write
from fastem._typing import ArrayLike, PathLike
from fastem.data.row_source import RowSource
from fastem.estimators.base import Mixture
from fastem.estimators.model import describe_settings, open_in_memory
from fastem.fitting.settings import unaltering
from fastem.selection.data import Data, open_rows_of
from fastem.validation.settings import as_path, check_same_fit

KIND, LAYOUT = "fastem selection", 2
IDENTITY = "identity.npz"


def open_folder(checkpoint: PathLike, estimator: Mixture, data: Data, folds: int, split_merge: bool) -> Path:
    """Make the folder, if need be; ValueError if it has mixtures of other rows or settings."""
    folder = Path(as_path(checkpoint, "checkpoint"))
    folder.mkdir(parents=True, exist_ok=True)
    identity, path = identity_of(estimator, data, folds) | {"split_merge": bool(split_merge)}, folder / IDENTITY
    if path.exists():
        check_same_fit(read(path, KIND, LAYOUT)[0].get("identity"), identity, folder)
    else:
        write(path, KIND, LAYOUT, {"identity": identity}, {})
    return folder


def identity_of(estimator: Mixture, data: Data, folds: int) -> dict[str, object]:
    """Return what all mixtures of a selection have in common: the settings of the estimator, and the rows."""
    without = unaltering(type(estimator)) - {"random_state"} | {"n_components"}
    settings = describe_settings(estimator, without)
    with rows_of(estimator, data) as rows:
        return {"class": type(estimator).__name__, **settings, "folds": folds, "data": rows.fingerprint()}


def rows_of(estimator: Mixture, data: Data) -> RowSource:
    """Open the rows: those of chunks have the fingerprint of the same rows in memory."""
    if data.is_read:
        return open_rows_of(estimator, data)
    return open_in_memory(estimator, cast(ArrayLike, data.X), data.trials, data.sample_weight)
