"""All keys on one page."""

from __future__ import annotations

from collections.abc import Sequence

from PySide6.QtCore import Qt
from PySide6.QtGui import QKeySequence
from PySide6.QtWidgets import QDialog, QGridLayout, QLabel, QVBoxLayout, QWidget

from ui.shell import theme
from ui.shell.actions import MENUS, Actions, plain
from ui.shell.language import phrase, tr

_COLUMNS = 4
_MOUSE = (
    (phrase("Wheel"), phrase("Zoom all pictures at the cursor")),
    (phrase("Drag"), phrase("Move all pictures")),
    (phrase("Double click"), phrase("Fit all pictures")),
    (phrase("Click"), phrase("Select the camera of this row")),
    (phrase("Esc"), phrase("Leave full screen")),
)


class KeysDialog(QDialog):
    """The keys of the menus, a column each; Escape or any click outside leaves."""

    def __init__(self, actions: Actions, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setWindowTitle(tr("Keys"))
        self.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
        grid = QGridLayout(self)
        grid.setHorizontalSpacing(4 * theme.GRID_PX)
        grid.setVerticalSpacing(2 * theme.GRID_PX)
        tables: list[tuple[str, Sequence[tuple[str, str]]]] = []
        for title, keys in MENUS.items():
            infos = [actions.infos[key] for key in keys if key != "-"]
            rows = [(key_text(info.shortcut), tr(info.text)) for info in infos if info.shortcut]
            tables.append((plain(tr(title)), rows))
        tables.append((tr("Mouse"), [(tr(key), tr(text)) for key, text in _MOUSE]))
        for number, table in enumerate(sorted(tables, key=lambda t: -len(t[1]))):
            grid.addLayout(_table(*table), *divmod(number, _COLUMNS))


def key_text(shortcut: str) -> str:
    """Return a key as people of this language and system write it."""
    return QKeySequence(shortcut).toString(QKeySequence.SequenceFormat.NativeText)


def _table(title: str, rows: Sequence[tuple[str, str]]) -> QVBoxLayout:
    head = QLabel(f"<b>{title}</b>")
    grid = QGridLayout()
    grid.setVerticalSpacing(theme.GRID_PX // 2)
    grid.setHorizontalSpacing(theme.GRID_PX)
    for row, (key, text) in enumerate(rows):
        name = QLabel(key)
        name.setStyleSheet(f"color: {theme.current().accent}; font-weight: bold")
        grid.addWidget(name, row, 0, Qt.AlignmentFlag.AlignRight)
        grid.addWidget(QLabel(text.rstrip(".")), row, 1)
    grid.setRowStretch(len(rows), 1)
    column = QVBoxLayout()
    column.addWidget(head)
    column.addLayout(grid, 1)
    return column
