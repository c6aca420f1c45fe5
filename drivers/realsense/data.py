"""From librealsense's types to ours: images, calibration, profiles, errors."""

from __future__ import annotations

import contextlib
import logging
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import numpy as np

from lingbot_live.cameras.base import CameraInfo, StreamProfile
from lingbot_live.cameras.pictures import decode_picture
from lingbot_live.errors import (
    BadRecordingError,
    CameraBusyError,
    CameraDisconnectedError,
    CameraError,
)
from lingbot_live.frame import (
    DEPTH_NATIVE,
    Calibration,
    ColorImage,
    ExtraPicture,
    Extrinsics,
    ImuSample,
    Intrinsics,
    RawDepth,
)

log = logging.getLogger(__name__)

# Depth size with the least noise, from Intel's "Tuning depth cameras for best performance".
_BEST_DEPTH = {"D43": (848, 480), "D45": (848, 480)}

_INFRARED = {1: "infrared_left", 2: "infrared_right"}  # by the SDK's index
_MOST_READINGS = 4000  # of the inertial sensors between two frames

# A part of the SDK's message, what it means, what to do.
_ERRORS: tuple[tuple[str, type[CameraError], str], ...] = (
    ("enable_device_from_file", BadRecordingError, "the file is damaged or not a recording"),
    ("Device or resource busy", CameraBusyError, "another program uses it; close that one"),
    ("failed to set power state", CameraBusyError, "another program uses it; close that one"),
    ("Permission denied", CameraError, "install librealsense's udev rules, then plug it in again"),
    ("access denied", CameraError, "install librealsense's udev rules, then plug it in again"),
    (
        "No space left",
        CameraError,
        "too little USB bandwidth; use a port of its own or a lower fps",
    ),
    ("disconnected", CameraDisconnectedError, "plug it in again"),
    ("No such device", CameraDisconnectedError, "plug it in again"),
)


@contextlib.contextmanager
def explained(rs: Any, who: str) -> Iterator[None]:
    """Turn the SDK's RuntimeError into one of ours that says what to do."""
    try:
        yield
    except RuntimeError as error:
        text = " ".join(str(error).split())
        reason = text.rpartition("Reason: ")[2]
        for part, kind, advice in _ERRORS:
            if part.lower() in text.lower():
                raise kind(f"{who}: {advice} ({reason})") from error
        raise CameraError(f"{who}: {text}; plug the camera in again if this stays") from error


def camera_info(rs: Any, device: Any, scheme: str) -> CameraInfo:
    """Return what the device says of itself."""
    key = rs.camera_info

    def ask(what: Any) -> str:
        return str(device.get_info(what)) if device.supports(what) else ""

    details = {
        "firmware": ask(key.firmware_version),
        "usb": ask(key.usb_type_descriptor),
        "product_line": ask(key.product_line),
        "port": ask(key.physical_port),
    }
    serial = ask(key.serial_number)
    return CameraInfo(
        scheme,
        serial,
        ask(key.name) or "RealSense",
        serial,
        details={name: value for name, value in details.items() if value},
    )


def best_depth(name: str) -> tuple[int, int] | None:
    """Return the depth size to prefer for a model, None for that of colour."""
    return next((size for model, size in _BEST_DEPTH.items() if model in name), None)


def profiles(rs: Any, device: Any) -> tuple[StreamProfile, ...]:
    """Return the usable colour and depth profiles, those needing no conversion first."""
    streams = {rs.stream.color: "color", rs.stream.depth: "depth"}
    found = {
        StreamProfile(
            streams[p.stream_type()], v.width(), v.height(), float(p.fps()), p.format().name
        )
        for sensor in device.query_sensors()
        for p in sensor.get_stream_profiles()
        if p.stream_type() in streams and p.format().name in ("z16", *_TO_RGB)
        for v in [p.as_video_stream_profile()]
    }
    order = ("z16", *_TO_RGB)
    return tuple(
        sorted(found, key=lambda p: (p.stream, p.width, p.height, p.fps, order.index(p.format)))
    )


def infrared(rs: Any, device: Any, depth: StreamProfile) -> dict[int, Any]:
    """Return the infrared streams that go with a depth stream, by the SDK's index.

    1 and 2 are left and right of a stereo camera, 0 is the only one. 8 bits go before 16.
    """
    wanted = (depth.width, depth.height, depth.fps)
    found: dict[int, Any] = {}
    for sensor in device.query_sensors():
        for p in sensor.get_stream_profiles():
            if p.stream_type() == rs.stream.infrared and p.format().name in ("y8", "y16"):
                v = p.as_video_stream_profile()
                is_better = p.stream_index() not in found or p.format().name == "y8"
                if (v.width(), v.height(), float(v.fps())) == wanted and is_better:
                    found[p.stream_index()] = v
    return found


def extras(frames: Any, depth: Any, infrared: Mapping[int, Any]) -> dict[str, ExtraPicture]:
    """Copy what a frame set holds beside colour and aligned depth."""
    found: dict[str, ExtraPicture] = {DEPTH_NATIVE: to_depth(depth)}
    for at in infrared:
        frame = frames.get_infrared_frame(at)
        if frame:
            found[_INFRARED.get(at, "infrared")] = np.array(frame.get_data())
    return found


def calibration(rs: Any, profile: Any) -> Calibration:
    """Return the calibration of a running pipeline."""
    color = profile.get_stream(rs.stream.color).as_video_stream_profile()
    depth = profile.get_stream(rs.stream.depth).as_video_stream_profile()
    pose = depth.get_extrinsics_to(color)
    T = np.eye(4)
    T[:3, :3] = np.reshape(pose.rotation, (3, 3)).T  # the SDK is column-major
    T[:3, 3] = pose.translation
    return Calibration(
        intrinsics(rs, color.get_intrinsics()),
        intrinsics(rs, depth.get_intrinsics()),
        Extrinsics.from_matrix(T),
        _baseline_m(rs, profile.get_device()),
    )


def _baseline_m(rs: Any, device: Any) -> float | None:
    for sensor in device.query_sensors():
        if sensor.supports(rs.option.stereo_baseline):
            millimetres = float(sensor.get_option(rs.option.stereo_baseline))
            return millimetres / 1000 or None
    return None


def intrinsics(rs: Any, source: Any) -> Intrinsics:
    """Return the SDK's intrinsics with OpenCV's distortion.

    Brown-Conrady has the same formula and order (k1 k2 p1 p2 k3). Its "modified" form applies the
    tangential part to already scaled coordinates, a difference of second order that is let go.
    Any other model, such as "inverse Brown-Conrady", whose polynomial leads from the distorted to
    the ideal pixel, is replaced by the Brown-Conrady model that fits it best.
    """
    model, coeffs = source.model, tuple(float(c) for c in source.coeffs)
    if model == rs.distortion.none or not any(coeffs):
        coeffs = ()
    elif model not in (rs.distortion.brown_conrady, rs.distortion.modified_brown_conrady):
        coeffs = _fitted(rs, source)
    return Intrinsics(
        source.width, source.height, source.fx, source.fy, source.ppx, source.ppy, coeffs
    )


def _fitted(rs: Any, source: Any) -> tuple[float, ...]:
    """Fit k1 k2 p1 p2 k3 to the SDK's own deprojection on a grid; linear least squares."""
    u, v = np.meshgrid(
        np.linspace(0, source.width - 1, 24), np.linspace(0, source.height - 1, 18)
    )  # fmt: skip
    pixels = np.stack([u.ravel(), v.ravel()], -1)
    ideal = np.array([rs.rs2_deproject_pixel_to_point(source, p, 1.0)[:2] for p in pixels.tolist()])
    seen = (pixels - (source.ppx, source.ppy)) / (source.fx, source.fy)
    x, y = ideal.T
    r2 = x * x + y * y
    # x_seen - x = x (k1 r2 + k2 r4 + k3 r6) + 2 p1 x y + p2 (r2 + 2 x x), and likewise in y.
    in_x = np.stack([x * r2, x * r2**2, 2 * x * y, r2 + 2 * x * x, x * r2**3], -1)
    in_y = np.stack([y * r2, y * r2**2, r2 + 2 * y * y, 2 * x * y, y * r2**3], -1)
    system, wanted = np.concatenate([in_x, in_y]), (seen - ideal).T.ravel()
    found = np.linalg.lstsq(system, wanted, rcond=None)[0]
    worst_px = float(np.abs(system @ found - wanted).max() * source.fx)
    if worst_px > 0.5:
        log.warning("distortion %s is fitted to %.1f pixels only", source.model, worst_px)
    return tuple(float(value) for value in found)


class Motion:
    """Accelerometer and gyroscope, read beside the pipeline, which would hand over a few only."""

    def __init__(self, rs: Any, sensor: Any, profiles: list[Any]) -> None:
        self._accel = rs.stream.accel
        self._sensor = sensor
        self._queue = rs.frame_queue(_MOST_READINGS, True)
        sensor.open(profiles)
        sensor.start(self._queue)

    def readings(self) -> Iterator[ImuSample]:
        """Yield what has come since the last call; each is of one sensor."""
        while frame := self._queue.poll_for_frame():
            told = frame.as_motion_frame().get_motion_data()
            vector = (told.x, told.y, told.z)
            stamp_us = round(frame.get_timestamp() * 1000)
            if frame.get_profile().stream_type() == self._accel:
                yield ImuSample(stamp_us, acceleration_m_s2=vector)
            else:
                yield ImuSample(stamp_us, angular_velocity_rad_s=vector)

    def stop(self) -> None:
        """Release the sensor."""
        try:
            self._sensor.stop()
            self._sensor.close()
        except RuntimeError as error:
            log.debug("motion sensor: %s", error)


def start_motion(rs: Any, device: Any, who: str) -> Motion | None:
    """Return the device's inertial sensors, reading; None if there are none, or not for us."""
    kinds = (rs.stream.accel, rs.stream.gyro)
    for sensor in device.query_sensors():
        fastest = {p.stream_type(): p for p in sorted(sensor.profiles, key=lambda p: p.fps())}
        wanted = [fastest[kind] for kind in kinds if kind in fastest]
        if wanted:
            try:
                return Motion(rs, sensor, wanted)
            except RuntimeError as error:  # depth does not need them
                log.warning("%s: its inertial sensors do not start: %s", who, error)
    return None


def to_depth(frame: Any) -> RawDepth:
    """Copy a Z16 frame, (H, W) uint16 in the sensor's units."""
    return np.array(frame.get_data(), np.uint16)


def to_rgb(frame: Any, who: str) -> ColorImage:
    """Copy a colour frame of any known format, (H, W, 3) uint8 RGB.

    Raises:
        BadRecordingError: the format is unknown, or a JPEG is damaged.
    """
    profile = frame.get_profile().as_video_stream_profile()
    name = frame.get_profile().format().name
    if name not in _TO_RGB:
        raise BadRecordingError(f"{who}: colour format {name} is not known; record it as rgb8")
    pixels = np.asanyarray(frame.get_data())
    return _TO_RGB[name](pixels, profile.width(), profile.height(), who)


def _copied(pixels: Any, width: int, height: int, who: str) -> ColorImage:
    return np.array(pixels, np.uint8).reshape(height, width, 3)


def _converted(code: str, channels: int) -> Callable[[Any, int, int, str], ColorImage]:
    def convert(pixels: Any, width: int, height: int, who: str) -> ColorImage:
        import cv2

        flat = np.ascontiguousarray(pixels).view(np.uint8)
        shape = (height, width, channels) if channels > 1 else (height, width)
        out: ColorImage = cv2.cvtColor(flat.reshape(shape), getattr(cv2, code))
        return out

    return convert


def _decoded(pixels: Any, width: int, height: int, who: str) -> ColorImage:
    import cv2

    try:
        image = decode_picture(np.ascontiguousarray(pixels).tobytes(), cv2.IMREAD_COLOR)
    except ValueError as error:
        raise BadRecordingError(f"{who}: a colour JPEG: {error}; record it again") from error
    out: ColorImage = cv2.cvtColor(image, cv2.COLOR_BGR2RGB)
    return out


# By name of rs.format, the preferred first.
_TO_RGB: dict[str, Callable[[Any, int, int, str], ColorImage]] = {
    "rgb8": _copied,
    "bgr8": _converted("COLOR_BGR2RGB", 3),
    "rgba8": _converted("COLOR_RGBA2RGB", 4),
    "bgra8": _converted("COLOR_BGRA2RGB", 4),
    "yuyv": _converted("COLOR_YUV2RGB_YUYV", 2),
    "uyvy": _converted("COLOR_YUV2RGB_UYVY", 2),
    "mjpeg": _decoded,
    "y8": _converted("COLOR_GRAY2RGB", 1),
}
