"""A virtual RealSense that streams and records through the real librealsense.

Every pixel of depth frame i is ``FAR + i``, but for a box of ``NEAR + i``, so that an aligned depth
image still tells its frame number, exactly. The top left of colour frame i holds i.
"""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pyrealsense2 as rs

from lingbot_live.cameras.base import Camera
from lingbot_live.config import CameraConfig
from lingbot_live.frame import ImuSample

WIDTH, HEIGHT = 320, 240
FAR, NEAR = 8000, 4000
BOX = (slice(80, 160), slice(120, 200))
DEPTH_FOCAL = (200.0, 201.0, 161.5, 118.5)  # fx fy cx cy
COLOR_FOCAL = (300.0, 301.0, 158.25, 121.75)
ANGLE = 0.01  # of the turn about y between the sensors
SHIFT_M = (0.015, 0.0003, -0.0005)
BASELINE_MM = 55.0
READINGS = 6  # of each inertial sensor between two pairs
IMU_HZ = 200


def depth_image(i: int) -> np.ndarray:
    depth = np.full((HEIGHT, WIDTH), FAR + i, np.uint16)
    depth[BOX] = NEAR + i
    return depth


def color_image(i: int) -> np.ndarray:
    """Flat enough that a conversion to YUV and back keeps it within a few levels."""
    color = np.empty((HEIGHT, WIDTH, 3), np.uint8)
    color[:] = (60, 120, 200)
    color[:, WIDTH // 2 :] = (200, 40, 90)
    color[:16, :16] = i % 256
    return color


def infrared_image(i: int, side: int) -> np.ndarray:
    """Infrared picture i of the left (1) or the right (2) imager."""
    rows, columns = np.mgrid[:HEIGHT, :WIDTH]
    return ((rows + 2 * columns + 7 * i + 90 * side) % 256).astype(np.uint8)


def encoded(color: np.ndarray, form: str) -> np.ndarray:
    """Return the bytes that a sensor of this format would send for an RGB image."""
    import cv2

    if form == "bgr8":
        return np.ascontiguousarray(color[..., ::-1])
    if form == "yuyv":
        return cv2.cvtColor(color, cv2.COLOR_RGB2YUV_YUYV)
    return color


def rotation() -> np.ndarray:
    c, s = np.cos(ANGLE), np.sin(ANGLE)
    return np.array([[c, 0, s], [0, 1, 0], [-s, 0, c]])


def _intrinsics(focal: tuple[float, ...], model: Any, coeffs: tuple[float, ...]) -> Any:
    out = rs.intrinsics()
    out.width, out.height = WIDTH, HEIGHT
    out.fx, out.fy, out.ppx, out.ppy = focal
    out.model, out.coeffs = model, list(coeffs)
    return out


@dataclass
class VirtualCamera:
    serial: str = "V0001"
    name: str = "Intel RealSense D435"
    fps: int = 30
    units_m: float = 0.00025
    form: str = "rgb8"
    coeffs: tuple[float, ...] = (0.0,) * 5
    late_ms: Callable[[int], float] = field(default=lambda i: 0.0)  # colour behind depth
    sizes: tuple[tuple[int, int], ...] = ((WIDTH, HEIGHT),)
    with_imu: bool = False
    with_infrared: bool = False  # left and right, at the size and rate of depth

    def __post_init__(self) -> None:
        self.device = rs.software_device()
        key = rs.camera_info
        for what, text in (
            (key.name, self.name),
            (key.serial_number, self.serial),
            (key.firmware_version, "5.16.0.1"),
            (key.product_line, "D400"),
            (key.product_id, "0B07"),
            (key.usb_type_descriptor, "3.2"),
            (key.physical_port, f"virtual-{self.serial}"),
        ):
            known = self.device.supports(what)
            (self.device.update_info if known else self.device.register_info)(what, text)
        self._depth = self.device.add_sensor("Stereo Module")
        self._color = self.device.add_sensor("RGB Camera")
        depth_k = _intrinsics(DEPTH_FOCAL, rs.distortion.brown_conrady, (0.0,) * 5)
        color_k = _intrinsics(COLOR_FOCAL, rs.distortion.inverse_brown_conrady, self.coeffs)
        form = getattr(rs.format, self.form)
        self._bpp = 2 if self.form == "yuyv" else 3
        self._depth_profile = self._stream(rs.stream.depth, rs.format.z16, 2, depth_k)
        self._color_profile = self._stream(rs.stream.color, form, self._bpp, color_k)
        self._infrared_profiles = [
            self._stream(rs.stream.infrared, rs.format.y8, 1, depth_k, side)
            for side in ((1, 2) if self.with_infrared else ())
        ]
        for option, value in (
            (rs.option.depth_units, self.units_m),
            (rs.option.stereo_baseline, BASELINE_MM),
        ):
            span = rs.option_range(0.0, 1000.0, 1e-6, value)
            self._depth.add_option(option, span, True)
            self._depth.set_option(option, value)
        pose = rs.extrinsics()
        pose.rotation = rotation().T.ravel().tolist()
        pose.translation = list(SHIFT_M)
        self._depth_profile.register_extrinsics_to(self._color_profile, pose)
        self._motion_profiles = self._motion_streams(pose) if self.with_imu else {}
        self.device.create_matcher(rs.matchers.default)

    def _stream(self, kind: Any, form: Any, bpp: int, intrinsics: Any, index: int = 0) -> Any:
        stream = rs.video_stream()
        uid = 10 + index if index else int(kind == rs.stream.color)
        stream.type, stream.index, stream.uid = kind, index, uid
        stream.width, stream.height, stream.fps = WIDTH, HEIGHT, self.fps
        stream.bpp, stream.fmt, stream.intrinsics = bpp, form, intrinsics
        sensor = self._color if kind == rs.stream.color else self._depth
        return sensor.add_video_stream(stream, True).as_video_stream_profile()

    def _motion_streams(self, pose: Any) -> dict[Any, Any]:
        self._motion = self.device.add_sensor("Motion Module")
        profiles = {}
        for kind in (rs.stream.accel, rs.stream.gyro):
            stream = rs.motion_stream()
            stream.type, stream.index, stream.uid = kind, 0, 2 + int(kind == rs.stream.gyro)
            stream.fps, stream.fmt = IMU_HZ, rs.format.motion_xyz32f
            stream.intrinsics = rs.motion_device_intrinsic()
            profiles[kind] = self._motion.add_motion_stream(stream)
            profiles[kind].register_extrinsics_to(self._depth_profile, pose)
        return profiles

    def readings(self, i: int) -> list[ImuSample]:
        """The inertial readings between pair i - 1 and pair i, as they are to be read back."""
        found = []
        for k in range(i * READINGS, (i + 1) * READINGS):
            stamp_us = 960_000 + k * 1_000_000 // (self.fps * READINGS)
            found.append(ImuSample(stamp_us, acceleration_m_s2=(0.5 * (k % 7), -9.75, 0.125)))
            turn = (0.25, -0.5, float(k))
            found.append(ImuSample(stamp_us, angular_velocity_rad_s=turn))
        return found

    def _push_readings(self, i: int) -> None:
        for number, reading in enumerate(self.readings(i)):
            vector = rs.vector()
            is_pull = reading.acceleration_m_s2 is not None
            vector.x, vector.y, vector.z = (
                reading.acceleration_m_s2 or reading.angular_velocity_rad_s or ()
            )
            frame = rs.software_motion_frame()
            frame.data, frame.timestamp = vector, reading.device_timestamp_us / 1000
            frame.domain = rs.timestamp_domain.hardware_clock
            frame.frame_number = i * READINGS + number // 2
            kind = rs.stream.accel if is_pull else rs.stream.gyro
            frame.profile = self._motion_profiles[kind].as_motion_stream_profile()
            self._motion.on_motion_frame(frame)

    def push(self, i: int) -> None:
        """Send pair i."""
        if self.with_imu:
            self._push_readings(i)
        stamp_ms = 1000.0 + i * 1000.0 / self.fps
        color = encoded(color_image(i), self.form)
        for sensor, profile, image, bpp, late_ms in (
            (self._color, self._color_profile, color, self._bpp, self.late_ms(i)),
            (self._depth, self._depth_profile, depth_image(i), 2, 0.0),
            *(
                (self._depth, profile, infrared_image(i, side), 1, 0.0)
                for side, profile in enumerate(self._infrared_profiles, 1)
            ),
        ):
            key = rs.frame_metadata_value
            sensor.set_metadata(key.frame_counter, i)
            sensor.set_metadata(key.frame_timestamp, round((stamp_ms + late_ms) * 1000))
            sensor.set_metadata(key.actual_fps, self.fps * 1000)
            frame = rs.software_video_frame()
            frame.pixels, frame.bpp, frame.stride = image, bpp, WIDTH * bpp
            frame.timestamp, frame.domain = stamp_ms + late_ms, rs.timestamp_domain.hardware_clock
            frame.frame_number, frame.profile = i, profile
            if bpp == 2 and sensor is self._depth:
                frame.depth_units = self.units_m
            sensor.on_video_frame(frame)

    def record(self, path: Path, count: int) -> Path:
        """Write ``count`` pairs to a .db3 file."""
        recorder = rs.recorder(str(path), self.device)
        sensors = recorder.query_sensors()
        syncer = rs.syncer(2 * count + 2)
        for sensor, profiles in (
            (self._depth, [self._depth_profile, *self._infrared_profiles]),
            (self._color, [self._color_profile]),
        ):
            sensor.open(profiles)
            sensor.start(syncer)
        if self.with_imu:
            self._motion.open([*self._motion_profiles.values()])
            self._motion.start(rs.frame_queue(10))
        for i in range(count):
            self.push(i)
            time.sleep(0.002)
        for sensor in (self._depth, self._color, *([self._motion] if self.with_imu else [])):
            sensor.stop()
            sensor.close()
        recorder.pause()
        del sensors, recorder
        return path

    @contextlib.contextmanager
    def streaming(self) -> Iterator[None]:
        """Send pairs at the camera's rate from a thread of its own."""
        stop = threading.Event()

        def run() -> None:
            i = 0
            while not stop.wait(1 / self.fps):
                with contextlib.suppress(RuntimeError):  # stopped between its two images
                    self.push(i)
                i += 1

        thread = threading.Thread(target=run, name="virtual-camera")
        thread.start()
        try:
            yield
        finally:
            stop.set()
            thread.join()


class AttachedCamera:
    """A context in which a virtual camera is plugged in."""

    def __init__(self, camera: VirtualCamera) -> None:
        self.camera = camera  # held, or its devices die in the context
        self.context = rs.context()
        self._events: list[Any] = []  # the device leaves the context when its event is dropped
        self.context.set_devices_changed_callback(self._events.append)
        camera.device.add_to(self.context)


@contextlib.contextmanager
def contract_cameras(folder: Path) -> Iterator[dict[str, Callable[[CameraConfig], Camera]]]:
    """Name a maker of cameras for each way this make is reached."""
    from drivers.realsense.driver import RealSenseDriver
    from lingbot_live.cameras import registry

    recording = VirtualCamera(with_imu=True).record(folder / "contract.db3", 20)
    live = VirtualCamera(serial="LIVE1", with_imu=True)
    attached = AttachedCamera(live)
    driver = RealSenseDriver(attached.context)

    def make_live(config: CameraConfig) -> Camera:
        return driver.create(driver.find("LIVE1"), config)

    with live.streaming():
        yield {
            "recording": lambda config: registry.create_camera(f"realsense:{recording}", config),
            "live": make_live,
        }
