"""Intel RealSense: live cameras and ``.bag`` / ``.db3`` recordings, through pyrealsense2.

``realsense:SERIAL``, ``realsense:MODEL`` (part of the name), ``realsense:auto`` or
``realsense:FILE``. Depth is aligned to colour by the SDK, which keeps the sensor's values.

What the SDK demands and this file obeys: list devices before starting a pipeline (a start without
a device holds the GIL for 15 s), wait in short steps, copy images and release them at once.
"""

from __future__ import annotations

import atexit
import logging
import threading
import time
from collections import deque
from dataclasses import replace
from pathlib import Path
from typing import Any

from drivers import _realsense_data as data
from drivers._profiles import choose
from drivers._recording import check_rosbag, check_sqlite, existing_file, probe
from drivers._sdk import import_sdk
from lingbot_live.camera import Camera, CameraInfo, Capture, Driver, StreamProfile
from lingbot_live.config import CameraConfig
from lingbot_live.errors import (
    BadRecordingError,
    CameraDisconnectedError,
    CameraNotFoundError,
    EndOfStreamError,
)
from lingbot_live.frame import Alignment, Calibration
from lingbot_live.worker import Worker

log = logging.getLogger(__name__)
sdk_log = logging.getLogger("lingbot_live.sdk.realsense")

_WAIT_MS = 100  # one wait of the SDK; a stop from another thread waits for it
_POLL_MS = 20  # the same for recordings, whose end shows only between two waits
_LAST_MS = 60
_MOST_PASSES = 3
_QUEUE = 2  # frame sets kept for a slow reader; the SDK stalls if 15 are held
_RECORDING_TOPIC = "/file_version"  # every librealsense recording has it


def sdk() -> Any:
    """Return pyrealsense2, its messages routed into our log.

    Raises:
        DriverUnavailableError: it cannot be imported.
    """
    rs = import_sdk("pyrealsense2", "realsense")
    with _log_lock:
        if not getattr(rs, "lingbot_live_log", False):
            # Asynchronous: a message logged under the SDK's lock must not wait for the GIL.
            rs.log_to_callback(rs.log_severity.warn, _route, True)
            atexit.register(rs.reset_logger)
            rs.lingbot_live_log = True
    return rs


_log_lock = threading.Lock()


def _route(severity: Any, message: str) -> None:
    # It warns at every start that its optional configuration file does not exist.
    harmless = "configuration file" in message
    sdk_log.log(logging.DEBUG if harmless else logging.WARNING, "%s", message.strip())


class RealSenseDriver(Driver):
    """Finds RealSense cameras. ``context`` may be set to one that holds virtual devices."""

    scheme = "realsense"
    title = "Intel RealSense"
    suffixes = (".bag", ".db3")

    def __init__(self, context: Any = None) -> None:
        self._context = context

    @property
    def context(self) -> Any:
        """The SDK's context, made on first use."""
        if self._context is None:
            self._context = sdk().context()
        return self._context

    @context.setter
    def context(self, context: Any) -> None:
        self._context = context

    def discover(self) -> list[CameraInfo]:
        """List attached cameras, without their profiles (asking for these opens the device)."""
        return [self._info(device) for device in self.devices()]

    def devices(self) -> list[Any]:
        """Return the SDK's handles of what is attached now."""
        rs = sdk()
        with data.explained(rs, "realsense"):
            return [d for d in self.context.query_devices() if _answers(rs, d)]

    def device(self, target: str) -> Any:
        """Return the handle of the camera with this serial number or (part of a) model name.

        Raises:
            CameraNotFoundError: nothing answers to it; says what is attached.
        """
        devices = self.devices()
        for device in devices:
            info = self._info(device)
            if target in (info.serial, "auto") or target.lower() in info.name.lower():
                return device
        there = ", ".join(f"{i.serial} ({i.name})" for i in map(self._info, devices))
        raise CameraNotFoundError(
            f"realsense:{target}: no such camera; "
            + (f"attached: {there}" if there else "none is attached. Check cable and USB port")
        )

    def find(self, target: str) -> CameraInfo:
        """Return the attached camera, with its profiles, or the recording."""
        if Path(target).suffix.lower() in self.suffixes or "/" in target or "\\" in target:
            path = existing_file(target, "realsense", self.suffixes)
            return CameraInfo(self.scheme, str(path), path.name, is_recording=True)
        device = self.device(target)
        with data.explained(sdk(), f"realsense:{target}"):
            return replace(self._info(device), profiles=data.profiles(sdk(), device))

    def create(self, info: CameraInfo, config: CameraConfig) -> Camera:
        """Return the camera or recording, not yet open."""
        return RealSenseRecording(info, config) if info.is_recording else LiveRealSense(
            info, config, self
        )  # fmt: skip

    def plays(self, path: Path) -> bool:
        """Whether this is a recording of librealsense (other makes write bags, too)."""
        if not super().plays(path) or not path.is_file():
            return False
        if path.suffix.lower() == ".db3":
            return True
        try:
            return _RECORDING_TOPIC in check_rosbag(path)
        except BadRecordingError:
            return True  # damaged: opening it says how

    def _info(self, device: Any) -> CameraInfo:
        return data.camera_info(sdk(), device, self.scheme)


class RealSenseCamera(Camera):
    """What live cameras and recordings share: streams in, aligned and checked pairs out."""

    def __init__(self, info: CameraInfo, config: CameraConfig) -> None:
        super().__init__(info, config)
        self._rs: Any = None
        self._device: Any = None
        self._pipeline: Any = None
        self._align: Any = None
        self._calibration: Calibration | None = None
        self._most_skew_ms = 0.0

    def _streams(self, config: Any) -> tuple[StreamProfile, StreamProfile]:
        """Choose both profiles of the device and enable them in the SDK's ``config``."""
        rs = self._rs
        offered = data.profiles(rs, self._device)
        pair = choose(
            self.info.address, offered, self.config, depth_size=data.best_depth(self.info.name)
        )
        for stream, profile in zip((rs.stream.color, rs.stream.depth), pair, strict=True):
            form = getattr(rs.format, profile.format)
            config.enable_stream(stream, -1, profile.width, profile.height, form, int(profile.fps))
        self._most_skew_ms = 500.0 / pair[0].fps
        return pair

    def _started(self, profile: Any) -> None:
        """Take over what the running pipeline tells of itself."""
        self._align = self._rs.align(self._rs.stream.color)
        self._calibration = data.calibration(self._rs, profile)
        self.info = replace(
            data.camera_info(self._rs, self._device, self.info.driver),
            target=self.info.target,
            is_recording=self.info.is_recording,
            profiles=self.info.profiles,
        )

    def _capture(self, frames: Any) -> Capture | None:
        """Return an aligned copy of a frame set, or None (counted) if it is no true pair."""
        arrival_ns = time.monotonic_ns()
        color, depth = frames.get_color_frame(), frames.get_depth_frame()
        if not color or not depth:
            self.missed["unpaired"] += 1
            return None
        if self._is_mispaired(color, depth):
            self.missed["mispaired"] += 1
            return None
        number, stamp_us = depth.get_frame_number(), round(depth.get_timestamp() * 1000)
        units_m = depth.get_units()
        aligned = self._align.process(frames).get_depth_frame()
        assert self._calibration is not None
        return Capture(
            color=data.to_rgb(color, self.info.address),
            depth_raw=data.to_depth(aligned),
            depth_scale_m=units_m,
            calibration=self._calibration,
            arrival_ns=arrival_ns,
            device_timestamp_us=stamp_us,
            device_index=number,
            alignment=Alignment.SDK,
        )

    def _is_mispaired(self, color: Any, depth: Any) -> bool:
        same_clock = color.get_frame_timestamp_domain() == depth.get_frame_timestamp_domain()
        skew_ms = abs(color.get_timestamp() - depth.get_timestamp())
        return bool(same_clock and skew_ms > self._most_skew_ms)

    def _cam_read(self, timeout_s: float) -> Capture | None:
        deadline = time.monotonic() + timeout_s
        while True:
            left_ms = max(0, round((deadline - time.monotonic()) * 1000))
            with data.explained(self._rs, self.info.address):
                frames = self._wait(min(left_ms, _WAIT_MS))
                capture = self._capture(frames) if frames is not None else None
            if capture is not None or time.monotonic() >= deadline:
                return capture

    def _wait(self, timeout_ms: int) -> Any:
        """Return a frame set, or None after ``timeout_ms``; raise if there will be none."""
        raise NotImplementedError

    def _cam_close(self) -> None:
        pipeline, self._pipeline = self._pipeline, None
        if pipeline is not None:
            try:
                pipeline.stop()
            except RuntimeError as error:
                log.debug("%s: stop: %s", self.info.address, error)
        self._device = self._align = self._calibration = None


class LiveRealSense(RealSenseCamera):
    """An attached camera.

    The pipeline delivers into a queue instead of being asked for frames: asked, it would try for
    15 s to bring a vanished camera back.
    """

    def __init__(self, info: CameraInfo, config: CameraConfig, driver: RealSenseDriver) -> None:
        super().__init__(info, config)
        self._driver = driver
        self._queue: Any = None

    def _cam_open(self) -> None:
        rs = self._rs = sdk()
        self._device = self._driver.device(self.info.serial or self.info.target)
        with data.explained(rs, self.info.address):
            config = rs.config()
            self._streams(config)
            self._queue = rs.frame_queue(_QUEUE)
            pipeline = rs.pipeline(self._driver.context)
            pipeline.set_device(self._device)
            profile = pipeline.start(config, self._queue)
            self._pipeline = pipeline
            self._started(profile)
        usb = self.info.details.get("usb", "")
        if usb.startswith(("1", "2")):
            log.warning("%s: on USB %s; a USB 3 port gives more", self.info.address, usb)

    def _wait(self, timeout_ms: int) -> Any:
        arrived, frame = self._queue.try_wait_for_frame(timeout_ms)
        if arrived:
            return frame.as_frameset()
        if timeout_ms and not self._is_attached():
            raise CameraDisconnectedError(
                f"{self.info.address}: the camera was unplugged; plug it in again"
            )
        return None

    def _is_attached(self) -> bool:
        """Whether the camera is still listed; asked only when no frame came."""
        return any(i.serial == self.info.serial for i in self._driver.discover())

    def _cam_close(self) -> None:
        super()._cam_close()
        self._queue = None


class RealSenseRecording(RealSenseCamera):
    """A recording, played by the SDK at its own pace or, without ``realtime``, as fast as read.

    It repeats by starting anew: the SDK's own repeat gets stuck on short files, and pairs the last
    image of one pass with the first of the next.
    """

    def __init__(self, info: CameraInfo, config: CameraConfig) -> None:
        super().__init__(info, config)
        self._passes = 0
        self._seen = False
        self._early: deque[Any] = deque()

    def _cam_close(self) -> None:
        self._early.clear()
        super()._cam_close()

    def _cam_open(self) -> None:
        path = existing_file(self.info.target, "realsense", RealSenseDriver.suffixes)
        self._check(path)
        self._rs = sdk()
        probe("realsense", path)
        self._passes, self._seen = 0, False
        with data.explained(self._rs, self.info.address):
            self._play()

    @staticmethod
    def _check(path: Path) -> None:
        check = check_rosbag if path.suffix.lower() == ".bag" else check_sqlite
        if _RECORDING_TOPIC not in check(path):
            raise BadRecordingError(f"{path}: not recorded by a RealSense; try another driver")

    def _play(self) -> None:
        """Start a pass through the file."""
        rs = self._rs
        config = rs.config()
        config.enable_device_from_file(self.info.target, repeat_playback=False)
        pipeline = rs.pipeline(rs.context())
        self._device = self._playback(config, pipeline)
        self._streams(config)
        self._device = self._playback(config, pipeline)
        self._device.set_real_time(self.config.realtime)
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
        if self._early:
            self._seen = True
            return self._early.popleft()
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


def _answers(rs: Any, device: Any) -> bool:
    try:
        return bool(device.supports(rs.camera_info.serial_number))
    except RuntimeError as error:
        log.debug("a device left while it was listed: %s", error)
        return False
