"""The line of a recording's time: where it stands, what happened, where to go."""

from __future__ import annotations

from collections.abc import Sequence

from PySide6.QtCore import QEvent, QPointF, QRectF, QSize, Qt, Signal
from PySide6.QtGui import QColor, QMouseEvent, QPainter, QPaintEvent, QPen, QPolygonF
from PySide6.QtWidgets import QSizePolicy, QWidget

from lingbot_live.cameras.playback import Mark
from lingbot_live.cameras.playtime import SHORT_GAP_S
from ui.shell import theme
from ui.shell.language import told, tr
from ui.shell.status import dropped

HEIGHT_PX = 28
_PAD_PX = 8
_NOT_REFINED = "not refined: "  # as it is recorded
_NEAR_PX = 5  # how near the mouse must be to a mark to read it


class TimelineTrack(QWidget):
    """Sends ``grabbed``, ``sought(float)`` while dragged, ``released``, and ``hovered(float)``.

    Times are seconds from the start; ``hovered`` sends -1 when the mouse leaves.
    """

    grabbed = Signal()
    sought = Signal(float)
    released = Signal()
    hovered = Signal(float)

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setMouseTracking(True)
        self.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Fixed)
        self.setFixedHeight(HEIGHT_PX)
        self.setMinimumWidth(160)
        self.setAccessibleName(tr("Time line"))
        self.marks: Sequence[Mark] = ()
        self._duration_s = 0.0
        self._position_s = 0.0
        self.range_s: tuple[float, float] | None = None
        self._drag_s: float | None = None
        self._hover_s: float | None = None

    def sizeHint(self) -> QSize:  # noqa: N802, D102
        return QSize(480, HEIGHT_PX)

    @property
    def is_dragged(self) -> bool:
        """Whether the user holds the handle."""
        return self._drag_s is not None

    def set_marks(self, marks: Sequence[Mark]) -> None:
        """Draw these."""
        self.marks = marks
        self.update()

    def set_range(self, range_s: tuple[float, float] | None) -> None:
        """Shade the frames that are chosen; None for no choice."""
        self.range_s = range_s
        self.update()

    def show_position(self, position_s: float, duration_s: float) -> None:
        """Draw the handle there, unless the user holds it."""
        if (position_s, duration_s) != (self._position_s, self._duration_s):
            self._position_s, self._duration_s = position_s, duration_s
            self.update()

    def mark_near(self, position_s: float) -> Mark | None:
        """Return the mark under the mouse: a marker, else a loss, else any."""
        near = [m for m in self.marks if abs(self.x_of(m.position_s - position_s, 0)) <= _NEAR_PX]
        near.sort(
            key=lambda m: (m.kind != "marker", not _is_loss(m), abs(m.position_s - position_s))
        )
        return near[0] if near else None

    def x_of(self, position_s: float, left: int = _PAD_PX) -> float:
        """Return where a time lies, in pixels."""
        width = self.width() - 2 * _PAD_PX
        return left + (width * position_s / self._duration_s if self._duration_s > 0 else 0.0)

    def time_at(self, x: float) -> float:
        """Return the time at a place, kept within the recording."""
        width = max(1, self.width() - 2 * _PAD_PX)
        return min(max((x - _PAD_PX) / width, 0.0), 1.0) * self._duration_s

    # ---- mouse -------------------------------------------------------------------------------

    def mousePressEvent(self, event: QMouseEvent) -> None:  # noqa: N802, D102
        if event.button() == Qt.MouseButton.LeftButton:
            self.grabbed.emit()
            self._drag_to(event)

    def mouseMoveEvent(self, event: QMouseEvent) -> None:  # noqa: N802, D102
        if self.is_dragged:
            self._drag_to(event)
        self._hover_s = self.time_at(event.position().x())
        self.hovered.emit(self._hover_s)
        self.update()

    def mouseReleaseEvent(self, event: QMouseEvent) -> None:  # noqa: N802, D102
        if self.is_dragged and event.button() == Qt.MouseButton.LeftButton:
            self._drag_s = None
            self.released.emit()
            self.update()

    def leaveEvent(self, event: QEvent) -> None:  # noqa: N802, D102
        self._hover_s = None
        self.hovered.emit(-1.0)
        self.update()

    def _drag_to(self, event: QMouseEvent) -> None:
        self._drag_s = self.time_at(event.position().x())
        self.sought.emit(self._drag_s)
        self.update()

    # ---- painting ----------------------------------------------------------------------------

    def paintEvent(self, event: QPaintEvent) -> None:  # noqa: N802, D102
        colors = theme.current()
        painter = QPainter(self)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        painter.setPen(Qt.PenStyle.NoPen)
        middle = self.height() / 2 + 3
        x = self.x_of(self._position_s if self._drag_s is None else self._drag_s)
        line = QRectF(_PAD_PX, middle - 2, self.width() - 2 * _PAD_PX, 4)
        self._paint_spans(painter)
        painter.setBrush(QColor(colors.line))
        painter.drawRoundedRect(line, 2, 2)
        painter.setBrush(QColor(colors.accent))
        painter.drawRoundedRect(QRectF(line.left(), line.top(), x - line.left(), 4), 2, 2)
        self._paint_marks(painter, middle)
        if self._hover_s is not None:
            painter.fillRect(QRectF(self.x_of(self._hover_s), 4, 1, self.height() - 8), colors.dim)
        painter.setBrush(QColor(colors.text))
        painter.drawEllipse(QPointF(x, middle), 6, 6)
        painter.end()

    def _paint_spans(self, painter: QPainter) -> None:
        """Shade the chosen range, and what was recorded as a pause."""
        chosen, paused = QColor(theme.current().accent), QColor(theme.current().dim)
        chosen.setAlpha(70)
        paused.setAlpha(110)
        high = self.height() - 8
        if self.range_s is not None:
            left, right = (self.x_of(at_s) for at_s in self.range_s)
            painter.fillRect(QRectF(left, 4, max(2.0, right - left), high), chosen)
        for mark in self.marks:
            if mark.kind == "gap":
                left, right = self.x_of(mark.position_s), self.x_of(mark.position_s + SHORT_GAP_S)
                painter.fillRect(QRectF(left, 4, max(4.0, right - left), high), paused)

    def _paint_marks(self, painter: QPainter, middle: float) -> None:
        colors = theme.current()
        columns: set[int] = set()  # a thousand drops are a few hundred pixels
        for mark in sorted(self.marks, key=_is_loss, reverse=True):
            x = self.x_of(mark.position_s)
            if mark.kind == "marker":
                _paint_flag(painter, x, middle, QColor(colors.text))
            elif mark.kind in ("drop", "pause", "gap") and int(x) not in columns:
                columns.add(int(x))
                color = colors.warning if _is_loss(mark) else colors.dim
                painter.fillRect(QRectF(int(x) - 1, middle - 6, 2, 12), QColor(color))


def _paint_flag(painter: QPainter, x: float, middle: float, color: QColor) -> None:
    top = 2.0
    painter.setPen(QPen(color, 1.5))
    painter.drawLine(QPointF(x, top), QPointF(x, middle))
    painter.setPen(Qt.PenStyle.NoPen)
    painter.setBrush(color)
    painter.drawPolygon(
        QPolygonF([QPointF(x, top), QPointF(x + 8, top + 3.5), QPointF(x, top + 7)])
    )


def _is_loss(mark: Mark) -> bool:
    """Whether frames are missing; one that only was not refined is there."""
    return mark.kind == "drop" and not mark.text.startswith("not refined")


def describe(mark: Mark) -> str:
    """Return a mark in words."""
    if mark.kind == "drop":
        _, is_cause, cause = mark.text.partition(_NOT_REFINED)
        fate = dropped(cause) if is_cause else told(mark.text)
        return tr("{count} frames {fate}", count=mark.count, fate=fate)
    if mark.kind == "marker":
        return f"⚑ {mark.text}" if mark.text else tr("⚑ marker")
    return f"{told(mark.kind)} {told(mark.text)}".strip()
