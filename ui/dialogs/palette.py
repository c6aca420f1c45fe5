"""All commands, searchable, with their keys."""

from __future__ import annotations

from PySide6.QtCore import QEvent, QModelIndex, QObject, QPersistentModelIndex, Qt
from PySide6.QtGui import QKeyEvent, QPainter, QPalette
from PySide6.QtWidgets import (
    QDialog,
    QLineEdit,
    QListWidget,
    QListWidgetItem,
    QStyle,
    QStyledItemDelegate,
    QStyleOptionViewItem,
    QVBoxLayout,
    QWidget,
)

from ui.dialogs.keys import key_text
from ui.shell import theme
from ui.shell.actions import Actions
from ui.shell.language import tr

_KEYS = Qt.ItemDataRole.UserRole + 1


class _WithKeys(QStyledItemDelegate):
    """Draws an item's keys at the right."""

    def paint(
        self,
        painter: QPainter,
        option: QStyleOptionViewItem,
        index: QModelIndex | QPersistentModelIndex,
    ) -> None:
        """Draw the item, then its keys."""
        super().paint(painter, option, index)
        selected = bool(option.state & QStyle.StateFlag.State_Selected)
        role = QPalette.ColorRole.HighlightedText if selected else QPalette.ColorRole.Text
        painter.setPen(option.palette.color(role))
        place = option.rect.adjusted(0, 0, -2 * theme.GRID_PX, 0)
        flags = Qt.AlignmentFlag.AlignRight | Qt.AlignmentFlag.AlignVCenter
        painter.drawText(place, flags, index.data(_KEYS))


class CommandPalette(QDialog):
    """Type to filter, Enter to do it, Escape to leave."""

    def __init__(self, actions: Actions, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setWindowTitle(tr("All commands"))
        self.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
        self._actions = actions
        self.search = QLineEdit(placeholderText=tr("What do you want to do?"))
        self.search.textChanged.connect(self._filter)
        self.search.installEventFilter(self)
        self.list = QListWidget()
        self.list.setItemDelegate(_WithKeys(self.list))
        self.list.itemActivated.connect(self._do)
        column = QVBoxLayout(self)
        column.addWidget(self.search)
        column.addWidget(self.list)
        self.resize(480, 560)
        for info in actions.infos.values():
            item = QListWidgetItem(tr(info.text).rstrip("."), self.list)
            item.setData(Qt.ItemDataRole.UserRole, info.key)
            item.setData(_KEYS, key_text(info.shortcut))
            said = f"{item.text()} {item.data(_KEYS)}".rstrip()
            item.setData(Qt.ItemDataRole.AccessibleTextRole, said)
            item.setToolTip(tr(info.tip))
        self.list.setCurrentRow(0)

    def eventFilter(self, watched: QObject, event: QEvent) -> bool:  # noqa: N802, D102
        if isinstance(event, QKeyEvent) and event.type() == QEvent.Type.KeyPress:
            if event.key() in (Qt.Key.Key_Up, Qt.Key.Key_Down):
                self._step(1 if event.key() == Qt.Key.Key_Down else -1)
                return True
            if event.key() in (Qt.Key.Key_Return, Qt.Key.Key_Enter):
                self._do(self.list.currentItem())
                return True
        return super().eventFilter(watched, event)

    def _shown(self) -> list[int]:
        return [row for row in range(self.list.count()) if not self.list.item(row).isHidden()]

    def _step(self, by: int) -> None:
        rows = self._shown()
        if rows:
            at = rows.index(self.list.currentRow()) if self.list.currentRow() in rows else 0
            self.list.setCurrentRow(rows[(at + by) % len(rows)])

    def _filter(self, text: str) -> None:
        words = text.lower().split()
        for row in range(self.list.count()):
            item = self.list.item(row)
            name = f"{item.text()} {item.data(_KEYS)} {item.toolTip()}".lower()
            item.setHidden(not all(word in name for word in words))
        if rows := self._shown():
            self.list.setCurrentRow(rows[0])

    def _do(self, item: QListWidgetItem | None) -> None:
        if item is None or item.isHidden():
            return
        key = item.data(Qt.ItemDataRole.UserRole)
        self.accept()
        self._actions[key].trigger()
