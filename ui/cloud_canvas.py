"""The cloud's picture, and the mouse on it."""

from __future__ import annotations

import numpy as np
from PySide6.QtCore import QPointF, QRectF, QSize, Qt, QTimer, Signal
from PySide6.QtGui import (
    QColor,
    QImage,
    QMouseEvent,
    QPainter,
    QPaintEvent,
    QResizeEvent,
    QWheelEvent,
)
from PySide6.QtWidgets import QSizePolicy, QWidget

from lingbot_live.frame import ColorImage
from ui import theme
from ui.cloud_scene import MAX_HEIGHT_PX, MAX_WIDTH_PX, Orbit

_TURN_DEG_PER_PX = 0.4
_ZOOM_PER_STEP = 1.15
_SETTLE_MS = 200  # a hand that rests so long gets the full picture


class CloudCanvas(QWidget):
    """Shows pictures and turns mouse work into orbits.

    Left drag: orbit. Right, middle or shift and left drag: pan. Wheel: zoom. Double click: centre.

    ``orbitChanged`` carries the new `Orbit` and whether a hand is still moving it,
    ``pointRequested`` a place in the picture as fractions of its size, ``pictureSizeChanged``
    the size that a picture should have now.
    """

    orbitChanged = Signal(object, bool)  # noqa: N815 - as Qt names its own
    pointRequested = Signal(QPointF)  # noqa: N815 - as Qt names its own
    pictureSizeChanged = Signal(QSize)  # noqa: N815 - as Qt names its own

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.orbit = Orbit()
        self._image: QImage | None = None
        self._text = ""
        self._grabbed: QPointF | None = None
        self._settle = self._timer(_SETTLE_MS)
        self._settle.timeout.connect(lambda: self.orbitChanged.emit(self.orbit, False))
        # Each new size costs the child a new window, so a drag of a splitter counts once.
        self._resized = self._timer(120)
        self._resized.timeout.connect(lambda: self.pictureSizeChanged.emit(self.picture_size()))
        self.setMinimumSize(160, 120)
        self.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Expanding)
        self.setAttribute(Qt.WidgetAttribute.WA_OpaquePaintEvent)
        self.setAccessibleName("Point cloud")

    def set_picture(self, rgb: ColorImage) -> None:
        """Show (H, W, 3) uint8 RGB; copied."""
        height, width = rgb.shape[:2]
        pixels = np.ascontiguousarray(rgb)
        image = QImage(pixels.data, width, height, 3 * width, QImage.Format.Format_RGB888)
        self._image = image.convertToFormat(QImage.Format.Format_RGB32)
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

    @property
    def has_picture(self) -> bool:
        """Whether a picture has come."""
        return self._image is not None

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
        if self._text:
            painter.setPen(QColor(theme.current().dim))
            painter.drawText(self.rect(), Qt.AlignmentFlag.AlignCenter, self._text)

    def resizeEvent(self, event: QResizeEvent) -> None:  # noqa: N802
        """Ask for pictures of the new size once the size rests."""
        self._resized.start()

    def mousePressEvent(self, event: QMouseEvent) -> None:  # noqa: N802
        """Take hold of the scene."""
        self._grabbed = event.position()

    def mouseMoveEvent(self, event: QMouseEvent) -> None:  # noqa: N802
        """Orbit or pan by the way the mouse went."""
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
        """Let go; the full picture follows."""
        self._grabbed = None
        if self._settle.isActive():
            self._settle.start(0)

    def mouseDoubleClickEvent(self, event: QMouseEvent) -> None:  # noqa: N802
        """Ask for the point under the cursor."""
        rect = self.picture_rect()
        place = event.position() - rect.topLeft()
        self.pointRequested.emit(QPointF(place.x() / rect.width(), place.y() / rect.height()))

    def wheelEvent(self, event: QWheelEvent) -> None:  # noqa: N802
        """Go nearer or farther."""
        self._move(self.orbit.zoomed(_ZOOM_PER_STEP ** (event.angleDelta().y() / 120)))
        event.accept()

    def _move(self, orbit: Orbit) -> None:
        self.orbit = orbit
        self._settle.start(_SETTLE_MS)
        self.orbitChanged.emit(orbit, True)

    def _timer(self, interval_ms: int) -> QTimer:
        timer = QTimer(self)
        timer.setSingleShot(True)
        timer.setInterval(interval_ms)
        return timer
