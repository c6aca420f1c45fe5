"""Pictures in files, decoded only after their heads were found to be reasonable."""

from __future__ import annotations

import struct
from typing import Any

import numpy as np
import numpy.typing as npt

from lingbot_live.system.inputs import MOST_PIXELS

__all__ = ["MOST_PIXELS", "decode_picture", "picture_size"]

_MOST_WORK = 1 << 31  # pixels times passes of a progressive JPEG
_PNG = b"\x89PNG\r\n\x1a\n"
_NO_SIZE = (0x01, *range(0xD0, 0xDA))  # markers of a JPEG that stand alone
_FRAMES = {*range(0xC0, 0xD0)} - {0xC4, 0xC8, 0xCC}  # SOF0 to SOF15 (ITU T.81, table B.1)

Picture = npt.NDArray[Any]


def decode_picture(data: bytes | memoryview, reading: int, *, any_kind: bool = False) -> Picture:
    """Decode a JPEG or PNG, or with ``any_kind`` whatever OpenCV knows.

    ``reading`` is OpenCV's word for how; (H, W) or (H, W, 3) come back, colour as BGR.

    Raises:
        ValueError: it is none, damaged, or too large; says which.
    """
    import cv2

    raw = bytes(data)
    size = picture_size(raw)
    if size is None and not any_kind:
        raise ValueError("it is neither JPEG nor PNG, or it is damaged")
    if size is not None:
        _check_size(raw, *size)
    try:
        image = cv2.imdecode(np.frombuffer(raw, np.uint8), reading) if raw else None
    except cv2.error as error:
        raise ValueError(f"it cannot be decoded ({error.err})") from error
    if image is None or image.shape[0] * image.shape[1] > MOST_PIXELS:
        raise ValueError("it cannot be decoded")
    found: Picture = image
    return found


def picture_size(data: bytes) -> tuple[int, int] | None:
    """Return width and height by the head of a JPEG or PNG; None where it is neither."""
    if data[:8] == _PNG and data[12:16] == b"IHDR" and len(data) >= 24:
        width, height = struct.unpack_from(">II", data, 16)
        return width, height
    return _jpeg_size(data) if data[:3] == b"\xff\xd8\xff" else None


def _check_size(raw: bytes, width: int, height: int) -> None:
    if not 0 < width * height <= MOST_PIXELS:
        raise ValueError(f"it says that it has {width}x{height} pixels; {MOST_PIXELS} are read")
    octets = np.frombuffer(raw, np.uint8)  # a tenth of the time of `raw.count`
    # Within a scan, FF is followed by 00.
    passes = np.count_nonzero((octets[:-1] == 0xFF) & (octets[1:] == 0xDA))
    if passes * width * height > _MOST_WORK:
        raise ValueError(f"a JPEG of {width}x{height} in {passes} passes takes too long")


def _jpeg_size(data: bytes) -> tuple[int, int] | None:
    at = 2
    while at + 9 <= len(data):
        if data[at] != 0xFF:
            return None
        marker = data[at + 1]
        if marker in _FRAMES:
            height, width = struct.unpack_from(">HH", data, at + 5)
            return width, height
        if marker == 0xFF:  # filling
            at += 1
        elif marker in _NO_SIZE:
            at += 2
        else:
            at += 2 + struct.unpack_from(">H", data, at + 2)[0]
    return None
