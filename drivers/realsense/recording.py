"""RealSense recordings: ``.bag`` and ``.db3`` files played through the SDK."""

from __future__ import annotations

import logging
import time
from collections import Counter, deque
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

from drivers.common.recording import check_sqlite, existing_file, is_sound, probe, sqlite_counts
from drivers.realsense import data
from drivers.realsense.camera import RealSenseCamera, sdk
from lingbot_live.cameras.base import CameraInfo, Capture
from lingbot_live.cameras.pace import Pace
from lingbot_live.config import CameraConfig
from lingbot_live.errors import BadRecordingError, EndOfStreamError
from lingbot_live.recording.bags.rosbag1 import Bag
from lingbot_live.system.held import Held
from lingbot_live.system.worker import Worker

log = logging.getLogger(__name__)

SUFFIXES = (".bag", ".db3")
_POLL_MS = 20  # one wait of the SDK; the end of a file shows only between two
_LAST_MS = 60
_MOST_PASSES = 3
_FIRST_S = 5.0
_EARLY_FRAMES = 3
_MOST_STALE = 6  # frame sets around a seek
_STREAMS = (("/Color_", "color"), ("/Depth_", "depth"), ("/Accel_", "imu"), ("/Gyro_", "imu"))
_TOPIC = "/file_version"  # every librealsense recording has it


def is_ours(path: Path) -> bool:
    """Whether librealsense wrote this bag or SQLite file.

    Raises:
        BadRecordingError: it is damaged.
    """
    is_bag = path.suffix.lower() == ".bag"
    return _TOPIC in (Bag(path).topics if is_bag else check_sqlite(path))


def data_counts(path: Path) -> dict[str, int]:
    """Return how many images a recording holds by stream, from its index.

    Raises:
        BadRecordingError: it is damaged.
    """
    if path.suffix.lower() == ".bag":
        counts = Bag(path).counts()
    else:
        check_sqlite(path)
        counts = sqlite_counts(path)
    totals: Counter[str] = Counter()
    for topic, found in counts.items():
        for word, stream in _STREAMS:
            if word in topic and "/data" in topic:
                totals[stream] += found
    return dict(totals)


class RealSenseRecording(RealSenseCamera):
    """A recording. The SDK hands over every frame; `Pace` decides when it is shown.

    It repeats by starting anew: the SDK's own repeat gets stuck on short files, and pairs the last
    image of one pass with the first of the next.
    """

    _pace = Held[Pace[Any]]()

    def __init__(self, info: CameraInfo, config: CameraConfig) -> None:
        super().__init__(info, config)
        self._passes = 0
        self._seen = False
        self._first_ms: float | None = None
        self._stale = 0
        self._period_s = 0.0
        self._early: deque[Any] = deque()

    def _cam_open(self) -> None:
        path = existing_file(self.info.target, "realsense", SUFFIXES)
        if not is_ours(path):
            raise BadRecordingError(f"{path}: not recorded by a RealSense; try another driver")
        if path.suffix.lower() == ".bag" and not is_sound("realsense", path):
            Bag(path).check_packing()
        self._rs = sdk()
        probe("realsense", path)
        self._passes, self._seen, self._first_ms = 0, False, None
        with data.explained(self._rs, self.info.address):
            self._start()
            duration_s = self._device.get_duration().total_seconds()
        self.playback = self._pace = Pace(self, self, duration_s, self._period_s)

    def _cam_read(self, timeout_s: float) -> Capture | None:
        return self._pace.read(timeout_s)

    def _cam_close(self) -> None:
        self.playback = self._pace = None
        self._early.clear()
        super()._cam_close()

    # ---- what the pace asks for ----------------------------------------------------------------

    def play_fetch(self, timeout_s: float) -> tuple[float, Any] | None:
        """Return the next frame set and its time."""
        with data.explained(self._rs, self.info.address):
            frames = self._wait(round(timeout_s * 1000))
        if frames is None or self._is_stale(frames):
            return None
        return (_stamp_ms(frames) - self._zero_ms(frames)) / 1000, frames

    def play_show(self, item: Any) -> Capture | None:
        """Align and copy a frame set."""
        with data.explained(self._rs, self.info.address):
            return self._capture(item)

    def play_seek(self, position_s: float) -> None:
        """Go on at a time, from a new start if the file is at its end or is to begin again."""
        with data.explained(self._rs, self.info.address):
            self._find_zero()
            for _ in range(_MOST_PASSES):
                if position_s <= 0 or self._is_over():
                    self._stop()
                    self._start()
                if position_s <= 0 or self._jump(position_s):
                    return

    def _zero_ms(self, frames: Any) -> float:
        """Return the stamp of the first frame set; ``frames`` if none was read before it."""
        if self._first_ms is None:
            self._first_ms = _stamp_ms(frames)
        return self._first_ms

    def _find_zero(self) -> None:
        """Read the first frame set, since only stamps tell where another one stands."""
        deadline_s = time.monotonic() + _FIRST_S
        while self._first_ms is None and time.monotonic() < deadline_s:
            frames = self._wait(_POLL_MS)
            if frames is not None:
                self._zero_ms(frames)

    # ---- the SDK -------------------------------------------------------------------------------

    def _start(self) -> None:
        """Start a pass through the file."""
        rs = self._rs
        config = rs.config()
        config.enable_device_from_file(self.info.target, repeat_playback=False)
        pipeline = rs.pipeline(rs.context())
        self._device = self._resolved(config, pipeline)
        color, _ = self._streams(config)
        self._period_s = 1 / color.fps
        self._device = self._resolved(config, pipeline)
        self._device.set_real_time(False)
        # Paused until all is set up: a running start often loses the first frames.
        self._device.pause()
        profile = pipeline.start(config)
        self._pipeline = pipeline
        self._started(profile)
        self._accept_lone_pair()
        self._early.clear()
        self._while_reading(self._device.resume)
        self._stale = 0
        self._passes += 1

    def _stop(self) -> None:
        """End a pass, with its player halted: running, it may read into what is gone and crash."""
        if self._pipeline is not None:
            try:
                self._while_reading(self._device.pause)
            except RuntimeError as error:
                log.debug("%s: pause: %s", self.info.address, error)
        self._early.clear()  # frames do not outlive what they came from
        super()._stop()

    def _jump(self, position_s: float) -> bool:
        """Go on at a time of the file, leaving out what the SDK has read before.

        False if it came to the file's end meanwhile, from where it does not seek.
        """
        device = self._device
        self._while_reading(device.pause)
        while self._pipeline.try_wait_for_frames(_POLL_MS)[0]:
            pass
        self._early.clear()
        self._imu.clear()
        # Early, since colour and depth of a pair lie apart in the file; `Pace` leaves out the rest.
        early_s = max(0.0, position_s - _EARLY_FRAMES * self._period_s)
        self._while_reading(lambda: device.seek(timedelta(seconds=early_s)))
        is_over = self._is_over()
        self._while_reading(device.resume)
        self._stale = _MOST_STALE
        return not is_over

    def _while_reading(self, call: Callable[[], None]) -> None:
        """Call into the player, taking what it delivers meanwhile.

        The call waits for the player's thread, and that thread for a reader, up to 10 s.
        """
        worker = Worker("realsense player", lambda stop: call())
        worker.start()
        while worker.is_alive:
            arrived, frames = self._pipeline.try_wait_for_frames(_POLL_MS)
            if arrived:
                self._seen = True
                self._early.append(frames)
        if worker.error is not None:
            raise worker.error

    def _resolved(self, config: Any, pipeline: Any) -> Any:
        return config.resolve(self._rs.pipeline_wrapper(pipeline)).get_device().as_playback()

    def _accept_lone_pair(self) -> None:
        """In a recording of one pair, there is none that would match better."""
        if self._device.get_duration().total_seconds() * 1000 < 4 * self._most_skew_ms:
            self._most_skew_ms = float("inf")

    def _is_over(self) -> bool:
        return bool(self._device.current_status() == self._rs.playback_status.stopped)

    def _is_stale(self, frames: Any) -> bool:
        """Whether one image is still from before a seek: the SDK pairs what it has last."""
        if not self._stale:
            return False
        self._stale -= 1
        color, depth = frames.get_color_frame(), frames.get_depth_frame()
        if not color or not depth or self._is_mispaired(color, depth):
            return True
        self._stale = 0
        return False

    def _wait(self, timeout_ms: int) -> Any:
        if self._early:
            return self._early.popleft()
        arrived, frames = self._pipeline.try_wait_for_frames(min(timeout_ms, _POLL_MS))
        if not arrived and self._is_over():
            # The file is read, but its last images may still be on their way.
            arrived, frames = self._pipeline.try_wait_for_frames(_LAST_MS)
            if not arrived:
                self._end_pass()
        self._seen |= arrived
        return frames if arrived else None

    def _end_pass(self) -> None:
        # A pass without any frame is a start that lost them all; it deserves another.
        if self._seen or self._passes >= _MOST_PASSES:
            raise EndOfStreamError(f"{self.info.address}: the recording is over")
        self._stop()
        self._start()


def _stamp_ms(frames: Any) -> float:
    return float((frames.get_depth_frame() or frames.get_color_frame() or frames).get_timestamp())
