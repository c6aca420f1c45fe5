"""Record, mark and stop, with what matters while it runs: time, size, loss, room left."""

from __future__ import annotations

from PySide6.QtWidgets import QLabel, QToolBar, QToolButton, QWidget

from lingbot_live.recording.state import RecorderState, RecorderStats
from ui.shell import theme
from ui.shell.actions import Actions


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
