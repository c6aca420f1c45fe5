"""A bar that tells an error where it happened, with what to do about it."""

from __future__ import annotations

from PySide6.QtCore import Qt, Signal
from PySide6.QtWidgets import (
    QFrame,
    QHBoxLayout,
    QLabel,
    QPushButton,
    QSizePolicy,
    QToolButton,
    QWidget,
)

from ui import theme


class Notice(QFrame):
    """A coloured bar with a text, an optional fix, Retry and a cross; hidden until `show_error`.

    ``retry`` and ``dismissed`` are sent when the user presses the button; both hide the bar.
    """

    retry = Signal()
    dismissed = Signal()

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setObjectName("notice")
        self._label = QLabel()
        self._label.setWordWrap(True)
        self._label.setTextFormat(Qt.TextFormat.PlainText)
        self._label.setTextInteractionFlags(
            Qt.TextInteractionFlag.TextSelectableByMouse
            | Qt.TextInteractionFlag.TextSelectableByKeyboard
        )
        self._label.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Preferred)
        self._retry = QPushButton("Retry")
        self._retry.clicked.connect(self._on_retry)
        self._close = QToolButton()
        self._close.setText("✕")
        self._close.setAccessibleName("Dismiss")
        self._close.clicked.connect(self._on_close)
        row = QHBoxLayout(self)
        row.setContentsMargins(2 * theme.GRID_PX, theme.GRID_PX, theme.GRID_PX, theme.GRID_PX)
        row.setSpacing(theme.GRID_PX)
        row.addWidget(self._label, 1)
        row.addWidget(self._retry, 0, Qt.AlignmentFlag.AlignVCenter)
        row.addWidget(self._close, 0, Qt.AlignmentFlag.AlignVCenter)
        self.hide()

    @property
    def text(self) -> str:
        """What the bar says; empty while it is hidden."""
        return "" if self.isHidden() else self._label.text()

    def show_error(self, text: str, fix: str = "", *, can_retry: bool = True) -> None:
        """Show what went wrong and, on a second line, what to do next."""
        self._label.setText(f"{text}\n{fix}" if fix else text)
        self._retry.setVisible(can_retry)
        self.show()

    def clear(self) -> None:
        """Take the bar away; sends nothing."""
        self.hide()

    def _on_retry(self) -> None:
        self.hide()
        self.retry.emit()

    def _on_close(self) -> None:
        self.hide()
        self.dismissed.emit()
