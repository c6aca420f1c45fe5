"""Where recordings and snapshots go and how they are written; remembered."""

from __future__ import annotations

from dataclasses import dataclass, fields
from datetime import datetime
from pathlib import Path

from PySide6.QtCore import Signal
from PySide6.QtWidgets import (
    QCheckBox,
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

from lingbot_live.errors import ConfigError
from lingbot_live.recording.format import expand_name
from lingbot_live.recording.state import RecorderOptions, parse_split
from ui.shell.settings import Settings

OUTPUT_FOLDER = Path.home() / "lingbot-live"  # until the user names another


@dataclass(frozen=True, slots=True)
class RecordChoices:
    """What the user chose. Empty folders mean `OUTPUT_FOLDER`; an empty split means one file."""

    folder: str = ""
    name: str = "{date}_{time}_{camera}"
    snapshots: str = ""
    lossless: bool = False
    quality: int = 95
    raw_only: bool = False
    split: str = ""

    @classmethod
    def load(cls, settings: Settings) -> RecordChoices:
        """Return what is remembered, the defaults where that is senseless."""
        found = {field.name: settings.text(f"record_{field.name}") for field in fields(cls)}
        quality = int(found["quality"]) if found["quality"].isdecimal() else cls().quality
        choices = cls(
            folder=found["folder"],
            name=found["name"] or cls().name,
            snapshots=found["snapshots"],
            lossless=found["lossless"] == "True",
            quality=quality,
            raw_only=found["raw_only"] == "True",
            split=found["split"],
        )
        return choices if not choices.fault else cls()

    def save(self, settings: Settings) -> None:
        """Remember."""
        for field in fields(self):
            settings.set_text(f"record_{field.name}", str(getattr(self, field.name)))

    def options(self) -> RecorderOptions:
        """Return what the recorder is told. Raises ConfigError where a choice is senseless."""
        size, seconds = parse_split(self.split) if self.split else (None, None)
        return RecorderOptions(
            refined=not self.raw_only,
            lossless=self.lossless,
            quality=self.quality,
            split_bytes=size,
            split_s=seconds,
        )

    def path(self, camera: str, now: datetime) -> Path:
        """Return the file of a recording begun now. Raises ConfigError for a wrong template."""
        return self.recordings / expand_name(self.name, camera, now)

    @property
    def recordings(self) -> Path:
        """The folder they go to."""
        return folder_or_default(self.folder)

    @property
    def fault(self) -> str:
        """What is wrong with the choices; empty if nothing is."""
        try:
            self.options()
            self.path("camera", datetime.now())
        except ConfigError as error:
            return str(error)
        return ""


def folder_or_default(named: str) -> Path:
    """Return a folder the user named, or the default one."""
    return Path(named).expanduser() if named else OUTPUT_FOLDER


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
        button = QPushButton("Choose...")
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
        self.setWindowTitle("Recordings and snapshots")
        self._camera = camera
        self.folder = FolderField(choices.folder, "Folder of recordings")
        self.name = QLineEdit(choices.name)
        self.name.setToolTip("{date}, {time} and {camera} are filled in")
        self.example = QLabel()
        self.example.setWordWrap(True)
        self.lossless = QCheckBox("Lossless colour and refined depth (larger files)")
        self.lossless.setChecked(choices.lossless)
        self.quality = QSpinBox(minimum=1, maximum=100, value=choices.quality)
        self.raw_only = QCheckBox("Raw only, without refined depth")
        self.raw_only.setChecked(choices.raw_only)
        self.split = QLineEdit(choices.split)
        self.split.setPlaceholderText("one file; or such as 4G, 500M, 10min")
        self.snapshots = FolderField(choices.snapshots, "Folder of snapshots")
        self.buttons = QDialogButtonBox(
            QDialogButtonBox.StandardButton.Ok | QDialogButtonBox.StandardButton.Cancel
        )
        self.buttons.accepted.connect(self._accept)
        self.buttons.rejected.connect(self.reject)
        self._lay_out()
        for signal in (
            self.folder.changed, self.name.textChanged, self.split.textChanged,
            self.lossless.toggled,
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
            raw_only=self.raw_only.isChecked(),
            split=self.split.text().strip(),
        )

    def _lay_out(self) -> None:
        form = QFormLayout()
        form.addRow("Recordings go to", self.folder)
        form.addRow("Named", self.name)
        form.addRow("", self.example)
        form.addRow("JPEG quality of colour", self.quality)
        form.addRow("", self.lossless)
        form.addRow("", self.raw_only)
        form.addRow("New file after", self.split)
        form.addRow("Snapshots go to", self.snapshots)
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
        self.quality.setEnabled(not choices.lossless)

    def _accept(self) -> None:
        self.chosen.emit(self.choices)
        self.accept()
