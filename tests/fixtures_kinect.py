"""Writes Azure Kinect recordings with the recorder that pyk4a brings along, without a camera."""

from __future__ import annotations

import contextlib
import ctypes
import json
import os
from collections.abc import Callable, Iterator, Sequence
from ctypes import (
    POINTER,
    byref,
    c_bool,
    c_char_p,
    c_int,
    c_int32,
    c_size_t,
    c_uint32,
    c_uint64,
    c_void_p,
)  # fmt: skip
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from lingbot_live.cameras.base import Camera
from lingbot_live.config import CameraConfig
from lingbot_live.frame import ImuSample

Handle = c_void_p
PERIOD_US = 33_333
START_US = 500_000
_MJPG, _BGRA, _DEPTH16, _IR16 = 0, 3, 4, 5  # k4a_image_format_t
_720P, _NFOV_2X2, _30_FPS = 1, 1, 2
COLOR_SIZE, DEPTH_SIZE = (1280, 720), (320, 288)

Pair = tuple[np.ndarray | None, np.ndarray | None]  # (720, 1280, 3) RGB and (288, 320) uint16


class _Settings(ctypes.Structure):
    _fields_ = [
        ("color_format", c_int),
        ("color_resolution", c_int),
        ("depth_mode", c_int),
        ("camera_fps", c_int),
        ("synchronized_images_only", c_bool),
        ("depth_delay_off_color_usec", c_int32),
        ("wired_sync_mode", c_int),
        ("subordinate_delay_off_master_usec", c_uint32),
        ("disable_streaming_indicator", c_bool),
    ]


class _ImuSample(ctypes.Structure):
    _fields_ = [
        ("temperature", ctypes.c_float),
        ("acceleration", ctypes.c_float * 3),
        ("acceleration_us", c_uint64),
        ("turn", ctypes.c_float * 3),
        ("turn_us", c_uint64),
    ]


@dataclass(frozen=True)
class Lens:
    """As the camera's own file states it: in units of the image size, and the lens model."""

    cx: float
    cy: float
    fx: float
    fy: float
    k: tuple[float, ...] = (0.0,) * 6
    codx: float = 0.0
    cody: float = 0.0
    p2: float = 0.0
    p1: float = 0.0


@dataclass(frozen=True)
class Rig:
    """An invented camera; by default both lenses look the same way from the same place."""

    depth: Lens = Lens(0.5012, 0.4987, 0.4921, 0.4924)
    color: Lens = Lens(0.4991, 0.5013, 0.4778, 0.6371)
    rotation: tuple[float, ...] = (1.0, 0, 0, 0, 1.0, 0, 0, 0, 1.0)
    translation_m: tuple[float, float, float] = (0.0, 0.0, 0.0)

    def json(self) -> bytes:
        identity = Rig.rotation
        cameras = [
            _camera("D0", "Depth", self.depth, 1024, 1024, identity, (0.0, 0.0, 0.0)),
            _camera("PV0", "PhotoVideo", self.color, 4096, 3072, self.rotation, self.translation_m),
        ]
        sensors = [_inertial("Gyro"), _inertial("Accelerometer")]
        return json.dumps(
            {"CalibrationInformation": {"Cameras": cameras, "InertialSensors": sensors}}
        ).encode()


def _camera(
    place: str,
    purpose: str,
    lens: Lens,
    width: int,
    height: int,
    rotation: Sequence[float],
    translation_m: Sequence[float],
) -> dict[str, Any]:
    values = (lens.cx, lens.cy, lens.fx, lens.fy, *lens.k, lens.codx, lens.cody, lens.p2, lens.p1)
    return {
        "Intrinsics": {
            "ModelParameterCount": 14,
            "ModelParameters": values,
            "ModelType": "CALIBRATION_LensDistortionModelBrownConrady",
        },
        "Location": f"CALIBRATION_CameraLocation{place}",
        "Purpose": f"CALIBRATION_CameraPurpose{purpose}",
        "MetricRadius": 1.7,
        "Rt": {"Rotation": rotation, "Translation": translation_m},
        "SensorWidth": width,
        "SensorHeight": height,
        "Shutter": "CALIBRATION_ShutterTypeUndefined",
        "ThermalAdjustmentParams": {"Params": [0.0] * 12},
    }


def _inertial(kind: str) -> dict[str, Any]:
    # Polynomials in temperature, four terms a value; the mixing matrix is the identity.
    mixing = [[1.0 if axis % 4 == 0 else 0.0, 0.0, 0.0, 0.0] for axis in range(9)]
    return {
        "BiasTemperatureModel": [0.0] * 12,
        "BiasUncertainty": [1e-4] * 3,
        "Id": "CALIBRATION_InertialSensorId_LSM6DSM",
        "MixingMatrixTemperatureModel": [value for term in mixing for value in term],
        "ModelTypeMask": 16,
        "Noise": [1e-3] * 6,
        "Rt": {"Rotation": Rig.rotation, "Translation": [0.0, 0.0, 0.0]},
        "SecondOrderScaling": [0.0] * 9,
        "SensorType": f"CALIBRATION_InertialSensorType_{kind}",
        "TemperatureBounds": [5, 60],
        "TemperatureC": 0,
    }


@cache
def _libraries() -> tuple[ctypes.CDLL, ctypes.CDLL]:
    from drivers.kinect.camera import sdk

    # As the drivers do: where its messages go is settled by its first use.
    folder = Path(sdk().__file__).parent.parent / "pyk4a_bundle.libs"
    camera, recorder = (
        ctypes.CDLL(str(next(folder.glob(f"{name}-*")))) for name in ("libk4a", "libk4arecord")
    )
    signatures: dict[ctypes.CDLL, dict[str, tuple[Any, ...]]] = {
        recorder: {
            "k4a_playback_open": (c_char_p, POINTER(Handle)),
            "k4a_record_create": (c_char_p, Handle, _Settings, POINTER(Handle)),
            "k4a_record_add_attachment": (Handle, c_char_p, c_char_p, c_size_t),
            "k4a_record_add_imu_track": (Handle,),
            "k4a_record_write_imu_sample": (Handle, _ImuSample),
            "k4a_record_write_header": (Handle,),
            "k4a_record_write_capture": (Handle, Handle),
            "k4a_record_flush": (Handle,),
            "k4a_record_close": (Handle,),
        },
        camera: {
            "k4a_capture_create": (POINTER(Handle),),
            "k4a_capture_release": (Handle,),
            "k4a_capture_set_color_image": (Handle, Handle),
            "k4a_capture_set_depth_image": (Handle, Handle),
            "k4a_capture_set_ir_image": (Handle, Handle),
            "k4a_image_create_from_buffer": (
                *[c_int] * 4, Handle, c_size_t, Handle, Handle, POINTER(Handle),
            ),
            "k4a_image_release": (Handle,),
            "k4a_image_set_device_timestamp_usec": (Handle, c_uint64),
        },
    }  # fmt: skip
    for library, functions in signatures.items():
        for name, arguments in functions.items():
            getattr(library, name).argtypes = arguments
    return camera, recorder


@dataclass(frozen=True)
class Recording:
    """What is written."""

    rig: Rig | None = Rig()  # None: a file without calibration
    is_bgra: bool = False
    skew_us: int = 0  # depth later than colour
    lost: tuple[int, ...] = ()  # places of captures that the sensor lost, from 0
    imu: Sequence[ImuSample] = ()

    def write(self, path: Path, pairs: Sequence[Pair]) -> Path:
        _, recorder = _libraries()
        handle = Handle()
        form = _BGRA if self.is_bgra else _MJPG
        settings = _Settings(form, _720P, _NFOV_2X2, _30_FPS, False, 0, 0, 0, False)
        _check(recorder.k4a_record_create(os.fsencode(path), None, settings, byref(handle)))
        if self.rig is not None:
            text = self.rig.json() + b"\0"
            _check(recorder.k4a_record_add_attachment(handle, b"calibration.json", text, len(text)))
        if self.imu:
            _check(recorder.k4a_record_add_imu_track(handle))
        _check(recorder.k4a_record_write_header(handle))
        left = [*self.imu]
        for i, pair in enumerate(pairs):
            at_us = START_US + i * PERIOD_US
            while left and left[0].device_timestamp_us <= at_us:
                _write_reading(handle, left.pop(0))
            if i not in self.lost:
                self._write(handle, at_us, pair)
        for sample in left:
            _write_reading(handle, sample)
        _check(recorder.k4a_record_flush(handle))
        recorder.k4a_record_close(handle)
        return path

    def _write(self, recording: Handle, at_us: int, pair: Pair) -> None:
        camera, recorder = _libraries()
        capture = Handle()
        _check(camera.k4a_capture_create(byref(capture)))
        rgb, raw = pair
        images = []
        if rgb is not None:
            images.append(("color", self._color(rgb), at_us))
        if raw is not None:
            stamp_us = at_us + self.skew_us
            images.append(("depth", (raw, _DEPTH16, DEPTH_SIZE, 2), stamp_us))
            images.append(("ir", (raw, _IR16, DEPTH_SIZE, 2), stamp_us))
        kept = [self._attach(capture, kind, image, us) for kind, image, us in images]
        _check(recorder.k4a_record_write_capture(recording, capture))
        _check(recorder.k4a_record_flush(recording))
        camera.k4a_capture_release(capture)
        del kept

    def _color(self, rgb: np.ndarray) -> tuple[np.ndarray, int, tuple[int, int], int]:
        if self.is_bgra:
            return cv2.cvtColor(rgb, cv2.COLOR_RGB2BGRA), _BGRA, COLOR_SIZE, 4
        bgr = cv2.cvtColor(rgb, cv2.COLOR_RGB2BGR)
        jpeg = cv2.imencode(".jpg", bgr, [cv2.IMWRITE_JPEG_QUALITY, 95])[1]
        return jpeg, _MJPG, COLOR_SIZE, 0

    @staticmethod
    def _attach(capture: Handle, kind: str, image: tuple[Any, ...], at_us: int) -> np.ndarray:
        """Hand an image over; the array returned must outlive the capture."""
        camera, _ = _libraries()
        pixels, form, (width, height), depth = image
        data = np.ascontiguousarray(pixels)
        out = Handle()
        _check(
            camera.k4a_image_create_from_buffer(
                form, width, height, width * depth, data.ctypes.data, data.nbytes, None, None,
                byref(out),
            )
        )  # fmt: skip
        camera.k4a_image_set_device_timestamp_usec(out, at_us)
        getattr(camera, f"k4a_capture_set_{kind}_image")(capture, out)
        camera.k4a_image_release(out)
        return data


def complain(path: str) -> None:
    """Make the SDK log an error that names this path; lets other threads run meanwhile."""
    _, recorder = _libraries()
    assert recorder.k4a_playback_open(os.fsencode(path), byref(Handle())) != 0


def _write_reading(recording: Handle, sample: ImuSample) -> None:
    at_us = sample.device_timestamp_us
    pull, turn = ((ctypes.c_float * 3)(*v) for v in (
        sample.acceleration_m_s2 or (), sample.angular_velocity_rad_s or ()))  # fmt: skip
    data = _ImuSample(30.0, pull, at_us, turn, at_us)
    _check(_libraries()[1].k4a_record_write_imu_sample(recording, data))


def _check(result: int) -> None:
    if result != 0:
        raise RuntimeError(f"the recorder refused: {result}")


@contextlib.contextmanager
def contract_cameras(folder: Path) -> Iterator[dict[str, Callable[[CameraConfig], Camera]]]:
    """Name a maker of cameras for each way this make is reached without hardware."""
    from lingbot_live.cameras import registry

    rgb = np.full((*COLOR_SIZE[::-1], 3), (60, 120, 200), np.uint8)
    raw = np.full(DEPTH_SIZE[::-1], 1200, np.uint16)
    path = Recording().write(
        folder / "contract.mkv", [(rgb, raw + np.uint16(i)) for i in range(15)]
    )
    yield {"recording": lambda config: registry.create_camera(f"kinect:{path}", config)}
