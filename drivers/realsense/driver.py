"""Intel RealSense: live cameras and ``.bag`` / ``.db3`` recordings, through pyrealsense2.

``realsense:SERIAL``, ``realsense:MODEL`` (part of the name), ``realsense:auto`` or
``realsense:FILE``. Depth is aligned to colour by the SDK, which keeps the sensor's values.

What the SDK demands and this file obeys: list devices before starting a pipeline (a start without
a device holds the GIL for 15 s), wait in short steps, copy images and release them at once.
"""

from __future__ import annotations

import logging
from dataclasses import replace
from pathlib import Path
from typing import Any

from drivers.common.recording import existing_file
from drivers.realsense import data
from drivers.realsense.camera import RealSenseCamera, sdk
from drivers.realsense.controls import PRESET_KEYS
from drivers.realsense.recording import SUFFIXES, RealSenseRecording, data_counts, is_ours
from lingbot_live.cameras.base import Camera, CameraInfo, Driver
from lingbot_live.config import CameraConfig
from lingbot_live.errors import (
    BadRecordingError,
    CameraDisconnectedError,
    CameraNotFoundError,
)

log = logging.getLogger(__name__)

_QUEUE = 2  # frame sets kept for a slow reader; the SDK stalls if 15 are held


class RealSenseDriver(Driver):
    """Finds RealSense cameras. ``context`` may be set to one that holds virtual devices."""

    scheme = "realsense"
    title = "Intel RealSense"
    suffixes = SUFFIXES
    preset_keys = PRESET_KEYS

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
        if info.is_recording:
            return RealSenseRecording(info, config)
        return LiveRealSense(info, config, self)

    def plays(self, path: Path) -> bool:
        """Whether this is a recording of librealsense (other makes write bags, too)."""
        if not super().plays(path) or not path.is_file():
            return False
        try:
            return is_ours(path)
        except BadRecordingError:
            return True  # damaged: opening it says how

    def frame_counts(self, path: Path) -> dict[str, int]:
        """Return how many images a recording holds by stream."""
        return data_counts(path)

    def _info(self, device: Any) -> CameraInfo:
        return data.camera_info(sdk(), device, self.scheme)


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


def _answers(rs: Any, device: Any) -> bool:
    try:
        return bool(device.supports(rs.camera_info.serial_number))
    except RuntimeError as error:
        log.debug("a device left while it was listed: %s", error)
        return False
