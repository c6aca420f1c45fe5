"""ROS 2 messages to bytes and back: XCDR version 1, as ROS 2 writes it.

Only the messages of a session file, so that an image costs one copy and no reflection.
Alignment counts from the end of the 4-byte header (OMG XTypes 1.3, 7.4.3).
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from lingbot_live.errors import ConfigError, CorruptRecordingError
from lingbot_live.frame import Extrinsics, ImuSample, Intrinsics, Vector

_LITTLE = b"\x00\x01\x00\x00"
DISTORTION_MODELS = {0: "", 4: "plumb_bob", 5: "plumb_bob", 8: "rational_polynomial"}


@dataclass(frozen=True, slots=True)
class Header:
    """Time in nanoseconds since 1970 and the coordinate frame."""

    stamp_ns: int
    frame_id: str


@dataclass(frozen=True, slots=True)
class Image:
    """A decoded ``sensor_msgs/msg/Image``; ``data`` is flat uint8, at least height * step."""

    header: Header
    height: int
    width: int
    encoding: str
    is_bigendian: bool
    step: int  # bytes from one row to the next
    data: npt.NDArray[np.uint8]

    @property
    def rows(self) -> npt.NDArray[np.uint8]:
        """The (H, step) bytes."""
        return self.data[: self.height * self.step].reshape(self.height, self.step)


class Writer:
    """Appends values with CDR's alignment."""

    def __init__(self) -> None:
        self._data = bytearray(_LITTLE)

    def put(self, code: str, *values: float) -> Writer:
        """Append equal numbers of `struct`'s ``code``, aligned to their size."""
        size = struct.calcsize(code)
        self._data += b"\0" * (-(len(self._data) - 4) % size)
        self._data += struct.pack(f"<{len(values)}{code}", *values)
        return self

    def text(self, value: str) -> Writer:
        """Append a string: its length with the closing zero, then both."""
        data = value.encode() + b"\0"
        self.put("I", len(data))
        self._data += data
        return self

    def header(self, header: Header) -> Writer:
        """Append a ``std_msgs/Header``."""
        sec, nanosec = divmod(header.stamp_ns, 1_000_000_000)
        return self.put("i", sec).put("I", nanosec).text(header.frame_id)

    def end(self, payload: bytes | memoryview = b"") -> bytes:
        """Return all of it, with a byte sequence's ``payload`` last."""
        return b"".join((self._data, payload))


class Reader:
    """Takes values off a message; every length is checked before it is used.

    Raises:
        CorruptRecordingError: from any method, when the message ends too early.
    """

    def __init__(self, data: bytes | memoryview) -> None:
        if len(data) < 4 or data[1] not in (0, 1):
            raise CorruptRecordingError("a message is not CDR")
        self._order = "<" if data[1] else ">"
        self._data = memoryview(data)[4:]
        self._at = 0

    def take(self, code: str, count: int = 1) -> tuple[float, ...]:
        """Return ``count`` numbers of `struct`'s ``code``."""
        size = struct.calcsize(code)
        start = self._at + self._padding(size)
        self._at = start + size * count
        if self._at > len(self._data):
            raise CorruptRecordingError("a message ends too early")
        return struct.unpack_from(f"{self._order}{count}{code}", self._data, start)

    def _padding(self, size: int) -> int:
        """Return how many bytes come before a number of a size."""
        return -self._at % size

    def number(self, code: str = "I") -> int:
        """Return one integer."""
        return int(self.take(code)[0])

    def octets(self) -> memoryview:
        """Return a byte sequence, not copied."""
        size = self.number()
        if size > len(self._data) - self._at:
            raise CorruptRecordingError("a message ends too early")
        self._at += size
        return self._data[self._at - size : self._at]

    def text(self) -> str:
        """Return a string."""
        return bytes(self.octets()).rstrip(b"\0").decode("utf-8", "replace")

    def header(self) -> Header:
        """Return a ``std_msgs/Header``."""
        sec, nanosec = self.number("i"), self.number()
        return Header(sec * 1_000_000_000 + nanosec, self.text())


def encode_image(header: Header, encoding: str, image: npt.NDArray[np.generic]) -> bytes:
    """Encode an (H, W) or (H, W, 3) array as ``sensor_msgs/msg/Image``."""
    rows = np.ascontiguousarray(image)
    height, width = rows.shape[:2]
    step = rows.nbytes // height
    head = Writer().header(header).put("I", height, width).text(encoding).put("B", 0)
    return head.put("I", step, rows.nbytes).end(rows.data.cast("B"))


def decode_image(data: bytes | memoryview | Reader) -> Image:
    """Decode ``sensor_msgs/msg/Image``; its pixels are not copied."""
    reader = _reader(data)
    header = reader.header()
    height, width = reader.number(), reader.number()
    encoding, big = reader.text(), bool(reader.number("B"))
    step, pixels = reader.number(), reader.octets()
    if not height or not width or step < width or height * step > len(pixels):
        raise CorruptRecordingError(
            f"an image of {width}x{height}, {step} bytes a row, has {len(pixels)} bytes"
        )
    return Image(header, height, width, encoding, big, step, np.frombuffer(pixels, np.uint8))


def encode_compressed(header: Header, kind: str, data: bytes) -> bytes:
    """Encode ``sensor_msgs/msg/CompressedImage`` of kind ``jpeg`` or ``png``."""
    return Writer().header(header).text(kind).put("I", len(data)).end(data)


def decode_compressed(data: bytes | memoryview | Reader) -> tuple[Header, str, memoryview]:
    """Return header, format and the compressed bytes."""
    reader = _reader(data)
    return reader.header(), reader.text(), reader.octets()


def encode_video(header: Header, codec: str, data: bytes) -> bytes:
    """Encode ``foxglove_msgs/msg/CompressedVideo`` of a codec such as ``h264``."""
    head = Writer().header(header).put("I", len(data)).end(data)
    tail = codec.encode() + b"\0"
    return head + b"\0" * (-(len(head) - 4) % 4) + struct.pack("<I", len(tail)) + tail


def decode_video(data: bytes | memoryview) -> tuple[str, memoryview]:
    """Return codec and packed picture of ``foxglove_msgs/msg/CompressedVideo``."""
    reader = Reader(data)
    reader.header()
    packed = reader.octets()
    return reader.text(), packed


def encode_camera_info(header: Header, intrinsics: Intrinsics) -> bytes:
    """Encode ``sensor_msgs/msg/CameraInfo`` of a colour image."""
    i, d = intrinsics, intrinsics.distortion
    k = (i.fx, 0.0, i.cx, 0.0, i.fy, i.cy, 0.0, 0.0, 1.0)
    r = (1.0, 0.0, 0.0, 0.0, 1.0, 0.0, 0.0, 0.0, 1.0)
    p = (i.fx, 0.0, i.cx, 0.0, 0.0, i.fy, i.cy, 0.0, 0.0, 0.0, 1.0, 0.0)
    writer = Writer().header(header).put("I", i.height, i.width).text(DISTORTION_MODELS[len(d)])
    writer.put("I", len(d)).put("d", *d).put("d", *k, *r, *p)
    return writer.put("I", 0, 0, 0, 0, 0, 0).put("B", 0).end()


def decode_camera_info(data: bytes | memoryview) -> tuple[Header, Intrinsics | None]:
    """Return the header and the intrinsics; None where the camera is uncalibrated (k[0] = 0).

    Distortion models that `Intrinsics` cannot hold are left out.
    """
    reader = Reader(data)
    header = reader.header()
    height, width = reader.number(), reader.number()
    model = reader.text()
    distortion = reader.take("d", reader.number())
    k = reader.take("d", 9)
    if k[0] <= 0 or k[4] <= 0 or not width or not height:
        return header, None
    known = model in DISTORTION_MODELS.values() and len(distortion) in DISTORTION_MODELS
    try:
        return header, Intrinsics(
            width, height, k[0], k[4], k[2], k[5], distortion if known else ()
        )  # fmt: skip
    except ConfigError as error:
        raise CorruptRecordingError(f"a camera's calibration: {error}") from error


def encode_transform(header: Header, child: str, transform: Extrinsics) -> bytes:
    """Encode ``tf2_msgs/msg/TFMessage``: ``transform`` maps points of ``child`` to the header."""
    writer = Writer().put("I", 1).header(header).text(child)
    return writer.put("d", *transform.translation_m, *transform.quaternion).end()


def encode_poses(header: Header, poses: Sequence[Extrinsics]) -> bytes:
    """Encode ``geometry_msgs/msg/PoseArray``: each maps points of its own axes to the header's."""
    writer = Writer().header(header).put("I", len(poses))
    for pose in poses:
        writer.put("d", *pose.translation_m, *pose.quaternion)
    return writer.end()


def decode_poses(data: bytes | memoryview) -> tuple[Header, list[Extrinsics]]:
    """Return header and poses of ``geometry_msgs/msg/PoseArray``."""
    reader = Reader(data)
    header, count = reader.header(), reader.number()
    values = np.reshape(reader.take("d", 7 * count), (count, 7)).tolist()
    return header, [rigid(tuple(each[:3]), tuple(each[3:])) for each in values]


def rigid(translation_m: tuple[float, ...], quaternion: tuple[float, ...]) -> Extrinsics:
    """Return the transform of a translation and a quaternion x, y, z, w of any length but 0.

    Raises:
        CorruptRecordingError: the quaternion has no length.
    """
    length = float(np.linalg.norm(quaternion))
    if not (np.isfinite(length) and length > 1e-6 and np.isfinite(translation_m).all()):
        raise CorruptRecordingError(f"a transform turns by {quaternion}")
    x, y, z, w = (value / length for value in quaternion)
    turn = (
        (1 - 2 * (y * y + z * z), 2 * (x * y - z * w), 2 * (x * z + y * w)),
        (2 * (x * y + z * w), 1 - 2 * (x * x + z * z), 2 * (y * z - x * w)),
        (2 * (x * z - y * w), 2 * (y * z + x * w), 1 - 2 * (x * x + y * y)),
    )
    return Extrinsics(turn, (translation_m[0], translation_m[1], translation_m[2]))


def encode_imu(header: Header, sample: ImuSample) -> bytes:
    """Encode ``sensor_msgs/msg/Imu``; a covariance of -1 marks what is not measured."""
    writer = Writer().header(header).put("d", 0.0, 0.0, 0.0, 1.0, -1.0, *[0.0] * 8)
    for vector in (sample.angular_velocity_rad_s, sample.acceleration_m_s2):
        writer.put("d", *(vector or (0.0, 0.0, 0.0)), 0.0 if vector else -1.0, *[0.0] * 8)
    return writer.end()


def decode_imu(data: bytes | memoryview, stamp_us: Callable[[int], int]) -> ImuSample:
    """Decode ``sensor_msgs/msg/Imu``; ``stamp_us`` turns the header's time into the device's."""
    reader = Reader(data)
    header = reader.header()
    reader.take("d", 13)  # no camera measures its orientation
    turn, pull = (_measured(reader.take("d", 12)) for _ in range(2))
    return ImuSample(stamp_us(header.stamp_ns), pull, turn)


def _measured(values: Sequence[float]) -> Vector | None:
    return None if values[3] == -1 else (values[0], values[1], values[2])


def encode_text(text: str) -> bytes:
    """Encode ``std_msgs/msg/String``."""
    return Writer().text(text).end()


def decode_text(data: bytes | memoryview | Reader) -> str:
    """Decode ``std_msgs/msg/String``."""
    return _reader(data).text()


def _reader(data: bytes | memoryview | Reader) -> Reader:
    return data if isinstance(data, Reader) else Reader(data)


def decode_bytes(data: bytes | memoryview) -> npt.NDArray[np.uint8]:
    """Decode ``std_msgs/msg/UInt8MultiArray`` without a layout; not copied."""
    reader = Reader(data)
    if reader.number() or reader.number():
        raise CorruptRecordingError("an array with a layout is none of ours")
    return np.frombuffer(reader.octets(), np.uint8)


def pixels(image: Image, dtype: npt.DTypeLike, channels: int = 1) -> npt.NDArray[Any]:
    """Return an image's (H, W) or (H, W, C) array of ``dtype``, owned and in native order."""
    kind = np.dtype(dtype)
    size = image.width * channels * kind.itemsize
    if image.step < size:
        raise CorruptRecordingError(f"an image of {image.encoding} has rows too short for it")
    rows = np.ascontiguousarray(image.rows[:, :size]).view(
        kind.newbyteorder(">" if image.is_bigendian else "<")
    )
    shape: Sequence[int] = (image.height, image.width, channels)[: 2 if channels == 1 else 3]
    return rows.reshape(shape).astype(kind, copy=not rows.flags.owndata)
