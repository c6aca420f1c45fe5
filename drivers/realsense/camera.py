"""What live RealSense cameras and recordings share: the SDK, and true pairs out of its frames."""

from __future__ import annotations

import atexit
import logging
import threading
import time
from dataclasses import replace
from typing import Any

from drivers.common.profiles import choose
from drivers.common.sdk import import_sdk
from drivers.realsense import controls, data
from lingbot_live.cameras.base import Camera, CameraInfo, Capture, StreamProfile
from lingbot_live.cameras.controls import Control, ControlValue
from lingbot_live.config import CameraConfig
from lingbot_live.frame import Alignment, Calibration
from lingbot_live.system.held import Held

log = logging.getLogger(__name__)
sdk_log = logging.getLogger("lingbot_live.sdk.realsense")

_WAIT_MS = 100  # one wait of the SDK; a stop from another thread waits for it
_log_lock = threading.Lock()


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


def _route(severity: Any, message: str) -> None:
    # It warns at every start that its optional configuration file does not exist.
    harmless = "configuration file" in message
    sdk_log.log(logging.DEBUG if harmless else logging.WARNING, "%s", message.strip())


class RealSenseCamera(Camera):
    """What live cameras and recordings share: streams in, aligned and checked pairs out."""

    _calibration = Held[Calibration]()

    def __init__(self, info: CameraInfo, config: CameraConfig) -> None:
        super().__init__(info, config)
        self._rs: Any = None
        self._device: Any = None
        self._pipeline: Any = None
        self._align: Any = None
        self._motion: data.Motion | None = None
        self._most_skew_ms = 0.0
        self._infrared: dict[int, Any] = {}  # by the SDK's index, where wanted

    def _streams(self, config: Any) -> tuple[StreamProfile, StreamProfile]:
        """Choose both profiles of the device and enable them in the SDK's ``config``."""
        rs = self._rs
        offered = data.profiles(rs, self._device)
        self.info = replace(self.info, profiles=offered)
        pair = choose(
            self.info.address, offered, self.config, depth_size=data.best_depth(self.info.name)
        )
        for stream, profile in zip((rs.stream.color, rs.stream.depth), pair, strict=True):
            form = getattr(rs.format, profile.format)
            config.enable_stream(stream, -1, profile.width, profile.height, form, int(profile.fps))
        if self.config.extras:
            self._infrared = data.infrared(rs, self._device, pair[1])
            for at, v in self._infrared.items():
                config.enable_stream(
                    rs.stream.infrared, at, v.width(), v.height(), v.format(), v.fps()
                )
        self._most_skew_ms = 500.0 / pair[0].fps
        return pair

    def _started(self, profile: Any) -> None:
        """Take over what the running pipeline tells of itself."""
        self._align = self._rs.align(self._rs.stream.color)
        self._calibration = data.calibration(self._rs, profile)
        self._motion = data.start_motion(self._rs, profile.get_device(), self.info.address)
        self.info = replace(
            data.camera_info(self._rs, self._device, self.info.driver),
            target=self.info.target,
            is_recording=self.info.is_recording,
            profiles=self.info.profiles,
        )

    def _capture(self, frames: Any) -> Capture | None:
        """Return an aligned copy of a frame set, or None (counted) if it is no true pair."""
        arrival_ns = time.monotonic_ns()
        if self._motion is not None:
            self._imu.extend(self._motion.readings())
        color, depth = frames.get_color_frame(), frames.get_depth_frame()
        if not color or not depth:
            self.missed["unpaired"] += 1
            return None
        if self._is_mispaired(color, depth):
            self.missed["mispaired"] += 1
            return None
        number, stamp_us = depth.get_frame_number(), round(depth.get_timestamp() * 1000)
        units_m = depth.get_units()
        extras = data.extras(frames, depth, self._infrared) if self.config.extras else {}
        aligned = self._align.process(frames).get_depth_frame()
        return Capture(
            color=data.to_rgb(color, self.info.address),
            depth_raw=data.to_depth(aligned),
            depth_scale_m=units_m,
            calibration=self._calibration,
            arrival_ns=arrival_ns,
            device_timestamp_us=stamp_us,
            device_index=number,
            alignment=Alignment.SDK,
            extras=extras,
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

    def _cam_controls(self) -> list[Control]:
        with data.explained(self._rs, self.info.address):
            return controls.controls(self._rs, self._device)

    def _cam_set_control(self, name: str, value: ControlValue) -> None:
        controls.set_control(self._rs, self._device, name, value, self.info)

    def _wait(self, timeout_ms: int) -> Any:
        """Return a frame set, or None after ``timeout_ms``; raise if there will be none."""
        raise NotImplementedError

    def _stop(self) -> None:
        """End what `_started` took over; it may start again."""
        motion, self._motion = self._motion, None
        if motion is not None:
            motion.stop()
        pipeline, self._pipeline = self._pipeline, None
        if pipeline is not None:
            try:
                pipeline.stop()
            except RuntimeError as error:
                log.debug("%s: stop: %s", self.info.address, error)

    def _cam_close(self) -> None:
        self._stop()
        self._device = self._align = self._calibration = None
