"""A bar that tells an error where it happened, with what to do about it."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from PySide6.QtCore import QEvent, QObject, Qt, QTimer, Signal
from PySide6.QtGui import QAccessible, QAccessibleEvent
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
from ui.shell.language import told, tr

Offer = tuple[str, Callable[[], object]]  # a button's text, and what it does
_NEWS_MS = 8000  # long enough to be read
_OFFERED_MS = 20_000  # and to reach for a button


class Notice(QFrame):
    """A coloured bar with a text, an optional fix, buttons and a cross; hidden until shown.

    ``retry`` and ``dismissed`` are sent when the user presses the button; every button hides it.
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
        self._buttons = QHBoxLayout()
        self._buttons.setSpacing(theme.GRID_PX)
        self._close = QToolButton()
        self._close.setText("✕")
        self._close.setAccessibleName(tr("Dismiss"))
        self._close.clicked.connect(self._on_close)
        row = QHBoxLayout(self)
        row.setContentsMargins(2 * theme.GRID_PX, theme.GRID_PX, theme.GRID_PX, theme.GRID_PX)
        row.setSpacing(theme.GRID_PX)
        row.addWidget(self._label, 1)
        row.addLayout(self._buttons)
        row.addWidget(self._close, 0, Qt.AlignmentFlag.AlignVCenter)
        self.hide()

    @property
    def text(self) -> str:
        """What the bar says; empty while it is hidden."""
        return "" if self.isHidden() else self._label.text()

    def show_error(self, text: str, fix: str = "", *, can_retry: bool = True) -> None:
        """Show what went wrong and, on a second line, what to do next."""
        offers: tuple[Offer, ...] = ((tr("Retry"), self.retry.emit),) if can_retry else ()
        self._show(f"{text}\n{fix}" if fix else text, offers, "notice")

    def show_mendable(self, text: str, *offers: Offer) -> None:
        """Show what went wrong, with buttons that mend it."""
        self._show(text, offers, "notice")

    def show_note(self, text: str) -> None:
        """Show what is good to know."""
        self._show(text, (), "message")

    def show_busy(self, text: str) -> None:
        """Show what is waited for; it goes by itself."""
        self._show(text, (), "message")
        self._close.hide()

    def show_offer(self, text: str, *offers: Offer) -> None:
        """Show good news, with buttons for what may come next."""
        self._show(text, offers, "message")

    @property
    def buttons(self) -> list[QPushButton]:
        """Retry, or what was offered."""
        items = [self._buttons.itemAt(at) for at in range(self._buttons.count())]
        widgets = [item.widget() for item in items if item is not None]
        return [widget for widget in widgets if isinstance(widget, QPushButton)]

    def clear(self) -> None:
        """Take the bar away; sends nothing."""
        self.hide()

    def _show(self, text: str, offers: Sequence[Offer], look: str) -> None:
        text = told(text)  # errors come from the core as they are
        self._label.setText(text)
        self._offer(offers)
        self._close.show()
        if self.objectName() != look:
            self.setObjectName(look)
            self.style().unpolish(self)
            self.style().polish(self)
        if text != self.accessibleName():
            self.setAccessibleName(text)
            QAccessible.updateAccessibility(QAccessibleEvent(self, QAccessible.Event.Alert))
        self.show()

    def _offer(self, offers: Sequence[Offer]) -> None:
        for old in self.buttons:
            self._buttons.removeWidget(old)
            old.hide()
            old.deleteLater()
        for text, do in offers:
            button = QPushButton(text)
            button.clicked.connect(lambda _on=False, do=do: self._on_offer(do))
            self._buttons.addWidget(button, 0, Qt.AlignmentFlag.AlignVCenter)

    def _on_offer(self, do: Callable[[], object]) -> None:
        self.hide()
        do()

    def _on_close(self) -> None:
        self.hide()
        self.dismissed.emit()


class News(Notice):
    """A bar over the lower edge of its host that goes by itself: nothing moves to make room."""

    def __init__(self, host: QWidget) -> None:
        super().__init__(host)
        self._host = host
        self._lines: list[str] = []
        self._timer = QTimer(self, singleShot=True)
        self._timer.timeout.connect(self.clear)
        host.installEventFilter(self)

    def tell(self, text: str, *offers: Offer) -> None:
        """Show a text below those that are still there; its buttons take the place of theirs."""
        kept = self._lines if not self.isHidden() else []
        text = told(text)
        self._lines = [*[line for line in kept if line != text][-2:], text]
        self._show("\n".join(self._lines), offers, "news")
        self._place()
        self.raise_()
        self._timer.start(_OFFERED_MS if offers else _NEWS_MS)

    def eventFilter(self, watched: QObject, event: QEvent) -> bool:  # noqa: N802, D102
        if event.type() == QEvent.Type.Resize and not self.isHidden():
            self._place()
        return False

    def _place(self) -> None:
        host, margin = self._host, 2 * theme.GRID_PX
        width = min(host.width() - 2 * margin, 720)
        layout = self.layout()
        high = layout.heightForWidth(width) if layout is not None else 0
        self.setGeometry((host.width() - width) // 2, host.height() - high - margin, width, high)
