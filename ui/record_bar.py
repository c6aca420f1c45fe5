"""Record, mark and stop, with what matters while it runs: time, size, loss, room left."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from PySide6.QtCore import QObject, Signal
from PySide6.QtWidgets import QLabel, QToolBar, QToolButton, QWidget

from lingbot_live.recording.recorder import Recorder
from lingbot_live.recording.state import RecorderState, RecorderStats
from ui import theme
from ui.actions import Actions
from ui.bridge import Tasks

if TYPE_CHECKING:
    from lingbot_live.session import Session


class Recording(QObject):
    """The window's recorder, if one runs: started and stopped on threads, for disks may be slow.

    ``failed(str)`` tells why a recording could not start or ended early, ``written(str)`` where
    its file lies.
    """

    failed = Signal(str)
    written = Signal(str)

    def __init__(self, tasks: Tasks, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._tasks = tasks
        self._recorder: Recorder | None = None

    @property
    def is_active(self) -> bool:
        """Whether frames are being written."""
        return self._recorder is not None

    def start(self, session: Session, path: Path, settings: dict[str, str]) -> None:
        """Record ``session`` into a new file."""
        if self._recorder is not None:
            return
        recorder = self._recorder = Recorder(path, settings=settings)

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
            self._recorder.marker()

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
        if recorder.state is RecorderState.FAILED:
            self.failed.emit(f"Recording ended: {recorder.error}")
            self.stop()
            return None
        return recorder.stats()

    def _give_up(self, error: BaseException) -> None:
        self._recorder = None
        self.failed.emit(f"Recording did not start: {error}")

    def _tell_written(self, paths: list[Path]) -> None:
        if paths:
            self.written.emit(", ".join(str(path) for path in paths))


class RecordBar(QToolBar):
    """The second row of tools."""

    def __init__(self, actions: Actions, parent: QWidget | None = None) -> None:
        super().__init__("Recording", parent)
        self.setObjectName("record_bar")
        self.setMovable(False)
        self.button = QToolButton()
        self.button.clicked.connect(actions["record"].trigger)
        self.addWidget(self.button)
        self.label = QLabel()
        self.label.setMinimumWidth(360)
        self.addWidget(self.label)
        for key in ("pause_recording", "mark"):
            self.addAction(actions[key])
        self._parts = [actions["pause_recording"], actions["mark"]]
        self.show_stats(None)

    def show_stats(self, stats: RecorderStats | None) -> None:
        """Show a recording's figures, or that there is none."""
        running = stats is not None
        self.button.setText("■ Stop recording" if running else "● Record")
        color = theme.current().warning if running else theme.current().text
        self.button.setStyleSheet(f"color: {color}")
        for action in self._parts:
            action.setEnabled(running)
        self.label.setText(describe(stats) if stats is not None else "")


def describe(stats: RecorderStats) -> str:
    """Return such as ``00:12 · 31 MB · 2.6 MB/s · 0 lost · 4 h left``."""
    minutes, seconds = divmod(int(stats.elapsed_s), 60)
    lost = sum(stats.drops.values())
    parts = [
        f"{minutes:02d}:{seconds:02d}",
        f"{stats.bytes_written / 1e6:.0f} MB",
        f"{stats.bytes_per_s / 1e6:.1f} MB/s",
        f"{lost} lost",
    ]
    if stats.minutes_left is not None:
        left = stats.minutes_left
        parts.append(f"{left / 60:.0f} h left" if left >= 120 else f"{left:.0f} min left")
    if stats.state is RecorderState.PAUSED:
        parts.append("paused")
    return "  ·  ".join(parts)
