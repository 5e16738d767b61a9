"""A header and named arrays in one file: NumPy's npz without pickle, written whole or not at all, checked when read."""

from __future__ import annotations

import io
import json
import math
import numbers
import os
import secrets
import stat
import struct
import tokenize
import zipfile
import zlib
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import fields, is_dataclass
from importlib.metadata import version
from pathlib import Path
from typing import IO, Any

import numpy as np

MALFORMED = (
    ValueError, LookupError, TypeError, AttributeError, ArithmeticError, EOFError, RuntimeError, SyntaxError,
    struct.error, zlib.error, tokenize.TokenError, zipfile.BadZipFile,
)  # fmt: skip
"""What zipfile, json and NumPy raise on bytes that are none of theirs."""


BEGIN = b"PK\x03\x04".ljust(30) + b"header.npy"
"""First bytes of an npz whose first array is the header: the mark of zip files, sizes and dates, and the name."""

BLOCK = 4096
"""Bytes: a disk that has these free is not full."""


@contextmanager
def undamaged(path: Any) -> Iterator[None]:
    """Whatever goes wrong in here is the fault of the file at `path`, a ValueError."""
    try:
        yield
    except MALFORMED as error:
        raise ValueError(f"{path} is damaged: {error}") from None


def write(path: Path, kind: str, layout: int, header: Mapping[str, Any], arrays: Mapping[str, np.ndarray]) -> None:
    """Write a file of this kind (and number of its layout) in the place of the one that is there.

    A reader, or a process that is killed meanwhile, finds the old file or the new one.  OSError where that cannot be
    done; the old file is then as it was.
    """
    stamp = {"kind": kind, "layout": layout, "fastem": version("fastem")}
    text = json.dumps(stamp | dict(header), default=np.ndarray.tolist)
    content = io.BytesIO()
    np.savez(content, allow_pickle=False, header=np.frombuffer(text.encode(), np.uint8), **arrays)
    with replacing(path) as file:
        file.write(content.getbuffer())


@contextmanager
def replacing(path: Any, mode: str = "wb", **options: Any) -> Iterator[IO[Any]]:
    """A file to write to, which takes the place of the one at `path` when all of it is written, with its permissions.

    Where it cannot be written, or its writer fails or is killed, the old file is as it was.
    """
    with beside(path, mode.replace("w", "x"), options) as (file, target):
        yield file
        if target.exists():
            os.chmod(file.name, target.stat().st_mode & 0o777)
        file.flush()
        os.fsync(file.fileno())
        file.close()
        os.replace(file.name, target)
        sync(target.parent)


@contextmanager
def beside(path: Any, mode: str, options: Mapping[str, Any]) -> Iterator[tuple[IO[Any], Path]]:
    """A new file in the folder of another one -> both; it is gone afterwards, unless it has another name by then."""
    target = destination(path)
    temporary = target.with_name(f".{target.name[:40]}.{secrets.token_hex(8)}.tmp")
    try:
        with temporary.open(mode, **options) as file:
            yield file, target
    except OSError as error:
        if error.errno is not None and error.filename in (None, str(temporary)):
            error.filename = os.fspath(path)  # which is the name that somebody knows
        raise
    finally:
        with suppress(OSError):
            temporary.unlink()


def destination(path: Any) -> Path:
    """Where the links of a path lead; OSError where no file can be put."""
    with suppress(FileNotFoundError):
        if not stat.S_ISREG(os.stat(path).st_mode):
            raise OSError(f"{path} is no file that can be replaced")
    return Path(os.path.realpath(path))


def try_destination(path: Any) -> None:
    """OSError where `replacing` would fail, as far as can be known before it has anything to write."""
    with beside(path, "xb", {}) as (file, _):
        file.write(bytes(BLOCK))
        file.flush()
        os.fsync(file.fileno())


def sync(folder: Path) -> None:
    """Have the new name survive a loss of power, where folders can be opened at all."""
    with suppress(OSError):
        descriptor = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


def read(path: Path, kind: str, layout: int) -> tuple[dict[str, Any], dict[str, np.ndarray]]:
    """Header and arrays of a file of this kind and layout; ValueError for any other, OSError where none can be read."""
    content = content_of(path)
    try:
        arrays = unzipped(content)
        header = json.loads(arrays.pop("header").tobytes())
        found, number = header["kind"], header["layout"]
    except MALFORMED as error:
        raise ValueError(f"{path} is damaged or no file of fastem's: {error}") from None
    if found != kind:
        raise ValueError(f"{path} is a {str(found)[:40]!r}, not a {kind!r}")
    if number != layout:
        raise ValueError(
            f"{path} has layout {str(number)[:40]} of a {kind}, written by fastem {str(header.get('fastem'))[:40]};"
            f" this is fastem {version('fastem')}, which reads layout {layout}"
        )
    return header, arrays


def content_of(path: Any) -> bytes:
    """The bytes of a file that begins as ours do; of any other no more than these are read."""
    with open(path, "rb") as file:
        begin = file.read(len(BEGIN))
        if not begin:
            raise ValueError(f"{path} is damaged or no file of fastem's: it is empty")
        if begin[:4] != BEGIN[:4] or begin[30:] != BEGIN[30:]:
            raise ValueError(f"{path} is damaged or no file of fastem's: it begins with {begin[:8]!r}")
        return begin + file.read()


def unzipped(content: bytes) -> dict[str, np.ndarray]:
    """The arrays of an uncompressed npz; none is larger than its bytes."""
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        members = archive.infolist()
        if sum(member.file_size for member in members) > len(content):
            raise ValueError("its parts are larger than the file")
        return {member.filename.removesuffix(".npy"): array_of(archive.read(member)) for member in members}


def array_of(content: bytes) -> np.ndarray:
    file = io.BytesIO(content)
    if np.lib.format.read_magic(file) != (1, 0):
        raise ValueError("an array of an unknown format")
    shape, fortran, dtype = np.lib.format.read_array_header_1_0(file)
    if dtype.kind not in "biuf" or math.prod(shape) * dtype.itemsize != len(content) - file.tell():
        raise ValueError("an array of an unknown type, or of more or less than its size")
    return np.frombuffer(content, dtype, offset=file.tell()).reshape(shape, order="F" if fortran else "C").copy()


# ------------------------------------------------------------------------------------------------------ trees of values


RANDOM = (np.random.Generator, np.random.RandomState, np.random.BitGenerator, np.random.SeedSequence)


def encode(value: Any, arrays: dict[str, np.ndarray]) -> Any:
    """A tree of values as JSON can hold it, its arrays put among `arrays`; TypeError for what is no such tree.

    An object of JSON has one name, which says what it is.  Random number generators are left out: they are no values.
    """
    if value is None or isinstance(value, (str, bool, np.bool_)):
        return bool(value) if isinstance(value, np.bool_) else value
    if isinstance(value, numbers.Real):
        return int(value) if isinstance(value, numbers.Integral) else float(value)
    if isinstance(value, os.PathLike):
        return os.fspath(value)
    if value is np.random or isinstance(value, RANDOM):
        return None
    if hasattr(value, "__array__"):
        return encode_array(np.asarray(value), arrays)
    if is_dataclass(value):
        return {type(value).__name__: {f.name: encode(getattr(value, f.name), arrays) for f in fields(value)}}
    if isinstance(value, Mapping):
        return {"dict": {str(name): encode(each, arrays) for name, each in value.items()}}
    if isinstance(value, (tuple, list, set, frozenset)):
        found = [encode(each, arrays) for each in value]
        return found if isinstance(value, list) else {"tuple": found}
    raise TypeError(f"a {type(value).__name__} cannot be kept in a file: {value!r}")


def encode_array(value: np.ndarray, arrays: dict[str, np.ndarray]) -> Any:
    if value.ndim == 1 and value.dtype.kind in "OUT" and all(isinstance(each, str) for each in value):
        return {"strings": [str(each) for each in value]}
    if value.dtype.kind == "O":
        value = value.astype(np.float64)
    if value.dtype.kind not in "biuf":
        raise TypeError(f"an array of {value.dtype} cannot be kept in a file")
    name = str(len(arrays))
    arrays[name] = value
    return {"array": name}


def decode(tree: Any, arrays: Mapping[str, np.ndarray], classes: Mapping[str, type]) -> Any:
    """What `encode` was given; dataclasses are those of `classes`."""
    if isinstance(tree, list):
        return [decode(each, arrays, classes) for each in tree]
    if not isinstance(tree, dict):
        return tree
    ((kind, content),) = tree.items()
    if kind == "array":
        return arrays[content]
    if kind == "strings":
        return np.array(content, object)
    if kind == "tuple":
        return tuple(decode(content, arrays, classes))
    named = {name: decode(each, arrays, classes) for name, each in content.items()}
    return named if kind == "dict" else classes[kind](**named)
