"""The cache folder, and files in it that are whole or not there at all."""

from __future__ import annotations

import errno
import hashlib
import os
import shutil
import threading
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from lingbot_live.config import cache_folder as cache_folder
from lingbot_live.errors import DownloadCancelledError, WeightsError

Progress = Callable[[int, int], None]  # (bytes done, bytes in all)

_FULL = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}
_CHUNK_BYTES = 1 << 20


@contextmanager
def whole_file(target: Path) -> Iterator[Path]:
    """Yield a temporary path beside ``target`` that replaces it when the block ends well.

    Raises:
        WeightsError: the folder cannot be written, or the disk is full.
    """
    temporary = target.with_name(f".{target.name}.{uuid.uuid4().hex[:8]}.tmp")
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        yield temporary
        put_in_place(temporary, target)
    except OSError as error:
        raise disk_error(target, error) from error
    finally:
        if temporary.exists():
            temporary.unlink()


def put_in_place(complete: Path, target: Path) -> None:
    """Move a complete file over ``target`` so that a power cut leaves the old or the new one."""
    with complete.open("rb+") as file:
        os.fsync(file.fileno())
    os.replace(complete, target)


def disk_error(target: Path, error: OSError) -> WeightsError:
    """Return the error of a failed write, with what to do about it."""
    if error.errno not in _FULL:
        return WeightsError(f"{target}: cannot be written ({error.strerror or error})")
    return WeightsError(
        f"{target}: the disk is full ({error.strerror}). Free some space, or point "
        "LINGBOT_LIVE_CACHE at another disk, and run it again"
    )


def require_space(folder: Path, needed_bytes: int) -> None:
    """Raise a WeightsError if the disk of ``folder`` has less than ``needed_bytes`` left."""
    free_bytes = shutil.disk_usage(folder).free
    if needed_bytes > free_bytes:
        raise WeightsError(
            f"{folder}: the disk is full: {megabytes(needed_bytes)} are needed, "
            f"{megabytes(free_bytes)} are free. Free some space, or point "
            "LINGBOT_LIVE_CACHE at another disk"
        )


def megabytes(count: int) -> str:
    """Return a number of bytes as text, in MB."""
    return f"{count / 1e6:,.1f} MB"


def new_hash(checksum: str, size: int) -> hashlib._Hash:
    """Return the hash that a checksum ``sha256:HEX`` or ``git:HEX`` is made with.

    Git names a file by the SHA-1 of ``blob SIZE\\0`` and its content (git-scm.com, Git Objects).
    """
    if checksum.startswith("git:"):
        return hashlib.sha1(b"blob %d\0" % size, usedforsecurity=False)
    return hashlib.sha256()


def hash_file(
    path: Path,
    into: hashlib._Hash,
    progress: Progress | None = None,
    cancel: threading.Event | None = None,
) -> None:
    """Feed a whole file to a hash.

    Raises:
        DownloadCancelledError: ``cancel`` was set.
    """
    done, total = 0, path.stat().st_size
    with path.open("rb") as file:
        while chunk := file.read(_CHUNK_BYTES):
            check_cancel(cancel, path.name)
            into.update(chunk)
            done += len(chunk)
            if progress:
                progress(done, total)


def check_cancel(cancel: threading.Event | None, what: str) -> None:
    """Raise a DownloadCancelledError if ``cancel`` is set."""
    if cancel is not None and cancel.is_set():
        raise DownloadCancelledError(f"{what}: stopped; what has arrived is kept for the next time")
