"""The report on the cameras of the window: what `lingbot-live compare` writes, by a click."""

from __future__ import annotations

import sys
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING

from PySide6.QtCore import QProcess, Qt, QUrl
from PySide6.QtGui import QCloseEvent, QDesktopServices
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

from ui.dialogs.record_options import folder_or_default

if TYPE_CHECKING:
    from ui.main_window import MainWindow

_KILL_MS = 3000  # after it was asked to end


class Reporting:
    """The command that asks for a report."""

    def __init__(self, window: MainWindow) -> None:
        self._window = window

    def ask(self) -> None:
        """Compare the cameras on the screen at length and write a page."""
        if self._window.addresses:
            dialog = ReportDialog(self._window)
            dialog.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
            dialog.open()
        else:
            self._window.statusBar().showMessage("Nothing to compare: press Start first.", 5000)


class ReportDialog(QDialog):
    """Asks how long and where to, pauses streaming, and runs the comparison in a child process.

    The cameras must be free for it, so the session is closed first and opened again afterwards.
    """

    def __init__(self, window: MainWindow) -> None:
        super().__init__(window)
        self.setWindowTitle("Report")
        self._window = window
        self._addresses = window.addresses
        self.process = QProcess(self)
        self.process.finished.connect(self._on_finished)
        self.process.errorOccurred.connect(self._on_failed)
        self._make_parts()
        self._lay_out()

    # ---- parts -------------------------------------------------------------------------------

    def _make_parts(self) -> None:
        name = datetime.now().strftime("%Y-%m-%d_%H-%M-%S_report")
        self.folder = QLineEdit(str(folder_or_default("") / name))
        self.folder.setMinimumWidth(380)
        self.duration = QSpinBox()
        self.duration.setRange(1, 600)
        self.duration.setValue(10)
        self.duration.setSuffix(" s of each camera")
        self.truth = self._has_truth()
        self.bar = QProgressBar()
        self.bar.setRange(0, 0)
        self.bar.hide()
        self.text = QLabel(
            f"{len(self._addresses)} cameras, raw next to refined by {self._refiner()}"
            f"{', with errors against the truth' if self.truth else ''}. "
            "Streaming pauses meanwhile."
        )
        self.text.setWordWrap(True)
        self.start_button, self.open_button = QPushButton("Make report"), QPushButton("Open")
        self.close_button = QPushButton("Close")
        self.start_button.clicked.connect(self.begin)
        self.open_button.clicked.connect(self._open)
        self.close_button.clicked.connect(self.close)
        self.open_button.setEnabled(False)

    def _lay_out(self) -> None:
        browse = QPushButton("Browse...")
        browse.clicked.connect(self._browse)
        place = QHBoxLayout()
        place.addWidget(self.folder, 1)
        place.addWidget(browse)
        form = QFormLayout()
        form.addRow("Duration", self.duration)
        form.addRow("Folder", _held(place))
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
        self.text.setText("Measuring. Close ends it.")
        close = self._window.release()
        self._window.tasks.run("freeing the cameras", close, lambda _: self._launch())

    @property
    def page(self) -> Path:
        """The report's page."""
        return Path(self.folder.text()).expanduser() / "report.html"

    def _launch(self) -> None:
        if not self.isVisible():
            return  # closed while the cameras were being freed
        quality = self._window.quality
        options = ["-o", str(self.page.parent), "--duration", str(self.duration.value())]
        options += ["--refiner", "none"]
        if self._refiner() != "none":
            options += ["--refiner", self._refiner()]
        if (distance_m := quality.distance_box.value()) > 0:
            options += ["--distance", f"{distance_m:g}"]
        if self.truth:
            options += ["--reference", "truth"]
        options += ["--roi", f"{quality.regions.percent:g}%"]
        self.process.setProcessChannelMode(QProcess.ProcessChannelMode.SeparateChannels)
        self.process.start(
            sys.executable, ["-m", "lingbot_live", "compare", *self._addresses, *options]
        )

    def _on_finished(self, status: int) -> None:
        said = bytes(self.process.readAllStandardError().data()).decode(errors="replace").strip()
        if status == 0 and self.page.exists():
            self._tell(f"Written to {self.page}")
            self.open_button.setEnabled(True)
        else:
            self._tell(said[-600:] or f"It ended with status {status}.")

    def _on_failed(self, error: QProcess.ProcessError) -> None:
        if error is QProcess.ProcessError.FailedToStart:
            self._tell(f"It cannot be started: {self.process.errorString()}")

    def _tell(self, text: str) -> None:
        self.bar.hide()
        self.text.setText(text)
        self.start_button.setEnabled(True)
        self._resume()

    def _resume(self) -> None:
        window = self._window
        if window.isVisible() and not window.is_running and self._addresses:
            window.open_addresses(self._addresses)

    def _open(self) -> None:
        QDesktopServices.openUrl(QUrl.fromLocalFile(str(self.page)))

    def _browse(self) -> None:
        folder = QFileDialog.getExistingDirectory(self, "Folder of the report", self.folder.text())
        if folder:
            self.folder.setText(folder)

    def _refiner(self) -> str:
        return str(self._window.refining.config)

    def _has_truth(self) -> bool:
        panels = self._window.panels
        return bool(panels) and all(panel.view.knows_truth for panel in panels)

    def closeEvent(self, event: QCloseEvent) -> None:  # noqa: N802, D102
        if self.process.state() is not QProcess.ProcessState.NotRunning:
            self.process.finished.disconnect(self._on_finished)
            self.process.terminate()
            if not self.process.waitForFinished(_KILL_MS):
                self.process.kill()
                self.process.waitForFinished(_KILL_MS)
        self._resume()
        event.accept()


def _held(layout: QHBoxLayout) -> QWidget:
    widget = QWidget()
    layout.setContentsMargins(0, 0, 0, 0)
    widget.setLayout(layout)
    return widget
