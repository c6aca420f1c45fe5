"""Files and folders that appear under their name only when they are whole."""

from __future__ import annotations

import json
import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from lingbot_live.errors import ExportError
from lingbot_live.system.outputs import is_ours

NOTE = "export.json"  # in every folder that an export wrote


def check_free(output: Path, force: bool, as_file: bool = False) -> None:
    """Raise ExportError unless ``output`` may be written, a folder or with ``as_file`` a file.

    It may be absent or an empty folder. With ``force`` it may also be what an earlier export wrote,
    a folder in which nothing else lies or a file; all else is never replaced.
    """
    is_empty = output.is_dir() and not as_file and not any(output.iterdir())
    if is_empty or not os.path.lexists(output):
        return
    if not force:
        raise ExportError(f"{output}: it exists; choose another name, or replace it with --force")
    if as_file and is_ours(output):
        return
    if as_file or not output.is_dir():
        raise ExportError(
            f"{output}: no export wrote this {'folder' if output.is_dir() else 'file'}, so it is "
            "not replaced; choose another name"
        )
    strange = next(iter(sorted(_files(output) - _written(output))), None)
    if strange is not None:
        raise ExportError(
            f"{output}: no export wrote {strange} in this folder, so it is not replaced; choose "
            "another name"
        )


def note_files(folder: Path) -> list[str]:
    """Return what an export's note is to say of the files beside it."""
    return sorted(_files(folder))


def _files(folder: Path) -> set[str]:
    """Names of all but folders, relative to ``folder``."""
    found = (path for path in folder.rglob("*") if path.is_symlink() or not path.is_dir())
    return {path.relative_to(folder).as_posix() for path in found}


def _written(folder: Path) -> set[str]:
    """What the note in a folder says that an export wrote; nothing without one."""
    try:
        note = json.loads((folder / NOTE).read_text(encoding="utf-8"))
        return {NOTE, *note["files"]} if note["app"].startswith("lingbot-live") else set()
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return set()


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
