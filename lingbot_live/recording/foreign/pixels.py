"""Images of other programs to colour and depth: every encoding of ROS's image_encodings.h."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt

from lingbot_live.errors import CorruptRecordingError
from lingbot_live.frame import ColorImage, RawDepth
from lingbot_live.recording.foreign.compressed import (
    compressed_depth,
    image_file,
    packing,
)
from lingbot_live.recording.foreign.messages import CompressedImage, Image, Message
from lingbot_live.recording.format import MILLIMETRE_M
from lingbot_live.recording.mcap import cdr

DEPTH = {"16UC1": np.uint16, "16SC1": np.int16, "32FC1": np.float32, "64FC1": np.float64}
GREY16 = ("mono16", "y16", "Y16", "z16", "Z16")
GREY8 = ("mono8", "8UC1", "y8", "Y8")

_NOTHING = 65535  # what many programs write where nothing was measured; the sensors' own limit
_INTERLEAVED: dict[str, tuple[int, int | None]] = {  # channels and OpenCV's conversion
    "rgb": (3, None),
    "bgr": (3, cv2.COLOR_BGR2RGB),
    "rgba": (4, cv2.COLOR_RGBA2RGB),
    "bgra": (4, cv2.COLOR_BGRA2RGB),
    "mono": (1, cv2.COLOR_GRAY2RGB),
}
_OPENCV = {"C1": "mono", "C3": "bgr", "C4": "bgra"}  # OpenCV's order of colours
_YUV422 = {
    "yuv422": cv2.COLOR_YUV2RGB_UYVY,
    "uyvy": cv2.COLOR_YUV2RGB_UYVY,
    "yuv422_yuy2": cv2.COLOR_YUV2RGB_YUY2,
    "yuyv": cv2.COLOR_YUV2RGB_YUY2,
    "yuy2": cv2.COLOR_YUV2RGB_YUY2,
    "yvyu": cv2.COLOR_YUV2RGB_YVYU,
}
_PLANES = {"nv12": cv2.COLOR_YUV2RGB_NV12, "nv21": cv2.COLOR_YUV2RGB_NV21}
# OpenCV names a pattern by its second row and column, ROS by its first.
_BAYER = {
    "bayer_rggb": cv2.COLOR_BayerBG2RGB,
    "bayer_bggr": cv2.COLOR_BayerRG2RGB,
    "bayer_gbrg": cv2.COLOR_BayerGR2RGB,
    "bayer_grbg": cv2.COLOR_BayerGB2RGB,
}
# From 8-bit Y, U, V with Y in 16..235 (ITU-R BT.601), as OpenCV's conversions of NV12.
_BT601 = np.array([[1.164, 0, 1.596], [1.164, -0.392, -0.813], [1.164, 2.017, 0]])
_BT601_ZERO = -_BT601 @ (16, 128, 128)


def is_color(encoding: str) -> bool:
    """Whether `color` reads images in this encoding, grey ones among them."""
    try:
        _reader(encoding)
    except CorruptRecordingError:
        return False
    return True


def color(message: Message, topic: str) -> ColorImage:
    """Return (H, W, 3) RGB; 16-bit values keep their upper half.

    Raises:
        CorruptRecordingError: the image is damaged, or in no known encoding.
    """
    try:
        if isinstance(message, Image):
            found = _reader(message.encoding)(message)
        else:
            found = _unpacked_color(message, topic)
    except (cv2.error, ValueError) as error:
        raise CorruptRecordingError(f"{topic}: a colour image is damaged ({error})") from error
    except CorruptRecordingError as error:
        raise CorruptRecordingError(f"{topic}: {error}") from error
    return np.ascontiguousarray(found)


def depth(message: Message, topic: str, unit_m: float = MILLIMETRE_M) -> tuple[RawDepth, int]:
    """Return (H, W) depth in units of ``unit_m`` and how many pixels were out of range.

    Those hold 65535 or a distance beyond it, and become 0. Whole numbers are such units already;
    metres are rounded to them, and what is not finite or not positive was no measurement.

    Raises:
        CorruptRecordingError: the image is damaged, or in no known encoding.
    """
    try:
        values = _distances(message, topic)
    except (cv2.error, ValueError) as error:
        raise CorruptRecordingError(f"{topic}: a depth image is damaged ({error})") from error
    except CorruptRecordingError as error:
        raise CorruptRecordingError(f"{topic}: {error}") from error
    if values.dtype.kind == "f":
        with np.errstate(over="ignore", invalid="ignore"):
            values = np.rint(values * values.dtype.type(1 / unit_m))
        values[~((values > 0) & np.isfinite(values))] = 0
    out = values >= _NOTHING
    raw = np.where(out | (values < 0), 0, values).astype(np.uint16)
    return raw, int(np.count_nonzero(out))


def _distances(message: Message, topic: str) -> npt.NDArray[Any]:
    if isinstance(message, Image):
        dtype = np.uint16 if message.encoding in GREY16 else DEPTH.get(message.encoding)
        if dtype is None:
            raise CorruptRecordingError(f"depth as {message.encoding!r} is not read")
        return cdr.pixels(message, dtype)
    if not isinstance(message, CompressedImage):
        raise CorruptRecordingError("it holds no images")
    how = packing(message, topic)
    if how.codec.startswith("depth"):
        return compressed_depth(message.data, how)
    values = image_file(message.data)
    if values.ndim != 2 or values.dtype not in (np.uint16, np.float32, np.float64):
        raise CorruptRecordingError(f"{message.format!r} with {values.dtype} holds no depth")
    return values


# ---- colour ------------------------------------------------------------------------------------


def _unpacked_color(message: Message, topic: str) -> ColorImage:
    if not isinstance(message, CompressedImage):
        raise CorruptRecordingError("it holds no images")
    encoding = message.format.partition(";")[0].strip()
    pattern = _BAYER.get(encoding.rstrip("0123456789"))
    if pattern is not None:
        values = image_file(message.data)
        if values.ndim == 2:
            return _eight_bit(cv2.cvtColor(values, pattern))
    found: ColorImage = cv2.cvtColor(image_file(message.data, cv2.IMREAD_COLOR), cv2.COLOR_BGR2RGB)
    return found


def _reader(encoding: str) -> Callable[[Image], ColorImage]:
    name = encoding.lower()
    if name in _YUV422:
        return _yuv422
    if name in _PLANES:
        return _two_planes
    if name == "nv24":
        return _nv24
    if encoding[:2] in ("8U", "16") and encoding[-2:] in _OPENCV and "UC" in encoding:
        return _interleaved
    kind, bits = name.rstrip("0123456789"), name[len(name.rstrip("0123456789")) :]
    if bits in ("8", "16") and kind in _BAYER:
        return _bayer
    if bits in ("8", "16") and kind in _INTERLEAVED:
        return _interleaved
    raise CorruptRecordingError(f"colour as {encoding!r} is not read")


def _interleaved(image: Image) -> ColorImage:
    name = image.encoding.lower()
    bits = 16 if "16" in name else 8
    kind = _OPENCV.get(image.encoding[-2:]) or name.rstrip("0123456789")
    channels, conversion = _INTERLEAVED[kind]
    found: ColorImage = _eight_bit(cdr.pixels(image, f"u{bits // 8}", channels))
    if conversion is not None:
        found = cv2.cvtColor(found, conversion)
    return found


def _bayer(image: Image) -> ColorImage:
    name = image.encoding.lower().rstrip("0123456789")
    values = cdr.pixels(image, np.uint16 if image.encoding.endswith("16") else np.uint8)
    return _eight_bit(cv2.cvtColor(values, _BAYER[name]))


def _yuv422(image: Image) -> ColorImage:
    values = cdr.pixels(image, np.uint8, 2)
    found: ColorImage = cv2.cvtColor(values, _YUV422[image.encoding.lower()])
    return found


def _two_planes(image: Image) -> ColorImage:
    luma, other = _planes(image, 3, 2)
    both = np.vstack([luma, other])
    found: ColorImage = cv2.cvtColor(both, _PLANES[image.encoding.lower()])
    return found


def _nv24(image: Image) -> ColorImage:
    luma, other = _planes(image, 3, 1)
    height, width = luma.shape
    yuv = np.dstack([luma, other.reshape(height, width, 2)])
    rgb = cv2.transform(yuv.astype(np.float32), np.column_stack([_BT601, _BT601_ZERO]))
    found: ColorImage = np.clip(np.rint(rgb), 0, 255).astype(np.uint8)
    return found


def _planes(
    image: Image, parts: int, luma: int
) -> tuple[npt.NDArray[np.uint8], npt.NDArray[np.uint8]]:
    """Split ``parts / luma`` times the rows into luma and chroma; some count both as height."""
    height, step, width = image.height, image.step, image.width
    if image.data.size < step * height * parts // luma:
        height = height * luma // parts
    end = step * height
    if not height or image.data.size < end * parts // luma:
        raise CorruptRecordingError(f"an image as {image.encoding!r} ends too early")
    first = image.data[:end].reshape(height, step)[:, :width]
    rest = image.data[end : end * parts // luma].reshape(-1, step * (3 - luma))
    return first, np.ascontiguousarray(rest[:, : width * (3 - luma)])


def _eight_bit(values: npt.NDArray[Any]) -> ColorImage:
    return values if values.dtype == np.uint8 else (values >> 8).astype(np.uint8)
