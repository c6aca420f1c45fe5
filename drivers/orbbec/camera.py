"""What live Orbbec cameras and recordings share: registered and checked pairs of frame sets."""

from __future__ import annotations

import logging
import time
from dataclasses import replace
from typing import Any

from drivers.common.pixels import FORMATS, prepare, to_rgb
from drivers.common.sdk_log import RoutedCamera
from drivers.orbbec import controls, data
from drivers.orbbec.sdk import SDK_LOG
from lingbot_live.cameras.base import CameraInfo, Capture
from lingbot_live.cameras.controls import Control, ControlValue
from lingbot_live.config import CameraConfig
from lingbot_live.errors import BadRecordingError, CameraError, ConfigError
from lingbot_live.frame import Alignment, Calibration
from lingbot_live.registration import LiveRegistration

log = logging.getLogger(__name__)

WAIT_MS = 100  # one wait of the SDK; a stop from another thread waits for it


class OrbbecCamera(RoutedCamera):
    """What live cameras and recordings share: frame sets in, registered and checked pairs out."""

    _sdk_log = SDK_LOG

    def __init__(self, info: CameraInfo, config: CameraConfig) -> None:
        super().__init__(info, config)
        self._ob: Any = None
        self._device: Any = None
        self._pipeline: Any = None
        self._calibration: Calibration | None = None
        self._registration: LiveRegistration | None = None
        self._most_skew_us = 0.0

    def _identify(self) -> None:
        """Take over what the opened device tells of itself."""
        prepare()
        told = self._device.get_device_info()
        self.info = replace(
            self.info,
            name=told.get_name().removesuffix("(Playback)"),
            serial=told.get_serial_number(),
            details=data.device_details(told),
        )

    def _calibrate(self, color: Any, depth: Any) -> Calibration:
        """Return the calibration of the running streams; it is known with the first frames."""
        if self._calibration is None:
            kind = BadRecordingError if self.info.is_recording else CameraError
            profiles = [f.get_stream_profile().as_video_stream_profile() for f in (color, depth)]
            try:
                found = data.calibration(*profiles)
            except (ValueError, ConfigError) as error:
                raise kind(
                    f"{self.info.address}: it holds no usable calibration ({error}); "
                    "update the firmware and record it again"
                ) from error
            self._most_skew_us = 500_000 / max(profiles[0].get_fps(), 1)
            self._calibration = found
            self._registration = _registration(found)
        return self._calibration

    def _capture(self, frames: Any) -> Capture | None:
        """Return an aligned copy of a frame set, or None (counted) if it is no true pair."""
        arrival_ns = time.monotonic_ns()
        color, depth = frames.get_color_frame(), frames.get_depth_frame()
        if color is None or depth is None:
            self._skip("incomplete", (color or depth).get_index())
            return None
        calibration = self._calibrate(color, depth)
        number, stamp_us = depth.get_index(), depth.get_timestamp_us()
        if abs(color.get_timestamp_us() - stamp_us) > self._most_skew_us:
            self._skip("mispaired", number)
            return None
        raw, rgb = data.to_depth(depth), self._rgb(color)
        if raw is None or rgb is None:
            self._skip("damaged", number)
            return None
        scale_m = float(depth.get_depth_scale()) / 1000  # the SDK tells millimetres
        register = self._registration
        extras = data.extras(self._ob, frames, raw) if self.config.extras else {}
        return Capture(
            color=rgb,
            depth_raw=raw if register is None else register(raw, scale_m),
            depth_scale_m=scale_m,
            calibration=calibration,
            arrival_ns=arrival_ns,
            device_timestamp_us=stamp_us,
            device_index=number,
            alignment=Alignment.NONE if register is None else Alignment.OWN,
            extras=extras,
        )

    def _rgb(self, color: Any) -> Any:
        form = color.get_format().name
        if form not in FORMATS:
            raise CameraError(f"{self.info.address}: colour format {form} is not known; use MJPG")
        return to_rgb(color.get_data(), form, color.get_width(), color.get_height())

    def _skip(self, cause: str, number: int) -> None:
        """Count a frame set once, under its own cause and not as a gap."""
        self.missed[cause] += 1
        self._count_gap(number)

    def _cam_controls(self) -> list[Control]:
        with data.explained(self._ob, self.info.address):
            return controls.controls(self._ob, self._device)

    def _cam_set_control(self, name: str, value: ControlValue) -> None:
        controls.set_control(self._ob, self._device, name, value, self.info.address)

    def _cam_close(self) -> None:
        pipeline, self._pipeline = self._pipeline, None
        self._device = self._calibration = self._registration = None
        if pipeline is not None:
            try:
                pipeline.stop()
            except (self._ob.OBError, RuntimeError) as error:
                log.debug("%s: stop: %s", self.info.address, error)


def _registration(found: Calibration) -> LiveRegistration | None:
    """Return what moves depth onto colour, None where it lies there already."""
    own, T_color_depth = found.before_alignment
    if own == found.color and T_color_depth.is_identity:
        return None
    return LiveRegistration(own, found.color, T_color_depth, keep_values=True)
