"""Disks that are full, fail or refuse, in words: which file, what is kept, what to do."""

from __future__ import annotations

import errno
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from lingbot_live.errors import LingbotLiveError, WriteError
from lingbot_live.system.scratch import scratch_folder

_FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
_NOTHING = "nothing was written"
_LITTLE = 1 << 16  # bytes free: libraries that only say "failed" did so for want of room


@contextmanager
def writing(
    path: Path, kind: type[LingbotLiveError] = WriteError, kept: str = _NOTHING
) -> Iterator[None]:
    """Turn an OSError into a ``kind`` that says what became of ``path``."""
    try:
        yield
    except OSError as error:
        raise kind(cannot_write(path, error, kept)) from error


def write_text(path: Path, text: str) -> None:
    """Write a small file of text in UTF-8; as `write_bytes`."""
    write_bytes(path, text.encode("utf-8"))


def write_bytes(path: Path, data: bytes) -> None:
    """Write a small file so that it is there whole or as it was before.

    Raises:
        WriteError: it could not be written.
    """
    path = path.expanduser()
    with writing(path, kept="what stood there is as it was"):
        if path.exists() and not path.is_file():  # such as /dev/stdout
            path.write_bytes(data)
            return
        target = path.resolve()  # a link stays one
        with scratch_folder(target) as work:
            (work / target.name).write_bytes(data)
            (work / target.name).replace(target)


def cannot_write(path: Path, error: OSError, kept: str = _NOTHING) -> str:
    """Return in one line which file could not be written, why, what is kept and what to do."""
    why = error.strerror or " ".join(str(error).split())
    if error.errno in _FULL or (error.errno is None and is_full(path)):
        return f"{path}: the disk is full ({why}); {kept}. Make room and try again"
    if error.errno == errno.ENOENT:
        return f"{path}: its folder is not there ({why}); {kept}. Make it and try again"
    if error.errno in (errno.EACCES, errno.EPERM, errno.EROFS, errno.ENOTDIR, errno.EISDIR):
        return f"{path}: it cannot be written ({why}); {kept}. Choose another place"
    return (
        f"{path}: it cannot be written ({why}); {kept}. Check the disk or the network and try again"
    )


def is_full(path: Path) -> bool:
    """Whether the disk of ``path`` has next to no room."""
    try:
        return shutil.disk_usage(path.absolute().parent).free < _LITTLE
    except OSError:
        return False
