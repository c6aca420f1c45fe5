"""Refines a whole recording into a new session file, beside the window."""

from __future__ import annotations

import time
from pathlib import Path

from PySide6.QtCore import Qt, QTimer, Signal
from PySide6.QtGui import QCloseEvent
from PySide6.QtWidgets import QDialog, QLabel, QProgressBar, QPushButton, QVBoxLayout

from lingbot_live.config import RefinerConfig
from lingbot_live.recording.refine_job import RefineJob
from lingbot_live.system.job import JobState
from lingbot_live.system.words import duration
from ui.shell.desk import Desk, show_folder
from ui.shell.language import tr
from ui.shell.stage import Stage

_LOOK_MS = 100
_END_S = 20.0


class RefineDialog(QDialog):
    """Shows how far it is. Closing ends it; the next time it goes on where it was."""

    progressed = Signal(int, int)

    def __init__(
        self, source: Path, output: Path, config: RefinerConfig, stage: Stage, desk: Desk
    ) -> None:
        super().__init__(desk.widget)
        self.setWindowTitle(tr("Refining {name}", name=source.name))
        self.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
        self._output, self._stage, self._desk = output, stage, desk
        self._started_s = time.monotonic()
        self.text = QLabel(
            tr(
                "{refiner} makes {name}. The window stays free meanwhile.",
                refiner=config,
                name=output.name,
            )
        )
        self.text.setWordWrap(True)
        self.bar = QProgressBar()
        self.bar.setRange(0, 0)
        stop = QPushButton(tr("Stop"))
        stop.clicked.connect(self.close)
        column = QVBoxLayout(self)
        column.addWidget(self.text)
        column.addWidget(self.bar)
        column.addWidget(stop, 0, Qt.AlignmentFlag.AlignRight)
        self.setMinimumWidth(420)
        self.job = RefineJob(source, output, config)
        self.job.start()
        self._timer = QTimer(self, interval=_LOOK_MS)
        self._timer.timeout.connect(self._look)
        self._timer.start()

    @property
    def is_over(self) -> bool:
        """Whether nothing is lost if it is closed."""
        return self.job.is_over

    def closeEvent(self, event: QCloseEvent) -> None:  # noqa: N802, D102
        self._timer.stop()
        if not self.job.is_over:
            self.job.cancel()
            self._desk.tasks.run(
                "refining ends", lambda: self.job.join(_END_S), lambda _: self._tell()
            )
        super().closeEvent(event)

    def _look(self) -> None:
        done, total = self.job.done, self.job.total
        if total:
            self.bar.setRange(0, total)
            self.bar.setValue(done)
            self.progressed.emit(done, total)
        if total and done:
            left_s = (time.monotonic() - self._started_s) * (total - done) / done
            self.bar.setFormat(
                tr("{done} of {total} · {time} left", done=done, total=total, time=duration(left_s))
            )
        if self.job.is_over:
            self._timer.stop()
            self._tell()
            self.close()

    def _tell(self) -> None:
        job, output, stage = self.job, self._output, self._stage
        if job.state is JobState.DONE:
            text = tr("Refined: {output}", output=output)
            if job.failed:
                text += "; " + tr(
                    "{count} frames could not be and are there as raw", count=job.failed
                )
            replay = (tr("Replay"), lambda: stage.propose((str(output),)))
            self._desk.offer(text, replay, show_folder(output))
        elif job.state is JobState.CANCELLED:
            self._desk.say(tr("Stopped. Refine the recording again and it goes on from there."))
        else:
            self._desk.show_error(str(job.error))
