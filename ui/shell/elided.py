"""A label that ends with dots where it is too narrow for its text."""

from __future__ import annotations

from PySide6.QtCore import QSize, Qt
from PySide6.QtGui import QPainter, QPaintEvent
from PySide6.QtWidgets import QLabel, QSizePolicy

_LEAST_LETTERS = 12


class ElidedLabel(QLabel):
    """Takes what room there is; the whole text is its tool tip where it does not fit.

    It shows none at all where only its first letters would fit, which say nothing.
    """

    def __init__(self, text: str = "", *, comes_first: bool = False) -> None:
        """``comes_first`` takes what it needs before others take the rest."""
        super().__init__(text)
        policies = QSizePolicy.Policy
        across = policies.Maximum if comes_first else policies.Ignored
        self.setSizePolicy(across, policies.Preferred)
        self._note = ""

    @property
    def shown(self) -> str:
        """The text as it is seen."""
        mode = Qt.TextElideMode.ElideRight
        shown = self.fontMetrics().elidedText(self.text(), mode, self.contentsRect().width())
        return shown if shown == self.text() or len(shown) > _LEAST_LETTERS else ""

    def set_note(self, text: str) -> None:
        """Have the tool tip say this too, below the text."""
        self._note = text

    def minimumSizeHint(self) -> QSize:  # noqa: N802, D102
        return QSize(0, super().minimumSizeHint().height())

    def paintEvent(self, event: QPaintEvent) -> None:  # noqa: N802, D102
        shown = self.shown
        whole = self.text() if shown != self.text() else ""
        self.setToolTip("\n".join(filter(None, (whole, self._note))))
        painter = QPainter(self)
        painter.setPen(self.palette().color(self.foregroundRole()))
        painter.drawText(self.contentsRect(), self.alignment(), shown)
