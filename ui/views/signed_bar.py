"""The colour bar of signed differences."""

from __future__ import annotations

import numpy as np
from PySide6.QtCore import QRect, QSize, Qt
from PySide6.QtGui import QColor, QImage, QPainter, QPaintEvent
from PySide6.QtWidgets import QSizePolicy, QWidget

from lingbot_live.colormap import colorize_signed
from ui.shell import theme
from ui.shell.language import tr

_STEPS = 256


class SignedBar(QWidget):
    """Blue to red with its two ends and zero in millimetres."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._limit_mm = 50
        self.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Fixed)

    def set_limit(self, limit_mm: int) -> None:
        """Set the difference at the ends."""
        self._limit_mm = limit_mm
        self.update()

    def sizeHint(self) -> QSize:  # noqa: N802, D102
        return QSize(240, self.fontMetrics().height() + 2 * theme.GRID_PX)

    def minimumSizeHint(self) -> QSize:  # noqa: N802, D102
        return QSize(120, self.sizeHint().height())

    def paintEvent(self, event: QPaintEvent) -> None:  # noqa: N802, D102
        painter, margin = QPainter(self), theme.GRID_PX
        bar = QRect(margin, 2, self.width() - 2 * margin, theme.GRID_PX)
        painter.drawImage(bar, _ramp())
        painter.setPen(QColor(theme.current().dim))
        text = QRect(margin, bar.bottom() + 2, bar.width(), self.fontMetrics().height())
        limit = f"{self._limit_mm} mm"
        painter.drawText(text, Qt.AlignmentFlag.AlignLeft, tr("−{limit} nearer", limit=limit))
        painter.drawText(text, Qt.AlignmentFlag.AlignHCenter, "0")
        painter.drawText(text, Qt.AlignmentFlag.AlignRight, tr("+{limit} farther", limit=limit))
        painter.end()


def _ramp() -> QImage:
    steps = np.linspace(-1, 1, _STEPS, dtype=np.float32)[None]
    rgb = np.ascontiguousarray(colorize_signed(steps, np.ones_like(steps, bool), 1.0))
    return QImage(rgb.data, _STEPS, 1, 3 * _STEPS, QImage.Format.Format_RGB888).copy()
