"""The window's recorder."""

from __future__ import annotations

from pathlib import Path

from PySide6.QtCore import QObject, Signal

from lingbot_live.pipeline.session import Session
from lingbot_live.recording.recorder import Recorder
from lingbot_live.recording.state import RecorderOptions, RecorderState, RecorderStats
from ui.shell.desk import Desk
from ui.shell.stage import Stage


class RecordControl(QObject):
    """The window's recorder, if one runs: started and stopped on threads, for disks may be slow.

    ``failed(str)`` tells why a recording could not start or ended early, ``written(list)`` which
    files it left, ``space_low(str)`` once that the disk is nearly full.
    """

    failed = Signal(str)
    written = Signal(list)
    space_low = Signal(str)

    def __init__(self, stage: Stage, desk: Desk) -> None:
        super().__init__(stage)
        self._tasks = desk.tasks
        self._recorder: Recorder | None = None
        self.marks = 0  # set in the present recording
        self._warned = False
        stage.ending.connect(self.stop)
        self.failed.connect(desk.show_error)
        self.space_low.connect(desk.show_error)

    @property
    def is_active(self) -> bool:
        """Whether frames are being written."""
        return self._recorder is not None

    def start(
        self,
        session: Session,
        path: Path,
        settings: dict[str, str],
        options: RecorderOptions | None = None,
    ) -> None:
        """Record ``session`` into a new file."""
        if self._recorder is not None:
            return
        recorder = self._recorder = Recorder(path, options, settings)
        self.marks, self._warned = 0, False

        def begin() -> None:
            path.parent.mkdir(parents=True, exist_ok=True)
            recorder.start(session)

        self._tasks.run("start recording", begin, on_error=self._give_up)

    def stop(self) -> None:
        """End the recording; `written` follows when the file is complete."""
        recorder, self._recorder = self._recorder, None
        if recorder is not None:
            self._tasks.run("stop recording", recorder.stop, self._tell_written)

    def mark(self) -> None:
        """Note this moment in the file."""
        if self._recorder is not None:
            self.marks += 1
            self._recorder.marker(f"marker {self.marks}")

    def pause_or_resume(self) -> None:
        """Leave frames out for a while, or go on."""
        if self._recorder is None:
            return
        if self._recorder.state is RecorderState.PAUSED:
            self._recorder.resume()
        else:
            self._recorder.pause()

    def stats(self) -> RecorderStats | None:
        """Return the figures of this moment; tells a failure once and ends the recording."""
        recorder = self._recorder
        if recorder is None or recorder.state is RecorderState.READY:
            return None
        if not recorder.is_active:  # by itself: the disk failed or is full
            self._recorder = None
            self._tasks.run("stop recording", recorder.stop)
            self.failed.emit(f"Recording ended: {recorder.error}")
            return None
        stats = recorder.stats()
        if stats.is_space_low and not self._warned:
            self._warned = True
            self.space_low.emit(
                f"{stats.path.parent}: room for {stats.minutes_left or 0:.1f} more minutes of "
                "recording; it stops and is saved before the disk is full"
            )
        return stats

    def _give_up(self, error: BaseException) -> None:
        self._recorder = None
        self.failed.emit(f"Recording did not start: {error}")

    def _tell_written(self, paths: list[Path]) -> None:
        if paths:
            self.written.emit(paths)
