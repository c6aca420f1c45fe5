"""The published weights: what is here, get one, use one."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Sequence
from typing import TypeVar

from PySide6.QtCore import Qt, Signal
from PySide6.QtWidgets import (
    QComboBox,
    QDialog,
    QFileDialog,
    QHBoxLayout,
    QHeaderView,
    QLabel,
    QProgressBar,
    QPushButton,
    QTableWidget,
    QTableWidgetItem,
    QVBoxLayout,
    QWidget,
)
from shiboken6 import isValid

from lingbot_live.errors import DownloadCancelledError
from lingbot_live.model.weights import store, zoo
from ui.shell.bridge import Tasks
from ui.shell.language import phrase, told, tr
from ui.shell.notice import Notice

T = TypeVar("T")
_SHOWN_EVERY_S = 0.2
_COLUMNS = (phrase("Model"), phrase("For"), phrase("Here"), phrase("Size"))
_HUBS = {"Hugging Face": "huggingface", "ModelScope": "modelscope"}
_WEIGHTS = phrase("Weights (*.pt *.pth *.safetensors);;All files (*)")


class ModelsDialog(QDialog):
    """Lists the models; ``chosen(str)`` is sent with the name or path of the one to use.

    A download runs on a thread; closing the dialog cancels it, and the next one goes on from
    where it stopped.
    """

    chosen = Signal(str)
    _progress = Signal(float, float)  # done and whole, bytes; floats, for an int of Qt is too small

    def __init__(self, tasks: Tasks, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setWindowTitle(tr("LingBot-Depth models"))
        self.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
        self._tasks = tasks
        self._cancel: threading.Event | None = None
        self._shown_s = 0.0
        self.table = QTableWidget(0, len(_COLUMNS))
        self.table.setHorizontalHeaderLabels([tr(name) for name in _COLUMNS])
        self.table.verticalHeader().hide()
        self.table.setSelectionBehavior(QTableWidget.SelectionBehavior.SelectRows)
        self.table.setSelectionMode(QTableWidget.SelectionMode.SingleSelection)
        self.table.setEditTriggers(QTableWidget.EditTrigger.NoEditTriggers)
        resize = QHeaderView.ResizeMode
        self.table.horizontalHeader().setSectionResizeMode(resize.ResizeToContents)
        self.table.horizontalHeader().setSectionResizeMode(1, resize.Stretch)
        self.table.itemSelectionChanged.connect(self._show_buttons)
        self.notice = Notice()
        self.bar = QProgressBar()
        self.bar.setRange(0, 1000)
        self.bar.hide()
        self.get_button = QPushButton(tr("Download"))
        self.get_button.clicked.connect(self._get_or_cancel)
        self.hub_box = QComboBox()
        self.hub_box.addItems(list(_HUBS))
        self.hub_box.setToolTip(tr("Where the download comes from"))
        self.file_button = QPushButton(tr("File..."))
        self.file_button.setToolTip(tr("Use weights that lie elsewhere on this machine"))
        self.file_button.clicked.connect(self._use_file)
        self.use_button = QPushButton(tr("Use"))
        self.use_button.clicked.connect(self._use)
        self._progress.connect(self._show_progress, Qt.ConnectionType.QueuedConnection)
        self._lay_out()
        self.refresh()

    def refresh(self) -> None:
        """Read again what is on the disk; on a thread, as it may import a hub's library."""
        self._tasks.run("models on disk", store.known, self._alive(self._show))

    # ---- private ---------------------------------------------------------------------------

    def _alive(self, call: Callable[[T], None]) -> Callable[[T], None]:
        """Return ``call`` as something that does nothing once the dialog is gone."""
        return lambda argument: call(argument) if isValid(self) else None

    def _show(self, found: Sequence[store.Status]) -> None:
        row = max(0, self.table.currentRow())
        self.table.setRowCount(len(found))
        for at, status in enumerate(found):
            entry = zoo.published(status.name)
            size = f"{status.size_bytes / 1e9:.2f} GB" if status.size_bytes else "1.28 GB"
            purpose = told(entry.purpose) if entry else ""
            texts = (status.name, purpose, told(status.state), size)
            for column, text in enumerate(texts):
                item = QTableWidgetItem(text)
                item.setData(Qt.ItemDataRole.UserRole, status.state)
                self.table.setItem(at, column, item)
        self.table.selectRow(row)
        self._show_buttons()

    def _lay_out(self) -> None:
        text = QLabel(
            tr(
                "LingBot-Depth refines depth with a neural network; live use needs an NVIDIA GPU. "
                "Its weights (Apache-2.0) are fetched only when you ask for them here."
            )
        )
        text.setWordWrap(True)
        row = QHBoxLayout()
        row.addWidget(self.bar, 1)
        row.addStretch(0)
        row.addWidget(self.file_button)
        row.addWidget(self.hub_box)
        row.addWidget(self.get_button)
        row.addWidget(self.use_button)
        column = QVBoxLayout(self)
        column.addWidget(text)
        column.addWidget(self.notice)
        column.addWidget(self.table, 1)
        column.addLayout(row)
        self.resize(640, 360)

    def _selected(self) -> tuple[str, str]:
        row = self.table.currentRow()
        name, state = self.table.item(row, 0), self.table.item(row, 2)
        return (
            (name.text(), str(state.data(Qt.ItemDataRole.UserRole))) if name and state else ("", "")
        )

    def _show_buttons(self) -> None:
        name, state = self._selected()
        busy = self._cancel is not None
        self.get_button.setText(tr("Cancel") if busy else tr("Download"))
        self.get_button.setEnabled(busy or (bool(name) and state != "present"))
        self.hub_box.setEnabled(self.get_button.isEnabled() and not busy)
        self.use_button.setEnabled(state == "present" and not busy)
        self.file_button.setEnabled(not busy)

    def _use(self) -> None:
        name, _ = self._selected()
        self.chosen.emit(name)
        self.accept()

    def _use_file(self) -> None:
        path, _ = QFileDialog.getOpenFileName(self, tr("Open weights"), "", tr(_WEIGHTS))
        if path:
            self.chosen.emit(path)
            self.accept()

    def _get_or_cancel(self) -> None:
        if self._cancel is not None:
            self._cancel.set()
            return
        name, _ = self._selected()
        hub = _HUBS[self.hub_box.currentText()]
        cancel = self._cancel = threading.Event()
        self.notice.clear()
        self.bar.setValue(0)
        self.bar.show()
        self._tasks.run(
            f"download {name}",
            lambda: store.download(name, hub, progress=self._on_progress, cancel=cancel),
            self._alive(lambda _path: self._finished(None)),
            self._alive(self._finished),
        )
        self._show_buttons()

    def _on_progress(self, done: int, whole: int) -> None:
        """Called on the download's thread, for every piece that came."""
        now_s = time.monotonic()
        if now_s - self._shown_s > _SHOWN_EVERY_S:
            self._shown_s = now_s
            if isValid(self):
                self._progress.emit(float(done), float(whole))

    def _show_progress(self, done: float, whole: float) -> None:
        self.bar.setValue(round(1000 * done / whole) if whole else 0)
        self.bar.setFormat(tr("{done:.0f} of {whole:.0f} MB", done=done / 1e6, whole=whole / 1e6))

    def _finished(self, error: BaseException | None) -> None:
        self._cancel = None
        self.bar.hide()
        if error is not None and not isinstance(error, DownloadCancelledError):
            self.notice.show_error(str(error), can_retry=False)
        self.refresh()

    def done(self, result: int) -> None:
        """Close, by whatever button or key, and end a download."""
        if self._cancel is not None:
            self._cancel.set()
        super().done(result)
