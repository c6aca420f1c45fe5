"""What measuring draws over the cloud's picture: points, lines and boxes with their numbers."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from PySide6.QtCore import QPointF, QRectF, Qt
from PySide6.QtGui import QColor, QPainter, QPen

from lingbot_live.frame import Matrix
from lingbot_live.quality.ruler import Vector
from ui.cloud.scene import Home, ViewSettings, on_picture
from ui.shell import theme

_RADIUS_PX = 5
_SHADOW = QColor(0, 0, 0, 170)


@dataclass(frozen=True, slots=True)
class Mark:
    """Points of the common axes, the lines that join some of them, and a word beside the first."""

    points_m: tuple[Vector, ...]
    lines: tuple[tuple[int, int], ...] = ()
    text: str = ""
    has_dots: bool = True


@dataclass(frozen=True, slots=True)
class Viewpoint:
    """From where a picture was taken."""

    home: Home
    view: ViewSettings

    @property
    def extrinsic(self) -> Matrix:
        """From the common axes into the viewing camera, 4x4."""
        return self.home.extrinsic(self.view)


def paint(painter: QPainter, marks: tuple[Mark, ...], at: Viewpoint, rect: QRectF) -> None:
    """Draw the marks where their points lie in a picture that fills ``rect``."""
    painter.setRenderHint(QPainter.RenderHint.Antialiasing)
    scale = rect.width() / at.view.width
    for mark in marks:
        (u, v), z = on_picture(np.array(mark.points_m), at.extrinsic, at.view)
        places = [
            rect.topLeft() + QPointF(x + 0.5, y + 0.5) * scale if depth > 0 else None
            for x, y, depth in zip(u.tolist(), v.tolist(), z.tolist(), strict=True)
        ]
        _paint_mark(painter, mark, places)


def _paint_mark(painter: QPainter, mark: Mark, places: list[QPointF | None]) -> None:
    painter.setBrush(Qt.BrushStyle.NoBrush)
    for color, width in ((_SHADOW, 4.0), (QColor(255, 255, 255), 1.8)):
        painter.setPen(QPen(color, width))
        for first, last in mark.lines:
            a, b = places[first], places[last]
            if a is not None and b is not None:
                painter.drawLine(a, b)
        for place in places if mark.has_dots else ():
            if place is not None:
                painter.drawEllipse(place, _RADIUS_PX, _RADIUS_PX)
    seen = [place for place in places if place is not None]
    if mark.text and seen:
        middle = QPointF(sum(p.x() for p in seen), sum(p.y() for p in seen)) / len(seen)
        _paint_text(painter, mark.text, middle)


def _paint_text(painter: QPainter, text: str, place: QPointF) -> None:
    metrics = painter.fontMetrics()
    box = QRectF(0, 0, metrics.horizontalAdvance(text) + 12, metrics.height() + 4)
    box.moveBottomLeft(place + QPointF(_RADIUS_PX + 4, -_RADIUS_PX))
    painter.fillRect(box, QColor(0, 0, 0, 190))
    painter.setPen(QColor(theme.DARK.text))  # on black in either theme
    painter.drawText(box, Qt.AlignmentFlag.AlignCenter, text)
