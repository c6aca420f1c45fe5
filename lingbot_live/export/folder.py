"""Files and folders that appear under their name only when they are whole."""

from __future__ import annotations

import errno
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from lingbot_live.errors import ExportError
from lingbot_live.system.inputs import from_json, read_text
from lingbot_live.system.outputs import is_ours
from lingbot_live.system.scratch import put_in_place, scratch_folder
from lingbot_live.system.signals import stoppable
from lingbot_live.system.writing import is_full, writing

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
        note = from_json(read_text(folder / NOTE))
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
        check_room(work)
        with stoppable():  # between two names nothing may come between
            put_in_place(work, folder)


@contextmanager
def new_file(file: Path) -> Iterator[Path]:
    """Yield a path to write to, with the suffix of ``file``, which it becomes when all went well.

    Raises:
        ExportError: it cannot be written there.
    """
    with _scratch(file) as work:
        yield work / file.name
        check_room(work)
        (work / file.name).replace(file)


@contextmanager
def _scratch(output: Path) -> Iterator[Path]:
    with writing(output, ExportError):
        output.parent.mkdir(parents=True, exist_ok=True)
        # Twice: whether the disk is full must be asked before the scratch folder goes.
        with scratch_folder(output) as work, writing(output, ExportError):
            yield work


def check_room(work: Path) -> None:
    """Raise OSError where the disk is full: several libraries say nothing then."""
    if is_full(work):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
