"""From the Orbbec SDK's types to ours: files, calibration, profiles, images, errors."""

from __future__ import annotations

import contextlib
import logging
import struct
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np

from drivers.common.pixels import FORMATS
from lingbot_live.cameras.base import CameraInfo, StreamProfile
from lingbot_live.errors import (
    BadRecordingError,
    CameraBusyError,
    CameraDisconnectedError,
    CameraError,
)
from lingbot_live.frame import (
    DEPTH_NATIVE,
    Calibration,
    ExtraPicture,
    Extrinsics,
    Intrinsics,
    RawDepth,
)
from lingbot_live.recording.bags.rosbag1 import CHUNK, MAGIC, Bag, records

log = logging.getLogger(__name__)

DEPTH_FORMATS = ("Y16", "Z16")
_DEVICE_TOPIC = "/cam/deviceInfo"
_PROFILE_TOPICS = {"/cam/streamProfileType_2": "colour", "/cam/streamProfileType_3": "depth"}
_SENSOR_TOPIC = "/cam/sensor_"
_IMAGE_TOPICS = {"/cam/sensor_2/frameType_2": "color", "/cam/sensor_3/frameType_3": "depth"}
ACCEL_TOPIC = "/cam/sensor_4/frameType_4"
IMU_TOPICS = (ACCEL_TOPIC, "/cam/sensor_5/frameType_7")

# A part of the SDK's message, what it means, what to do.
_ERRORS: tuple[tuple[str, type[CameraError], str], ...] = (
    ("opening file", BadRecordingError, "the file cannot be opened; check path and permissions"),
    ("reading version line", BadRecordingError, "not an Orbbec recording"),
    ("bag file version", BadRecordingError, "recorded by another program or a newer version"),
    ("reading from file", BadRecordingError, "the file is cut short; copy it again"),
    ("map::at", BadRecordingError, "the recording lacks a stream's calibration; record it again"),
    ("busy", CameraBusyError, "another program uses it; close that one"),
    ("permission", CameraError, "install Orbbec's udev rules, then plug it in again"),
    ("access denied", CameraError, "install Orbbec's udev rules, then plug it in again"),
    ("disconnect", CameraDisconnectedError, "plug it in again"),
    ("no device found", CameraDisconnectedError, "plug it in again"),
    ("device is not online", CameraDisconnectedError, "plug it in again"),
)


@contextlib.contextmanager
def explained(ob: Any, who: str) -> Iterator[None]:
    """Turn the SDK's errors, of which some are plain RuntimeErrors, into one of ours."""
    try:
        yield
    except (ob.OBError, RuntimeError) as error:
        text = " ".join(str(error).split())
        for part, kind, advice in _ERRORS:
            if part in text.lower():
                raise kind(f"{who}: {advice} ({text})") from error
        raise CameraError(f"{who}: {text}; plug the camera in again if this stays") from error


# ---- files -----------------------------------------------------------------------------------


def is_orbbec_bag(path: Path) -> bool:
    """Whether a sound bag was recorded by the Orbbec SDK."""
    try:
        return _DEVICE_TOPIC in Bag(path).topics
    except BadRecordingError:
        return False


def data_counts(bag: Bag) -> dict[str, int]:
    """Return how many images a recording holds by stream, and inertial readings if any."""
    counts = bag.counts()
    found = {name: counts.get(topic, 0) for topic, name in _IMAGE_TOPICS.items()}
    imu = sum(counts.get(topic, 0) for topic in IMU_TOPICS)
    return {**found, "imu": imu} if imu else found


def check_bag(path: Path) -> Bag:
    """Return the index of a recording.

    Raises:
        BadRecordingError: it is no bag, is cut short, or no Orbbec camera's.
    """
    bag = Bag(path)
    if _DEVICE_TOPIC not in bag.topics:
        raise BadRecordingError(f"{path}: not recorded by an Orbbec camera; try another driver")
    for topic, name in _PROFILE_TOPICS.items():
        if topic not in bag.topics:
            raise BadRecordingError(f"{path}: no {name} stream in it; record colour and depth")
    return bag


def check_records(path: Path) -> None:
    """Refuse what the SDK would crash or hang on; takes a second for 200,000 records.

    Raises:
        BadRecordingError: a record is damaged.
    """
    try:
        with path.open("rb") as file:
            file.seek(len(MAGIC))
            _check_records(file, path.stat().st_size)
    except (struct.error, KeyError, ValueError) as error:
        raise BadRecordingError(f"{path}: the bag is damaged ({error}); copy it again") from error


def _check_records(file: BinaryIO, end: int) -> None:
    """Step over all records, also those in uncompressed chunks."""
    for fields, size in records(file, end):
        if fields[b"op"][0] != CHUNK:
            continue
        if fields[b"compression"] == b"none":
            if struct.unpack("<I", fields[b"size"])[0] != size:
                raise ValueError("a chunk has two sizes")
            for _ in records(file, file.tell() + size):
                pass


@dataclass(frozen=True)
class Span:
    """Times of a recording on the device's clock."""

    zero_us: int  # of the first data of any sensor, from where the SDK counts its positions
    first_us: int  # of the images
    last_us: int


def span(bag: Bag) -> Span:
    """Return where a recording begins and ends.

    Raises:
        BadRecordingError: there are no images in it.
    """
    zero_ns = bag.start_ns({topic for topic in bag.topics if topic.startswith(_SENSOR_TOPIC)})
    first_ns = bag.start_ns(_IMAGE_TOPICS)
    if zero_ns is None or first_ns is None:
        raise BadRecordingError(f"{bag.path}: no colour and depth in it")
    times_ns = zero_ns, first_ns, bag.end_ns(_IMAGE_TOPICS)
    return Span(*(round(time_ns / 1000) for time_ns in times_ns))


# ---- calibration and images --------------------------------------------------------------------


def intrinsics(profile: Any) -> Intrinsics:
    """Return the calibration of a video stream, distortion in OpenCV's order."""
    k, d = profile.get_intrinsic(), profile.get_distortion()
    lens = (d.k1, d.k2, d.p1, d.p2, d.k3, d.k4, d.k5, d.k6)
    return Intrinsics(k.width, k.height, k.fx, k.fy, k.cx, k.cy, lens if any(lens) else ())


def calibration(color: Any, depth: Any) -> Calibration:
    """Return the calibration of a frame's two stream profiles; the SDK tells millimetres.

    Raises:
        ValueError: it holds no rotation.
        ConfigError: it holds no focal length.
    """
    pose = depth.get_extrinsic_to(color)
    T = np.eye(4)
    T[:3, :3] = np.reshape(pose.rot, (3, 3))
    T[:3, 3] = np.asarray(pose.transform, np.float64) / 1000
    if abs(np.linalg.det(T[:3, :3]) - 1) > 1e-3:
        raise ValueError(f"rotation {np.round(T[:3, :3], 3).tolist()}")
    return Calibration(intrinsics(color), intrinsics(depth), Extrinsics.from_matrix(T))


def to_depth(frame: Any) -> RawDepth | None:
    """Return an owned (H, W) uint16 image in the sensor's units, None if it is cut short."""
    data = np.frombuffer(frame.get_data(), np.uint16)
    width, height = frame.get_width(), frame.get_height()
    return data.reshape(height, width) if data.size == width * height else None


_INFRARED = {"IR": "infrared", "LEFT_IR": "infrared_left", "RIGHT_IR": "infrared_right"}
_INFRARED_TYPES = {"Y8": np.uint8, "Y10": np.uint16, "Y16": np.uint16}


def infrared_sensors(ob: Any, device: Any) -> list[Any]:
    """Return the types of the infrared sensors that a device has."""
    listing = device.get_sensor_list()
    there = [listing.get_type_by_index(i) for i in range(listing.get_count())]
    kinds = [getattr(ob.OBSensorType, f"{name}_SENSOR") for name in _INFRARED]
    return [kind for kind in kinds if kind in there]


def extras(ob: Any, frames: Any, raw: RawDepth) -> dict[str, ExtraPicture]:
    """Copy what a frame set holds beside colour and aligned depth."""
    found: dict[str, ExtraPicture] = {DEPTH_NATIVE: raw.copy()}
    for kind, name in _INFRARED.items():
        frame = frames.get_frame(getattr(ob.OBFrameType, f"{kind}_FRAME"))
        if frame is None:
            continue
        picture = frame.as_video_frame()
        form = _INFRARED_TYPES.get(picture.get_format().name)
        size = (picture.get_height(), picture.get_width())
        if form is not None:
            pixels = np.frombuffer(picture.get_data(), form)
            if pixels.size == size[0] * size[1]:
                found[name] = pixels.reshape(size).copy()
    return found


# ---- devices -----------------------------------------------------------------------------------


def listed(devices: Any, scheme: str) -> list[CameraInfo]:
    """Return what a device list tells without opening a device."""
    found = []
    for i in range(devices.get_count()):
        serial = devices.get_device_serial_number_by_index(i)
        details = {"usb": devices.get_device_connection_type_by_index(i)}
        found.append(
            CameraInfo(scheme, serial, devices.get_device_name_by_index(i), serial, details=details)
        )
    return found


def device_details(info: Any) -> dict[str, str]:
    """Return what an opened device tells of itself, for people."""
    return {"firmware": info.get_firmware_version(), "usb": info.get_connection_type()}


def profiles(ob: Any, pipeline: Any) -> dict[StreamProfile, Any]:
    """Return the usable colour and depth profiles, the preferred format first, with the SDK's."""
    found: dict[StreamProfile, Any] = {}
    sensors = (
        ("color", ob.OBSensorType.COLOR_SENSOR, FORMATS),
        ("depth", ob.OBSensorType.DEPTH_SENSOR, DEPTH_FORMATS),
    )
    for stream, sensor, forms in sensors:
        listing = pipeline.get_stream_profile_list(sensor)
        for i in range(listing.get_count()):
            p = listing.get_stream_profile_by_index(i).as_video_stream_profile()
            form = p.get_format().name
            if form in forms:
                key = StreamProfile(stream, p.get_width(), p.get_height(), float(p.get_fps()), form)
                found.setdefault(key, p)
    order = (*DEPTH_FORMATS, *FORMATS)
    return dict(sorted(found.items(), key=lambda item: order.index(item[0].format)))
