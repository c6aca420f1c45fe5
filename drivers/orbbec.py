"""Orbbec Gemini and Femto: live cameras and ``.bag`` recordings, through pyorbbecsdk (SDK v2).

``orbbec:SERIAL``, ``orbbec:auto``, ``orbbec:IP`` or ``orbbec:FILE.bag``. Depth goes to colour by
our own registration, which keeps the sensor's values and, unlike the SDK's, leaves the GIL free.

What the SDK demands and this file obeys: never search the network while listing (2 s with the GIL
held), look at files before it does (it crashes or hangs on damaged ones), wait in short steps.
"""

from __future__ import annotations

import ipaddress
import logging
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

from drivers import _orbbec_data as data
from drivers._orbbec_sdk import context, sdk
from drivers._pixels import FORMATS, prepare, to_rgb
from drivers._profiles import choose
from drivers._recording import existing_file, probe
from lingbot_live.camera import Camera, CameraInfo, Capture, Driver
from lingbot_live.config import CameraConfig
from lingbot_live.errors import (
    BadRecordingError,
    CameraDisconnectedError,
    CameraError,
    CameraNotFoundError,
    ConfigError,
    EndOfStreamError,
)
from lingbot_live.frame import Alignment, Calibration
from lingbot_live.registration import Registration

log = logging.getLogger(__name__)

_WAIT_MS = 100  # one wait of the SDK; a stop from another thread waits for it
_PAIRING_MS = 50  # how long the last frames of a recording may still be on their way
_PERIOD_MS = 33  # between the last frame and the first of the next round
_NET_PORT = 8090  # of Orbbec's network cameras
_SILENT_S = 3.0  # a network camera is gone if it sends nothing for so long
_EVERY_FRAME_RATE = 4.0  # of playback where frames are waited for, not dropped


class OrbbecDriver(Driver):
    """Finds Orbbec cameras on USB and plays their recordings."""

    scheme = "orbbec"
    title = "Orbbec Gemini and Femto"
    suffixes = (".bag",)

    def discover(self) -> list[CameraInfo]:
        """List cameras on USB; those on the network are named by address."""
        with data.explained(sdk(), "orbbec"):
            return data.listed(context().query_devices(), self.scheme)

    def find(self, target: str) -> CameraInfo:
        """Return the camera with this serial, the first one, a network address, or a recording."""
        if Path(target).suffix.lower() in self.suffixes or "/" in target or "\\" in target:
            path = existing_file(target, "orbbec", self.suffixes)
            return CameraInfo(self.scheme, str(path), path.name, is_recording=True)
        if _is_address(target):
            sdk()
            return CameraInfo(self.scheme, target, f"Orbbec camera at {target}")
        cameras = self.discover()
        for info in cameras:
            if target in (info.serial, "auto") or target.lower() in info.name.lower():
                return info
        there = ", ".join(f"{i.serial} ({i.name})" for i in cameras)
        raise CameraNotFoundError(
            f"orbbec:{target}: no such camera; "
            + (f"attached: {there}" if there else "none is attached. Check cable and udev rules")
        )

    def create(self, info: CameraInfo, config: CameraConfig) -> Camera:
        """Return the camera or recording, not yet open."""
        return (OrbbecRecording if info.is_recording else LiveOrbbec)(info, config)

    def plays(self, path: Path) -> bool:
        """Whether this is a bag of the Orbbec SDK (other makes write bags, too)."""
        return super().plays(path) and path.is_file() and data.is_orbbec_bag(path)


def _is_address(target: str) -> bool:
    try:
        ipaddress.ip_address(target)
    except ValueError:
        return False
    return True


class OrbbecCamera(Camera):
    """What live cameras and recordings share: frame sets in, registered and checked pairs out."""

    def __init__(self, info: CameraInfo, config: CameraConfig) -> None:
        super().__init__(info, config)
        self._ob: Any = None
        self._device: Any = None
        self._pipeline: Any = None
        self._calibration: Calibration | None = None
        self._registration: Registration | None = None
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
        return Capture(
            color=rgb,
            depth_raw=raw if register is None else register(raw, scale_m),
            depth_scale_m=scale_m,
            calibration=calibration,
            arrival_ns=arrival_ns,
            device_timestamp_us=stamp_us,
            device_index=number,
            alignment=Alignment.NONE if register is None else Alignment.OWN,
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

    def _cam_read(self, timeout_s: float) -> Capture | None:
        deadline = time.monotonic() + timeout_s
        while True:
            left_ms = round((deadline - time.monotonic()) * 1000)
            with data.explained(self._ob, self.info.address):
                frames = self._wait(max(1, min(left_ms, _WAIT_MS)))
                capture = self._capture(frames) if frames is not None else None
            if capture is not None or time.monotonic() >= deadline:
                return capture

    def _wait(self, timeout_ms: int) -> Any:
        """Return a frame set, or None after ``timeout_ms``; raise if there will be none."""
        raise NotImplementedError

    def _cam_close(self) -> None:
        pipeline, self._pipeline = self._pipeline, None
        self._device = self._calibration = self._registration = None
        if pipeline is not None:
            try:
                pipeline.stop()
            except (self._ob.OBError, RuntimeError) as error:
                log.debug("%s: stop: %s", self.info.address, error)


def _registration(found: Calibration) -> Registration | None:
    """Return what moves depth onto colour, None where it lies there already."""
    assert found.depth is not None
    assert found.T_color_depth is not None
    if found.depth == found.color and found.T_color_depth.is_identity:
        return None
    return Registration(found.depth, found.color, found.T_color_depth, keep_values=True)


class LiveOrbbec(OrbbecCamera):
    """An attached camera, on USB or the network."""

    def __init__(self, info: CameraInfo, config: CameraConfig) -> None:
        super().__init__(info, config)
        self._heard_s = 0.0

    def _cam_open(self) -> None:
        ob = self._ob = sdk()
        with data.explained(ob, self.info.address):
            self._device = self._find_device()
            self._identify()
            pipeline = ob.Pipeline(self._device)
            offered = data.profiles(ob, pipeline)
            config = ob.Config()
            for profile in choose(self.info.address, offered, self.config):
                config.enable_stream(offered[profile])
            self.info = replace(self.info, profiles=tuple(offered))
            pipeline.start(config)
            self._pipeline = pipeline
        self._heard_s = time.monotonic()

    def _find_device(self) -> Any:
        target = self.info.target
        if _is_address(target):
            return context().create_net_device(target, _NET_PORT)
        wanted = OrbbecDriver().find(target).serial
        return context().query_devices().get_device_by_serial_number(wanted)

    def _wait(self, timeout_ms: int) -> Any:
        frames = self._pipeline.wait_for_frames(timeout_ms)
        if frames is not None:
            self._heard_s = time.monotonic()
        elif self._is_gone():
            raise CameraDisconnectedError(
                f"{self.info.address}: the camera was unplugged; plug it in again"
            )
        return frames

    def _is_gone(self) -> bool:
        """Whether the camera is no longer listed; asked only when no frame came."""
        if _is_address(self.info.target):
            return time.monotonic() - self._heard_s > _SILENT_S
        return all(i.serial != self.info.serial for i in OrbbecDriver().discover())


class OrbbecRecording(OrbbecCamera):
    """A recording, played by the SDK at its own pace.

    The SDK drops frames that are not fetched in time. Without ``realtime`` the playback therefore
    stands still between reads; a frame that standing still costs is brought back by a seek.
    """

    def __init__(self, info: CameraInfo, config: CameraConfig) -> None:
        super().__init__(info, config)
        self._streams: Any = None
        self._is_paused = False
        self._first_us: int | None = None
        self._last = (0, 0.0)  # number and position (ms) of the last frame handed out
        self._retried: tuple[int, float] | None = None  # the one after which some were missing

    def _cam_open(self) -> None:
        path = existing_file(self.info.target, "orbbec", OrbbecDriver.suffixes)
        data.check_bag(path)
        ob = self._ob = sdk()
        probe("orbbec", path)
        context()
        with data.explained(ob, self.info.address):
            self._device = ob.PlaybackDevice(str(path))
            self._identify()
            self._pipeline = ob.Pipeline(self._device)
            self.info = replace(self.info, profiles=tuple(data.profiles(ob, self._pipeline)))
            choose(self.info.address, self.info.profiles, self.config)  # refuses another size
            self._streams = ob.Config()
            for sensor in (ob.OBSensorType.COLOR_SENSOR, ob.OBSensorType.DEPTH_SENSOR):
                self._streams.enable_stream(sensor)
            if not self.config.realtime:
                self._device.set_playback_rate(_EVERY_FRAME_RATE)
            self._play()

    def _play(self) -> None:
        """Start at the first frame; a plain start may lose it."""
        self._last, self._retried = (0, 0.0), None
        self._first_us, self._is_paused = None, False
        self._device.pause()
        self._pipeline.start(self._streams)
        self._device.resume()

    def _wait(self, timeout_ms: int) -> Any:
        deadline = time.monotonic() + timeout_ms / 1000
        while time.monotonic() < deadline:
            frames = self._pipeline.wait_for_frames(self._patience_ms(timeout_ms))
            if frames is None and self._is_paused:
                self._device.seek(int(self._last[1]))
                self._device.resume()
                self._is_paused = False
            elif frames is None:
                return self._at_end()
            elif self._is_new(frames):
                return frames
        return None

    def _patience_ms(self, timeout_ms: int) -> int:
        if self._is_paused:
            return 1
        return min(timeout_ms, _PERIOD_MS) if self._has_shown_last() else timeout_ms

    def _is_new(self, frames: Any) -> bool:
        """Note where playback stands; False for a frame that a seek brings up again."""
        color, depth = frames.get_color_frame(), frames.get_depth_frame()
        number, stamp_us = (depth or color).get_index(), (depth or color).get_timestamp_us()
        if not self.config.realtime:
            if number <= self._last[0]:
                return False
            self._pause()
            follows = self._last[0] in (0, number - 1)
            if not (follows and color and depth) and self._retried != self._last:
                self._retried = self._last  # once: it may be so in the file
                self._drain()
                return False
        if self._first_us is None:
            self._first_us = stamp_us
        self._last = (number, (stamp_us - self._first_us) / 1000)
        return True

    def _pause(self) -> None:
        if not self._is_paused:
            self._device.pause()
            self._is_paused = True

    def _drain(self) -> None:
        while self._pipeline.wait_for_frames(1) is not None:
            pass

    def _at_end(self) -> Any:
        """Having waited in vain: nothing yet, the last frames, the start again, or the end."""
        if not self._has_shown_last():
            status = self._device.get_playback_status()
            if status != self._ob.OBPlaybackStatus.STOPPED:
                return None
            frames = self._pipeline.wait_for_frames(_PAIRING_MS)
            if frames is not None:
                return frames if self._is_new(frames) else None
        if not self.config.loop:
            raise EndOfStreamError(f"{self.info.address}: the recording is over")
        self._pipeline.stop()
        self._play()
        return None

    def _has_shown_last(self) -> bool:
        """Known before the status says so, which after a seek near the end it never does."""
        return self._first_us is not None and self._last[1] >= self._device.get_duration() - 1
