"""Browses the sessions of a folder by their table, and opens one."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path
from typing import Any

from PySide6.QtCore import QSize, Qt, Signal
from PySide6.QtGui import QIcon, QPixmap
from PySide6.QtWidgets import (
    QAbstractItemView,
    QDialog,
    QHBoxLayout,
    QHeaderView,
    QLabel,
    QLineEdit,
    QPushButton,
    QTableWidget,
    QTableWidgetItem,
    QVBoxLayout,
)

from lingbot_live.recording.catalog import Row, read, update
from ui.dialogs.record_options import FolderField
from ui.shell.desk import Desk
from ui.shell.files import folder_or_default
from ui.shell.language import phrase, told, tr

COLUMNS = (
    phrase("Session"),
    phrase("Camera"),
    phrase("Recorded"),
    phrase("Length, s"),
    phrase("Frames"),
    phrase("Refined"),
    phrase("Fill"),
    phrase("Refiner"),
    "MB",
)
_PICTURE = QSize(96, 72)


class SessionsDialog(QDialog):
    """A row a camera of a session; ``chosen(str)`` is the path of the one to open.

    The table of the folder is brought up to date on a thread, whenever it is shown or asked for.
    """

    chosen = Signal(str)

    def __init__(self, folder: str, desk: Desk) -> None:
        super().__init__(desk.widget)
        self.setWindowTitle(tr("Sessions"))
        self._desk = desk
        self._folder = Path()
        self.folder = FolderField(folder, tr("Folder of recordings"))
        self.filter = QLineEdit(placeholderText=tr("part of a name, a camera or a refiner"))
        self.filter.setAccessibleName(tr("Filter"))
        self.table = QTableWidget(0, len(COLUMNS))
        self.text = QLabel()
        self.text.setWordWrap(True)
        self.look_button, self.open_button = QPushButton(tr("Look again")), QPushButton(tr("Open"))
        self._set_up_table()
        self._lay_out()
        self.filter.textChanged.connect(self._filter)
        self.look_button.clicked.connect(self.look)
        self.open_button.clicked.connect(self.open_selected)
        self.table.itemSelectionChanged.connect(self._show_selection)
        self.table.itemDoubleClicked.connect(self.open_selected)
        self._show_selection()
        self.look()

    def look(self) -> None:
        """Bring the table up to date, and show it."""
        self._folder = folder_or_default(self.folder.text)
        self.look_button.setEnabled(False)
        self.text.setText(tr("Reading what is new in {folder}...", folder=self._folder))
        folder = self._folder

        def work() -> list[Row]:
            return read(update(folder).path)

        self._desk.tasks.run("index", work, self.show_rows, self._say)

    def show_rows(self, rows: list[Row]) -> None:
        """Show these rows, the latest first."""
        self.look_button.setEnabled(True)
        self.table.setSortingEnabled(False)
        self.table.setRowCount(len(rows))
        for number, row in enumerate(sorted(rows, key=lambda row: -(row["start_ns"] or 0))):
            self._fill(number, row)
        self.table.setSortingEnabled(True)
        sessions = len({row["session"] for row in rows})
        self.text.setText(
            tr("1 session in {folder}", folder=self._folder)
            if sessions == 1
            else tr("{sessions} sessions in {folder}", sessions=sessions, folder=self._folder)
        )
        self._filter()

    def open_selected(self) -> None:
        """Open the selected session in the window."""
        at = self.table.currentRow()
        item = self.table.item(at, 0)
        if item is not None and not self.table.isRowHidden(at):
            self.chosen.emit(str(self._folder / item.text()))
            self.accept()

    # ---- private -----------------------------------------------------------------------------

    def _set_up_table(self) -> None:
        self.table.setHorizontalHeaderLabels([tr(name) for name in COLUMNS])
        self.table.setSelectionBehavior(QAbstractItemView.SelectionBehavior.SelectRows)
        self.table.setSelectionMode(QAbstractItemView.SelectionMode.SingleSelection)
        self.table.setEditTriggers(QAbstractItemView.EditTrigger.NoEditTriggers)
        self.table.setIconSize(_PICTURE)
        self.table.verticalHeader().setDefaultSectionSize(_PICTURE.height() + 4)
        self.table.verticalHeader().hide()
        self.table.setTextElideMode(Qt.TextElideMode.ElideMiddle)
        header = self.table.horizontalHeader()
        header.setSectionResizeMode(QHeaderView.ResizeMode.ResizeToContents)
        header.setSectionResizeMode(0, QHeaderView.ResizeMode.Stretch)  # names give way, no number

    def _lay_out(self) -> None:
        buttons = QHBoxLayout()
        buttons.addWidget(self.text, 1)
        buttons.addWidget(self.look_button)
        buttons.addWidget(self.open_button)
        column = QVBoxLayout(self)
        column.addWidget(self.folder)
        column.addWidget(self.filter)
        column.addWidget(self.table, 1)
        column.addLayout(buttons)
        self.resize(QSize(1080, 520).boundedTo(self.screen().availableSize()))
        self.filter.setFocus()

    def _fill(self, number: int, row: Row) -> None:
        for column, value in enumerate(_cells(row)):
            item = QTableWidgetItem()
            item.setData(Qt.ItemDataRole.DisplayRole, value)
            self.table.setItem(number, column, item)
        first = self.table.item(number, 0)
        if first is None:
            return
        if row["thumbnail"]:
            picture = QPixmap()
            picture.loadFromData(row["thumbnail"])
            first.setIcon(QIcon(picture))
        first.setToolTip(row["error"] or row["damage"] or row["settings"] or "")

    def _filter(self) -> None:
        wanted = self.filter.text().strip().casefold()
        for number in range(self.table.rowCount()):
            items = (self.table.item(number, column) for column in range(len(COLUMNS)))
            words = " ".join(item.text() for item in items if item is not None).casefold()
            self.table.setRowHidden(number, wanted not in words)

    def _show_selection(self) -> None:
        self.open_button.setEnabled(bool(self.table.selectedItems()))

    def _say(self, error: BaseException) -> None:
        self.look_button.setEnabled(True)
        self.text.setText(told(str(error)))


def _cells(row: Row) -> tuple[Any, ...]:
    """Return what stands in the columns; numbers stay numbers, so that they sort."""
    if row["error"]:
        return (row["session"], tr("cannot be read"), *[""] * (len(COLUMNS) - 3), _mb(row))
    begun = datetime.fromtimestamp(row["start_ns"] / 1e9)
    return (
        row["session"],
        row["name"] or row["camera"],
        f"{begun:%Y-%m-%d %H:%M:%S}",
        round(row["duration_s"], 1),
        row["frames"],
        row["refined"],
        "" if row["raw_fill"] is None else f"{row['raw_fill']:.0%}",
        row["refiners"],
        _mb(row),
    )


def _mb(row: Row) -> float:
    return float(round(row["bytes"] / 1e6, 1))
