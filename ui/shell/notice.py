"""A bar that tells an error where it happened, with what to do about it."""

from __future__ import annotations

from collections.abc import Callable

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

from ui.shell import theme


class Notice(QFrame):
    """A coloured bar with a text, an optional fix, a button and a cross; hidden until shown.

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
        self._offer: Callable[[], object] | None = None
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
        self._show(f"{text}\n{fix}" if fix else text, "Retry" if can_retry else "", "notice")

    def show_mendable(self, text: str, button: str, do: Callable[[], object]) -> None:
        """Show what went wrong, with a button that mends it."""
        self._show(text, button, "notice")
        self._offer = do

    def show_note(self, text: str) -> None:
        """Show what is good to know."""
        self._show(text, "", "message")

    def show_busy(self, text: str) -> None:
        """Show what is waited for; it goes by itself."""
        self._show(text, "", "message")
        self._close.hide()

    def show_offer(self, text: str, button: str, do: Callable[[], object]) -> None:
        """Show good news, with a button for what may come next."""
        self._show(text, button, "message")
        self._offer = do

    @property
    def button(self) -> QPushButton:
        """Retry, or what was offered."""
        return self._retry

    def clear(self) -> None:
        """Take the bar away; sends nothing."""
        self.hide()

    def _show(self, text: str, button: str, look: str) -> None:
        self._offer = None
        self._label.setText(text)
        self._retry.setText(button)
        self._retry.setVisible(bool(button))
        self._close.show()
        if self.objectName() != look:
            self.setObjectName(look)
            self.style().unpolish(self)
            self.style().polish(self)
        self.show()

    def _on_retry(self) -> None:
        self.hide()
        if self._offer is not None:
            self._offer()
        else:
            self.retry.emit()

    def _on_close(self) -> None:
        self.hide()
        self.dismissed.emit()
