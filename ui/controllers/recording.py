"""The window's recorder."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path

from PySide6.QtCore import QEventLoop, QObject, QTimer, Signal
from PySide6.QtWidgets import QMessageBox

from lingbot_live.pipeline.session import Session
from lingbot_live.recording.backlog import GIVEN_UP
from lingbot_live.recording.found import Found
from lingbot_live.recording.pretrigger import PreTrigger
from lingbot_live.recording.recorder import Recorder
from lingbot_live.recording.state import RecorderOptions, RecorderState, RecorderStats
from ui.shell.actions import Command
from ui.shell.desk import Desk
from ui.shell.language import told, tr
from ui.shell.stage import Stage

_MOST_S = 3600.0  # for a slow disk; the user may give up before
_LOOK_MS = 50
_PATIENCE_S = 1.0  # until a slow disk is shown


class RecordControl(QObject):
    """The window's recorder, if one runs: started and stopped on threads, for disks may be slow.

    ``failed(str)`` tells why a recording could not start or ended early, ``written(list)`` which
    files it left, ``warned(str)`` once that the disk is nearly full, or what
    became of a file that another program took away.
    """

    failed = Signal(str)
    written = Signal(list)
    warned = Signal(str)

    def __init__(self, stage: Stage, desk: Desk) -> None:
        super().__init__(stage)
        self._tasks = desk.tasks
        self._desk = desk
        self._recorder: Recorder | None = None
        self._ring: PreTrigger | None = None
        self._wanted: tuple[Session | None, RecorderOptions] = (None, RecorderOptions())
        self._ending: Recorder | None = None  # stopped, its file not closed yet
        self.marks = 0  # set in the present recording
        self._warned_of: set[str] = set()
        stage.ending.connect(self._release)
        self.failed.connect(desk.show_error)
        self.warned.connect(desk.show_error)

    def commands(self) -> dict[str, Command]:
        """Return what it does, by the keys of `Actions`."""
        return {
            "pause_recording": self.pause_or_resume,
            "mark": self.mark,
        }

    @property
    def is_active(self) -> bool:
        """Whether frames are being written."""
        return self._recorder is not None

    def hold(self, session: Session | None, options: RecorderOptions) -> None:
        """Hold the session's last seconds from now on, where the options say so."""
        self._wanted = session, options
        if self._recorder is None and self._ending is None:
            self._renew()

    @property
    def held(self) -> tuple[float, int] | None:
        """How many seconds are held before a recording, and in how many bytes; None: off."""
        return None if self._ring is None else self._ring.held

    def _renew(self) -> None:
        ring, self._ring = self._ring, None
        if ring is not None:
            ring.stop()
        session, options = self._wanted
        if session is not None and options.pre_trigger_s:
            self._ring = PreTrigger(session, options)
            self._ring.start()

    def _release(self) -> None:
        """The session ends: so do its recording and what is held of it."""
        self._wanted = None, self._wanted[1]
        self.stop()
        if self._ending is None:
            self._renew()

    def start(
        self,
        session: Session,
        path: Path,
        settings: dict[str, str],
        options: RecorderOptions | None = None,
    ) -> None:
        """Record ``session`` into a new file."""
        if self._recorder is not None:
            return
        recorder = self._recorder = Recorder(path, options, settings)
        self.marks, self._warned_of = 0, set()
        source = self._ring or session

        def begin() -> None:
            path.parent.mkdir(parents=True, exist_ok=True)
            recorder.start(source)

        self._tasks.run("start recording", begin, on_error=self._give_up)

    def stop(self) -> None:
        """End the recording; `written` follows when the file is complete."""
        recorder, self._recorder = self._recorder, None
        if recorder is not None:
            recorder.request_stop()
            self._end(recorder)

    def finish(self) -> None:
        """Stop, and wait until all is written; a dialog shows that, with a way to give up."""
        self.stop()
        self._wanted = None, self._wanted[1]
        recorder = self._ending
        if recorder is None:
            self._renew()
            return
        loop, box = QEventLoop(), QMessageBox(self._desk.widget)
        box.setWindowTitle(tr("Saving the recording"))
        box.setStandardButtons(QMessageBox.StandardButton.Discard)
        box.buttonClicked.connect(self.give_up)
        begun_s = time.monotonic()

        def look() -> None:
            if recorder.wait(0.0):
                loop.quit()
                return
            box.setText(
                tr("{queued} frames and results wait for the disk.", queued=recorder.stats().queued)
            )
            if not box.isVisible() and time.monotonic() - begun_s > _PATIENCE_S:
                box.show()

        timer = QTimer(interval=_LOOK_MS)
        timer.timeout.connect(look)
        timer.start()
        loop.exec()
        timer.stop()
        box.close()
        box.deleteLater()
        self._renew()

    def give_up(self) -> None:
        """Leave out what a slow disk has not taken after `stop`; it is counted."""
        if self._ending is not None:
            self._ending.give_up()

    def keep(self, camera: str, find: Callable[[], Found]) -> None:
        """Store what ``find`` returns of a camera's frame, if one records; from any thread."""
        recorder = self._recorder
        if recorder is not None:
            recorder.add(camera, find())

    def keep_no_more(self, camera: str) -> None:
        """Note that the points that `keep` was given of a camera are followed no longer."""
        if self._recorder is not None:
            self._recorder.end_found(camera)

    def mark(self) -> None:
        """Note this moment in the file."""
        if self._recorder is not None:
            self.marks += 1
            self._recorder.marker(tr("marker {number}", number=self.marks))

    def pause_or_resume(self) -> None:
        """Leave frames out for a while, or go on."""
        if self._recorder is None:
            return
        if self._recorder.state is RecorderState.PAUSED:
            self._recorder.resume()
        else:
            self._recorder.pause()

    def stats(self) -> RecorderStats | None:
        """Return the figures of this moment; tells a failure once and ends the recording."""
        recorder = self._recorder
        if recorder is None or recorder.state is RecorderState.READY:
            return None
        if not recorder.is_active:  # by itself: the disk failed or is full
            self._recorder = None
            self._end(recorder)
            return None
        stats = recorder.stats()
        self._warn(stats)
        return stats

    def _warn(self, stats: RecorderStats) -> None:
        """Tell once what is new, in one message: a second would take its place."""
        found = {text: told(text) for text in stats.warnings}
        if stats.is_space_low:
            found["room"] = tr(
                "{folder}: room for {minutes:.1f} more minutes of recording; it stops "
                "and is saved before the disk is full",
                folder=stats.path.parent,
                minutes=stats.minutes_left or 0,
            )
        fresh = [text for what, text in found.items() if what not in self._warned_of]
        self._warned_of.update(found)
        if fresh:
            self.warned.emit(tr("; ").join(fresh))

    def _end(self, recorder: Recorder) -> None:
        self._ending, said = recorder, self._warned_of
        self._tasks.run(
            "stop recording",
            lambda: recorder.stop(_MOST_S),
            lambda paths: self._tell_end(recorder, paths, said),
        )

    def _give_up(self, error: BaseException) -> None:
        self._recorder = None
        self.failed.emit(tr("Recording did not start: {error}", error=told(str(error))))

    def _tell_end(self, recorder: Recorder, paths: list[Path], said: set[str]) -> None:
        if self._ending is recorder:
            self._ending = None
            if self._recorder is None:
                self._renew()
        stats, error = recorder.stats(), recorder.error
        bad = [told(text) for text in stats.warnings if text not in {*said, str(error)}]
        if error is not None:
            bad.insert(0, tr("Recording ended: {error}", error=told(str(error))))
        elif paths:
            self.written.emit(paths)
        else:
            bad.append(tr("{path}: no frame came, so no file was kept", path=recorder.path))
        if lost := stats.drops.get(GIVEN_UP, 0):
            bad.append(_loss(recorder.path, lost))
        if bad:  # in one message: a second would take its place
            self.failed.emit(tr("; ").join(bad))


def _loss(path: Path, lost: int) -> str:
    return tr(
        "{path}: {lost} frames and results lost: {why}", path=path, lost=lost, why=told(GIVEN_UP)
    )
