"""The question which camera, recording or folder to show beside the present ones."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from PySide6.QtCore import Qt, Signal
from PySide6.QtWidgets import (
    QComboBox,
    QDialog,
    QDialogButtonBox,
    QFileDialog,
    QHBoxLayout,
    QLabel,
    QPushButton,
    QVBoxLayout,
    QWidget,
)

from lingbot_live.cameras.base import CameraInfo
from ui.shell.files import RECORDINGS, address_of
from ui.shell.language import tr


class AddCamera(QDialog):
    """Pick a camera that was found, a recording or a folder, or type an address.

    ``chosen(str)`` tells the address.
    """

    chosen = Signal(str)

    def __init__(self, found: Sequence[CameraInfo], parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setWindowTitle(tr("Add a camera"))
        self.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
        self.box = QComboBox()
        self.box.setEditable(True)
        self.box.setAccessibleName(tr("Camera, recording or address"))
        self.box.setMinimumWidth(420)
        for info in found:
            self.box.addItem(f"{info.name}  {info.serial}".strip(), info.address)
        self.box.setCurrentIndex(-1)
        line = self.box.lineEdit()
        if line is not None:
            line.setPlaceholderText(tr("A camera found, or an address such as orbbec:file.bag"))
        recording, folder = QPushButton(tr("Recording...")), QPushButton(tr("Folder..."))
        recording.clicked.connect(self._pick_recording)
        folder.clicked.connect(self._pick_folder)
        buttons = QDialogButtonBox(
            QDialogButtonBox.StandardButton.Ok | QDialogButtonBox.StandardButton.Cancel
        )
        buttons.button(QDialogButtonBox.StandardButton.Ok).setText(tr("Add"))
        buttons.accepted.connect(self.accept)
        buttons.rejected.connect(self.reject)
        row = QHBoxLayout()
        row.addWidget(self.box, 1)
        row.addWidget(recording)
        row.addWidget(folder)
        column = QVBoxLayout(self)
        column.addWidget(QLabel(tr("It gets a row of its own; the present cameras stream on.")))
        column.addLayout(row)
        column.addWidget(buttons)

    @property
    def address(self) -> str:
        """The chosen or typed address."""
        text = self.box.currentText().strip()
        at = self.box.findText(text)
        return str(self.box.itemData(at) or text) if at >= 0 else text

    def accept(self) -> None:
        """Tell the address, if there is one."""
        if self.address:
            self.chosen.emit(self.address)
            super().accept()

    def _pick_recording(self) -> None:
        path, _ = QFileDialog.getOpenFileName(self, tr("Add a recording"), "", tr(RECORDINGS))
        if path:
            self.box.setEditText(path)

    def _pick_folder(self) -> None:
        path = QFileDialog.getExistingDirectory(self, tr("Add a folder of RGB-D pictures"))
        if path:
            self.box.setEditText(address_of(Path(path)))
