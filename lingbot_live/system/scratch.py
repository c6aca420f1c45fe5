"""Hidden folders to write in, beside what they become; those of killed processes go away."""

from __future__ import annotations

import contextlib
import json
import logging
import platform
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path

import psutil

from lingbot_live.system.inputs import from_json, read_text

log = logging.getLogger(__name__)

_OWNER = "owner.json"  # which process writes here, and what for
_WORK, _OLD = "work", "old"


@contextmanager
def scratch_folder(output: Path) -> Iterator[Path]:
    """Yield an empty folder beside ``output``, which must have one; it is gone in the end.

    Raises:
        OSError: it cannot be made.
    """
    _clear_abandoned(output.parent)
    with tempfile.TemporaryDirectory(
        prefix=f".{output.name}-", dir=output.parent, ignore_cleanup_errors=True
    ) as name:
        hidden = Path(name)
        started_s = psutil.Process().create_time()
        owner = {
            "pid": psutil.Process().pid, "started_s": started_s, "host": platform.node(),
            "output": output.name,
        }  # fmt: skip
        (hidden / _OWNER).write_text(json.dumps(owner), encoding="utf-8")
        work = hidden / _WORK
        work.mkdir()
        yield work


def temporary_folder(name: str) -> AbstractContextManager[Path]:
    """Return a `scratch_folder` among the system's temporary files."""
    return scratch_folder(Path(tempfile.gettempdir()) / name)


def put_in_place(work: Path, output: Path) -> None:
    """Call a `scratch_folder` by its final name; what stands there is replaced, or stays."""
    if not output.exists():
        work.rename(output)
        return
    old = work.parent / _OLD
    output.rename(old)
    try:
        work.rename(output)
    except BaseException:
        old.rename(output)
        raise


def _clear_abandoned(folder: Path) -> None:
    """Remove what killed processes left; what one was replacing goes back to its place."""
    for note in folder.glob(f".*/{_OWNER}"):
        # A stranger may have put it there: a pipe, or any text.
        with contextlib.suppress(OSError, ValueError, KeyError, TypeError, OverflowError):
            owner = from_json(read_text(note))
            if not _is_gone(owner):
                continue
            hidden, output = note.parent, folder / Path(owner["output"]).name
            if (hidden / _OLD).exists() and not output.exists():
                (hidden / _OLD).rename(output)
            shutil.rmtree(hidden, ignore_errors=True)
            log.info("%s: left by a process that was killed; removed", hidden)


def _is_gone(owner: dict[str, object]) -> bool:
    if owner["host"] != platform.node():
        return False
    try:
        started_s = psutil.Process(int(str(owner["pid"]))).create_time()
    except psutil.NoSuchProcess:
        return True
    return abs(started_s - float(str(owner["started_s"]))) > 1.0  # the number was given again
