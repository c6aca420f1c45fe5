"""Records a running session: every frame, and the refined ones as they come.

::

 tap (any thread) ─▶ clock ─▶ encoders (JPEG, CDR) ─▶ bounded queue ─▶ "recorder" thread ─▶ disk
                       └─ full, or encoders behind: dropped here and nowhere else, counted, and
                          said in the file
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from lingbot_live.cameras.base import CameraInfo
from lingbot_live.errors import DiskFullError, RecordingError, SessionStateError
from lingbot_live.frame import Frame, RefinedFrame
from lingbot_live.recording.backlog import Backlog, Item
from lingbot_live.recording.disk import DiskGuard, as_recording_error
from lingbot_live.recording.found import Found
from lingbot_live.recording.intake import Intake
from lingbot_live.recording.parts import Mishap, Parts
from lingbot_live.recording.pretrigger import PreTrigger
from lingbot_live.recording.state import (
    FeedLike,
    RecorderOptions,
    RecorderState,
    RecorderStats,
    TapSource,
)
from lingbot_live.system.worker import Worker

log = logging.getLogger(__name__)

SPLIT = "split"  # the cause of a lost result whose frame is in the part before
FAILED = "disk failed"  # of frames that were on their way to it
TAKEN = "file taken away"  # of frames in a file that another program deleted or cut
_FLUSH_S = 0.25  # what a kill costs is this, the encoders' backlog and the writing itself
_LOOK_S = 0.8  # at the disk, at the file's own place, and at what cameras lost
_PACKERS = 2
_LAST_S = 5.0  # for the disk to take what was under way when the rest is given up


class Recorder:
    """Writes a session into one or more files. Start it once; `stop` may come from any thread.

    ``on_change`` is called from any thread when the state or the error changed. ``settings``
    are kept in the file as metadata.

    Example::

        recorder = Recorder(Path("desk.mcap"))
        recorder.start(session)
        recorder.marker("cup moved")
        recorder.stop()
    """

    def __init__(
        self,
        path: Path,
        options: RecorderOptions | None = None,
        settings: Mapping[str, str] | None = None,
        on_change: Callable[[], None] = lambda: None,
    ) -> None:
        self.path = path
        self.options = options or RecorderOptions()
        self.state = RecorderState.READY
        self.error: BaseException | None = None
        self._settings = dict(settings or {})
        self._on_change = on_change
        self._backlog = Backlog(self.options.queue_bytes)
        self._condition = self._backlog.condition
        self._intake = Intake(self.options)
        self._frames = self._refined = 0
        self._lost: dict[tuple[str, str], int] = {}
        self._failed: set[str] = set()  # cameras
        self._warnings: list[str] = []
        self._source: TapSource | None = None
        self._parts: Parts | None = None
        self._started_s = 0.0
        self._paused_s: float | None = None
        self._pauses_s = 0.0
        self._stopped_s: float | None = None
        self._accepts = True
        self._guard = DiskGuard(path)
        # Not the encoders': a flush would wait behind all frames that wait there.
        self._packers = ThreadPoolExecutor(_PACKERS, "recorder pack")
        self._is_closed = threading.Event()
        self._worker = Worker("recorder", self._run, self._fail)

    # ---- for the owner -----------------------------------------------------------------------

    def start(self, source: TapSource) -> None:
        """Make the file and record ``source`` (a Session, started or not) from now on.

        A `PreTrigger` as the source gives what it holds first.

        Raises:
            RecordingError: the file exists or cannot be written, or the disk is full.
            SessionStateError: it was started before.
        """
        if self.state is not RecorderState.READY:
            raise SessionStateError(f"{self.path}: a recorder starts once; make a new one")
        self._guard.check_room()
        self._started_s = time.monotonic()
        if isinstance(source, PreTrigger):
            self._intake = source.intake
        self._parts = Parts(
            self.path,
            self.options,
            self._settings,
            self._intake.clock.epoch_offset_ns,
            self._packers,
        )
        self._source = source
        with self._condition:
            self.state = RecorderState.RECORDING
            if isinstance(source, PreTrigger):
                for item in source.hand_over(self._tap):
                    self._backlog.put(item)
        self._worker.start()
        if not isinstance(source, PreTrigger):
            source.add_tap(self._tap)
        self._on_change()

    def pause(self) -> None:
        """Leave out what comes from now on."""
        with self._condition:
            if self.state is not RecorderState.RECORDING:
                return
            self._paused_s = time.monotonic()
            self.state = RecorderState.PAUSED
            self._put_event("pause")
        self._on_change()

    def resume(self) -> None:
        """Go on after a pause."""
        with self._condition:
            if self.state is not RecorderState.PAUSED or self._paused_s is None:
                return
            self._pauses_s += time.monotonic() - self._paused_s
            self._paused_s = None
            self.state = RecorderState.RECORDING
            self._put_event("resume")
        self._on_change()

    def marker(self, text: str = "") -> None:
        """Note a moment, to be found again on the timeline."""
        with self._condition:
            if self.state in (RecorderState.RECORDING, RecorderState.PAUSED):
                self._put_event("marker", text=text)

    def add(self, camera: str, found: Found) -> None:
        """Store what was found in a frame that is recorded; returns at once, from any thread."""
        self._tap(camera, found)

    def end_found(self, camera: str | None = None) -> None:
        """Note where the points that `add` was given of a camera, or of all, are followed to."""
        with self._condition:
            for item in self._intake.ends(camera) if self.is_active else ():
                self._backlog.put(item)

    def request_stop(self) -> None:
        """Take no more frames; what is queued is still written. Does not wait."""
        if self._source is not None:
            self._source.remove_tap(self._tap)
        self.end_found()
        with self._condition:
            self._accepts = False
            self._worker.request_stop()
            self._condition.notify_all()

    def wait(self, timeout_s: float) -> bool:
        """Wait, after `request_stop`, until the file is closed; False if it is not yet."""
        return self._is_closed.wait(timeout_s) or self._parts is None

    def give_up(self) -> None:
        """After `request_stop`: leave out what is still queued, and count it."""
        self._backlog.give_up()

    def stop(self, timeout_s: float = 30.0) -> list[Path]:
        """Write what is queued, close the file and return all files; safe more than once.

        What a slow disk has not taken after ``timeout_s`` is given up and counted. The error that
        ended a recording early is in `error`, not raised: the files are valid.
        """
        self.request_stop()
        if not self.wait(timeout_s):
            self.give_up()
            if not self.wait(_LAST_S) and self.error is None:
                self.error = RecordingError(
                    f"{self.path}: the disk takes no more; the file has no end, and opens "
                    "nevertheless. Check the disk"
                )
        ended = self._is_closed.is_set()
        if ended:
            self._worker.join(_LAST_S)
        self._backlog.close(wait=False)
        self._packers.shutdown(wait=False)
        return [] if self._parts is None else list(self._parts.paths)

    def discard(self) -> None:
        """After `stop`: delete the last file, as if nothing had been recorded."""
        if self._parts is not None:
            self._parts.remove()

    def stats(self) -> RecorderStats:
        """Return the figures of this moment."""
        with self._condition:
            parts = self._parts
            return RecorderStats(
                state=self.state,
                path=self.path if parts is None else parts.path,
                parts=0 if parts is None else len(parts.paths),
                elapsed_s=self._elapsed_s(),
                bytes_written=0 if parts is None else parts.size_bytes,
                bytes_per_s=self._guard.bytes_per_s,
                frames=self._frames,
                refined=self._refined,
                drops=dict(self._backlog.drops),
                queued=len(self._backlog),
                minutes_left=self._guard.minutes_left,
                is_space_low=self._guard.is_low,
                warnings=tuple(self._warnings),
                error=self.error,
            )

    @property
    def is_active(self) -> bool:
        """Whether a file is open."""
        return self.state in (RecorderState.RECORDING, RecorderState.PAUSED)

    # ---- on the threads of cameras and refiner -----------------------------------------------

    def _tap(self, camera: str, item: Frame | RefinedFrame | Found) -> None:
        with self._condition:
            if not self._accepts or self.state is not RecorderState.RECORDING:
                return
            intake, backlog = self._intake, self._backlog
            if intake.takes(camera, item) and not backlog.refuses(camera, intake.size(item)):
                for made in intake.items(camera, item, backlog.encode):
                    backlog.put(made)

    def _put_event(self, kind: str, camera: str = "", text: str = "", count: int = 0) -> None:
        self._backlog.put(self._intake.event(kind, camera, text, count))

    # ---- on the recorder's thread ------------------------------------------------------------

    def _run(self, stop: threading.Event) -> None:
        try:
            self._record(stop)
            mishap = self._open_parts.close()
            if mishap is not None:
                self._note_mishap(mishap)
                self.error = RecordingError(mishap.text)
            self._open_parts.remove_empty()
            self._end(RecorderState.STOPPED)
        finally:
            self._stop_taking()
            self._backlog.close(wait=True)
            self._packers.shutdown(wait=True, cancel_futures=True)

    def _end(self, state: RecorderState) -> None:
        self._backlog.give_up()
        with self._condition:
            self.state = state
            self._stopped_s = time.monotonic()
        self._is_closed.set()
        self._on_change()

    def _record(self, stop: threading.Event) -> None:
        flush_s = look_s = time.monotonic()
        while not (stop.is_set() and not len(self._backlog)):
            item = self._backlog.take(stop, flush_s + _FLUSH_S)
            if item is not None:
                self._write(item)
            now_s = time.monotonic()
            if now_s >= flush_s + _FLUSH_S:
                flush_s = now_s
                self._open_parts.flush()
            if now_s >= look_s + _LOOK_S:
                look_s = now_s
                if not self._look():
                    break
        self._stop_taking()
        self._note_losses()
        while (item := self._backlog.take(stop, time.monotonic())) is not None:
            self._write(item)

    def _stop_taking(self) -> None:
        with self._condition:
            self._accepts = False

    def _write(self, item: Item) -> None:
        messages = item.messages if isinstance(item.messages, list) else item.messages.result()
        parts, moment = self._open_parts, item.moment
        if item.calibration is not None:
            name, info = self._intake.names[item.camera], self._info(item.camera)
            parts.describe(item.camera, name, moment, info, item.calibration)
        if item.is_result and not parts.holds(item.camera, moment):
            with self._condition:
                self._backlog.count_drop(item.camera, SPLIT)
        else:
            parts.write(item.camera, moment, item.publish_ns, item.sequence, messages)
        self._backlog.note_written(item)
        with self._condition:
            self._frames += item.calibration is not None
            self._refined += item.is_refined

    def _info(self, camera: str) -> CameraInfo | None:
        feeds = () if self._source is None else self._source.feeds
        return next((feed.info for feed in feeds if feed.name == camera), None)

    def _look(self) -> bool:
        """Say what was lost, look at file and disk; False when the recording must end."""
        self._note_losses()
        mishap = self._open_parts.look()
        if mishap is not None:
            self._note_mishap(mishap)
        was_low = self._guard.is_low
        if not self._guard.update(self._open_parts.size_bytes):
            self.error = DiskFullError(
                f"{self._open_parts.path}: stopped and saved, because only "
                f"{self._guard.free_bytes >> 20} MB are left on the disk; make room"
            )
            return False
        if self._guard.is_low != was_low:
            self._on_change()
        return True

    def _note_losses(self) -> None:
        """Turn new drops, ours and the session's, into events."""
        with self._condition:
            for camera, cause, count in self._backlog.unsaid():
                self._put_event("drop", camera, f"not recorded: {cause}", count)
            for feed in () if self._source is None else self._source.feeds:
                self._note_failure(feed)
                for cause, total in feed.lost.items():
                    new = total - self._lost.get((feed.name, cause), 0)
                    self._lost[feed.name, cause] = total
                    if new > 0:
                        self._put_event("drop", feed.name, cause, new)

    def _note_failure(self, feed: FeedLike) -> None:
        is_failed = feed.state.is_lost
        if is_failed and feed.name not in self._failed:
            self._put_event("failed", feed.name, str(feed.error))
        (self._failed.add if is_failed else self._failed.discard)(feed.name)

    def _note_mishap(self, mishap: Mishap) -> None:
        log.debug("%s", mishap.text)
        with self._condition:
            self._warnings.append(mishap.text)
            self._frames -= mishap.frames_lost
            if mishap.frames_lost:
                self._backlog.drops[TAKEN] += mishap.frames_lost
            self._put_event("file", text=mishap.text, count=mishap.frames_lost)
        self._on_change()

    def _fail(self, error: BaseException) -> None:
        """Keep what is written; the session goes on without us."""
        parts = self._open_parts
        self.error = as_recording_error(error, parts.path)
        log.debug("%s", self.error, exc_info=error)
        lost = parts.abort()
        parts.remove_empty()
        with self._condition:
            self._frames -= lost
            if lost:
                self._backlog.drops[FAILED] += lost
        self._end(RecorderState.FAILED)

    @property
    def _open_parts(self) -> Parts:
        if self._parts is None:
            raise SessionStateError(f"{self.path}: start the recorder first")
        return self._parts

    def _elapsed_s(self) -> float:
        if not self._started_s:
            return 0.0
        end_s = self._stopped_s or self._paused_s or time.monotonic()
        return max(0.0, end_s - self._started_s - self._pauses_s)
