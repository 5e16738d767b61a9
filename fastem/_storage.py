"""Write a header and named arrays to one file, completely or not at all, and check such files when they are read.

The files are those of NumPy's npz format, without pickle.
"""

from __future__ import annotations

import io
import json
import math
import numbers
import os
import stat
import struct
import tokenize
import zipfile
import zlib
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import fields, is_dataclass
from importlib import import_module
from pathlib import Path
from typing import IO, Any, TypeAlias

import numpy as np

from fastem._typing import PathLike

Json: TypeAlias = "bool | int | float | str | list[Json] | dict[str, Json] | None"
"""A value that JSON represents."""

MALFORMED = (
    ValueError, LookupError, TypeError, AttributeError, ArithmeticError, EOFError, RuntimeError, SyntaxError,
    struct.error, zlib.error, tokenize.TokenError, zipfile.BadZipFile,
)  # fmt: skip
"""Errors that zipfile, json and NumPy raise for bytes that are not in their format."""

BEGIN = b"PK\x03\x04".ljust(30) + b"header.npy"
"""First bytes of an npz whose first array is the header: the signature of zip files, sizes and dates, and the name."""

BLOCK = 4096
"""Number of bytes that are written to see whether the disk is full."""


@contextmanager
def undamaged(path: PathLike) -> Iterator[None]:
    """Raise ValueError, which says that the file is damaged, for any error of a malformed file in the block."""
    try:
        yield
    except MALFORMED as error:
        raise ValueError(f"{path} is damaged: {error}") from None


def write(
    path: PathLike, kind: str, layout: int, header: Mapping[str, object], arrays: Mapping[str, np.ndarray]
) -> None:
    """Write a file of this kind, and this version of its layout, and replace the file at `path` if there is one.

    At any time there is either the old or the new file, even if the process is killed.  Raises OSError, and leaves the
    old file unchanged, if the new one cannot be written.
    """
    stamp = {"kind": kind, "layout": layout, "fastem": own_version()}
    text = json.dumps(stamp | dict(header), default=np.ndarray.tolist)
    content = zipped({"header": np.frombuffer(text.encode(), np.uint8), **arrays})
    with replacing(path) as file:
        file.write(content.getbuffer())


def zipped(arrays: Mapping[str, np.ndarray]) -> io.BytesIO:
    """Return an uncompressed npz of these arrays, none of which is pickled: `np.savez` can promise that from 2.1 on."""
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w") as file:
        for name, array in arrays.items():
            with file.open(f"{name}.npy", "w", force_zip64=True) as member:
                np.lib.format.write_array(member, np.asanyarray(array), allow_pickle=False)
    return content


@contextmanager
def replacing(
    path: PathLike, mode: str = "wb", *, newline: str | None = None, encoding: str | None = None
) -> Iterator[IO[Any]]:
    """Open a file that replaces the one at `path`, and has its permissions, when it is completely written.

    The old file is unchanged if the new one cannot be written, or if its writer fails or is killed.
    """
    with temporary_file(path, mode.replace("w", "x"), newline, encoding) as (file, target):
        yield file
        if target.exists():
            os.chmod(file.name, target.stat().st_mode & 0o777)
        file.flush()
        os.fsync(file.fileno())
        file.close()
        os.replace(file.name, target)
        sync(target.parent)


@contextmanager
def temporary_file(
    path: PathLike, mode: str, newline: str | None = None, encoding: str | None = None
) -> Iterator[tuple[IO[Any], Path]]:
    """Open a new file in the folder of `path`, and remove it at the end if it has not been renamed.

    Yields the file, and the path of the file that it may replace.
    """
    target = destination(path)
    temporary = target.with_name(f".{target.name[:40]}.{os.urandom(8).hex()}.tmp")
    try:
        with temporary.open(mode, newline=newline, encoding=encoding) as file:
            yield file, target
    except OSError as error:
        if error.errno is not None and error.filename in (None, str(temporary)):
            error.filename = os.fspath(path)  # the name that the user knows
        raise
    finally:
        with suppress(OSError):
            temporary.unlink()


def destination(path: PathLike) -> Path:
    """Resolve the links of a path; OSError if it is no regular file, which could not be replaced."""
    with suppress(FileNotFoundError):
        if not stat.S_ISREG(os.stat(path).st_mode):
            raise OSError(f"{path} is not a regular file, and cannot be replaced")
    return Path(os.path.realpath(path))


def check_can_be_written(path: PathLike) -> None:
    """Raise OSError if `replacing` would fail, as far as this shows before there is anything to write."""
    with temporary_file(path, "xb") as (file, _):
        file.write(bytes(BLOCK))
        file.flush()
        os.fsync(file.fileno())


def sync(folder: Path) -> None:
    """Write a folder to the disk, so that new names in it survive a loss of power, on systems that open folders."""
    with suppress(OSError):
        descriptor = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


def read(path: PathLike, kind: str, layout: int) -> tuple[dict[str, Any], dict[str, np.ndarray]]:
    """Read the header and the arrays of a file of this kind and layout; ValueError for any other file."""
    content = content_of(path)
    try:
        arrays = unzipped(content)
        header = json.loads(arrays.pop("header").tobytes())
        written_kind, written_layout = header["kind"], header["layout"]
    except MALFORMED as error:
        raise ValueError(f"{path} is damaged or not a file of fastem: {error}") from None
    if written_kind != kind:
        raise ValueError(f"{path} is a {str(written_kind)[:40]!r}, not a {kind!r}")
    if written_layout != layout:
        writer = str(header.get("fastem"))[:40]
        raise ValueError(
            f"{path} has layout {str(written_layout)[:40]} of a {kind}, written by fastem {writer}; this is fastem"
            f" {own_version()}, which reads layout {layout}"
        )
    return header, arrays


def own_version() -> str:
    """Return the version of fastem; what looks it up takes long to import."""
    return str(import_module("importlib.metadata").version("fastem"))


def content_of(path: PathLike) -> bytes:
    """Read a file that begins as files of fastem do; of any other file only the first bytes are read."""
    with open(path, "rb") as file:
        begin = file.read(len(BEGIN))
        if not begin:
            raise ValueError(f"{path} is damaged or not a file of fastem: it is empty")
        if begin[:4] != BEGIN[:4] or begin[30:] != BEGIN[30:]:
            raise ValueError(f"{path} is damaged or not a file of fastem: it begins with {begin[:8]!r}")
        return begin + file.read()


def unzipped(content: bytes) -> dict[str, np.ndarray]:
    """Read the arrays of an uncompressed npz; ValueError if they claim to be larger than the file."""
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        members = archive.infolist()
        if sum(member.file_size for member in members) > len(content):
            raise ValueError("its parts are larger than the file")
        return {member.filename.removesuffix(".npy"): array_of(archive.read(member)) for member in members}


def array_of(content: bytes) -> np.ndarray:
    """Read an array of the npy format, which must have a type of numbers and its size in bytes."""
    file = io.BytesIO(content)
    if np.lib.format.read_magic(file) != (1, 0):
        raise ValueError("an array has an unknown format")
    shape, fortran, dtype = np.lib.format.read_array_header_1_0(file)
    if dtype.kind not in "biuf" or math.prod(shape) * dtype.itemsize != len(content) - file.tell():
        raise ValueError("an array has an unknown type, or not its size in bytes")
    return np.frombuffer(content, dtype, offset=file.tell()).reshape(shape, order="F" if fortran else "C").copy()


# ------------------------------------------------------------------------------------------------------ trees of values


RANDOM = (np.random.Generator, np.random.RandomState, np.random.BitGenerator, np.random.SeedSequence)


def encode(value: object, arrays: dict[str, np.ndarray]) -> Json:
    """Convert a tree of values to JSON, and add its arrays to `arrays`; TypeError for other values.

    Each object of JSON has one name, which says what it is.  Random number generators become null.
    """
    if value is None or isinstance(value, (str, bool, np.bool_)):
        return bool(value) if isinstance(value, np.bool_) else value
    if isinstance(value, numbers.Real):
        return int(value) if isinstance(value, numbers.Integral) else float(value)
    if isinstance(value, os.PathLike):
        return os.fsdecode(value)
    if value is np.random or isinstance(value, RANDOM):
        return None
    if hasattr(value, "__array__"):
        return encode_array(np.asarray(value), arrays)
    if is_dataclass(value) and not isinstance(value, type):
        return {type(value).__name__: {f.name: encode(getattr(value, f.name), arrays) for f in fields(value)}}
    if isinstance(value, Mapping):
        return {"dict": {str(name): encode(each, arrays) for name, each in value.items()}}
    if isinstance(value, (tuple, list, set, frozenset)):
        values: list[Json] = [encode(each, arrays) for each in value]
        return values if isinstance(value, list) else {"tuple": values}
    raise TypeError(f"a {type(value).__name__} cannot be saved: {value!r}")


def encode_array(value: np.ndarray, arrays: dict[str, np.ndarray]) -> Json:
    """Convert an array of text to JSON, and add one of numbers to `arrays` under the name that JSON gets."""
    if value.ndim == 1 and value.dtype.kind in "OUT" and all(isinstance(each, str) for each in value):
        return {"strings": [str(each) for each in value]}
    if value.dtype.kind == "O":
        value = value.astype(np.float64)
    if value.dtype.kind not in "biuf":
        raise TypeError(f"an array of {value.dtype} cannot be saved")
    name = str(len(arrays))
    arrays[name] = value
    return {"array": name}


def decode(tree: Any, arrays: Mapping[str, np.ndarray], classes: Mapping[str, type]) -> Any:
    """Convert what `encode` returned back to the values; `classes` has the dataclasses by name."""
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
