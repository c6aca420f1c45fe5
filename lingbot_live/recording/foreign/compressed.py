"""Image files inside messages, and the packings of depth that image_transport knows.

Depth by ``compressedDepth`` has 12 bytes in front: an enum and two floats, A and B. Metres (32FC1)
are kept as ``A / metres + B``, rounded to 16 bit (compressed_depth_image_transport/codec.cpp). The
16 bit lie in a PNG or as RVL (A. D. Wilson, "Fast Lossless Depth Image Compression", ISS 2017).
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt

from lingbot_live.cameras.pictures import MOST_PIXELS, decode_picture
from lingbot_live.errors import CorruptRecordingError
from lingbot_live.recording.foreign.messages import CompressedImage, Data

_HEAD = struct.Struct("<iff")
_SIZE = struct.Struct("<ii")
_LOSSLESS = ("png", "tif", "bmp", "webp")
_MOST_NIBBLES = 6  # of one number in RVL: 18 bits, where 17 are needed


@dataclass(frozen=True, slots=True)
class Packing:
    """How a ``CompressedImage`` is packed."""

    encoding: str  # of the pixels
    codec: str  # png (or another image file), jpeg, depth_png, depth_rvl
    quality: int  # the least is the best; 0 is for images that are not packed

    @property
    def is_lossy(self) -> bool:
        """Whether pixels differ from those that were packed."""
        return self.codec == "jpeg"


def packing(message: CompressedImage, topic: str) -> Packing:
    """Tell how a message is packed, by its format and, where that says little, its content.

    Raises:
        CorruptRecordingError: in no way that is known.
    """
    before, semicolon, after = message.format.partition(";")
    encoding, how = (before.strip(), after.lower()) if semicolon else ("", before.lower())
    if "compresseddepth" in how or topic.endswith("/compressedDepth"):
        return _depth_packing(message, encoding, how)
    if "jpeg" in how or "jpg" in how:
        return Packing(encoding or "bgr8", "jpeg", 5)
    if any(name in how for name in _LOSSLESS):
        return Packing(encoding or _told_by(image_file(message.data)), "png", 3)
    raise CorruptRecordingError(f"{topic}: images packed as {message.format!r} are not read")


def _depth_packing(message: CompressedImage, encoding: str, how: str) -> Packing:
    if len(message.data) <= _HEAD.size:
        raise CorruptRecordingError("a depth image is empty")
    if not encoding:
        encoding = "32FC1" if _HEAD.unpack_from(message.data)[1] else "16UC1"
    if encoding == "32FC1":
        return Packing(encoding, "depth_rvl" if "rvl" in how else "depth_png", 4)
    if encoding not in ("16UC1", "mono16"):
        raise CorruptRecordingError(f"depth packed as {encoding!r} is not read")
    return Packing("16UC1", "depth_rvl", 2) if "rvl" in how else Packing("16UC1", "depth_png", 1)


def _told_by(image: npt.NDArray[Any]) -> str:
    if image.ndim == 2:
        return {"uint16": "mono16", "float32": "32FC1"}.get(image.dtype.name, "mono8")
    return "bgr8"


def image_file(data: Data, reading: int = cv2.IMREAD_UNCHANGED) -> npt.NDArray[Any]:
    """Decode a PNG, JPEG or TIFF as OpenCV does, colour as BGR.

    Raises:
        CorruptRecordingError: it is none, empty, damaged, or larger than any camera's.
    """
    try:
        return decode_picture(data, reading | cv2.IMREAD_IGNORE_ORIENTATION, any_kind=True)
    except ValueError as error:
        raise CorruptRecordingError(f"an image: {error}") from error


def compressed_depth(data: Data, how: Packing) -> npt.NDArray[Any]:
    """Unpack ``compressedDepth``: (H, W) uint16 as it was, or float32 metres, 0 for nothing.

    Raises:
        CorruptRecordingError: it is empty or damaged.
    """
    if len(data) <= _HEAD.size:
        raise CorruptRecordingError("a depth image is empty")
    _, a, b = _HEAD.unpack_from(data)
    packed = memoryview(data)[_HEAD.size :]
    levels = rvl(packed) if how.codec == "depth_rvl" else image_file(packed)
    if levels.dtype != np.uint16 or levels.ndim != 2:
        raise CorruptRecordingError("a depth image is not of 16 bit")
    if how.encoding != "32FC1":
        return levels
    if not (np.isfinite(a) and np.isfinite(b) and a > 0):
        raise CorruptRecordingError(f"a depth image was quantised with A {a}, B {b}")
    above = levels.astype(np.float32) - np.float32(b)
    metres = np.zeros(levels.shape, np.float32)
    np.divide(np.float32(a), above, out=metres, where=(levels > 0) & (above > 0))
    return metres


def rvl(data: Data) -> npt.NDArray[np.uint16]:
    """Unpack RVL with its size in front: two int32, width and height.

    Raises:
        CorruptRecordingError: it is damaged.
    """
    if len(data) < _SIZE.size:
        raise CorruptRecordingError("a depth image is empty")
    width, height = _SIZE.unpack_from(data)
    if not (0 < width <= MOST_PIXELS and 0 < height <= MOST_PIXELS // width):
        raise CorruptRecordingError(f"a depth image says it is {width}x{height}")
    numbers = _numbers(memoryview(data)[_SIZE.size :])
    steps_at, places = _runs(numbers, width * height)
    steps = numbers[steps_at].astype(np.int64)
    values = np.cumsum((steps >> 1) ^ -(steps & 1))
    image = np.zeros(width * height, np.uint16)
    image[places] = values.astype(np.uint16)
    return image.reshape(height, width)


def _numbers(packed: memoryview) -> npt.NDArray[np.int64]:
    """Return all numbers: nibbles of 3 bits, the lowest first, the fourth bit says "goes on"."""
    words = np.frombuffer(packed[: len(packed) // 4 * 4], "<u4")
    nibbles = ((words[:, None] >> np.arange(28, -4, -4, dtype=np.uint32)) & 15).ravel()
    last = np.flatnonzero(nibbles < 8)
    first = np.concatenate([[0], last[:-1] + 1])[: len(last)]
    length = last - first + 1
    values: npt.NDArray[np.int64] = (nibbles[first] & 7).astype(np.int64)
    longer = np.flatnonzero(length > 1)
    for at in range(1, _MOST_NIBBLES):
        values[longer] |= (nibbles[first[longer] + at].astype(np.int64) & 7) << (3 * at)
        longer = longer[length[longer] > at + 1]
    return values


def _runs(
    numbers: npt.NDArray[np.int64], pixels: int
) -> tuple[npt.NDArray[np.intp], npt.NDArray[np.intp]]:
    """Return which numbers are steps of depth, and the pixel of each.

    Numbers go: how many pixels are 0, how many are not, a step for each of those, and so on.
    """
    at = pixel = 0
    runs: list[tuple[int, int, int]] = []  # first number, first pixel, how many
    end, values = len(numbers), numbers.tolist()
    while pixel < pixels:
        if at + 2 > end:
            raise CorruptRecordingError("a depth image ends too early")
        zeros, count = values[at], values[at + 1]
        at, pixel = at + 2, pixel + zeros
        if pixel + count > pixels or at + count > end or not zeros + count:
            raise CorruptRecordingError("a depth image is damaged")
        runs.append((at, pixel, count))
        at, pixel = at + count, pixel + count
    first, place, count = np.array(runs).T
    within = np.arange(count.sum()) - np.repeat(np.cumsum(count) - count, count)
    return np.repeat(first, count) + within, np.repeat(place, count) + within
