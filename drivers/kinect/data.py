"""From the Azure Kinect SDK's types to ours: files, modes, calibration, errors."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from lingbot_live.cameras.base import StreamProfile
from lingbot_live.errors import BadRecordingError
from lingbot_live.frame import Calibration, Extrinsics, ImuSample, Intrinsics
from lingbot_live.system.inputs import from_json

DEPTH_SCALE_M = 0.001  # DEPTH16 is in millimetres in every mode
_EBML = b"\x1a\x45\xdf\xa3"  # first bytes of a Matroska file
_FORMATS = {
    "COLOR_MJPG": "MJPG",
    "COLOR_BGRA32": "BGRA",
    "COLOR_NV12": "NV12",
    "COLOR_YUY2": "YUYV",
}

# Names in pyk4a and sizes in pixels: Azure Kinect DK hardware specifications, "Camera details".
_COLOR = {
    "RES_720P": (1280, 720),
    "RES_1080P": (1920, 1080),
    "RES_1440P": (2560, 1440),
    "RES_1536P": (2048, 1536),
    "RES_2160P": (3840, 2160),
    "RES_3072P": (4096, 3072),
}
_DEPTH = {
    "NFOV_2X2BINNED": (320, 288),
    "NFOV_UNBINNED": (640, 576),
    "WFOV_2X2BINNED": (512, 512),
    "WFOV_UNBINNED": (1024, 1024),
}
_RATES = {"FPS_5": 5.0, "FPS_15": 15.0, "FPS_30": 30.0}
_TOO_FAST = {"RES_3072P", "WFOV_UNBINNED"}  # at 30 fps


def check_matroska(path: Path) -> None:
    """Refuse a file that is no Matroska file by its first bytes.

    Raises:
        BadRecordingError: it is not.
    """
    with path.open("rb") as file:
        if file.read(len(_EBML)) != _EBML:
            raise BadRecordingError(
                f"{path}: not a Matroska recording (its first bytes say so); choose another"
            )


def offered() -> dict[StreamProfile, str]:
    """Return the profiles that every Azure Kinect has, with their names in the SDK."""
    return {
        StreamProfile(stream, *size, fps, form): name
        for stream, sizes, form in (("color", _COLOR, "MJPG"), ("depth", _DEPTH, "DEPTH16"))
        for name, size in sizes.items()
        for fps in _RATES.values()
        if not (fps == 30 and name in _TOO_FAST)
    }


def recorded(configuration: Any) -> tuple[StreamProfile, ...]:
    """Return the colour and depth profile of an open recording, those it has."""
    fps = _RATES[configuration["camera_fps"].name]
    color = _COLOR.get(configuration["color_resolution"].name)
    depth = _DEPTH.get(configuration["depth_mode"].name)
    form = _FORMATS.get(configuration["color_format"].name, "")
    found = []
    if color and configuration["color_track_enabled"]:
        found.append(StreamProfile("color", *color, fps, form))
    if depth and configuration["depth_track_enabled"]:
        found.append(StreamProfile("depth", *depth, fps, "DEPTH16"))
    return tuple(found)


def serial(calibration_raw: str) -> str:
    """Return the serial number that a device's calibration names; empty where it names none."""
    try:
        found = from_json(calibration_raw.rstrip("\0"))["CalibrationInformation"]["Metadata"]
        return str(found["SerialId"])
    except (ValueError, KeyError, TypeError):
        return ""


def imu_sample(told: Mapping[str, Any]) -> ImuSample:
    """Return what the SDK tells as a dictionary, already in m/s2 and rad/s."""
    (ax, ay, az), (gx, gy, gz) = (map(float, told[key]) for key in ("acc_sample", "gyro_sample"))
    return ImuSample(int(told["acc_timestamp"]), (ax, ay, az), (gx, gy, gz))


def calibration(k4a: Any, source: Any, color: StreamProfile, depth: StreamProfile) -> Calibration:
    """Return the calibration of a mode; the SDK's Python part gives metres and OpenCV's order."""
    kinds = k4a.CalibrationType
    rotation, translation_m = source.get_extrinsic_parameters(kinds.DEPTH, kinds.COLOR)
    T = np.eye(4)
    T[:3, :3] = rotation
    T[:3, 3] = np.ravel(translation_m)
    return Calibration(
        _intrinsics(source, kinds.COLOR, color),
        _intrinsics(source, kinds.DEPTH, depth),
        Extrinsics.from_matrix(T),
    )


def _intrinsics(source: Any, kind: Any, profile: StreamProfile) -> Intrinsics:
    k = source.get_camera_matrix(kind)
    lens = tuple(float(value) for value in source.get_distortion_coefficients(kind))
    size = profile.width, profile.height
    values = float(k[0, 0]), float(k[1, 1]), float(k[0, 2]), float(k[1, 2])
    return Intrinsics(*size, *values, lens if any(lens) else ())
