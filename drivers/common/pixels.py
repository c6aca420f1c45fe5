"""Colour images of every format a camera sends, to RGB."""

from __future__ import annotations

import importlib
from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt

from lingbot_live.cameras.pictures import decode_picture
from lingbot_live.frame import ColorImage

Bytes = npt.NDArray[np.uint8]

# Channels of the buffer and OpenCV's conversion; YUYV comes at half the colour resolution.
_CONVERSIONS: dict[str, tuple[int, str]] = {
    "BGR": (3, "COLOR_BGR2RGB"),
    "RGBA": (4, "COLOR_RGBA2RGB"),
    "BGRA": (4, "COLOR_BGRA2RGB"),
    "YUYV": (2, "COLOR_YUV2RGB_YUYV"),
    "UYVY": (2, "COLOR_YUV2RGB_UYVY"),
    "Y8": (1, "COLOR_GRAY2RGB"),
}
_PLANES = {"NV12": "COLOR_YUV2RGB_NV12", "NV21": "COLOR_YUV2RGB_NV21", "I420": "COLOR_YUV2RGB_I420"}

# The order in which a live camera's formats are preferred: least work, then least bandwidth.
FORMATS = ("RGB", "BGR", "MJPG", "YUYV", "UYVY", "RGBA", "BGRA", "NV12", "NV21", "I420", "Y8")


def prepare() -> None:
    """Load OpenCV now, not with the first frame, which it would delay."""
    importlib.import_module("cv2")


def to_rgb(data: Any, form: str, width: int, height: int) -> ColorImage | None:
    """Return an owned (height, width, 3) uint8 RGB image, or None if the data is damaged.

    ``data`` is the SDK's buffer and ``form`` one of `FORMATS`.
    """
    buffer: Bytes = np.frombuffer(data, np.uint8)
    try:
        return _decoded(buffer, width, height) if form == "MJPG" else _raw(
            buffer, form, width, height
        )  # fmt: skip
    except ValueError:  # too few bytes for the size
        return None


def _decoded(buffer: Bytes, width: int, height: int) -> ColorImage | None:
    import cv2

    try:
        image = decode_picture(buffer.tobytes(), cv2.IMREAD_COLOR)
    except ValueError:
        return None  # the caller counts it
    if image.shape != (height, width, 3):
        return None
    out: ColorImage = cv2.cvtColor(image, cv2.COLOR_BGR2RGB, dst=image)
    return out


def _raw(buffer: Bytes, form: str, width: int, height: int) -> ColorImage:
    import cv2

    if form == "RGB":
        return buffer[: height * width * 3].reshape(height, width, 3).copy()
    convert: Callable[..., ColorImage] = cv2.cvtColor
    if form in _PLANES:
        rows = height * 3 // 2
        return convert(buffer[: rows * width].reshape(rows, width), getattr(cv2, _PLANES[form]))
    channels, code = _CONVERSIONS[form]
    size = (height, width, channels) if channels > 1 else (height, width)
    return convert(buffer[: height * width * channels].reshape(size), getattr(cv2, code))
