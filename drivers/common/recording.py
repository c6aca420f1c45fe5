"""Look at a recording before an SDK does: by its first bytes here, then in a child process.

SDKs crash, hang or read gigabytes on damaged files. `check_sqlite` and `rosbag.Bag` find common
damage in a millisecond; `probe` lets the driver read one frame in a child process, once per file,
so that whatever happens there leaves the app alive.
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
import time
from pathlib import Path

import psutil

from drivers.common.sdk_log import FOLDER as SDK_LOG_FOLDER
from drivers.common.sdk_log import SdkLog
from lingbot_live import errors
from lingbot_live.config import CameraConfig, cache_folder
from lingbot_live.errors import (
    BadRecordingError,
    CameraError,
    CameraNotFoundError,
    EndOfStreamError,
)
from lingbot_live.recording.bags.database import connect
from lingbot_live.system.children import Child

log = logging.getLogger(__name__)

_LOOK_S, _MOST_BYTES = 0.1, 1 << 30
PROBE_LIMIT_S = 8.0  # a damaged file must give its error within 10 s
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


def sqlite_counts(path: Path) -> dict[str, int]:
    """Return the number of messages of each topic of a sound ROS 2 SQLite recording."""
    query = (
        "SELECT topics.name, COUNT(messages.id) FROM topics "
        "LEFT JOIN messages ON messages.topic_id = topics.id GROUP BY topics.id"
    )
    with contextlib.closing(connect(path)) as database:
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
        with contextlib.closing(connect(path)) as database:
            return {name for (name,) in database.execute("SELECT name FROM topics")}
    except sqlite3.Error as error:
        raise BadRecordingError(f"{path}: no ROS recording inside ({error})") from error


def is_sound(scheme: str, path: Path) -> bool:
    """Whether `probe` has passed this file as it is now, or is just about it."""
    return _IN_CHILD in os.environ or _mark(scheme, path).exists()


def probe(
    scheme: str, path: Path, sdk_log: SdkLog | None = None, limit_s: float = PROBE_LIMIT_S
) -> None:
    """Let the driver of ``scheme`` read one frame of ``path`` in a child process.

    Files that passed are remembered by path, size and time of change, so this costs nothing the
    next time. Of others, what the SDK wrote in the child comes into ``sdk_log``.

    Raises:
        BadRecordingError: the child crashed, or had no frame within ``limit_s``.
        CameraError: whatever the driver said of the file.
    """
    if is_sound(scheme, path):
        return
    mark = _mark(scheme, path)
    _ask_child(scheme, path, sdk_log, limit_s)
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


def _ask_child(scheme: str, path: Path, sdk_log: SdkLog | None, limit_s: float) -> None:
    with Child(
        "drivers.common.recording", scheme, str(path), environment={_IN_CHILD: "1"}
    ) as child:
        try:
            _hear(child, path, limit_s)
        except CameraError:
            if sdk_log is not None:
                sdk_log.hand_on_from(child.folder)
            raise


def _hear(child: Child, path: Path, limit_s: float) -> None:
    fault = _wait(child, limit_s)
    if fault:
        child.process.kill()
        child.process.wait()  # before what its SDK wrote is read
        raise BadRecordingError(f"{path}: {fault}")
    result = child.folder / _RESULT
    if not result.exists():
        how = child.last_words()
        log.info("probe of %s: %s", path, how)
        raise BadRecordingError(
            f"{path}: the SDK crashed on it (exit status {child.process.returncode}); "
            "the file is damaged"
        )
    answer = json.loads(result.read_text("utf-8"))
    if answer:
        raise getattr(errors, answer["error"])(answer["message"])


def _wait(child: Child, limit_s: float) -> str:
    """Wait for its end; return what is wrong where it takes too much time or memory."""
    deadline_s = time.monotonic() + limit_s
    while time.monotonic() < deadline_s:
        try:
            child.process.communicate(timeout=_LOOK_S)
            return ""
        except subprocess.TimeoutExpired:
            with contextlib.suppress(psutil.Error):  # it just ended
                if psutil.Process(child.process.pid).memory_info().rss > _MOST_BYTES:
                    return f"its SDK takes over {_MOST_BYTES >> 20} MB for one frame of it"
    return f"no frame within {limit_s:g} s; the file is damaged or its disk is too slow"


def main(scheme: str, path: str) -> None:
    """Body of the child: read one frame and leave the verdict in the working directory."""
    from lingbot_live.cameras import registry
    from lingbot_live.cameras.base import CameraInfo, first_frame

    os.environ[SDK_LOG_FOLDER] = os.getcwd()  # SDKs leave logs where they work
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
