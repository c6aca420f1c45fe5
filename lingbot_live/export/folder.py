"""Files and folders that appear under their name only when they are whole."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from lingbot_live.errors import ExportError

NOTE = "export.json"  # in every folder that an export wrote


def check_free(output: Path, force: bool) -> None:
    """Raise ExportError unless ``output`` may be written.

    It may be absent or an empty folder. With ``force`` it may also be a file, or a folder that an
    earlier export wrote; any other folder is never replaced.
    """
    if not output.exists() or (output.is_dir() and not any(output.iterdir())):
        return
    if not force:
        raise ExportError(f"{output}: it exists; choose another name, or replace it with --force")
    if output.is_dir() and not (output / NOTE).is_file():
        raise ExportError(
            f"{output}: no export wrote this folder, so it is not replaced; choose another name"
        )


@contextmanager
def new_folder(folder: Path) -> Iterator[Path]:
    """Yield a folder to write into, which is called ``folder`` when all went well.

    What stands there by then is replaced: see `check_free` for what may.

    Raises:
        ExportError: it cannot be written there.
    """
    with _scratch(folder) as work:
        yield work
        work.chmod(0o777 & ~_umask())
        _replace(work, folder)


@contextmanager
def new_file(file: Path) -> Iterator[Path]:
    """Yield a path to write to, with the suffix of ``file``, which it becomes when all went well.

    Raises:
        ExportError: it cannot be written there.
    """
    with _scratch(file) as work:
        yield work / file.name
        (work / file.name).replace(file)


@contextmanager
def _scratch(output: Path) -> Iterator[Path]:
    """Yield a hidden folder beside ``output``; it and all in it is gone in the end."""
    try:
        output.parent.mkdir(parents=True, exist_ok=True)
        work = Path(tempfile.mkdtemp(prefix=f".{output.name}-", dir=output.parent))
    except OSError as error:
        raise ExportError(f"{output}: cannot write there ({error.strerror})") from error
    try:
        yield work
    except OSError as error:
        raise ExportError(f"{output}: cannot write there ({error.strerror or error})") from error
    finally:
        shutil.rmtree(work, ignore_errors=True)


def _replace(work: Path, folder: Path) -> None:
    if not folder.exists():
        work.rename(folder)
        return
    old = Path(tempfile.mkdtemp(prefix=f".{folder.name}-old-", dir=folder.parent))
    folder.rename(old / folder.name)
    try:
        work.rename(folder)
    except OSError:
        (old / folder.name).rename(folder)
        raise
    finally:
        shutil.rmtree(old, ignore_errors=True)


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask
