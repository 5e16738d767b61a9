"""Check before a long fit that its results can be written, and write all of them that can be."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path

from fastem._storage import check_can_be_written
from fastem.cli.streams import EXPECTED_ERRORS, STANDARD, one_line, write_message


def check_destinations(sources: Sequence[str], *paths: str) -> None:
    """Raise ValueError or OSError if a file cannot be written, or would replace a source that is read."""
    for path in paths:
        if not Path(path).parent.is_dir():
            raise ValueError(f"{path} cannot be written: there is no folder {Path(path).parent}")
        if Path(path).is_dir():
            raise ValueError(f"{path} cannot be written: it is a folder")
        for source in sources:
            if is_same_file(path, source):
                raise ValueError(f"{path} cannot be written: it is read, and would be lost")
        check_can_be_written(path)
    if len({os.path.realpath(path) for path in paths}) < len(paths):
        raise ValueError(f"two results cannot be written to the same file, {paths[0]}")


def is_same_file(path: str, source: str) -> bool:
    """Return whether a path leads to the source, or into it if the source is a folder."""
    if Path(source).is_dir():
        return Path(os.path.realpath(source)) in Path(os.path.realpath(path)).parents
    with suppress(OSError):
        return os.path.samefile(path, 0 if source == STANDARD else source)
    return False


def write_all(*writers: Callable[[], None]) -> None:
    """Call all writers, even if one of them fails; write a message for each error, but raise the last one."""
    errors = []
    for write in writers:
        try:
            write()
        except EXPECTED_ERRORS as error:
            errors.append(error)
    for earlier in errors[:-1]:
        write_message(f"error: {one_line(earlier)}")
    if errors:
        raise errors[-1]
