"""Look at a recording before an SDK does: by its first bytes here, then in a child process.

SDKs crash, hang or read gigabytes on damaged files. `check_rosbag` and `check_sqlite` find the
common damage in a millisecond; `probe` lets the driver read one frame in a child process, once per
file, so that whatever happens there leaves the app alive.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import logging
import os
import sqlite3
import struct
import subprocess
import sys
import tempfile
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

from lingbot_live import errors
from lingbot_live.config import CameraConfig, cache_folder
from lingbot_live.errors import (
    BadRecordingError,
    CameraError,
    CameraNotFoundError,
    EndOfStreamError,
)

log = logging.getLogger(__name__)

PROBE_LIMIT_S = 8.0  # a damaged file must give its error within 10 s
_CHUNK_INFO = b"\x06"  # op code
_BAG_MAGIC = b"#ROSBAG V2.0\n"
_SQLITE_MAGIC = b"SQLite format 3\x00"
_RESULT = "result.json"
_IN_CHILD = "LINGBOT_LIVE_PROBE"


def existing_file(target: str, who: str, suffixes: tuple[str, ...]) -> Path:
    """Return the absolute path of a recording.

    Raises:
        CameraNotFoundError: there is no such file.
        BadRecordingError: it is a folder, empty, unreadable, or has another suffix.
    """
    path = Path(target).expanduser().absolute()
    if not path.exists():
        raise CameraNotFoundError(f"{who}: no such file {path}; check the path")
    if path.is_dir():
        raise BadRecordingError(f"{who}: {path} is a folder; name a {' or '.join(suffixes)} file")
    if path.suffix.lower() not in suffixes:
        raise BadRecordingError(
            f"{who}: {path.name} is no {' or '.join(suffixes)} file; rename it if it is one"
        )
    if not os.access(path, os.R_OK):
        raise BadRecordingError(f"{who}: {path} may not be read; check its permissions")
    if path.stat().st_size == 0:
        raise BadRecordingError(f"{who}: {path} is empty; record it again")
    return path


def check_rosbag(path: Path) -> set[str]:
    """Return the topics of a ROS 1 bag (format: wiki.ros.org/Bags/Format/2.0).

    Raises:
        BadRecordingError: it is no bag, was not closed, or is cut short.
    """
    try:
        found = (fields for fields, _ in _records(_bag_index(path)))
        return {_text(fields[b"topic"]) for fields in found if b"topic" in fields}
    except (struct.error, KeyError, ValueError, OverflowError) as error:
        raise BadRecordingError(
            f"{path}: the bag is damaged or cut short; copy it again"
        ) from error


def rosbag_counts(path: Path) -> dict[str, int]:
    """Return the number of messages of each topic of a sound ROS 1 bag, from its index."""
    topics: dict[int, str] = {}
    counts: Counter[int] = Counter()
    for fields, data in _records(_bag_index(path)):
        if b"topic" in fields:
            topics[struct.unpack("<I", fields[b"conn"])[0]] = _text(fields[b"topic"])
        elif fields[b"op"] == _CHUNK_INFO:
            counts.update(dict(struct.iter_unpack("<II", data)))
    return {topic: counts[number] for number, topic in topics.items()}


def sqlite_counts(path: Path) -> dict[str, int]:
    """Return the number of messages of each topic of a sound ROS 2 SQLite recording."""
    query = (
        "SELECT topics.name, COUNT(messages.id) FROM topics "
        "LEFT JOIN messages ON messages.topic_id = topics.id GROUP BY topics.id"
    )
    with contextlib.closing(sqlite3.connect(f"{path.as_uri()}?mode=ro", uri=True)) as database:
        return {str(name): int(count) for name, count in database.execute(query)}


def check_sqlite(path: Path) -> set[str]:
    """Return the topics of a ROS 2 SQLite recording.

    Raises:
        BadRecordingError: it is no such file, or is cut short.
    """
    with path.open("rb") as file:
        head = file.read(100)
    if head[:16] != _SQLITE_MAGIC or len(head) < 100:
        raise BadRecordingError(
            f"{path}: not an SQLite recording (its first bytes say so); choose another"
        )
    # Page size and count: sqlite.org/fileformat2.html, sections 1.3.2 and 1.3.8.
    page_size, pages = struct.unpack_from(">H", head, 16)[0], struct.unpack_from(">I", head, 28)[0]
    if path.stat().st_size < (65536 if page_size == 1 else page_size) * pages:
        raise BadRecordingError(f"{path}: the recording is cut short; copy it again")
    try:
        # Not `with connect(...)`, which ends a transaction but leaves the file open.
        with contextlib.closing(sqlite3.connect(f"{path.as_uri()}?mode=ro", uri=True)) as database:
            return {name for (name,) in database.execute("SELECT name FROM topics")}
    except sqlite3.Error as error:
        raise BadRecordingError(f"{path}: no ROS recording inside ({error})") from error


def probe(scheme: str, path: Path, limit_s: float = PROBE_LIMIT_S) -> None:
    """Let the driver of ``scheme`` read one frame of ``path`` in a child process.

    Files that passed are remembered by path, size and time of change, so this costs nothing the
    next time.

    Raises:
        BadRecordingError: the child crashed, or had no frame within ``limit_s``.
        CameraError: whatever the driver said of the file.
    """
    if _IN_CHILD in os.environ:
        return
    mark = _mark(scheme, path)
    if mark.exists():
        return
    with tempfile.TemporaryDirectory(prefix="lingbot-live-") as folder:
        _run_child(scheme, path, Path(folder), limit_s)
    try:
        mark.parent.mkdir(parents=True, exist_ok=True)
        mark.touch()
    except OSError as error:
        log.info("%s will be probed again: %s", path, error)


def _mark(scheme: str, path: Path) -> Path:
    stat = path.stat()
    key = f"{scheme}\n{path}\n{stat.st_size}\n{stat.st_mtime_ns}"
    name = hashlib.sha256(key.encode("utf-8", "surrogateescape")).hexdigest()[:32]
    return cache_folder() / "probed" / name


def _run_child(scheme: str, path: Path, folder: Path, limit_s: float) -> None:
    # The temporary folder is the child's working directory: SDKs leave log folders there, and
    # Python would import a stranger's `drivers` from the user's.
    command = [sys.executable, "-m", "drivers._recording", scheme, str(path)]
    environment = {**os.environ, _IN_CHILD: "1"}
    try:
        done = subprocess.run(
            command, cwd=folder, env=environment, timeout=limit_s, capture_output=True, check=False
        )
    except subprocess.TimeoutExpired:
        raise BadRecordingError(
            f"{path}: no frame within {limit_s:g} s; the file is damaged or its disk is too slow"
        ) from None
    result = folder / _RESULT
    if not result.exists():
        log.info("probe of %s: %s", path, done.stderr.decode(errors="replace")[-2000:])
        raise BadRecordingError(
            f"{path}: the SDK crashed on it (exit status {done.returncode}); the file is damaged"
        )
    answer = json.loads(result.read_text("utf-8"))
    if answer:
        raise getattr(errors, answer["error"])(answer["message"])


def _block(data: bytes, at: int = 0) -> bytes:
    (size,) = struct.unpack_from("<I", data, at)
    if at + 4 + size > len(data):
        raise ValueError("a record reaches past the end")
    return data[at + 4 : at + 4 + size]


def _fields(header: bytes) -> dict[bytes, bytes]:
    fields, at = {}, 0
    while at < len(header):
        field = _block(header, at)
        name, _, value = field.partition(b"=")
        fields[name] = value
        at += 4 + len(field)
    return fields


def _bag_index(path: Path) -> bytes:
    with path.open("rb") as file:
        if file.read(len(_BAG_MAGIC)) != _BAG_MAGIC:
            raise BadRecordingError(
                f"{path}: not a ROS bag (its first bytes say so); choose another"
            )
        index_pos = struct.unpack("<Q", _fields(_block(file.read(4096)))[b"index_pos"])[0]
        if index_pos == 0:
            raise BadRecordingError(
                f"{path}: the bag was never closed; repair it with `rosbag reindex`"
            )
        file.seek(index_pos)
        return file.read()


def _text(value: bytes) -> str:
    return value.decode("utf-8", "replace")


def _records(index: bytes) -> Iterator[tuple[dict[bytes, bytes], bytes]]:
    at = 0
    if not index:
        raise ValueError("the index is missing")
    while at < len(index):
        header = _block(index, at)
        data = _block(index, at + 4 + len(header))
        yield _fields(header), data
        at += 8 + len(header) + len(data)


def main(scheme: str, path: str) -> None:
    """Body of the child: read one frame and leave the verdict in the working directory."""
    from lingbot_live import registry
    from lingbot_live.camera import CameraInfo, first_frame

    answer: dict[str, str] = {}
    try:
        info = CameraInfo(scheme, path, Path(path).name, is_recording=True)
        config = CameraConfig(loop=False, realtime=False)
        with registry.driver(scheme).create(info, config) as camera:
            first_frame(camera, PROBE_LIMIT_S)
    except EndOfStreamError:
        answer = {"error": "BadRecordingError", "message": f"{path}: no colour and depth in it"}
    except CameraError as error:
        answer = {"error": type(error).__name__, "message": str(error)}
    Path(_RESULT).write_text(json.dumps(answer), "utf-8")


if __name__ == "__main__":
    main(*sys.argv[1:])
