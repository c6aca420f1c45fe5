"""Azure Kinect: live cameras and ``.mkv`` recordings, through pyk4a.

``kinect:SERIAL``, ``kinect:INDEX``, ``kinect:auto`` or ``kinect:FILE.mkv``. Depth goes to colour by
our own registration, as the distance from the colour camera: the SDK's needs OpenGL 4.4 and a
display, and gives nothing without them.

What the SDK demands and this file obeys: calls with its own locking hold the GIL throughout, so it
is switched off and one lock here takes its place.
"""

from __future__ import annotations

import logging
import os
import threading
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

from drivers import _kinect_data as data
from drivers._pace import StampPacer
from drivers._pixels import prepare, to_rgb
from drivers._profiles import choose
from drivers._recording import existing_file, probe
from drivers._sdk import import_sdk
from lingbot_live.camera import Camera, CameraInfo, Capture, Driver, StreamProfile
from lingbot_live.config import CameraConfig, cache_folder
from lingbot_live.errors import (
    BadRecordingError,
    CameraBusyError,
    CameraDisconnectedError,
    CameraNotFoundError,
    ConfigError,
    EndOfStreamError,
)
from lingbot_live.frame import Alignment, Calibration
from lingbot_live.registration import Registration

log = logging.getLogger(__name__)

_WAIT_MS = 100  # one wait of the SDK
_DEFAULT_COLOR, _DEFAULT_DEPTH = (1280, 720), (640, 576)


def sdk() -> Any:
    """Return pyk4a, its messages off the standard output.

    Raises:
        DriverUnavailableError: it cannot be imported.
    """
    os.environ.setdefault("K4A_ENABLE_LOG_TO_STDOUT", "0")  # read once, when it is loaded
    return import_sdk("pyk4a", "kinect")


class AzureKinectDriver(Driver):
    """Finds Azure Kinects and plays their recordings."""

    scheme = "kinect"
    title = "Azure Kinect"
    suffixes = (".mkv",)

    def discover(self) -> list[CameraInfo]:
        """List attached cameras by index; a serial number is known only to who opens one."""
        offered = tuple(data.offered())
        return [
            CameraInfo(self.scheme, str(i), f"Azure Kinect {i}", profiles=offered)
            for i in range(sdk().connected_device_count())
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

    def create(self, info: CameraInfo, config: CameraConfig) -> Camera:
        """Return the camera or recording, not yet open."""
        return (KinectRecording if info.is_recording else LiveKinect)(info, config)


def _serial(index: int) -> str:
    """Return the serial number of a camera, empty if another program has it."""
    k4a = sdk()
    device = k4a.PyK4A(device_id=index, thread_safe=False)
    try:
        device.open()
        return str(device.serial)
    except k4a.K4AException as error:
        log.info("kinect:%d: its serial number cannot be read: %r", index, error)
        return ""
    finally:
        if device.opened:
            device.close()


class KinectCamera(Camera):
    """What live cameras and recordings share: captures in, registered and checked pairs out."""

    def __init__(self, info: CameraInfo, config: CameraConfig) -> None:
        super().__init__(info, config)
        self._lock = threading.Lock()
        self._k4a: Any = None
        self._color: StreamProfile | None = None
        self._calibration: Calibration | None = None
        self._registration: Registration | None = None
        self._first_us: int | None = None

    def _calibrate(self, source: Any, color: StreamProfile, depth: StreamProfile) -> None:
        prepare()
        self._color = color
        found = data.calibration(self._k4a, source, color, depth)
        assert found.depth is not None
        assert found.T_color_depth is not None
        self._registration = Registration(
            found.depth, found.color, found.T_color_depth, keep_values=False, cache=cache_folder()
        )
        self._calibration = found

    def _number(self, stamp_us: int) -> int:
        """Return the number of a capture, counted from the clock: the device has none."""
        assert self._color is not None
        if self._first_us is None:
            self._first_us = stamp_us
        return round((stamp_us - self._first_us) * self._color.fps / 1e6)

    def _capture(self, capture: Any) -> Capture | None:
        """Return an aligned copy of a capture, or None (counted) if it is no true pair."""
        arrival_ns = time.monotonic_ns()
        with self._lock:
            color, depth = capture.color, capture.depth
            stamps = [
                stamp
                for image, stamp in ((depth, "depth"), (color, "color"))
                if image is not None
                for stamp in [getattr(capture, f"{stamp}_timestamp_usec")]
            ]
        if not stamps:  # infrared alone
            self.missed["incomplete"] += 1
            return None
        number = self._number(stamps[0])
        assert self._color is not None
        if len(stamps) < 2:
            return self._skipped("incomplete", number)
        if abs(stamps[0] - stamps[1]) > 500_000 / self._color.fps:
            return self._skipped("mispaired", number)
        rgb = to_rgb(color, self._color.format, self._color.width, self._color.height)
        if rgb is None:
            return self._skipped("damaged", number)
        assert self._registration is not None
        assert self._calibration is not None
        return Capture(
            color=rgb,
            depth_raw=self._registration(depth, data.DEPTH_SCALE_M),
            depth_scale_m=data.DEPTH_SCALE_M,
            calibration=self._calibration,
            arrival_ns=arrival_ns,
            device_timestamp_us=stamps[0],
            device_index=number,
            alignment=Alignment.OWN,
        )

    def _skipped(self, cause: str, number: int) -> Capture | None:
        """Count a capture once, under its own cause and not as a gap."""
        self.missed[cause] += 1
        self._count_gap(number)
        return None

    def _cam_close(self) -> None:
        self._calibration = self._registration = self._first_us = None


class LiveKinect(KinectCamera):
    """An attached camera."""

    def __init__(self, info: CameraInfo, config: CameraConfig) -> None:
        super().__init__(info, config)
        self._device: Any = None

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
                return self._device.get_capture(timeout_ms)
        except k4a.K4ATimeoutException:
            return None
        except k4a.K4AException as error:
            raise CameraDisconnectedError(
                f"{self.info.address}: the camera was unplugged; plug it in again"
            ) from error

    def _cam_close(self) -> None:
        device, self._device = self._device, None
        with self._lock:
            if device is not None and device.opened:
                try:
                    device.stop()
                except self._k4a.K4AException as error:
                    log.debug("%s: stop: %r", self.info.address, error)
        super()._cam_close()


class KinectRecording(KinectCamera):
    """A recording. The SDK reads as fast as it is asked, so its pace is kept here."""

    def __init__(self, info: CameraInfo, config: CameraConfig) -> None:
        super().__init__(info, config)
        self._file: Any = None
        self._next: tuple[Any, int] | None = None  # a capture that is not due yet, and its stamp
        self._span_us: tuple[int, int] | None = None  # first and last stamp of this pass
        self._passed_us = 0  # by the passes before
        self._pacer = StampPacer()

    def _cam_open(self) -> None:
        path = existing_file(self.info.target, "kinect", AzureKinectDriver.suffixes)
        data.check_matroska(path)
        k4a = self._k4a = sdk()
        probe("kinect", path)
        file = k4a.PyK4APlayback(path, thread_safe=False)
        try:
            file.open()
        except k4a.K4AException as error:
            raise BadRecordingError(
                f"{path}: the SDK cannot open it; the file is damaged or not a Kinect's"
            ) from error
        self._file = file
        self._span_us, self._passed_us, self._pacer = None, 0, StampPacer()
        self._describe(path)

    def _describe(self, path: Path) -> None:
        profiles = {p.stream: p for p in data.recorded(self._file.configuration)}
        if len(profiles) < 2:
            raise BadRecordingError(f"{path}: it needs colour and depth; has {[*profiles]}")
        if not profiles["color"].format:
            raise BadRecordingError(f"{path}: its colour format is not known; record MJPG")
        try:
            self._calibrate(self._file.calibration, profiles["color"], profiles["depth"])
        except (self._k4a.K4AException, ValueError, ConfigError) as error:
            raise BadRecordingError(
                f"{path}: it holds no usable calibration ({error!r}); record it again"
            ) from error
        self.info = replace(self.info, name="Azure Kinect", profiles=tuple(profiles.values()))
        choose(self.info.address, self.info.profiles, self.config)  # refuses another size

    def _cam_read(self, timeout_s: float) -> Capture | None:
        deadline = time.monotonic() + timeout_s
        while True:
            if self._next is None:
                self._next = self._fetch()
            got, stamp_us = self._next
            left_s = max(0.0, deadline - time.monotonic())
            if self.config.realtime and not self._pacer.wait(
                (self._passed_us + stamp_us) / 1e6, left_s
            ):
                return None
            self._next = None
            capture = self._capture(got)
            if capture is not None or time.monotonic() >= deadline:
                return capture

    def _fetch(self) -> tuple[Any, int]:
        """Read the next capture and its stamp, from the start again at the end."""
        while True:
            try:
                with self._lock:
                    got = self._file.get_next_capture()
                    stamp_us = _stamp_us(got)
            except EOFError:
                self._at_end()
                continue
            except self._k4a.K4AException as error:
                raise BadRecordingError(
                    f"{self.info.target}: damaged from here on; copy the file again"
                ) from error
            if stamp_us is not None:
                self._span_us = (self._span_us or (stamp_us,))[0], stamp_us
                return got, stamp_us

    def _at_end(self) -> None:
        if self._span_us is None:
            raise BadRecordingError(f"{self.info.target}: no colour and depth in it")
        if not self.config.loop:
            raise EndOfStreamError(f"{self.info.address}: the recording is over")
        with self._lock:
            self._file.seek(0)
        assert self._color is not None
        first_us, last_us = self._span_us
        self._passed_us += last_us - first_us + round(1e6 / self._color.fps)
        self._span_us = self._first_us = None

    def _cam_close(self) -> None:
        file, self._file = self._file, None
        self._next = None
        if file is not None:
            with self._lock:
                file.close()
        super()._cam_close()


def _stamp_us(capture: Any) -> int | None:
    """Return the device time of a capture without decoding it; None if it holds nothing."""
    if capture.depth is not None:
        return int(capture.depth_timestamp_usec)
    return int(capture.color_timestamp_usec) if capture.color is not None else None
