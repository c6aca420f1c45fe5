"""Image files inside messages, and the packings of depth that image_transport knows.

Depth by ``compressedDepth`` has 12 bytes in front: an enum and two floats, A and B. Metres (32FC1)
are kept as ``A / metres + B``, rounded to 16 bit (compressed_depth_image_transport/codec.cpp). The
16 bit lie in a PNG or as RVL.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt

from lingbot_live.cameras.pictures import decode_picture
from lingbot_live.errors import CorruptRecordingError
from lingbot_live.recording import rvl
from lingbot_live.recording.compressed_depth import HEAD
from lingbot_live.recording.foreign.messages import CompressedImage, Data

_LOSSLESS = ("png", "tif", "bmp", "webp")


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
    if len(message.data) <= HEAD.size:
        raise CorruptRecordingError("a depth image is empty")
    if not encoding:
        encoding = "32FC1" if HEAD.unpack_from(message.data)[1] else "16UC1"
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
    if len(data) <= HEAD.size:
        raise CorruptRecordingError("a depth image is empty")
    _, a, b = HEAD.unpack_from(data)
    packed = memoryview(data)[HEAD.size :]
    levels = rvl.unpack(packed) if how.codec == "depth_rvl" else image_file(packed)
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
