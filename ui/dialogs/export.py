"""Writes a recording in another program's format; the work is done by a process of its own."""

from __future__ import annotations

import time
from dataclasses import dataclass
from pathlib import Path

from PySide6.QtCore import QSize, Qt, QTimer
from PySide6.QtGui import QCloseEvent, QShowEvent, QStandardItemModel
from PySide6.QtWidgets import (
    QCheckBox,
    QComboBox,
    QDialog,
    QFileDialog,
    QFormLayout,
    QHBoxLayout,
    QLabel,
    QLineEdit,
    QProgressBar,
    QPushButton,
    QSizePolicy,
    QVBoxLayout,
    QWidget,
)

from lingbot_live.errors import ExportError
from lingbot_live.export.child import ExportJob
from lingbot_live.export.formats import FORMATS
from lingbot_live.export.job import ExportReport, ExportRequest
from lingbot_live.export.shot import DepthSource
from lingbot_live.export.source import Span
from lingbot_live.recording.format import slug
from lingbot_live.system.job import JobState
from lingbot_live.system.words import duration
from ui.dialogs.option_form import OptionForm
from ui.dialogs.record_options import FolderField
from ui.shell.bridge import Tasks
from ui.shell.desk import open_file, show_folder
from ui.shell.files import RECORDINGS, folder_or_default
from ui.shell.language import told, tr
from ui.shell.notice import Notice
from ui.shell.scrolling import scrolled
from ui.shell.settings import Settings

_LOOK_MS = 100
_END_S = 20.0
_TITLE_PX = 40  # of a window manager


@dataclass(frozen=True, slots=True)
class ExportInput:
    """What the window shows now, as a proposal."""

    address: str = ""  # of a recording; empty where a camera is live
    cameras: tuple[str, ...] = ()  # of a session with several
    has_refined: bool = False
    frame: int | None = None  # on the screen
    range: tuple[int, int] | None = None  # first and last frame, chosen on the time line


class ExportDialog(QDialog):
    """Asks what to export and where to, then shows how far it is."""

    def __init__(
        self, proposal: ExportInput, settings: Settings, tasks: Tasks, parent: QWidget | None = None
    ) -> None:
        super().__init__(parent)
        self.setWindowTitle(tr("Export"))
        self.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
        self._proposal, self._settings, self._tasks = proposal, settings, tasks
        self.job: ExportJob | None = None
        self._started_s = 0.0
        self._make_fields()
        self._lay_out()
        self._timer = QTimer(self, interval=_LOOK_MS)
        self._timer.timeout.connect(self._look)
        self._show_format()
        self._show_buttons()

    # ---- building ------------------------------------------------------------------------------

    def _make_fields(self) -> None:
        proposal = self._proposal
        self.input = QLineEdit(proposal.address)
        self.input.setAccessibleName(tr("Recording"))
        self.input.setPlaceholderText(tr("a recording, a folder, or any camera address"))
        self.input.textChanged.connect(self._show_name)
        self.camera = QComboBox()
        self.camera.addItem(tr("all cameras"), "")
        for name in proposal.cameras:
            self.camera.addItem(name, name)
        self.camera.currentIndexChanged.connect(lambda _at: self._show_name())
        self.format = QComboBox()
        for name, kind in FORMATS.items():
            self.format.addItem(told(kind.title), name)
        self._grey_out()
        self.format.setCurrentIndex(
            max(0, self.format.findData(self._settings.text("export_format")))
        )
        self.format.currentIndexChanged.connect(self._show_format)
        self.words = QLabel()
        self.words.setWordWrap(True)
        self.options = OptionForm()
        self.depth_box = QComboBox()
        self.depth_box.addItem(tr("raw, as the sensor gave it"), DepthSource.RAW)
        self.depth_box.addItem(tr("refined, as it was recorded"), DepthSource.REFINED)
        self.depth_box.setCurrentIndex(int(proposal.has_refined))
        self.frames = QLineEdit()
        self.frames.setAccessibleName(tr("Frames"))
        self.frames.setPlaceholderText(tr("all; or such as 0:300, 0:300:10, 42"))
        self.this_frame = QPushButton(tr("This frame"))
        self.this_frame.setEnabled(proposal.frame is not None)
        self.this_frame.clicked.connect(lambda: self.frames.setText(str(proposal.frame)))
        self.this_range = QPushButton(tr("The range"))
        self.this_range.setEnabled(proposal.range is not None)
        self.this_range.setToolTip(tr("From I to Shift+I on the time line"))
        self.this_range.clicked.connect(self._take_range)
        self._take_range()
        self.folder = FolderField(self._settings.text("export_folder"), tr("Folder of exports"))
        self.name = QLineEdit()
        self.no_flying = QCheckBox(tr("Without flying points"))
        self.force = QCheckBox(tr("Replace what an earlier export left there"))
        self.notice = Notice()
        self.notice.retry.connect(self._export)
        self.bar = QProgressBar()
        self.export_button, self.close_button = QPushButton(tr("Export")), QPushButton(tr("Close"))
        self.export_button.setDefault(True)
        self.export_button.clicked.connect(self._export_or_cancel)
        self.close_button.clicked.connect(self.close)

    def _grey_out(self) -> None:
        """Formats that need a package which is not installed say so and cannot be chosen."""
        model = self.format.model()
        assert isinstance(model, QStandardItemModel)
        for row, kind in enumerate(FORMATS.values()):
            if kind.unavailable:
                model.item(row).setEnabled(False)
                model.item(row).setToolTip(told(kind.unavailable))

    def _lay_out(self) -> None:
        choose = QPushButton(tr("Choose..."))
        for button in (choose, self.this_frame, self.this_range):
            button.setAutoDefault(False)  # Return exports
        choose.clicked.connect(self._choose_input)
        fields = QWidget()
        form = QFormLayout(fields)
        form.addRow(tr("Recording"), _row(self.input, choose))
        form.addRow(tr("Camera"), self.camera)
        form.setRowVisible(self.camera, bool(self._proposal.cameras))
        form.addRow(tr("Format"), self.format)
        form.addRow("", self.words)
        form.addRow(tr("Options"), self.options)
        form.addRow(tr("Depth"), self.depth_box)
        form.addRow("", self.no_flying)
        form.addRow(tr("Frames"), _row(self.frames, self.this_frame, self.this_range))
        form.addRow(tr("Save in"), self.folder)
        form.addRow(tr("Name"), self.name)
        form.addRow("", self.force)
        self._form = form
        column = QVBoxLayout(self)
        self._fields = scrolled(fields, QSize(480, 200))
        column.addWidget(self._fields, 1)
        column.addWidget(self.notice)
        kept = QSizePolicy(self.bar.sizePolicy())
        kept.setRetainSizeWhenHidden(True)
        self.bar.setSizePolicy(kept)
        column.addWidget(_row(self.bar, self.export_button, self.close_button))
        self.resize(640, 480)

    def _take_range(self) -> None:
        if self._proposal.range is not None:
            first, last = self._proposal.range
            self.frames.setText(f"{first}:{last + 1}")

    def _choose_input(self) -> None:
        path, _ = QFileDialog.getOpenFileName(self, tr("Export a recording"), "", tr(RECORDINGS))
        if path:
            self.input.setText(path)

    def _show_format(self) -> None:
        kind = FORMATS[self.format.currentData()]
        self.words.setText(told(kind.words))
        self.options.show_options(kind.options)
        self._form.setRowVisible(self.options, bool(kind.options))
        for field in (self.depth_box, self.no_flying):
            self._form.setRowVisible(field, not kind.shows_both)
        self._show_name()
        self._grow()

    def showEvent(self, event: QShowEvent) -> None:  # noqa: N802, D102
        super().showEvent(event)
        self.format.setFocus()

    def _grow(self) -> None:
        """Be as high as all there is to see, where the screen has the room; else fields scroll."""
        inner, layout = self._fields.widget(), self.layout()
        if inner is None or layout is None:
            return
        wide = self.width()
        rest = layout.heightForWidth(wide) - self._fields.minimumHeight()
        inside = self.screen().availableGeometry().height() - _TITLE_PX
        self.resize(wide, min(max(self.height(), inner.sizeHint().height() + rest), inside))

    def _show_name(self) -> None:
        kind = FORMATS[self.format.currentData()]
        stem = slug(Path(self.input.text().partition("#")[0]).stem or "export")
        several = self._proposal.cameras and not self.camera.currentData()
        suffix = kind.suffixes[0] if kind.is_one_file and not several else ""
        self.name.setText(f"{stem}{suffix}" if suffix else f"{stem}_{kind.name}")

    # ---- exporting -----------------------------------------------------------------------------

    @property
    def request(self) -> ExportRequest:
        """What the fields ask for. Raises ExportError where they make no sense."""
        if not self.input.text().strip():
            raise ExportError("export: name a recording first")
        is_same = self.input.text().strip() == self._proposal.address
        text = self.frames.text().strip()
        kind = FORMATS[self.format.currentData()]
        return ExportRequest(
            address=self.input.text().strip(),
            format=kind.name,
            output=folder_or_default(self.folder.text) / self.name.text().strip(),
            span=Span.parse(text) if text else Span(),
            camera=self.camera.currentData() if is_same else "",
            source=DepthSource(self.depth_box.currentData()),
            options=self.options.values,
            force=self.force.isChecked(),
            drop_flying=self.no_flying.isChecked() and not kind.shows_both,
        )

    def stop(self) -> None:
        """Cancel what runs; its end is waited for by the window's tasks."""
        job, self.job = self.job, None
        self._timer.stop()
        if job is not None:
            job.cancel()
            self._tasks.run("export ends", lambda: job.join(_END_S))

    def _export_or_cancel(self) -> None:
        if self.job is not None:
            self.job.cancel()
            self.export_button.setEnabled(False)
        else:
            self._export()

    def _export(self) -> None:
        self._settings.set_text("export_folder", self.folder.text)
        self._settings.set_text("export_format", self.format.currentData())
        self.notice.clear()
        try:
            request = self.request
            request.output.parent.mkdir(parents=True, exist_ok=True)
        except (ExportError, OSError) as error:
            self.notice.show_error(str(error), can_retry=False)
            self._grow()
            return
        self.job = ExportJob(request)
        self.job.start()
        self._started_s = time.monotonic()
        self._timer.start()
        self._show_buttons()

    def _look(self) -> None:
        job = self.job
        if job is None:
            return
        self._show_progress(job.done, job.total)
        if not job.is_over:
            return
        self.job = None
        self._timer.stop()
        self._show_buttons()
        if job.report is not None and job.state is JobState.DONE:
            self._show_report(job.report)
        elif job.state is JobState.CANCELLED:
            self.notice.show_error(tr("Cancelled; nothing was written."), can_retry=True)
        else:
            self.notice.show_error(str(job.error), can_retry=True)
        self._grow()

    def _show_progress(self, done: int, total: int | None) -> None:
        self.bar.setRange(0, total or 0)
        self.bar.setValue(done)
        text = (
            tr("{done} of {total}", done=done, total=total)
            if total
            else tr("{done} frames", done=done)
        )
        if total and done:
            left_s = (time.monotonic() - self._started_s) * (total - done) / done
            text += tr(" · {time} left", time=duration(left_s))
        self.bar.setFormat(text)

    def _show_report(self, report: ExportReport) -> None:
        text = tr(
            "{frames} frames, {size:.1f} MB in {time}: {output}",
            frames=report.frames,
            size=report.bytes / 1e6,
            time=duration(report.seconds, 1),
            output=report.output,
        )
        if report.left_out:
            text += "\n" + tr("{count} left out", count=report.left_out)
        text += "".join(f"\n{told(remark)}" for remark in report.remarks[:3])
        self.notice.show_offer(text, show_folder(report.output), open_file(report.output))

    def _show_buttons(self) -> None:
        runs = self.job is not None
        self.export_button.setText(tr("Cancel") if runs else tr("Export"))
        self.export_button.setEnabled(True)
        self.bar.setVisible(runs)

    def closeEvent(self, event: QCloseEvent) -> None:  # noqa: N802, D102
        self.stop()
        super().closeEvent(event)  # which sends `finished`


def _row(*parts: QWidget) -> QWidget:
    row = QWidget()
    layout = QHBoxLayout(row)
    layout.setContentsMargins(0, 0, 0, 0)
    layout.addWidget(parts[0], 1)
    for part in parts[1:]:
        layout.addWidget(part)
    return row
