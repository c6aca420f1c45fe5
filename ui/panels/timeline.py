"""The time line under everything: play, step, seek, speed, loop; shown for recordings alone."""

from __future__ import annotations

import re
import time

from PySide6.QtCore import QPoint, QSignalBlocker, Qt, QTimer, Signal
from PySide6.QtGui import QFocusEvent, QImage, QPixmap
from PySide6.QtWidgets import (
    QDoubleSpinBox,
    QHBoxLayout,
    QLabel,
    QLineEdit,
    QToolBar,
    QToolButton,
    QWidget,
)

from lingbot_live.cameras.clock import FASTEST, SLOWEST
from ui.controllers.replay import Replay
from ui.panels.thumbnails import Thumbnails
from ui.panels.timeline_track import TimelineTrack, describe
from ui.shell import theme
from ui.shell.actions import Actions
from ui.shell.desk import Desk
from ui.shell.language import tr
from ui.shell.stage import Stage

_SHOWN_EVERY_S = 0.05  # digits that change faster cannot be read
_THUMBNAIL_PX = 160


class Timeline(QToolBar):
    """The bar itself; what it does is done by `Replay`."""

    def __init__(self, stage: Stage, desk: Desk, replay: Replay, actions: Actions) -> None:
        super().__init__(tr("Time line"))
        self.setObjectName("timeline")
        self.setMovable(False)
        self.toggleViewAction().setEnabled(False)  # it comes and goes with recordings
        self._replay, self._desk, self._actions = replay, desk, actions
        self._was_playing = False
        self._shown_s = 0.0
        self.track = TimelineTrack()
        self.play_button = self._button("play", "▶")
        self.frame_field, self.frames_label = SeekField(tr("Frame")), QLabel()
        self.time_field, self.duration_label = SeekField(tr("Time")), QLabel()
        self.speed_box = self._speed_box()
        self.peek = Peek(desk.widget)
        self.thumbnails = Thumbnails(desk.tasks, self)
        self._lay_out()
        self._connect(stage)
        replay.enable_commands()
        self.hide()

    def show_state(self) -> None:
        """Show where the recording stands now."""
        lead = self._replay.lead
        self.setVisible(lead is not None and not self.window().isFullScreen())
        if lead is None:
            return
        self._shown_s = time.monotonic()
        self.play_button.setText("▶" if lead.is_paused else "▮▮")
        self.track.show_position(lead.position_s, lead.duration_s)
        digits = len(str(lead.frames))
        self.frame_field.show_value(f"{lead.frame:{digits}d}")
        self.frames_label.setText(f"/ {lead.frames - 1}")
        self.time_field.show_value(clock(lead.position_s))
        self.duration_label.setText(f"/ {clock(lead.duration_s)}")
        if not self.speed_box.hasFocus():
            with QSignalBlocker(self.speed_box):  # it rounds, and must not set what it shows
                self.speed_box.setValue(lead.speed)

    # ---- building ------------------------------------------------------------------------------

    def _button(self, key: str, text: str) -> QToolButton:
        action = self._actions[key]
        button = QToolButton()
        button.setText(text)
        button.setToolTip(action.toolTip())
        button.setAccessibleName(action.text())
        button.clicked.connect(action.trigger)
        button.setFixedWidth(36)
        return button

    @staticmethod
    def _speed_box() -> QDoubleSpinBox:
        box = QDoubleSpinBox()
        box.setRange(SLOWEST, FASTEST)
        box.setDecimals(2)
        box.setSingleStep(0.25)
        box.setSuffix("x")
        box.setValue(1.0)
        box.setKeyboardTracking(False)
        box.setToolTip(tr("Speed, 0.1 to 4 (, and . halve and double it)"))
        box.setAccessibleName(tr("Speed"))
        return box

    def _lay_out(self) -> None:
        content = QWidget()
        row = QHBoxLayout(content)
        row.setContentsMargins(0, 0, 0, 0)
        row.setSpacing(theme.GRID_PX // 2)
        row.addWidget(self._button("step_back", "▕◀"))
        row.addWidget(self.play_button)
        row.addWidget(self._button("step_on", "▶▏"))
        row.addWidget(self.track, 1)
        for field, label in (
            (self.frame_field, self.frames_label),
            (self.time_field, self.duration_label),
        ):
            row.addWidget(field)
            row.addWidget(label)
            row.addSpacing(theme.GRID_PX)
        row.addWidget(self.speed_box)
        loop = QToolButton()
        loop.setDefaultAction(self._actions["loop"])
        row.addWidget(loop)
        self.addWidget(content)

    def _connect(self, stage: Stage) -> None:
        replay = self._replay
        replay.changed.connect(self._show_others)
        replay.marked.connect(self.track.set_marks)
        replay.ranged.connect(self._show_range)
        stage.newsShown.connect(self._on_news)
        stage.statusDue.connect(self.show_state)
        self.track.grabbed.connect(self._grab)
        self.track.sought.connect(replay.seek)
        self.track.released.connect(self._let_go)
        self.track.hovered.connect(self._peek_at)
        self.thumbnails.ready.connect(self.peek.show_picture)
        self.frame_field.entered.connect(self._seek_frame)
        self.time_field.entered.connect(self._seek_time)
        self.speed_box.valueChanged.connect(replay.set_speed)
        self.speed_box.editingFinished.connect(self.speed_box.clearFocus)

    # ---- following -----------------------------------------------------------------------------

    def _show_others(self) -> None:
        lead = self._replay.lead
        self.thumbnails.follow(lead)
        self.peek.hide()
        if lead is not None:
            self.frame_field.fit("0" * len(str(lead.frames)))
            self.time_field.fit("0" * len(clock(lead.duration_s)))
        self.show_state()

    def _show_range(self) -> None:
        chosen = self._replay.range
        place = self._replay.position_of
        self.track.set_range(None if chosen is None else (place(chosen[0]), place(chosen[1])))

    def _on_news(self) -> None:
        if time.monotonic() - self._shown_s >= _SHOWN_EVERY_S:
            self.show_state()

    def _grab(self) -> None:
        lead = self._replay.lead
        self._was_playing = lead is not None and not lead.is_paused
        self._replay.pause()

    def _let_go(self) -> None:
        if self._was_playing:
            self._replay.play()

    def _peek_at(self, position_s: float) -> None:
        if position_s < 0 or self._replay.lead is None:
            self.peek.hide()
            return
        mark = self.track.mark_near(position_s)
        text = clock(position_s) + (f"\n{describe(mark)}" if mark else "")
        x = round(self.track.x_of(position_s))
        self.peek.show_at(self.track.mapTo(self.window(), QPoint(x, 0)), text)
        self.thumbnails.ask(position_s)

    def _seek_frame(self, text: str) -> None:
        if text.isdecimal():
            self._replay.seek_frame(int(text))
        else:
            self._desk.say(tr("{text!r} is no frame number", text=text))

    def _seek_time(self, text: str) -> None:
        position_s = parse_clock(text)
        if position_s is not None:
            self._replay.seek(position_s)
        else:
            self._desk.say(tr("{text!r} is no time; write such as 1:02.5 or 62.5", text=text))


class SeekField(QLineEdit):
    """Shows a number and takes another; ``entered(str)`` is sent on Return."""

    entered = Signal(str)

    def __init__(self, name: str) -> None:
        super().__init__()
        self.setAccessibleName(name)
        self.setToolTip(tr("{name}: type another and press Return", name=name))
        self.setAlignment(Qt.AlignmentFlag.AlignRight)
        self.returnPressed.connect(self._enter)

    def fit(self, widest: str) -> None:
        """Be wide enough for this text and no wider."""
        self.setFixedWidth(self.fontMetrics().horizontalAdvance(widest) + 24)

    def show_value(self, text: str) -> None:
        """Show where playback stands, unless the user is typing."""
        if not (self.hasFocus() or self.isModified()) and text != self.text():
            self.setText(text)

    def focusInEvent(self, event: QFocusEvent) -> None:  # noqa: N802, D102
        super().focusInEvent(event)
        QTimer.singleShot(0, self.selectAll)  # the click that brought it here deselects

    def focusOutEvent(self, event: QFocusEvent) -> None:  # noqa: N802, D102
        super().focusOutEvent(event)
        self.setModified(False)  # what was typed and not entered is given up

    def _enter(self) -> None:
        text = self.text().strip()
        self.setModified(False)
        self.clearFocus()
        self.entered.emit(text)


class Peek(QLabel):
    """A small picture with its time, above the mouse."""

    def __init__(self, window: QWidget) -> None:
        super().__init__(window)
        self.setObjectName("peek")
        self.setAttribute(Qt.WidgetAttribute.WA_TransparentForMouseEvents)
        self.setAlignment(Qt.AlignmentFlag.AlignCenter)
        self.thumbnail = QLabel(self)
        self.thumbnail.setAlignment(Qt.AlignmentFlag.AlignCenter)
        self._home = window
        self._place = QPoint()
        self.hide()

    def show_at(self, place: QPoint, text: str) -> None:
        """Show a text above a place of the window; the picture follows."""
        self._place = place
        self.setText(text)
        self._fit()
        self.show()
        self.raise_()

    def show_picture(self, image: QImage) -> None:
        """Show a picture over the text; none if it is null."""
        if image.isNull():
            self.thumbnail.clear()
            self.thumbnail.setFixedHeight(0)
        else:
            smooth = Qt.TransformationMode.SmoothTransformation
            pixmap = QPixmap.fromImage(image.scaledToWidth(_THUMBNAIL_PX, smooth))
            self.thumbnail.setPixmap(pixmap)
            self.thumbnail.setFixedSize(pixmap.size())
        self._fit()

    def _fit(self) -> None:
        pixmap = self.thumbnail.pixmap()
        high = 0 if pixmap.isNull() else pixmap.height()
        self.setContentsMargins(theme.GRID_PX // 2, high + 4, theme.GRID_PX // 2, 2)
        self.resize(self.sizeHint().expandedTo(self.minimumSizeHint()))
        wide = max(self.width(), _THUMBNAIL_PX + 8 if high else 0)
        self.resize(wide, self.height())
        self.thumbnail.move((wide - self.thumbnail.width()) // 2, 4)
        x = min(max(self._place.x() - wide // 2, 0), self._home.width() - wide)
        self.move(x, self._place.y() - self.height() - 4)


def clock(seconds: float) -> str:
    """Return such as ``01:02.500``, with hours where there are any."""
    ms = round(max(0.0, seconds) * 1000)
    minutes, ms = divmod(ms, 60_000)
    hours, minutes = divmod(minutes, 60)
    text = f"{minutes:02d}:{ms // 1000:02d}.{ms % 1000:03d}"
    return f"{hours}:{text}" if hours else text


def parse_clock(text: str) -> float | None:
    """Return the seconds of ``62.5``, ``1:02.5`` or ``0:01:02.5``; None if it is no time."""
    if not re.fullmatch(r"(\d+:){0,2}\d+(\.\d*)?", text.strip()):
        return None
    seconds = 0.0
    for part in text.strip().split(":"):
        seconds = seconds * 60 + float(part)
    return seconds
