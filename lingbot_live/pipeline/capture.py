"""One camera, read in a thread of its own, for as long as its owner wants."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from lingbot_live.cameras.base import Camera, CameraState
from lingbot_live.cameras.playtime import LONG_GAP_S
from lingbot_live.config import SessionConfig
from lingbot_live.errors import (
    BadFrameError,
    CameraBusyError,
    CameraDisconnectedError,
    CameraNotFoundError,
    CameraTimeoutError,
    EndOfStreamError,
)
from lingbot_live.frame import Frame
from lingbot_live.pipeline.stats import FeedStats
from lingbot_live.system.cores import take_any_core
from lingbot_live.system.worker import Worker

log = logging.getLogger(__name__)

_MOST_FAULTS = 20  # of frames, told in the log


@dataclass(slots=True)
class _Call:
    """A call of a driver, while it is under way."""

    error: CameraTimeoutError  # what is wrong if it does not return
    most_s: float
    begun_s: float = field(default_factory=time.monotonic)

    @property
    def hangs(self) -> bool:
        return time.monotonic() - self.begun_s > self.most_s


class CaptureWorker:
    """Opens a camera, hands every Frame to ``on_frame``, and opens it again when it vanished.

    ``on_frame`` and ``on_change`` run on this worker's thread and must not wait.
    """

    def __init__(
        self,
        name: str,
        create: Callable[[], Camera],
        on_frame: Callable[[Frame], None],
        stats: FeedStats,
        config: SessionConfig,
        on_change: Callable[[], None] = lambda: None,
        max_frames: int | None = None,
    ) -> None:
        self.name = name
        self._state = CameraState.CLOSED
        self._error: BaseException | None = None
        self._call: _Call | None = None
        self.camera: Camera | None = None
        self.tries = 0  # to open it again since it vanished
        self._create = create
        self._on_frame = on_frame
        self._stats = stats
        self._config = config
        self._on_change = on_change
        self._max_frames = max_frames
        self._last_frame_s = 0.0
        self._told: set[str] = set()
        self._worker = Worker(f"capture {name}", self._run, self._fail)

    def start(self) -> None:
        """Start the thread; the camera opens there."""
        self._enter(CameraState.OPENING)
        self._worker.start()

    def request_stop(self) -> None:
        """Ask the thread to end; does not wait."""
        self._worker.request_stop()

    def join(self, timeout_s: float) -> bool:
        """Wait for the end; False if the camera's SDK did not let go in time, and so hangs."""
        ended = self._worker.join(0.0 if self._hangs else timeout_s)
        call = self._call
        if ended and self._state not in (CameraState.ENDED, CameraState.FAILED):
            self._enter(CameraState.CLOSED)
        elif not ended and call is not None:
            call.most_s = 0.0
        return ended

    @property
    def is_done(self) -> bool:
        """Whether no more frames will come."""
        return not self._worker.is_alive

    @property
    def is_over(self) -> bool:
        """The same, and where the driver hangs, for then none are hoped for."""
        return self.is_done or self._hangs

    @property
    def state(self) -> CameraState:
        """Where the camera stands; HANGING for as long as its driver does not return."""
        return CameraState.HANGING if self._hangs else self._state

    @property
    def _hangs(self) -> bool:
        call = self._call
        return call is not None and call.hangs

    @property
    def error(self) -> BaseException | None:
        """Why it is not streaming, if it is not."""
        call = self._call
        return call.error if call is not None and call.hangs else self._error

    # ---- on the worker's thread --------------------------------------------------------------

    def _run(self, stop: threading.Event) -> None:
        take_any_core()  # capture comes before all else
        with self._calling("open", self._config.hang_open_s):
            self.camera = camera = self._create()
        self._stats.missed = camera.missed
        try:
            with self._calling("open", self._config.hang_open_s):
                camera.open()
            while not stop.is_set():
                try:
                    self._stream(camera, stop)
                    return
                except CameraDisconnectedError as error:
                    log.warning("%s", error)
                    self._error = error
                    self.tries = 0
                    self._enter(CameraState.RECONNECTING)
                    self._reopen(camera, stop)
        finally:
            with self._calling("close", self._config.hang_read_s):
                camera.close()

    @contextmanager
    def _calling(self, what: str, most_s: float) -> Iterator[None]:
        """Note that the driver is asked for something, so that others can tell if it hangs."""
        text = f"its driver does not return from {what}; check its cable and what else uses it"
        self._call = _Call(CameraTimeoutError(f"{self.name}: {text}"), most_s)
        try:
            yield
        finally:
            self._call = None

    def _stream(self, camera: Camera, stop: threading.Event) -> None:
        self._error = None
        self._last_frame_s = time.monotonic()
        self._enter(CameraState.STREAMING)
        while not stop.is_set():
            try:
                with self._calling("read", self._config.hang_read_s):
                    frame = camera.read(self._config.read_timeout_s)
            except CameraTimeoutError:
                self._note_silence()
                continue
            except BadFrameError as error:
                self._tell_once(str(error))
                self._note_silence()
                continue
            except EndOfStreamError:
                self._enter(CameraState.ENDED)
                return
            self._deliver(frame)
            if self._max_frames is not None and self._stats.captured >= self._max_frames:
                self._enter(CameraState.ENDED)
                return

    def _deliver(self, frame: Frame) -> None:
        self._stats.count_captured(frame.out_of_range)
        self._stats.add_stage("camera", time.monotonic_ns() - frame.timestamp_ns)
        self._last_frame_s = time.monotonic()
        if self._state is not CameraState.STREAMING:
            self._error = None
            self._enter(CameraState.STREAMING)
        self._on_frame(frame)

    def _tell_once(self, fault: str) -> None:
        """Log what is wrong with a frame, not again in every loop; the count tells the rest."""
        is_new = fault not in self._told and len(self._told) < _MOST_FAULTS
        log.log(logging.WARNING if is_new else logging.DEBUG, "%s", fault)
        if is_new:
            self._told.add(fault)

    def _note_silence(self) -> None:
        silent_s = time.monotonic() - self._last_frame_s
        playback = self.camera.playback if self.camera is not None else None
        most_s, what = self._config.stall_after_s, "check its cable and what else uses it"
        if playback is not None:  # nothing is plugged in, and gaps were recorded
            most_s += LONG_GAP_S / playback.speed
            what = "the recording may be damaged here: seek beyond it"
        if silent_s > most_s and self._state is CameraState.STREAMING:
            text = f"{self.name}: no frame for {silent_s:.0f} s; {what}"
            self._error = CameraTimeoutError(text)
            self._enter(CameraState.STALLED)

    def _reopen(self, camera: Camera, stop: threading.Event) -> None:
        pause_s = self._config.reconnect_first_s
        while not stop.wait(pause_s):
            self.tries += 1
            try:
                with self._calling("open again", self._config.hang_open_s):
                    camera.close()
                    camera.open()
            except (CameraNotFoundError, CameraDisconnectedError, CameraBusyError) as error:
                most = self._config.reconnect_tries
                if most is not None and self.tries >= most:
                    raise
                self._error = error
                pause_s = min(pause_s * 2, self._config.reconnect_most_s)
                self._on_change()
            else:
                self._stats.reconnects += 1
                return

    def _fail(self, error: BaseException) -> None:
        self._error = error
        self._enter(CameraState.FAILED)

    def _enter(self, state: CameraState) -> None:
        self._state = state
        self._on_change()
