"""Record, mark and stop, with what matters while it runs: time, size, loss, room left."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from PySide6.QtCore import QObject, Signal
from PySide6.QtWidgets import QLabel, QToolBar, QToolButton, QWidget

from lingbot_live.recording.recorder import Recorder
from lingbot_live.recording.state import RecorderOptions, RecorderState, RecorderStats
from ui.shell import theme
from ui.shell.actions import Actions
from ui.shell.bridge import Tasks

if TYPE_CHECKING:
    from lingbot_live.pipeline.session import Session


class Recording(QObject):
    """The window's recorder, if one runs: started and stopped on threads, for disks may be slow.

    ``failed(str)`` tells why a recording could not start or ended early, ``written(list)`` which
    files it left, ``space_low(str)`` once that the disk is nearly full.
    """

    failed = Signal(str)
    written = Signal(list)
    space_low = Signal(str)

    def __init__(self, tasks: Tasks, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._tasks = tasks
        self._recorder: Recorder | None = None
        self.marks = 0  # set in the present recording
        self._warned = False

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
        self.room_label = QLabel()
        self._parts = [actions["pause_recording"], actions["mark"]]
        self.addActions(self._parts)
        self.addAction(actions["record_options"])
        self.addAction(actions["export"])
        self.addSeparator()
        self.addWidget(self.label)
        self.addWidget(self.room_label)
        self.show_stats(None, 0)

    def show_stats(self, stats: RecorderStats | None, marks: int) -> None:
        """Show a recording's figures and how many marks it has, or that there is none."""
        running = stats is not None
        self.button.setText("■ Stop recording" if running else "● Record")
        color = theme.current().warning if running else theme.current().text
        self.button.setStyleSheet(f"color: {color}")
        for action in self._parts:
            action.setEnabled(running)
        pause, mark = self._parts
        is_paused = stats is not None and stats.state is RecorderState.PAUSED
        pause.setText("Go on" if is_paused else "Pause")
        mark.setText("Mark" if stats is None else f"Mark ({marks})")
        self.label.setText("" if stats is None else describe(stats))
        self.room_label.setText("" if stats is None else describe_room(stats))
        low = stats is not None and stats.is_space_low
        self.room_label.setStyleSheet(f"color: {theme.current().warning}" if low else "")


def describe(stats: RecorderStats) -> str:
    """Return such as ``00:12 · 31 MB · 2.6 MB/s · 0 lost``, in a fixed width."""
    minutes, seconds = divmod(int(stats.elapsed_s), 60)
    lost = sum(stats.drops.values())
    parts = [
        f"{minutes:02d}:{seconds:02d}",
        f"{stats.bytes_written / 1e6:5.0f} MB",
        f"{stats.bytes_per_s / 1e6:5.1f} MB/s",
        f"{lost} lost",
    ]
    if stats.state is RecorderState.PAUSED:
        parts.append("paused")
    return "  ·  ".join(parts)


def describe_room(stats: RecorderStats) -> str:
    """Return such as ``·  4 h left``; empty while it is not known."""
    left = stats.minutes_left
    if left is None:
        return ""
    if left >= 120:
        return f"·  {left / 60:.0f} h left"
    return f"·  {left:.0f} min left" if left >= 10 else f"·  {left:.1f} min left"
