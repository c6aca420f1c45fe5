"""What goes by a published name is what was published, however its file came here."""

from __future__ import annotations

import hashlib
import json
import logging
from pathlib import Path

from lingbot_live.errors import WeightsError
from lingbot_live.model.weights.files import cache_folder, hash_file, whole_file
from lingbot_live.model.weights.store import resolve
from lingbot_live.model.weights.zoo import RECOMMENDED, published, takes_any
from lingbot_live.system.inputs import from_json, read_text

log = logging.getLogger(__name__)


def trusted(name_or_path: str = "") -> Path:
    """Return what `resolve` does, for loading.

    A file with a known checksum is read through before its first use, and again once it changed.

    Raises:
        WeightsError: there is no such file, or it is not what was published under its name.
    """
    path = resolve(name_or_path)
    entry = published(name_or_path or RECOMMENDED)
    if entry is None or not entry.sha256 or takes_any():
        return path
    found = _checksum(path)
    if found != entry.sha256:
        raise WeightsError(
            f"{path}: its sha256 is {found}, that of the published {entry.name} is {entry.sha256}. "
            f"Download it again (lingbot-live models remove {entry.name}, then download), or add "
            "--any if these weights are meant"
        )
    return path


def _checksum(path: Path) -> str:
    """Return a file's sha256, without reading it where that was done before."""
    key = hashlib.sha256(str(path.resolve()).encode()).hexdigest()[:20]
    note, stamp = cache_folder() / "checked" / f"{key}.json", _stamp(path)
    try:
        noted = from_json(read_text(note))
        if noted["stamp"] == stamp:
            return str(noted["sha256"])
    except (OSError, ValueError, KeyError, TypeError) as error:
        log.debug("%s: not known yet (%s)", path, error)
    total = hashlib.sha256()
    hash_file(path, total)
    _keep(note, json.dumps({"stamp": stamp, "sha256": total.hexdigest()}))
    return total.hexdigest()


def _stamp(path: Path) -> list[str | int]:
    """Return what changes with the file; its time of change cannot be set back."""
    stat = path.stat()
    return [str(path.resolve()), stat.st_ino, stat.st_size, stat.st_mtime_ns, stat.st_ctime_ns]


def _keep(note: Path, text: str) -> None:
    try:
        with whole_file(note) as temporary:
            temporary.write_text(text, encoding="utf-8")
    except WeightsError as error:
        log.warning("the next start checks the weights again: %s", error)
