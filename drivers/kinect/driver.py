"""Azure Kinect: live cameras and ``.mkv`` recordings, through pyk4a.

``kinect:SERIAL``, ``kinect:INDEX``, ``kinect:auto`` or ``kinect:FILE.mkv``. Depth goes to colour by
our own registration, as the distance from the colour camera: the SDK's needs OpenGL 4.4 and a
display, and gives nothing without them.

What the SDK demands and this file obeys: calls with its own locking hold the GIL throughout, so it
is switched off and one lock here takes its place.
"""

from __future__ import annotations

import logging
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

from drivers.common.profiles import choose
from drivers.common.recording import existing_file
from drivers.kinect import controls, data
from drivers.kinect.camera import SDK_LOG, KinectCamera, sdk
from drivers.kinect.recording import SUFFIXES, KinectRecording
from lingbot_live.cameras.base import Camera, CameraInfo, Capture, Driver
from lingbot_live.cameras.controls import Control, ControlValue
from lingbot_live.config import CameraConfig
from lingbot_live.errors import (
    CameraBusyError,
    CameraDisconnectedError,
    CameraError,
    CameraNotFoundError,
)

log = logging.getLogger(__name__)

_WAIT_MS = 100  # one wait of the SDK
_MOST_IMU = 2000  # readings taken at once
_DEFAULT_COLOR, _DEFAULT_DEPTH = (1280, 720), (640, 576)


class AzureKinectDriver(Driver):
    """Finds Azure Kinects and plays their recordings."""

    scheme = "kinect"
    title = "Azure Kinect"
    suffixes = SUFFIXES

    def discover(self) -> list[CameraInfo]:
        """List attached cameras by index; a serial number is known only to who opens one."""
        offered = tuple(data.offered())
        with SDK_LOG.handed_on():
            count = sdk().connected_device_count()
        return [
            CameraInfo(self.scheme, str(i), f"Azure Kinect {i}", profiles=offered)
            for i in range(count)
        ]

    def find(self, target: str) -> CameraInfo:
        """Return the camera with this index or serial number, the first one, or a recording."""
        if Path(target).suffix.lower() in self.suffixes or "/" in target or "\\" in target:
            path = existing_file(target, "kinect", self.suffixes)
            return CameraInfo(self.scheme, str(path), path.name, is_recording=True)
        cameras = self.discover()
        for index, info in enumerate(cameras):
            if target in ("auto", info.target) or target == _serial(index):
                return info
        there = ", ".join(info.address for info in cameras)
        raise CameraNotFoundError(
            f"kinect:{target}: no such camera; "
            + (f"attached: {there}" if there else "none is attached. Check power, cable and port")
        )

    def frame_counts(self, path: Path) -> dict[str, int]:
        """Return how many images a recording holds by stream; walks through it."""
        recording = KinectRecording(self.find(str(path)), CameraConfig())
        recording.open()
        try:
            return recording.count_images()
        finally:
            recording.close()

    def create(self, info: CameraInfo, config: CameraConfig) -> Camera:
        """Return the camera or recording, not yet open."""
        return (KinectRecording if info.is_recording else LiveKinect)(info, config)


def _serial(index: int) -> str:
    """Return the serial number of a camera, empty if another program has it."""
    k4a = sdk()
    device = k4a.PyK4A(device_id=index, thread_safe=False)
    try:
        with SDK_LOG.handed_on():
            device.open()
            return str(device.serial)
    except k4a.K4AException as error:
        log.info("kinect:%d: its serial number cannot be read: %r", index, error)
        return ""
    finally:
        if device.opened:
            device.close()


class LiveKinect(KinectCamera):
    """An attached camera."""

    def __init__(self, info: CameraInfo, config: CameraConfig) -> None:
        super().__init__(info, config)
        self._device: Any = None
        self._temperature_c: float | None = None  # told with each reading of the motion sensors

    def _cam_open(self) -> None:
        k4a = self._k4a = sdk()
        index = int(self.info.target)
        if index >= k4a.connected_device_count():
            raise CameraDisconnectedError(f"{self.info.address}: it is not attached; plug it in")
        offered = data.offered()
        color, depth = choose(
            self.info.address, offered, self.config, _DEFAULT_COLOR, _DEFAULT_DEPTH
        )
        settings = k4a.Config(
            color_resolution=k4a.ColorResolution[offered[color]],
            color_format=k4a.ImageFormat.COLOR_MJPG,
            depth_mode=k4a.DepthMode[offered[depth]],
            camera_fps=k4a.FPS[f"FPS_{color.fps:.0f}"],
            synchronized_images_only=True,
        )
        self._device = k4a.PyK4A(settings, device_id=index, thread_safe=False)
        try:
            self._device.start()
            self.info = replace(self.info, serial=self._device.serial, profiles=tuple(offered))
            self._calibrate(self._device.calibration, color, depth)
        except k4a.K4AException as error:
            raise CameraBusyError(
                f"{self.info.address}: it cannot be started; close other programs that use it, "
                "check its power supply and the udev rules (99-k4a.rules)"
            ) from error

    def _cam_read(self, timeout_s: float) -> Capture | None:
        deadline = time.monotonic() + timeout_s
        while True:
            left_ms = round((deadline - time.monotonic()) * 1000)
            got = self._wait(max(1, min(left_ms, _WAIT_MS)))
            capture = self._capture(got) if got is not None else None
            if capture is not None or time.monotonic() >= deadline:
                return capture

    def _wait(self, timeout_ms: int) -> Any:
        k4a = self._k4a
        try:
            with self._lock:
                capture = self._device.get_capture(timeout_ms)
            self._take_imu()
            return capture
        except k4a.K4ATimeoutException:
            return None
        except k4a.K4AException as error:
            raise CameraDisconnectedError(
                f"{self.info.address}: the camera was unplugged; plug it in again"
            ) from error

    def _cam_controls(self) -> list[Control]:
        try:
            with self._lock:
                found = controls.controls(self._k4a, self._device)
            return [*found, *controls.temperature(self._temperature_c)]
        except self._k4a.K4AException as error:
            raise CameraError(f"{self.info.address}: its settings cannot be read") from error

    def _cam_set_control(self, name: str, value: ControlValue) -> None:
        with self._lock:
            controls.set_control(self._k4a, self._device, name, value, self.info.address)

    def _take_imu(self) -> None:
        """Keep the readings that have come, 54 a frame, for the frame that is due."""
        for _ in range(_MOST_IMU):
            try:
                with self._lock:
                    told = self._device.get_imu_sample(timeout=0)
            except self._k4a.K4ATimeoutException:
                return
            self._imu.append(data.imu_sample(told))
            self._temperature_c = float(told["temperature"])

    def _cam_close(self) -> None:
        device, self._device = self._device, None
        with self._lock:
            if device is not None and device.opened:
                try:
                    device.stop()
                except self._k4a.K4AException as error:
                    log.debug("%s: stop: %r", self.info.address, error)
        super()._cam_close()
