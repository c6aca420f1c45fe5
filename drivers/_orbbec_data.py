"""From the Orbbec SDK's types to ours: files, calibration, profiles, images, errors."""

from __future__ import annotations

import contextlib
import logging
import struct
from collections.abc import Iterator
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np

from drivers._pixels import FORMATS
from drivers._recording import check_rosbag, rosbag_counts
from lingbot_live.camera import CameraInfo, StreamProfile
from lingbot_live.errors import (
    BadRecordingError,
    CameraBusyError,
    CameraDisconnectedError,
    CameraError,
)
from lingbot_live.frame import Calibration, Extrinsics, Intrinsics, RawDepth

log = logging.getLogger(__name__)

DEPTH_FORMATS = ("Y16", "Z16")
_DEVICE_TOPIC = "/cam/deviceInfo"
_PROFILE_TOPIC = "/cam/streamProfileType_"
_IMAGE_TOPIC = "/cam/sensor_"
_COLOR_AND_DEPTH = ("2", "3")  # the SDK's stream numbers
_BAG_HEADER = 13  # bytes of the magic line
_CHUNK, _CONNECTION, _MESSAGE = 5, 7, 2  # op codes, see wiki.ros.org/Bags/Format/2.0

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
        return _DEVICE_TOPIC in check_rosbag(path)
    except BadRecordingError:
        return False


def image_counts(path: Path) -> dict[str, int]:
    """Return how many images a sound recording holds by stream, from its index."""
    counts = rosbag_counts(path)
    named = zip(_COLOR_AND_DEPTH, ("color", "depth"), strict=True)
    return {name: counts.get(f"{_IMAGE_TOPIC}{n}/frameType_{n}", 0) for n, name in named}


def check_bag(path: Path) -> None:
    """Refuse what the SDK would crash or hang on.

    Raises:
        BadRecordingError: it is no bag, is damaged, or no Orbbec camera's.
    """
    topics = check_rosbag(path)
    if _DEVICE_TOPIC not in topics:
        raise BadRecordingError(f"{path}: not recorded by an Orbbec camera; try another driver")
    for number, name in zip(_COLOR_AND_DEPTH, ("colour", "depth"), strict=True):
        if _PROFILE_TOPIC + number not in topics:
            raise BadRecordingError(f"{path}: no {name} stream in it; record colour and depth")
    try:
        with path.open("rb") as file:
            file.seek(_BAG_HEADER)
            _walk(file, path.stat().st_size)
    except (struct.error, KeyError, ValueError) as error:
        raise BadRecordingError(f"{path}: the bag is damaged ({error}); copy it again") from error


def _walk(file: BinaryIO, end: int) -> None:
    """Step over the records up to ``end``, looking into uncompressed chunks."""
    while file.tell() < end:
        fields = _header(file, end)
        (size,) = struct.unpack("<I", file.read(4))
        after = file.tell() + size
        if after > end:
            raise ValueError("a record reaches past its end")
        if fields[b"op"][0] == _CHUNK:
            packing = fields[b"compression"]
            if packing == b"bz2":
                raise ValueError("the SDK cannot read bz2; rewrite it with `rosbag decompress`")
            if packing not in (b"none", b"lz4"):
                raise ValueError("unknown compression")
            if packing == b"none":
                if struct.unpack("<I", fields[b"size"])[0] != size:
                    raise ValueError("a chunk has two sizes")
                _walk(file, after)
        file.seek(after)


def _header(file: BinaryIO, end: int) -> dict[bytes, bytes]:
    (size,) = struct.unpack("<I", file.read(4))
    if file.tell() + size > end:
        raise ValueError("a header reaches past its end")
    data, fields, at = file.read(size), {}, 0
    while at < size:
        (length,) = struct.unpack_from("<I", data, at)
        name, sign, value = data[at + 4 : at + 4 + length].partition(b"=")
        if not sign or at + 4 + length > size:
            raise ValueError("a header's field is broken")
        fields[name] = value
        at += 4 + length
    return fields


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
