"""A pane with two pictures of one place: a line between them, or one after the other."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

from PySide6.QtCore import QPointF, QRect, QRectF, Qt
from PySide6.QtGui import QColor, QImage, QPainter, QPen

from ui.shell import theme
from ui.views.compose import Plan, Source, compose
from ui.views.image_view import ImageView

if TYPE_CHECKING:
    from ui.views.glass import Layer


@dataclass(frozen=True, slots=True, eq=False)
class Made:
    """One picture, or a left and a right one of the same size, as they stand in a pane."""

    sources: tuple[Source, ...]
    plan: Plan | None
    canvases: tuple[QImage | None, ...]


def make(sources: tuple[Source, ...], plan: Plan | None) -> Made:
    """Make the pictures, on any thread; none without a plan."""
    if plan is None:
        return Made(sources, plan, (None,) * len(sources))
    return Made(sources, plan, tuple(compose(source, plan) for source in sources))


class PairView(ImageView):
    """An `ImageView` that shows one picture, or two of the same size left and right of `split`."""

    split = 0.5  # where the right picture begins, as a fraction of the width
    _left_source: Source | None = None
    _left: QImage | None = None  # as it stands on the screen
    _captions = ("", "")

    def show_made(self, made: Made, captions: tuple[str, str] = ("", "")) -> None:
        """Show one picture, or two with a word for each, that `make` made."""
        is_pair = len(made.sources) == 2
        self._left_source = made.sources[0] if is_pair else None
        self._left = made.canvases[0] if is_pair else None
        self._captions = captions
        self.show_composed(made.sources[-1], made.plan, made.canvases[-1])

    def clear(self) -> None:
        """Show the placeholder."""
        self._left_source, self._left = None, None
        self.set_image(None)

    def set_split(self, split: float) -> None:
        """Move the line: 0 shows the right picture alone, 1 the left one."""
        if split != self.split:
            self.split = split
            self.update()

    @property
    def _line_px(self) -> float:
        return self.position_of(QPointF(self.split, 0)).x()

    def _lay(self, painter: QPainter, source: Source) -> None:
        is_stale = self._canvas is None
        super()._lay(painter, source)
        if self._left_source is None or self._glass is not None:
            return
        if is_stale or self._left is None:
            self._left = compose(self._left_source, self.plan())
        pane = self.picture_rect()
        wide = self._line_px - pane.left()
        painter.save()
        painter.setClipRect(QRectF(pane.left(), pane.top(), wide, pane.height()) & pane)
        painter.drawImage(pane.topLeft(), self._left)
        painter.restore()

    def _layers(self, source: Source) -> list[Layer]:
        if self._left_source is None:
            return super()._layers(source)
        line = self._line_px * self.devicePixelRatioF()
        return [(self._left_source, 0, line), (source, line, math.inf)]

    def _paint_above(self, painter: QPainter) -> None:
        if self._left_source is not None:
            self._paint_line(painter)
        super()._paint_above(painter)

    def _paint_line(self, painter: QPainter) -> None:
        pane, x = self.picture_rect(), self._line_px
        painter.save()
        painter.setClipRect(pane)
        if 0 < self.split < 1:
            painter.setPen(QPen(QColor(255, 255, 255, 220), 2))
            painter.drawLine(QPointF(x, pane.top()), QPointF(x, pane.bottom()))
        seen = self.image_rect().toRect() & pane
        if self.split > 0:
            self._paint_caption(painter, seen, self._captions[0], Qt.AlignmentFlag.AlignLeft)
        if self.split < 1:
            self._paint_caption(painter, seen, self._captions[1], Qt.AlignmentFlag.AlignRight)
        painter.restore()

    def _paint_caption(
        self, painter: QPainter, seen: QRect, text: str, side: Qt.AlignmentFlag
    ) -> None:
        metrics = painter.fontMetrics()
        text = metrics.elidedText(text, Qt.TextElideMode.ElideRight, seen.width() // 2 - 32)
        box = QRect(0, 0, metrics.horizontalAdvance(text) + 16, metrics.height() + 8)
        inner = seen.adjusted(8, 8, -8, -8)
        box.moveTopLeft(inner.topLeft())
        if side == Qt.AlignmentFlag.AlignRight:
            box.moveTopRight(inner.topRight())
        if text:
            painter.fillRect(box, QColor(0, 0, 0, 150))
            painter.setPen(QColor(theme.DARK.text))  # on black in either theme
            painter.drawText(box, Qt.AlignmentFlag.AlignCenter, text)
