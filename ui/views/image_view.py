"""Panes that show one image each and share zoom, position and cross-hair."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import TYPE_CHECKING

from PySide6.QtCore import QEvent, QPointF, QRect, QRectF, QSize, Qt, Signal
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
from ui.shell import renderer, theme
from ui.shell.view_link import ViewLink
from ui.views.compose import Colors, Plan, Source, compose
from ui.views.lines import paint_cross, paint_footer, paint_header

if TYPE_CHECKING:
    from ui.views.glass import Glass, Layer

PixelText = Callable[[int, int], str]  # (x, y) of the view's own image -> text of its read-out

_LEAST_PX, _COMPACT_PX = (160, 120), (96, 72)  # width and height
_WHOLE = QRectF(0, 0, 1, 1)  # of an image, as fractions


class ImageView(QWidget):
    """One image under a header and above a read-out line.

    Wheel: zoom at the cursor. Drag: move. Double click: fit. All views of one `ViewLink` follow.
    ``title`` stands left in the header, `set_stat` right. The read-out shows what the function of
    `set_readout` returns for the pixel under the cross-hair, asked at each paint, so that it also
    follows the stream while the mouse rests. Compact, it takes the place of the stat.

    ``pressed(QPointF)`` is sent on a click with its place, ``regionDrawn(QRectF, bool)`` with a
    rectangle in fractions of the image while one is drawn (see `ViewLink.set_drawing`), and with
    True once it is done.
    """

    pressed = Signal(QPointF)
    regionDrawn = Signal(QRectF, bool)  # noqa: N815

    def __init__(
        self,
        title: str,
        link: ViewLink | None = None,
        *,
        placeholder: str = "",
        parent: QWidget | None = None,
    ) -> None:
        super().__init__(parent)
        self.link = link or ViewLink(self)
        self._title = title
        self._stats: tuple[str, ...] = ()
        self._placeholder = placeholder
        self._readout: PixelText | None = None
        self._readout_shown = ""
        self._source: Source | None = None
        self._canvas: QImage | None = None  # the picture as it stands on the screen
        self._plan: tuple[QSize, Plan] | None = None  # while nothing moves
        self._on_painted: Callable[[], None] = lambda: None
        self._grabbed: QPointF | None = None
        self.above: dict[str, Callable[[QPainter], None]] = {}  # paint above the picture
        self._corner: QPointF | None = None  # where a region began to be drawn
        self._region: tuple[QRectF, QColor] | None = None
        self._is_compact = False
        self._bar_px: int | None = None  # height of header and read-out line
        self.setAccessibleName(title)
        self.setMouseTracking(True)
        self.setMinimumSize(*_LEAST_PX)
        self.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Expanding)
        self.setAttribute(Qt.WidgetAttribute.WA_OpaquePaintEvent)
        self._glass = self._make_glass()
        renderer.current().gaveUp.connect(self._drop_glass)
        self.link.viewChanged.connect(self._redraw)
        self.link.cursorChanged.connect(self._on_cursor)
        self.link.drawingChanged.connect(self._show_tool)

    def _make_glass(self) -> Glass | None:
        if not renderer.current().is_gpu:
            return None
        from ui.views.glass import Glass  # loads OpenGL

        return Glass(self, self._paint_picture)

    # ---- what is shown ---------------------------------------------------------------------

    def set_image(self, rgb: ColorImage | None) -> None:
        """Show (H, W, 3) uint8 RGB; ``None`` brings the placeholder back. The pixels are copied."""
        self._set_source(None if rgb is None else Colors(rgb.copy()))

    def show_composed(self, source: Source, plan: Plan | None, canvas: QImage | None) -> None:
        """Show a picture that `compose` made beside the main thread, where ``plan`` still holds."""
        is_first = self._source is None or self._source.size != source.size
        self._source = source
        self._plan = None if is_first else self._plan
        self._canvas = canvas if not is_first and plan == self.plan() else None
        self._update_picture()
        if is_first:
            self.update()
        self._refresh_readout()

    def wanted_plan(self) -> Plan | None:
        """Return where a picture is to be made for; None where nobody sees it, or a GPU draws."""
        return self.plan() if self.isVisible() and self._glass is None else None

    def plan(self) -> Plan:
        """Return where the picture stands now."""
        size, ratio, known = self.size(), self.devicePixelRatioF(), self._plan
        if known is None or known[0] != size or known[1].ratio != ratio:
            self._plan = known = size, self._find_plan(ratio)
        return known[1]

    def _find_plan(self, ratio: float) -> Plan:
        pane = self.picture_rect()
        at = self.image_rect().translated(-QPointF(pane.topLeft()))
        place = (at.x() * ratio, at.y() * ratio, at.width() * ratio, at.height() * ratio)
        size = pane.size() * ratio
        return Plan(size.width(), size.height(), ratio, place, theme.current().view)

    def set_on_painted(self, call: Callable[[], None]) -> None:
        """Have this called after each painting of the picture; not yet on the screen then."""
        self._on_painted = call

    def set_title(self, title: str) -> None:
        """Set the text at the left of the header."""
        if title != self._title:
            self._title = title
            self.setAccessibleName(title)
            self.update(self._header())

    def set_stat(self, *texts: str) -> None:
        """Set the text at the right of the header, such as a fill rate: the first that fits."""
        if texts != self._stats:
            self._stats = texts
            self.update(self._header())

    def set_placeholder(self, text: str) -> None:
        """Set what stands in the middle while there is no image."""
        if text != self._placeholder:
            self._placeholder = text
            self.update()

    def set_readout(self, readout: PixelText | None) -> None:
        """Set the function that words the pixel under the cross-hair."""
        self._readout = readout
        self.update()

    def set_region(self, place: QRectF | None, color: QColor) -> None:
        """Outline a part of the image, in fractions of it, or nothing."""
        self._region = None if place is None else (place, color)
        self.update()

    def set_compact(self, on: bool) -> None:
        """Spare the read-out line, where several cameras share the height."""
        if on != self._is_compact:
            self._is_compact = on
            self.setMinimumSize(*(_COMPACT_PX if on else _LEAST_PX))
            self._redraw()

    @property
    def has_image(self) -> bool:
        """Whether there is an image, rather than the placeholder."""
        return self._source is not None

    @property
    def image_size(self) -> tuple[int, int] | None:
        """Width and height of the image, pixels; ``None`` without one."""
        return None if self._source is None else self._source.size

    @property
    def readout_text(self) -> str:
        """What the read-out line says now."""
        pixel = self.cursor_pixel()
        return self._readout(*pixel) if self._readout and pixel else ""

    # ---- geometry --------------------------------------------------------------------------

    def picture_rect(self) -> QRect:
        """The part of the widget between header and read-out line."""
        bar = self._bar_height()
        below = 0 if self._is_compact else bar
        return QRect(0, bar, self.width(), self.height() - bar - below)

    def image_rect(self) -> QRectF:
        """Where the whole image would lie in the widget; it reaches beyond the pane when zoomed."""
        pane = QRectF(self.picture_rect())
        if self._source is None:
            return pane
        width, height = self._source.size
        scale = min(pane.width() / width, pane.height() / height) * self.link.zoom
        size = QPointF(width * scale, height * scale)
        corner = pane.center() - QPointF(
            size.x() * self.link.center.x(), size.y() * self.link.center.y()
        )
        return QRectF(corner.x(), corner.y(), size.x(), size.y())

    def place_at(self, position: QPointF) -> QPointF:
        """Return the place in the image under a widget position, as fractions (see `ViewLink`)."""
        rect = self.image_rect()
        return QPointF(
            (position.x() - rect.x()) / max(rect.width(), 1e-9),
            (position.y() - rect.y()) / max(rect.height(), 1e-9),
        )

    def position_of(self, place: QPointF) -> QPointF:
        """Return the widget position of a place in the image; the inverse of `place_at`."""
        rect = self.image_rect()
        return QPointF(rect.x() + place.x() * rect.width(), rect.y() + place.y() * rect.height())

    def cursor_pixel(self) -> tuple[int, int] | None:
        """Return the pixel (x, y) of this view's image under the common cross-hair."""
        cursor = self.link.cursor
        if cursor is None or self._source is None:
            return None
        width, height = self._source.size
        return int(cursor.x() * width), int(cursor.y() * height)

    def sizeHint(self) -> QSize:  # noqa: N802, D102
        return QSize(426, 360)

    def _bar_height(self) -> int:
        if self._bar_px is None:  # asked a dozen times a picture
            line = self.fontMetrics().height() + theme.GRID_PX
            self._bar_px = -(-line // theme.GRID_PX) * theme.GRID_PX
        return self._bar_px

    def _header(self) -> QRect:
        return QRect(0, 0, self.width(), self._bar_height())

    def _footer(self) -> QRect:
        bar = 0 if self._is_compact else self._bar_height()
        return QRect(0, self.height() - bar, self.width(), bar)

    # ---- painting --------------------------------------------------------------------------

    def paintEvent(self, event: QPaintEvent) -> None:  # noqa: N802, D102
        painter, stale = QPainter(self), event.region()
        if self._glass is None and stale.intersects(self.picture_rect()):
            self._paint_picture(painter)
        if stale.intersects(self._header()):
            reading = self.readout_text if self._is_compact else ""
            paint_header(painter, self._header(), self._title, self._stats, reading)
        if stale.intersects(self._footer()):
            paint_footer(painter, self._footer(), self.readout_text)
        painter.end()

    def _paint_picture(self, painter: QPainter) -> None:
        pane = self.picture_rect()
        if self._source is None:
            painter.fillRect(pane, QColor(theme.current().view))
            painter.setPen(QColor(theme.current().dim))
            margin = 2 * theme.GRID_PX
            flags = Qt.AlignmentFlag.AlignCenter | Qt.TextFlag.TextWordWrap
            painter.drawText(pane.adjusted(margin, 0, -margin, 0), flags, self._placeholder)
        else:
            self._lay(painter, self._source)
            self._paint_above(painter)
        self._on_painted()

    def _lay(self, painter: QPainter, source: Source) -> None:
        """Draw the picture; here and now, where none was made beside the main thread."""
        if self._glass is not None:
            self._glass.lay(painter, self._layers(source), self.plan())
            return
        if self._canvas is None:
            self._canvas = compose(source, self.plan())
        painter.drawImage(self.picture_rect().topLeft(), self._canvas)

    def _layers(self, source: Source) -> list[Layer]:
        """Return what a GPU draws, and from where to where."""
        return [(source, 0, math.inf)]

    def _paint_above(self, painter: QPainter) -> None:
        """Paint what lies above the picture: the region, the cross-hair."""
        painter.setClipRect(self.picture_rect())
        for paint in self.above.values():
            paint(painter)
        if self._region is not None:
            place, color = self._region
            box = QRectF(self.position_of(place.topLeft()), self.position_of(place.bottomRight()))
            for pen in (QPen(QColor(0, 0, 0, 120), 3), QPen(color, 1.5)):
                painter.setPen(pen)
                painter.drawRect(box)
        if self.link.cursor is not None:
            at = self.position_of(self.link.cursor)
            paint_cross(painter, self.picture_rect(), at)
        painter.setClipping(False)

    def _set_source(self, source: Source | None) -> None:
        self._source = source
        self._redraw()

    def _redraw(self) -> None:
        self._place_anew()
        self.update()

    def _place_anew(self) -> None:
        self._canvas = self._plan = None
        if self._glass is not None:
            self._glass.setGeometry(self.picture_rect())

    def _drop_glass(self) -> None:
        """Paint here from now on: the GPU draws no more."""
        if self._glass is not None:
            self._glass.hide()
            self._glass.deleteLater()
            self._glass = None
            self._redraw()

    def _update_picture(self) -> None:
        if self._glass is not None:
            self._glass.update()
        else:
            self.update(self.picture_rect())

    def _on_cursor(self) -> None:
        self._update_picture()
        self._refresh_readout()

    def _refresh_readout(self) -> None:
        """Repaint the line that tells of the pixel under the cross-hair, where it changed."""
        text = self.readout_text
        if text != self._readout_shown:
            self._readout_shown = text
            self.update(self._header() if self._is_compact else self._footer())

    # ---- mouse -----------------------------------------------------------------------------

    def resizeEvent(self, event: QResizeEvent) -> None:  # noqa: N802, D102
        self._place_anew()

    def changeEvent(self, event: QEvent) -> None:  # noqa: N802, D102
        kinds = (QEvent.Type.PaletteChange, QEvent.Type.FontChange, QEvent.Type.StyleChange)
        if event.type() in kinds:
            self._bar_px = None
            self._redraw()
        super().changeEvent(event)

    def wheelEvent(self, event: QWheelEvent) -> None:  # noqa: N802, D102
        factor = 2.0 ** (event.angleDelta().y() / 240)
        self.link.zoom_at(self.place_at(event.position()), factor)
        event.accept()

    def mousePressEvent(self, event: QMouseEvent) -> None:  # noqa: N802, D102
        self.pressed.emit(self.place_at(event.position()))
        if event.button() != Qt.MouseButton.LeftButton:
            return
        if self.link.is_drawing and self.has_image:
            self._corner = self.place_at(event.position())
        else:
            self._grabbed = event.position()

    def mouseMoveEvent(self, event: QMouseEvent) -> None:  # noqa: N802, D102
        if self._corner is not None:
            self._draw_to(self._corner, event.position(), done=False)
        elif self._grabbed is not None and event.buttons() & Qt.MouseButton.LeftButton:
            self.link.pan_by(self.place_at(self._grabbed) - self.place_at(event.position()))
            self._grabbed = event.position()
        self._point_at(event.position())

    def mouseReleaseEvent(self, event: QMouseEvent) -> None:  # noqa: N802, D102
        self._grabbed = None
        if self._corner is not None:
            self._draw_to(self._corner, event.position(), done=True)
            self._corner = None

    def mouseDoubleClickEvent(self, event: QMouseEvent) -> None:  # noqa: N802, D102
        self.link.fit()

    def leaveEvent(self, event: QEvent) -> None:  # noqa: N802, D102
        self.link.set_cursor(None)

    def _draw_to(self, corner: QPointF, position: QPointF, *, done: bool) -> None:
        place = QRectF(corner, self.place_at(position)).normalized() & _WHOLE
        if not place.isEmpty():
            self.regionDrawn.emit(place, done)

    def _show_tool(self) -> None:
        self.setCursor(
            Qt.CursorShape.CrossCursor if self.link.is_drawing else Qt.CursorShape.ArrowCursor
        )

    def _point_at(self, position: QPointF) -> None:
        inside = self.has_image and self.picture_rect().contains(position.toPoint())
        self.link.set_cursor(self.place_at(position) if inside else None)
