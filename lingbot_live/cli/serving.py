"""What viewers of a command without a window may have done: snapshot, record, mark."""

from __future__ import annotations

import threading
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING

from lingbot_live.errors import LingbotLiveError, RecordingError

if TYPE_CHECKING:
    from lingbot_live.config import RefinerConfig
    from lingbot_live.frame import Frame, RefinedFrame
    from lingbot_live.pipeline.session import Session
    from lingbot_live.publish.steering import Service, Steering
    from lingbot_live.recording.recorder import Recorder

_SLOW_S = 30.0  # for a disk


class Keeper:
    """Keeps what viewers ask for, in the folder where the command runs. Calls from any thread.

    ``recorder`` is the command's own, which viewers may pause; without one they begin and end
    recordings of their own.
    """

    def __init__(
        self, session: Session, config: RefinerConfig, recorder: Recorder | None = None
    ) -> None:
        self._session, self._config = session, config
        self._own = recorder
        self._theirs: Recorder | None = None
        self._last: dict[str, RefinedFrame] = {}
        self._lock = threading.Lock()
        session.add_tap(self._tap)

    def steering(self) -> Steering:
        """Return what publishers offer to viewers."""
        from lingbot_live.publish.steering import Steering

        services: dict[str, Service] = {
            "snapshot": self.snapshot,
            "record": self.record,
            "mark": self.mark,
        }
        return Steering.of(self._session, self._config, services)

    def snapshot(self, text: str = "") -> str:
        """Write the newest refined frame of each camera to a folder of its own."""
        from lingbot_live.export.snapshot import next_folder, write_snapshot

        with self._lock:
            newest = list(self._last.values())
            if not newest:
                raise LingbotLiveError("nothing to write yet: no refined frame")
            folders = [write_snapshot(next_folder(Path.cwd()), refined) for refined in newest]
        return f"written to {', '.join(map(str, folders))}"

    def record(self, text: str = "") -> str:
        """Pause or resume the command's recording; else begin one, or end the one begun."""
        with self._lock:
            if self._own is not None:
                return _pause_or_resume(self._own)
            return self._begin() if self._theirs is None else self._end()

    def mark(self, text: str = "") -> str:
        """Note this moment in the recording."""
        with self._lock:
            recorder = self._own or self._theirs
            if recorder is None or not recorder.is_active:
                raise RecordingError("nothing is recorded now; call record first")
            recorder.marker(text)
        return "marked"

    def close(self) -> None:
        """End what viewers began to record."""
        self._session.remove_tap(self._tap)
        with self._lock:
            if self._theirs is not None:
                self._end()

    def _tap(self, camera: str, what: Frame | RefinedFrame) -> None:
        from lingbot_live.frame import RefinedFrame

        if isinstance(what, RefinedFrame):
            self._last[camera] = what

    def _begin(self) -> str:
        from lingbot_live.recording.format import expand_name
        from lingbot_live.recording.recorder import Recorder

        name = expand_name("{camera}-{date}-{time}", self._session.feeds[0].name, datetime.now())
        recorder = Recorder(Path.cwd() / name, None, {"refiner": str(self._config)})
        recorder.start(self._session)
        self._theirs = recorder
        return f"recording to {recorder.path}"

    def _end(self) -> str:
        recorder, self._theirs = self._theirs, None
        if recorder is None:
            return ""
        parts = recorder.stop(_SLOW_S)
        if recorder.error is not None:
            raise recorder.error
        return f"recorded {', '.join(map(str, parts)) or 'nothing: no frame came'}"


def _pause_or_resume(recorder: Recorder) -> str:
    from lingbot_live.recording.state import RecorderState

    if recorder.state is RecorderState.PAUSED:
        recorder.resume()
        return "recording goes on"
    recorder.pause()
    return "recording is paused"
