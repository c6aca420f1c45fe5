"""All commands, searchable, with their keys."""

from __future__ import annotations

from PySide6.QtCore import QEvent, QObject, Qt
from PySide6.QtGui import QKeyEvent
from PySide6.QtWidgets import (
    QDialog,
    QLineEdit,
    QListWidget,
    QListWidgetItem,
    QVBoxLayout,
    QWidget,
)

from ui.shell.actions import Actions
from ui.shell.language import tr


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
        self.list.itemActivated.connect(self._do)
        column = QVBoxLayout(self)
        column.addWidget(self.search)
        column.addWidget(self.list)
        self.resize(480, 560)
        for info in actions.infos.values():
            text = f"{tr(info.text).rstrip('.')}\t{info.shortcut}".expandtabs(34)
            item = QListWidgetItem(text.rstrip(), self.list)
            item.setData(Qt.ItemDataRole.UserRole, info.key)
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
            name = item.text().lower() + item.toolTip().lower()
            item.setHidden(not all(word in name for word in words))
        if rows := self._shown():
            self.list.setCurrentRow(rows[0])

    def _do(self, item: QListWidgetItem | None) -> None:
        if item is None or item.isHidden():
            return
        key = item.data(Qt.ItemDataRole.UserRole)
        self.accept()
        self._actions[key].trigger()
