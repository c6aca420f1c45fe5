"""Colour and depth images as files hold them, decoded for `folder:`.

Colour is taken as its pixels lie in the file, since depth and calibration are of those pixels: an
EXIF orientation is followed only where depth's size shows that it was followed there too.

Depth may be whole numbers in units of the folder's scale (PNG, PGM, TIFF, NPY), or floats in metres
(TIFF, EXR, NPY), which become whole millimetres; floats far above any room are in the folder's
units. 65535 and what does not fit into 16 bit is no measurement, and counted.
"""

from __future__ import annotations

import errno
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from lingbot_live.cameras.pictures import MOST_PIXELS, decode_picture
from lingbot_live.errors import BadFrameError
from lingbot_live.frame import ColorImage, RawDepth
from lingbot_live.system.inputs import refuse_special

COLORS = (".png", ".jpg", ".jpeg", ".bmp", ".tif", ".tiff", ".ppm", ".webp")
DEPTHS = (".png", ".pgm", ".tif", ".tiff", ".exr", ".npy")

_MOST_FILE = 256 << 20  # bytes of a picture; the largest cameras' have 100 MB, unpacked
_MILLIMETRE_M = 0.001
_NOTHING = 65535  # what many programs write where nothing was measured; the sensor's own limit
_MOST_M = 100.0  # median of a depth image in metres; above it are units
_Pixels = npt.NDArray[Any]


@dataclass(frozen=True, slots=True, eq=False)
class Depth:
    """A decoded depth image."""

    raw: RawDepth  # (H, W) units of ``scale_m``, 0 = no measurement
    scale_m: float
    out_of_range: int  # pixels that held a value beyond 16 bit, or 65535

    @property
    def size(self) -> tuple[int, int]:
        """Height and width."""
        height, width = self.raw.shape
        return height, width


def read_color(path: Path, size: tuple[int, int] | None = None) -> ColorImage:
    """Decode to (H, W, 3) uint8 RGB; ``size`` is (height, width) of the depth beside it.

    Raises:
        BadFrameError: it is unreadable.
    """
    import cv2

    as_stored = cv2.IMREAD_COLOR | cv2.IMREAD_IGNORE_ORIENTATION
    data = _bytes(path)
    bgr = _decoded(path, data, as_stored)
    if size is not None and bgr.shape[:2] != size and bgr.shape[1::-1] == size:
        bgr = _decoded(path, data, cv2.IMREAD_COLOR)
    rgb: ColorImage = cv2.cvtColor(bgr, cv2.COLOR_BGR2RGB, dst=bgr)
    return rgb


def read_depth(path: Path, scale_m: float) -> Depth:
    """Decode a depth image; ``scale_m`` is metres per unit of whole numbers.

    Raises:
        BadFrameError: it is unreadable, or no depth.
    """
    image = _one_channel(path, _array(path) if path.suffix.lower() == ".npy" else _image(path))
    if image.dtype.kind == "f":
        return _from_floats(image.astype(np.float64), scale_m)
    if image.dtype.kind not in "iu" or image.dtype.itemsize < 2:
        raise BadFrameError(
            f"{path}: depth must be one channel of 16 bit or of floats, not "
            f"{8 * image.dtype.itemsize} bit; save it as a 16-bit PNG"
        )
    out = (image >= _NOTHING) | (image < 0)
    raw = np.where(out, 0, image).astype(np.uint16)
    return Depth(raw, scale_m, int(np.count_nonzero(out)))


def _from_floats(values: npt.NDArray[np.float64], scale_m: float) -> Depth:
    values = np.where(np.isfinite(values) & (values > 0), values, 0.0)
    there = values[values > 0]
    is_metres = there.size == 0 or float(np.median(there)) <= _MOST_M
    units = np.rint(values * ((1.0 if is_metres else scale_m) / _MILLIMETRE_M))
    out = units >= _NOTHING
    return Depth(
        np.where(out, 0, units).astype(np.uint16), _MILLIMETRE_M, int(np.count_nonzero(out))
    )


def _one_channel(path: Path, image: _Pixels) -> _Pixels:
    """Return (H, W); of several channels that hold the same, the first."""
    if image.ndim == 3 and 1 in (image.shape[0], image.shape[2]):
        image = image.reshape([n for n in image.shape if n != 1] if image.size else (0, 0))
    if image.ndim == 3 and image.shape[2] in (3, 4) and image.dtype.itemsize > 1:
        first = image[..., :1]
        if np.array_equal(image[..., :3], np.broadcast_to(first, (*image.shape[:2], 3))):
            image = image[..., 0]
    if image.ndim != 2 or image.size == 0:
        raise BadFrameError(
            f"{path}: depth must be one channel of 16 bit or of floats, not "
            f"{8 * image.dtype.itemsize} bit of shape {image.shape}; save it as a 16-bit PNG"
        )
    return image


def _array(path: Path) -> _Pixels:
    try:
        refuse_special(path)
        found: _Pixels = np.load(path, mmap_mode="r", allow_pickle=False)  # by what there is
        if found.size > MOST_PIXELS:
            raise ValueError(f"it has {found.size} values; {MOST_PIXELS} are read")
        return np.array(found)
    except OSError as error:
        raise BadFrameError(f"{path}: {error.strerror or error}; check the file") from error
    except (ValueError, EOFError) as error:
        raise BadFrameError(f"{path}: not a readable array ({error})") from error


def _image(path: Path) -> _Pixels:
    import cv2

    if path.suffix.lower() == ".exr":
        # OpenCV leaves this reader off by default and asks the environment once, at its first use.
        os.environ.setdefault("OPENCV_IO_ENABLE_OPENEXR", "1")
    return _decoded(path, _bytes(path), cv2.IMREAD_UNCHANGED)


def _bytes(path: Path) -> npt.NDArray[np.uint8]:
    try:
        refuse_special(path)
        if path.stat().st_size > _MOST_FILE:
            raise OSError(errno.EFBIG, f"it is longer than {_MOST_FILE >> 20} MB", str(path))
        return np.fromfile(path, np.uint8)  # cv2.imread fails on non-ASCII paths on Windows
    except OSError as error:
        raise BadFrameError(f"{path}: {error.strerror}; check the file") from error


def _decoded(path: Path, data: npt.NDArray[np.uint8], flags: int) -> _Pixels:
    try:
        return decode_picture(data.data, flags, any_kind=True)
    except ValueError as error:
        raise BadFrameError(
            f"{path}: not a readable image; save it again as PNG or JPEG ({error})"
        ) from error
