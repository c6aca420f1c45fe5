"""What linked views have in common: zoom, position and cursor."""

from __future__ import annotations

from PySide6.QtCore import QObject, QPointF, Signal

from ui.shell.actions import Command

_MAX_ZOOM = 64.0
CROSS_STEP = 0.01  # of the image, by key


class ViewLink(QObject):
    """Zoom, position and cursor that several views have in common.

    Positions are fractions of the image, (0, 0) its top left corner and (1, 1) its bottom right,
    so that images of different size show the same place.
    """

    viewChanged = Signal()  # noqa: N815
    cursorChanged = Signal()  # noqa: N815
    drawingChanged = Signal()  # noqa: N815

    def __init__(self, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self.zoom = 1.0  # 1 fits the whole image into the pane
        self.center = QPointF(0.5, 0.5)
        self.cursor: QPointF | None = None
        self.is_drawing = False  # whether dragging draws a region, instead of moving
        self._purpose = ""

    def zoom_at(self, place: QPointF, factor: float) -> None:
        """Magnify by ``factor`` while ``place`` stays where it is on the screen."""
        zoom = min(max(self.zoom * factor, 1.0), _MAX_ZOOM)
        self.show_at(place + (self.center - place) * (self.zoom / zoom), zoom)

    def pan_by(self, step: QPointF) -> None:
        """Move what is shown by a fraction of the image."""
        self.show_at(self.center + step, self.zoom)

    def step_cursor(self, x: float, y: float) -> None:
        """Move the cross-hair by parts of the image, from its middle where there is none."""
        at = QPointF(0.5, 0.5) if self.cursor is None else self.cursor
        low, high = CROSS_STEP / 2, 1 - CROSS_STEP / 2
        self.set_cursor(QPointF(min(max(at.x() + x, low), high), min(max(at.y() + y, low), high)))

    def fit(self) -> None:
        """Show the whole image again."""
        self.show_at(QPointF(0.5, 0.5), 1.0)

    def show_at(self, center: QPointF, zoom: float) -> None:
        """Set both at once; the centre is held inside the image."""
        edge = 0.5 / zoom
        center = QPointF(min(max(center.x(), edge), 1 - edge), min(max(center.y(), edge), 1 - edge))
        if (center, zoom) != (self.center, self.zoom):
            self.center, self.zoom = center, zoom
            self.viewChanged.emit()

    def set_cursor(self, place: QPointF | None) -> None:
        """Put the cross-hair of all views at ``place``, or take it away."""
        if place is not None and not (0 <= place.x() < 1 and 0 <= place.y() < 1):
            place = None
        if place != self.cursor:
            self.cursor = place
            self.cursorChanged.emit()

    def set_drawing(self, on: bool, purpose: str = "") -> None:
        """Let dragging draw a region in every view, or move the pictures again.

        Regions are drawn for one ``purpose`` at a time; another's end changes nothing.
        """
        before = self.is_drawing, self._purpose
        if on or purpose == self._purpose:
            self.is_drawing, self._purpose = on, purpose if on else ""
        if before != (self.is_drawing, self._purpose):
            self.drawingChanged.emit()

    def draws_for(self, purpose: str) -> bool:
        """Whether regions are drawn now, and for this."""
        return self.is_drawing and self._purpose == purpose


def cross_commands(link: ViewLink) -> dict[str, Command]:
    """Return what moves the cross-hair without a mouse, by the keys of `Actions`."""
    return {
        "cross_left": lambda: link.step_cursor(-CROSS_STEP, 0.0),
        "cross_right": lambda: link.step_cursor(CROSS_STEP, 0.0),
        "cross_up": lambda: link.step_cursor(0.0, -CROSS_STEP),
        "cross_down": lambda: link.step_cursor(0.0, CROSS_STEP),
    }
