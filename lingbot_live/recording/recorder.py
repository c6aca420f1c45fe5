"""Records a running session: every frame, and the refined ones as they come.

::

 tap (any thread) ─▶ clock ─▶ encoders (JPEG, CDR) ─▶ bounded queue ─▶ "recorder" thread ─▶ disk
                       └─ full: dropped here and nowhere else, counted, and said in the file
"""

from __future__ import annotations

import logging
import threading
import time
from collections import Counter, deque
from collections.abc import Callable, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from lingbot_live.cameras.base import CameraInfo
from lingbot_live.errors import DiskFullError, SessionStateError
from lingbot_live.frame import Frame, RefinedFrame
from lingbot_live.recording.clock import CameraClock, Moment
from lingbot_live.recording.disk import DiskGuard, as_recording_error
from lingbot_live.recording.encode import Messages, encode_event, encode_frame, encode_refined
from lingbot_live.recording.format import Event, slug
from lingbot_live.recording.parts import Parts
from lingbot_live.recording.state import (
    RecorderOptions,
    RecorderState,
    RecorderStats,
    TapSource,
)
from lingbot_live.system.worker import Worker

log = logging.getLogger(__name__)

TOO_SLOW = "disk too slow"  # the cause of a frame dropped because the queue was full
SPLIT = "split"  # of a result whose frame is in the part before
_FLUSH_S = 0.8  # so that with the writing itself less than a second is lost to a kill
_ENCODERS = 2


@dataclass(slots=True)
class _Item:
    """One encoded frame, result or event on its way to the disk."""

    camera: str
    moment: Moment
    publish_ns: int
    sequence: int
    messages: Future[Messages] | Messages
    size: int = 0
    frame: Frame | None = None  # of a raw frame, for what is known of its camera
    is_refined: bool = False


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
        self._condition = threading.Condition()
        self._queue: deque[_Item] = deque()
        self._queued_bytes = 0
        self._clock = CameraClock()
        self._names: dict[str, str] = {}  # of cameras in topics
        self._frames = self._refined = 0
        self._drops: Counter[str] = Counter()
        self._unsaid: Counter[tuple[str, str]] = Counter()  # drops not yet in the file
        self._lost: dict[tuple[str, str], int] = {}
        self._refiner = ""
        self._source: TapSource | None = None
        self._parts: Parts | None = None
        self._started_s = 0.0
        self._paused_s: float | None = None
        self._pauses_s = 0.0
        self._stopped_s: float | None = None
        self._accepts = True
        self._guard = DiskGuard(path)
        self._encoders = ThreadPoolExecutor(_ENCODERS, "recorder encode")
        self._worker = Worker("recorder", self._run, self._fail)

    # ---- for the owner -----------------------------------------------------------------------

    def start(self, source: TapSource) -> None:
        """Make the file and record ``source`` (a Session, started or not) from now on.

        Raises:
            RecordingError: the file exists or cannot be written, or the disk is full.
            SessionStateError: it was started before.
        """
        if self.state is not RecorderState.READY:
            raise SessionStateError(f"{self.path}: a recorder starts once; make a new one")
        self._guard.check_room()
        self._started_s = time.monotonic()
        self._parts = Parts(
            self.path, self.options, self._settings, self._clock.epoch_offset_ns, self._encoders
        )
        self._source = source
        self.state = RecorderState.RECORDING
        self._worker.start()
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

    def stop(self, timeout_s: float = 30.0) -> list[Path]:
        """Write what is queued, close the file and return all files; safe more than once.

        The error that ended a recording early is in `error`, not raised: the files are valid.
        """
        if self._source is not None:
            self._source.remove_tap(self._tap)
        with self._condition:
            self._accepts = False
            self._worker.request_stop()
            self._condition.notify_all()
        self._worker.join(timeout_s)
        self._encoders.shutdown(wait=False)
        return [] if self._parts is None else list(self._parts.paths)

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
                drops=dict(self._drops),
                minutes_left=self._guard.minutes_left,
                is_space_low=self._guard.is_low,
                error=self.error,
            )

    @property
    def is_active(self) -> bool:
        """Whether a file is open."""
        return self.state in (RecorderState.RECORDING, RecorderState.PAUSED)

    # ---- on the threads of cameras and refiner -----------------------------------------------

    def _tap(self, camera: str, item: Frame | RefinedFrame) -> None:
        with self._condition:
            if not self._accepts or self.state is not RecorderState.RECORDING:
                return
            if isinstance(item, Frame):
                self._offer_frame(camera, item)
            elif self.options.refined:
                self._offer_refined(camera, item)

    def _offer_frame(self, camera: str, frame: Frame) -> None:
        size = frame.color.nbytes + frame.depth_raw.nbytes
        if not self._has_room(camera, size):
            return
        if camera not in self._names:
            self._names[camera] = slug(camera, self._names.values())
        moment = self._clock.of_frame(camera, frame)
        quality = None if self.options.lossless else self.options.quality
        messages = self._encoders.submit(
            encode_frame, frame, self._names[camera], moment.stamp_ns, quality
        )
        self._put(_Item(camera, moment, moment.log_ns, frame.index, messages, size, frame))

    def _offer_refined(self, camera: str, refined: RefinedFrame) -> None:
        moment = self._clock.of_earlier(camera, refined.frame)
        if moment is None:
            return  # its frame came before the start, in a pause, or was dropped (and counted)
        size = refined.depth_m.nbytes + refined.mask.nbytes
        if not self._has_room(camera, size):
            return
        if str(refined.refiner) != self._refiner:
            self._refiner = str(refined.refiner)
            self._put_event("refiner", camera, self._refiner)
        messages = self._encoders.submit(
            encode_refined, refined, self._names[camera], moment.stamp_ns, self.options.lossless
        )
        publish_ns = self._clock.epoch_ns(refined.finished_ns)
        self._put(
            _Item(
                camera, moment, publish_ns, refined.frame.index, messages, size, is_refined=True
            )
        )  # fmt: skip

    def _has_room(self, camera: str, size: int) -> bool:
        # A single item larger than the queue still passes when nothing else waits.
        if self._queued_bytes and self._queued_bytes + size > self.options.queue_bytes:
            self._count_drop(camera, TOO_SLOW)
            return False
        return True

    def _count_drop(self, camera: str, cause: str) -> None:
        self._drops[cause] += 1
        self._unsaid[camera, cause] += 1

    def _put(self, item: _Item) -> None:
        self._queued_bytes += item.size
        self._queue.append(item)
        self._condition.notify_all()

    def _put_event(self, kind: str, camera: str = "", text: str = "", count: int = 0) -> None:
        now_ns = self._clock.epoch_ns(time.monotonic_ns())
        event = Event(now_ns, kind, camera, text, count)
        self._put(_Item(camera, Moment(now_ns, now_ns), now_ns, 0, encode_event(event)))

    # ---- on the recorder's thread ------------------------------------------------------------

    def _run(self, stop: threading.Event) -> None:
        try:
            self._record(stop)
            self._open_parts.close()
            self._end(RecorderState.STOPPED)
        finally:
            self._stop_taking()
            self._encoders.shutdown(wait=True, cancel_futures=True)

    def _end(self, state: RecorderState) -> None:
        with self._condition:
            self.state = state
            self._stopped_s = time.monotonic()
            self._queue.clear()
            self._queued_bytes = 0
        self._on_change()

    def _record(self, stop: threading.Event) -> None:
        next_flush_s = time.monotonic() + _FLUSH_S
        while not (stop.is_set() and not self._queue):
            item = self._take(stop, next_flush_s)
            if item is not None:
                self._write(item)
            if time.monotonic() >= next_flush_s:
                next_flush_s = time.monotonic() + _FLUSH_S
                if not self._each_second():
                    break
        self._stop_taking()
        self._note_losses()
        while self._queue:
            self._write(self._queue.popleft())

    def _stop_taking(self) -> None:
        with self._condition:
            self._accepts = False

    def _take(self, stop: threading.Event, until_s: float) -> _Item | None:
        with self._condition:
            while not self._queue and not stop.is_set():
                left_s = until_s - time.monotonic()
                if left_s <= 0:
                    return None
                self._condition.wait(left_s)
            return self._queue.popleft() if self._queue else None

    def _write(self, item: _Item) -> None:
        messages = item.messages if isinstance(item.messages, list) else item.messages.result()
        parts, moment = self._open_parts, item.moment
        if item.frame is not None:
            info = self._info(item.camera)
            parts.describe(item.camera, self._names[item.camera], moment, info, item.frame)
        if item.is_refined and not parts.holds(item.camera, moment):
            with self._condition:
                self._count_drop(item.camera, SPLIT)
        else:
            parts.write(item.camera, moment, item.publish_ns, item.sequence, messages)
        with self._condition:
            self._queued_bytes -= item.size
            self._frames += item.frame is not None
            self._refined += item.is_refined

    def _info(self, camera: str) -> CameraInfo | None:
        feeds = () if self._source is None else self._source.feeds
        return next((feed.info for feed in feeds if feed.name == camera), None)

    def _each_second(self) -> bool:
        """Flush, say what was lost, look at the disk; False when the recording must end."""
        self._note_losses()
        self._open_parts.flush()
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
            for (camera, cause), count in self._unsaid.items():
                self._put_event("drop", camera, f"not recorded: {cause}", count)
            self._unsaid.clear()
            for feed in () if self._source is None else self._source.feeds:
                for cause, total in feed.lost.items():
                    new = total - self._lost.get((feed.name, cause), 0)
                    self._lost[feed.name, cause] = total
                    if new > 0:
                        self._put_event("drop", feed.name, cause, new)

    def _fail(self, error: BaseException) -> None:
        """Keep what is written; the session goes on without us."""
        parts = self._open_parts
        self.error = as_recording_error(error, parts.path)
        log.warning("%s", self.error, exc_info=error)
        parts.abort()
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
