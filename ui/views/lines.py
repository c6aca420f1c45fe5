"""What is written above and below a picture, and the cross-hair over it."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache

from PySide6.QtCore import QPointF, QRect, Qt
from PySide6.QtGui import QColor, QFontMetrics, QImage, QPainter

from ui.shell import theme

_CROSS_GAP_PX, _CROSS_PX = 6, 3


def paint_cross(painter: QPainter, pane: QRect, at: QPointF) -> None:
    """Draw a cross-hair over a pane, open in its middle.

    From images: Qt cuts a line that is seen through and over 96 pixels high into parts for threads
    and waits for them, on cores that the refiner has.
    """
    x, y, gap = round(at.x()), round(at.y()), _CROSS_GAP_PX
    level, upright = _arm(pane.width(), _CROSS_PX), _arm(_CROSS_PX, pane.height())
    left, top, right, bottom = pane.left(), pane.top(), pane.right() + 1, pane.bottom() + 1
    for first, last in ((left, min(x - gap, right)), (max(x + gap + 1, left), right)):
        if first < last:
            painter.drawImage(first, y - _CROSS_PX // 2, level, 0, 0, last - first, _CROSS_PX)
    for first, last in ((top, min(y - gap, bottom)), (max(y + gap + 1, top), bottom)):
        if first < last:
            painter.drawImage(x - _CROSS_PX // 2, first, upright, 0, 0, _CROSS_PX, last - first)


@lru_cache(maxsize=32)
def _arm(width: int, height: int) -> QImage:
    """Return a line, light with dark sides, for a pane of this width or height."""
    image = QImage(width, height, QImage.Format.Format_ARGB32_Premultiplied)
    image.fill(QColor(0, 0, 0, 70))
    side = _CROSS_PX // 2
    core = image.rect().adjusted(0, side, 0, -side)
    if height > width:
        core = image.rect().adjusted(side, 0, -side, 0)
    painter = QPainter(image)
    painter.fillRect(core, QColor(255, 255, 255, 150))
    painter.end()
    return image


def paint_header(
    painter: QPainter, bar: QRect, title: str, stats: Sequence[str], reading: str
) -> None:
    """Write a title left, and right the first stat that fits, or the reading in their place."""
    colors, metrics, gap = theme.current(), painter.fontMetrics(), 2 * theme.GRID_PX
    inner = _ground(painter, bar)
    text = reading or stat_beside(metrics, inner.width() - gap, title, stats)
    most = inner.width() * 2 // 3 if reading else inner.width()
    wide = min(metrics.horizontalAdvance(text), most)
    rest = inner.adjusted(0, 0, -(wide + gap if text else 0), 0)
    _write(painter, rest, title, colors.text, Qt.AlignmentFlag.AlignLeft)
    color, right = colors.text if reading else colors.dim, QRect(inner)
    right.setLeft(inner.right() - wide)
    _write(painter, right, text, color, Qt.AlignmentFlag.AlignRight)


def stat_beside(metrics: QFontMetrics, room_px: int, title: str, stats: Sequence[str]) -> str:
    """Return the first stat that fits; the title gives way to its first words, but no further."""
    least = room_px - metrics.horizontalAdvance(title.partition("   ")[0])
    return next((stat for stat in stats if metrics.horizontalAdvance(stat) <= least), "")


def paint_footer(painter: QPainter, bar: QRect, text: str) -> None:
    """Write one line below a picture."""
    if not bar.isEmpty():
        inner = _ground(painter, bar)
        _write(painter, inner, text, theme.current().text, Qt.AlignmentFlag.AlignLeft)


def _ground(painter: QPainter, bar: QRect) -> QRect:
    painter.fillRect(bar, QColor(theme.current().panel))
    return bar.adjusted(theme.GRID_PX, 0, -theme.GRID_PX, 0)


def _write(painter: QPainter, box: QRect, text: str, color: str, side: Qt.AlignmentFlag) -> None:
    """Write one elided line; a remark in brackets at its end stays."""
    metrics: QFontMetrics = painter.fontMetrics()
    modes = Qt.TextElideMode
    mode = modes.ElideMiddle if text.endswith(")") else modes.ElideRight
    shown = metrics.elidedText(text, mode, box.width() + 1)
    painter.setPen(QColor(color))
    painter.drawText(box, side | Qt.AlignmentFlag.AlignVCenter, shown)
