"""A bar that tells an error, a wait or an offer where it belongs, with what to do about it."""

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
    """A coloured bar with a text, up to two buttons and a cross; hidden until something is shown.

    ``retry``, ``accepted`` and ``dismissed`` are sent when the user presses the button; all hide
    the bar.
    """

    retry = Signal()
    accepted = Signal()
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
        self._accept = QPushButton()
        self._accept.clicked.connect(self._on_accept)
        self._close = QToolButton()
        self._close.setText("✕")
        self._close.setAccessibleName("Dismiss")
        self._close.clicked.connect(self._on_close)
        row = QHBoxLayout(self)
        row.setContentsMargins(2 * theme.GRID_PX, theme.GRID_PX, theme.GRID_PX, theme.GRID_PX)
        row.setSpacing(theme.GRID_PX)
        row.addWidget(self._label, 1)
        row.addWidget(self._retry, 0, Qt.AlignmentFlag.AlignVCenter)
        row.addWidget(self._accept, 0, Qt.AlignmentFlag.AlignVCenter)
        row.addWidget(self._close, 0, Qt.AlignmentFlag.AlignVCenter)
        self.hide()

    @property
    def text(self) -> str:
        """What the bar says; empty while it is hidden."""
        return "" if self.isHidden() else self._label.text()

    def show_error(
        self, text: str, fix: str = "", *, can_retry: bool = True, button: str = ""
    ) -> None:
        """Show what went wrong and, on a second line, what to do next; ``button`` may help."""
        self._show("notice", f"{text}\n{fix}" if fix else text, button)
        self._retry.setVisible(can_retry)

    def show_busy(self, text: str) -> None:
        """Show what is waited for."""
        self._show("busy", text, "")
        self._close.hide()

    def show_offer(self, text: str, button: str) -> None:
        """Show what could be done, with a button that does it."""
        self._show("busy", text, button)

    def _show(self, kind: str, text: str, button: str) -> None:
        if self.objectName() != kind:
            self.setObjectName(kind)  # what the style goes by
            self.style().unpolish(self)
            self.style().polish(self)
        self._label.setText(text)
        self._retry.hide()
        self._accept.setText(button)
        self._accept.setVisible(bool(button))
        self._close.show()
        self.show()

    def clear(self) -> None:
        """Take the bar away; sends nothing."""
        self.hide()

    def _on_retry(self) -> None:
        self.hide()
        self.retry.emit()

    def _on_accept(self) -> None:
        self.hide()
        self.accepted.emit()

    def _on_close(self) -> None:
        self.hide()
        self.dismissed.emit()
