"""Where recordings and snapshots go and how they are written; remembered."""

from __future__ import annotations

from datetime import datetime

from PySide6.QtCore import Signal
from PySide6.QtWidgets import (
    QCheckBox,
    QComboBox,
    QDialog,
    QDialogButtonBox,
    QFileDialog,
    QFormLayout,
    QHBoxLayout,
    QLabel,
    QLineEdit,
    QPushButton,
    QSpinBox,
    QVBoxLayout,
    QWidget,
)

from lingbot_live.recording.state import COLORS, MOST_PRE_TRIGGER_S
from ui.shell.files import OUTPUT_FOLDER, RecordChoices, folder_or_default
from ui.shell.language import tr


def _color_words(name: str) -> str:
    if name == "jpeg":
        return tr("JPEG, each picture alone")
    return tr("{codec} video, much smaller", codec=name.upper())


class FolderField(QWidget):
    """A folder, typed or chosen; ``changed`` is sent with every change."""

    changed = Signal()

    def __init__(self, folder: str, title: str) -> None:
        super().__init__()
        self._title = title
        self.line = QLineEdit(folder)
        self.line.setPlaceholderText(str(OUTPUT_FOLDER))
        self.line.setAccessibleName(title)
        self.line.textChanged.connect(self.changed)
        button = QPushButton(tr("Choose..."))
        button.setAutoDefault(False)  # Return does what the dialog is for
        button.clicked.connect(self._choose)
        row = QHBoxLayout(self)
        row.setContentsMargins(0, 0, 0, 0)
        row.addWidget(self.line, 1)
        row.addWidget(button)

    @property
    def text(self) -> str:
        """What is in the field."""
        return self.line.text().strip()

    def _choose(self) -> None:
        start = str(folder_or_default(self.text))
        path = QFileDialog.getExistingDirectory(self, self._title, start)
        if path:
            self.line.setText(path)


class RecordOptionsDialog(QDialog):
    """Lets the user choose; ``chosen(RecordChoices)`` is sent on OK."""

    chosen = Signal(object)

    def __init__(self, choices: RecordChoices, camera: str, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setWindowTitle(tr("Recordings and snapshots"))
        self._camera = camera
        self.folder = FolderField(choices.folder, tr("Folder of recordings"))
        self.name = QLineEdit(choices.name)
        self.name.setToolTip(tr("{date}, {time} and {camera} are filled in"))
        self.example = QLabel()
        self.example.setWordWrap(True)
        self.lossless = QCheckBox(tr("Lossless colour and refined depth (larger files)"))
        self.lossless.setChecked(choices.lossless)
        self.quality = QSpinBox(minimum=1, maximum=100, value=choices.quality)
        self.color = QComboBox()
        for name in COLORS:
            self.color.addItem(_color_words(name), name)
        self.color.setCurrentIndex(max(0, self.color.findData(choices.color)))
        self.raw_only = QCheckBox(tr("Raw only, without refined depth"))
        self.raw_only.setChecked(choices.raw_only)
        self.split = QLineEdit(choices.split)
        self.split.setPlaceholderText(tr("one file; or such as 4G, 500M, 10min"))
        most_s = int(MOST_PRE_TRIGGER_S)
        self.pre_trigger = QSpinBox(minimum=0, maximum=most_s, value=choices.pre_trigger)
        self.pre_trigger.setSuffix(" s")
        self.pre_trigger.setSpecialValueText(tr("off"))
        self.pre_trigger.setToolTip(tr("The last seconds are held in memory; Record keeps them"))
        self.snapshots = FolderField(choices.snapshots, tr("Folder of snapshots"))
        self.buttons = QDialogButtonBox(
            QDialogButtonBox.StandardButton.Ok | QDialogButtonBox.StandardButton.Cancel
        )
        self.buttons.accepted.connect(self._accept)
        self.buttons.rejected.connect(self.reject)
        self._lay_out()
        for signal in (
            self.folder.changed, self.name.textChanged, self.split.textChanged,
            self.lossless.toggled, self.color.currentIndexChanged,
        ):  # fmt: skip
            signal.connect(self._show_example)
        self._show_example()

    @property
    def choices(self) -> RecordChoices:
        """What the fields say now."""
        return RecordChoices(
            folder=self.folder.text,
            name=self.name.text().strip() or RecordChoices().name,
            snapshots=self.snapshots.text,
            lossless=self.lossless.isChecked(),
            quality=self.quality.value(),
            color=self.color.currentData(),
            raw_only=self.raw_only.isChecked(),
            split=self.split.text().strip(),
            pre_trigger=self.pre_trigger.value(),
        )

    def _lay_out(self) -> None:
        form = QFormLayout()
        form.addRow(tr("Recordings go to"), self.folder)
        form.addRow(tr("Named"), self.name)
        form.addRow("", self.example)
        form.addRow(tr("Colour as"), self.color)
        form.addRow(tr("JPEG quality of colour"), self.quality)
        form.addRow("", self.lossless)
        form.addRow("", self.raw_only)
        form.addRow(tr("New file after"), self.split)
        form.addRow(tr("Begin before Record by"), self.pre_trigger)
        form.addRow(tr("Snapshots go to"), self.snapshots)
        column = QVBoxLayout(self)
        column.addLayout(form)
        column.addStretch(1)
        column.addWidget(self.buttons)
        self.resize(560, 340)

    def _show_example(self) -> None:
        choices = self.choices
        fault = choices.fault
        self.example.setText(fault or f"→ {choices.path(self._camera, datetime.now())}")
        self.buttons.button(QDialogButtonBox.StandardButton.Ok).setEnabled(not fault)
        self.quality.setEnabled(not choices.lossless and choices.color == "jpeg")

    def _accept(self) -> None:
        self.chosen.emit(self.choices)
        self.accept()
