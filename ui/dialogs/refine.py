"""Refines a whole recording into a new session file, beside the window."""

from __future__ import annotations

import time
from pathlib import Path

from PySide6.QtCore import Qt, Signal
from PySide6.QtGui import QCloseEvent
from PySide6.QtWidgets import QDialog, QLabel, QProgressBar, QPushButton, QVBoxLayout

from lingbot_live.cameras import registry
from lingbot_live.config import RefinerConfig
from lingbot_live.recording.offline import refine_file
from ui.shell.desk import Desk, show_folder
from ui.shell.readout import duration
from ui.shell.stage import Stage


class _CancelledError(Exception):
    """The user ended it; what is refined is kept, and the same call goes on from there."""


class RefineDialog(QDialog):
    """Shows how far it is. Closing ends it; the next time it goes on where it was."""

    progressed = Signal(int, int)

    def __init__(
        self, source: Path, output: Path, config: RefinerConfig, stage: Stage, desk: Desk
    ) -> None:
        super().__init__(desk.widget)
        self.setWindowTitle(f"Refining {source.name}")
        self.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
        self._source, self._output, self._config = source, output, config
        self._stage, self._desk = stage, desk
        self._is_cancelled = self._is_over = False
        self._started_s = time.monotonic()
        self.text = QLabel(f"{config} makes {output.name}. The window stays free meanwhile.")
        self.text.setWordWrap(True)
        self.bar = QProgressBar()
        self.bar.setRange(0, 0)
        stop = QPushButton("Stop")
        stop.clicked.connect(self.close)
        column = QVBoxLayout(self)
        column.addWidget(self.text)
        column.addWidget(self.bar)
        column.addWidget(stop, 0, Qt.AlignmentFlag.AlignRight)
        self.setMinimumWidth(420)
        self.progressed.connect(self._show_progress, Qt.ConnectionType.QueuedConnection)
        desk.tasks.run("refining a recording", self._refine, self._finish, self._fail)

    @property
    def is_over(self) -> bool:
        """Whether nothing is lost if it is closed."""
        return self._is_over

    def closeEvent(self, event: QCloseEvent) -> None:  # noqa: N802, D102
        self._is_cancelled = True
        super().closeEvent(event)

    # ---- on the thread -----------------------------------------------------------------------

    def _refine(self) -> int:
        refiner = registry.create_refiner(self._config)
        try:
            return refine_file(self._source, self._output, refiner, on_progress=self._note)
        finally:
            refiner.close()

    def _note(self, done: int, total: int) -> None:
        if self._is_cancelled:
            raise _CancelledError
        self.progressed.emit(done, total)

    # ---- on the main thread ------------------------------------------------------------------

    def _show_progress(self, done: int, total: int) -> None:
        self.bar.setRange(0, total)
        self.bar.setValue(done)
        if done:
            left_s = (time.monotonic() - self._started_s) * (total - done) / done
            self.bar.setFormat(f"{done} of {total} · {duration(left_s)} left")

    def _finish(self, failed: int) -> None:
        text = f"Refined: {self._output}"
        text += f"; {failed} frames could not be and are there as raw" if failed else ""
        address = str(self._output)
        replay = ("Replay", lambda: self._stage.propose((address,)))
        self._desk.offer(text, replay, show_folder(self._output))
        self._end()

    def _fail(self, error: BaseException) -> None:
        if isinstance(error, _CancelledError):
            self._desk.say("Stopped. Refine the recording again and it goes on from there.")
        else:
            self._desk.show_error(str(error))
        self._end()

    def _end(self) -> None:
        self._is_over = True
        if not self._is_cancelled:
            self.close()
