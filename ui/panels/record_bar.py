"""Record, mark and stop, with what matters while it runs: time, size, loss, room left."""

from __future__ import annotations

from PySide6.QtCore import QObject
from PySide6.QtWidgets import QLabel

from lingbot_live.recording.state import RecorderState, RecorderStats
from ui.panels.tool_row import ToolRow
from ui.shell import theme
from ui.shell.actions import Actions
from ui.shell.icons import icon
from ui.shell.language import tr


class RecordBar(QObject):
    """Its part of the tool bar."""

    def __init__(self, row: ToolRow, actions: Actions) -> None:
        super().__init__(row)
        self.button = row.add_worded(icon("record"), actions["record"].toolTip())
        self.button.clicked.connect(actions["record"].trigger)
        self.label, self.room_label = QLabel(), QLabel()
        self._parts = [actions["pause_recording"], actions["mark"]]
        row.add_buttons(actions, ("pause_recording", "mark"))
        self._figures = [row.addWidget(self.label), row.addWidget(self.room_label)]
        row.addSeparator()
        row.add_buttons(actions, ("snapshot", "export", "full_screen"))
        self._is_running: bool | None = None
        self.show_stats(None, 0)

    def show_stats(
        self, stats: RecorderStats | None, marks: int, held: tuple[float, int] | None = None
    ) -> None:
        """Show a recording's figures and how many marks it has, or that there is none.

        ``held`` is how many seconds before a recording are in memory, and in how many bytes.
        """
        running = stats is not None
        self._show_running(running)
        pause, mark = self._parts
        is_paused = stats is not None and stats.state is RecorderState.PAUSED
        pause.setText(tr("Go on") if is_paused else tr("Pause recording"))
        mark.setText(tr("Mark") if stats is None else tr("Mark ({marks})", marks=marks))
        idle = (
            ""
            if held is None
            else tr("holds {seconds:.0f} s, {size:.0f} MB", seconds=held[0], size=held[1] / 1e6)
        )
        self.label.setText(idle if stats is None else describe(stats))
        self._figures[0].setVisible(running or bool(idle))
        self.room_label.setText("" if stats is None else describe_room(stats))
        low = stats is not None and stats.is_space_low
        self.room_label.setStyleSheet(f"color: {theme.current().warning}" if low else "")

    def _show_running(self, running: bool) -> None:
        if running is self._is_running:
            return
        self._is_running = running
        self.button.setText(tr("Stop recording") if running else tr("Record"))
        self.button.setIcon(icon("end_record" if running else "record"))
        self.button.setStyleSheet(f"color: {theme.current().warning}" if running else "")
        for action in self._parts:
            action.setEnabled(running)
            action.setVisible(running)
        self._figures[1].setVisible(running)


def describe(stats: RecorderStats) -> str:
    """Return such as ``00:12 · 31 MB · 2.6 MB/s · 0 lost``, in a fixed width."""
    minutes, seconds = divmod(int(stats.elapsed_s), 60)
    lost = sum(stats.drops.values())
    parts = [
        f"{minutes:02d}:{seconds:02d}",
        f"{stats.bytes_written / 1e6:5.0f} MB",
        f"{stats.bytes_per_s / 1e6:5.1f} MB/s",
        tr("{lost} lost", lost=lost),
    ]
    if stats.state is RecorderState.PAUSED:
        parts.append(tr("paused"))
    return "  ·  ".join(parts)


def describe_room(stats: RecorderStats) -> str:
    """Return such as ``·  4 h left``; empty while it is not known."""
    left = stats.minutes_left
    if left is None:
        return ""
    if left >= 120:
        return tr("·  {left:.0f} h left", left=left / 60)
    return (
        tr("·  {left:.0f} min left", left=left)
        if left >= 10
        else tr("·  {left:.1f} min left", left=left)
    )
