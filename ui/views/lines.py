"""What is written above and below a picture, and the cross-hair over it."""

from __future__ import annotations

from collections.abc import Sequence

from PySide6.QtCore import QPointF, QRect, QRectF, Qt
from PySide6.QtGui import QColor, QFontMetrics, QPainter, QPen

from ui.shell import theme

_CROSS_GAP_PX = 6.0


def paint_cross(painter: QPainter, pane: QRectF, at: QPointF) -> None:
    """Draw a cross-hair over a pane, open in its middle."""
    x, y, gap = round(at.x()) + 0.5, round(at.y()) + 0.5, _CROSS_GAP_PX
    ends = [
        QPointF(pane.left(), y),
        QPointF(x - gap, y),
        QPointF(x + gap, y),
        QPointF(pane.right(), y),
        QPointF(x, pane.top()),
        QPointF(x, y - gap),
        QPointF(x, y + gap),
        QPointF(x, pane.bottom()),
    ]
    for color, width in ((QColor(0, 0, 0, 70), 3), (QColor(255, 255, 255, 150), 1)):
        painter.setPen(QPen(color, width, Qt.PenStyle.SolidLine, Qt.PenCapStyle.FlatCap))
        painter.drawLines(ends)


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
