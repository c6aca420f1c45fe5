"""Writes recordings that the Orbbec SDK plays as one of its cameras.

They are ROS 1 bags with the SDK's own messages. The SDK looks at topic names and checksums, not at
message definitions, so the definitions written here are only fillers.
"""

from __future__ import annotations

import contextlib
import struct
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import cv2
import lz4.frame
import numpy as np
from rosbags.rosbag1 import Writer

from lingbot_live.cameras.base import Camera
from lingbot_live.config import CameraConfig
from lingbot_live.frame import Extrinsics, ImuSample, Intrinsics

PERIOD_US = 33_333
START_US = 2_000_000
_WALL_US = 1_750_000_000_000_000
_LATE_US = 40_000  # images are written so much later than inertial readings of their time

_FILLER = "std_msgs/Header header\n"
_IMAGE = ("sensor_msgs/msg/Image", "060021388200f6f0f447d0fcd9c64743")
_DEVICE = ("custom_msg/msg/OBDeviceInfo", "afef5328bb4abebd1a309e1ea8b26b3a")
_PROFILE = ("custom_msg/msg/OBStreamProfileInfo", "0123456789abcdef" * 2)
_PROPERTY = ("custom_msg/msg/OBProperty", "0123456789abcdef" * 2)
_INERTIAL = ("sensor_msgs/msg/Imu", "6a62c6daae103f4ff57a132d6f95cec2")
_INERTIAL_PROFILE = ("custom_msg/msg/OBImuStreamProfileInfo", "0123456789abcdef" * 2)
_DISPARITY = ("custom_msg/msg/OBDisparityParam", "abcdef0123456789" * 2)

# Format -> number in the SDK, name in the bag, valid bits.
_FORMATS = {
    "MJPG": (5, "mjpg", 8),
    "RGB": (22, "rgb8", 8),
    "BGR": (23, "bgr8", 8),
    "YUYV": (0, "yuyv", 16),
    "Y16": (8, "mono16", 16),
    "Z16": (28, "z16", 16),
    "Y8": (9, "mono8", 8),
}
_BAG_VERSION, _DEPTH_UNIT, _PRECISION = 0, 176, 75  # property numbers
_PRECISION_LEVELS = {1.0: 0, 0.1: 3}


@dataclass(frozen=True)
class Model:
    name: str
    product: int
    chip: str = "MX6600"
    is_stereo: bool = True


GEMINI_335 = Model("Orbbec Gemini 335", 0x0800)
GEMINI_336 = Model("Orbbec Gemini 336", 0x0803)
FEMTO_BOLT = Model("Orbbec Femto Bolt", 0x066B, "", is_stereo=False)

COLOR = Intrinsics(320, 240, 231.5, 232.25, 161.75, 118.5)
DEPTH = Intrinsics(320, 240, 160.5, 160.75, 158.25, 121.0)
POSE = Extrinsics(translation_m=(-0.0145, 0.00025, 0.002))

Pair = tuple[np.ndarray, np.ndarray]  # (H, W, 3) uint8 RGB and (h, w) uint16


@dataclass(frozen=True)
class Bag:
    """What is written, by default a Gemini 335 in millimetres."""

    model: Model = GEMINI_335
    color: Intrinsics = COLOR
    depth: Intrinsics = DEPTH
    pose: Extrinsics | None = POSE
    unit_mm: float = 1.0
    color_format: str = "RGB"
    depth_format: str = "Y16"
    skew_us: int = 0  # depth later than colour
    lz4: bool = False
    without: tuple[str, ...] = ()  # parts left out: "device", "depth profile"
    lost: tuple[int, ...] = ()  # numbers of pairs that the sensor lost
    imu: tuple[ImuSample, ...] = ()  # each of one sensor, in the order of their times
    imu_rate: int = 10  # the SDK's number of 1 kHz
    with_infrared: bool = False  # left and right, of 8 bits

    def write(self, path: Path, pairs: Sequence[Pair]) -> Path:
        writer = Writer(path)
        if self.lz4:
            # What rosbags writes by itself has linked blocks, which the SDK refuses.
            writer.compression_format = "lz4"
            writer.compressor = lambda data: lz4.frame.compress(
                data, block_linked=False, content_checksum=True, store_size=False
            )
        with writer:
            for topic, (kind, checksum), at_us, message in self._messages(pairs):
                known = [c for c in writer.connections if c.topic == topic]
                connection = (
                    known[0]
                    if known
                    else writer.add_connection(topic, kind, msgdef=_FILLER, md5sum=checksum)
                )
                writer.write(connection, at_us * 1000, message)
        return path

    def _messages(self, pairs: Sequence[Pair]) -> Iterable[tuple[str, tuple[str, str], int, bytes]]:
        for number, value in self._properties().items():
            yield (
                "/cam/property",
                _PROPERTY,
                _WALL_US,  # of these alone the SDK notes when they were written
                _head(_WALL_US)
                + struct.pack("<I", number)
                + _blob(value)
                + struct.pack("<I", len(value)),
            )
        for _, topic, kind, at_us, message in sorted(
            [*self._images(pairs), *self._readings()], key=lambda written: written[0]
        ):
            yield topic, kind, at_us, message
        if "device" not in self.without:
            yield "/cam/deviceInfo", _DEVICE, START_US, self._device()
        yield "/cam/streamProfileType_2", _PROFILE, START_US, self._profile(2)
        if "depth profile" not in self.without:
            yield "/cam/streamProfileType_3", _PROFILE, START_US, self._profile(3)
        for stream in (6, 7) if self.with_infrared else ():
            yield f"/cam/streamProfileType_{stream}", _PROFILE, START_US, self._profile(stream)
        for sensor in (4, 5) if self.imu else ():
            profile = _inertial_profile(sensor, self.imu_rate)
            yield f"/cam/streamProfileType_{sensor}", _INERTIAL_PROFILE, START_US, profile
        yield "/cam/disparityParam", _DISPARITY, START_US, _disparity()

    def _images(
        self, pairs: Sequence[Pair]
    ) -> Iterable[tuple[int, str, tuple[str, str], int, bytes]]:
        for number, (rgb, raw) in enumerate(pairs, 1):
            color_us = START_US + (number - 1) * PERIOD_US
            depth_us = color_us + self.skew_us
            images = (
                (2, color_us, self.color, self.color_format, _encoded(rgb, self.color_format)),
                (3, depth_us, self.depth, self.depth_format, raw.tobytes()),
                *(
                    (side, depth_us, self.depth, "Y8", infrared(raw, side).tobytes())
                    for side in ((6, 7) if self.with_infrared else ())
                ),
            )
            for sensor, at_us, k, form, data in images if number not in self.lost else ():
                kind = sensor if sensor < 6 else sensor + 2
                topic = f"/cam/sensor_{sensor}/frameType_{kind}"
                yield at_us + _LATE_US, topic, _IMAGE, at_us, _image(k, form, data, number, at_us)

    def _readings(self) -> Iterable[tuple[int, str, tuple[str, str], int, bytes]]:
        count = Counter[str]()
        for reading in self.imu:
            is_pull = reading.acceleration_m_s2 is not None
            topic = "/cam/sensor_4/frameType_4" if is_pull else "/cam/sensor_5/frameType_7"
            count[topic] += 1
            at_us = reading.device_timestamp_us
            yield at_us, topic, _INERTIAL, at_us, _inertial(reading, count[topic])

    def _properties(self) -> dict[int, bytes]:
        number = struct.Struct("<i").pack
        found = {_BAG_VERSION: struct.pack("<d", 2.1), 42: number(0)}
        if self.model.is_stereo:
            # Depth is depth already, not disparity; filter settings that open without complaint.
            found |= {85: number(1), 3004: number(0), 24: number(0), 41: number(80)}
            found |= {40: number(256), 85 + 0xFFFF: struct.pack("<5i", 1, 1, 0, 1, 1)}
            found[_DEPTH_UNIT] = struct.pack("<f", self.unit_mm)
        else:
            found[_PRECISION] = number(_PRECISION_LEVELS[self.unit_mm])
        return found

    def _device(self) -> bytes:
        m = self.model
        texts = ("fixture-1", "TEST0000042", "1.2.3", "0.1", "2.0.0", "USB3.2")
        return b"".join(
            (
                _head(START_US),
                *map(_text, (m.name, m.name, m.chip)),
                struct.pack("<HH", 0x2BC5, m.product),
                *map(_text, texts),
                struct.pack("<HB", 0, 1),
                _text(""),
                _text(""),
            )
        )

    def _profile(self, stream: int) -> bytes:
        k, form = (
            (self.color, self.color_format) if stream == 2 else (self.depth, self.depth_format)
        )
        form = "Y8" if stream > 5 else form
        rotation, shift_mm = [0.0] * 9, [0.0] * 3
        if stream == 3 and self.pose is not None:
            rotation = [value for row in self.pose.rotation for value in row]
            shift_mm = [value * 1000 for value in self.pose.translation_m]
        k1, k2, p1, p2, k3, k4, k5, k6 = (*k.distortion, *[0.0] * 8)[:8]
        lens = (k1, k2, k3, k4, k5, k6, p1, p2)
        return b"".join(
            (
                _head(START_US),
                struct.pack("<BB", stream, _FORMATS[form][0]),
                struct.pack("<12f", *rotation, *shift_mm),
                struct.pack("<3H", k.width, k.height, 30),
                struct.pack("<12f", k.fx, k.fy, k.cx, k.cy, *lens),
                struct.pack("<B", 4 if any(lens) else 0),
            )
        )


def infrared(raw: np.ndarray, side: int) -> np.ndarray:
    """The picture of the left (6) or the right (7) imager beside a depth image."""
    return (raw // 7 + side).astype(np.uint8)


def _image(k: Intrinsics, form: str, data: bytes, number: int, at_us: int) -> bytes:
    _, name, bits = _FORMATS[form]
    step = 0 if form == "MJPG" else len(data) // k.height
    wall_us = _WALL_US + at_us
    return b"".join(
        (
            _head(at_us),
            struct.pack("<II", k.height, k.width),
            _text(name),
            struct.pack("<BI", 0, step),
            _blob(data),
            struct.pack("<f4Q", 0.0, number, at_us, wall_us, wall_us),
            _blob(b""),
            struct.pack("<IB", 0, bits),
        )
    )


def _inertial(reading: ImuSample, number: int) -> bytes:
    at_us, nowhere = reading.device_timestamp_us, (0.0, 0.0, 0.0)
    pull, turn = reading.acceleration_m_s2 or nowhere, reading.angular_velocity_rad_s or nowhere
    measured = struct.pack("<4f", *(reading.acceleration_m_s2 or turn), 30.0)
    return b"".join(
        (
            _head(at_us),
            struct.pack("<4d9d", *[0.0] * 13),
            struct.pack("<3d9d", *turn, *[0.0] * 9),
            struct.pack("<3d9d", *pull, *[0.0] * 9),
            _blob(measured),
            struct.pack("<IQf", len(measured), number, 30.0),
            struct.pack("<3Q", at_us, _WALL_US + at_us, _WALL_US + at_us),
        )
    )


def _inertial_profile(sensor: int, rate: int) -> bytes:
    """Of 4 g, or 1000 degrees a second."""
    accel, gyro = ((2, rate), (0, 0)) if sensor == 4 else ((0, 0), (7, rate))
    return b"".join(
        (
            _head(START_US),
            struct.pack("<6B", sensor, 12 + sensor, *accel, *gyro),
            struct.pack("<12f", 1, 0, 0, 0, 1, 0, 0, 0, 1, 0, 0, 0),
            struct.pack("<27d", *[0.0] * 27),
        )
    )


def _disparity() -> bytes:
    values = (0.0, 0.0, 50.0, 600.0, 14, 0.1, 0.0, 0, 0.0, 0, 0, 1)
    return _head(START_US) + struct.pack("<ddfdBffBfiiB", *values)


def _encoded(rgb: np.ndarray, form: str) -> bytes:
    bgr = np.ascontiguousarray(rgb[..., ::-1])
    if form == "MJPG":
        return cv2.imencode(".jpg", bgr, [cv2.IMWRITE_JPEG_QUALITY, 95])[1].tobytes()
    if form == "YUYV":
        return cv2.cvtColor(bgr, cv2.COLOR_BGR2YUV_YUY2).tobytes()
    return (rgb if form == "RGB" else bgr).tobytes()


def _head(at_us: int) -> bytes:
    seconds, rest_us = divmod(at_us, 1_000_000)
    return struct.pack("<III", 0, seconds, rest_us * 1000) + _text("")


def _blob(data: bytes) -> bytes:
    return struct.pack("<I", len(data)) + data


def _text(text: str) -> bytes:
    return _blob(text.encode())


@contextlib.contextmanager
def contract_cameras(folder: Path) -> Iterator[dict[str, Callable[[CameraConfig], Camera]]]:
    """Name a maker of cameras for each way this make is reached without hardware."""
    from lingbot_live.cameras import registry

    rgb = np.full((240, 320, 3), (60, 120, 200), np.uint8)
    pairs = [(rgb + np.uint8(i), np.full((240, 320), 1200 + i, np.uint16)) for i in range(20)]
    imu = tuple(ImuSample(START_US + 5_000 * k, (0.5, -9.75, 0.125)) for k in range(-20, 150))
    stereo = Bag(color_format="MJPG", imu=imu).write(folder / "stereo.bag", pairs)
    flight = Bag(FEMTO_BOLT, COLOR, COLOR, Extrinsics()).write(folder / "flight.bag", pairs)
    yield {
        "registered": lambda config: registry.create_camera(f"orbbec:{stereo}", config),
        "aligned": lambda config: registry.create_camera(f"orbbec:{flight}", config),
    }
