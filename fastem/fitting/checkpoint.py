"""The EM runs of a fit on disk: another process goes on where this one was, and ends with the same bits."""

from __future__ import annotations

import hashlib
import numbers
import os
import time
from collections.abc import Mapping
from dataclasses import astuple, fields, is_dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from fastem._storage import own_version, read, undamaged, write
from fastem._typing import Array, PathLike
from fastem.families.base import P, S
from fastem.families.params import Params
from fastem.fitting.acceleration import CAUTION
from fastem.fitting.driver import Run
from fastem.fitting.result import STEPS, Collapse
from fastem.fitting.steps import Trace
from fastem.inference.remaining import Remaining
from fastem.validation.settings import check_same_fit

KIND, LAYOUT = "fastem checkpoint", 1

RUN_SCALARS = ("step", "previous", "criterion", "distance", "since", "fall", "fall_bound", "fell_at", "rounding")
RULE_SCALARS = ("tol", "met", "proposals")
EXTRAPOLATION_SCALARS = {"reach": "trust_radius", "size": "size", "held_back": "limited"}
"""Names in the file, which are those of version 0.1, and of the attributes."""


class Journal:
    """The runs of a fit in their order, which is always the same: those that have ended, and the one under way.

    `identity` says whose fit it is: a file of another one is refused.  The random numbers go on from where they were
    when the file was begun, so that the same starts are drawn again; the runs are not repeated.
    """

    def __init__(self, path: PathLike, every: float, identity: Mapping[str, object], rng: np.random.Generator) -> None:
        self.path, self.every, self.identity = Path(path).absolute(), every, {"fastem": own_version(), **identity}
        self.random_state: Any = rng.bit_generator.state
        self.runs: list[Run[Any, Any]] = []
        self.kept: list[tuple[dict[str, Any], dict[str, Array]]] = []
        if self.path.exists() or not self._begin():
            self._read()
            with undamaged(f"checkpoint {self.path}"):
                rng.bit_generator.state = self.random_state
            self.write()

    def resume(self, run: Run[P, S]) -> None:
        """Bring a run that has not begun to where it was kept, if it was.

        What is run after one that was cut short is not what would have been run after it, and not kept.
        """
        if self.runs and self.runs[-1].cut_short:
            return
        if len(self.runs) < len(self.kept):
            with undamaged(f"checkpoint {self.path}"):
                unpack(run, *self.kept[len(self.runs)])
        self.runs.append(run)

    def next_start(self) -> dict[str, Array] | None:
        """Return the arrays of the start of the next run, if that was kept."""
        if len(self.runs) >= len(self.kept):
            return None
        prefix, (_, arrays) = "start/", self.kept[len(self.runs)]
        return {name.removeprefix(prefix): each for name, each in arrays.items() if name.startswith(prefix)}

    def keep(self, run: Run[P, S]) -> None:
        """Write the file after an iteration, if the last writing is `every` seconds ago."""
        if time.monotonic() - self.written >= self.every:
            self.write()

    def close(self) -> None:
        """Write the file at the end of a fit; after an interruption the last good file stays."""
        if not (self.runs and self.runs[-1].interrupted):
            self.write()

    def _begin(self) -> bool:
        """Write the first file; False where another fit has begun one of this name since.

        Of several that begin at once one has the name, and the others find its file as if it had been there.  A link,
        unlike a rename, leaves a file alone that is there; and a process that is killed leaves no lock behind.
        """
        target = Path(os.path.realpath(self.path))
        own = target.with_name(f".{target.name[:100]}.{os.urandom(8).hex()}.tmp")
        self.write(own)
        try:
            os.link(own, target)
        except FileExistsError:
            return False
        except OSError:  # a file system without links
            own.replace(target)
        finally:
            own.unlink(missing_ok=True)
        return True

    def write(self, path: Path | None = None) -> None:
        """Write all runs to `path`, or to the file of the checkpoint, and note the time."""
        packed = [pack(run) for run in self.runs] + self.kept[len(self.runs) :]
        header = {
            "identity": self.identity, "random_state": self.random_state, "runs": [scalars for scalars, _ in packed]
        }  # fmt: skip
        arrays = {f"{i}/{name}": array for i, (_, run) in enumerate(packed) for name, array in run.items()}
        write(path or self.path, KIND, LAYOUT, header, arrays)
        self.written = time.monotonic()

    def _read(self) -> None:
        """Read the runs of the fit that wrote the file; ValueError if it was another fit."""
        header, arrays = read(self.path, KIND, LAYOUT)
        check_same_fit(header.get("identity"), self.identity, self.path)
        self.random_state = header.get("random_state")
        for i, scalars in enumerate(header.get("runs", [])):
            own = {name.split("/", 1)[1]: array for name, array in arrays.items() if name.startswith(f"{i}/")}
            self.kept.append((scalars, own))


def pack(run: Run[P, S]) -> tuple[dict[str, Any], dict[str, Array]]:
    """Convert a run between two sweeps to numbers and arrays."""
    at = run.extrapolation
    scalars = {name: getattr(run, name) for name in RUN_SCALARS}
    scalars |= {name: getattr(at, attribute) for name, attribute in EXTRAPOLATION_SCALARS.items()}
    scalars |= {name: getattr(run.rule, name) for name in RULE_SCALARS}
    scalars |= {
        "left": run.rule.left,
        "gains": at.gains[-CAUTION:],
        "collapses": [astuple(each) for each in run.collapses],
    }
    arrays: dict[str, Any] = {
        "trace": np.array(run.trace).reshape(-1, len(Trace._fields)),
        "steps": np.array([STEPS.index(step) for step in run.steps], np.uint8),
    }
    for name, params in {"params": run.params, "start": at.start, "reached": at.reached}.items():
        arrays |= {f"{name}/{field}": value for field, value in arrays_of(params).items()}
    memory = vars(at.accelerator) if at.accelerator else {}
    arrays |= {f"memory/{name}": np.array(vectors) for name, vectors in memory.items() if vectors}
    return scalars, arrays


def unpack(run: Run[P, S], scalars: dict[str, Any], arrays: dict[str, Array]) -> None:
    """Bring a run at its start to where another one was packed."""

    def params(name: str) -> Any:
        prefix = f"{name}/"
        return replace(run.params, **{k.removeprefix(prefix): v for k, v in arrays.items() if k.startswith(prefix)})

    at = run.extrapolation
    at.start, at.reached, run.params = params("start"), params("reached"), params("params")
    for name in RUN_SCALARS:
        setattr(run, "kept_rounding" if name == "rounding" else name, scalars[name])
    if "met" in scalars:
        for name in RULE_SCALARS:
            setattr(run.rule, name, scalars[name])
        run.rule.left = None if scalars["left"] is None else Remaining(*scalars["left"])
    else:  # of version 0.1
        run.rule.judge(run.distance, None)
    for name, attribute in EXTRAPOLATION_SCALARS.items():
        setattr(at, attribute, scalars[name])
    at.gains = scalars["gains"]
    run.collapses = [Collapse(*each) for each in scalars["collapses"]]
    run.trace = [Trace(*each) for each in arrays["trace"].tolist()]
    run.steps = [STEPS[step] for step in arrays["steps"]]
    for name, vectors in arrays.items():
        if name.startswith("memory/"):
            setattr(at.accelerator, name.removeprefix("memory/"), [tuple(each) for each in vectors])


def arrays_of(params: Params) -> dict[str, Array]:
    """Return the arrays of parameters, by the names of their fields."""
    return {f.name: value for f in fields(params) if isinstance(value := getattr(params, f.name), np.ndarray)}


def described(value: object) -> Any:
    """Convert a setting to what JSON can hold; arrays are described by their hash."""
    if value is None or isinstance(value, (bool, np.bool_, str)):
        return bool(value) if isinstance(value, np.bool_) else value
    if isinstance(value, numbers.Real):
        return int(value) if isinstance(value, numbers.Integral) else float(value)
    if isinstance(value, Mapping):
        return {str(name): described(each) for name, each in value.items()}
    if is_dataclass(value):
        return {f.name: described(getattr(value, f.name)) for f in fields(value)}
    if isinstance(value, np.random.Generator):
        return f"Generator of {type(value.bit_generator).__name__}"
    if value is np.random or isinstance(value, (np.random.RandomState, np.random.BitGenerator)):
        return "RandomState" if value is np.random else type(value).__name__
    if isinstance(value, np.random.SeedSequence):
        return repr(value)
    if isinstance(value, (tuple, list, set, frozenset)) and all(isinstance(each, str) for each in value):
        return sorted(value)
    array = np.ascontiguousarray(value)
    if array.dtype.kind == "O":
        array = array.astype(np.float64)
    return f"{array.dtype}{array.shape} {hashlib.sha256(array.tobytes()).hexdigest()}"
