"""Pictures in messages of a session file, unpacked."""

from __future__ import annotations

import cv2
import numpy as np
import numpy.typing as npt

from lingbot_live.cameras.pictures import decode_picture
from lingbot_live.errors import CorruptRecordingError
from lingbot_live.frame import ColorImage, Mask, TrustMap


def decode_color(data: memoryview, reading: int = cv2.IMREAD_COLOR) -> ColorImage:
    """Decode a JPEG or PNG to (H, W, 3) RGB; ``reading`` is OpenCV's word for how.

    Raises:
        CorruptRecordingError: it is neither, or damaged.
    """
    try:
        bgr = decode_picture(data, reading | cv2.IMREAD_IGNORE_ORIENTATION)
    except ValueError as error:
        raise CorruptRecordingError(f"a colour image: {error}") from error
    color: ColorImage = cv2.cvtColor(bgr, cv2.COLOR_BGR2RGB, dst=bgr)
    return color


def decode_mask(data: memoryview) -> Mask:
    """Decode a PNG to (H, W) bool.

    Raises:
        CorruptRecordingError: it is none, or damaged.
    """
    mask: Mask = _levels(data, "a mask") > 0
    return mask


def decode_trust(data: memoryview) -> TrustMap:
    """Decode a PNG of 8 bits to (H, W) from 0 to 1.

    Raises:
        CorruptRecordingError: it is none, or damaged.
    """
    return np.multiply(_levels(data, "trust"), np.float32(1 / 255), dtype=np.float32)


def _levels(data: memoryview, what: str) -> npt.NDArray[np.uint8]:
    try:
        return decode_picture(data, cv2.IMREAD_GRAYSCALE)
    except ValueError as error:
        raise CorruptRecordingError(f"{what}: {error}") from error
