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

from drivers.common.profiles import choose
from drivers.common.recording import existing_file
from drivers.orbbec import data
from drivers.orbbec.camera import WAIT_MS, OrbbecCamera
from drivers.orbbec.controls import PRESET_KEYS
from drivers.orbbec.imu import LiveMotion, start_motion
from drivers.orbbec.recording import SUFFIXES, OrbbecRecording
from drivers.orbbec.sdk import SDK_LOG, context, sdk
from lingbot_live.cameras.base import Camera, CameraInfo, Capture, Driver, StreamProfile
from lingbot_live.config import CameraConfig
from lingbot_live.errors import CameraDisconnectedError, CameraNotFoundError

log = logging.getLogger(__name__)

_NET_PORT = 8090  # of Orbbec's network cameras
_SILENT_S = 3.0  # a network camera is gone if it sends nothing for so long


class OrbbecDriver(Driver):
    """Finds Orbbec cameras on USB and plays their recordings."""

    scheme = "orbbec"
    title = "Orbbec Gemini and Femto"
    suffixes = SUFFIXES
    preset_keys = PRESET_KEYS

    def discover(self) -> list[CameraInfo]:
        """List cameras on USB; those on the network are named by address."""
        with SDK_LOG.handed_on(), data.explained(sdk(), "orbbec"):
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

    def profiles(self, info: CameraInfo) -> tuple[StreamProfile, ...]:
        """Return what an attached camera offers; opens it for a moment."""
        ob = sdk()
        with SDK_LOG.handed_on(), data.explained(ob, info.address):
            device = context().query_devices().get_device_by_serial_number(info.serial)
            return tuple(data.profiles(ob, ob.Pipeline(device)))

    def frame_counts(self, path: Path) -> dict[str, int]:
        """Return how many images a recording holds by stream, and inertial readings."""
        return data.data_counts(data.check_bag(path))

    def plays(self, path: Path) -> bool:
        """Whether this is a bag of the Orbbec SDK (other makes write bags, too)."""
        return super().plays(path) and path.is_file() and data.is_orbbec_bag(path)


def _is_address(target: str) -> bool:
    try:
        ipaddress.ip_address(target)
    except ValueError:
        return False
    return True


class LiveOrbbec(OrbbecCamera):
    """An attached camera, on USB or the network."""

    def __init__(self, info: CameraInfo, config: CameraConfig) -> None:
        super().__init__(info, config)
        self._heard_s = 0.0
        self._motion: LiveMotion | None = None

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
            for sensor in data.infrared_sensors(ob, self._device) if self.config.extras else ():
                config.enable_stream(sensor)
            self.info = replace(self.info, profiles=tuple(offered))
            pipeline.start(config)
            self._pipeline = pipeline
        self._motion = start_motion(ob, self._device, self.info.address)
        self._heard_s = time.monotonic()

    def _cam_read(self, timeout_s: float) -> Capture | None:
        deadline = time.monotonic() + timeout_s
        while True:
            left_ms = round((deadline - time.monotonic()) * 1000)
            with data.explained(self._ob, self.info.address):
                frames = self._wait(max(1, min(left_ms, WAIT_MS)))
                capture = self._capture(frames) if frames is not None else None
            if capture is not None or time.monotonic() >= deadline:
                return capture

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
            self._imu.extend(() if self._motion is None else self._motion.readings())
        elif self._is_gone():
            raise CameraDisconnectedError(
                f"{self.info.address}: the camera was unplugged; plug it in again"
            )
        return frames

    def _cam_close(self) -> None:
        motion, self._motion = self._motion, None
        if motion is not None:
            motion.stop()
        super()._cam_close()

    def _is_gone(self) -> bool:
        """Whether the camera is no longer listed; asked only when no frame came."""
        if _is_address(self.info.target):
            return time.monotonic() - self._heard_s > _SILENT_S
        return all(i.serial != self.info.serial for i in OrbbecDriver().discover())
