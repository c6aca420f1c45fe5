"""Pictures in messages of a session file, unpacked."""

from __future__ import annotations

import cv2

from lingbot_live.cameras.pictures import decode_picture
from lingbot_live.errors import CorruptRecordingError
from lingbot_live.frame import ColorImage, Mask


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
    try:
        levels = decode_picture(data, cv2.IMREAD_GRAYSCALE)
    except ValueError as error:
        raise CorruptRecordingError(f"a mask: {error}") from error
    mask: Mask = levels > 0
    return mask
