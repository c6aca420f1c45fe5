"""The cloud's picture, and the mouse on it."""

from __future__ import annotations

from enum import Enum

import numpy as np
from PySide6.QtCore import QPointF, QRectF, QSize, Qt, QTimer, Signal
from PySide6.QtGui import (
    QColor,
    QImage,
    QMouseEvent,
    QPainter,
    QPaintEvent,
    QPen,
    QResizeEvent,
    QWheelEvent,
)
from PySide6.QtWidgets import QSizePolicy, QWidget

from lingbot_live.frame import ColorImage
from ui.cloud import marks
from ui.cloud.marks import Mark, Viewpoint
from ui.cloud.scene import MAX_HEIGHT_PX, MAX_WIDTH_PX, Orbit
from ui.shell import theme
from ui.shell.language import tr

_TURN_DEG_PER_PX = 0.4
_ZOOM_PER_STEP = 1.15
_CLICK_PX = 4  # a press that goes no farther chooses a point
_SETTLE_MS = 200  # a hand that rests so long gets the full picture


class Aim(Enum):
    """What a click or a drag with the left button chooses, besides an orbit."""

    NOTHING = "nothing"
    POINT = "point"
    REGION = "region"


class CloudCanvas(QWidget):
    """Shows pictures and turns mouse work into orbits.

    Left drag: orbit. Right, middle or shift and left drag: pan. Wheel: zoom. Double click: centre.
    While the aim is a point, a left click chooses one; while it is a region, a left drag does, and
    with control it orbits as ever.

    ``orbitChanged`` carries the new `Orbit` and whether a hand is still moving it,
    ``pictureSizeChanged`` the size that a picture should have now. Places in the picture are
    fractions of its size: ``pointRequested`` to be centred, ``pointChosen``, ``regionChosen``.
    """

    orbitChanged = Signal(object, bool)  # noqa: N815 - as Qt names its own
    pointRequested = Signal(QPointF)  # noqa: N815 - as Qt names its own
    pointChosen = Signal(QPointF)  # noqa: N815 - as Qt names its own
    regionChosen = Signal(QPointF, QPointF)  # noqa: N815 - as Qt names its own
    pictureSizeChanged = Signal(QSize)  # noqa: N815 - as Qt names its own

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.orbit = Orbit()
        self._image: QImage | None = None
        self._text = ""
        self._marks: tuple[Mark, ...] = ()
        self._viewpoint: Viewpoint | None = None
        self._aim = Aim.NOTHING
        self._pressed: QPointF | None = None  # where a choice began
        self._band: QRectF | None = None  # the region that is being drawn
        self._grabbed: QPointF | None = None
        self._settle = self._timer(_SETTLE_MS)
        self._settle.timeout.connect(lambda: self.orbitChanged.emit(self.orbit, False))
        # Each new size costs the child a new window, so a drag of a splitter counts once.
        self._resized = self._timer(120)
        self._resized.timeout.connect(lambda: self.pictureSizeChanged.emit(self.picture_size()))
        self.setMinimumSize(160, 72)
        self.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Expanding)
        self.setAttribute(Qt.WidgetAttribute.WA_OpaquePaintEvent)
        self.setAccessibleName(tr("Point cloud"))

    def set_picture(self, rgb: ColorImage, viewpoint: Viewpoint | None = None) -> None:
        """Show (H, W, 3) uint8 RGB; copied. Marks are drawn as seen from ``viewpoint``."""
        self._viewpoint = viewpoint
        height, width = rgb.shape[:2]
        pixels = np.ascontiguousarray(rgb)
        image = QImage(pixels.data, width, height, 3 * width, QImage.Format.Format_RGB888)
        self._image = image.convertToFormat(QImage.Format.Format_RGB32)
        self.update()

    def set_marks(self, marks: tuple[Mark, ...]) -> None:
        """Draw these over the picture."""
        self._marks = marks
        self.update()

    @property
    def marks(self) -> tuple[Mark, ...]:
        """What is drawn over the picture."""
        return self._marks

    def set_aim(self, aim: Aim) -> None:
        """Let the left button choose points or regions."""
        self._aim, self._pressed, self._band = aim, None, None
        chooses = aim is not Aim.NOTHING
        self.setCursor(Qt.CursorShape.CrossCursor if chooses else Qt.CursorShape.ArrowCursor)
        self.update()

    def set_text(self, text: str) -> None:
        """Show a text in the middle, over the picture if there is one."""
        if text != self._text:
            self._text = text
            self.update()

    @property
    def text(self) -> str:
        """What stands in the middle."""
        return self._text

    def picture_size(self) -> QSize:
        """Return the size of a picture that fills the pane sharply, within the child's limits."""
        size = self.size() * self.devicePixelRatioF()
        limit = QSize(MAX_WIDTH_PX, MAX_HEIGHT_PX)
        if size.width() > limit.width() or size.height() > limit.height():
            size.scale(limit, Qt.AspectRatioMode.KeepAspectRatio)
        return size.expandedTo(QSize(1, 1))

    def picture_rect(self) -> QRectF:
        """Where the picture lies in the widget; it fills it, but for the moment after a resize."""
        if self._image is None:
            return QRectF(self.rect())
        size = self._image.size().scaled(self.size(), Qt.AspectRatioMode.KeepAspectRatio)
        corner = QPointF(self.width() - size.width(), self.height() - size.height()) / 2
        return QRectF(corner.x(), corner.y(), size.width(), size.height())

    def paintEvent(self, event: QPaintEvent) -> None:  # noqa: N802
        """Draw the newest picture and the text."""
        painter = QPainter(self)
        painter.fillRect(self.rect(), QColor(theme.current().view))
        if self._image is not None:
            painter.setRenderHint(QPainter.RenderHint.SmoothPixmapTransform)
            painter.drawImage(self.picture_rect(), self._image)
            if self._viewpoint is not None:
                marks.paint(painter, self._marks, self._viewpoint, self.picture_rect())
        if self._band is not None:
            painter.setPen(QPen(QColor(theme.current().accent), 1.5))
            painter.drawRect(self._band)
        if self._text:
            painter.setPen(QColor(theme.current().dim))
            painter.drawText(self.rect(), Qt.AlignmentFlag.AlignCenter, self._text)

    def resizeEvent(self, event: QResizeEvent) -> None:  # noqa: N802
        """Ask for pictures of the new size once the size rests."""
        self._resized.start()

    def mousePressEvent(self, event: QMouseEvent) -> None:  # noqa: N802
        """Take hold of the scene, or begin a choice."""
        controlled = bool(event.modifiers() & Qt.KeyboardModifier.ControlModifier)
        chooses = event.button() == Qt.MouseButton.LeftButton and not controlled
        self._pressed = event.position() if chooses and self._aim is not Aim.NOTHING else None
        self._grabbed = None if chooses and self._aim is Aim.REGION else event.position()

    def mouseMoveEvent(self, event: QMouseEvent) -> None:  # noqa: N802
        """Orbit or pan by the way the mouse went, or draw the region."""
        if self._pressed is not None and self._aim is Aim.REGION:
            self._band = QRectF(self._pressed, event.position()).normalized()
            self.update()
        if self._grabbed is None:
            return
        way = event.position() - self._grabbed
        self._grabbed = event.position()
        shifted = bool(event.modifiers() & Qt.KeyboardModifier.ShiftModifier)
        if event.buttons() == Qt.MouseButton.LeftButton and not shifted:
            turn = way * _TURN_DEG_PER_PX
            self._move(self.orbit.turned(turn.x(), turn.y()))
        else:
            height = max(self.picture_rect().height(), 1.0)
            self._move(self.orbit.panned(-way.x() / height, -way.y() / height))

    def mouseReleaseEvent(self, event: QMouseEvent) -> None:  # noqa: N802
        """Let go, and choose; the full picture follows."""
        self._grabbed = None
        self._choose(event.position())
        if self._settle.isActive():
            self._settle.start(0)

    def mouseDoubleClickEvent(self, event: QMouseEvent) -> None:  # noqa: N802
        """Ask for the point under the cursor; quick choices are choices, one after the other."""
        if self._aim is not Aim.NOTHING:
            self.mousePressEvent(event)
        else:
            self.pointRequested.emit(self._fraction(event.position()))

    def wheelEvent(self, event: QWheelEvent) -> None:  # noqa: N802
        """Go nearer or farther."""
        self._move(self.orbit.zoomed(_ZOOM_PER_STEP ** (event.angleDelta().y() / 120)))
        event.accept()

    def _choose(self, end: QPointF) -> None:
        begin, band = self._pressed, self._band
        self._pressed = self._band = None
        if begin is None:
            return
        way_px = (end - begin).manhattanLength()
        if self._aim is Aim.POINT and way_px <= _CLICK_PX:
            self.pointChosen.emit(self._fraction(end))
        elif self._aim is Aim.REGION and band is not None and way_px > _CLICK_PX:
            self.regionChosen.emit(self._fraction(begin), self._fraction(end))
        self.update()

    def _fraction(self, place: QPointF) -> QPointF:
        rect = self.picture_rect()
        inside = place - rect.topLeft()
        return QPointF(inside.x() / rect.width(), inside.y() / rect.height())

    def _move(self, orbit: Orbit) -> None:
        self.orbit = orbit
        self._settle.start(_SETTLE_MS)
        self.orbitChanged.emit(orbit, True)

    def _timer(self, interval_ms: int) -> QTimer:
        timer = QTimer(self)
        timer.setSingleShot(True)
        timer.setInterval(interval_ms)
        return timer
