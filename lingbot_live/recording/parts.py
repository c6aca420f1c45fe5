"""The files of one recording: one, or several where it is split by size or time."""

from __future__ import annotations

import json
import time
from collections.abc import Mapping, Sequence
from concurrent.futures import Executor
from dataclasses import asdict, dataclass, replace
from datetime import datetime, timezone
from pathlib import Path

from lingbot_live import __version__
from lingbot_live.cameras.base import CameraInfo
from lingbot_live.frame import Calibration
from lingbot_live.recording.clock import Moment
from lingbot_live.recording.encode import Messages, encode_camera
from lingbot_live.recording.format import COMMON, SESSION, VERSION, Role
from lingbot_live.recording.session_file import SessionFile
from lingbot_live.recording.state import RecorderOptions


@dataclass(frozen=True, slots=True)
class Mishap:
    """What another program did to a file that was being written, and how many frames that cost."""

    text: str
    frames_lost: int


class Parts:
    """Writes messages into the present file and begins the next when it is time.

    Raises:
        RecordingError: a file exists or cannot be made.
        OSError: the disk is full or gone; call `abort` then.
    """

    def __init__(
        self,
        path: Path,
        options: RecorderOptions,
        settings: Mapping[str, str],
        epoch_offset_ns: int,
        packers: Executor | None = None,
    ) -> None:
        self.paths: list[Path] = []
        self._name, self._options = path, options
        self._settings, self._epoch_offset_ns = dict(settings), epoch_offset_ns
        self._finished_bytes = 0
        self._number = 0  # of files begun
        self._packers = packers
        self._described: dict[str, tuple[CameraInfo | None, Calibration]] = {}
        self._file = self._begin()

    @property
    def path(self) -> Path:
        """The file being written."""
        return self._file.path

    @property
    def size_bytes(self) -> int:
        """Bytes in all files."""
        return self._finished_bytes + self._file.size_bytes

    def holds(self, camera: str, moment: Moment) -> bool:
        """Whether the present file may hold a camera's frame of this moment."""
        first_ns = self._file.first_ns(camera)
        return first_ns is not None and first_ns <= moment.log_ns

    def describe(
        self,
        camera: str,
        name: str,
        moment: Moment,
        info: CameraInfo | None,
        calibration: Calibration,
    ) -> None:
        """Before a frame: begin a new file if it is time, say what is new of the camera."""
        self._rotate()
        if self._file.first_ns(camera) is None:
            self._file.add_camera(camera, name, moment.log_ns)
            self._described.pop(camera, None)
        known = info, calibration
        if self._described.get(camera) != known or not self._file.describes(camera):
            self._described[camera] = known
            messages = encode_camera(info, calibration, name, moment.stamp_ns)
            self._file.describe(camera, moment.log_ns, messages)

    def announce(self, camera: str, name: str, log_ns: int, roles: Sequence[Role]) -> None:
        """Make a camera's channels known now, in this order."""
        self._file.add_camera(camera, name, log_ns)
        self._file.register(camera, roles)

    def announce_common(self) -> None:
        """Make the channels known that all cameras share."""
        self._file.register("", COMMON)

    def write(
        self, camera: str, moment: Moment, publish_ns: int, sequence: int, messages: Messages
    ) -> None:
        """Write the messages of one frame, result or event."""
        self._file.write(camera, moment.log_ns, publish_ns, sequence, messages)

    def flush(self) -> None:
        """Make what is written safe from a kill."""
        self._file.flush()

    def look(self) -> Mishap | None:
        """Begin a new file where another program took away or damaged the present one."""
        what = self._file.mishap()
        if not what:
            return None
        mishap = self._leave(what)
        self._file = self._begin(after_mishap=True)
        return replace(mishap, text=f"{mishap.text}; it goes on in {self.path.name}")

    def close(self) -> Mishap | None:
        """End the last file; returns what another program did to it meanwhile."""
        self._file.flush()
        what = self._file.mishap()
        if what:
            return self._leave(what)
        self._file.finish()
        return None

    def abort(self) -> int:
        """After an error: keep what is whole; returns how many frames that cost."""
        return self._file.frames - self._file.abort()

    def remove_empty(self) -> None:
        """Delete the last file, closed, if it holds no frame."""
        if self._file.is_empty:
            self.remove()

    def remove(self) -> None:
        """Delete the last file, closed."""
        if self.path in self.paths:
            self._file.remove()
            self.paths.remove(self.path)

    def _leave(self, what: str) -> Mishap:
        path, frames = self.path, self._file.frames
        kept = self._file.leave()
        self._finished_bytes += self._file.size_bytes
        if not (kept and self._file.is_in_place):
            self.paths.remove(path)
        if kept == frames:
            return Mishap(f"{path}: it {what} while recording, with {frames} frames in it", 0)
        text = f"{path}: it {what} while recording, {frames - kept} of its {frames} frames are lost"
        return Mishap(text, frames - kept)

    def _rotate(self) -> None:
        most_bytes, most_s = self._options.split_bytes, self._options.split_s
        full = most_bytes is not None and self._file.size_bytes >= most_bytes
        old = most_s is not None and time.monotonic() - self._began_s >= most_s
        if (full or old) and not self._file.is_empty:
            self._file.finish()
            self._finished_bytes += self._file.size_bytes
            self._file = self._begin()

    def _begin(self, *, after_mishap: bool = False) -> SessionFile:
        path = self._next_path()
        while after_mishap and path.exists():
            self._number += 1
            path = self._next_path()
        file = SessionFile(path, self._metadata(), self._options.compression, self._packers)
        self._began_s = time.monotonic()
        self.paths.append(path)
        self._number += 1
        return file

    def _next_path(self) -> Path:
        options, path = self._options, self._name
        if not self._number and options.split_bytes is None and options.split_s is None:
            return path
        return path.with_name(f"{path.stem}_{self._number:03d}{path.suffix}")

    def _metadata(self) -> list[tuple[str, dict[str, str]]]:
        about = {
            "format": str(VERSION),
            "version": __version__,
            "created": datetime.now(timezone.utc).isoformat(timespec="seconds"),
            "epoch_offset_ns": str(self._epoch_offset_ns),
            "part": str(self._number),
            "options": json.dumps(asdict(self._options)),
        }
        return [(SESSION, about), (f"{SESSION}.settings", self._settings)]
