"""The cameras of a calibration, a row each: what sees the board, where it stands, how sure."""

from __future__ import annotations

import math
from collections.abc import Sequence

from PySide6.QtCore import Qt
from PySide6.QtGui import QColor, QIcon, QPixmap
from PySide6.QtWidgets import QHeaderView, QTableWidget, QTableWidgetItem

from lingbot_live.calibration.rig import Rig, RigCamera, turn_deg_of
from lingbot_live.calibration.timing import TRUSTED
from ui.shell import theme
from ui.shell.bridge import FeedView
from ui.shell.language import phrase, tr

_COLUMNS = {
    phrase("Camera"): phrase("The first is the reference"),
    phrase("Board now"): phrase("Corners of the board that it sees at this moment"),
    phrase("Views"): phrase("Of the still board, shared with another camera"),
    "x, y, z mm": phrase("Where it stands in the reference's axes"),
    phrase("pitch, yaw, roll °"): phrase("How it is turned, about the reference's x, y and z axes"),
    phrase("Residual px"): phrase("RMS distance of the board's corners from where they should be"),
    phrase("ICP mm"): phrase("RMS distance between matched surfaces after ICP"),
    phrase("Clock ms"): phrase("How much later it stamps an event; and how sure that is, 0 to 1"),
}
_NOTHING = "–"


class CalibrationTable(QTableWidget):
    """Shows texts only; `show_cameras` first, the rest as often as there is news."""

    def __init__(self) -> None:
        super().__init__(0, len(_COLUMNS))
        for column, (name, tip) in enumerate(_COLUMNS.items()):
            head = QTableWidgetItem(tr(name))
            head.setToolTip(tr(tip))
            self.setHorizontalHeaderItem(column, head)
        self.verticalHeader().hide()
        self.setEditTriggers(QTableWidget.EditTrigger.NoEditTriggers)
        self.setSelectionMode(QTableWidget.SelectionMode.NoSelection)
        self.setFocusPolicy(Qt.FocusPolicy.NoFocus)
        header = self.horizontalHeader()
        header.setSectionResizeMode(QHeaderView.ResizeMode.ResizeToContents)
        header.setSectionResizeMode(0, QHeaderView.ResizeMode.Stretch)

    def show_cameras(self, views: Sequence[FeedView]) -> None:
        """Have a row for each of these."""
        self.setRowCount(len(views))
        for row, view in enumerate(views):
            for column in range(len(_COLUMNS)):
                self.setItem(row, column, QTableWidgetItem(_NOTHING))
            patch = QPixmap(12, 12)
            patch.fill(QColor(theme.camera_color(view.number)))
            self._item(row, 0).setIcon(QIcon(patch))
            self._item(row, 0).setText(view.title)
            self._item(row, 0).setToolTip(view.feed.name)

    def show_sight(self, row: int, corners: int | None, views: int) -> None:
        """Say what a camera sees and has seen."""
        self._item(row, 1).setText(
            _NOTHING if corners is None else tr("{corners} corners", corners=corners)
        )
        self._item(row, 2).setText(str(views))

    def show_rig(self, rig: Rig | None, names: Sequence[tuple[str, str]]) -> None:
        """Say where the cameras, (address, serial) each, stand."""
        for row, (address, serial) in enumerate(names):
            camera = rig.find(address, serial) if rig is not None else None
            for column, text in enumerate(_texts(rig, camera), 3):
                self._item(row, column).setText(text)

    def texts(self, row: int) -> list[str]:
        """Return what stands in a row."""
        return [self._item(row, column).text() for column in range(len(_COLUMNS))]

    def _item(self, row: int, column: int) -> QTableWidgetItem:
        item = self.item(row, column)
        if item is None:
            raise IndexError(f"no cell in row {row}, column {column}")
        return item


def _texts(rig: Rig | None, camera: RigCamera | None) -> list[str]:
    if rig is None or camera is None:
        return [_NOTHING] * 5
    if camera is rig.reference:
        return [tr("reference"), *[_NOTHING] * 4]
    place = "  ".join(f"{1000 * n:+.1f}" for n in camera.pose.translation_m)
    turn = "  ".join(f"{n:+.2f}" for n in turn_deg_of(camera.pose))
    clock = _NOTHING
    if math.isfinite(camera.time_offset_ms):
        sure = f"{camera.time_confidence:.2f}"
        clock = f"{camera.time_offset_ms:+.1f} ({sure})"
        if camera.time_confidence < TRUSTED:
            clock = tr("unsure ({sure})", sure=sure)
    return [place, turn, _number(camera.residual_px), _number(camera.icp_rms_mm), clock]


def _number(value: float) -> str:
    return f"{value:.2f}" if math.isfinite(value) else _NOTHING
