"""The report on the cameras of the window: what `lingbot-live compare` writes, by a click."""

from __future__ import annotations

import threading
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from PySide6.QtGui import QCloseEvent
from PySide6.QtWidgets import (
    QDialog,
    QFileDialog,
    QFormLayout,
    QHBoxLayout,
    QLabel,
    QLineEdit,
    QProgressBar,
    QPushButton,
    QSpinBox,
    QVBoxLayout,
    QWidget,
)

from lingbot_live.cameras import registry
from lingbot_live.system import children
from ui.shell.desk import Desk, open_path
from ui.shell.files import folder_or_default
from ui.shell.language import phrase, tr
from ui.shell.stage import Stage

_WITH_TRUTH = phrase(
    "{count} cameras, raw next to refined by {refiner}, with errors against the truth. "
    "Streaming pauses meanwhile."
)
_WITHOUT_TRUTH = phrase(
    "{count} cameras, raw next to refined by {refiner}. Streaming pauses meanwhile."
)


@dataclass(frozen=True, slots=True)
class ReportWishes:
    """What the window measures by now."""

    refiner: str
    roi: str = "40%"
    distance_m: float = 0.0  # of a plane; 0: not given
    has_truth: bool = False  # every camera's frames come with their true depth


class ReportDialog(QDialog):
    """Asks how long and where to, pauses streaming, and runs the comparison in a child process.

    The cameras must be free for it, so the session is closed first and opened again afterwards.
    """

    def __init__(self, stage: Stage, desk: Desk, wishes: ReportWishes) -> None:
        super().__init__(desk.widget)
        self.setWindowTitle(tr("Report"))
        self._stage, self._desk, self._wishes = stage, desk, wishes
        self._addresses = stage.addresses
        self._cancel = threading.Event()
        self._make_parts()
        self._lay_out()

    # ---- parts -------------------------------------------------------------------------------

    def _make_parts(self) -> None:
        name = datetime.now().strftime("%Y-%m-%d_%H-%M-%S_report")
        self.folder = QLineEdit(str(folder_or_default("") / name))
        self.folder.setMinimumWidth(380)
        self.folder.setAccessibleName(tr("Folder of the report"))
        self.duration = QSpinBox()
        self.duration.setRange(1, 600)
        self.duration.setValue(10)
        self.duration.setSuffix(tr(" s of each camera"))
        self.bar = QProgressBar()
        self.bar.setRange(0, 0)
        self.bar.hide()
        self.text = QLabel(
            tr(
                _WITH_TRUTH if self._wishes.has_truth else _WITHOUT_TRUTH,
                count=len(self._addresses),
                refiner=self._wishes.refiner,
            )
        )
        self.text.setWordWrap(True)
        self.start_button, self.open_button = (
            QPushButton(tr("Make report")),
            QPushButton(tr("Open")),
        )
        self.close_button = QPushButton(tr("Close"))
        self.start_button.clicked.connect(self.begin)
        self.open_button.clicked.connect(self._open)
        self.close_button.clicked.connect(self.close)
        self.open_button.setEnabled(False)

    def _lay_out(self) -> None:
        browse = QPushButton(tr("Browse..."))
        browse.clicked.connect(self._browse)
        place = QHBoxLayout()
        place.addWidget(self.folder, 1)
        place.addWidget(browse)
        form = QFormLayout()
        form.addRow(tr("Duration"), self.duration)
        form.addRow(tr("Folder"), _held(place))
        row = QHBoxLayout()
        row.addStretch(1)
        for button in (self.start_button, self.open_button, self.close_button):
            row.addWidget(button)
        column = QVBoxLayout(self)
        column.addWidget(self.text)
        column.addLayout(form)
        column.addWidget(self.bar)
        column.addLayout(row)

    # ---- what happens ------------------------------------------------------------------------

    def begin(self) -> None:
        """Pause the session, then measure."""
        self.start_button.setEnabled(False)
        self.bar.show()
        self.text.setText(tr("Measuring. Close ends it."))
        close = self._stage.release()
        self._desk.tasks.run("freeing the cameras", close, lambda _: self._launch())

    @property
    def page(self) -> Path:
        """The report's page."""
        return Path(self.folder.text()).expanduser() / "report.html"

    def _launch(self) -> None:
        if not self.isVisible():
            return  # closed while the cameras were being freed
        wishes = self._wishes
        options = ["-o", str(self.page.parent.absolute()), "--duration", str(self.duration.value())]
        options += ["--refiner", "none"]
        if wishes.refiner != "none":
            options += ["--refiner", wishes.refiner]
        if wishes.distance_m > 0:
            options += ["--distance", f"{wishes.distance_m:g}"]
        if wishes.has_truth:
            options += ["--reference", "truth"]
        options += ["--roi", wishes.roi]
        arguments = ["compare", *map(registry.absolute, self._addresses), *options]
        self._desk.tasks.run(
            "report",
            lambda: children.run("lingbot_live", *arguments, cancel=self._cancel),
            lambda _: self._on_written(),
            lambda error: self._on_failed(error),
        )

    def _on_written(self) -> None:
        if not self._cancel.is_set():
            self._tell(tr("Written to {page}", page=self.page))
            self.open_button.setEnabled(True)

    def _on_failed(self, error: BaseException) -> None:
        if not self._cancel.is_set():
            self._tell(str(error))

    def _tell(self, text: str) -> None:
        self.bar.hide()
        self.text.setText(text)
        self.start_button.setEnabled(True)
        self._resume()

    def _resume(self) -> None:
        if self._desk.widget.isVisible() and not self._stage.is_running and self._addresses:
            self._stage.open(self._addresses)

    def _open(self) -> None:
        open_path(self.page)

    def _browse(self) -> None:
        folder = QFileDialog.getExistingDirectory(
            self, tr("Folder of the report"), self.folder.text()
        )
        if folder:
            self.folder.setText(folder)

    def closeEvent(self, event: QCloseEvent) -> None:  # noqa: N802, D102
        self._cancel.set()
        self._resume()
        event.accept()


def _held(layout: QHBoxLayout) -> QWidget:
    widget = QWidget()
    layout.setContentsMargins(0, 0, 0, 0)
    widget.setLayout(layout)
    return widget
