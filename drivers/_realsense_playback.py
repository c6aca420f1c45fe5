"""RealSense recordings: ``.bag`` and ``.db3`` files played through the SDK."""

from __future__ import annotations

from collections import deque
from pathlib import Path
from typing import Any

from drivers import _realsense_data as data
from drivers._pace import StampPacer
from drivers._realsense_camera import RealSenseCamera, sdk
from drivers._recording import check_rosbag, check_sqlite, existing_file, probe
from lingbot_live.camera import CameraInfo
from lingbot_live.config import CameraConfig
from lingbot_live.errors import BadRecordingError, EndOfStreamError
from lingbot_live.worker import Worker

SUFFIXES = (".bag", ".db3")
_POLL_MS = 20  # the end of a file shows only between two waits
_LAST_MS = 60
_MOST_PASSES = 3
_TOPIC = "/file_version"  # every librealsense recording has it


def is_ours(path: Path) -> bool:
    """Whether librealsense wrote this bag or SQLite file.

    Raises:
        BadRecordingError: it is damaged.
    """
    check = check_rosbag if path.suffix.lower() == ".bag" else check_sqlite
    return _TOPIC in check(path)


class RealSenseRecording(RealSenseCamera):
    """A recording, played at its own pace or, without ``realtime``, as fast as read.

    The SDK delivers every frame and the pace is ours: its own real time drops what a busy machine
    fetches late. It repeats by starting anew: the SDK's repeat gets stuck on short files, and pairs
    the last image of one pass with the first of the next.
    """

    def __init__(self, info: CameraInfo, config: CameraConfig) -> None:
        super().__init__(info, config)
        self._passes = 0
        self._seen = False
        self._early: deque[Any] = deque()  # frame sets fetched and not handed out yet
        self._pacer = StampPacer()

    def _cam_close(self) -> None:
        self._early.clear()
        super()._cam_close()

    def _cam_open(self) -> None:
        path = existing_file(self.info.target, "realsense", SUFFIXES)
        if not is_ours(path):
            raise BadRecordingError(f"{path}: not recorded by a RealSense; try another driver")
        self._rs = sdk()
        probe("realsense", path)
        self._passes, self._seen, self._pacer = 0, False, StampPacer()
        with data.explained(self._rs, self.info.address):
            self._play()

    def _play(self) -> None:
        """Start a pass through the file."""
        rs = self._rs
        config = rs.config()
        config.enable_device_from_file(self.info.target, repeat_playback=False)
        pipeline = rs.pipeline(rs.context())
        self._device = self._playback(config, pipeline)
        self._streams(config)
        self._device = self._playback(config, pipeline)
        self._device.set_real_time(False)
        # Paused until all is set up: a running start often loses the first frames.
        self._device.pause()
        profile = pipeline.start(config)
        self._pipeline = pipeline
        self._started(profile)
        self._accept_lone_pair()
        self._resume()
        self._passes += 1

    def _resume(self) -> None:
        """Let the paused player run, taking what it delivers meanwhile.

        Its resume waits for the player's thread, and that thread for a reader, up to 10 s.
        """
        device = self._device
        worker = Worker("realsense resume", lambda stop: device.resume())
        worker.start()
        while worker.is_alive:
            arrived, frames = self._pipeline.try_wait_for_frames(_POLL_MS)
            if arrived:
                self._seen = True
                self._early.append(frames)
        if worker.error is not None:
            raise worker.error

    def _playback(self, config: Any, pipeline: Any) -> Any:
        return config.resolve(self._rs.pipeline_wrapper(pipeline)).get_device().as_playback()

    def _accept_lone_pair(self) -> None:
        """In a recording of one pair, there is none that would match better."""
        if self._device.get_duration().total_seconds() * 1000 < 4 * self._most_skew_ms:
            self._most_skew_ms = float("inf")

    def _wait(self, timeout_ms: int) -> Any:
        frames = self._early.popleft() if self._early else self._next(timeout_ms)
        if frames is None or not self.config.realtime:
            return frames
        if self._pacer.wait(frames.get_timestamp() / 1000, timeout_ms / 1000):
            return frames
        self._early.appendleft(frames)
        return None

    def _next(self, timeout_ms: int) -> Any:
        arrived, frames = self._pipeline.try_wait_for_frames(min(timeout_ms, _POLL_MS))
        if not arrived and self._device.current_status() == self._rs.playback_status.stopped:
            # The file is read, but its last images may still be on their way.
            arrived, frames = self._pipeline.try_wait_for_frames(_LAST_MS)
            if not arrived:
                self._end_pass()
        self._seen |= arrived
        return frames if arrived else None

    def _end_pass(self) -> None:
        # A pass without any frame is a start that lost them all; it deserves another.
        if not self.config.loop and (self._seen or self._passes >= _MOST_PASSES):
            raise EndOfStreamError(f"{self.info.address}: the recording is over")
        self._pipeline.stop()
        self._play()
